// Package words writes figures the way the pages show them: intervals with their form,
// shares that are never rounded up, lengths of time, moments in UTC, and the columns of charts.
//
// Invariants: exact, band, withheld and unknown are told apart in every output; what is
// returned as HTML holds escaped text only. It keeps nothing.
package words

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/sla"
	"github.com/fieldpost/fieldpost/collector/web/chart"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Funcs are the words as templates call them.
func Funcs() template.FuncMap {
	return template.FuncMap{
		"n": numAny, "window": Window, "fig": Figure, "figtext": FigureText, "when": When, "day": Day, "date": Date, "since": Since, "ago": Ago, "formwords": formWords, "leaves": Leaves,
		"weeksfrom": func(start, days int64) string {
			return time.Unix(start*86400, 0).UTC().Format("2 Jan") + " – " + Day(start+days-1)
		}, "path": url.PathEscape,
		"spark": func(p []accounts.Point) template.HTML { return chart.Spark(Weeks(p)) }, "bar": chart.Bar, "forms": chart.Forms,
		"share": Share, "budget": Budget, "seconds": Seconds, "tone": Tone, "bytes": Size, "span": accounts.Span, "join": strings.Join,
		"plural": func(n any, what string) string { return Plural(int(whole(n)), what) }, "percentOf": func(f float64) string { return strconv.FormatFloat(f*100, 'f', -1, 64) }, "span2": Interval, "skew": skew, "civil": func(d int64) time.Time { return time.Unix(d*86400, 0).UTC() },
	}
}

// Num writes whole numbers with thousands separators.
func Num[T int | int64 | uint64 | float64](v T) string {
	f := float64(v)
	s := strconv.FormatFloat(math.Abs(f), 'f', -1, 64)
	if math.Abs(f) < 1e15 && f == math.Trunc(f) {
		s = strconv.FormatInt(int64(math.Abs(f)), 10)
	} else if math.Abs(f) < 1e15 {
		s = strconv.FormatFloat(math.Abs(f), 'f', decimals(f), 64)
	}
	whole, rest, found := strings.Cut(s, ".")
	var b strings.Builder
	if f < 0 {
		b.WriteRune('−')
	}
	for i, c := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	if found {
		b.WriteString("." + rest)
	}
	return b.String()
}

// whole reads the integers that templates pass.
func whole(v any) int64 {
	switch n := v.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	case uint64:
		return int64(n) //nolint:gosec // sequence numbers stay far below 2^63
	}
	return 0
}

func numAny(v any) string {
	if f, ok := v.(float64); ok {
		return Num(f)
	}
	return Num(whole(v))
}

// skew is the agent's clock against the collector's.
func skew(d time.Duration) string {
	switch s := d.Round(time.Second); {
	case s == 0:
		return "0 s"
	case s > 0:
		return "+" + duration(s.Seconds())
	default:
		return duration(s.Seconds())
	}
}

func decimals(f float64) int {
	switch a := math.Abs(f); {
	case a >= 100:
		return 0
	case a >= 1:
		return 1
	}
	return 3
}

// Interval writes an interval in figures alone.
func Interval(i report.Interval) string {
	switch {
	case math.IsInf(i.Hi, 1):
		return "≥ " + Num(i.Lo)
	case i.Known():
		return Num(i.Lo)
	}
	return Num(i.Lo) + "–" + Num(i.Hi)
}

// Figure shows a figure with its form.
func Figure(p accounts.Point) template.HTML {
	esc := template.HTMLEscapeString
	switch {
	case p.Form == report.Suppressed:
		return `<span class="hatch">withheld</span>`
	case !p.Told():
		return `<span class="st unknown"><i></i>unknown</span>`
	case p.Partial:
		return template.HTML(`<span class="int">` + esc(Interval(p.Interval)) + `<em>partial</em></span>`) //nolint:gosec // escaped
	case p.Form == report.Exact:
		return template.HTML(esc(Interval(p.Interval))) //nolint:gosec // escaped
	}
	return template.HTML(`<span class="int">` + esc(Interval(p.Interval)) + `<em>` + esc(p.Form.String()) + `</em></span>`) //nolint:gosec // escaped
}

// FigureText is figure in plain text.
func FigureText(p accounts.Point) string {
	switch {
	case p.Form == report.Suppressed:
		return "withheld, small numbers"
	case !p.Told():
		return "unknown, not told"
	case p.Partial:
		return Interval(p.Interval) + ", partial: " + Told(p.Tally(), "installation")
	case p.Form == report.Exact:
		return Interval(p.Interval)
	}
	return Interval(p.Interval) + ", " + p.Form.String()
}

// Told says of a sum what went in: "412–455 in 37 accounts; 9 banded, 3 with noise, 2 withheld, 4 silent".
func Told(t report.Tally, what string) string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{t.Banded, "banded"}, {t.Noised, "with noise"}, {t.Suppressed, "withheld"}, {t.Unknown, "silent"}} {
		if p.n > 0 {
			parts = append(parts, Num(p.n)+" "+p.word)
		}
	}
	s := "in " + Plural(t.Told(), what)
	if t.Partial > 0 {
		s += ", " + Num(t.Partial) + " of them in part"
	}
	if len(parts) > 0 {
		s += "; " + strings.Join(parts, ", ")
	}
	return s
}

func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "ch") {
		what += "e"
	}
	return Num(n) + " " + what + "s"
}

// TallyPoint is the sum as a figure.
func TallyPoint(start int64, t report.Tally) accounts.Point {
	return accounts.PointOf(start, t.Form(), t)
}

func Day(civil int64) string { return time.Unix(civil*86400, 0).UTC().Format("2 Jan 2006") }

// Date shows a calendar day of a moment.
func Date(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.UTC().Format(time.DateOnly), t.UTC().Format("2 Jan 2006"))) //nolint:gosec // digits and month names
}

// When shows a moment in UTC; the script turns it into the reader's zone.
func When(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-local title="%s UTC">%s UTC</time>`, t.Format(time.RFC3339), t.Format("2 Jan 2006 15:04:05"), t.Format("2 Jan 2006, 15:04"))) //nolint:gosec // digits and month names
}

// Since shows how long ago a moment was by the given clock.
func Since(t, clock time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	u := t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s UTC">%s</time>`, u.Format(time.RFC3339), u.Format("2 Jan 2006 15:04"), accounts.Span(max(0, clock.Sub(t))))) //nolint:gosec // digits and fixed words
}

// Ago is since in a sentence.
func Ago(t, clock time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	return Since(t, clock) + " ago"
}

// formWords counts installations by what they tell, without those that are nought.
func formWords(exact, banded, noised, suppressed, unknown int) string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{exact, "exact"}, {banded, "banded"}, {noised, "with noise"}, {suppressed, "withheld"}, {unknown, "unknown"}} {
		if p.n > 0 {
			parts = append(parts, Num(p.n)+" "+p.word)
		}
	}
	if len(parts) == 0 {
		return "none reports yet"
	}
	return strings.Join(parts, ", ")
}

// Share writes a ratio in per cent. It is cut and never rounded up: 99.996 % is not 100 %.
func Share(i report.Interval) string {
	lo, hi := Percent(i.Lo), Percent(i.Hi)
	if lo == hi {
		return lo
	}
	return lo + "–" + hi
}

func Percent(v float64) string {
	p := math.Floor(v*10000+1e-7) / 100
	return strconv.FormatFloat(p, 'f', 2, 64)
}

// Seconds writes a length of time in two units.
func Seconds(i report.Interval) string {
	if i.Known() {
		return duration(i.Lo)
	}
	return duration(i.Lo) + " – " + duration(i.Hi)
}

func duration(s float64) string {
	if math.IsInf(s, 1) {
		return "open"
	}
	sign := ""
	if s < 0 {
		sign, s = "−", -s
	}
	d := int64(math.Round(s))
	switch {
	case d == 0:
		return "0"
	case d < 60:
		return fmt.Sprintf("%s%d s", sign, d)
	case d < 3600:
		return fmt.Sprintf("%s%d min", sign, d/60)
	case d < 86400:
		return fmt.Sprintf("%s%d h %d min", sign, d/3600, d%3600/60)
	}
	return fmt.Sprintf("%s%d d %d h", sign, d/86400, d%86400/3600)
}

// Budget writes what is left of the error budget.
func Budget(l sla.Level) string {
	b, ok := l.Budget()
	switch {
	case !ok:
		return "–"
	case l.Kind == "slo":
		return Interval(report.Interval{Lo: math.Floor(b.Lo), Hi: math.Floor(b.Hi)}) + " events"
	}
	return Seconds(b)
}

func Tone(s sla.State) string {
	switch s {
	case sla.Kept:
		return "good"
	case sla.Missed:
		return "bad"
	case sla.Open:
		return "warn"
	}
	return "unknown"
}

func Size(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return strconv.Itoa(n) + " B"
}

// Window names a window in words.
func Window(g report.Grain, start int64) string {
	switch g {
	case report.Rolling28:
		return "28 days to " + Day(start)
	case report.Block4w:
		return "4 weeks from " + Day(start)
	case report.Block12w:
		return "12 weeks from " + Day(start)
	case report.Week:
		return "week of " + Day(start)
	case report.Month:
		return chart.Day(start).Format("January 2006")
	case report.Change:
		return chart.Day(start / 86400).Format("2 Jan 2006")
	}
	return Day(start)
}

// Leaves says how often a figure leaves, by the grain's name in a catalog; "" stays at the site.
func Leaves(grain string) string {
	g, err := report.ParseGrain(grain)
	if err != nil {
		return "stays at the site"
	}
	switch g {
	case report.FiveMinutes:
		return "every 5 minutes"
	case report.Rolling28:
		return "28 days, every 4 weeks"
	case report.Block4w:
		return "every 4 weeks"
	case report.Block12w:
		return "every 12 weeks"
	case report.Change:
		return "once, when it happens"
	}
	return "every " + grain
}

// Every says at which grain a row of figures comes.
func Every(g report.Grain) string {
	switch g {
	case report.Rolling28:
		return "28 days on each block's last day"
	case report.Block4w:
		return "by blocks of 4 weeks"
	case report.Block12w:
		return "by blocks of 12 weeks"
	}
	return "by week"
}

// Columns turns points of any grain into columns of a chart.
func Columns(g report.Grain, points []accounts.Point) []chart.Week {
	out := make([]chart.Week, len(points))
	for i, p := range points {
		out[i] = chart.Week{Start: chart.Day(p.Start), Form: p.Form, Interval: p.Interval, Read: Window(g, p.Start) + ": " + FigureText(p)}
	}
	return out
}

// Weeks turns points into columns of a chart.
func Weeks(points []accounts.Point) []chart.Week { return Columns(report.Week, points) }

// Label turns an id into words: active_authors → Active authors.
func Label(id string) string {
	s := strings.ReplaceAll(id, "_", " ")
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

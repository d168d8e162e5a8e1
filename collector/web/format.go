package web

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

func funcs() template.FuncMap {
	return template.FuncMap{
		"n": numAny, "fig": figure, "figtext": figureText, "when": when, "day": dayOf, "date": date, "since": since, "ago": ago, "formwords": formWords,
		"weeksfrom": func(start, days int64) string {
			return time.Unix(start*86400, 0).UTC().Format("2 Jan") + " – " + dayOf(start+days-1)
		}, "path": url.PathEscape,
		"spark": func(p []accounts.Point) template.HTML { return chart.Spark(weeks(p)) }, "bar": chart.Bar, "forms": chart.Forms,
		"share": share, "budget": budget, "seconds": seconds, "tone": tone, "bytes": size, "span": accounts.Span, "join": strings.Join,
		"plural": func(n any, what string) string { return plural(int(whole(n)), what) }, "percentOf": func(f float64) string { return strconv.FormatFloat(f*100, 'f', -1, 64) }, "span2": interval, "skew": skew, "civil": func(d int64) time.Time { return time.Unix(d*86400, 0).UTC() },
	}
}

// num writes whole numbers with thousands separators.
func num[T int | int64 | uint64 | float64](v T) string {
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
		return num(f)
	}
	return num(whole(v))
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

// interval writes an interval in figures alone.
func interval(i report.Interval) string {
	switch {
	case math.IsInf(i.Hi, 1):
		return "≥ " + num(i.Lo)
	case i.Known():
		return num(i.Lo)
	}
	return num(i.Lo) + "–" + num(i.Hi)
}

// figure shows a figure with its form.
func figure(p accounts.Point) template.HTML {
	esc := template.HTMLEscapeString
	switch {
	case p.Form == report.Suppressed:
		return `<span class="hatch">withheld</span>`
	case !p.Told():
		return `<span class="st unknown"><i></i>unknown</span>`
	case p.Partial:
		return template.HTML(`<span class="int">` + esc(interval(p.Interval)) + `<em>partial</em></span>`) //nolint:gosec // escaped
	case p.Form == report.Exact:
		return template.HTML(esc(interval(p.Interval))) //nolint:gosec // escaped
	}
	return template.HTML(`<span class="int">` + esc(interval(p.Interval)) + `<em>` + esc(p.Form.String()) + `</em></span>`) //nolint:gosec // escaped
}

// figureText is figure in plain text.
func figureText(p accounts.Point) string {
	switch {
	case p.Form == report.Suppressed:
		return "withheld, small numbers"
	case !p.Told():
		return "unknown, not told"
	case p.Partial:
		return interval(p.Interval) + ", partial: " + told(report.Tally{Exact: p.Exact, Banded: p.Banded, Suppressed: p.Suppressed, Unknown: p.Unknown}, "installation")
	case p.Form == report.Exact:
		return interval(p.Interval)
	}
	return interval(p.Interval) + ", " + p.Form.String()
}

// told says of a sum what went in: "412–455 in 37 accounts; 9 banded, 2 withheld, 4 silent".
func told(t report.Tally, what string) string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{t.Banded, "banded"}, {t.Suppressed, "withheld"}, {t.Unknown, "silent"}} {
		if p.n > 0 {
			parts = append(parts, num(p.n)+" "+p.word)
		}
	}
	s := "in " + plural(t.Told(), what)
	if len(parts) > 0 {
		s += "; " + strings.Join(parts, ", ")
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "ch") {
		what += "e"
	}
	return num(n) + " " + what + "s"
}

// tallyPoint is the sum as a figure.
func tallyPoint(start int64, t report.Tally) accounts.Point {
	return accounts.Point{Start: start, Form: t.Form(), Interval: t.Interval, Exact: t.Exact, Banded: t.Banded, Suppressed: t.Suppressed, Unknown: t.Unknown}
}

func dayOf(civil int64) string { return time.Unix(civil*86400, 0).UTC().Format("2 Jan 2006") }

// date shows a calendar day of a moment.
func date(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.UTC().Format(time.DateOnly), t.UTC().Format("2 Jan 2006"))) //nolint:gosec // digits and month names
}

// when shows a moment in UTC; the script turns it into the reader's zone.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-local title="%s UTC">%s UTC</time>`, t.Format(time.RFC3339), t.Format("2 Jan 2006 15:04:05"), t.Format("2 Jan 2006, 15:04"))) //nolint:gosec // digits and month names
}

// since shows how long ago a moment was by the given clock.
func since(t, clock time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	u := t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s UTC">%s</time>`, u.Format(time.RFC3339), u.Format("2 Jan 2006 15:04"), accounts.Span(max(0, clock.Sub(t))))) //nolint:gosec // digits and fixed words
}

// ago is since in a sentence.
func ago(t, clock time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	return since(t, clock) + " ago"
}

// formWords counts installations by what they tell, without those that are nought.
func formWords(exact, banded, suppressed, unknown int) string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{exact, "exact"}, {banded, "banded"}, {suppressed, "withheld"}, {unknown, "unknown"}} {
		if p.n > 0 {
			parts = append(parts, num(p.n)+" "+p.word)
		}
	}
	if len(parts) == 0 {
		return "none reports yet"
	}
	return strings.Join(parts, ", ")
}

// share writes a ratio in per cent. It is cut and never rounded up: 99.996 % is not 100 %.
func share(i report.Interval) string {
	lo, hi := percent(i.Lo), percent(i.Hi)
	if lo == hi {
		return lo
	}
	return lo + "–" + hi
}

func percent(v float64) string {
	p := math.Floor(v*10000+1e-7) / 100
	return strconv.FormatFloat(p, 'f', 2, 64)
}

// seconds writes a length of time in two units.
func seconds(i report.Interval) string {
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

// budget writes what is left of the error budget.
func budget(l sla.Level) string {
	b, ok := l.Budget()
	switch {
	case !ok:
		return "–"
	case l.Kind == "slo":
		return interval(report.Interval{Lo: math.Floor(b.Lo), Hi: math.Floor(b.Hi)}) + " events"
	}
	return seconds(b)
}

func tone(s sla.State) string {
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

func size(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return strconv.Itoa(n) + " B"
}

// weeks turns points into columns of a chart.
func weeks(points []accounts.Point) []chart.Week {
	out := make([]chart.Week, len(points))
	for i, p := range points {
		out[i] = chart.Week{Start: time.Unix(p.Start*86400, 0).UTC(), Form: p.Form, Interval: p.Interval, Read: "week of " + dayOf(p.Start) + ": " + figureText(p)}
	}
	return out
}

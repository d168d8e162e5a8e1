// Package say has the plain words of the console and its small parts: how numbers, times, windows,
// levels and reasons are written, and the tables, cards and states every page is made of.
//
// Invariants: a figure that is not exact is never written as if it were; withheld is always
// hatched and named, a state is always colour, shape and word. Times are written in UTC with the
// moment in the markup, so that the script can write them in the reader's zone.
//
// The package keeps no state on disk.
package say

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	m "github.com/fieldpost/fieldpost/agent/console/markup"

	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Whole writes a whole number with thousands separators.
func Whole(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Amount writes a number: whole ones in full, others with three digits that count.
func Amount(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "∞"
	case math.IsNaN(v) || math.IsInf(v, -1):
		return "–"
	case v < 0:
		return "−" + Amount(-v)
	case v == math.Trunc(v) && v < 1<<53:
		return Whole(uint64(v))
	case v >= 1000:
		return Whole(uint64(math.Round(v)))
	case v >= 1e-4:
		digits := max(0, 2-int(math.Floor(math.Log10(v))))
		return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v, 'f', digits, 64), "0"), ".")
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// Quantity writes a number with its unit (UCUM, as OTLP has it).
func Quantity(v float64, unit string) string {
	switch unit {
	case "", "1":
		return Amount(v)
	case "s":
		if v != 0 && math.Abs(v) < 1 {
			return Amount(v*1000) + " ms"
		}
		return Amount(v) + " s"
	case "By":
		for _, u := range []string{"B", "KiB", "MiB", "GiB"} {
			if math.Abs(v) < 1024 {
				return Amount(v) + " " + u
			}
			v /= 1024
		}
		return Amount(v) + " TiB"
	case "%":
		return Amount(v) + " %"
	}
	return Amount(v) + " " + strings.Trim(unit, "{}")
}

// Bytes writes a size.
func Bytes(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	if n < 10_000 {
		return Amount(float64(n)) + " bytes"
	}
	return Quantity(float64(n), "By")
}

// Share writes a share of one; near a hundred per cent it keeps the digits that count.
func Share(v float64) string {
	p := v * 100
	if p > 99 && p < 100 {
		left := 100 - p
		digits := min(max(2, 1-int(math.Floor(math.Log10(left)))), 6)
		s := strconv.FormatFloat(p, 'f', digits, 64)
		return strings.TrimRight(strings.TrimRight(s, "0"), ".") + " %"
	}
	return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(p, 'f', 2, 64), "0"), ".") + " %"
}

// Span writes a length of time given in seconds.
func Span(seconds float64) string {
	s := int64(math.Round(seconds))
	switch {
	case s < 0:
		return "−" + Span(-seconds)
	case s < 60:
		return strconv.FormatInt(s, 10) + " s"
	case s < 3600:
		return strconv.FormatInt(s/60, 10) + " min" + Rest(s%60, "s")
	case s < 48*3600:
		return strconv.FormatInt(s/3600, 10) + " h" + Rest(s%3600/60, "min")
	}
	return strconv.FormatInt(s/86400, 10) + " d" + Rest(s%86400/3600, "h")
}

func Rest(n int64, unit string) string {
	if n == 0 {
		return ""
	}
	return " " + strconv.FormatInt(n, 10) + " " + unit
}

func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Whole(uint64(n)) + " " + many
}

// Sentence begins with a capital and ends with a stop.
func Sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(r)) + s[n:]
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// Moment is a time: UTC until the script writes it in the reader's zone, UTC on hover always.
func Moment(t time.Time) m.Node {
	if t.IsZero() || t.Unix() <= 0 {
		return m.Text("never")
	}
	t = t.UTC()
	s := t.Format("2 Jan 2006, 15:04") + " UTC"
	return m.El("time", m.Attr("datetime", t.Format(time.RFC3339)), m.Attr("data-local", "minute"), m.Attr("title", s), m.Text(s))
}

// Window names a window in words.
func Window(g report.Grain, start int64) m.Node {
	if !g.Civil() {
		t := time.Unix(start, 0)
		if g == report.Change {
			return m.Group(m.Text("changed "), Moment(t))
		}
		return Moment(t)
	}
	return m.El("span", m.Class("when"), m.Text(WindowText(g, start)))
}

// WindowText names a window of a civil grain, or in UTC.
func WindowText(g report.Grain, start int64) string {
	if !g.Civil() {
		return time.Unix(start, 0).UTC().Format("2 Jan 2006, 15:04") + " UTC"
	}
	d := time.Unix(start*86400, 0).UTC()
	day := d.Format("2 Jan 2006")
	switch g {
	case report.Week:
		return "week of " + day
	case report.Month:
		return d.Format("January 2006")
	case report.Rolling28:
		return "28 days to " + day
	case report.Block4w:
		return "4 weeks from " + day
	case report.Block12w:
		return "12 weeks from " + day
	}
	return d.Format("Mon 2 Jan 2006")
}

// DayText is the day a window begins.
func DayText(start int64) string { return time.Unix(start*86400, 0).UTC().Format("2 Jan 2006") }

// GrainWord is a grain as a word of the page.
func GrainWord(g string) string {
	switch g {
	case "5m":
		return "5 minutes"
	case "rolling28":
		return "28 days"
	case "4w":
		return "4 weeks"
	case "12w":
		return "12 weeks"
	case "change":
		return "on change"
	}
	return g
}

// Each is how often a grain comes.
func Each(g string) string {
	switch g {
	case "change", "":
		return "when it changes"
	case "5m", "4w", "12w":
		return "every " + GrainWord(g)
	}
	return "each " + GrainWord(g)
}

// DimsText writes a breakdown's values.
func DimsText(dims map[string]string) string {
	keys := make([]string, 0, len(dims))
	for k := range dims {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		keys[i] = k + ": " + dims[k]
	}
	return strings.Join(keys, ", ")
}

// CategoryName is a category's title.
func CategoryName(c string) string {
	switch c {
	case "inventory":
		return "Inventory"
	case "sla":
		return "Service level"
	case "usage":
		return "Usage"
	case "pool":
		return "Pool"
	}
	return c
}

// CategoryText says what a category is about.
func CategoryText(c string) string {
	switch c {
	case "inventory":
		return "What is installed here: versions, systems, licences."
	case "sla":
		return "Whether the service works as promised: checks, response times, errors."
	case "usage":
		return "How the product is used: how many people, how much work."
	case "pool":
		return "Every 12 weeks, counts with noise are added to those of at least 100 other customers. Yours are never shown alone, whatever the size of your site; for small sites it is the only way to be heard at all. You decide on it apart from the other categories."
	}
	return ""
}

// PoolText says what joining the pool means, and what it costs.
func PoolText(l exchange.Level) string {
	if l == exchange.Strict {
		return "Joined. Counts of people leave once every 12 weeks, each with random noise that is drawn once and kept. The budget is ε = 4 for a person and 12 weeks, over at most two measures: whatever is known besides, they can better the odds of a guess about one person at most e⁴ ≈ 55 times. It adds up from block to block: a year is about ε = 16, which limits little. That is the worst case of somebody who reads your noised figures alone; the vendor may show only sums over at least 100 customers, with error bars."
	}
	return "Not joined. Nothing leaves for the pool."
}

// LevelText says what a level means for a category; people says whether it holds figures about
// people.
func LevelText(l exchange.Level, people bool) string {
	switch l {
	case exchange.Off:
		return "Not even collected. What waits to be sent is deleted. If you switch it on later, history begins again."
	case exchange.Local:
		return "Measured and shown on these pages. Never sent."
	case exchange.Strict:
		if !people {
			return "The same as aggregate: nothing in this category is about people."
		}
		return "Only from 50 people on: counts of people are sent with random noise, drawn once and never again, so that a guess about a particular person gets hardly better by them, whatever else is known; what that costs (ε) is written on the ledger. The figures are a few people too high or too low, and small ones tell little. At a smaller site nothing about people is sent. Machines and traffic are sent as they are."
	case exchange.Aggregate:
		if !people {
			return "The figures about machines and traffic below are sent as they are. Nothing here is about people."
		}
		return "About people, only ranges and shares are sent, cut so wide that no single person can be told, for fixed blocks of 4 and 12 weeks and, for the site's totals, for weeks; what cannot be cut wide enough is sent as “withheld”. Of a site with fewer than 12 people only that the product is in use is sent. Machines and traffic are sent as they are."
	case exchange.Totals:
		if !people {
			return "The same as aggregate: nothing in this category is about people."
		}
		return "As aggregate, and the site's totals of active people and of events, per week and per 4 weeks, are sent exactly. At a small site this can tell whether a particular person worked."
	}
	return ""
}

// SubjectText says whom a measure is about.
func SubjectText(s string) string {
	switch s {
	case "machine":
		return "about machines"
	case "traffic":
		return "about traffic; carries no user"
	}
	return "about people"
}

// ReasonText is what became of an event, in plain words.
func ReasonText(r string) string {
	switch r {
	case "malformed":
		return "not readable as an event"
	case "over_limit_size":
		return "larger than an event may be"
	case "unknown_event":
		return "not in the catalog, so not kept"
	case "off":
		return "its category is off, so not kept"
	case "over_limit_value":
		return "a number outside its bounds, or of the wrong type"
	case "duplicate":
		return "sent twice by the product, counted once"
	case "late":
		return "came after its window had closed"
	case "measured":
		return "measured"
	}
	return ""
}

// ReasonOrder is the order in which reasons apply.
func ReasonOrder() []string {
	return []string{"measured", "duplicate", "late", "off", "unknown_event", "over_limit_value", "over_limit_size", "malformed"}
}

// Sorted are the keys of a map, in order.
func Sorted(counts map[string]uint64) []string { return slices.Sorted(maps.Keys(counts)) }

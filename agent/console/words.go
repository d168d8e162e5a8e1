package console

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

// whole writes a whole number with thousands separators.
func whole(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// amount writes a number: whole ones in full, others with three digits that count.
func amount(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "∞"
	case math.IsNaN(v) || math.IsInf(v, -1):
		return "–"
	case v < 0:
		return "−" + amount(-v)
	case v == math.Trunc(v) && v < 1<<53:
		return whole(uint64(v))
	case v >= 1000:
		return whole(uint64(math.Round(v)))
	case v >= 1e-4:
		digits := max(0, 2-int(math.Floor(math.Log10(v))))
		return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v, 'f', digits, 64), "0"), ".")
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// quantity writes a number with its unit (UCUM, as OTLP has it).
func quantity(v float64, unit string) string {
	switch unit {
	case "", "1":
		return amount(v)
	case "s":
		if v != 0 && math.Abs(v) < 1 {
			return amount(v*1000) + " ms"
		}
		return amount(v) + " s"
	case "By":
		for _, u := range []string{"B", "KiB", "MiB", "GiB"} {
			if math.Abs(v) < 1024 {
				return amount(v) + " " + u
			}
			v /= 1024
		}
		return amount(v) + " TiB"
	case "%":
		return amount(v) + " %"
	}
	return amount(v) + " " + strings.Trim(unit, "{}")
}

// bytes writes a size.
func bytes(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	if n < 10_000 {
		return amount(float64(n)) + " bytes"
	}
	return quantity(float64(n), "By")
}

// share writes a share of one; near a hundred per cent it keeps the digits that count.
func share(v float64) string {
	p := v * 100
	if p > 99 && p < 100 {
		left := 100 - p
		digits := min(max(2, 1-int(math.Floor(math.Log10(left)))), 6)
		s := strconv.FormatFloat(p, 'f', digits, 64)
		return strings.TrimRight(strings.TrimRight(s, "0"), ".") + " %"
	}
	return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(p, 'f', 2, 64), "0"), ".") + " %"
}

// span writes a length of time given in seconds.
func span(seconds float64) string {
	s := int64(math.Round(seconds))
	switch {
	case s < 0:
		return "−" + span(-seconds)
	case s < 60:
		return strconv.FormatInt(s, 10) + " s"
	case s < 3600:
		return strconv.FormatInt(s/60, 10) + " min" + rest(s%60, "s")
	case s < 48*3600:
		return strconv.FormatInt(s/3600, 10) + " h" + rest(s%3600/60, "min")
	}
	return strconv.FormatInt(s/86400, 10) + " d" + rest(s%86400/3600, "h")
}

func rest(n int64, unit string) string {
	if n == 0 {
		return ""
	}
	return " " + strconv.FormatInt(n, 10) + " " + unit
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return whole(uint64(n)) + " " + many
}

// sentence begins with a capital and ends with a stop.
func sentence(s string) string {
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

// moment is a time: UTC until the script writes it in the reader's zone, UTC on hover always.
func moment(t time.Time) m.Node {
	if t.IsZero() || t.Unix() <= 0 {
		return m.Text("never")
	}
	t = t.UTC()
	s := t.Format("2 Jan 2006, 15:04") + " UTC"
	return m.El("time", m.Attr("datetime", t.Format(time.RFC3339)), m.Attr("data-local", "minute"), m.Attr("title", s), m.Text(s))
}

// window names a window in words.
func window(g report.Grain, start int64) m.Node {
	if !g.Civil() {
		t := time.Unix(start, 0)
		if g == report.Change {
			return m.Group(m.Text("changed "), moment(t))
		}
		return moment(t)
	}
	return m.El("span", m.Class("when"), m.Text(windowText(g, start)))
}

// windowText names a window of a civil grain, or in UTC.
func windowText(g report.Grain, start int64) string {
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

// grainWord is a grain as a word of the page.
func grainWord(g string) string {
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

// each is how often a grain comes.
func each(g string) string {
	switch g {
	case "change", "":
		return "when it changes"
	case "5m", "4w", "12w":
		return "every " + grainWord(g)
	}
	return "each " + grainWord(g)
}

// dimsText writes a breakdown's values.
func dimsText(dims map[string]string) string {
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

// categoryName is a category's title.
func categoryName(c string) string {
	switch c {
	case "inventory":
		return "Inventory"
	case "sla":
		return "Service level"
	case "usage":
		return "Usage"
	}
	return c
}

// categoryText says what a category is about.
func categoryText(c string) string {
	switch c {
	case "inventory":
		return "What is installed here: versions, systems, licences."
	case "sla":
		return "Whether the service works as promised: checks, response times, errors."
	case "usage":
		return "How the product is used: how many people, how much work."
	}
	return ""
}

// levelText says what a level means for a category; people says whether it holds figures about
// people.
func levelText(l exchange.Level, people bool) string {
	switch l {
	case exchange.Off:
		return "Not even collected. What waits to be sent is deleted. If you switch it on later, history begins again."
	case exchange.Local:
		return "Measured and shown on these pages. Never sent."
	case exchange.Aggregate:
		if !people {
			return "The figures about machines and traffic below are sent as they are. Nothing here is about people."
		}
		return "About people, only a range for the site's weekly number of active people is sent, never a small number; everything else about people is sent as “withheld”. Figures about machines and traffic are sent as they are."
	case exchange.Totals:
		if !people {
			return "The same as aggregate: nothing in this category is about people."
		}
		return "As aggregate, and the site's totals of active people and of events, per week and per 4 weeks, are sent exactly. At a small site this can tell whether a particular person worked."
	}
	return ""
}

// subjectText says whom a measure is about.
func subjectText(s string) string {
	switch s {
	case "machine":
		return "about machines"
	case "traffic":
		return "about traffic; carries no user"
	}
	return "about people"
}

// reasonText is what became of an event, in plain words.
func reasonText(r string) string {
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

// reasonOrder is the order in which reasons apply.
func reasonOrder() []string {
	return []string{"measured", "duplicate", "late", "off", "unknown_event", "over_limit_value", "over_limit_size", "malformed"}
}

// sorted are the keys of a map, in order.
func sorted(counts map[string]uint64) []string { return slices.Sorted(maps.Keys(counts)) }

package console

import (
	"math"
	"slices"
	"strings"
	"time"

	m "github.com/fieldpost/fieldpost/agent/console/markup"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// row is one window of one series with all its figures: up, down and unknown of a check are one
// row, not five.
type row struct {
	measure  string
	grain    report.Grain
	start    int64
	dims     map[string]string
	category string
	purpose  string
	why      string
	figures  []report.Figure
}

// rows joins figures of the same window and series, newest window first.
func rows[T any](all []T, of func(T) (f report.Figure, category, purpose, why string)) []row {
	index := map[string]int{}
	var out []row
	for _, x := range all {
		f, category, purpose, why := of(x)
		k := f.Measure + "\x00" + f.Hash + "\x00" + f.Grain.String() + "\x00" + report.StartString(f.Grain, f.Start) + "\x00" + dimsText(f.Dims) + "\x00" + why
		i, ok := index[k]
		if !ok {
			i = len(out)
			index[k] = i
			out = append(out, row{measure: f.Measure, grain: f.Grain, start: f.Start, dims: f.Dims, category: category, purpose: purpose, why: why})
		}
		out[i].figures = append(out[i].figures, f)
	}
	slices.SortStableFunc(out, func(a, b row) int { return int(sign(b.when() - a.when())) })
	return out
}

func sign(n int64) int64 {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// when is the window's beginning in seconds, near enough to sort by.
func (r row) when() int64 {
	if r.grain.Civil() {
		return r.start * 86400
	}
	return r.start
}

// name is the measure with the breakdown's values.
func (r row) name() m.Node {
	return m.Group(m.El("a", m.Href(m.At("/use/{}", r.measure)), m.Text(r.measure)),
		m.When(len(r.dims) > 0, m.El("span", m.Class("note"), m.Text(" "+dimsText(r.dims)))))
}

// told is what the vendor will see of the row.
func (r row) told() m.Node {
	if len(r.figures) == 1 {
		return told(r.figures[0], false)
	}
	withheld := true
	for _, f := range r.figures {
		withheld = withheld && f.Form == report.Suppressed
	}
	if withheld {
		return hatched("withheld")
	}
	parts := make([]m.Node, 0, 2*len(r.figures))
	for i, f := range r.figures {
		if i > 0 {
			parts = append(parts, m.Text(" · "))
		}
		parts = append(parts, told(f, true))
	}
	return m.Group(parts...)
}

// told is a figure as the vendor will see it.
func told(f report.Figure, named bool) m.Node {
	name := ""
	if named {
		name = fieldWord(f.Field) + " "
	}
	switch {
	case f.Form == report.Suppressed:
		return m.Group(m.Text(name), hatched("withheld"))
	case f.Form == report.Unknown:
		return m.Group(m.Text(name), m.El("span", m.Class("unknown"), m.Text("unknown")))
	case len(f.Blob) > 0:
		return m.Text(name + "(" + bytes(int64(len(f.Blob))) + ")")
	case f.Text != "":
		return m.Text(name + f.Text)
	case f.Form == report.Band || f.Form == report.Implied || f.Form == report.Share:
		return m.Group(m.Text(name), interval(f.Lo, f.Hi, func(v float64) string { return fieldAmount(f.Field, v) }, f.Form.String()))
	}
	return m.Text(name + fieldAmount(f.Field, f.Lo))
}

// interval is a figure that is told as a range.
func interval(lo, hi float64, write func(float64) string, form string) m.Node {
	return m.El("span", m.Class("int"), m.Text(rangeText(lo, hi, write)), m.El("em", m.Text(form)))
}

func rangeText(lo, hi float64, write func(float64) string) string {
	switch {
	case math.IsInf(hi, 1):
		return "≥ " + write(lo)
	case lo == hi:
		return write(lo)
	}
	return write(lo) + "–" + write(hi)
}

func hatched(word string) m.Node { return m.El("span", m.Class("hatch"), m.Text(word)) }

// fieldAmount writes a figure with the unit its field implies.
func fieldAmount(f report.Field, v float64) string {
	switch f {
	case report.Up, report.Down, report.Maintenance, report.Unseen:
		return span(v)
	case report.Since:
		return time.Unix(int64(v), 0).UTC().Format("2 Jan 2006, 15:04") + " UTC"
	}
	return amount(v)
}

// fieldWord names a field beside others of its window.
func fieldWord(f report.Field) string {
	switch f {
	case report.Unseen:
		return "not observed"
	case report.Value:
		return ""
	case report.Since:
		return "since"
	}
	return f.String()
}

// tally counts figures by form: "38 exact, 4 bands, 12 withheld".
func tally(figures []report.Figure) string {
	var n [7]int
	for _, f := range figures {
		if int(f.Form) < len(n) {
			n[f.Form]++
		}
	}
	var parts []string
	put := func(count int, one, many string) {
		if count > 0 {
			parts = append(parts, plural(count, one, many))
		}
	}
	put(n[report.Exact], "exact", "exact")
	put(n[report.Band]+n[report.Share]+n[report.Implied], "band", "bands")
	put(n[report.Noised], "with noise", "with noise")
	put(n[report.Suppressed], "withheld", "withheld")
	put(n[report.Unknown], "unknown", "unknown")
	return strings.Join(parts, ", ")
}

// figureTable is a page of rows.
func figureTable(rs []row, last string) m.Node {
	out := make([]m.Item, 0, len(rs))
	for _, r := range rs {
		cells := []m.Item{m.El("td", r.name()), m.El("td", m.Class("nowrap"), window(r.grain, r.start)), m.El("td", r.told())}
		switch last {
		case "why":
			cells = append(cells, m.El("td", m.Class("note"), m.Text(r.why)))
		case "purpose":
			cells = append(cells, m.El("td", m.Class("note"), m.Text(r.purpose)))
		}
		out = append(out, m.El("tr", cells...))
	}
	head := []m.Item{th("Measure"), th("Window"), th("The vendor sees")}
	switch last {
	case "why":
		head = []m.Item{th("Measure"), th("Window"), th("Here"), th("Why it stays")}
	case "purpose":
		head = append(head, th("Why the vendor asks"))
	}
	return wide(m.El("table", m.El("thead", m.El("tr", head...)), m.El("tbody", out...)))
}

func th(s string) m.Node { return m.El("th", m.Attr("scope", "col"), m.Text(s)) }

func thNum(s string) m.Node {
	return m.El("th", m.Attr("scope", "col"), m.Class("num"), m.Text(s))
}

// wide lets a table scroll by itself where the page is narrow. It takes the keyboard's focus,
// because what scrolls must be reachable without a mouse.
func wide(n m.Node) m.Node {
	return m.El("div", m.Class("wide"), m.Attr("tabindex", "0"), m.Attr("role", "region"), m.Attr("aria-label", "Table"), n)
}

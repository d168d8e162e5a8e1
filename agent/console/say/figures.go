package say

import (
	"math"
	"slices"
	"strings"
	"time"

	m "github.com/fieldpost/fieldpost/agent/console/markup"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// Row is one window of one series with all its figures: up, down and unknown of a check are one
// row, not five.
type Row struct {
	Measure  string
	Grain    report.Grain
	Start    int64
	Dims     map[string]string
	Category string
	Purpose  string
	Figures  []report.Figure
	Explains []string // why each has its form; "" where there is nothing to explain
}

// Rows joins figures of the same window and series, newest window first.
func Rows[T any](all []T, of func(T) (f report.Figure, category, purpose, explain string)) []Row {
	index := map[string]int{}
	var out []Row
	for _, x := range all {
		f, category, purpose, explain := of(x)
		k := f.Measure + "\x00" + f.Hash + "\x00" + f.Grain.String() + "\x00" + report.StartString(f.Grain, f.Start) + "\x00" + DimsText(f.Dims)
		i, ok := index[k]
		if !ok {
			i = len(out)
			index[k] = i
			out = append(out, Row{Measure: f.Measure, Grain: f.Grain, Start: f.Start, Dims: f.Dims, Category: category, Purpose: purpose})
		}
		out[i].Figures, out[i].Explains = append(out[i].Figures, f), append(out[i].Explains, explain)
	}
	slices.SortStableFunc(out, func(a, b Row) int { return int(sign(b.When() - a.When())) })
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

// When is the window's beginning in seconds, near enough to sort by.
func (r Row) When() int64 {
	if r.Grain.Civil() {
		return r.Start * 86400
	}
	return r.Start
}

// Name is the measure with the breakdown's values.
func (r Row) Name() m.Node {
	return m.Group(m.El("a", m.Href(m.At("/use/{}", r.Measure)), m.Text(r.Measure)),
		m.When(len(r.Dims) > 0, m.El("span", m.Class("note"), m.Text(" "+DimsText(r.Dims)))))
}

// Told is what the vendor will see of the row.
func (r Row) Told() m.Node {
	if len(r.Figures) == 1 {
		return Told(r.Figures[0], false)
	}
	withheld := true
	for _, f := range r.Figures {
		withheld = withheld && f.Form == report.Suppressed
	}
	if withheld {
		return Hatched("withheld")
	}
	parts := make([]m.Node, 0, 2*len(r.Figures))
	for i, f := range r.Figures {
		if i > 0 {
			parts = append(parts, m.Text(" · "))
		}
		parts = append(parts, Told(f, true))
	}
	return m.Group(parts...)
}

// Why opens to how each figure of the row got its form.
func (r Row) Why() m.Node {
	var lines []m.Item
	for i, e := range r.Explains {
		if e == "" {
			continue
		}
		word := strings.TrimSpace(FieldWord(r.Figures[i].Field))
		if word == "" || len(r.Figures) == 1 {
			lines = append(lines, m.El("p", m.Text(Sentence(e))))
			continue
		}
		lines = append(lines, m.El("p", m.El("b", m.Text(word)), m.Text(": "+Sentence(e))))
	}
	if len(lines) == 0 {
		return m.Group()
	}
	return m.El("details", append([]m.Item{m.Class("why"), m.El("summary", m.Text("why this form"))}, lines...)...)
}

// Told is a figure as the vendor will see it.
func Told(f report.Figure, named bool) m.Node {
	name := ""
	if named {
		name = FieldWord(f.Field) + " "
	}
	switch {
	case f.Form == report.Suppressed:
		return m.Group(m.Text(name), Hatched("withheld"))
	case f.Form == report.Unknown:
		return m.Group(m.Text(name), m.El("span", m.Class("unknown"), m.Text("unknown")))
	case len(f.Blob) > 0:
		return m.Text(name + "(" + Bytes(int64(len(f.Blob))) + ")")
	case f.Text != "":
		return m.Text(name + f.Text)
	case f.Form == report.Noised:
		return m.Group(m.Text(name), Noised(f.Lo))
	case f.Form == report.Band || f.Form == report.Implied || f.Form == report.Share:
		return m.Group(m.Text(name), Interval(f.Lo, f.Hi, func(v float64) string { return FieldAmount(f.Field, v) }, f.Form.String()))
	}
	return m.Text(name + FieldAmount(f.Field, f.Lo))
}

// Interval is a figure that is told as a range.
func Interval(lo, hi float64, write func(float64) string, form string) m.Node {
	return m.El("span", m.Class("int"), m.Text(RangeText(lo, hi, write)), m.El("em", m.Text(form)))
}

func RangeText(lo, hi float64, write func(float64) string) string {
	switch {
	case math.IsInf(hi, 1):
		return "≥ " + write(lo)
	case lo == hi:
		return write(lo)
	}
	return write(lo) + "–" + write(hi)
}

// Noised is a figure with noise.
func Noised(v float64) m.Node {
	return m.El("span", m.Class("int"), m.Text("≈ "+Amount(v)), m.El("em", m.Text("with noise")))
}

// Withheld is a figure that is not told, with the reason in plain words on hover; pages also write the reason out.
func Withheld(why string) m.Node {
	if why == "" {
		return Hatched("withheld")
	}
	return m.El("span", m.Class("hatch"), m.Attr("title", Sentence(why)), m.Text("withheld"))
}

func Hatched(word string) m.Node { return m.El("span", m.Class("hatch"), m.Text(word)) }

// FieldAmount writes a figure with the unit its field implies.
func FieldAmount(f report.Field, v float64) string {
	switch f {
	case report.Up, report.Down, report.Maintenance, report.Unseen:
		return Span(v)
	case report.Since:
		return time.Unix(int64(v), 0).UTC().Format("2 Jan 2006, 15:04") + " UTC"
	}
	return Amount(v)
}

// FieldWord names a field beside others of its window.
func FieldWord(f report.Field) string {
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

// Tally counts figures by form: "38 exact, 4 bands, 12 withheld".
func Tally(figures []report.Figure) string {
	var n [7]int
	for _, f := range figures {
		if int(f.Form) < len(n) {
			n[f.Form]++
		}
	}
	var parts []string
	put := func(count int, one, many string) {
		if count > 0 {
			parts = append(parts, Plural(count, one, many))
		}
	}
	put(n[report.Exact], "exact", "exact")
	put(n[report.Band], "band", "bands")
	put(n[report.Share], "share", "shares")
	put(n[report.Implied], "implied", "implied")
	put(n[report.Noised], "with noise", "with noise")
	put(n[report.Suppressed], "withheld", "withheld")
	put(n[report.Unknown], "unknown", "unknown")
	return strings.Join(parts, ", ")
}

// FigureTable is a page of rows.
func FigureTable(rs []Row, last string) m.Node {
	out := make([]m.Item, 0, len(rs))
	for _, r := range rs {
		cells := []m.Item{m.El("td", r.Name()), m.El("td", m.Class("nowrap"), Window(r.Grain, r.Start)), m.El("td", r.Told(), r.Why())}
		if last == "purpose" {
			cells = append(cells, m.El("td", m.Class("note"), m.Text(r.Purpose)))
		}
		out = append(out, m.El("tr", cells...))
	}
	head := []m.Item{Th("Measure"), Th("Window"), Th("The vendor sees")}
	if last == "purpose" {
		head = append(head, Th("Why the vendor asks"))
	}
	return Stack(m.El("table", m.El("thead", m.El("tr", head...)), m.El("tbody", out...)))
}

// Stack lets a table's rows become blocks where the page is narrow.
func Stack(n m.Node) m.Node { return m.El("div", m.Class("stack"), n) }

func Th(s string) m.Node { return m.El("th", m.Attr("scope", "col"), m.Text(s)) }

func ThNum(s string) m.Node {
	return m.El("th", m.Attr("scope", "col"), m.Class("num"), m.Text(s))
}

// Wide lets a table scroll by itself where the page is narrow. It takes the keyboard's focus,
// because what scrolls must be reachable without a mouse.
func Wide(n m.Node) m.Node {
	return m.El("div", m.Class("wide"), m.Attr("tabindex", "0"), m.Attr("role", "group"), m.Attr("aria-label", "Table"), n)
}

// Package chart draws figures as SVG on the server: exact figures as a line, bands as blocks,
// what is withheld hatched, what nobody knows as a grey gap.
//
// Invariants: the width of a chart is that of its place, so that it is redrawn and not shrunk at
// 360 px: positions across are shares of the width, heights and letters are pixels. A gap is
// drawn as a gap: no line runs over it, and nothing is ever drawn as zero that is not told as
// zero. Every chart has a label for those who do not see it; its table is the caller's.
//
// The package keeps no state on disk.
package chart

import (
	"math"
	"strings"
	"unicode/utf8"

	m "github.com/fieldpost/fieldpost/agent/console/markup"
)

// Form is how a value is drawn.
type Form uint8

const (
	Unknown  Form = iota // nobody measured: a grey gap
	Exact                // a point of the line
	Band                 // a block from Lo to Hi; Hi may be +Inf
	Withheld             // measured and not told: hatched
	Share                // as Band, from the template of thirds: low, middle or high
	Implied              // as Band, and followed from other answers before this one
	Noised               // a point with noise added: a hollow dot
	NotYet               // its window has not closed: nothing is drawn
)

// Range says that the figure lies between two ends.
func (f Form) Range() bool { return f == Band || f == Share || f == Implied }

// Told says that there is a figure at all.
func (f Form) Told() bool { return f == Exact || f == Noised || f.Range() }

// Value is one window's figure.
type Value struct {
	Form   Form
	Lo, Hi float64
	Tip    string // the window and its figure in words
}

// Series is one line of figures; all of a chart have a value for each window.
type Series struct {
	Name   string
	Values []Value
	Faint  bool // drawn in the second tone
}

// Tick is a label under a window.
type Tick struct {
	At    int // index of the window
	Label string
}

// Lines is a chart of one or more series over the same windows.
type Lines struct {
	Label   string // for those who do not see it
	Series  []Series
	Ranges  []Value  // lowest and highest within a window, drawn behind as an area; may be nil
	Ticks   []Tick   //
	Target  *float64 // a promise to compare with
	Write   func(float64) string
	Share   bool // values are shares: the axis ends at 1 and begins where the figures do
	Compact bool
}

const (
	top    = 10 // room for half a letter and the names of lines
	bottom = 20 // room for the ticks
)

// Draw is the chart.
func (c Lines) Draw() m.Node {
	if len(c.Series) == 0 || len(c.Series[0].Values) == 0 {
		return m.Group()
	}
	h := 150.0
	if c.Compact {
		h = 110
	}
	lo, hi := c.bounds()
	steps := Steps(lo, hi, 3)
	lo, hi = steps[0], steps[len(steps)-1]
	y := func(v float64) float64 {
		if math.IsInf(v, 1) {
			return 2
		}
		return top + (h-top)*(1-(v-lo)/(hi-lo))
	}
	items := []m.Item{m.Class("chart"), m.Num("height", h+bottom), m.Attr("width", "100%")}
	for _, s := range steps {
		items = append(items, rule("grid", y(s)))
	}
	for _, s := range c.Series[:1] {
		items = append(items, blocks(s.Values, h, y)...)
	}
	if d := area(c.Ranges, y); d != "" {
		items = append(items, stretched(h, m.El("path", m.Class("range"), m.Attr("d", d))))
	}
	if c.Target != nil {
		items = append(items, rule("target", y(*c.Target)))
	}
	for _, s := range c.Series {
		items = append(items, line(s, h, y)...)
	}
	items = append(items, c.names(y)...)
	n := len(c.Series[0].Values)
	items = append(items, ticks(c.Ticks, n, h+bottom-5)...)
	return m.El("div", m.Class("plot"), m.Attr("role", "img"), m.Attr("aria-label", c.Label),
		c.scale(steps, h, y), m.El("svg", append(items, tips(c.Series, n, h)...)...))
}

// scale is a column of its own: the figures beside the lines of the grid.
func (c Lines) scale(steps []float64, h float64, y func(float64) float64) m.Node {
	widest := 0
	for _, s := range steps {
		widest = max(widest, utf8.RuneCountInString(c.Write(s)))
	}
	width := float64(widest)*7.2 + 8 // digits and units of 11 px take at most 7.2 px each
	items := []m.Item{m.Class("scale"), m.Num("width", width), m.Num("height", h+bottom)}
	for _, s := range steps {
		items = append(items, m.El("text", m.Num("x", width-8), m.Num("y", y(s)+4), m.Attr("text-anchor", "end"), m.Text(c.Write(s))))
	}
	return m.El("svg", items...)
}

// bounds are the lowest and the highest value that must find room.
func (c Lines) bounds() (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	put := func(v float64) {
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	all := append([]Series{{Values: c.Ranges}}, c.Series...)
	for _, s := range all {
		for _, v := range s.Values {
			if v.Form.Told() {
				put(v.Lo)
				put(v.Hi)
			}
		}
	}
	if c.Target != nil {
		put(*c.Target)
	}
	if math.IsInf(lo, 1) {
		lo, hi = 0, 1
	}
	if c.Share {
		return min(lo, 1-1e-4), 1
	}
	return min(lo, 0), hi
}

// Steps are between two and n+2 round numbers that enclose lo to hi, evenly spaced by 1, 2 or 5
// times a power of ten.
func Steps(lo, hi float64, n int) []float64 {
	if !(hi > lo) {
		hi = lo + 1
	}
	raw := (hi - lo) / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 5, 10} {
		if unit*f >= raw*0.999 {
			unit *= f
			break
		}
	}
	var out []float64
	first, last := math.Floor(lo/unit+1e-9), math.Ceil(hi/unit-1e-9)
	for i := first; i <= last; i++ {
		out = append(out, math.Round(i*unit*1e9)/1e9)
	}
	if len(out) < 2 {
		out = append(out, out[0]+unit)
	}
	return out
}

func rule(class string, y float64) m.Node {
	items := []m.Item{m.Class("grid"), m.Num("x1", 0), m.Attr("x2", "100%"), m.Num("y1", y), m.Num("y2", y)}
	if class == "target" {
		items[0] = m.Class("mark")
	}
	return m.El("line", items...)
}

// stretched is a drawing whose width is 1000 however wide its place is.
func stretched(h float64, n m.Node) m.Node {
	return m.El("svg", m.Attr("viewBox", "0 0 1000 "+m.Number(h)), m.Attr("preserveAspectRatio", "none"), m.Attr("width", "100%"), m.Num("height", h),
		m.Attr("overflow", "visible"), n)
}

// blocks draws gaps, what is withheld and bands; neighbours of the same kind are one block.
func blocks(vs []Value, h float64, y func(float64) float64) (out []m.Item) {
	n := float64(len(vs))
	for i := 0; i < len(vs); {
		j := i + 1
		for j < len(vs) && vs[j].Form == vs[i].Form && (!vs[i].Form.Range() || vs[j].Lo == vs[i].Lo && vs[j].Hi == vs[i].Hi) {
			j++
		}
		x, w := m.Percent("x", 100*float64(i)/n), m.Percent("width", 100*float64(j-i)/n)
		switch vs[i].Form {
		case Unknown:
			out = append(out, m.El("rect", m.Class("gap"), x, w, m.Num("y", top), m.Num("height", h-top)))
		case Withheld:
			out = append(out, m.El("rect", m.Attr("fill", "url(#hatch)"), x, w, m.Num("y", top), m.Num("height", h-top)))
		case Band, Share, Implied:
			a, b := y(vs[i].Hi), y(vs[i].Lo)
			out = append(out, m.El("rect", rangeClass(vs[i].Form), x, w, m.Num("y", a), m.Num("height", max(b-a, 3))))
			for _, e := range []float64{a, max(b, a+3)} {
				if e == a && math.IsInf(vs[i].Hi, 1) {
					continue // an open top has no edge
				}
				out = append(out, m.El("line", edgeClass(vs[i].Form), m.Percent("x1", 100*float64(i)/n), m.Percent("x2", 100*float64(j)/n), m.Num("y1", e), m.Num("y2", e)))
			}
		}
		i = j
	}
	return out
}

// line draws the exact figures; a figure between two gaps is a dot.
func line(s Series, h float64, y func(float64) float64) (out []m.Item) {
	var d strings.Builder
	n := float64(len(s.Values))
	for i, v := range s.Values {
		x := (float64(i) + 0.5) / n
		if v.Form == Noised {
			out = append(out, m.El("circle", m.Class("noised"), m.Percent("cx", 100*x), m.Num("cy", y(v.Lo)), m.Num("r", 3)))
		}
		if v.Form != Exact {
			continue
		}
		before := i > 0 && s.Values[i-1].Form == Exact
		after := i+1 < len(s.Values) && s.Values[i+1].Form == Exact
		switch {
		case before:
			d.WriteString("L" + m.Number(1000*x) + " " + m.Number(y(v.Lo)))
		case after:
			d.WriteString("M" + m.Number(1000*x) + " " + m.Number(y(v.Lo)))
		default:
			out = append(out, m.El("circle", m.Class("dot"), m.Percent("cx", 100*x), m.Num("cy", y(v.Lo)), m.Num("r", 2.2)))
		}
	}
	if d.Len() == 0 {
		return out
	}
	class := m.Class("line")
	if s.Faint {
		class = m.Class("line", "second")
	}
	return append(out, stretched(h, m.El("path", class, m.Attr("vector-effect", "non-scaling-stroke"), m.Attr("d", d.String()))))
}

// area is the outline of the ranges, one piece for each stretch without a gap.
func area(vs []Value, y func(float64) float64) string {
	var d strings.Builder
	n := float64(len(vs))
	for i := 0; i < len(vs); {
		j := i
		for j < len(vs) && vs[j].Form == Exact {
			j++
		}
		for k := i; k < j; k++ {
			letter := "L"
			if k == i {
				letter = "M"
			}
			d.WriteString(letter + m.Number(1000*(float64(k)+0.5)/n) + " " + m.Number(y(vs[k].Hi)))
		}
		for k := j - 1; k >= i; k-- {
			d.WriteString("L" + m.Number(1000*(float64(k)+0.5)/n) + " " + m.Number(y(vs[k].Lo)))
		}
		if j > i {
			d.WriteString("Z")
		}
		i = max(j, i+1)
	}
	return d.String()
}

// names writes each line's name beside its last figure, where there are several.
func (c Lines) names(y func(float64) float64) (out []m.Item) {
	if len(c.Series) < 2 {
		return nil
	}
	last := math.Inf(1)
	for i := len(c.Series) - 1; i >= 0; i-- {
		s := c.Series[i]
		for k := len(s.Values) - 1; k >= 0; k-- {
			v := s.Values[k]
			if !v.Form.Told() {
				continue
			}
			at := y((v.Lo + min(v.Hi, v.Lo*2+1)) / 2)
			at = max(at-6, 10)
			if math.Abs(at-last) < 13 {
				at = last - 13
			}
			last = at
			out = append(out, m.El("text", m.Class("name"), m.Attr("x", "100%"), m.Num("y", at), m.Attr("text-anchor", "end"), m.Text(s.Name)))
			break
		}
	}
	return out
}

// ticks writes the labels under the chart. Every second one gives way where there is little room.
func ticks(ts []Tick, n int, y float64) (out []m.Item) {
	for i, t := range ts {
		x := 100 * (float64(t.At) + 0.5) / float64(n)
		anchor := "middle"
		switch {
		case x < 6:
			x, anchor = 0, "start"
		case x > 94:
			x, anchor = 100, "end"
		}
		class := m.Class("tick")
		if i%2 == 1 {
			class = m.Class("tick", "second")
		}
		out = append(out, m.El("text", class, m.Percent("x", x), m.Num("y", y), m.Attr("text-anchor", anchor), m.Text(t.Label)))
	}
	return out
}

// mostTips bounds the size of a page: 120 windows at 90 bytes.
const mostTips = 120

// tips tells a window's figures to the pointer.
func tips(ss []Series, n int, h float64) (out []m.Item) {
	if n > mostTips {
		return nil
	}
	for i := range n {
		var t []string
		for _, s := range ss {
			if s.Values[i].Tip != "" {
				t = append(t, s.Values[i].Tip)
			}
		}
		if len(t) > 0 {
			out = append(out, m.El("rect", m.Class("tip"), m.Percent("x", 100*float64(i)/float64(n)), m.Percent("width", 100/float64(n)), m.Num("y", 0), m.Num("height", h),
				m.El("title", m.Text(strings.Join(t, "\n")))))
		}
	}
	return out
}

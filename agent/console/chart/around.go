package chart

import (
	"math"

	m "github.com/fieldpost/fieldpost/agent/console/markup"
)

// Column is one window of a chart around zero.
type Column struct {
	Above []Value // from zero upwards, in this order
	Below Value
	Tip   string
}

// Around draws columns above and below zero. The parts of a column are as high as the middles of their ranges; a
// whisker shows where the whole column may end. A part that is withheld is a hatched cap.
type Around struct {
	Label   string
	Columns []Column
	Ticks   []Tick
	Write   func(float64) string
}

const aroundHeight = 190.0

// capHeight is the height of the mark of what is withheld, in pixels.
const capHeight = 9.0

// Draw is the chart.
func (c Around) Draw() m.Node {
	if len(c.Columns) == 0 {
		return m.Group()
	}
	up, down := 0.0, 0.0
	for _, col := range c.Columns {
		_, hi, _ := total(col.Above)
		up = max(up, hi)
		if col.Below.Form.Told() {
			_, hi, _ := total([]Value{col.Below})
			down = max(down, hi)
		}
	}
	if up+down <= 0 {
		up = 1
	}
	steps := Steps(-down, up, 4)
	lo, hi := steps[0], steps[len(steps)-1]
	h := aroundHeight
	y := func(v float64) float64 { return top + (h-top-capHeight)*(1-(v-lo)/(hi-lo)) }
	items := []m.Item{m.Class("chart"), m.Num("height", h+bottom), m.Attr("width", "100%")}
	for _, s := range steps {
		items = append(items, rule("grid", y(s)))
	}
	n := float64(len(c.Columns))
	for i, col := range c.Columns {
		items = append(items, col.draw(100*float64(i)/n, 100/n, y, h)...)
	}
	items = append(items, m.El("line", m.Class("zero"), m.Num("x1", 0), m.Attr("x2", "100%"), m.Num("y1", y(0)), m.Num("y2", y(0))))
	items = append(items, ticks(c.Ticks, len(c.Columns), h+bottom-5)...)
	for i, col := range c.Columns {
		if col.Tip != "" && len(c.Columns) <= mostTips {
			items = append(items, m.El("rect", m.Class("tip"), m.Percent("x", 100*float64(i)/n), m.Percent("width", 100/n), m.Num("y", 0), m.Num("height", h), m.El("title", m.Text(col.Tip))))
		}
	}
	side := Lines{Write: func(v float64) string { return c.Write(math.Abs(v)) }} // down is a number of people too
	return m.El("div", m.Class("plot"), m.Attr("role", "img"), m.Attr("aria-label", c.Label), side.scale(steps, h, y), m.El("svg", items...))
}

// total is where a column may end, and whether its top is open.
func total(vs []Value) (lo, hi float64, open bool) {
	for _, v := range vs {
		if v.Form.Told() {
			lo += v.Lo
			if math.IsInf(v.Hi, 1) {
				hi, open = hi+v.Lo, true
			} else {
				hi += v.Hi
			}
		}
	}
	return lo, hi, open
}

func (col Column) draw(x, w float64, y func(float64) float64, h float64) (out []m.Item) {
	has := map[Form]int{}
	for _, v := range append([]Value{col.Below}, col.Above...) {
		has[v.Form]++
	}
	all := len(col.Above) + 1
	if has[Unknown]+has[NotYet] == all {
		if has[Unknown] == 0 {
			return nil
		}
		return []m.Item{m.El("rect", m.Class("gap"), m.Percent("x", x), m.Percent("width", w), m.Num("y", top), m.Num("height", h-top))}
	}
	if has[Withheld] == all {
		return []m.Item{m.El("rect", m.Attr("fill", "url(#hatch)"), m.Percent("x", x), m.Percent("width", w), m.Num("y", top), m.Num("height", h-top))}
	}
	block := func(class m.Attribute, from, height float64) {
		out = append(out, m.El("rect", class, m.Percent("x", x+w*0.15), m.Percent("width", w*0.7), m.Num("y", from), m.Num("height", height)))
	}
	whisker := func(a, b float64, open bool) {
		if math.Abs(a-b) < 0.5 && !open {
			return
		}
		mid := x + w/2
		if open {
			b -= capHeight
		}
		out = append(out, m.El("line", m.Class("whisker"), m.Percent("x1", mid), m.Percent("x2", mid), m.Num("y1", a), m.Num("y2", b)))
		ends := []float64{a, b}
		if open {
			ends = ends[:1]
		}
		for _, e := range ends {
			out = append(out, m.El("line", m.Class("whisker"), m.Percent("x1", mid-w*0.12), m.Percent("x2", mid+w*0.12), m.Num("y1", e), m.Num("y2", e)))
		}
	}
	base, hidden := 0.0, false
	for k, v := range col.Above {
		if v.Form == Withheld {
			hidden = true
		}
		if v.Form.Told() && middle(v) > 0 {
			block(Tone(k), y(base+middle(v)), y(base)-y(base+middle(v)))
			base += middle(v)
		}
	}
	if hidden {
		block(m.Attr("fill", "url(#hatch)"), y(base)-capHeight, capHeight)
	}
	lo, hi, open := total(col.Above)
	whisker(y(lo), y(hi), open)
	switch {
	case col.Below.Form == Withheld:
		block(m.Attr("fill", "url(#hatch)"), y(0), capHeight)
	case col.Below.Form.Told():
		block(m.Class("t5"), y(0), y(-middle(col.Below))-y(0))
		lo, hi, _ := total([]Value{col.Below})
		whisker(y(-lo), y(-hi), false)
	}
	return out
}

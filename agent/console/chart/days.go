package chart

import (
	m "github.com/fieldpost/fieldpost/agent/console/markup"
)

// Day is one window of a check: seconds of each state.
type Day struct {
	Up, Down, Maintenance, Unknown float64
	Tip                            string
}

// Days is a strip of windows, each divided into up, down, maintenance and not observed. A state
// that was there at all is at least 4 px high, so that a minute of a day is seen.
type Days struct {
	Label string
	Days  []Day
	Ticks []Tick
}

const (
	dayHeight = 56.0
	leastSeen = 4.0
)

// Draw is the strip.
func (c Days) Draw() m.Node {
	n := float64(len(c.Days))
	items := []m.Item{m.Class("chart"), m.Attr("role", "img"), m.Attr("aria-label", c.Label), m.Num("height", dayHeight+bottom), m.Attr("width", "100%")}
	for i, d := range c.Days {
		x, w := 100*float64(i)/n, 100/n
		heights := d.heights()
		y := 0.0
		for k, hgt := range heights {
			if hgt <= 0 {
				continue
			}
			class := m.Class("up")
			switch k {
			case 1:
				class = m.Class("unseen")
			case 2:
				class = m.Class("maint")
			case 3:
				class = m.Class("down")
			}
			items = append(items, m.El("rect", class, m.Percent("x", x+w*0.08), m.Percent("width", w*0.84), m.Num("y", y), m.Num("height", hgt)))
			y += hgt
		}
		if d.Tip != "" && len(c.Days) <= mostTips {
			items = append(items, m.El("rect", m.Class("tip"), m.Percent("x", x), m.Percent("width", w), m.Num("y", 0), m.Num("height", dayHeight), m.El("title", m.Text(d.Tip))))
		}
	}
	return m.El("svg", append(items, ticks(c.Ticks, len(c.Days), dayHeight+bottom-5)...)...)
}

// heights of up, not observed, maintenance and down, from the top; they fill the strip.
func (d Day) heights() [4]float64 {
	parts := [4]float64{d.Up, d.Unknown, d.Maintenance, d.Down}
	all := parts[0] + parts[1] + parts[2] + parts[3]
	if all <= 0 {
		return [4]float64{1: dayHeight}
	}
	left, widest := dayHeight, 0
	var out [4]float64
	for i, p := range parts {
		if p > 0 {
			out[i] = max(leastSeen, dayHeight*p/all)
		}
		if out[i] > out[widest] {
			widest = i
		}
		left -= out[i]
	}
	out[widest] += left // what the small ones took comes from the largest
	return out
}

// Defs holds the pattern that the charts of a page share; it stands once on the page.
func Defs() m.Node {
	return m.El("svg", m.Class("defs"), m.Attr("aria-hidden", "true"), m.Attr("focusable", "false"), m.Num("width", 0), m.Num("height", 0),
		m.El("defs", m.El("pattern", m.Attr("id", "hatch"), m.Num("width", 5), m.Num("height", 5), m.Attr("patternUnits", "userSpaceOnUse"), m.Attr("patternTransform", "rotate(45)"),
			m.El("path", m.Class("hatchline"), m.Attr("d", "M0 0V5")))))
}

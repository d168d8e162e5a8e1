// Package chart draws figures as SVG on the server: exact values as a line, bands as blocks
// between their ends, figures with noise as open circles with their error bar, withheld weeks hatched, weeks nobody told grey, and service levels with
// up, down, maintenance and unknown told apart.
//
// Invariants: nothing is interpolated, no line crosses a week that was not told exactly; a
// chart is drawn three times, for wide, middling and narrow places, with fewer weeks each,
// so that it is never shrunk; every text is escaped; there is no style attribute and no
// script in what is drawn, only classes of the style sheet.
//
// The pattern with id "hatch" stands once in the page.
package chart

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// Week is one column of a chart.
type Week struct {
	Start time.Time // of its first day, UTC
	Form  report.Form
	report.Interval
	Read string // what is read out: "week of 17 Aug 2026: 12–16, band"
}

// Mark is a moment worth a word.
type Mark struct {
	At   time.Time
	Text string
}

// Part is one column of a service level, shares of the time.
type Part struct {
	Start                          time.Time
	Up, Down, Maintenance, Unknown float64
	Read                           string
}

// size of a drawing, in its own units, which are pixels where it is shown 1:1.
type size struct {
	class         string
	width, height float64
	weeks         int
}

func sizes() []size {
	return []size{{"wide", 860, 200, 106}, {"mid", 560, 190, 53}, {"narrow", 300, 170, 26}}
}

type pen struct{ strings.Builder }

func (p *pen) f(format string, args ...any) { fmt.Fprintf(&p.Builder, format, args...) }

func esc(s string) string { return template.HTMLEscapeString(s) }

func xy(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// Line draws weeks, oldest first.
func Line(label string, weeks []Week, marks []Mark) template.HTML {
	return Columns(label, weeks, 7, marks)
}

// Columns draws windows of so many days each, oldest first.
func Columns(label string, weeks []Week, days int, marks []Mark) template.HTML {
	unit := "weeks"
	if days != 7 {
		unit = "windows of " + strconv.Itoa(days) + " days"
	}
	var p pen
	open(&p, label)
	for _, s := range sizes() {
		w := weeks[max(0, len(weeks)-s.weeks):]
		p.f(`<svg class="%s" viewBox="0 0 %s %s" role="img" aria-label="%s">`, s.class, xy(s.width), xy(s.height), esc(label+", "+strconv.Itoa(len(w))+" "+unit+"; table below"))
		if len(w) > 0 {
			pl := newPlot(s, w)
			pl.days = days
			pl.draw(&p, w, marks)
		}
		p.f(`</svg>`)
	}
	shut(&p, lastRead(weeks))
	return template.HTML(p.String()) //nolint:gosec // every text above went through esc
}

func lastRead(weeks []Week) string {
	if len(weeks) == 0 {
		return ""
	}
	return weeks[len(weeks)-1].Read
}

// open begins a chart: one focusable group, so that arrow keys read out week by week.
func open(p *pen, label string) {
	p.f(`<div class="chart" data-chart="" tabindex="0" role="group" aria-label="%s; arrow keys read it out">`, esc(label))
}

func shut(p *pen, read string) { p.f(`<p class="readout" aria-live="polite">%s</p></div>`, esc(read)) }

type plot struct {
	left, right, top, bottom float64
	step, max                float64
	first                    time.Time
	days                     int // of a column
}

func newPlot(s size, w []Week) plot {
	p := plot{left: 34, right: s.width - 6, top: 22, bottom: s.height - 22, first: w[0].Start, days: 7}
	most := 1.0
	for _, x := range w {
		if !x.Form.HasNumbers() {
			continue
		}
		top := x.Hi
		if math.IsInf(top, 1) {
			top = x.Lo * 1.25
		}
		most = math.Max(most, top)
	}
	p.max = most * 1.06
	p.left = 14 + 7*float64(len(tick(niceStep(p.max)*math.Floor(p.max/niceStep(p.max)))))
	p.step = (p.right - p.left) / float64(len(w))
	return p
}

func (p plot) y(v float64) float64 { return p.bottom - (p.bottom-p.top)*math.Min(v, p.max)/p.max }
func (p plot) x(i int) float64     { return p.left + p.step*float64(i) }

// niceStep gives three to five grid lines at 1, 2 or 5 times a power of ten.
func niceStep(most float64) float64 {
	raw := most / 4
	mag := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if raw <= m*mag {
			return math.Max(1, m*mag)
		}
	}
	return math.Max(1, 10*mag)
}

func tick(v float64) string {
	switch {
	case v >= 1e9:
		return xy(v/1e9) + " bn"
	case v >= 1e6:
		return xy(v/1e6) + " m"
	case v >= 1e4:
		return xy(v/1e3) + " k"
	case v >= 1e3:
		return fmt.Sprintf("%d,%03d", int(v)/1000, int(v)%1000)
	}
	return xy(v)
}

func (p plot) draw(out *pen, w []Week, marks []Mark) {
	for v, step := 0.0, niceStep(p.max); v <= p.max; v += step {
		y := xy(p.y(v))
		out.f(`<line class="grid" x1="%s" x2="%s" y1="%s" y2="%s"/><text x="%s" y="%s" text-anchor="end">%s</text>`,
			xy(p.left), xy(p.right), y, y, xy(p.left-6), xy(p.y(v)+4), tick(v))
	}
	p.blocks(out, w)
	for i, x := range w {
		switch {
		case x.Form == report.Noised:
			p.noised(out, i, x)
		case x.Form.HasNumbers() && !x.Known():
			p.band(out, i, x)
		}
	}
	p.line(out, w)
	p.marks(out, w, marks)
	p.months(out, w)
	for i, x := range w {
		out.f(`<rect class="hit" x="%s" width="%s" y="%s" height="%s" data-read="%s"><title>%s</title></rect>`, xy(p.x(i)), xy(p.step), xy(p.top), xy(p.bottom-p.top), esc(x.Read), esc(x.Read))
	}
}

// blocks of weeks that hold no numbers: a gap looks like one, grey where nothing was told
// and hatched where it was withheld.
func (p plot) blocks(out *pen, w []Week) {
	for i := 0; i < len(w); {
		from, form := i, w[i].Form
		for i < len(w) && w[i].Form == form {
			i++
		}
		class := ""
		switch form {
		case report.Unknown:
			class = `class="gap"`
		case report.Suppressed:
			class = `class="supp" fill="url(#hatch)"`
		default:
			continue
		}
		out.f(`<rect %s x="%s" width="%s" y="%s" height="%s"/>`, class, xy(p.x(from)), xy(p.step*float64(i-from)), xy(p.top), xy(p.bottom-p.top))
	}
}

// band is a block between its ends; an open top has no upper edge and fades at the top.
func (p plot) band(out *pen, i int, x Week) {
	hi, class := p.y(x.Hi), "band"
	if math.IsInf(x.Hi, 1) {
		hi, class = p.top, "band open"
	}
	lo := p.y(x.Lo)
	left, right := xy(p.x(i)), xy(p.x(i)+p.step)
	out.f(`<rect class="%s" x="%s" width="%s" y="%s" height="%s"/><line class="bandedge" x1="%s" x2="%s" y1="%s" y2="%s"/>`, class, left, xy(p.step+0.1), xy(hi), xy(math.Max(2, lo-hi)), left, right, xy(lo), xy(lo))
	if class == "band" {
		out.f(`<line class="bandedge" x1="%s" x2="%s" y1="%s" y2="%s"/>`, left, right, xy(hi), xy(hi))
	}
}

// noised is an open circle in the middle of its error bar; an open top has none.
func (p plot) noised(out *pen, i int, x Week) {
	at, hi := p.x(i)+p.step/2, x.Hi
	mid := (x.Lo + x.Hi) / 2
	if math.IsInf(hi, 1) {
		mid, hi = x.Lo, p.max
	}
	if hi > x.Lo {
		out.f(`<line class="error" x1="%s" x2="%s" y1="%s" y2="%s"/>`, xy(at), xy(at), xy(p.y(hi)), xy(p.y(math.Max(0, x.Lo))))
	}
	out.f(`<circle class="noised" cx="%s" cy="%s" r="2.4"/>`, xy(at), xy(p.y(math.Max(0, mid))))
}

// certain weeks are told to the unit and without noise.
func certain(x Week) bool { return x.Form.HasNumbers() && x.Form != report.Noised && x.Known() }

func (p plot) line(out *pen, w []Week) {
	for i := 0; i < len(w); i++ {
		from := i
		for i < len(w) && certain(w[i]) {
			i++
		}
		switch i - from {
		case 0:
		case 1:
			out.f(`<circle class="dot" cx="%s" cy="%s" r="2"/>`, xy(p.x(from)+p.step/2), xy(p.y(w[from].Lo)))
		default:
			out.f(`<path class="line" d="`)
			for j := from; j < i; j++ {
				out.f("%s%s %s", map[bool]string{true: "M", false: " L"}[j == from], xy(p.x(j)+p.step/2), xy(p.y(w[j].Lo)))
			}
			out.f(`"/>`)
		}
	}
}

// marks are labelled while there is room; each stays a line.
func (p plot) marks(out *pen, w []Week, marks []Mark) {
	end := w[len(w)-1].Start.AddDate(0, 0, p.days)
	free := p.left
	for i := len(marks) - 1; i >= 0; i-- { // newest first in, oldest drawn first
		m := marks[i]
		if m.At.Before(p.first) || !m.At.Before(end) {
			continue
		}
		x := p.left + p.step*m.At.Sub(p.first).Hours()/float64(24*p.days)
		out.f(`<line class="mark" x1="%s" x2="%s" y1="%s" y2="%s"/>`, xy(x), xy(x), xy(p.top-8), xy(p.bottom))
		width := 6.2 * float64(len([]rune(m.Text)))
		switch {
		case x >= free && x+4+width <= p.right:
			out.f(`<text x="%s" y="%s">%s</text>`, xy(x+4), xy(p.top-10), esc(m.Text))
			free = x + 12 + width
		case x-4-width >= free:
			out.f(`<text x="%s" y="%s" text-anchor="end">%s</text>`, xy(x-4), xy(p.top-10), esc(m.Text))
			free = x + 8
		}
	}
}

// months are named where there is room: every first, third or sixth. Of windows longer than a month each is
// named by its own start, where there is room.
func (p plot) months(out *pen, w []Week) {
	if p.days > 31 {
		last := -99.0
		for i, x := range w {
			if at := p.x(i); at-last >= 66 && at < p.right-52 {
				out.f(`<text x="%s" y="%s">%s</text><line class="grid" x1="%s" x2="%s" y1="%s" y2="%s"/>`, xy(at), xy(p.bottom+16), x.Start.Format("2 Jan 06"), xy(at), xy(at), xy(p.bottom), xy(p.bottom+4))
				last = at
			}
		}
		return
	}
	every := 1
	for _, n := range []int{1, 3, 6, 12} {
		every = n
		if p.step*30.4/float64(p.days)*float64(n) >= 62 {
			break
		}
	}
	for i, x := range w {
		last := x.Start.AddDate(0, 0, p.days-1)
		if last.Day() > p.days || (int(last.Month())-1)%every != 0 {
			continue
		}
		if at := p.x(i); at > p.left+4 && at < p.right-52 {
			out.f(`<text x="%s" y="%s">%s</text><line class="grid" x1="%s" x2="%s" y1="%s" y2="%s"/>`, xy(at), xy(p.bottom+16), last.Format("Jan 2006"), xy(at), xy(at), xy(p.bottom), xy(p.bottom+4))
		}
	}
}

// Levels draws service levels by week as stacked columns. Down and maintenance are at
// least 3 px high, so that a minute is seen; the numbers are in the read-out and the table.
func Levels(label string, parts []Part) template.HTML {
	var p pen
	open(&p, label)
	for _, s := range sizes() {
		w := parts[max(0, len(parts)-s.weeks/2):]
		const height, top = 40.0, 2.0
		p.f(`<svg class="%s" viewBox="0 0 %s 62" role="img" aria-label="%s">`, s.class, xy(s.width), esc(label+", "+strconv.Itoa(len(w))+" weeks; table below"))
		step := s.width / float64(max(1, len(w)))
		for i, x := range w {
			column(&p, x, step*float64(i), step-1, top, height)
			if last := x.Start.AddDate(0, 0, 6); last.Day() <= 7 && (int(last.Month())-1)%3 == 0 && step*float64(i) < s.width-60 {
				p.f(`<text x="%s" y="58">%s</text>`, xy(step*float64(i)), last.Format("Jan 2006"))
			}
		}
		p.f(`</svg>`)
	}
	read := ""
	if len(parts) > 0 {
		read = parts[len(parts)-1].Read
	}
	shut(&p, read)
	return template.HTML(p.String()) //nolint:gosec // every text above went through esc
}

func column(p *pen, x Part, left, width, top, height float64) {
	least := func(share float64) float64 {
		if share <= 0 {
			return 0
		}
		return math.Max(3, share*height)
	}
	down, maint, unknown := least(x.Down), least(x.Maintenance), least(x.Unknown)
	if x.Unknown >= 1 {
		down, maint, unknown = 0, 0, height
	}
	up := math.Max(0, height-down-maint-unknown)
	y := top
	for _, part := range []struct {
		class string
		h     float64
	}{{"unseen", unknown}, {"up", up}, {"maint", maint}, {"down", down}} {
		if part.h > 0 {
			p.f(`<rect class="%s" x="%s" width="%s" y="%s" height="%s"/>`, part.class, xy(left), xy(width), xy(y), xy(part.h))
			y += part.h
		}
	}
	p.f(`<rect class="hit" x="%s" width="%s" y="%s" height="%s" data-read="%s"><title>%s</title></rect>`, xy(left), xy(width), xy(top), xy(height), esc(x.Read), esc(x.Read))
}

// Spark is a line of a table row; the row's own cell says the number.
func Spark(weeks []Week) template.HTML {
	var p pen
	p.f(`<svg class="spark" viewBox="0 0 120 24" width="120" height="24" aria-hidden="true">`)
	if len(weeks) > 0 {
		pl := newPlot(size{"", 120, 24, len(weeks)}, weeks)
		pl.left, pl.right, pl.top, pl.bottom = 0, 120, 2, 22
		pl.step = 120 / float64(len(weeks))
		pl.blocks(&p, weeks)
		for i, x := range weeks {
			if x.Form == report.Noised {
				pl.noised(&p, i, x)
			} else if x.Form.HasNumbers() && !x.Known() {
				hi := pl.top
				if !math.IsInf(x.Hi, 1) {
					hi = pl.y(x.Hi)
				}
				p.f(`<rect class="band" x="%s" width="%s" y="%s" height="%s"/>`, xy(pl.x(i)), xy(pl.step), xy(hi), xy(math.Max(2, pl.y(x.Lo)-hi)))
			}
		}
		pl.line(&p, weeks)
	}
	p.f(`</svg>`)
	return template.HTML(p.String()) //nolint:gosec // numbers and fixed text only
}

// Bar is a share of a whole, for a table row that also says the number.
func Bar(n, of int) template.HTML {
	w := 0.0
	if of > 0 {
		w = 120 * float64(n) / float64(of)
	}
	return template.HTML(fmt.Sprintf(`<svg class="spark" viewBox="0 0 120 10" width="120" height="10" aria-hidden="true"><rect class="gap" width="120" height="10"/><rect class="bar" width="%s" height="10"/></svg>`, xy(w))) //nolint:gosec // numbers only
}

// Forms draws how many tell a measure exactly, in bands, with noise, withhold it or do not tell it.
func Forms(exact, banded, noised, suppressed, unknown int) template.HTML {
	var p pen
	p.f(`<svg class="spark" viewBox="0 0 120 10" width="120" height="10" aria-hidden="true">`)
	x, all := 0.0, float64(max(1, exact+banded+noised+suppressed+unknown))
	for _, part := range []struct {
		class string
		n     int
	}{{"bar", exact}, {"band", banded}, {"noised", noised}, {"supp", suppressed}, {"gap", unknown}} {
		w := 120 * float64(part.n) / all
		fill := ""
		if part.class == "supp" {
			fill = ` fill="url(#hatch)"`
		}
		p.f(`<rect class="%s"%s x="%s" width="%s" height="10"/>`, part.class, fill, xy(x), xy(w))
		x += w
	}
	p.f(`</svg>`)
	return template.HTML(p.String()) //nolint:gosec // numbers only
}

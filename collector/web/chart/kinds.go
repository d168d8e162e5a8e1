package chart

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"time"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// Amount is a figure with its form.
type Amount struct {
	Form report.Form
	report.Interval
}

// Range draws one figure of a table row against a scale from nought to most: solid up to its
// low end, light up to its high end, an error bar where it has noise, hatched where it was
// withheld and grey where nobody told it. The row's own cell says the number.
func Range(a Amount, most float64) template.HTML {
	const width, height = 160.0, 12.0
	var p pen
	p.f(`<svg class="range" viewBox="0 0 %s %s" width="160" height="12" aria-hidden="true"><rect class="track" width="%s" height="%s"/>`, xy(width), xy(height), xy(width), xy(height))
	at := func(v float64) float64 { return width * math.Max(0, math.Min(1, v/math.Max(most, 1e-9))) }
	switch {
	case a.Form == report.Suppressed:
		p.f(`<rect class="supp" fill="url(#hatch)" width="%s" height="%s"/>`, xy(width), xy(height))
	case !a.Form.HasNumbers():
		p.f(`<rect class="gap" width="%s" height="%s"/>`, xy(width), xy(height))
	case a.Form == report.Noised:
		lo, hi, mid := at(a.Lo), at(a.Hi), at((a.Lo+a.Hi)/2)
		p.f(`<rect class="bar" width="%s" height="%s"/><path class="error" d="M%s 6H%sM%s 2v8M%s 2v8"/>`, xy(mid), xy(height), xy(lo), xy(hi), xy(lo), xy(hi))
	default:
		lo, hi := at(a.Lo), at(a.Hi)
		class := "band"
		if math.IsInf(a.Hi, 1) {
			hi, class = width, "band open"
		}
		p.f(`<rect class="bar" width="%s" height="%s"/>`, xy(lo), xy(height))
		if hi > lo {
			p.f(`<rect class="%s" x="%s" width="%s" height="%s"/>`, class, xy(lo), xy(hi-lo), xy(height))
		}
	}
	p.f(`</svg>`)
	return template.HTML(p.String()) //nolint:gosec // numbers and fixed text only
}

// Flow is one window of a lifecycle: who came above the line, who stayed away below it.
type Flow struct {
	Start                     time.Time
	New, Resurrected, Dormant Amount
	Read                      string
}

// Flows draws a lifecycle around zero: new and come-back people up, dormant ones down, each
// solid to its low end and light to its high end.
func Flows(label string, flows []Flow) template.HTML {
	var p pen
	open(&p, label)
	for _, s := range sizes() {
		w := flows[max(0, len(flows)-max(6, s.weeks/4)):]
		const height, top, bottom = 190.0, 10.0, 168.0
		p.f(`<svg class="%s" viewBox="0 0 %s %s" role="img" aria-label="%s">`, s.class, xy(s.width), xy(height), esc(label+", "+strconv.Itoa(len(w))+" blocks of 4 weeks; table below"))
		up, down := 1.0, 1.0
		for _, f := range w {
			up = math.Max(up, ceiling(f.New)+ceiling(f.Resurrected))
			down = math.Max(down, ceiling(f.Dormant))
		}
		unit := (bottom - top) / ((up + down) * 1.04)
		zero := top + up*1.02*unit
		left := 40.0
		step := (s.width - left - 6) / float64(max(1, len(w)))
		for v, every := 0.0, niceStep(up+down); v <= math.Max(up, down); v += every {
			for _, sign := range []float64{1, -1} {
				if v == 0 && sign < 0 || sign > 0 && v > up || sign < 0 && v > down {
					continue
				}
				y := zero - sign*v*unit
				name := tick(v)
				if sign < 0 {
					name = "−" + name
				}
				p.f(`<line class="grid" x1="%s" x2="%s" y1="%s" y2="%s"/><text x="%s" y="%s" text-anchor="end">%s</text>`, xy(left), xy(s.width-6), xy(y), xy(y), xy(left-6), xy(y+4), name)
			}
		}
		last := -99.0
		for i, f := range w {
			x := left + step*float64(i)
			flow(&p, f, x+step*0.12, step*0.76, zero, unit, top, bottom)
			if x-last >= 62 && x < s.width-56 {
				p.f(`<text x="%s" y="184">%s</text>`, xy(x+step*0.12), f.Start.Format("2 Jan 06"))
				last = x
			}
			p.f(`<rect class="hit" x="%s" width="%s" y="%s" height="%s" data-read="%s"><title>%s</title></rect>`, xy(x), xy(step), xy(top), xy(bottom-top), esc(f.Read), esc(f.Read))
		}
		p.f(`<line class="zero" x1="%s" x2="%s" y1="%s" y2="%s"/></svg>`, xy(left), xy(s.width-6), xy(zero), xy(zero))
	}
	read := ""
	if len(flows) > 0 {
		read = flows[len(flows)-1].Read
	}
	shut(&p, read)
	return template.HTML(p.String()) //nolint:gosec // every text above went through esc
}

func ceiling(a Amount) float64 {
	switch {
	case !a.Form.HasNumbers():
		return 0
	case math.IsInf(a.Hi, 1):
		return a.Lo * 1.25
	}
	return a.Hi
}

// flow is one column. What is above the line stacks: first all that is certain, then what may be.
func flow(p *pen, f Flow, x, width, zero, unit, top, bottom float64) {
	blank := func(a Amount, y, h float64) {
		class := `class="gap"`
		if a.Form == report.Suppressed {
			class = `class="supp" fill="url(#hatch)"`
		}
		p.f(`<rect %s x="%s" width="%s" y="%s" height="%s"/>`, class, xy(x), xy(width), xy(y), xy(math.Max(0, h)))
	}
	part := func(class string, from, to float64) {
		if to > from {
			p.f(`<rect class="%s" x="%s" width="%s" y="%s" height="%s"/>`, class, xy(x), xy(width), xy(from), xy(to-from))
		}
	}
	y := zero
	for _, a := range []struct {
		class string
		Amount
	}{{"new", f.New}, {"back", f.Resurrected}} {
		if a.Form.HasNumbers() {
			part(a.class, y-a.Lo*unit, y)
			y -= a.Lo * unit
			part(a.class+" light", math.Max(top, y-(ceiling(a.Amount)-a.Lo)*unit), y)
			y -= (ceiling(a.Amount) - a.Lo) * unit
		}
	}
	switch {
	case !f.New.Form.HasNumbers():
		blank(f.New, math.Max(top, y-24), math.Min(24, y-top))
	case !f.Resurrected.Form.HasNumbers():
		blank(f.Resurrected, math.Max(top, y-12), math.Min(12, y-top))
	}
	if !f.Dormant.Form.HasNumbers() {
		blank(f.Dormant, zero, math.Min(24, bottom-zero))
		return
	}
	part("dormant", zero, zero+f.Dormant.Lo*unit)
	part("dormant light", zero+f.Dormant.Lo*unit, zero+ceiling(f.Dormant)*unit)
}

// Cohort is one row of a triangle: shares of those who began together.
type Cohort struct {
	Name  string
	Cells []CohortCell // by offset, from week 1
}

// CohortCell is one offset. Early ones have not closed yet: they are no gap.
type CohortCell struct {
	Amount // a share, 0 … 1
	Early  bool
	Read   string
}

// Triangle draws cohorts under one another and what share of each came back, week by week:
// every cell is a column, solid to the low end and light to the high end of the share.
func Triangle(label string, cohorts []Cohort, offsets int) template.HTML {
	var p pen
	open(&p, label)
	const row, head = 44.0, 18.0
	for _, s := range sizes() {
		height := head + row*float64(len(cohorts)) + 4
		p.f(`<svg class="%s" viewBox="0 0 %s %s" role="img" aria-label="%s">`, s.class, xy(s.width), xy(height), esc(label+", "+strconv.Itoa(len(cohorts))+" cohorts; table below"))
		left := 92.0
		if s.class == "narrow" {
			left = 62
		}
		step := (s.width - left - 4) / float64(max(1, offsets))
		for o := 1; o <= offsets; o++ {
			if o == 1 || o%5 == 0 && (s.class != "narrow" || o%10 == 0) {
				p.f(`<text x="%s" y="11">%s</text>`, xy(left+step*float64(o-1)), "week "+strconv.Itoa(o))
			}
		}
		for i, c := range cohorts {
			y := head + row*float64(i)
			name := c.Name
			if s.class == "narrow" && len(name) > 9 {
				name = name[:len(name)-5]
			}
			p.f(`<text x="0" y="%s">%s</text><line class="grid" x1="%s" x2="%s" y1="%s" y2="%s"/>`, xy(y+26), esc(name), xy(left), xy(s.width-4), xy(y+row-4), xy(y+row-4))
			for o, cell := range c.Cells {
				cohortCell(&p, cell, left+step*float64(o), step, y+2, row-6)
			}
		}
		p.f(`</svg>`)
	}
	read := "each column: the share of the cohort that was active in that week after its first; full height is all of them"
	shut(&p, read)
	return template.HTML(p.String()) //nolint:gosec // every text above went through esc
}

func cohortCell(p *pen, c CohortCell, x, step, y, height float64) {
	if c.Early {
		return
	}
	width := xy(step * 0.86)
	rect := func(class string, lo, hi float64) {
		lo, hi = math.Max(0, math.Min(1, lo)), math.Max(0, math.Min(1, hi))
		if hi > lo {
			p.f(`<rect class="%s" x="%s" width="%s" y="%s" height="%s"/>`, class, xy(x), width, xy(y+height*(1-hi)), xy(height*(hi-lo)))
		}
	}
	switch {
	case c.Form == report.Suppressed:
		p.f(`<rect class="supp" fill="url(#hatch)" x="%s" width="%s" y="%s" height="%s"/>`, xy(x), width, xy(y), xy(height))
	case !c.Form.HasNumbers():
		rect("gap", 0, 1)
	default:
		rect("track", 0, 1)
		rect("bar", 0, c.Lo)
		rect("band", c.Lo, c.Hi)
	}
	p.f(`<rect class="hit" x="%s" width="%s" y="%s" height="%s" data-read="%s"><title>%s</title></rect>`, xy(x), xy(step), xy(y), xy(height), esc(c.Read), esc(c.Read))
}

// Day is the moment a civil day begins in UTC.
func Day(civil int64) time.Time { return time.Unix(civil*86400, 0).UTC() }

// Dots draws the accounts of a segment on one scale: each a line from its low to its high end.
func Dots(list []Amount, most float64) template.HTML {
	var p pen
	p.f(`<svg class="range" viewBox="0 0 160 24" width="160" height="24" aria-hidden="true"><line class="grid" x1="0" x2="160" y1="23" y2="23"/>`)
	at := func(v float64) float64 { return 3 + 154*math.Max(0, math.Min(1, v/math.Max(most, 1e-9))) }
	for i, a := range list {
		if !a.Form.HasNumbers() {
			continue
		}
		y, lo, hi := 3+float64(i%7)*3, at(a.Lo), at(ceiling(a))
		if hi-lo < 2 {
			p.f(`<circle class="dot" cx="%s" cy="%s" r="1.6"/>`, xy((lo+hi)/2), xy(y))
			continue
		}
		p.f(`<line class="whisker" x1="%s" x2="%s" y1="%s" y2="%s"/>`, xy(lo), xy(hi), xy(y), xy(y))
	}
	fmt.Fprint(&p.Builder, `</svg>`)
	return template.HTML(p.String()) //nolint:gosec // numbers and fixed text only
}

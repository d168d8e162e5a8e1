package egresstest

import (
	"iter"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// Window is a closed window of a measure: every figure that is not nought, without the measure's number.
type Window struct {
	Measure string
	Grain   report.Grain
	Start   int64
	Cells   map[report.Series]float64
}

// Step is a week that begins, or windows that closed.
type Step struct {
	Week    int // that begins
	Windows []Window
}

// Steps is the weeks from…to, each begun and closed, with the blocks and cohorts that close with them.
func (s *Site) Steps(from, to int) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		for w := from; w < to; w++ {
			st := Step{Week: w, Windows: []Window{s.week(w)}}
			if w%4 == 3 {
				st.Windows = append(st.Windows, s.block(w/4)...)
			}
			if w >= 12 && w%12 == 8 { // the eighth week after a cohort's last
				st.Windows = append(st.Windows, s.cohort(w/12-1)...)
			}
			if !yield(st) {
				return
			}
		}
	}
}

var value = report.Series{Field: report.Value}

func cell(f report.Field, breakdown uint8, v1 int) report.Series {
	return report.Series{Field: f, Breakdown: breakdown, V1: uint16(v1)}
}

func (s *Site) week(w int) Window {
	out := Window{Measure: "people", Grain: report.Week, Start: s.Zero + int64(w)*7, Cells: map[report.Series]float64{value: 0}}
	for i := range s.People {
		if s.People[i].Active(w) {
			out.Cells[value]++
		}
	}
	return out
}

// block is everything about a block of four weeks.
func (s *Site) block(b int) []Window {
	from, to := b*28, b*28+27
	start := s.Zero + int64(from)
	window := func(id string, g report.Grain) Window {
		w := Window{Measure: id, Grain: g, Start: start, Cells: map[report.Series]float64{}}
		if g == report.Rolling28 {
			w.Start += 27
		}
		return w
	}
	people, flow, path, actions := window("people", report.Block4w), window("flow", report.Block4w), window("path", report.Block4w), window("actions", report.Block4w)
	sticky, used, seats := window("sticky", report.Rolling28), window("used", report.Rolling28), window("seats", report.Rolling28)
	sticky.Cells[report.Series{Field: report.Workdays}] = 20
	seats.Cells[report.Series{Field: report.Purchased}] = float64(s.Places)
	var peak [28]float64
	for i := range s.People {
		p := &s.People[i]
		p.flow(flow.Cells, from, to)
		if !p.did(from, to, anything) {
			continue
		}
		people.Cells[value]++
		people.Cells[cell(report.Value, 1, p.Role)]++
		days, events := 0, 0.0
		for d := from; d <= to; d++ {
			if p.days[d] != 0 {
				days++
				peak[d-from]++
				for bits := p.days[d]; bits != 0; bits &= bits - 1 {
					events++
				}
			}
		}
		sticky.Cells[cell(report.Value, 1, Bin(days))]++
		p.features(used.Cells, from, to)
		p.funnel(path.Cells, from, to)
		actions.Cells[value] += events
	}
	for _, w := range []Window{sticky, used, seats} {
		w.Cells[value] = people.Cells[value]
	}
	for _, n := range peak {
		seats.Cells[report.Series{Field: report.Peak}] = max(seats.Cells[report.Series{Field: report.Peak}], n)
	}
	return []Window{people, flow, sticky, used, seats, path, actions}
}

// Bin is the bin of stickiness for so many active days.
func Bin(days int) int {
	for n, top := range []int{1, 3, 7, 12, 20} {
		if days <= top {
			return n
		}
	}
	return 5
}

// flow counts a person in the lifecycle. History begins four weeks before what is told first: who was active there is
// not new.
func (p *Person) flow(to map[report.Series]float64, from, until int) {
	now, before := p.did(from, until, anything), p.did(from-28, from-1, anything)
	var f report.Field
	switch {
	case now && p.first >= from && p.first >= 28:
		f = report.New
	case now && before:
		f = report.Retained
	case now:
		f = report.Resurrected
	case before:
		f = report.Dormant
	default:
		return
	}
	to[report.Series{Field: f}]++
	to[cell(f, 1, p.Role)]++
}

// Rung is how far somebody got with a feature in a block: 0 not tried, 1 tried, 2 adopted, 3 habitual.
func (p *Person) Rung(f, from, to int) int {
	uses, weeks, last := 0, 0, -1
	for d := from; d <= to; d++ {
		if p.days[d]&(2<<f) != 0 {
			uses++
			if d/7 != last {
				weeks, last = weeks+1, d/7
			}
		}
	}
	switch {
	case weeks >= 3:
		return 3
	case uses >= 2:
		return 2
	}
	return min(uses, 1)
}

func (p *Person) features(out map[report.Series]float64, from, to int) {
	for f := range Features {
		rung := p.Rung(f, from, to)
		for n, field := range []report.Field{report.Tried, report.Adopted, report.Habitual} {
			if rung > n {
				out[cell(field, 1, f)]++
			}
		}
	}
}

// funnel: the features 0, 1 and 2 after one another, within 14 days of the first. Only the first entry ever counts.
func (p *Person) funnel(out map[report.Series]float64, from, to int) {
	if p.did(0, from-1, 2) {
		return
	}
	for d := from; d <= to; d++ {
		if p.days[d]&2 == 0 {
			continue
		}
		step, last := 1, d
		for e := d + 1; e <= d+14 && e < len(p.days) && step < 3; e++ {
			if p.days[e]&(2<<step) != 0 {
				step, last = step+1, e
			}
		}
		out[value]++
		for n := range step {
			out[cell(report.Value, 1, n)]++
		}
		band := 5
		switch {
		case step < 3:
		case last-d > 7:
			band = 4
		case last-d > 3:
			band = 3
		default:
			band = 2
		}
		out[cell(report.Value, 2, band)]++
		return
	}
}

// InCohort reports whether somebody's first activity lay in the cohort.
func (p *Person) InCohort(c int) bool { return p.first >= c*84 && p.first < c*84+84 && p.first >= 28 }

// Kept reports whether somebody was active n whole weeks after the first.
func (p *Person) Kept(n int) bool {
	w := p.first/7*7 + 7*n
	return p.did(w, w+6, anything)
}

// cohort is the offsets of a cohort of twelve weeks.
func (s *Site) cohort(c int) (out []Window) {
	start := s.Zero + int64(c)*84
	for n := range 9 {
		k := 0.0
		for i := range s.People {
			if p := &s.People[i]; p.InCohort(c) && (n == 0 || p.Kept(n)) {
				k++
			}
		}
		at := value
		if n > 0 {
			at = cell(report.Value, 1, n-1)
		}
		out = append(out, Window{Measure: "kept", Grain: report.Block12w, Start: start, Cells: map[report.Series]float64{at: k}})
	}
	return out
}

package egress

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// simCatalog has every kind whose figures are counts of people.
const simCatalog = `
catalog: sim
version: 1
vendor: Test
events:
  login: {match: login}
%s
traits:
  role: {values: [member, manager, admin]}
group_traits:
  seats: {number: {min: 0, max: 1000000}}
measures:
%s
`

const features = 8

func simulated(t testing.TB) *catalog.Catalog {
	t.Helper()
	var events, fs, all []string
	for i := range features {
		events = append(events, fmt.Sprintf("  use%d: {match: use%d}", i, i))
		fs = append(fs, fmt.Sprintf("      f%d: {events: [use%d]}", i, i))
		all = append(all, fmt.Sprintf("use%d", i))
	}
	any := "[login, " + strings.Join(all, ", ") + "]"
	tail := "\n    category: usage\n    question: q\n    purpose: p\n    owner: o\n    retention: 730d\n"
	var ms string
	for _, m := range []string{
		"  - id: people\n    kind: active_users\n    events: " + any + "\n    by: [role]",
		"  - id: flow\n    kind: lifecycle\n    events: " + any + "\n    by: [role]",
		"  - id: sticky\n    kind: stickiness\n    events: " + any,
		"  - id: kept\n    kind: retention\n    events: " + any,
		"  - id: used\n    kind: adoption\n    events: " + any + "\n    features:\n" + strings.Join(fs, "\n"),
		"  - id: path\n    kind: funnel\n    window: 14d\n    steps:\n      - {id: a, event: use0}\n      - {id: b, event: use1}\n      - {id: c, event: use2}",
		"  - id: seats\n    kind: seats\n    purchased: seats\n    events: " + any,
	} {
		ms += m + tail
	}
	c, err := catalog.Parse([]byte(fmt.Sprintf(simCatalog, strings.Join(events, "\n"), ms)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// staff is people with roles and what they do each day.
type staff struct {
	r      *rand.Rand
	role   []int
	weekly []float64 // how likely somebody is active in a week
	likes  [][]float64
	days   []map[int]uint16 // by person: day → bit 0 login, bit 1+i feature i
	first  []int
}

func newStaff(n int, active float64, r *rand.Rand) *staff {
	s := &staff{r: r, days: make([]map[int]uint16, n)}
	for i := range n {
		role := 0
		if x := r.Float64(); x > 0.95 {
			role = 2
		} else if x > 0.8 {
			role = 1
		}
		s.role = append(s.role, role)
		a := active + (r.Float64()-0.5)*0.3
		s.weekly = append(s.weekly, min(0.99, max(0.02, a)))
		var l []float64
		for f := range features {
			l = append(l, r.Float64()*0.8/float64(1+f/2))
		}
		s.likes = append(s.likes, l)
		s.days[i] = map[int]uint16{}
		s.first = append(s.first, -1)
	}
	return s
}

// live lets weeks pass.
func (s *staff) live(fromWeek, weeks int) {
	for i := range s.role {
		for w := fromWeek; w < fromWeek+weeks; w++ {
			if s.r.Float64() > s.weekly[i] {
				continue
			}
			for range 1 + s.r.IntN(5) {
				d := w*7 + s.r.IntN(5)
				bits := uint16(1)
				for f, p := range s.likes[i] {
					if s.r.Float64() < p {
						bits |= 2 << f
					}
				}
				s.days[i][d] |= bits
				if s.first[i] < 0 || d < s.first[i] {
					s.first[i] = d
				}
			}
		}
	}
}

// tells is a site's gate fed with windows made of its staff.
type tells struct {
	c    *catalog.Catalog
	g    *Gate
	p    Policy
	s    *staff
	zero int64 // civil day of week 0: a Monday that begins a block of 12 weeks
	out  func(w Window, cells []Ruled)
}

type simSizes struct{ s *staff }

func (z simSizes) Known() int   { return len(z.s.role) }
func (z simSizes) Users28() int { return len(z.s.role) }
func (z simSizes) Users84() int { return len(z.s.role) }
func (z simSizes) Holders(string) map[string]int {
	out := map[string]int{}
	for _, r := range z.s.role {
		out[[]string{"member", "manager", "admin"}[r]]++
	}
	return out
}

func newTells(t testing.TB, c *catalog.Catalog, s *staff, level exchange.Level) *tells {
	x := &tells{c: c, s: s, zero: report.CivilStart(report.Block12w, 20000)}
	x.p = policy(c, level, 0)
	x.g = New(Config{Zone: time.UTC, Catalog: func([8]byte) *catalog.Catalog { return c }})
	x.p.People = len(s.role)
	return x
}

func (x *tells) close(id string, g report.Grain, start int64, cells map[report.Series]float64) {
	_, i := x.c.Measure(id)
	w := Window{Catalog: x.c, Measure: i, Grain: g, Start: start}
	for s, v := range cells {
		s.Measure, s.Grain = uint16(i), g
		w.Cells = append(w.Cells, report.Cell{Series: s, Start: start, Form: report.Exact, Lo: v, Hi: v})
	}
	ruled, leave, err := x.g.Judge(w, x.p)
	if err != nil {
		panic(err)
	}
	if leave && x.out != nil {
		x.out(w, ruled)
	}
}

func (s *staff) in(i, from, to int, mask uint16) bool {
	for d := from; d <= to; d++ {
		if s.days[i][d]&mask != 0 {
			return true
		}
	}
	return false
}

// week closes a week, block a block of four.
func (x *tells) week(w int) {
	day := x.zero + int64(w)*7
	x.g.Begin(time.Unix(day*86400, 0), x.p, simSizes{x.s})
	n := 0.0
	for i := range x.s.role {
		if x.s.in(i, w*7, w*7+6, 0xffff) {
			n++
		}
	}
	x.close("people", report.Week, day, map[report.Series]float64{{Field: report.Value}: n})
}

func (x *tells) block(b int) {
	from, to := b*28, b*28+27
	start := x.zero + int64(from)
	s := x.s
	v := report.Series{Field: report.Value}
	people, flow := map[report.Series]float64{v: 0}, map[report.Series]float64{}
	sticky, used := map[report.Series]float64{v: 0, {Field: report.Workdays}: 20}, map[report.Series]float64{v: 0}
	path := map[report.Series]float64{v: 0}
	for i, role := range s.role {
		now, before := s.in(i, from, to, 0xffff), s.in(i, from-28, from-1, 0xffff)
		what := report.Field(0)
		switch {
		case now && s.first[i] >= from && s.first[i] >= 28:
			what = report.New
		case now && before:
			what = report.Retained
		case now:
			what = report.Resurrected
		case before:
			what = report.Dormant
		}
		if what != 0 {
			flow[report.Series{Field: what}]++
			flow[report.Series{Field: what, Breakdown: 1, V1: uint16(role)}]++
		}
		if !now {
			continue
		}
		people[v]++
		people[report.Series{Field: report.Value, Breakdown: 1, V1: uint16(role)}]++
		sticky[v]++
		used[v]++
		days := 0
		for d := from; d <= to; d++ {
			if s.days[i][d] != 0 {
				days++
			}
		}
		bin := 0
		for n, top := range []int{1, 3, 7, 12, 20, 28} {
			if days <= top {
				bin = n
				break
			}
		}
		sticky[report.Series{Field: report.Value, Breakdown: 1, V1: uint16(bin)}]++
		for f := range features {
			uses, weeks := 0, map[int]bool{}
			for d := from; d <= to; d++ {
				if s.days[i][d]&(2<<f) != 0 {
					uses++
					weeks[d/7] = true
				}
			}
			for _, a := range []struct {
				ok bool
				f  report.Field
			}{{uses >= 1, report.Tried}, {uses >= 2, report.Adopted}, {len(weeks) >= 3, report.Habitual}} {
				if a.ok {
					used[report.Series{Field: a.f, Breakdown: 1, V1: uint16(f)}]++
				}
			}
		}
		x.funnel(path, i, from, to)
	}
	x.close("people", report.Block4w, start, people)
	x.close("flow", report.Block4w, start, flow)
	x.close("sticky", report.Rolling28, start+27, sticky)
	x.close("used", report.Rolling28, start+27, used)
	x.close("seats", report.Rolling28, start+27, map[report.Series]float64{v: people[v], {Field: report.Purchased}: float64(len(s.role)), {Field: report.Peak}: float64(int(people[v]) / 2)})
	x.close("path", report.Block4w, start, path)
}

func (x *tells) funnel(path map[report.Series]float64, i, from, to int) {
	s := x.s
	for d := 0; d < from; d++ {
		if s.days[i][d]&2 != 0 {
			return
		}
	}
	for d := from; d <= to; d++ {
		if s.days[i][d]&2 == 0 {
			continue
		}
		step, last := 1, d
		for e := d + 1; e <= d+14 && step < 3; e++ {
			if s.days[i][e]&(2<<step) != 0 {
				step, last = step+1, e
			}
		}
		path[report.Series{Field: report.Value}]++
		for n := range step {
			path[report.Series{Field: report.Value, Breakdown: 1, V1: uint16(n)}]++
		}
		band := 5
		if step == 3 {
			band = 3
			if last-d > 7 {
				band = 4
			} else if last-d <= 3 {
				band = 2
			}
		}
		path[report.Series{Field: report.Value, Breakdown: 2, V1: uint16(band)}]++
		return
	}
}

// cohort closes the offsets of a cohort of 12 weeks.
func (x *tells) cohort(c int) {
	start := x.zero + int64(c)*84
	for n := 0; n <= 8; n++ {
		k := 0.0
		for i := range x.s.role {
			f := x.s.first[i]
			if f < c*84 || f >= c*84+84 || f < 28 {
				continue
			}
			w := f/7*7 + 7*n
			if n == 0 || x.s.in(i, w, w+6, 0xffff) {
				k++
			}
		}
		s := report.Series{Field: report.Value}
		if n > 0 {
			s.Breakdown, s.V1 = 1, uint16(n-1)
		}
		x.close("kept", report.Block12w, start, map[report.Series]float64{s: k})
	}
}

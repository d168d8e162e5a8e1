package egress

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/egress/egresstest"
	"github.com/fieldpost/fieldpost/agent/egress/relate"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// tinySite is a system so small that every world of people can be tried: people are of types, and a world is how many there are of
// each.
type tinySite struct {
	name     string
	events   []string
	measures []string
	people   int
	roles    int        // 2: half of the people have each role
	types    int        // of one role
	windows  []tinyCell // in the order in which they close
	protect  []tinySum  // counts beside the told ones that must stay hidden
}

// tinyCell is a window with one figure for each of its fields.
type tinyCell struct {
	measure string
	grain   report.Grain
	start   int64
	figures []tinySum
}

// tinySum is a count of people: those of the types (of every role, or of one) it counts.
type tinySum struct {
	name   string
	series report.Series
	counts func(role, typ int) bool
	total  bool
}

func tinySites() []tinySite {
	zero := report.CivilStart(report.Block12w, 20000)
	has := func(bit int) func(int, int) bool { return func(_, typ int) bool { return typ>>bit&1 == 1 } }
	any := func(_, typ int) bool { return typ > 0 }
	v := func(n int) report.Series { return report.Series{Field: report.Value, Breakdown: 1, V1: uint16(n)} }
	total := func(counts func(int, int) bool) tinySum { return tinySum{"active", value, counts, true} }
	four := func(m string, f ...tinySum) tinyCell { return tinyCell{m, report.Block4w, zero, f} }
	rung := func(n int) func(int, int) bool { return func(_, typ int) bool { return typ > n } }
	is := func(types ...int) func(int, int) bool {
		return func(_, typ int) bool {
			for _, x := range types {
				if x == typ {
					return true
				}
			}
			return false
		}
	}
	life := func(f report.Field, types ...int) tinySum {
		return tinySum{f.String(), report.Series{Field: f}, is(types...), false}
	}
	band := func(n, typ int) tinySum {
		return tinySum{fmt.Sprint("band ", n), report.Series{Field: report.Value, Breakdown: 2, V1: uint16(n)}, is(typ), false}
	}
	return []tinySite{
		{name: "a union and its parts", events: []string{"a", "b"}, people: 14, types: 4, measures: []string{
			"id: people\n    kind: active_users\n    events: [a, b]", "id: as\n    kind: active_users\n    events: [a]", "id: bs\n    kind: active_users\n    events: [b]"},
			windows: []tinyCell{four("people", total(any)), four("as", tinySum{"a", value, has(0), false}), four("bs", tinySum{"b", value, has(1), false})},
			protect: []tinySum{{"only a", value, is(1), false}, {"only b", value, is(2), false}}},
		{name: "weeks in a block", events: []string{"a"}, people: 15, types: 5, measures: []string{"id: people\n    kind: active_users\n    events: [a]"},
			// types: absent, first week only, second only, both, in others only
			windows: []tinyCell{{"people", report.Week, zero, []tinySum{total(is(1, 3))}}, {"people", report.Week, zero + 7, []tinySum{total(is(2, 3))}}, four("people", total(any))},
			protect: []tinySum{{"not in the first", value, is(2, 4), false}, {"not in the second", value, is(1, 4), false}}},
		{name: "a ladder", events: []string{"a", "b"}, people: 13, types: 5, measures: []string{
			"id: people\n    kind: active_users\n    events: [a, b]", "id: used\n    kind: adoption\n    events: [a, b]\n    features:\n      f: {events: [a]}"},
			windows: []tinyCell{four("people", total(any)), {"used", report.Rolling28, zero + 27, []tinySum{
				{"tried", report.Series{Field: report.Tried, Breakdown: 1}, rung(1), false}, {"adopted", report.Series{Field: report.Adopted, Breakdown: 1}, rung(2), false},
				{"habitual", report.Series{Field: report.Habitual, Breakdown: 1}, rung(3), false}, total(any)}}},
			protect: []tinySum{{"active without", value, is(1), false}, {"tried only", value, is(2), false}, {"adopted only", value, is(3), false}}},
		{name: "lifecycle of two blocks", events: []string{"a"}, people: 13, types: 5, measures: []string{
			"id: people\n    kind: active_users\n    events: [a]", "id: flow\n    kind: lifecycle\n    events: [a]"},
			// types: absent, in the first only, new in the second, in both, back in the second
			windows: []tinyCell{four("people", total(is(1, 3))), {"people", report.Block4w, zero + 28, []tinySum{total(is(2, 3, 4))}},
				{"flow", report.Block4w, zero + 28, []tinySum{life(report.New, 2), life(report.Retained, 3), life(report.Resurrected, 4), life(report.Dormant, 1)}}},
			protect: []tinySum{{"gained", value, is(2, 4), false}, {"absent", value, is(0), false}}},
		{name: "a funnel", events: []string{"a", "b", "c"}, people: 12, types: 7, measures: []string{
			"id: path\n    kind: funnel\n    window: 14d\n    steps:\n      - {id: x, event: a}\n      - {id: y, event: b}"},
			// types: did not enter, did not complete, completed in each of five bands
			windows: []tinyCell{four("path", tinySum{"entered", value, any, false}, tinySum{"entered", v(0), any, false},
				tinySum{"completed", v(1), rung(1), false}, band(0, 2), band(1, 3), band(2, 4), band(3, 5), band(4, 6), band(5, 1))}},
		{name: "roles", events: []string{"a", "b"}, people: 26, roles: 2, types: 2, measures: []string{"id: people\n    kind: active_users\n    events: [a, b]\n    by: [role]"},
			windows: []tinyCell{four("people", total(any), tinySum{"members", v(0), func(role, typ int) bool { return role == 0 && typ > 0 }, false},
				tinySum{"managers", v(1), func(role, typ int) bool { return role == 1 && typ > 0 }, false})}},
	}
}

var value = report.Series{Field: report.Value}

// tinyHolders are as many people of each role.
type tinyHolders struct{ fixed }

func (h tinyHolders) Holders(string) map[string]int {
	return map[string]int{"member": h.known - h.known/2, "manager": h.known / 2}
}

// compositions calls f with every way to share n people among types.
func compositions(n, types int, f func([]int)) {
	counts := make([]int, types)
	var fill func(at, left int)
	fill = func(at, left int) {
		if at == types-1 {
			counts[at] = left
			f(counts)
			return
		}
		for k := 0; k <= left; k++ {
			counts[at] = k
			fill(at+1, left-k)
		}
	}
	fill(0, n)
}

// tinyWorld is what one world is and what the gate sent in it.
type tinyWorld struct {
	counts []int // of every told and protected number
	sent   string
	boxes  [][2]int // what was told of each number
}

func (st *tinySite) worlds(t *testing.T, c *catalog.Catalog) (out []tinyWorld, numbers []tinySum) {
	seen := map[string]bool{}
	for _, w := range st.windows {
		for _, f := range w.figures {
			key := fmt.Sprint(w.measure, w.grain, w.start, f.series)
			if !seen[key] {
				seen[key] = true
				numbers = append(numbers, f)
			}
		}
	}
	told := len(numbers)
	numbers = append(numbers, st.protect...)
	plan := relate.New(c)
	run := func(by [][]int) {
		count := func(f tinySum) (n int) {
			for role, types := range by {
				for typ, k := range types {
					if f.counts(role, typ) {
						n += k
					}
				}
			}
			return n
		}
		w := tinyWorld{boxes: make([][2]int, 0, told)}
		for _, f := range numbers {
			w.counts = append(w.counts, count(f))
		}
		p := policy(c, exchange.Aggregate, st.people)
		g := New(Config{Zone: inUTC, Catalog: func([8]byte) *catalog.Catalog { return c }})
		g.plans[[8]byte(c.Hash[:8])] = plan
		g.Begin(time.Unix(st.windows[0].start*86400, 0), p, tinyHolders{fixed{st.people, st.people}})
		var sent strings.Builder
		for _, win := range st.windows {
			m, i := c.Measure(win.measure)
			if m == nil {
				t.Fatal(win.measure)
			}
			x := Window{Catalog: c, Measure: i, Grain: win.grain, Start: win.start}
			for _, f := range win.figures {
				s := f.series
				s.Measure, s.Grain = uint16(i), win.grain
				x.Cells = append(x.Cells, report.Cell{Series: s, Start: win.start, Form: report.Exact, Lo: float64(count(f)), Hi: float64(count(f))})
			}
			cells, leave, err := g.Judge(x, p)
			if err != nil || !leave {
				t.Fatalf("%s: leaves %v, %v", win.measure, leave, err)
			}
			for _, f := range win.figures {
				s := f.series
				s.Measure, s.Grain = uint16(i), win.grain
				for _, r := range cells {
					if r.Series == s {
						lo, hi, _ := span2(answer{Ruled: r})
						w.boxes = append(w.boxes, [2]int{lo, hi})
					}
				}
			}
			for _, r := range cells {
				fmt.Fprintf(&sent, "%d:%d:%g-%g ", r.Breakdown, r.Form, r.Lo, r.Hi)
			}
		}
		w.sent = sent.String()
		out = append(out, w)
	}
	if st.roles == 2 {
		compositions(st.people-st.people/2, st.types, func(a []int) {
			first := append([]int(nil), a...)
			compositions(st.people/2, st.types, func(b []int) { run([][]int{first, b}) })
		})
		return out, numbers
	}
	compositions(st.people, st.types, func(a []int) { run([][]int{a}) })
	return out, numbers
}

// TestAttackMinimality: whoever knows the algorithm drops every world in which it would have sent something else. What remains says no more
// than what was sent, and nothing that may not be known.
func TestAttackMinimality(t *testing.T) {
	t.Parallel()
	for _, st := range tinySites() {
		t.Run(st.name, func(t *testing.T) {
			c, err := egresstest.Parse(st.events, st.measures...)
			if err != nil {
				t.Fatal(err)
			}
			worlds, numbers := st.worlds(t, c)
			bySent := map[string][]int{}
			for i, w := range worlds {
				bySent[w.sent] = append(bySent[w.sent], i)
			}
			narrower, breached, checked := 0, 0, 0
			for sent, same := range bySent {
				boxes := worlds[same[0]].boxes
				fits := bounds(worlds, len(numbers), func(i int) bool {
					for k, b := range boxes {
						if !within(worlds[i].counts[k], b[0], b[1]) {
							return false
						}
					}
					return true
				})
				left := bounds(worlds, len(numbers), func(i int) bool { return worlds[i].sent == sent })
				for k, f := range numbers {
					checked++
					if left[k] != fits[k] {
						if narrower++; narrower < 4 {
							t.Logf("%s in %v; who knows the algorithm knows %v (sent %s)", f.name, fits[k], left[k], sent)
						}
					}
					if !st.hidden(f, left[k]) {
						if breached++; breached < 4 {
							t.Logf("%s is known to be in %v (sent %s)", f.name, left[k], sent)
						}
					}
				}
			}
			t.Logf("%d worlds, %d different payloads, %d intervals: %d narrower by minimality, %d breaches", len(worlds), len(bySent), checked, narrower, breached)
			if narrower > 0 || breached > 0 {
				t.Errorf("%d intervals are narrower for those who know the algorithm, %d break the principle", narrower, breached)
			}
			if len(bySent) < 2 {
				t.Error("every world sends the same: nothing was tried")
			}
		})
	}
}

// hidden reports whether a count may be known to lie in i: it and its complement.
func (st *tinySite) hidden(f tinySum, i [2]int) bool {
	group, least := st.people, leastTold
	if f.total {
		least = leastTotal
	}
	if st.roles == 2 && !f.total {
		group = st.people / 2
	}
	if i[1]-i[0]+1 >= 5 || i == [2]int{0, group} {
		return true
	}
	return i[0] == i[1] && i[0] >= least && group-i[0] >= least
}

func bounds(worlds []tinyWorld, n int, in func(i int) bool) [][2]int {
	out := make([][2]int, n)
	for k := range out {
		out[k] = [2]int{many, -1}
	}
	for i, w := range worlds {
		if !in(i) {
			continue
		}
		for k, v := range w.counts {
			out[k] = [2]int{min(out[k][0], v), max(out[k][1], v)}
		}
	}
	return out
}

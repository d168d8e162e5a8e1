package egress

import (
	"reflect"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/egress/egresstest"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// parsed is a catalog of the events a and b.
func parsed(t testing.TB, measures ...string) *catalog.Catalog {
	t.Helper()
	c, err := egresstest.Parse([]string{"a", "b"}, measures...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// held is holders of roles as they are told.
type held struct {
	fixed
	roles map[string]int
}

func (h held) Holders(string) map[string]int { return h.roles }

// sentOf judges a block of a measure with one figure for all of its cells.
func sentOf(t *testing.T, c *catalog.Catalog, id string, people int, roles map[string]int, v float64) []Ruled {
	t.Helper()
	p := policy(c, exchange.Aggregate, people)
	g := New(Config{Zone: inUTC, Catalog: func([8]byte) *catalog.Catalog { return c }})
	g.Begin(monday, p, held{fixed{people, people}, roles})
	m, _ := c.Measure(id)
	cells, leave := judge(t, g, window(c, id, m.LeavesAt(), v), p)
	if !leave {
		t.Fatalf("%s does not leave", id)
	}
	return cells
}

func says(r Ruled) bool { return r.Form != report.Suppressed && r.Form != report.Unknown }

// Of a role that fewer than 12 people have nothing is told, not even within (other) alone.
func TestAttackSmallRolesAreMerged(t *testing.T) {
	t.Parallel()
	c := parsed(t, "id: people\n    kind: active_users\n    events: [a]\n    by: [role]")
	for small := 1; small < 12; small++ {
		for _, r := range sentOf(t, c, "people", 80, map[string]int{"member": 60, "manager": 20 - small, "admin": small}, 40) {
			if r.Breakdown == 1 && r.V1 == 2 && (says(r) || r.Reason != RoleMerged && r.Reason != OneRole) {
				t.Errorf("%d admins: %+v", small, r.Cell)
			}
		}
	}
	told := 0
	for _, r := range sentOf(t, c, "people", 80, map[string]int{"member": 40, "manager": 40}, 40) {
		if r.Breakdown == 1 && says(r) {
			told++
		}
	}
	if told == 0 {
		t.Error("of large roles nothing is told either: nothing was tried")
	}
}

// Figures are told by one trait, and never by two at once.
func TestAttackOneTraitAndNoCross(t *testing.T) {
	t.Parallel()
	c := parsed(t, "id: people\n    kind: active_users\n    events: [a]\n    by: [role, office, [role, office]]")
	told := map[uint8]int{}
	for _, r := range sentOf(t, c, "people", 100, map[string]int{"member": 50, "manager": 50}, 40) {
		if says(r) {
			told[r.Breakdown]++
		}
	}
	if told[1] == 0 || told[2] > 0 || told[3] > 0 {
		t.Errorf("by breakdown this much is told: %v", told)
	}
}

// Who is new, back or gone leaves per block of four weeks and never per week.
func TestAttackNoWeeklyLifecycle(t *testing.T) {
	t.Parallel()
	c := parsed(t, "id: people\n    kind: active_users\n    events: [a]", "id: flow\n    kind: lifecycle\n    events: [a]")
	p := policy(c, exchange.Aggregate, 100)
	for _, id := range []string{"people", "flow"} {
		for _, grain := range []report.Grain{report.Day, report.Week, report.Month, report.Rolling28} {
			_, leave := judge(t, gate(100, 100, p), window(c, id, grain, 40), p)
			if leave != (id == "people" && grain == report.Week) {
				t.Errorf("%s %s: leaves %v", id, grain, leave)
			}
		}
	}
}

// Below nine people nothing about them leaves but that the site is in use.
func TestAttackSmallSitesSendNoPeople(t *testing.T) {
	t.Parallel()
	c := parsed(t, "id: people\n    kind: active_users\n    events: [a]", "id: begun\n    kind: first_time\n    events: [a]")
	for people := 1; people < minGroup; people++ {
		p := policy(c, exchange.Aggregate, people)
		for _, x := range []struct {
			id    string
			grain report.Grain
		}{{"people", report.Week}, {"people", report.Block4w}, {"begun", report.Change}} {
			cells, _ := judge(t, gate(people, people, p), window(c, x.id, x.grain, float64(people-1)), p)
			for _, r := range cells {
				inUse := x.grain == report.Block4w && r.Form == report.Band && r.Lo == 1 && r.Hi > 1e9
				if says(r) && !inUse {
					t.Errorf("%d people: %s %s: %+v", people, x.id, x.grain, r.Cell)
				}
			}
		}
	}
}

// A sum of what people did stays, also where its users were told exactly: beside another sum it could be one person's.
func TestAttackSumsStay(t *testing.T) {
	t.Parallel()
	c := parsed(t, "id: people\n    kind: active_users\n    events: [a]", "id: actions\n    kind: count\n    events: [a]")
	for _, people := range []int{14, 100, 1000} {
		p := policy(c, exchange.Aggregate, people)
		g := gate(people, people, p)
		judge(t, g, window(c, "people", report.Block4w, float64(people/2)), p)
		for _, grain := range []report.Grain{report.Week, report.Block4w} {
			cells, leave := judge(t, g, window(c, "actions", grain, 400), p)
			if !leave || len(cells) == 0 || says(cells[0]) || cells[0].Reason != SumOfEvents {
				t.Errorf("%d people, %s: %+v", people, grain, cells)
			}
		}
	}
}

// Noise is drawn once: a window that is judged again, also after a restart, says the same.
func TestAttackNoiseIsDrawnOnce(t *testing.T) {
	t.Parallel()
	c := parsed(t, "id: people\n    kind: active_users\n    events: [a]\n    by: [role]")
	p := policy(c, exchange.Strict, 100)
	g := gate(100, 100, p)
	w := window(c, "people", report.Block4w, 40)
	first, leave := judge(t, g, w, p)
	if !leave || first[0].Form != report.Noised {
		t.Fatalf("%+v", first)
	}
	for range 20 {
		if again, _ := judge(t, g, w, p); !reflect.DeepEqual(first, again) {
			t.Fatalf("drawn again: %v and %v", first[0].Lo, again[0].Lo)
		}
		kept, err := g.Save()
		if err != nil {
			t.Fatal(err)
		}
		g = gate(100, 100, p)
		if err := g.Load(kept); err != nil {
			t.Fatal(err)
		}
	}
}

// An attacker who sees sets that lie neither within nor apart from one another could add up what no relation of the
// model says; so of such sets nothing is told.
func TestAttackOverlappingSetsAreRefused(t *testing.T) {
	t.Parallel()
	c, err := egresstest.Parse([]string{"a", "b", "c"}, "id: people\n    kind: active_users\n    events: [a, b, c]",
		"id: ab\n    kind: active_users\n    events: [a, b]", "id: bc\n    kind: active_users\n    events: [b, c]", "id: ac\n    kind: active_users\n    events: [a, c]")
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, id := range []string{"ab", "bc", "ac"} {
		for _, r := range sentOf(t, c, id, 100, nil, 50) {
			if says(r) {
				told++
			}
		}
	}
	if told > 1 {
		t.Errorf("%d of three overlapping sets are told", told)
	}
}

// The weeks of a block and the block are told together: how many of it were away in a week stays hidden while it is few.
func TestAttackAwayInAWeek(t *testing.T) {
	t.Parallel()
	c := parsed(t, "id: people\n    kind: active_users\n    events: [a]")
	p := policy(c, exchange.Aggregate, 300)
	for total := 43.0; total < 60; total++ {
		g := gate(300, 300, p)
		most := report.Cell{}
		for n, v := range []float64{20, 30, 43, 40} {
			w := window(c, "people", report.Week, v)
			w.Start = report.WindowStart(report.Block4w, monday, time.UTC) + int64(n)*7
			w.Cells[0].Start = w.Start
			if cells, _ := judge(t, g, w, p); cells[0].Lo > most.Lo {
				most = cells[0].Cell
			}
		}
		cells, _ := judge(t, g, window(c, "people", report.Block4w, total), p)
		lo, hi := max(0, cells[0].Lo-most.Hi), min(cells[0].Hi, 300)-most.Lo
		if !says(cells[0]) || hi-lo+1 < 5 && (lo != hi || lo < 5) {
			t.Errorf("week %g–%g, block %g–%g: %g to %g were away", most.Lo, most.Hi, cells[0].Lo, cells[0].Hi, lo, hi)
		}
	}
}

package egress

import (
	"os"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func forge(t testing.TB) *catalog.Catalog {
	t.Helper()
	raw, err := os.ReadFile("../../installer/examples/forge/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type fixed struct{ known, active int }

func (f fixed) Known() int                    { return f.known }
func (f fixed) Users28() int                  { return f.active }
func (f fixed) Users84() int                  { return f.known }
func (f fixed) Holders(string) map[string]int { return map[string]int{"contributor": f.known} }

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func policy(c *catalog.Catalog, level exchange.Level, people int) Policy {
	st := &exchange.Statement{CatalogVersion: c.Version, Catalog: c.Hash, Categories: []exchange.Decision{
		{Category: catalog.Inventory, Level: level, From: 1}, {Category: catalog.SLA, Level: level, From: 1}, {Category: catalog.Usage, Level: level, From: 1}}}
	return Policy{Statement: st, Accepted: c, People: people}
}

func window(c *catalog.Catalog, id string, g report.Grain, v float64) Window {
	m, i := c.Measure(id)
	w := Window{Catalog: c, Measure: i, Grain: g, Start: report.WindowStart(g, monday, time.UTC)}
	for _, f := range m.Fields() {
		if !f.IsBlob() {
			w.Cells = append(w.Cells, report.Cell{Series: report.Series{Measure: uint16(i), Field: f, Grain: g}, Start: w.Start, Form: report.Exact, Lo: v, Hi: v})
		}
	}
	return w
}

func gate(known, active int, p Policy) *Gate {
	g := New(Config{Zone: time.UTC, Catalog: func([8]byte) *catalog.Catalog { return p.Accepted }})
	g.Begin(monday, p, fixed{known, active})
	return g
}

func TestAboutPeopleOnlyTheWeeklyTotalLeaves(t *testing.T) {
	c := forge(t)
	for _, level := range []exchange.Level{exchange.Aggregate, exchange.Totals} {
		p := policy(c, level, 100)
		g := gate(100, 100, p)
		for i := range c.Measures {
			m := &c.Measures[i]
			if m.Subject != catalog.Person {
				continue
			}
			for _, grain := range m.Grains() {
				cells, leave := judge(t, g, window(c, m.ID, grain, 42), p)
				if grain != report.Week && grain != report.Block4w && leave {
					t.Errorf("%s %s: a %s window leaves", level, m.ID, grain)
				}
				if !leave {
					continue
				}
				for _, x := range cells {
					told := x.Form != report.Suppressed
					total := x.Breakdown == 0 && len(m.Where) == 0 && (i == firstTotal(c) || m.Kind == catalog.Count)
					may := total && (level == exchange.Totals || grain == report.Week && i == firstTotal(c))
					if told != may {
						t.Errorf("%s %s %s breakdown %d: told %v, may %v", level, m.ID, grain, x.Breakdown, told, may)
					}
				}
			}
		}
	}
}

// The rulings, forms and reasons of a window are the same whatever was measured in it, but for
// which answer of the book it gets.
func TestNonInterferenceTheFormNeverDependsOnTheValue(t *testing.T) {
	c := forge(t)
	rapid.Check(t, func(t *rapid.T) {
		people := rapid.IntRange(0, 400).Draw(t, "people")
		p := policy(c, rapid.SampledFrom([]exchange.Level{exchange.Aggregate, exchange.Totals}).Draw(t, "level"), people)
		i := rapid.IntRange(0, len(c.Measures)-1).Draw(t, "measure")
		m := &c.Measures[i]
		if m.Subject != catalog.Person {
			return
		}
		grain := rapid.SampledFrom(m.Grains()).Draw(t, "grain")
		g := gate(people, people, p)
		a, b := rapid.IntRange(0, 500).Draw(t, "a"), rapid.IntRange(0, 500).Draw(t, "b")
		x, lx := judge(t, g, window(c, m.ID, grain, float64(a)), p)
		empty := window(c, m.ID, grain, float64(b))
		if rapid.Bool().Draw(t, "nothing happened") {
			empty.Cells = nil
		}
		y, ly := judge(t, g, empty, p)
		if lx != ly || lx && len(x) != len(y) {
			t.Fatalf("%s %s: %d cells for %d, %d for %d", m.ID, grain, len(x), a, len(y), b)
		}
		if !lx {
			return
		}
		for k := range x {
			bookish := func(f report.Form) report.Form { // both are answers of a book
				if f == report.Band {
					return report.Exact
				}
				return f
			}
			if x[k].Series != y[k].Series || bookish(x[k].Form) != bookish(y[k].Form) || x[k].Reason != y[k].Reason {
				t.Fatalf("%s %s: %+v for %d, %+v for %d", m.ID, grain, x[k], a, y[k], b)
			}
		}
	})
}

func TestSubsetOfConsent(t *testing.T) {
	c := forge(t)
	all := policy(c, exchange.Totals, 100)
	older := *all.Statement
	older.Catalog = exchange.Hash{1}
	for name, p := range map[string]Policy{
		"nothing decided":      {},
		"local":                policy(c, exchange.Local, 100),
		"off":                  policy(c, exchange.Off, 100),
		"another catalog":      {Statement: &older, Accepted: nil, People: 100},
		"began after a window": {Statement: &exchange.Statement{CatalogVersion: 1, Catalog: c.Hash, Categories: []exchange.Decision{{Category: catalog.Inventory, Level: exchange.Totals, From: monday.Unix() + 365*86400}, {Category: catalog.SLA, Level: exchange.Totals, From: monday.Unix() + 365*86400}, {Category: catalog.Usage, Level: exchange.Totals, From: monday.Unix() + 365*86400}}}, Accepted: c},
	} {
		g := gate(100, 100, p)
		for i := range c.Measures {
			m := &c.Measures[i]
			for _, grain := range m.Grains() {
				if cells, leave := judge(t, g, window(c, m.ID, grain, 7), p); leave {
					t.Errorf("%s: %s %s leaves %d cells", name, m.ID, grain, len(cells))
				}
			}
		}
	}
}

func TestTrafficAtASmallSiteLeavesPerDay(t *testing.T) {
	c := forge(t)
	p := policy(c, exchange.Aggregate, 0)
	for _, x := range []struct {
		active int
		hour   bool
	}{{19, false}, {20, true}} {
		g := gate(100, x.active, p)
		_, hour := judge(t, g, window(c, "requests", report.Hour, 5), p)
		_, day := judge(t, g, window(c, "requests", report.Day, 5), p)
		_, five := judge(t, g, window(c, "requests", report.FiveMinutes, 5), p)
		if hour != x.hour || day == x.hour || five {
			t.Errorf("%d users: 5m %v, hour %v, day %v", x.active, five, hour, day)
		}
	}
}

func TestANumberNamedLaterCountsAtOnceOnlyIfNothingWasTold(t *testing.T) {
	c := forge(t)
	p := policy(c, exchange.Aggregate, 0)
	g := gate(0, 0, p)
	w := window(c, "people", report.Week, 30)
	if cells, _ := judge(t, g, w, p); cells[0].Reason != GroupTooSmall {
		t.Fatalf("%+v", cells[0])
	}
	p.People = 100
	g.Name(monday, p, fixed{})
	cells, _ := judge(t, g, w, p)
	if cells[0].Form != report.Exact || cells[0].Lo != 30 {
		t.Fatalf("%+v", cells[0])
	}
	p.People = 50 // told with 100 already: fixed for the block
	g.Name(monday, p, fixed{})
	if again, _ := judge(t, g, w, p); again[0].Lo != cells[0].Lo || g.block(monday).Size != 100 {
		t.Errorf("%+v, size %d", again[0], g.block(monday).Size)
	}
}

func TestSaveLoad(t *testing.T) {
	c := forge(t)
	p := policy(c, exchange.Aggregate, 38)
	g := gate(12, 30, p)
	b, err := g.Save()
	if err != nil {
		t.Fatal(err)
	}
	h := New(Config{Zone: time.UTC, Catalog: func([8]byte) *catalog.Catalog { return c }})
	if err := h.Load(b); err != nil || !reflect.DeepEqual(h.block(monday), g.block(monday)) {
		t.Errorf("%v: %+v, want %+v", err, h.block(monday), g.block(monday))
	}
}

func judge(t interface{ Fatal(...any) }, g *Gate, w Window, p Policy) ([]Ruled, bool) {
	cells, leave, err := g.Judge(w, p)
	if err != nil {
		t.Fatal(err)
	}
	return cells, leave
}

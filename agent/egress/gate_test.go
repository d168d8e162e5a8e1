package egress

import (
	"os"
	"reflect"
	"slices"
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
	g := New(Config{Zone: inUTC, Catalog: func([8]byte) *catalog.Catalog { return p.Accepted }})
	g.Begin(monday, p, fixed{known, active})
	return g
}

// Of people nothing leaves but weeks of the site's total and of counts, blocks of four weeks, what looks back 28 days
// on a block's last day, and cohorts of twelve weeks.
func TestOnlyTheWindowsOfPRIVACYLeave(t *testing.T) {
	c := madeUp(t)
	for _, level := range []exchange.Level{exchange.Aggregate, exchange.Totals} {
		p := policy(c, level, 100)
		for i := range c.Measures {
			m := &c.Measures[i]
			for _, grain := range m.Grains() {
				for shift := range int64(28) {
					g := gate(100, 100, p)
					w := window(c, m.ID, grain, 42)
					if grain == report.Rolling28 {
						w.Start += shift
					} else if shift > 0 {
						break
					}
					_, leave := judge(t, g, w, p)
					may := grain == report.Block4w || grain == report.Week && (m.ID == "people" || m.Kind == catalog.Count) || grain == report.Block12w && m.Kind == catalog.Retention ||
						grain == report.Rolling28 && m.LeavesAt() == grain && report.CivilStart(report.Block4w, w.Start)+27 == w.Start
					if m.LeavesAt() != report.Block4w && grain == report.Block4w {
						may = false
					}
					if leave != may {
						t.Errorf("%s: %s %s %d: leaves %v, may %v", level, m.ID, grain, w.Start, leave, may)
					}
				}
			}
		}
	}
}

func TestNonInterferenceTheFormNeverDependsOnTheValue(t *testing.T) {
	c := madeUp(t)
	rapid.Check(t, func(t *rapid.T) {
		people := rapid.IntRange(0, 400).Draw(t, "people")
		p := policy(c, rapid.SampledFrom([]exchange.Level{exchange.Aggregate, exchange.Totals}).Draw(t, "level"), people)
		i := rapid.IntRange(0, len(c.Measures)-1).Draw(t, "measure")
		m := &c.Measures[i]
		grain := m.LeavesAt()
		a, b := rapid.IntRange(0, 500).Draw(t, "a"), rapid.IntRange(0, 500).Draw(t, "b")
		w := window(c, m.ID, grain, float64(a))
		if grain == report.Rolling28 {
			w.Start = report.CivilStart(report.Block4w, w.Start) + 27
		}
		x, lx := judge(t, gate(people, people, p), w, p)
		other := window(c, m.ID, grain, float64(b))
		other.Start = w.Start
		if m.Kind != catalog.Retention && people >= minGroup && rapid.Bool().Draw(t, "nothing happened") {
			other.Cells = nil
		}
		y, ly := judge(t, gate(people, people, p), other, p)
		if lx != ly || len(x) != len(y) {
			t.Fatalf("%s %s: %d cells for %d, %d for %d", m.ID, grain, len(x), a, len(y), b)
		}
		if !lx || people < minGroup || p.level(m).AtLeast(exchange.Totals) {
			return
		}
		// The first figure was judged knowing nothing: its book is the same whatever happened.
		for k := range x {
			if x[k].Series != y[k].Series {
				t.Fatalf("%+v and %+v", x[k], y[k])
			}
			if isPublic(x[k].Field) || x[k].Reason == StaysByKind {
				continue
			}
			if !slices.Equal(x[k].Why.Answers, y[k].Why.Answers) || x[k].Why.Template != y[k].Why.Template {
				t.Fatalf("%s %s: book %+v for %d, %+v for %d", m.ID, grain, x[k].Why, a, y[k].Why, b)
			}
			return
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
	h := New(Config{Zone: inUTC, Catalog: func([8]byte) *catalog.Catalog { return c }})
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

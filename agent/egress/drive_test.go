package egress

import (
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/egress/egresstest"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func madeUp(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := egresstest.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is a figure as it left.
type answer struct {
	measure string
	Ruled
}

// driven is a made-up site whose windows went through a gate.
type driven struct {
	t     testing.TB
	c     *catalog.Catalog
	site  *egresstest.Site
	gate  *Gate
	p     Policy
	told  []answer
	about map[report.Series]map[int64]answer // by series and start
}

// drive lets the weeks from…to of a site pass. people is what the customer names; 0: nothing.
func drive(t testing.TB, c *catalog.Catalog, s *egresstest.Site, people, from, to int) *driven {
	t.Helper()
	d := begun(t, c, s, people)
	for st := range s.Steps(from, to) {
		d.step(st)
	}
	return d
}

func begun(t testing.TB, c *catalog.Catalog, s *egresstest.Site, people int) *driven {
	t.Helper()
	return &driven{t: t, c: c, site: s, p: policy(c, exchange.Aggregate, people), about: map[report.Series]map[int64]answer{},
		gate: New(Config{Zone: inUTC, Catalog: func([8]byte) *catalog.Catalog { return c }})}
}

func (d *driven) step(st egresstest.Step) {
	day := d.site.Zero + int64(st.Week)*7
	d.gate.Begin(time.Unix(day*86400, 0), d.p, egresstest.Sizes{Site: d.site, Week: st.Week})
	for _, w := range st.Windows {
		d.close(w)
	}
}

func (d *driven) close(x egresstest.Window) {
	m, i := d.c.Measure(x.Measure)
	if m == nil {
		return
	}
	w := Window{Catalog: d.c, Measure: i, Grain: x.Grain, Start: x.Start}
	for s, v := range x.Cells {
		s.Measure, s.Grain = uint16(i), x.Grain
		w.Cells = append(w.Cells, report.Cell{Series: s, Start: x.Start, Form: report.Exact, Lo: v, Hi: v})
	}
	cells, leave, err := d.gate.Judge(w, d.p)
	if err != nil {
		d.t.Fatal(err)
	}
	if !leave {
		return
	}
	for _, r := range cells {
		a := answer{x.Measure, r}
		d.told = append(d.told, a)
		if d.about[r.Series] == nil {
			d.about[r.Series] = map[int64]answer{}
		}
		d.about[r.Series][r.Start] = a
	}
}

// in is what was told of a figure: it lies in [lo, hi]. ok is false when nothing was.
func (d *driven) in(measure string, g report.Grain, start int64, f report.Field, breakdown uint8, v1 int) (lo, hi int, ok bool) {
	_, i := d.c.Measure(measure)
	a, ok := d.about[report.Series{Measure: uint16(i), Grain: g, Field: f, Breakdown: breakdown, V1: uint16(v1)}][start]
	if !ok {
		return 0, many, false
	}
	return span2(a)
}

// many is more people than any site has.
const many = 1 << 20

func span2(a answer) (lo, hi int, ok bool) {
	switch a.Form {
	case report.Exact, report.Band, report.Share, report.Implied:
		return int(a.Lo), int(min(a.Hi, many)), true
	}
	return 0, many, false
}

func inUTC(int64) *time.Location { return time.UTC }

package outbox

import (
	"cmp"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Origin is what the cells of one batch have in common.
type Origin struct {
	Catalog   exchange.Hash // the cells refer to
	Consent   exchange.Hash // statement that covers them
	Zone      string        // IANA name of the zone civil windows are in
	Tzdata    string        // version of the zone data; "" when not known
	Simulated bool
}

// window names a window of a series across catalogs.
type window struct {
	def    exchange.Hash // of the measure, or of the catalog
	series report.Series // Measure is 0 when def is the measure's own
	start  int64
}

// cellBytes is what a cell costs on the shelf: 80 for itself, 64 for its key, and as much
// again for what the growth of slices and maps leaves empty.
const cellBytes = 192

type group struct {
	origin Origin
	cells  []report.Cell
}

// shelf is the memory of what was closed and not frozen. The outbox's lock guards it.
type shelf struct {
	max    int64
	bytes  int64
	define func(exchange.Hash, uint16) (exchange.Hash, bool)
	defs   map[measure]exchange.Hash
	groups []*group
	seen   map[window]struct{}
	taken  map[window]struct{} // held by batches newer than the checkpoint
	counts Counts
}

func newShelf(limit int64, define func(exchange.Hash, uint16) (exchange.Hash, bool)) *shelf {
	return &shelf{max: limit, define: define, seen: map[window]struct{}{}, defs: map[measure]exchange.Hash{}}
}

// window names a cell's window by the definition of its measure. Config.Define is asked once
// for each measure, and only while cells are put or loaded: whoever calls the outbox then
// may hold the lock that Define needs.
func (s *shelf) window(catalog exchange.Hash, c *report.Cell) window {
	if s.define == nil {
		return sameCatalog(catalog, c)
	}
	m := measure{catalog, c.Measure}
	def, ok := s.defs[m]
	if !ok {
		if def, ok = s.define(catalog, c.Measure); !ok {
			return sameCatalog(catalog, c)
		}
		s.defs[m] = def
	}
	w := window{def: def, series: c.Series, start: c.Start}
	w.series.Measure = 0
	return w
}

// sameCatalog names a cell's window within one catalog.
func sameCatalog(catalog exchange.Hash, c *report.Cell) window {
	return window{def: catalog, series: c.Series, start: c.Start}
}

type measure struct {
	catalog exchange.Hash
	index   uint16
}

func (s *shelf) put(from Origin, c report.Cell) bool {
	w := s.window(from.Catalog, &c)
	if _, ok := s.taken[w]; ok {
		s.counts.Replayed++
		return false
	}
	if _, ok := s.seen[w]; ok {
		s.counts.Duplicates++
		return false
	}
	n := cellBytes + int64(len(c.Blob))
	if s.bytes+n > s.max {
		s.counts.OverLimit++
		return false
	}
	g := s.group(from)
	g.cells = append(g.cells, c)
	s.seen[w] = struct{}{}
	s.bytes += n
	return true
}

func (s *shelf) group(from Origin) *group {
	for _, g := range s.groups {
		if g.origin == from {
			return g
		}
	}
	g := &group{origin: from}
	s.groups = append(s.groups, g)
	return g
}

// drop takes the first n cells of a group off the shelf.
func (s *shelf) drop(g *group, n int) {
	for i := range g.cells[:n] {
		c := &g.cells[i]
		delete(s.seen, s.window(g.origin.Catalog, c))
		s.bytes -= cellBytes + int64(len(c.Blob))
	}
	g.cells = g.cells[n:]
	if len(g.cells) == 0 {
		s.groups = slices.DeleteFunc(s.groups, func(o *group) bool { return o == g })
	}
}

// oldestFirst orders a group by the time its windows begin, so that batches are cut along
// time and the oldest go first.
func (g *group) oldestFirst() {
	slices.SortStableFunc(g.cells, func(a, b report.Cell) int {
		return cmp.Or(cmp.Compare(begins(&a), begins(&b)), a.Series.Compare(b.Series))
	})
}

// begins is when a window begins, in unix seconds, to the day for civil ones.
func begins(c *report.Cell) int64 {
	if c.Grain.Civil() {
		return c.Start * int64(24*time.Hour/time.Second)
	}
	return c.Start
}

// due is what is to be cut next of a sorted group, and the time to date it with. A window
// that begins a day or more after now was measured before the clock was set back: such ones
// go last, in batches of their own that are dated by the windows, and the collector judges
// them by its own clock. So a wrong clock loses nothing here.
func (g *group) due(now int64) (cells []report.Cell, at int64) {
	limit := now + int64(24*time.Hour/time.Second)
	n, _ := slices.BinarySearchFunc(g.cells, limit, func(c report.Cell, limit int64) int { return cmp.Compare(begins(&c), limit) })
	if n > 0 {
		return g.cells[:n], now
	}
	return g.cells, max(now, begins(&g.cells[len(g.cells)-1]))
}

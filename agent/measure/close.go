package measure

import (
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// close closes a window that is due and enters the next of its chain.
func (f *Fold) close(r *run, d due) {
	s := &r.spans[d.grain]
	if s.covers(d.grain, d.start) {
		cells, zero := f.cells(r, d.grain, d.start)
		if d.grain == report.Rolling28 && filled(r.m) {
			_, zero = f.cells(r, report.Day, d.start) // its range is that of the days
		}
		f.emit(r, d, cells, zero)
	}
	if r.traffic != nil {
		delete(r.traffic.open[d.grain], d.start)
	}
	if slices.Contains(r.chains(), d.grain) {
		f.chain(r, d)
	}
	f.tidy(r, d)
	if s.until != math.MaxInt64 {
		f.finished(r)
	}
}

// chain enters the window after the one that was closed.
func (f *Fold) chain(r *run, d due) {
	s := &r.spans[d.grain]
	s.next = next(d.grain, d.start)
	if firstOf(d.grain, s.next) >= s.until {
		s.done = true
		return
	}
	_, end := f.cal.span(d.grain, s.next)
	f.push(due{at: end + r.grace, mi: r.mi, run: r.id, grain: d.grain, start: s.next})
}

// tidy drops what no open window needs.
func (f *Fold) tidy(r *run, d due) {
	switch {
	case r.people != nil:
		if d.grain == report.Day || r.m.Kind == catalog.Lifecycle {
			r.prune()
		}
	case r.traffic == nil:
	case d.grain == report.FiveMinutes && r.traffic.burn != nil:
		for start := range r.traffic.burn {
			if start <= d.start-burnMost {
				delete(r.traffic.burn, start)
			}
		}
	case d.grain == report.Day:
		oldest := f.cal.begin(f.cal.day(f.now - r.grace))
		if r.traffic.gauge != nil {
			r.traffic.gauge.Prune(oldest)
		}
		if r.traffic.avail != nil {
			r.traffic.avail.Prune(oldest / 1e9)
		}
	}
}

// measures reports whether the measure has a window there at all: those of lifecycle begin with
// the first that starts at or after started + 28 days.
func (r *run) measures(f *Fold, g report.Grain, start int64) bool {
	return r.m.Kind != catalog.Lifecycle || (f.started != noDay && start >= f.started+28)
}

// cells of a window, as things are known now; zero as person says.
func (f *Fold) cells(r *run, g report.Grain, start int64) (cells []report.Cell, zero bool) {
	switch {
	case r.people != nil:
		return f.person(r, g, start)
	case r.fact != nil:
		cells = r.factCells(g, start)
		return cells, len(cells) == 0
	}
	return f.traffic(r, g, start)
}

// emit hands a closed window on.
func (f *Fold) emit(r *run, d due, cells []report.Cell, zero bool) {
	if !zero {
		r.spans[d.grain].nonzero(d.start)
	}
	if len(cells) == 0 || !r.measures(f, d.grain, d.start) {
		return
	}
	if !allZero(cells) {
		f.keep(&Stored{Run: r.id, Measure: r.m.ID, Catalog: prefixOf(r.cat), Grain: d.grain, Start: d.start, Closed: d.at, Cells: cells})
	} else if _, end := f.cal.span(d.grain, d.start); end <= r.created {
		return // it ended before anybody measured
	}
	if f.cfg.Closed != nil {
		f.cfg.Closed(&Window{Catalog: r.cat, Measure: r.mi, Grain: d.grain, Start: d.start, Closed: d.at, Cells: slices.Clone(cells)})
	}
}

// allZero reports whether a window's figures are all 0. A histogram or sketch without values
// has a count of 0 beside it.
func allZero(cells []report.Cell) bool {
	for i := range cells {
		switch cells[i].Field {
		case report.Sketch, report.Buckets:
		case report.Last, report.Min, report.Max, report.Mean, report.Increase, report.Since, report.Unseen:
			return false // a sample of 0 is not nothing
		default:
			if cells[i].Lo != 0 {
				return false
			}
		}
	}
	return true
}

// factState is the value of a fact.
type factState struct {
	known   bool
	value   string
	since   int64 // unix s
	changed int64 // start of the newest Change window
	users   userFact
}

// userFact is "is there a user with TRAIT=VALUE".
type userFact struct {
	on   bool
	slot int
	code int32
}

// learn takes a value received now.
func (f *Fold) learn(r *run, v string) {
	s := r.fact
	if s.known && s.value == v {
		return
	}
	sec := floorDiv(f.now, 1e9)
	start := sec
	if s.known {
		start = max(start, s.changed+1)
	}
	s.known, s.value, s.since, s.changed = true, v, sec, start
	f.emit(r, due{at: f.now, grain: report.Change, start: start}, r.factCells(report.Change, start), false)
}

// factCells is the value known now.
func (r *run) factCells(g report.Grain, start int64) []report.Cell {
	if !r.fact.known {
		return nil
	}
	p := catalog.Property{Values: r.factValues()}
	cells := []report.Cell{
		exact(r.series(group{}, g, report.Value), float64(valueIndex(&p, r.fact.value))),
		exact(r.series(group{}, g, report.Since), float64(r.fact.since)),
	}
	for i := range cells {
		cells[i].Start, cells[i].Form = start, report.Exact
	}
	return cells
}

// factValues is the closed list of the fact's values.
func (r *run) factValues() []string { return factValues(r.m) }

func factValues(m *catalog.Measure) []string {
	if _, _, ok := userFactOf(m); ok && len(m.Values) == 0 {
		return []string{"yes", "no"}
	}
	return m.Values
}

// userFacts looks at the facts about whether there is such a user.
func (f *Fold) userFacts() {
	for _, r := range f.runs {
		if r.fact == nil {
			continue
		}
		trait, value, ok := userFactOf(r.m)
		if !ok {
			continue
		}
		u := &r.fact.users
		if !u.on {
			u.on, u.slot = true, f.people.Slot(trait)
			u.code = f.people.Code(u.slot, value)
		}
		answer := "no"
		if f.people.Holders(u.slot)[u.code] > 0 {
			answer = "yes"
		}
		f.learn(r, answer)
	}
}

func (r *run) userFact() bool {
	_, _, ok := userFactOf(r.m)
	return ok
}

// programFacts looks at the facts the program knows of itself.
func (f *Fold) programFacts() {
	for _, r := range f.runs {
		if r.fact == nil {
			continue
		}
		if v, ok := f.cfg.Facts[r.m.From]; ok {
			f.learn(r, v)
		}
	}
}

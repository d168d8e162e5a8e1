package run

import (
	"strings"

	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Measures reports whether the measure has a window there at all: those of lifecycle begin with
// the first that starts at or after started + 28 days.
func (r *Run) Measures(f *World, g report.Grain, start int64) bool {
	return r.M.Kind != catalog.Lifecycle || (f.Started != NoDay && start >= f.Started+28)
}

// Cells of a window, as things are known now; zero as person says.
func (f *World) Cells(r *Run, g report.Grain, start int64) (cells []report.Cell, zero bool) {
	switch {
	case r.People != nil:
		return f.person(r, g, start)
	case r.Fact != nil:
		cells = r.FactCells(g, start)
		return cells, len(cells) == 0
	}
	return f.traffic(r, g, start)
}

// Fact is the value of a fact.
type Fact struct {
	Known   bool
	Value   string
	Since   int64 // unix s
	Changed int64 // start of the newest Change window
	Users   UserFact
	First   *FirstTime // first_time
}

// FirstTime is when somebody who counts first did it, by the event's own time. Who does not count yet
// may later, by a trait or another name.
type FirstTime struct {
	At      int64            // unix ns; math.MaxInt64: not yet
	Waiting map[uint32]int64 // the first match before At of each who does not count
}

// Note takes a match of somebody at a time.
func (s *FirstTime) Note(id uint32, at int64) {
	if had, ok := s.Waiting[id]; id != people.Nobody && at < s.At && (!ok || at < had) {
		s.Waiting[id] = at
	}
}

// Look looks at somebody of whom something is known that was not before. It reports whether At is
// earlier now.
func (r *Run) Look(t *people.Table, id uint32) bool {
	s := r.Fact.First
	at, ok := s.Waiting[id]
	if !ok || !r.Counts(t, id) {
		return false
	}
	s.At = at
	for id, had := range s.Waiting {
		if had >= at {
			delete(s.Waiting, id)
		}
	}
	return true
}

// UserFact is "is there a user with TRAIT=VALUE".
type UserFact struct {
	On   bool
	Slot int
	Code int32
}

// FactCells is the value known now.
func (r *Run) FactCells(g report.Grain, start int64) []report.Cell {
	if !r.Fact.Known {
		return nil
	}
	p := catalog.Property{Values: r.factValues()}
	cells := []report.Cell{Exact(r.series(Group{}, g, report.Value), float64(ValueIndex(&p, r.Fact.Value)))}
	if r.M.Kind == catalog.Fact {
		cells = append(cells, Exact(r.series(Group{}, g, report.Since), float64(r.Fact.Since)))
	}
	for i := range cells {
		cells[i].Start, cells[i].Form = start, report.Exact
	}
	return cells
}

// factValues is the closed list of the fact's values.
func (r *Run) factValues() []string { return FactValues(r.M) }

// isFact reports whether the measure is one value that is known or not.
func isFact(m *catalog.Measure) bool { return m.Kind == catalog.Fact || m.Kind == catalog.FirstTime }

// FactValues is the closed list of a fact.
func FactValues(m *catalog.Measure) []string {
	if m.Kind == catalog.FirstTime {
		return m.Listed(report.Value, 0)
	}
	if _, _, ok := UserFactOf(m); ok && len(m.Values) == 0 {
		return []string{"yes", "no"}
	}
	return m.Values
}

// HasUserFact reports whether the run is a fact about users.
func (r *Run) HasUserFact() bool {
	_, _, ok := UserFactOf(r.M)
	return ok
}

// Chains are the Grains whose windows follow each other without a gap.
func (r *Run) Chains() []report.Grain {
	switch {
	case r.People != nil:
		return r.personGrains()
	case r.Fact != nil, r.M.Kind == catalog.Count:
		return []report.Grain{report.Day}
	}
	return nil
}

// UserFactOf reads from: user.TRAIT=VALUE.
func UserFactOf(m *catalog.Measure) (trait, value string, ok bool) {
	rest, ok := strings.CutPrefix(m.From, "user.")
	if !ok || m.Kind != catalog.Fact {
		return "", "", false
	}
	return strings.Cut(rest, "=")
}

// Merge gives what loser did in open windows to winner. Days keep the number that was given up:
// whoever reads them asks who it is now.
func (r *Run) Merge(loser, winner uint32) {
	if r.Path != nil {
		r.Path.Merge(loser, winner)
	}
	if r.Fact != nil && r.Fact.First != nil {
		if at, ok := r.Fact.First.Waiting[loser]; ok {
			delete(r.Fact.First.Waiting, loser)
			if had, ok := r.Fact.First.Waiting[winner]; !ok || at < had {
				r.Fact.First.Waiting[winner] = at
			}
		}
	}
	if r.People != nil && r.People.first(loser) != people.NoDay {
		r.People.see(winner, r.People.First[loser])
		r.People.First[loser] = people.NoDay
	}
}

// Unfirst forgets when a number was first seen.
func (r *Run) Unfirst(id uint32) {
	if r.Path != nil {
		r.Path.Drop(id)
	}
	if r.Fact != nil && r.Fact.First != nil {
		delete(r.Fact.First.Waiting, id)
	}
	if r.People != nil && r.People.first(id) != people.NoDay {
		r.People.First[id] = people.NoDay
		r.People.firsts++
	}
}

package run

import (
	"slices"
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
	cells := []report.Cell{
		Exact(r.series(Group{}, g, report.Value), float64(ValueIndex(&p, r.Fact.Value))),
		Exact(r.series(Group{}, g, report.Since), float64(r.Fact.Since)),
	}
	for i := range cells {
		cells[i].Start, cells[i].Form = start, report.Exact
	}
	return cells
}

// factValues is the closed list of the fact's values.
func (r *Run) factValues() []string { return FactValues(r.M) }

// FactValues is the closed list of a fact.
func FactValues(m *catalog.Measure) []string {
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

// Merge gives what loser did in open windows to winner.
func (r *Run) Merge(loser, winner uint32) {
	if r.People == nil {
		return
	}
	if r.Path != nil {
		r.Path.Merge(loser, winner)
	}
	for _, d := range r.People.Days {
		for _, set := range d.sets {
			if set.CheckedRemove(loser) {
				set.Add(winner)
			}
		}
		var moved []tallyKey
		for k := range d.tally {
			if k.user == loser {
				moved = append(moved, k)
			}
		}
		for _, k := range moved {
			to := tallyKey{winner, k.combo, k.bin}
			d.tally[to] += d.tally[k]
			delete(d.tally, k)
		}
		moved = moved[:0]
		for k := range d.sums {
			if k.user == loser {
				moved = append(moved, k)
			}
		}
		for _, k := range moved {
			to := tallyKey{winner, k.combo, k.bin}
			d.sums[to] = d.sums[to].Add(d.sums[k])
			delete(d.sums, k)
		}
	}
	if int(loser) < len(r.People.First) {
		day := r.People.First[loser]
		r.People.First[loser] = people.NoDay
		r.People.see(winner, day)
	}
}

// Unfirst forgets when a number was first seen.
func (r *Run) Unfirst(id uint32) {
	if r.Path != nil {
		r.Path.Drop(id)
	}
	if r.People != nil && int(id) < len(r.People.First) {
		r.People.First[id] = people.NoDay
	}
}

// see notes activity on a day.
func (s *Person) see(id uint32, day int32) {
	for int(id) >= len(s.First) {
		s.First = append(slices.Grow(s.First, 64), people.NoDay)
	}
	s.First[id] = min(s.First[id], day)
}

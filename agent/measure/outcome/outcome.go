// Package outcome keeps the account of what became of everything that a fold received: measured, refused
// and why, late, too many.
//
// Invariants: every event received is counted in Events once. It keeps nothing on disk but what Save writes.
package outcome

import (
	"maps"
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/agent/record"
)

// Accounting says what became of everything that was received. Events.Total() is the number
// received, always.
type Accounting struct {
	Events    record.Counts
	Samples   record.Counts
	Skewed    uint64
	ClockBack uint64
	// LateFor counts, per measure id, events and samples that found a window of that measure
	// closed; they are Measured in Events.
	LateFor map[string]uint64
	// AliasRefused counts aliases that would have closed a circle, AliasIgnored those of an
	// unknown previous id; both are Measured in Events.
	AliasRefused, AliasIgnored uint64
	// StreamsRefused counts samples of streams beyond the limit; they are OverValue in Samples.
	StreamsRefused uint64
	// UsersRefused counts events and identifies of users for whom there was no more room
	// (people.Limit); their events count under no user.
	UsersRefused uint64
	// MatchesRefused counts steps of funnels and transitions that were too many for one user
	// (path.Most), of the measures that are on; they are Measured in Events.
	MatchesRefused uint64
	Since          int64 // unix ns of the first record; 0 when there was none
}

// New is the account of nothing.
func New() Accounting { return Accounting{LateFor: map[string]uint64{}} }

// Clone is a copy that shares nothing with a.
func (a *Accounting) Clone() Accounting {
	out := *a
	out.LateFor = maps.Clone(a.LateFor)
	return out
}

// Save writes a, without MatchesRefused, which the measures keep.
func (a *Accounting) Save(w *wire.Writer) {
	for _, c := range []*record.Counts{&a.Events, &a.Samples} {
		for _, n := range c {
			w.Uint(n)
		}
	}
	for _, n := range []uint64{a.Skewed, a.ClockBack, a.AliasRefused, a.AliasIgnored, a.StreamsRefused, a.UsersRefused} {
		w.Uint(n)
	}
	w.Int(a.Since)
	w.Uint(uint64(len(a.LateFor)))
	for _, id := range slices.Sorted(maps.Keys(a.LateFor)) {
		w.String(id)
		w.Uint(a.LateFor[id])
	}
}

// Load reads what Save wrote.
func (a *Accounting) Load(r *wire.Reader) {
	for _, c := range []*record.Counts{&a.Events, &a.Samples} {
		for i := range c {
			c[i] = r.Uint()
		}
	}
	for _, n := range []*uint64{&a.Skewed, &a.ClockBack, &a.AliasRefused, &a.AliasIgnored, &a.StreamsRefused, &a.UsersRefused} {
		*n = r.Uint()
	}
	a.Since = r.Int()
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		id := r.String()
		a.LateFor[id] = r.Uint()
	}
}

package path

import (
	"math"
	"reflect"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Gap is the longest time between two steps that follow each other in transitions.
const Gap = int64(30 * 60 * 1e9)

// Config of a State. All but Keep comes from the measure.
type Config struct {
	Steps     int
	Window    int64 // funnel: ns
	Each      bool  // funnel: a user may enter again
	Correlate bool  // funnel: ways follow a value
	Before    bool  // funnel: something must come before the last step
	Grace     int64 // ns: how late a match may arrive
	Keep      int   // matches of all users that are not thinned; 0: KeepDefault
}

// State is what a measure of these kinds keeps; one of its parts is there.
type State struct {
	Funnel  *Funnel
	Flow    *Flow
	Sums    *Moments
	Refused uint64 // matches of users who had too many
	grace   int64
}

// New is the empty state of a measure; nil when its kind is none of these. grace is the longest of its
// events'.
func New(m *catalog.Measure, grace int64) *State {
	switch m.Kind {
	case catalog.Funnel:
		return &State{Funnel: newFunnel(configOf(m, grace))}
	case catalog.Transitions:
		return &State{Flow: newFlow(configOf(m, grace))}
	case catalog.Sufficient:
		return &State{Sums: newMoments(), grace: grace}
	}
	return nil
}

func configOf(m *catalog.Measure, grace int64) Config {
	return Config{Steps: min(len(m.Steps), 1<<8), Window: int64(m.Window), Each: m.Entry == "each", Correlate: m.Correlate != "", Before: m.Before != nil, Grace: grace}
}

// SetGrace says how late matches may arrive from now on.
func (s *State) SetGrace(grace int64) {
	s.grace = grace
	switch {
	case s.Funnel != nil:
		s.Funnel.Grace = grace
	case s.Flow != nil:
		s.Flow.Grace = grace
	}
}

// Merge gives the matches of loser to winner. What is counted by day keeps the number that was given
// up.
func (s *State) Merge(loser, winner uint32) {
	switch {
	case s.Funnel != nil:
		s.Funnel.merge(loser, winner)
	case s.Flow != nil:
		s.Flow.join(loser, winner)
	}
}

// Drop forgets all about a number that is given to somebody new.
func (s *State) Drop(user uint32) {
	switch {
	case s.Funnel != nil:
		s.Funnel.drop(user)
	case s.Flow != nil:
		s.Flow.forget(user)
	}
}

// Prune drops what no window needs whose first day is day or later.
func (s *State) Prune(cal *calendar.Calendar, day, now int64) {
	if day == math.MaxInt64 {
		return
	}
	switch {
	case s.Funnel != nil:
		s.Funnel.prune(cal.Begin(day), now-s.Funnel.Grace)
	case s.Flow != nil:
		s.Flow.prune(day, cal.Begin(day), now-s.Flow.Grace)
	case s.Sums != nil:
		s.Sums.prune(day, cal.Day(now-s.grace))
	}
}

// TakeOver makes a new definition of a measure know who entered under the old one, as far as it
// asks the same.
func (s *State) TakeOver(o *State, now, was *catalog.Measure) {
	if s.Funnel == nil || o == nil || o.Funnel == nil || len(now.Steps) == 0 || len(was.Steps) == 0 {
		return
	}
	f, old := s.Funnel, o.Funnel
	if now.Before != nil && was.Before != nil && sameStep(now.Before, was.Before) {
		f.had = old.had.Clone()
		for user := range old.first {
			f.had.Add(user)
		}
	}
	if f.Each || old.Each || now.Correlate != was.Correlate || !sameStep(&now.Steps[0], &was.Steps[0]) {
		return
	}
	f.entered = old.entered.Clone()
	for user, keys := range old.done {
		f.remember(user, keys)
	}
	for user, h := range old.users {
		old.ways(user, h, func(w *way) {
			if f.Correlate {
				f.remember(user, []uint64{h.keys[w.at[0]]})
			} else {
				f.entered.Add(user)
			}
		})
	}
}

func sameStep(a, b *catalog.Step) bool {
	return a.Event == b.Event && reflect.DeepEqual(a.Where, b.Where)
}

// Hash of the value of a property that a funnel follows: of a listed one its index, of a number the
// number, however it was written.
func Hash(v *record.Value, index uint16, number bool) uint64 {
	if !number {
		return mix(uint64(index))
	}
	d := v.Number
	for d.Exponent > 0 && d.Mantissa%10 == 0 {
		d.Mantissa /= 10
		d.Exponent--
	}
	return mix(mix(uint64(d.Mantissa)) + uint64(d.Exponent))
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): one to one, every bit depends on all.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

package series

import (
	"slices"
	"sort"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// State is what a probe found.
type State uint8

// The states, as a checkpoint writes them.
const (
	Down       State = 0
	Up         State = 1
	Maintained State = 2
)

// Availability is the results of one check that open windows may need. Times are unix seconds.
type Availability struct {
	results []result // by time, then arrival
	downAt  bool     // an incident was open before the first result
}

type result struct {
	time, until int64
	state       State
}

// Seconds is a window's time by what is known of it; the first four add up to its length.
type Seconds struct{ Up, Down, Maintenance, Unknown, Incidents int64 }

// Add puts a result in that speaks for [at, until) at most.
func (a *Availability) Add(at, until int64, s State) {
	i := sort.Search(len(a.results), func(i int) bool { return a.results[i].time > at })
	a.results = slices.Insert(a.results, i, result{at, until, s})
}

// Window is what is known of [begin, end).
func (a *Availability) Window(begin, end int64) Seconds {
	out := Seconds{Unknown: end - begin}
	down := a.downAt
	for i, r := range a.results {
		if r.time >= end {
			break
		}
		until := min(r.until, end)
		if i+1 < len(a.results) {
			until = min(until, a.results[i+1].time)
		}
		n := max(0, until-max(r.time, begin))
		out.Unknown -= n
		switch r.state {
		case Up:
			out.Up += n
			down = false
		case Maintained:
			out.Maintenance += n
		case Down:
			out.Down += n
			if !down && r.time >= begin {
				out.Incidents++
			}
			down = true
		}
	}
	return out
}

// Prune drops the results that say nothing about t and later.
func (a *Availability) Prune(t int64) {
	n := 0
	for n+1 < len(a.results) && a.results[n].time < t && a.results[n+1].time <= t {
		n++
	}
	if n < len(a.results) && a.results[n].until <= t && a.results[n].time < t {
		n++
	}
	for _, r := range a.results[:n] {
		switch r.state {
		case Up:
			a.downAt = false
		case Down:
			a.downAt = true
		}
	}
	a.results = slices.Delete(a.results, 0, n)
}

// Save writes the results.
func (a *Availability) Save(w *wire.Writer) {
	w.Bool(a.downAt)
	w.Uint(uint64(len(a.results)))
	for _, r := range a.results {
		w.Int(r.time)
		w.Int(r.until - r.time)
		w.Uint(uint64(r.state))
	}
}

// LoadAvailability reads what Save wrote.
func LoadAvailability(r *wire.Reader) *Availability {
	a := &Availability{downAt: r.Bool()}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		x := result{time: r.Int()}
		x.until = x.time + r.Int()
		x.state = State(r.Below(int(Maintained) + 1))
		a.results = append(a.results, x)
	}
	return a
}

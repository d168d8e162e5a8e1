// Package sums adds up what people did in a block of four weeks so that nobody counts more often than the
// catalog allows, and so that nobody dominates: what the gate needs to know of a sum besides the sum.
//
// It is computed when the window closes, from the days that the run keeps anyway, so there is nothing to save, to
// join when two ids turn out to be one person, or to forget: who is who and who counts is as for every other figure of
// the window. It takes two bytes for each person while it is at it. The package keeps no state.
package sums

import (
	"github.com/fieldpost/fieldpost/agent/measure/daily"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Sum is what people did in a window. Events without a user are not in it.
type Sum struct {
	Bounded int64 // Σ of how often each did it, at most catalog.Measure.Most
	Even    int64 // the same where the two who did most count as the third does
	Users   int64 // how many did it
}

// Of is the sum of a window; nil where none is asked for: only counts about people have one, per block of four weeks.
func Of(f *run.World, r *run.Run, g report.Grain, start int64) *Sum {
	if r.M.Kind != catalog.Count || r.People == nil || g != report.Block4w {
		return nil
	}
	did, most := make([]uint16, f.People.Len()), uint64(r.M.Most())
	for _, d := range r.People.Book.In(daily.Window{Grain: g, Start: start}) {
		d.Rows(func(k daily.Key, n uint64) {
			if k.User != people.Nobody {
				id := f.People.Now(k.User)
				did[id] = uint16(min(uint64(did[id])+n, most)) // most is below 2^16
			}
		})
	}
	s, top := &Sum{}, [3]int64{} // the largest, in order
	for id, d := range did {
		if d == 0 || !r.Counts(f.People, uint32(id)) {
			continue
		}
		n := int64(d)
		s.Bounded += n
		s.Users++
		for i := range top {
			if n > top[i] {
				n, top[i] = top[i], n
			}
		}
	}
	s.Even = s.Bounded - (top[0] - top[2]) - (top[1] - top[2])
	return s
}

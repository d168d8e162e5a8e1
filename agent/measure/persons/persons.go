//go:build pseudonymous

// Package persons reads what the fold holds person by person, for the build that may.
//
// Invariants: it changes nothing; who is under not_people or does not fit where_user is nobody, as in the measure's own
// windows; who was forgotten has no names and is left out. It keeps no state.
package persons

import (
	"math/bits"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/daily"
	"github.com/fieldpost/fieldpost/agent/measure/path"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Reader reads a fold. It is good until something is applied to the fold.
type Reader struct {
	World *run.World
	Runs  []*run.Run
}

// tally is a person's days of a window, one bit each, and events.
type tally struct {
	days   uint32
	events uint64
}

// Block calls fn for each person with activity in a block of four weeks of a measure of kind active_users, count or
// distribution. The measure's days are all there until the block has closed.
func (r Reader) Block(measure string, start int64, fn func(record.Person)) {
	for _, x := range r.Runs {
		if x.M.ID == measure && x.People != nil && x.Spans[report.Block4w].Covers(report.Block4w, start) {
			first, last := report.CivilDays(report.Block4w, start)
			r.days(x, first, last, fn)
			return
		}
	}
}

func (r Reader) days(x *run.Run, first, last int64, fn func(record.Person)) {
	tallies := map[uint32]*tally{}
	of := func(id uint32) *tally {
		id = r.World.People.Now(id)
		if tallies[id] == nil {
			tallies[id] = &tally{}
		}
		return tallies[id]
	}
	for no := first; no <= last; no++ {
		d := x.People.Book.Day(no)
		if d == nil {
			continue
		}
		bit := uint32(1) << (no - first)
		d.Each(func(_ uint32, set *roaring.Bitmap) {
			set.Iterate(func(id uint32) bool {
				of(id).days |= bit
				return true
			})
		})
		d.Rows(func(k daily.Key, n uint64) {
			if k.User != people.Nobody {
				t := of(k.User)
				t.days |= bit
				t.events += n
			}
		})
	}
	for id, t := range tallies {
		if p, ok := r.person(x, id); ok {
			p.Days, p.Events = bits.OnesCount32(t.days), t.events
			fn(p)
		}
	}
}

// person is somebody who counts and is known.
func (r Reader) person(x *run.Run, id uint32) (record.Person, bool) {
	t := r.World.People
	names := t.Names(id)
	if len(names) == 0 || !x.Counts(t, id) {
		return record.Person{}, false
	}
	return record.Person{Names: names, First: int64(t.First(id)), Trait: func(name string) string { return t.Value(id, name) }}, true
}

// Names are all names of the person called name; none when nobody is.
func (r Reader) Names(name string) []string {
	if id, ok := r.World.People.Find(name); ok {
		return r.World.People.Names(id)
	}
	return nil
}

// newest is the run of a measure that is measured now.
func (r Reader) newest(measure string, kind catalog.Kind) *run.Run {
	for _, x := range slices.Backward(r.Runs) {
		if x.M.ID == measure && x.M.Kind == kind {
			return x
		}
	}
	return nil
}

// NotTried calls fn for each person who was active on at least so many of the 28 days that end with today, fits who the
// measure of kind adoption is about, and has not used the feature in them.
func (r Reader) NotTried(measure, feature string, days int, now int64, fn func(names []string)) {
	x := r.newest(measure, catalog.Adoption)
	if x == nil || x.People == nil {
		return
	}
	part := uint32(1 + slices.IndexFunc(x.M.Features, func(f catalog.Feature) bool { return f.ID == feature }))
	if part == 0 {
		return
	}
	t := r.World.People
	active, used := map[uint32]int{}, roaring.New()
	today := r.World.Cal.Day(now)
	for no := today - 27; no <= today; no++ {
		d := x.People.Book.Day(no)
		if d == nil {
			continue
		}
		if set := d.Set(0); set != nil {
			t.Resolve(set).Iterate(func(id uint32) bool {
				active[id]++
				return true
			})
		}
		d.Each(func(p uint32, set *roaring.Bitmap) {
			if p == part {
				used.Or(t.Resolve(set))
			}
		})
	}
	for id, n := range active {
		fits := n >= days && !used.Contains(id)
		for i := range x.Eligible {
			fits = fits && x.Eligible[i].Holds(t, id)
		}
		if p, ok := r.person(x, id); ok && fits {
			fn(p.Names)
		}
	}
}

// Unfinished calls fn for each person whose entry into a funnel lies between after and after + reach behind now and
// who has not reached the last step.
func (r Reader) Unfinished(measure string, after, reach, now int64, fn func(names []string)) {
	x := r.newest(measure, catalog.Funnel)
	if x == nil || x.Path == nil || x.Path.Funnel == nil {
		return
	}
	f := x.Path.Funnel
	told := roaring.New()
	// Entries looks at those whose window has passed; what is asked is whether a shorter time has.
	f.Entries(now-after-reach, now-after+1, now-after+f.Window, func(e path.Entry) {
		if p, ok := r.person(x, e.User); ok && e.Reached < f.Steps && told.CheckedAdd(e.User) {
			fn(p.Names)
		}
	})
}

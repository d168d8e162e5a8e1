package run

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/daily"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Person is what a measure about people keeps: what happened, by local day. Every
// window is made from its days when it closes, because only then it is known who is who
// (alias), what their traits are and who is left out.
type Person struct {
	Book    *daily.Book
	First   []int32 // lifecycle, retention: first day of each person in this measure
	firsts  uint64  // how often First changed
	Seats   *Seats
	Cohorts map[Cohort]uint64 // retention: sums of cohorts of 12 weeks, not yet complete
}

func newPerson(m *catalog.Measure) *Person {
	s := &Person{Book: daily.NewBook()}
	switch m.Kind {
	case catalog.Seats:
		s.Seats = &Seats{}
	case catalog.Retention:
		s.Cohorts = map[Cohort]uint64{}
	}
	return s
}

// AddPerson adds a matching event to its day.
func (f *World) AddPerson(fd *Feed, e *record.Event, id uint32, dayNo int64, combo uint32) {
	s := fd.R.People
	if fd.R.Path != nil {
		f.addPath(fd, e, id, dayNo, combo)
		return
	}
	switch fd.R.M.Kind {
	case catalog.ActiveUsers, catalog.Stickiness:
		if id != people.Nobody {
			s.Book.At(dayNo).Add(combo, id)
		}
	case catalog.Lifecycle, catalog.Retention:
		if id != people.Nobody {
			if s.Book.At(dayNo).Add(combo, id) { // otherwise it was seen then
				s.see(id, int32(dayNo))
			}
		}
	case catalog.Adoption:
		if id != people.Nobody {
			s.use(fd, dayNo, id)
		}
	case catalog.Seats:
		if id != people.Nobody {
			hour := calendar.FloorDiv(e.Time, hourNs) - calendar.FloorDiv(f.Cal.Begin(dayNo), hourNs)
			s.Book.At(dayNo).Add(uint32(min(max(hour, 0), hoursMost-1)), id)
		}
	case catalog.Count:
		s.Book.At(dayNo).Count(daily.Key{User: id, Part: combo}, 1)
	case catalog.SLO:
		k := daily.Key{User: id, Part: combo}
		if fd.Good {
			k.Bin = 1
		}
		s.Book.At(dayNo).Count(k, 1)
	case catalog.Distribution:
		v := Find(e.Properties, int(fd.Number))
		if v == nil {
			return
		}
		d := s.Book.At(dayNo)
		d.Count(daily.Key{User: id, Part: combo, Bin: f.Bins.Of(Decimal(v.Number))}, 1)
		d.Sum(daily.Key{User: id, Part: combo}, series.FromDecimal(v.Number))
	}
}

// parts is one more than the largest part of the measure's days.
func (r *Run) parts() int {
	switch r.M.Kind {
	case catalog.Seats:
		return hoursMost
	case catalog.Adoption:
		return len(r.M.Features) + 1
	}
	return len(r.combos)
}

// personGrains are the Grains of a measure about people that are windows of days.
func (r *Run) personGrains() []report.Grain {
	switch {
	case r.grains != nil:
	case r.M.Kind == catalog.Retention:
		r.grains = []report.Grain{report.Week} // a block's last week closes the block
	default:
		r.grains = slices.DeleteFunc(slices.Clone(r.M.Grains()), func(g report.Grain) bool { return !g.Civil() })
	}
	return r.grains
}

// longGrains are those of which retired days are kept together. All others look back four weeks at
// most, or, for lifecycle, two weeks.
func (r *Run) longGrains() []report.Grain {
	switch r.M.Kind {
	case catalog.Lifecycle:
		return []report.Grain{report.Month, report.Block4w}
	case catalog.ActiveUsers, catalog.Count, catalog.SLO, catalog.Distribution:
		return []report.Grain{report.Month, report.Block12w}
	}
	return nil
}

// Needs is the first day some window still to close looks at.
func (r *Run) Needs() int64 { return r.needs(nil) }

func (r *Run) needs(but []report.Grain) int64 {
	need := int64(1<<63 - 1)
	for _, g := range r.personGrains() {
		if r.Spans[g].Done || slices.Contains(but, g) {
			continue
		}
		first, _ := report.CivilDays(g, r.Spans[g].Next)
		if r.M.Kind == catalog.Lifecycle {
			first = report.CivilStart(g, first-1)
		}
		need = min(need, first)
	}
	return need
}

// Prune seals the days for which nothing can come any more, now, and lets go of those no window
// looks at.
func (r *Run) Prune(f *World) {
	if r.Path != nil {
		r.Path.Prune(f.Cal, r.Needs(), f.Now)
		return
	}
	r.People.Book.Seal(f.Cal.Day(f.Now - r.Grace))
	long := r.longGrains()
	r.People.Book.Retire(r.needs(long), long, func(w daily.Window) bool {
		s := &r.Spans[w.Grain]
		if r.M.Kind == catalog.Lifecycle { // also by the window after it
			return !s.Done && calendar.Next(w.Grain, w.Start) >= s.Next
		}
		return !s.Done && w.Start >= s.Next
	})
	if r.People.Seats != nil {
		r.People.Seats.prune(r.Needs())
	}
}

// person makes the cells of a window from its days, as things are known now. zero says that
// nothing happened in it that counts; for lifecycle: nobody was active.
func (f *World) person(r *Run, g report.Grain, start int64) (cells []report.Cell, zero bool) {
	days := r.People.Book.In(daily.Window{Grain: g, Start: start})
	cells, known := r.quiet[g]
	if cells, zero = slices.Clone(cells), true; known && len(days) == 0 {
		for i := range cells {
			cells[i].Start = start
		}
		return cells, zero
	}
	switch r.M.Kind {
	case catalog.ActiveUsers:
		cells, zero = f.actives(r, g, days)
	case catalog.Lifecycle:
		cells, zero = f.lifecycle(r, g, start, days)
	case catalog.Count, catalog.SLO:
		cells, zero = f.tallies(r, g, days)
	case catalog.Distribution:
		cells, zero = f.distributions(r, g, days)
	case catalog.Funnel, catalog.Transitions, catalog.Sufficient:
		first, last := report.CivilDays(g, start)
		cells, zero = f.paths(r, g, first, last)
	case catalog.Stickiness:
		cells, zero = f.stickiness(r, g, start)
	case catalog.Adoption:
		cells, zero = f.adoption(r, g, start)
	case catalog.Seats:
		cells, zero = f.seats(r, g, start)
	}
	for i := range cells {
		cells[i].Start, cells[i].Form = start, report.Exact
	}
	slices.SortFunc(cells, func(a, b report.Cell) int { return a.Series.Compare(b.Series) })
	switch r.M.Kind {
	case catalog.ActiveUsers, catalog.Count, catalog.SLO, catalog.Distribution, catalog.Adoption: // only their days say something
		if len(days) == 0 {
			r.quiet[g] = slices.Clone(cells)
		}
	}
	return cells, zero
}

// Quiet reports whether nothing happened on a day that counts.
func (f *World) Quiet(r *Run, no int64) bool {
	d := r.People.Book.Day(no)
	if d == nil {
		return true
	}
	quiet := true
	d.Each(func(part uint32, set *roaring.Bitmap) {
		if r.M.Kind == catalog.Adoption && part > 0 {
			return // a feature's use alone makes nobody eligible
		}
		if quiet {
			set.Iterate(func(id uint32) bool {
				quiet = !r.Counts(f.People, f.People.Now(id))
				return quiet
			})
		}
	})
	if quiet && r.M.Kind != catalog.Adoption {
		d.Rows(func(k daily.Key, _ uint64) { quiet = quiet && !r.Counts(f.People, f.People.Now(k.User)) })
	}
	return quiet
}

// union is everybody of a part on these days, under the number they have now.
func (f *World) union(days []*daily.Day, part uint32) *roaring.Bitmap {
	out := roaring.New()
	for _, d := range days {
		if set := d.Set(part); set != nil {
			out.Or(set)
		}
	}
	return f.People.Resolve(out)
}

// unions is the people of days by what the properties of breakdown b say (traits are
// left for later).
func (f *World) unions(r *Run, b int, days []*daily.Day) map[Group]*roaring.Bitmap {
	out := map[Group]*roaring.Bitmap{}
	for _, d := range days {
		d.Each(func(combo uint32, set *roaring.Bitmap) {
			k := r.propKey(b, combo)
			if out[k] == nil {
				out[k] = roaring.New()
			}
			out[k].Or(set)
		})
	}
	for k, set := range out {
		out[k] = f.People.Resolve(set)
	}
	return out
}

// who is those of a set that count, in order.
func (f *World) who(r *Run, set *roaring.Bitmap) []uint32 {
	ids := set.ToArray()
	if len(r.WhereUser) == 0 && len(r.NotPeople) == 0 {
		return ids
	}
	return slices.DeleteFunc(ids, func(id uint32) bool { return !r.Counts(f.People, id) })
}

// propKey is Key without the traits.
func (r *Run) propKey(b int, combo uint32) Group {
	k := Group{B: uint8(b)}
	for i := range r.Breaks[b].dims {
		if d := &r.Breaks[b].dims[i]; !d.trait {
			if i == 0 {
				k.V1 = r.combos[combo][d.place]
			} else {
				k.V2 = r.combos[combo][d.place]
			}
		}
	}
	return k
}

// withTraits is a propKey with a person's traits.
func (r *Run) withTraits(k Group, t *people.Table, id uint32) Group {
	for i := range r.Breaks[k.B].dims {
		if d := &r.Breaks[k.B].dims[i]; d.trait {
			if i == 0 {
				k.V1 = d.traitIndex(t, id)
			} else {
				k.V2 = d.traitIndex(t, id)
			}
		}
	}
	return k
}

func Exact(s report.Series, v float64) report.Cell { return report.Cell{Series: s, Lo: v, Hi: v} }

package run

import (
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

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
	Days  map[int64]*day
	First []int32 // lifecycle: first day of each person in this measure
}

type day struct {
	sets  map[uint32]*roaring.Bitmap // active_users, lifecycle: people by combination
	tally map[tallyKey]uint64        // count, distribution, slo: how often
	sums  map[tallyKey]series.Fixed  // distribution; bin is 0
}

type tallyKey struct {
	user, combo uint32
	bin         int32 // distribution: of the value; slo: 1 good, 0 valid
}

func newPerson() *Person { return &Person{Days: map[int64]*day{}} }

func (s *Person) at(d int64) *day {
	x := s.Days[d]
	if x == nil {
		x = &day{}
		s.Days[d] = x
	}
	return x
}

// AddPerson adds a matching event to its day.
func (f *World) AddPerson(fd *Feed, e *record.Event, id uint32, dayNo int64, combo uint32) {
	s := fd.R.People
	if fd.R.Path != nil {
		f.addPath(fd, e, id, dayNo, combo)
		return
	}
	switch fd.R.M.Kind {
	case catalog.ActiveUsers, catalog.Lifecycle:
		if id == people.Nobody {
			return
		}
		d := s.at(dayNo)
		set := d.sets[combo]
		if set == nil {
			set = roaring.New()
			if d.sets == nil {
				d.sets = map[uint32]*roaring.Bitmap{}
			}
			d.sets[combo] = set
		}
		set.Add(id)
		if fd.R.M.Kind == catalog.Lifecycle {
			s.see(id, int32(dayNo))
		}
	case catalog.Count:
		s.at(dayNo).count(tallyKey{user: id, combo: combo})
	case catalog.SLO:
		k := tallyKey{user: id, combo: combo}
		if fd.Good {
			k.bin = 1
		}
		s.at(dayNo).count(k)
	case catalog.Distribution:
		v := Find(e.Properties, int(fd.Number))
		if v == nil {
			return
		}
		d := s.at(dayNo)
		d.count(tallyKey{id, combo, f.Bins.Of(Decimal(v.Number))})
		k := tallyKey{user: id, combo: combo}
		if d.sums == nil {
			d.sums = map[tallyKey]series.Fixed{}
		}
		d.sums[k] = d.sums[k].Add(series.FromDecimal(v.Number))
	}
}

func (d *day) count(k tallyKey) {
	if d.tally == nil {
		d.tally = map[tallyKey]uint64{}
	}
	d.tally[k]++
}

// personGrains are the Grains of a measure about people that are windows of days.
func (r *Run) personGrains() []report.Grain {
	return slices.DeleteFunc(slices.Clone(r.M.Grains()), func(g report.Grain) bool { return !g.Civil() })
}

// Needs is the first day some window still to close looks at.
func (r *Run) Needs() int64 {
	need := int64(math.MaxInt64)
	for _, g := range r.personGrains() {
		if r.Spans[g].Done {
			continue
		}
		start := r.Spans[g].Next
		first, _ := report.CivilDays(g, start)
		if r.M.Kind == catalog.Lifecycle {
			first = report.CivilStart(g, first-1)
		}
		need = min(need, first)
	}
	return need
}

// Prune drops the days no window looks at any more.
func (r *Run) Prune(f *World) {
	need := r.Needs()
	if r.Path != nil {
		r.Path.Prune(f.Cal, need, f.Now)
	}
	for d := range r.People.Days {
		if d < need {
			delete(r.People.Days, d)
		}
	}
}

// held is the days of a window on which something happened, in order.
func (s *Person) held(first, last int64) (days []*day) {
	if int(last-first) > len(s.Days) {
		var nos []int64
		for n := range s.Days {
			if n >= first && n <= last {
				nos = append(nos, n)
			}
		}
		slices.Sort(nos)
		for _, n := range nos {
			days = append(days, s.Days[n])
		}
		return days
	}
	for n := first; n <= last; n++ {
		if d := s.Days[n]; d != nil {
			days = append(days, d)
		}
	}
	return days
}

// person makes the cells of a window from its days, as things are known now. zero says that
// nothing happened in it that counts; for lifecycle: nobody was active.
func (f *World) person(r *Run, g report.Grain, start int64) (cells []report.Cell, zero bool) {
	first, last := report.CivilDays(g, start)
	switch r.M.Kind {
	case catalog.ActiveUsers:
		cells, zero = f.actives(r, g, r.People.held(first, last))
	case catalog.Lifecycle:
		cells, zero = f.lifecycle(r, g, first, last)
	case catalog.Count, catalog.SLO:
		cells, zero = f.tallies(r, g, r.People.held(first, last))
	case catalog.Distribution:
		cells, zero = f.distributions(r, g, r.People.held(first, last))
	case catalog.Funnel, catalog.Transitions, catalog.Sufficient:
		cells, zero = f.paths(r, g, first, last)
	}
	for i := range cells {
		cells[i].Start, cells[i].Form = start, report.Exact
	}
	slices.SortFunc(cells, func(a, b report.Cell) int { return a.Series.Compare(b.Series) })
	return cells, zero
}

// unions is the people of days by what the properties of breakdown b say (traits are
// left for later).
func (r *Run) unions(b int, days []*day) map[uint32]*roaring.Bitmap {
	out := map[uint32]*roaring.Bitmap{}
	same := map[Group]uint32{}
	for _, d := range days {
		for combo, set := range d.sets {
			k := r.propKey(b, combo)
			c, ok := same[k]
			if !ok {
				// The lowest combination stands for all with these values; any would do.
				c, same[k] = combo, combo
				out[c] = roaring.New()
			}
			out[c].Or(set)
		}
	}
	return out
}

// propKey is key without the traits.
func (r *Run) propKey(b int, combo uint32) (k Group) {
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

func Exact(s report.Series, v float64) report.Cell { return report.Cell{Series: s, Lo: v, Hi: v} }

func (f *World) actives(r *Run, g report.Grain, days []*day) (cells []report.Cell, zero bool) {
	var total uint64
	for b := range r.Breaks {
		counts := map[Group]uint64{}
		for combo, set := range r.unions(b, days) {
			plain := !r.Breaks[b].hasTraits()
			fixed := Group{}
			if plain {
				fixed = r.Key(b, combo, f.People, people.Nobody)
			}
			it := set.Iterator()
			for it.HasNext() {
				id := it.Next()
				switch {
				case !r.Counts(f.People, id):
				case plain:
					counts[fixed]++
				default:
					counts[r.Key(b, combo, f.People, id)]++
				}
			}
		}
		if b == 0 {
			total = counts[Group{}]
			cells = append(cells, Exact(r.series(Group{}, g, report.Value), float64(total)))
			continue
		}
		for k, n := range counts {
			cells = append(cells, Exact(r.series(k, g, report.Value), float64(n)))
		}
	}
	return cells, total == 0
}

// lifecycle fields in the order of catalog.Measure.Fields.
const (
	isNew = iota
	isRetained
	isResurrected
	isDormant
)

func (f *World) lifecycle(r *Run, g report.Grain, first, last int64) (cells []report.Cell, zero bool) {
	here := r.People.held(first, last)
	before := r.People.held(report.CivilStart(g, first-1), first-1)
	fields := r.M.Fields()
	for b := range r.Breaks {
		counts := map[Group]*[4]uint64{}
		note := func(combo, id uint32, what int) {
			k := r.Key(b, combo, f.People, id)
			if counts[k] == nil {
				counts[k] = new([4]uint64)
			}
			counts[k][what]++
		}
		now, then := r.unions(b, here), map[Group]*roaring.Bitmap{}
		for combo, set := range r.unions(b, before) {
			k := r.propKey(b, combo)
			then[k] = set
			it := set.Iterator()
			for it.HasNext() {
				if id := it.Next(); r.Counts(f.People, id) && !inAny(now, r, b, k, id) {
					note(combo, id, isDormant)
				}
			}
		}
		for combo, set := range now {
			prev := then[r.propKey(b, combo)]
			it := set.Iterator()
			for it.HasNext() {
				id := it.Next()
				switch {
				case !r.Counts(f.People, id):
				case f.isNew(r, id, first, last):
					note(combo, id, isNew)
				case prev != nil && prev.Contains(id):
					note(combo, id, isRetained)
				default:
					note(combo, id, isResurrected)
				}
			}
		}
		if b == 0 && counts[Group{}] == nil {
			counts[Group{}] = new([4]uint64)
		}
		for k, c := range counts {
			for i, field := range fields {
				cells = append(cells, Exact(r.series(k, g, field), float64(c[i])))
			}
		}
		if b == 0 {
			c := counts[Group{}]
			zero = c[isNew]+c[isRetained]+c[isResurrected] == 0
		}
	}
	return cells, zero
}

func inAny(now map[uint32]*roaring.Bitmap, r *Run, b int, k Group, id uint32) bool {
	for combo, set := range now {
		if r.propKey(b, combo) == k {
			return set.Contains(id)
		}
	}
	return false
}

// isNew: first activity of this measure in these days, and not existing.
func (f *World) isNew(r *Run, id uint32, first, last int64) bool {
	if int(id) >= len(r.People.First) {
		return false
	}
	if d := int64(r.People.First[id]); d < first || d > last {
		return false
	}
	return !f.existing(id)
}

// existing users had their first activity in the first 28 days, or were created before.
func (f *World) existing(id uint32) bool {
	if int64(f.People.First(id)) < f.Started+28 {
		return true
	}
	at, known := f.People.Created(id)
	return known && at < f.Cal.Begin(f.Started)
}

func (f *World) tallies(r *Run, g report.Grain, days []*day) (cells []report.Cell, zero bool) {
	counts := map[Group]*[2]uint64{{}: {}}
	for _, d := range days {
		for k, n := range d.tally {
			if !r.Counts(f.People, k.user) {
				continue
			}
			for b := range r.Breaks {
				to := r.Key(b, k.combo, f.People, k.user)
				if counts[to] == nil {
					counts[to] = new([2]uint64)
				}
				counts[to][k.bin] += n
			}
		}
	}
	for k, c := range counts {
		if r.M.Kind == catalog.SLO {
			cells = append(cells, Exact(r.series(k, g, report.Good), float64(c[1])), Exact(r.series(k, g, report.Valid), float64(c[0])))
		} else {
			cells = append(cells, Exact(r.series(k, g, report.Value), float64(c[0])))
		}
	}
	return cells, *counts[Group{}] == [2]uint64{}
}

func (f *World) distributions(r *Run, g report.Grain, days []*day) (cells []report.Cell, zero bool) {
	dists := map[Group]*series.Dist{{}: {}}
	add := func(k tallyKey, bin int32, n uint64, sum series.Fixed) {
		if !r.Counts(f.People, k.user) {
			return
		}
		for b := range r.Breaks {
			to := r.Key(b, k.combo, f.People, k.user)
			if dists[to] == nil {
				dists[to] = &series.Dist{}
			}
			if n > 0 {
				dists[to].Add(bin, n, sum)
			} else {
				dists[to].Sum = dists[to].Sum.Add(sum)
			}
		}
	}
	for _, d := range days {
		for k, n := range d.tally {
			add(k, k.bin, n, series.Fixed{})
		}
		for k, sum := range d.sums {
			add(k, 0, 0, sum)
		}
	}
	for k, d := range dists {
		cells = append(cells, r.distCells(k, g, d)...)
	}
	return cells, dists[Group{}].Count == 0
}

func (r *Run) distCells(k Group, g report.Grain, d *series.Dist) []report.Cell {
	return []report.Cell{
		Exact(r.series(k, g, report.Count), float64(d.Count)),
		Exact(r.series(k, g, report.Sum), d.Sum.Float()),
		{Series: r.series(k, g, report.Sketch), Blob: d.Encode()},
	}
}

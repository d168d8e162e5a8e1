package measure

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

// personState is what a measure about people keeps: what happened, by local day. Every
// window is made from its days when it closes, because only then it is known who is who
// (alias), what their traits are and who is left out.
type personState struct {
	days  map[int64]*day
	first []int32 // lifecycle: first day of each person in this measure
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

func newPersonState() *personState { return &personState{days: map[int64]*day{}} }

func (s *personState) at(d int64) *day {
	x := s.days[d]
	if x == nil {
		x = &day{}
		s.days[d] = x
	}
	return x
}

// addPerson adds a matching event to its day.
func (f *Fold) addPerson(fd *feed, e *record.Event, id uint32, dayNo int64, combo uint32) {
	s := fd.r.people
	switch fd.r.m.Kind {
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
		if fd.r.m.Kind == catalog.Lifecycle {
			s.see(id, int32(dayNo))
		}
	case catalog.Count:
		s.at(dayNo).count(tallyKey{user: id, combo: combo})
	case catalog.SLO:
		k := tallyKey{user: id, combo: combo}
		if fd.good {
			k.bin = 1
		}
		s.at(dayNo).count(k)
	case catalog.Distribution:
		v := find(e.Properties, int(fd.number))
		if v == nil {
			return
		}
		d := s.at(dayNo)
		d.count(tallyKey{id, combo, f.bins.Of(decimal(v.Number))})
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

// personGrains are the grains of a measure about people that are windows of days.
func (r *run) personGrains() []report.Grain {
	return slices.DeleteFunc(slices.Clone(r.m.Grains()), func(g report.Grain) bool { return !g.Civil() })
}

// needs is the first day some window still to close looks at.
func (r *run) needs() int64 {
	need := int64(math.MaxInt64)
	for _, g := range r.personGrains() {
		if r.spans[g].done {
			continue
		}
		start := r.spans[g].next
		first, _ := report.CivilDays(g, start)
		if r.m.Kind == catalog.Lifecycle {
			first = report.CivilStart(g, first-1)
		}
		need = min(need, first)
	}
	return need
}

// prune drops the days no window looks at any more.
func (r *run) prune() {
	need := r.needs()
	for d := range r.people.days {
		if d < need {
			delete(r.people.days, d)
		}
	}
}

// held is the days of a window on which something happened, in order.
func (s *personState) held(first, last int64) (days []*day) {
	if int(last-first) > len(s.days) {
		var nos []int64
		for n := range s.days {
			if n >= first && n <= last {
				nos = append(nos, n)
			}
		}
		slices.Sort(nos)
		for _, n := range nos {
			days = append(days, s.days[n])
		}
		return days
	}
	for n := first; n <= last; n++ {
		if d := s.days[n]; d != nil {
			days = append(days, d)
		}
	}
	return days
}

// person makes the cells of a window from its days, as things are known now. zero says that
// nothing happened in it that counts; for lifecycle: nobody was active.
func (f *Fold) person(r *run, g report.Grain, start int64) (cells []report.Cell, zero bool) {
	first, last := report.CivilDays(g, start)
	switch r.m.Kind {
	case catalog.ActiveUsers:
		cells, zero = f.actives(r, g, r.people.held(first, last))
	case catalog.Lifecycle:
		cells, zero = f.lifecycle(r, g, first, last)
	case catalog.Count, catalog.SLO:
		cells, zero = f.tallies(r, g, r.people.held(first, last))
	case catalog.Distribution:
		cells, zero = f.distributions(r, g, r.people.held(first, last))
	}
	for i := range cells {
		cells[i].Start, cells[i].Form = start, report.Exact
	}
	slices.SortFunc(cells, func(a, b report.Cell) int { return a.Series.Compare(b.Series) })
	return cells, zero
}

// unions is the people of days by what the properties of breakdown b say (traits are
// left for later).
func (r *run) unions(b int, days []*day) map[uint32]*roaring.Bitmap {
	out := map[uint32]*roaring.Bitmap{}
	same := map[group]uint32{}
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
func (r *run) propKey(b int, combo uint32) (k group) {
	for i := range r.breaks[b].dims {
		if d := &r.breaks[b].dims[i]; !d.trait {
			if i == 0 {
				k.v1 = r.combos[combo][d.place]
			} else {
				k.v2 = r.combos[combo][d.place]
			}
		}
	}
	return k
}

func exact(s report.Series, v float64) report.Cell { return report.Cell{Series: s, Lo: v, Hi: v} }

func (f *Fold) actives(r *run, g report.Grain, days []*day) (cells []report.Cell, zero bool) {
	var total uint64
	for b := range r.breaks {
		counts := map[group]uint64{}
		for combo, set := range r.unions(b, days) {
			plain := !r.breaks[b].hasTraits()
			fixed := group{}
			if plain {
				fixed = r.key(b, combo, f.people, people.Nobody)
			}
			it := set.Iterator()
			for it.HasNext() {
				id := it.Next()
				switch {
				case !r.counts(f.people, id):
				case plain:
					counts[fixed]++
				default:
					counts[r.key(b, combo, f.people, id)]++
				}
			}
		}
		if b == 0 {
			total = counts[group{}]
			cells = append(cells, exact(r.series(group{}, g, report.Value), float64(total)))
			continue
		}
		for k, n := range counts {
			cells = append(cells, exact(r.series(k, g, report.Value), float64(n)))
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

func (f *Fold) lifecycle(r *run, g report.Grain, first, last int64) (cells []report.Cell, zero bool) {
	here := r.people.held(first, last)
	before := r.people.held(report.CivilStart(g, first-1), first-1)
	fields := r.m.Fields()
	for b := range r.breaks {
		counts := map[group]*[4]uint64{}
		note := func(combo, id uint32, what int) {
			k := r.key(b, combo, f.people, id)
			if counts[k] == nil {
				counts[k] = new([4]uint64)
			}
			counts[k][what]++
		}
		now, then := r.unions(b, here), map[group]*roaring.Bitmap{}
		for combo, set := range r.unions(b, before) {
			k := r.propKey(b, combo)
			then[k] = set
			it := set.Iterator()
			for it.HasNext() {
				if id := it.Next(); r.counts(f.people, id) && !inAny(now, r, b, k, id) {
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
				case !r.counts(f.people, id):
				case f.isNew(r, id, first, last):
					note(combo, id, isNew)
				case prev != nil && prev.Contains(id):
					note(combo, id, isRetained)
				default:
					note(combo, id, isResurrected)
				}
			}
		}
		if b == 0 && counts[group{}] == nil {
			counts[group{}] = new([4]uint64)
		}
		for k, c := range counts {
			for i, field := range fields {
				cells = append(cells, exact(r.series(k, g, field), float64(c[i])))
			}
		}
		if b == 0 {
			c := counts[group{}]
			zero = c[isNew]+c[isRetained]+c[isResurrected] == 0
		}
	}
	return cells, zero
}

func inAny(now map[uint32]*roaring.Bitmap, r *run, b int, k group, id uint32) bool {
	for combo, set := range now {
		if r.propKey(b, combo) == k {
			return set.Contains(id)
		}
	}
	return false
}

// isNew: first activity of this measure in these days, and not existing.
func (f *Fold) isNew(r *run, id uint32, first, last int64) bool {
	if int(id) >= len(r.people.first) {
		return false
	}
	if d := int64(r.people.first[id]); d < first || d > last {
		return false
	}
	return !f.existing(id)
}

// existing users had their first activity in the first 28 days, or were created before.
func (f *Fold) existing(id uint32) bool {
	if int64(f.people.First(id)) < f.started+28 {
		return true
	}
	at, known := f.people.Created(id)
	return known && at < f.cal.begin(f.started)
}

func (f *Fold) tallies(r *run, g report.Grain, days []*day) (cells []report.Cell, zero bool) {
	counts := map[group]*[2]uint64{{}: {}}
	for _, d := range days {
		for k, n := range d.tally {
			if !r.counts(f.people, k.user) {
				continue
			}
			for b := range r.breaks {
				to := r.key(b, k.combo, f.people, k.user)
				if counts[to] == nil {
					counts[to] = new([2]uint64)
				}
				counts[to][k.bin] += n
			}
		}
	}
	for k, c := range counts {
		if r.m.Kind == catalog.SLO {
			cells = append(cells, exact(r.series(k, g, report.Good), float64(c[1])), exact(r.series(k, g, report.Valid), float64(c[0])))
		} else {
			cells = append(cells, exact(r.series(k, g, report.Value), float64(c[0])))
		}
	}
	return cells, *counts[group{}] == [2]uint64{}
}

func (f *Fold) distributions(r *run, g report.Grain, days []*day) (cells []report.Cell, zero bool) {
	dists := map[group]*series.Dist{{}: {}}
	add := func(k tallyKey, bin int32, n uint64, sum series.Fixed) {
		if !r.counts(f.people, k.user) {
			return
		}
		for b := range r.breaks {
			to := r.key(b, k.combo, f.people, k.user)
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
	return cells, dists[group{}].Count == 0
}

func (r *run) distCells(k group, g report.Grain, d *series.Dist) []report.Cell {
	return []report.Cell{
		exact(r.series(k, g, report.Count), float64(d.Count)),
		exact(r.series(k, g, report.Sum), d.Sum.Float()),
		{Series: r.series(k, g, report.Sketch), Blob: d.Encode()},
	}
}

package run

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/daily"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// count is a number for every value of a breakdown.
type count struct {
	b     uint8
	width int // values of the second dimension
	n     []uint64
}

func (r *Run) count(b int) count {
	c := count{b: uint8(b), width: 1}
	size := 1
	for i := range r.Breaks[b].dims {
		n := int(r.Breaks[b].dims[i].prop.Size())
		size *= n
		if i == 1 {
			c.width = n
		}
	}
	c.n = make([]uint64, size)
	return c
}

func (c *count) add(k Group, n uint64) { c.n[int(k.V1)*c.width+int(k.V2)] += n }

// each calls fn for what is not zero, and always for a total.
func (c *count) each(fn func(k Group, n uint64)) {
	for i, n := range c.n {
		if n != 0 || c.b == 0 {
			fn(Group{c.b, uint16(i / c.width), uint16(i % c.width)}, n)
		}
	}
}

func (f *World) actives(r *Run, g report.Grain, days []*daily.Day) (cells []report.Cell, zero bool) {
	all := f.unions(r, 0, days)
	for b := range r.Breaks {
		c := r.count(b)
		traits, sets := r.Breaks[b].hasTraits(), all
		if b > 0 && len(r.Props) > 0 {
			sets = f.unions(r, b, days)
		}
		for k, set := range sets {
			ids := f.who(r, set)
			k.B = uint8(b)
			if !traits {
				c.add(k, uint64(len(ids)))
				continue
			}
			for _, id := range ids {
				c.add(r.withTraits(k, f.People, id), 1)
			}
		}
		if b == 0 {
			zero = c.n[0] == 0
		}
		c.each(func(k Group, n uint64) { cells = append(cells, Exact(r.series(k, g, report.Value), float64(n))) })
	}
	return cells, zero
}

// lifecycle fields in the order of catalog.Measure.Fields.
const (
	isNew = iota
	isRetained
	isResurrected
	isDormant
)

func (f *World) lifecycle(r *Run, g report.Grain, start int64, here []*daily.Day) (cells []report.Cell, zero bool) {
	first, last := report.CivilDays(g, start)
	before := r.People.Book.In(daily.Window{Grain: g, Start: report.CivilStart(g, first-1)})
	fields := r.M.Fields()
	for b := range r.Breaks {
		counts := map[Group]*[4]uint64{}
		note := func(k Group, id uint32, what int) {
			k = r.withTraits(k, f.People, id)
			if counts[k] == nil {
				counts[k] = new([4]uint64)
			}
			counts[k][what]++
		}
		now, then := f.unions(r, b, here), f.unions(r, b, before)
		for k, set := range then {
			for _, id := range f.who(r, set) {
				if now[k] == nil || !now[k].Contains(id) {
					note(k, id, isDormant)
				}
			}
		}
		for k, set := range now {
			for _, id := range f.who(r, set) {
				switch {
				case f.isNew(r, id, first, last):
					note(k, id, isNew)
				case then[k] != nil && then[k].Contains(id):
					note(k, id, isRetained)
				default:
					note(k, id, isResurrected)
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

// isNew: first activity of this measure in these days, and not existing.
func (f *World) isNew(r *Run, id uint32, first, last int64) bool {
	d := int64(r.People.first(id))
	return d >= first && d <= last && !f.existing(id)
}

// existing users had their first activity in the first 28 days, or were created before.
func (f *World) existing(id uint32) bool {
	if int64(f.People.First(id)) < f.Started+28 {
		return true
	}
	at, known := f.People.Created(id)
	return known && at < f.Cal.Begin(f.Started)
}

func (f *World) tallies(r *Run, g report.Grain, days []*daily.Day) (cells []report.Cell, zero bool) {
	var counts [2][]count // by bin
	for bin := range counts {
		for b := range r.Breaks {
			counts[bin] = append(counts[bin], r.count(b))
		}
	}
	for _, d := range days {
		d.Rows(func(k daily.Key, n uint64) {
			id := f.People.Now(k.User)
			if !r.Counts(f.People, id) {
				return
			}
			for b := range r.Breaks {
				counts[k.Bin&1][b].add(r.Key(b, k.Part, f.People, id), n)
			}
		})
	}
	for b := range r.Breaks {
		if r.M.Kind == catalog.Count {
			counts[0][b].each(func(k Group, n uint64) { cells = append(cells, Exact(r.series(k, g, report.Value), float64(n))) })
			continue
		}
		for i, n := range counts[0][b].n {
			if good := counts[1][b].n[i]; n+good != 0 || b == 0 {
				k := Group{uint8(b), uint16(i / counts[0][b].width), uint16(i % counts[0][b].width)}
				cells = append(cells, Exact(r.series(k, g, report.Good), float64(good)), Exact(r.series(k, g, report.Valid), float64(n)))
			}
		}
	}
	return cells, counts[0][0].n[0]+counts[1][0].n[0] == 0
}

func (f *World) distributions(r *Run, g report.Grain, days []*daily.Day) (cells []report.Cell, zero bool) {
	dists := map[Group]*series.Dist{{}: {}}
	type found struct {
		k Group
		d *series.Dist
	}
	last := make([]found, len(r.Breaks)) // most rows belong to the group of the row before
	add := func(k daily.Key, bin int32, n uint64, sum series.Fixed) {
		id := f.People.Now(k.User)
		if !r.Counts(f.People, id) {
			return
		}
		for b := range r.Breaks {
			to := r.Key(b, k.Part, f.People, id)
			if last[b].d == nil || last[b].k != to {
				if dists[to] == nil {
					dists[to] = &series.Dist{}
				}
				last[b] = found{to, dists[to]}
			}
			if d := last[b].d; n > 0 {
				d.Add(bin, n, sum)
			} else {
				d.Sum = d.Sum.Add(sum)
			}
		}
	}
	for _, d := range days {
		d.Rows(func(k daily.Key, n uint64) { add(k, k.Bin, n, series.Fixed{}) })
		d.Sums(func(k daily.Key, v series.Fixed) { add(k, 0, 0, v) })
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

// see notes activity on a day.
func (s *Person) see(id uint32, day int32) {
	for int(id) >= len(s.First) {
		s.First = append(s.First, people.NoDay)
	}
	if day < s.First[id] {
		s.First[id] = day
		s.firsts++
	}
}

// first is the first day of a person in this measure, people.NoDay when there was none.
func (s *Person) first(id uint32) int32 {
	if int(id) < len(s.First) {
		return s.First[id]
	}
	return people.NoDay
}

// over counts the sets of a part from a window's first day on.
func (f *World) over(r *Run, start int64, part uint32) daily.Weeks {
	first, _ := report.CivilDays(report.Rolling28, start)
	return r.People.Book.Weeks(first, part, f.People.Len(), f.People.Resolve)
}

// on is who was in a part on a day, under the number they have now; nil for nobody.
func (f *World) on(r *Run, no int64, part uint32) *roaring.Bitmap {
	d := r.People.Book.Day(no)
	if d == nil {
		return nil
	}
	set := d.Set(part)
	if set == nil {
		return nil
	}
	return f.People.Resolve(set)
}

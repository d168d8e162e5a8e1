package run

import (
	"math/bits"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/daily"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const hourNs = int64(time.Hour)

// hoursMost bounds the clock hours that touch one local day: a day of 25 hours that does not begin
// on one touches 26; zones that leave a calendar have made days of 48.
const hoursMost = 64

// isWorkday reports whether people work on a civil day, as the site says.
func (f *World) isWorkday(no int64) bool { return f.Workdays[((no+4)%7+7)%7] }

func (f *World) stickiness(r *Run, g report.Grain, start int64) (cells []report.Cell, zero bool) {
	first, last := report.CivilDays(g, start)
	w := f.over(r, start, 0)
	var active, daily, working, workdays uint64
	var bins [6]uint64
	counted := f.who(r, w.All)
	for _, id := range counted {
		daily += uint64(w.Days[id])
		bins[calendar.DayBin(int(w.Days[id]))]++
	}
	active = uint64(len(counted))
	here := roaring.BitmapOf(counted...)
	for no := first; no <= last; no++ {
		if !f.isWorkday(no) {
			continue
		}
		workdays++
		if set := f.on(r, no, 0); set != nil {
			working += set.AndCardinality(here)
		}
	}
	for i, field := range r.M.Fields() {
		cells = append(cells, Exact(r.series(Group{}, g, field), float64([...]uint64{active, daily, working, workdays}[i])))
	}
	for i, n := range bins {
		if n > 0 {
			cells = append(cells, Exact(r.series(Group{B: 1, V1: uint16(i)}, g, report.Value), float64(n)))
		}
	}
	return cells, active == 0
}

// use notes the use of a feature, or, with part 0, what makes a user eligible.
func (s *Person) use(fd *Feed, dayNo int64, id uint32) {
	d := s.Book.At(dayNo)
	d.Add(fd.Part, id)
	// Uses on two days are two uses: only a higher bar must be counted.
	if fd.Part > 0 && fd.R.M.Uses > 2 {
		d.Count(daily.Key{User: id, Part: fd.Part}, 1)
	}
}

func (f *World) adoption(r *Run, g report.Grain, start int64) (cells []report.Cell, zero bool) {
	first, last := report.CivilDays(g, start)
	var days []*daily.Day
	for no := first; no <= last; no++ {
		if d := r.People.Book.Day(no); d != nil {
			days = append(days, d)
		}
	}
	eligible := roaring.New()
	for _, id := range f.who(r, f.union(days, 0)) {
		fits := true
		for i := range r.Eligible {
			fits = fits && r.Eligible[i].Holds(f.People, id)
		}
		if fits {
			eligible.Add(id)
		}
	}
	cells = append(cells, Exact(r.series(Group{}, g, report.Value), float64(eligible.GetCardinality())))
	uses, fields := f.uses(r, days), r.M.FieldsOf(1)
	for i := range r.M.Features {
		part := uint32(i + 1)
		w := f.over(r, start, part)
		w.All.And(eligible)
		var adopted, habitual uint64
		for _, id := range w.All.ToArray() {
			if w.Days[id] >= 2 && (r.M.Uses <= 2 || uses[part][id] >= uint64(r.M.Uses)) {
				adopted++
			}
			if bits.OnesCount8(w.Weeks[id]) >= 3 {
				habitual++
			}
		}
		for j, field := range fields {
			if n := [...]uint64{w.All.GetCardinality(), adopted, habitual}[j]; n > 0 {
				cells = append(cells, Exact(r.series(Group{B: 1, V1: uint16(i)}, g, field), float64(n)))
			}
		}
	}
	return cells, eligible.IsEmpty()
}

// uses is how often each user used each feature, by part and user, where days alone do not tell.
func (f *World) uses(r *Run, days []*daily.Day) [][]uint64 {
	if r.M.Uses <= 2 {
		return nil
	}
	uses := make([][]uint64, len(r.M.Features)+1)
	for part := range uses {
		uses[part] = make([]uint64, f.People.Len())
	}
	for _, d := range days {
		d.Rows(func(k daily.Key, n uint64) {
			if id := f.People.Now(k.User); int(id) < f.People.Len() {
				uses[k.Part][id] += n
			}
		})
	}
	return uses
}

// Seats is the numbers of seats as they were received.
type Seats struct {
	Purchased, Assigned []Bought // by day, the last one each
}

// Bought is a number received on a day.
type Bought struct {
	Day   int64
	Value float64
}

// Learn takes a number received now, on a day.
func Learn(to *[]Bought, day int64, v float64) {
	if n := len(*to); n > 0 && (*to)[n-1].Day >= day {
		(*to)[n-1].Value = v
		return
	}
	*to = append(*to, Bought{day, v})
}

// known is what was known at the end of a day.
func known(of []Bought, day int64) (v float64, ok bool) {
	for _, b := range of {
		if b.Day > day {
			break
		}
		v, ok = b.Value, true
	}
	return v, ok
}

// prune keeps of the days before one only the last number.
func (s *Seats) prune(before int64) {
	for _, of := range []*[]Bought{&s.Purchased, &s.Assigned} {
		n := 0
		for n+1 < len(*of) && (*of)[n+1].Day < before {
			n++
		}
		*of = append((*of)[:0:0], (*of)[n:]...)
	}
}

func (f *World) seats(r *Run, g report.Grain, start int64) (cells []report.Cell, zero bool) {
	first, last := report.CivilDays(g, start)
	s := r.People.Seats
	all := roaring.New()
	var peak, atCap uint64
	var before *roaring.Bitmap // who was there in the hour in which the day before ended
	for no := first; no <= last; no++ {
		d := r.People.Book.Day(no)
		if d == nil {
			if cap, ok := known(s.Purchased, no); ok && cap <= 0 {
				atCap++
			}
			before = nil
			continue
		}
		var high uint64
		var ending *roaring.Bitmap
		ends := calendar.FloorDiv(f.Cal.Begin(no+1), hourNs) - calendar.FloorDiv(f.Cal.Begin(no), hourNs)
		d.Each(func(hour uint32, set *roaring.Bitmap) {
			ids := f.who(r, f.People.Resolve(set))
			all.AddMany(ids)
			high = max(high, uint64(len(ids)))
			if hour == 0 && before != nil { // midnight is not on the hour
				before.AddMany(ids)
				peak = max(peak, before.GetCardinality())
			}
			if int64(hour) == ends {
				ending = roaring.BitmapOf(ids...)
			}
		})
		before = ending
		peak = max(peak, high)
		if cap, ok := known(s.Purchased, no); ok && float64(high) >= cap {
			atCap++
		}
	}
	add := func(field report.Field, v float64) {
		cells = append(cells, Exact(r.series(Group{}, g, field), v))
	}
	if g == report.Rolling28 {
		add(report.Value, float64(all.GetCardinality()))
	}
	if n := len(s.Purchased); n > 0 {
		add(report.Purchased, s.Purchased[n-1].Value)
	}
	if n := len(s.Assigned); n > 0 {
		add(report.Assigned, s.Assigned[n-1].Value)
	}
	add(report.Peak, float64(peak))
	if g == report.Rolling28 && len(s.Purchased) > 0 {
		add(report.AtCap, float64(atCap))
	}
	return cells, all.IsEmpty()
}

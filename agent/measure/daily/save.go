package daily

import (
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Save writes which days and rests there are; Sections writes them.
func (b *Book) Save(w *wire.Writer) {
	days := b.Days()
	w.Uint(uint64(len(days)))
	for _, no := range days {
		w.Int(no)
	}
	rests := b.Rests()
	w.Uint(uint64(len(rests)))
	for _, x := range rests {
		w.Uint(uint64(x.Grain))
		w.Int(x.Start)
	}
}

// Sections are the days and rests, each by itself, under keys that begin with prefix.
func (b *Book) Sections(prefix string) (out []wire.Section) {
	add := func(key string, d *Day) {
		out = append(out, wire.Section{Key: key, Versioned: true, Version: d.version, Write: func(w *wire.Writer) { w.Raw(d.bytes()) }})
	}
	for _, no := range b.Days() {
		add(dayKey(prefix, no), b.days[no])
	}
	for _, x := range b.Rests() {
		add(restKey(prefix, x), b.rest[x])
	}
	return out
}

func dayKey(prefix string, no int64) string  { return fmt.Sprintf("%sday/%d", prefix, no) }
func restKey(prefix string, x Window) string { return fmt.Sprintf("%s%s/%d", prefix, x.Grain, x.Start) }

// Load reads what Save and Sections wrote; get gives a section by its key. Days are sealed.
func Load(in *wire.Reader, prefix string, persons, parts int, get func(key string) *wire.Reader) *Book {
	b := NewBook()
	take := func(key string) *Day {
		d := &Day{raw: get(key).Rest()}
		if err := check(d.raw, persons, parts); err != nil {
			in.Fail(key + ": " + err.Error())
		}
		return d
	}
	for n := in.Count(); n > 0 && in.Err() == nil; n-- {
		no := in.Int()
		b.days[no] = take(dayKey(prefix, no))
	}
	for n := in.Count(); n > 0 && in.Err() == nil; n-- {
		x := Window{report.Grain(in.Below(int(report.Block12w) + 1)), in.Int()}
		b.rest[x] = take(restKey(prefix, x))
	}
	return b
}

// check walks through a day.
func check(b []byte, persons, parts int) error {
	r := wire.NewReader(b)
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		if r.Below(parts); r.Err() != nil {
			break
		}
		size := r.Count()
		set := roaring.New()
		if _, err := set.FromBuffer(r.Take(size)); err != nil {
			return err
		}
		if err := set.Validate(); err != nil {
			return err
		}
		if set.IsEmpty() || int64(set.Maximum()) >= int64(persons) {
			r.Fail("a person who is not there")
		}
	}
	for sums := range 2 {
		checkRows(r, sums == 1, persons, parts)
	}
	return r.End()
}

func checkRows(r *wire.Reader, sums bool, persons, parts int) {
	n := r.Count()
	var flags [1]byte
	r.Raw(flags[:])
	user := uint32(0)
	for ; n > 0 && r.Err() == nil; n-- {
		user += uint32(r.Uint())
		if int64(user) >= int64(persons) && user != ^uint32(0) {
			r.Fail("a person who is not there")
		}
		if flags[0]&hasPart != 0 {
			r.Below(parts)
		}
		if flags[0]&hasBin != 0 {
			r.Int()
		}
		if sums {
			series.LoadFixed(r)
		} else {
			r.Uint()
		}
	}
}

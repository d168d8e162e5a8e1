package daily

import (
	"fmt"

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
		out = append(out, wire.Section{Key: key, Versioned: true, Version: d.version, Dense: true, Write: func(w *wire.Writer) { shrink(w, d.bytes()) }})
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
		r := get(key)
		d := &Day{raw: stretch(r, persons, parts)}
		if r.Err() != nil {
			in.Fail(key + ": " + r.Err().Error())
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

// Package pack encodes closed windows as the fold and history keep them: many of one measure and
// grain, one after the other, about 15 bytes each and 6 for each cell.
//
// Invariants: what Add encodes Each gives back; reading allocates no more than the bytes allow.
package pack

import (
	"cmp"
	"math"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const grains = int(report.Change) + 1

// Window is a closed window as history keeps it.
type Window struct {
	Run     uint32  // which run of the measure: see Run in the package comment
	Measure string  // id
	Catalog [8]byte // prefix of the hash of the catalog that names the cells
	Grain   report.Grain
	Start   int64
	Closed  int64
	Cells   []report.Cell
}

// Append encodes the window at the end of w: about 15 bytes and 6 for each cell.
func (s *Window) Append(w *wire.Writer) {
	w.Uint(uint64(s.Run))
	w.Raw(s.Catalog[:])
	w.Int(s.Start)
	w.Int(s.Closed)
	w.Uint(uint64(len(s.Cells)))
	for i := range s.Cells {
		c := &s.Cells[i]
		w.Uint(uint64(c.Measure))
		w.Uint(uint64(c.Field)<<1 | uint64(whole(c.Lo)))
		w.Uint(uint64(c.Breakdown))
		if c.Breakdown != 0 {
			w.Uint(uint64(c.V1))
			w.Uint(uint64(c.V2))
		}
		switch {
		case c.Field.IsBlob():
			w.Bytes(c.Blob)
		case whole(c.Lo) == 1:
			w.Int(int64(c.Lo))
		default:
			w.Float(c.Lo)
		}
	}
}

// whole is 1 for a number that an int64 holds exactly. Minus zero is not one.
func whole(v float64) int {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 && !(v == 0 && math.Signbit(v)) {
		return 1
	}
	return 0
}

// Read reads what Append wrote; measure and grain are those it was kept under.
func Read(r *wire.Reader, measure string, g report.Grain) Window {
	s := Window{Measure: measure, Grain: g, Run: uint32(r.Uint())}
	r.Raw(s.Catalog[:])
	s.Start = r.Int()
	s.Closed = r.Int()
	n := r.Count()
	s.Cells = make([]report.Cell, 0, n)
	for ; n > 0 && r.Err() == nil; n-- {
		c := report.Cell{Start: s.Start, Form: report.Exact}
		c.Grain = g
		c.Measure = uint16(r.Below(1 << 16))
		f := r.Below(1 << 9)
		c.Field = report.Field(f >> 1)
		c.Breakdown = uint8(r.Below(1 << 8))
		if c.Breakdown != 0 {
			c.V1, c.V2 = uint16(r.Below(1<<16)), uint16(r.Below(1<<16))
		}
		switch {
		case c.Field.IsBlob():
			c.Blob = r.Bytes()
		case f&1 == 1:
			c.Lo = float64(r.Int())
		default:
			c.Lo = r.Float()
		}
		c.Hi = c.Lo
		s.Cells = append(s.Cells, c)
	}
	return s
}

// Pack is closed windows of one measure and grain, encoded one after the other.
type Pack struct {
	Measure string
	Grain   report.Grain
	Windows int
	Min     int64 // smallest and largest start
	Max     int64
	Data    []byte
}

// Add encodes one more window.
func (p *Pack) Add(s *Window) {
	if p.Windows == 0 {
		p.Min, p.Max = s.Start, s.Start
	}
	p.Min, p.Max = min(p.Min, s.Start), max(p.Max, s.Start)
	p.Windows++
	w := wire.Writer{B: p.Data}
	s.Append(&w)
	p.Data = w.B
}

// Each calls fn for every window; an error of fn ends it.
func (p *Pack) Each(fn func(Window) error) error {
	r := wire.NewReader(p.Data)
	for range p.Windows {
		s := Read(r, p.Measure, p.Grain)
		if r.Err() != nil {
			return r.Err()
		}
		if err := fn(s); err != nil {
			return err
		}
	}
	return nil
}

// Save writes the pack.
func (p *Pack) Save(w *wire.Writer) {
	w.String(p.Measure)
	w.Uint(uint64(p.Grain))
	w.Uint(uint64(p.Windows))
	w.Int(p.Min)
	w.Int(p.Max)
	w.Bytes(p.Data)
}

// Load reads what Save wrote and checks that it can be read through.
func Load(r *wire.Reader) *Pack {
	p := &Pack{Measure: r.String(), Grain: report.Grain(r.Below(grains)), Windows: r.Below(1 << 40), Min: r.Int(), Max: r.Int(), Data: r.Bytes()}
	if r.Err() != nil {
		return p
	}
	in := wire.NewReader(p.Data)
	for i := 0; i < p.Windows && in.Err() == nil; i++ {
		Read(in, p.Measure, p.Grain)
	}
	if in.Err() != nil || in.Left() > 0 {
		r.Fail("closed windows")
	}
	return p
}

// Compare orders packs by measure and grain.
func Compare(a, b *Pack) int {
	if c := cmp.Compare(a.Measure, b.Measure); c != 0 {
		return c
	}
	return cmp.Compare(a.Grain, b.Grain)
}

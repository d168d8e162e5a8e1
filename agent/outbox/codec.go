package outbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// The shelf as bytes, all integers as varints:
//
//	"FPSHELF" version(1) markEpoch(16) markSeq overLimit unfit withdrawn
//	groups { catalog(32) consent(32) simulated(1) zone tzdata cells { cell } }
//	crc32c(4) over all before
const (
	shelfMagic   = "FPSHELF"
	shelfVersion = 1
)

var errShelf = errors.New("saved shelf is damaged")

// Save gives the shelf as bytes. The agent commits them together with the fold's
// checkpoint, as one file.
func (o *Outbox) Save() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.mark
	if !o.replay {
		m = o.tip()
	}
	b := append([]byte(shelfMagic), shelfVersion)
	b = append(b, m.epoch[:]...)
	c := &o.shelf.counts
	for _, n := range []uint64{m.seq, c.OverLimit, c.Unfit, c.Withdrawn, uint64(len(o.shelf.groups))} {
		b = binary.AppendUvarint(b, n)
	}
	for _, g := range o.shelf.groups {
		b = append(append(b, g.origin.Catalog[:]...), g.origin.Consent[:]...)
		b = append(b, flag(g.origin.Simulated))
		b = appendString(appendString(b, g.origin.Zone), g.origin.Tzdata)
		b = binary.AppendUvarint(b, uint64(len(g.cells)))
		for i := range g.cells {
			b = appendCell(b, &g.cells[i])
		}
	}
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendCell(b []byte, c *report.Cell) []byte {
	b = binary.AppendUvarint(b, uint64(c.Measure))
	b = append(b, byte(c.Field), byte(c.Grain), c.Breakdown, byte(c.Form))
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(c.V1)), uint64(c.V2))
	b = binary.AppendVarint(b, c.Start)
	if c.Form.HasNumbers() {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(c.Lo))
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(c.Hi))
		b = appendString(b, c.Blob)
	}
	return b
}

// load fills the shelf from a saved one, leaving out what newer batches hold.
func (o *Outbox) load(saved []byte) error {
	r := reader{b: saved}
	if len(saved) > 0 {
		n := len(saved) - 4
		if n < len(shelfMagic)+1 || string(saved[:len(shelfMagic)]) != shelfMagic || binary.BigEndian.Uint32(saved[n:]) != checksum(saved[:n]) {
			return errShelf
		}
		if v := saved[len(shelfMagic)]; v != shelfVersion {
			return fmt.Errorf("reading a saved shelf: version %d, this agent knows %d", v, shelfVersion)
		}
		r.b = saved[len(shelfMagic)+1 : n]
		r.read(o.mark.epoch[:])
		o.mark.seq = r.uvarint()
	}
	taken, err := o.since(o.mark, o.shelf.window)
	if err != nil {
		return err
	}
	o.shelf.taken = taken
	if len(saved) == 0 {
		return nil
	}
	c := &o.shelf.counts
	c.OverLimit, c.Unfit, c.Withdrawn = r.uvarint(), r.uvarint(), r.uvarint()
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		var g Origin
		r.read(g.Catalog[:])
		r.read(g.Consent[:])
		g.Simulated = r.byte() == 1
		g.Zone, g.Tzdata = string(r.bytes()), string(r.bytes())
		for k := r.uvarint(); k > 0 && !r.bad; k-- {
			if c := r.cell(); !r.bad {
				o.shelf.put(g, c)
			}
		}
	}
	if r.bad || len(r.b) > 0 {
		return errShelf
	}
	return nil
}

// reader takes bytes apart; after the first failure it gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) read(to []byte) { copy(to, r.take(uint64(len(to)))) }

func (r *reader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.take(uint64(max(n, 0)))
	r.bad = r.bad || n <= 0
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.take(uint64(max(n, 0)))
	r.bad = r.bad || n <= 0
	return v
}

func (r *reader) bytes() []byte { return r.take(r.uvarint()) }

func (r *reader) float() float64 {
	if b := r.take(8); len(b) == 8 {
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) cell() report.Cell {
	var c report.Cell
	c.Measure = uint16(r.uvarint())
	c.Field, c.Grain, c.Breakdown, c.Form = report.Field(r.byte()), report.Grain(r.byte()), r.byte(), report.Form(r.byte())
	c.V1, c.V2 = uint16(r.uvarint()), uint16(r.uvarint())
	c.Start = r.varint()
	if c.Form.HasNumbers() {
		c.Lo, c.Hi = r.float(), r.float()
		if b := r.bytes(); len(b) > 0 {
			c.Blob = bytes.Clone(b)
		}
	}
	return c
}

// tip is how far freezing has come.
func (o *Outbox) tip() mark {
	if e := o.current(); e != nil {
		return mark{e.ID, e.LastSeq}
	}
	return mark{}
}

// since collects the windows that batches frozen after m hold, from files and archive, named
// by key. A batch that is in neither was trimmed long ago and cannot come again.
func (o *Outbox) since(m mark, key func(exchange.Hash, *report.Cell) window) (map[window]struct{}, error) {
	windows := map[window]struct{}{}
	after := m.epoch == exchange.ID{} || o.byID(m.epoch) == nil
	for _, e := range o.epochs {
		from := uint64(1)
		switch {
		case e.Foreign:
			continue
		case e.ID == m.epoch:
			after, from = true, m.seq+1
		case !after:
			continue
		}
		for seq := from; seq <= e.newest(); seq++ {
			b, err := o.open(e, seq)
			if err != nil {
				return nil, err
			}
			if b == nil {
				continue
			}
			for i := range b.Cells {
				windows[key(b.Header.Catalog, &b.Cells[i])] = struct{}{}
			}
		}
	}
	return windows, nil
}

package batch

import (
	"encoding/binary"
	"math/bits"

	"github.com/fieldpost/fieldpost/protocol/batch/internal/intcol"
	"github.com/fieldpost/fieldpost/protocol/report"
	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of Columns in batch.proto.
const (
	fSeries  = 1
	fWindows = 2
	fForms   = 3
	fNumbers = 4
	fBands   = 5
	fBlobs   = 6
)

const (
	numGrains = 10
	numFields = report.Fields
)

// run is a stretch of consecutive windows of one grain, by ordinal.
type run struct{ at, n int64 }

// columns turns ordered, checked cells into the column block and back. It is scratch
// space that is used again; not safe for concurrent use.
type columns struct {
	series []report.Series
	first  []int32 // first[i] is where the cells of series[i] begin; one more at the end
	list   []int32 // which window list a series has

	runs    []run            // of all window lists
	listEnd []int32          // where the list's runs end
	lists   map[string]int32 // list by its runs' bytes
	key     []byte

	next         []int32 // next series of the same grain and field
	idx, ref     []int32
	vals, diffs  []int64
	kinds, use   []int64
	floats, refs []float64
	plan1, plan2 intcol.Planner
	ints         [6][]int64
	section      []byte
	bands        bandBook
}

// append writes the column block. Cells are ordered and each passes checkCell.
func (c *columns) append(b []byte, cells []report.Cell) ([]byte, error) {
	if err := c.split(cells); err != nil {
		return nil, err
	}
	for n, write := range [...]func([]byte, []report.Cell) []byte{
		fSeries: c.appendSeries, fWindows: c.appendWindows, fForms: c.appendForms,
		fNumbers: c.appendNumbers, fBands: c.appendBands, fBlobs: c.appendBlobs,
	} {
		if write == nil {
			continue
		}
		if c.section = write(c.section[:0], cells); len(c.section) > 0 {
			b = protowire.AppendTag(b, protowire.Number(n), protowire.BytesType)
			b = protowire.AppendBytes(b, c.section)
		}
	}
	return b, nil
}

// split finds series and window lists.
func (c *columns) split(cells []report.Cell) error {
	c.series, c.first, c.list = c.series[:0], c.first[:0], c.list[:0]
	c.runs, c.listEnd = c.runs[:0], c.listEnd[:0]
	if c.lists == nil {
		c.lists = map[string]int32{}
	}
	clear(c.lists)
	for i := 0; i < len(cells); {
		s := cells[i].Series
		c.series, c.first = append(c.series, s), append(c.first, int32(i))
		from := len(c.runs)
		for ; i < len(cells) && cells[i].Series == s; i++ {
			at, ok := ordinal(s.Grain, cells[i].Start)
			if !ok {
				return fail(ErrWindow, "no window of grain %s starts at %d", s.Grain, cells[i].Start)
			}
			if last := len(c.runs) - 1; last >= from && c.runs[last].at+c.runs[last].n == at {
				c.runs[last].n++
			} else {
				c.runs = append(c.runs, run{at, 1})
			}
		}
		c.list = append(c.list, c.intern(from))
	}
	c.first = append(c.first, int32(len(cells)))
	return nil
}

// intern makes the runs from there on a list, or drops them if there is the same one.
func (c *columns) intern(from int) int32 {
	c.key = c.key[:0]
	for _, r := range c.runs[from:] {
		c.key = binary.AppendUvarint(binary.AppendUvarint(c.key, uint64(r.at)), uint64(r.n))
	}
	if at, ok := c.lists[string(c.key)]; ok {
		c.runs = c.runs[:from]
		return at
	}
	at := int32(len(c.listEnd))
	c.lists[string(c.key)] = at
	c.listEnd = append(c.listEnd, int32(len(c.runs)))
	return at
}

func (c *columns) listRuns(i int32) []run {
	from := int32(0)
	if i > 0 {
		from = c.listEnd[i-1]
	}
	return c.runs[from:c.listEnd[i]]
}

func (c *columns) appendInts(b []byte, v []int64) []byte { return c.plan1.Append(b, v) }

// appendSeries writes the table: groups of (measure, grain, breakdown), rows of listed
// values within a group, and each row's set of fields.
func (c *columns) appendSeries(b []byte, _ []report.Cell) []byte {
	measures, kinds, rows := c.ints[0][:0], c.ints[1][:0], c.ints[2][:0]
	v1, v2, masks := c.ints[3][:0], c.ints[4][:0], c.ints[5][:0]
	var last report.Series
	prev, prevKind := int64(0), int64(0)
	for i, s := range c.series {
		newGroup := i == 0 || s.Measure != last.Measure || s.Grain != last.Grain || s.Breakdown != last.Breakdown
		if newGroup {
			kind := int64(s.Grain)*256 + int64(s.Breakdown)
			measures = append(measures, int64(s.Measure)-nextMeasure(prev, prevKind, kind))
			kinds = append(kinds, kind)
			prev, prevKind = int64(s.Measure), kind
			if s.Breakdown > 0 {
				rows = append(rows, 0)
			}
		}
		if newGroup || s.V1 != last.V1 || s.V2 != last.V2 {
			masks = append(masks, 0)
			if s.Breakdown > 0 {
				rows[len(rows)-1]++
				v1, v2 = append(v1, int64(s.V1)), append(v2, int64(s.V2))
			}
		}
		masks[len(masks)-1] |= 1 << (s.Field - 1)
		last = s
	}
	if len(c.series) > 0 {
		b = binary.AppendUvarint(b, uint64(len(measures)))
		for _, col := range [...][]int64{measures, kinds, rows, v1, v2, masks} {
			b = c.appendInts(b, col)
		}
	}
	c.ints = [...][]int64{measures, kinds, rows, v1, v2, masks}
	return b
}

// nextMeasure is the measure a group is expected to be of: the same as the group before if
// its kind (grain and breakdown) rose, else the next one.
func nextMeasure(measure, kindBefore, kind int64) int64 {
	if kind <= kindBefore {
		return measure + 1
	}
	return measure
}

// appendWindows writes the distinct lists of window starts and which series has which:
// 0 the one the last series of its grain had, or the next new one if it is the first of its
// grain; 1 the next new one; n+2 list n.
func (c *columns) appendWindows(b []byte, _ []report.Cell) []byte {
	if len(c.series) == 0 {
		return b
	}
	counts, starts, lens, use := c.ints[0][:0], c.ints[1][:0], c.ints[2][:0], c.ints[3][:0]
	for i := range c.listEnd {
		runs := c.listRuns(int32(i))
		counts = append(counts, int64(len(runs)))
		end := int64(0)
		for _, r := range runs {
			starts, lens = append(starts, r.at-end), append(lens, r.n-1)
			end = r.at + r.n
		}
	}
	var lastOf [numGrains]int32 // 1 + list
	fresh := int32(0)
	for i, s := range c.series {
		l, last := c.list[i], lastOf[s.Grain]-1
		switch {
		case l == last, last < 0 && l == fresh:
			use = append(use, 0)
		case l == fresh:
			use = append(use, 1)
		default:
			use = append(use, int64(l)+2)
		}
		fresh = max(fresh, l+1)
		lastOf[s.Grain] = l + 1
	}
	b = binary.AppendUvarint(b, uint64(len(counts)))
	for _, col := range [...][]int64{counts, starts, lens, use} {
		b = c.appendInts(b, col)
	}
	c.ints[0], c.ints[1], c.ints[2], c.ints[3] = counts, starts, lens, use
	return b
}

func (c *columns) appendForms(b []byte, cells []report.Cell) []byte {
	v := c.vals[:0]
	for i := range cells {
		v = append(v, int64(cells[i].Form))
	}
	c.vals = v
	return c.appendInts(b, v)
}

func (c *columns) appendBlobs(b []byte, cells []report.Cell) []byte {
	v := c.vals[:0]
	for i := range cells {
		if hasBlob(&cells[i]) {
			v = append(v, int64(len(cells[i].Blob)))
		}
	}
	c.vals = v
	b = c.appendInts(b, v)
	for i := range cells {
		b = append(b, cells[i].Blob...)
	}
	return b
}

func hasBlob(c *report.Cell) bool { return c.Field.IsBlob() && c.Form == report.Exact }

func hasValue(c *report.Cell) bool {
	return !c.Field.IsBlob() && (c.Form == report.Exact || c.Form == report.Noised)
}

func hasBand(c *report.Cell) bool {
	return !c.Field.IsBlob() && c.Form.HasNumbers() && !hasValue(c)
}

// decode reads a column block of n cells. The cells are ordered, but not yet checked one by one.
func (c *columns) decode(raw []byte, n int) ([]report.Cell, error) {
	var sec [fBlobs + 1]intcol.Reader
	err := eachField(raw, func(f protowire.Number, v fieldValue) bool {
		if f > fBlobs || len(v.bytes) == 0 {
			return false
		}
		sec[f].B = v.bytes
		return true
	})
	if err != nil {
		return nil, err
	}
	if n == 0 {
		if len(raw) > 0 {
			return nil, fail(ErrMalformed, "columns without cells")
		}
		return nil, nil
	}
	c.readSeries(&sec[fSeries], n)
	if sec[fSeries].Bad {
		return nil, fail(ErrMalformed, "series")
	}
	cells, err := c.readWindows(&sec[fWindows], n)
	if err != nil {
		return nil, err
	}
	c.vals = sec[fForms].Ints(c.vals, n)
	for i, f := range c.vals {
		if f < 0 || f > int64(report.Suppressed) {
			return nil, fail(ErrMalformed, "form %d", f)
		}
		cells[i].Form = report.Form(f)
	}
	c.readNumbers(&sec[fNumbers], cells)
	c.readBands(&sec[fBands], cells)
	if err := c.readBlobs(&sec[fBlobs], cells); err != nil {
		return nil, err
	}
	for f, s := range sec {
		if s.Bad || len(s.B) > 0 {
			return nil, fail(ErrMalformed, "column %d", f)
		}
	}
	return cells, nil
}

// readSeries fills c.series, at most n.
func (c *columns) readSeries(r *intcol.Reader, n int) {
	groups := r.Count(n)
	measures, kinds := r.Ints(c.ints[0], groups), r.Ints(c.ints[1], groups)
	broken := 0
	for _, k := range kinds {
		if k < 256 || k >= numGrains*256 {
			r.Bad = true
			return
		}
		if k%256 > 0 {
			broken++
		}
	}
	rows := r.Ints(c.ints[2], broken)
	total := 0
	for _, k := range rows {
		if k < 1 || k > int64(n-total) {
			r.Bad = true
			return
		}
		total += int(k)
	}
	allRows := total + groups - broken
	if allRows > n {
		r.Bad = true
		return
	}
	v1, v2 := r.Ints(c.ints[3], total), r.Ints(c.ints[4], total)
	masks := r.Ints(c.ints[5], allRows)
	c.ints = [...][]int64{measures, kinds, rows, v1, v2, masks}

	c.series = c.series[:0]
	var s report.Series
	measure, before := int64(0), int64(0)
	for g, k := range kinds {
		measure = nextMeasure(measure, before, k) + measures[g]
		before = k
		if measure < 0 || measure > 0xffff {
			r.Bad = true
			return
		}
		s = report.Series{Measure: uint16(measure), Grain: report.Grain(k / 256), Breakdown: uint8(k % 256)}
		in := int64(1)
		if s.Breakdown > 0 {
			in, rows = rows[0], rows[1:]
		}
		for range in {
			if s.Breakdown > 0 {
				if v1[0] < 0 || v1[0] > 0xffff || v2[0] < 0 || v2[0] > 0xffff {
					r.Bad = true
					return
				}
				s.V1, s.V2 = uint16(v1[0]), uint16(v2[0])
				v1, v2 = v1[1:], v2[1:]
			}
			mask := uint64(masks[0])
			masks = masks[1:]
			if mask == 0 || mask >= 1<<(report.Fields-1) || len(c.series)+bits.OnesCount64(mask) > n {
				r.Bad = true
				return
			}
			for ; mask != 0; mask &= mask - 1 {
				s.Field = report.Field(bits.TrailingZeros64(mask) + 1)
				c.series = append(c.series, s)
			}
		}
	}
	r.Bad = r.Bad || len(r.B) > 0
}

// readWindows makes the n cells with their series and starts.
func (c *columns) readWindows(r *intcol.Reader, n int) ([]report.Cell, error) {
	bad := fail(ErrMalformed, "windows")
	lists := r.Count(len(c.series))
	counts := r.Ints(c.ints[0], lists)
	total := 0
	for _, k := range counts {
		if k < 1 || k > int64(n-total) {
			return nil, bad
		}
		total += int(k)
	}
	starts, lens := r.Ints(c.ints[1], total), r.Ints(c.ints[2], total)
	use := r.Ints(c.ints[3], len(c.series))
	c.ints[0], c.ints[1], c.ints[2], c.ints[3] = counts, starts, lens, use
	if r.Bad || len(r.B) > 0 {
		return nil, bad
	}
	c.runs, c.listEnd = c.runs[:0], c.listEnd[:0]
	at := 0
	for _, k := range counts {
		end := int64(0)
		for range k {
			if lens[at] < 0 || lens[at] >= int64(n) {
				return nil, bad
			}
			if starts[at] < 0 || starts[at] > maxCreated {
				return nil, fail(ErrWindow, "far past or future")
			}
			run := run{end + starts[at], lens[at] + 1}
			end = run.at + run.n
			if end > maxCreated {
				return nil, fail(ErrWindow, "far future")
			}
			c.runs = append(c.runs, run)
			at++
		}
		c.listEnd = append(c.listEnd, int32(len(c.runs)))
	}
	return c.place(use, n)
}

// place gives each series its list and makes the cells.
func (c *columns) place(use []int64, n int) ([]report.Cell, error) {
	cells := make([]report.Cell, 0, n)
	c.list, c.first = c.list[:0], c.first[:0]
	var lastOf [numGrains]int64
	fresh := int64(0)
	for i, s := range c.series {
		l := use[i] - 2
		switch last := lastOf[s.Grain] - 1; {
		case use[i] == 0 && last >= 0:
			l = last
		case use[i] == 0, use[i] == 1:
			l = fresh
		}
		fresh = max(fresh, l+1)
		if l < 0 || l >= int64(len(c.listEnd)) {
			return nil, fail(ErrMalformed, "windows of series %d", i)
		}
		lastOf[s.Grain] = l + 1
		c.list, c.first = append(c.list, int32(l)), append(c.first, int32(len(cells)))
		most := maxOrdinal(s.Grain)
		for _, r := range c.listRuns(int32(l)) {
			if r.at+r.n > most {
				return nil, fail(ErrWindow, "%s windows in the far future", s.Grain)
			}
			if r.n > int64(n-len(cells)) {
				return nil, fail(ErrMalformed, "more than the %d cells declared", n)
			}
			for k := range r.n {
				cells = append(cells, report.Cell{Series: s, Start: startOf(s.Grain, r.at+k)})
			}
		}
	}
	c.first = append(c.first, int32(len(cells)))
	if len(cells) != n {
		return nil, fail(ErrMalformed, "%d cells, %d declared", len(cells), n)
	}
	return cells, nil
}

func (c *columns) readBlobs(r *intcol.Reader, cells []report.Cell) error {
	n := 0
	for i := range cells {
		if hasBlob(&cells[i]) {
			n++
		}
	}
	c.vals = r.Ints(c.vals, n)
	total := int64(0)
	for _, l := range c.vals {
		if l < 0 || l > MaxBlob {
			return fail(ErrTooLarge, "blob of %d bytes, at most %d", l, MaxBlob)
		}
		total += l
	}
	if total != int64(len(r.B)) {
		return fail(ErrMalformed, "blobs")
	}
	arena := append([]byte(nil), r.B...)
	r.B = nil
	lens := c.vals
	for i := range cells {
		if hasBlob(&cells[i]) {
			if l := lens[0]; l > 0 {
				cells[i].Blob, arena = arena[:l:l], arena[l:]
			}
			lens = lens[1:]
		}
	}
	return nil
}

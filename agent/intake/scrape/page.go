package scrape

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/identity"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

const (
	maxSeries  = 10_000 // kept of one page
	maxFigures = 200_000
	maxLabels  = 64
	maxBuckets = 512
	tolerance  = int64(5 * time.Minute)
	farthest   = math.MaxInt64 / 1_000_000 // ms, either way from 1970
)

// kind is a family's type.
type kind uint8

const (
	untyped kind = iota
	counter
	gauge
	summary
	histogram
	gaugeHistogram
	info
	stateSet
)

// part says what a sample line is of its series.
type part uint8

const (
	whole   part = iota // the value
	bucket              // of a histogram; upper is its bound
	count               // of a histogram
	sum                 // of a histogram
	created             // when the series began, in seconds
	aside               // nothing to count with: a quantile, a limit
)

// label is one label of a series. It points into the page.
type label struct{ name, value []byte }

// reading is one sample line as a page has it.
type reading struct {
	name   []byte // what the catalog may declare: of a counter with _total or without, of others the family's
	kind   kind
	part   part
	labels []label
	value  float64
	upper  float64 // bucket
	at     int64   // unix ns; 0: not said
}

var (
	errSeries  = errors.New("more than 10,000 series")
	errFigures = errors.New("more buckets and labels than fit a record")
)

// series is one series that the catalog knows, as it comes together.
type series struct {
	def    *intake.Metric
	kind   kind
	why    record.Reason // Measured: none so far
	labels []uint16
	stream uint64

	valued, counted, summed bool
	value, count, sum       float64
	start, at               int64
	buckets                 []bound
}

type bound struct{ upper, count float64 }

// page turns the readings of one page into the samples of one record.
type page struct {
	v       *intake.Vocabulary
	target  uint64 // digest of its name
	byKey   map[string]*series
	inOrder []*series
	key     []byte
	figures int

	refused record.Counts
}

func newPage(v *intake.Vocabulary, target string) *page {
	return &page{v: v, target: identity.Seal(identity.Digest([]byte(target))), byKey: map[string]*series{}}
}

// add takes one reading. An error refuses the page.
func (p *page) add(r *reading) error {
	switch {
	case r.part == aside:
		return nil
	case r.kind == summary:
		return p.summary(r)
	}
	m := p.declared(r)
	if base, ok := bytes.CutSuffix(r.name, []byte("_created")); m == nil && ok && r.part == whole {
		// In the older text format the beginning stands in a family of its own.
		began := *r
		began.name, began.part = base, created
		if m = p.declared(&began); m != nil {
			r = &began
		}
	}
	return p.put(m, r)
}

func (p *page) put(m *intake.Metric, r *reading) error {
	if m == nil || !m.On {
		if r.counts() {
			p.refused[p.missing(m)]++
		}
		return nil
	}
	s, err := p.find(m, r)
	if err != nil {
		return err
	}
	if r.part == bucket {
		if p.figures++; p.figures > maxFigures {
			return errFigures
		}
	}
	s.take(r)
	return nil
}

// missing is why what is not kept is not.
func (p *page) missing(m *intake.Metric) record.Reason {
	if m == nil && !p.v.Empty() {
		return record.UnknownEvent
	}
	return record.Off
}

// summary offers the count and the sum as counters of their own names.
func (p *page) summary(r *reading) error {
	one := *r
	one.kind = counter
	if r.part == created {
		for _, suffix := range []string{"_count", "_sum"} {
			one.name = append(slices.Clone(r.name), suffix...)
			if m := p.v.Metric(one.name); m != nil && m.On {
				if err := p.put(m, &one); err != nil {
					return err
				}
			}
		}
		return nil
	}
	suffix := "_sum"
	if r.part == count {
		suffix = "_count"
	}
	one.name, one.part = append(slices.Clone(r.name), suffix...), whole
	m := p.v.Metric(one.name)
	if m != nil || r.part == sum {
		if m == nil {
			return nil // its count stands for it
		}
		return p.put(m, &one)
	}
	if m = p.v.Metric(r.name); m == nil || !m.On {
		p.refused[p.missing(m)]++
	} else {
		p.refused[record.OverValue]++ // the catalog wants something of it that it is not
	}
	return nil
}

// declared is the metric that a reading belongs to. The exact name goes first.
func (p *page) declared(r *reading) *intake.Metric {
	if m := p.v.Metric(r.name); m != nil {
		return m
	}
	if r.kind != counter && r.part != created {
		return nil
	}
	base, total := strings.CutSuffix(string(r.name), "_total")
	if !total {
		base += "_total"
	}
	return p.v.Metric([]byte(base))
}

// counts says whether a reading stands for its series in the accounting: one of them does.
func (r *reading) counts() bool {
	if r.kind == histogram || r.kind == gaugeHistogram {
		return r.part == count
	}
	return r.part == whole
}

// find is the series of a reading.
func (p *page) find(m *intake.Metric, r *reading) (*series, error) {
	all := p.target + identity.Digest(r.nameOf(m))
	for _, l := range r.labels {
		all += pair(l)
	}
	p.key = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint16(p.key[:0], m.Def), identity.Seal(all))
	if s := p.byKey[string(p.key)]; s != nil {
		return s, nil
	}
	if len(p.inOrder) == maxSeries {
		return nil, errSeries
	}
	s := &series{def: m, kind: r.kind, why: record.Measured, stream: identity.Seal(all)}
	if len(r.labels) > maxLabels {
		s.why = record.OverSize
	}
	for i := range m.Words.Len() {
		s.labels = append(s.labels, m.Words.At(i).None())
	}
	for _, l := range r.labels {
		if w := m.Words.Find(l.name); w != nil {
			s.labels[w.Position], _ = w.Value(l.value)
		}
	}
	if p.figures += len(s.labels); m.Type == catalog.Histogram {
		p.figures += len(m.Bounds) + 1
	}
	if p.figures > maxFigures {
		return nil, errFigures
	}
	p.byKey[string(p.key)] = s
	p.inOrder = append(p.inOrder, s)
	return s, nil
}

// nameOf is the name that all readings of a series share.
func (r *reading) nameOf(m *intake.Metric) []byte {
	if m.Type == catalog.Counter { // with _total or without
		return []byte(strings.TrimSuffix(string(r.name), "_total"))
	}
	return r.name
}

// take puts a reading into its series.
func (s *series) take(r *reading) {
	if r.part == created {
		if r.value > 0 && r.value < float64(math.MaxInt64)/1e9 {
			s.start = int64(math.Round(r.value*1e3)) * int64(time.Millisecond)
		}
		return
	}
	if !s.valued && !s.counted && !s.summed && len(s.buckets) == 0 {
		s.kind = r.kind // what a _created line says comes from elsewhere
	}
	if r.at != 0 {
		s.at = r.at
	}
	switch r.part {
	case whole:
		s.once(&s.valued, &s.value, r.value)
	case count:
		s.once(&s.counted, &s.count, r.value)
	case sum:
		s.once(&s.summed, &s.sum, r.value)
	case bucket:
		if len(s.buckets) > maxBuckets {
			s.why = min(s.why, record.OverSize)
			return
		}
		s.buckets = append(s.buckets, bound{r.upper, r.value})
	}
}

// once sets a value that stands on a page once.
func (s *series) once(have *bool, at *float64, v float64) {
	if *have {
		s.why = record.Malformed
		return
	}
	*have, *at = true, v
}

// record puts what was read into rec.
func (p *page) record(rec *record.Record) {
	for _, s := range p.inOrder {
		if !s.valued && !s.counted && !s.summed && len(s.buckets) == 0 {
			continue // a _created alone
		}
		x := record.Sample{Metric: s.def.Def, Attributes: s.labels}
		if why := s.judge(&x); why != record.Measured {
			p.refused[why]++
			continue
		}
		binary.LittleEndian.PutUint64(x.Stream[:], s.stream)
		s.date(&x, rec)
		rec.Samples = append(rec.Samples, x)
	}
	rec.RefusedSamples = p.refused
}

// judge fills x or says the first reason that applies, in MEASURES' order.
func (s *series) judge(x *record.Sample) record.Reason {
	if s.why != record.Measured {
		return s.why
	}
	if s.kind == histogram && s.def.Type == catalog.Histogram {
		return s.merge(x)
	}
	fits := false
	switch s.def.Type {
	case catalog.Counter:
		fits = s.kind == counter || s.kind == untyped
	case catalog.Gauge:
		fits = s.kind == gauge || s.kind == untyped || s.kind == stateSet
	}
	if !fits || !s.valued || !finite(s.value) || s.def.Type == catalog.Counter && s.value < 0 {
		return record.OverValue
	}
	x.Value = s.value
	return record.Measured
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// merge adds a histogram's buckets to those of the catalog's bounds.
func (s *series) merge(x *record.Sample) record.Reason {
	for i := range s.buckets { // in order on nearly every page
		for j := i; j > 0 && s.buckets[j].upper < s.buckets[j-1].upper; j-- {
			s.buckets[j], s.buckets[j-1] = s.buckets[j-1], s.buckets[j]
		}
	}
	infinite := len(s.buckets) > 0 && math.IsInf(s.buckets[len(s.buckets)-1].upper, 1)
	if !s.counted && infinite {
		s.counted, s.count = true, s.buckets[len(s.buckets)-1].count
	}
	if s.counted && !infinite {
		s.buckets = append(s.buckets, bound{math.Inf(1), s.count})
	}
	if !s.counted || s.buckets[len(s.buckets)-1].count != s.count {
		return record.Malformed
	}
	x.Buckets = make([]uint64, len(s.def.Bounds)+1)
	below := 0.0
	for i, b := range s.buckets {
		const exact = 1 << 53
		if math.IsNaN(b.upper) || i > 0 && b.upper == s.buckets[i-1].upper || !(b.count >= below && b.count < exact) || b.count != math.Trunc(b.count) {
			return record.Malformed
		}
		at, _ := slices.BinarySearch(s.def.Bounds, b.upper)
		x.Buckets[at] += uint64(b.count - below)
		below = b.count
	}
	if x.Count, x.Sum = uint64(s.count), s.sum; !finite(s.sum) {
		return record.OverValue
	}
	return record.Measured
}

// date says when a series was read: nothing is later than it was received. A target whose clock is ahead
// keeps the length of its accumulation.
func (s *series) date(x *record.Sample, rec *record.Record) {
	x.Time, x.Start = s.at, s.start
	switch {
	case x.Time <= 0:
		x.Time = rec.Received
	case x.Time > rec.Received+tolerance:
		if x.Start != 0 {
			x.Start = max(x.Start-(x.Time-rec.Received), 1)
		}
		x.Time = rec.Received
		rec.Skewed++
	}
	if x.Start > x.Time || s.def.Type == catalog.Gauge {
		x.Start = 0
	}
}

// pair is the digest of a label: the length in front keeps name and value apart.
func pair(l label) uint64 {
	b := binary.AppendUvarint(make([]byte, 0, 128), uint64(len(l.name)))
	return identity.Digest(append(append(b, l.name...), l.value...))
}

package otlp

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/identity"
	"github.com/fieldpost/fieldpost/agent/intake/wire"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// reader turns one request into the samples of one record.
type reader struct {
	v          *intake.Vocabulary
	rec        *record.Record
	attributes []uint16 // those of all samples
	buckets    []uint64 // those of all samples
	counts     []uint64 // of one point, as sent
	bounds     []uint64 // of one point, as sent: bits of float64

	points int
	bad    bool
	why    string // one explanation for the client
}

// metric is what all points of a metric share.
type metric struct {
	def       *intake.Metric
	identity  uint64 // of resource, scope and name
	sent      protowire.Number
	delta     bool
	unset     bool // no temporality
	monotonic bool
	text      bool // the name is UTF-8
}

// The fields of Metric's oneof.
const (
	gauge       = 5
	sum         = 7
	histogram   = 9
	exponential = 10
	summary     = 11
)

func (r *reader) request(b []byte) {
	r.bad = !wire.Each(b, func(f wire.Field) bool {
		return !f.IsBytes(1) || r.resourceMetrics(f.Bytes)
	})
}

// resourceMetrics looks for the resource first: the wire does not promise an order.
func (r *reader) resourceMetrics(b []byte) bool {
	var resource uint64
	ok := wire.Each(b, func(f wire.Field) bool {
		return !f.IsBytes(1) || wire.Each(f.Bytes, func(f wire.Field) bool {
			if !f.IsBytes(1) {
				return true
			}
			resource += identity.Digest(f.Bytes)
			return r.resourceAttribute(f.Bytes)
		})
	})
	return ok && wire.Each(b, func(f wire.Field) bool { return !f.IsBytes(2) || r.scopeMetrics(f.Bytes, identity.Seal(resource)) })
}

func (r *reader) scopeMetrics(b []byte, resource uint64) bool {
	scope := resource
	ok := wire.Each(b, func(f wire.Field) bool {
		if f.IsBytes(1) {
			scope += identity.Digest(f.Bytes)
		}
		return true
	})
	return ok && wire.Each(b, func(f wire.Field) bool { return !f.IsBytes(2) || r.metric(f.Bytes, identity.Seal(scope)) })
}

// resourceAttribute keeps a declared attribute that a fact reads. A value of the wrong type or
// outside its bounds says nothing about the fact.
func (r *reader) resourceAttribute(b []byte) bool {
	key, value := keyValue(b)
	w := r.v.Resource.Find(key)
	if w == nil || !w.Keep {
		return true
	}
	text, given := scalarText(value)
	if !given || !validText(text) {
		return true
	}
	x := record.Value{Property: w.Position}
	if w.IsNumber {
		// The text of a whole number or a double that is finite is a JSON number.
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return true
		}
		var ok bool
		if x.Number, ok = w.Number(strconv.AppendFloat(nil, f, 'g', -1, 64)); !ok {
			return true
		}
	} else {
		x.Index, _ = w.Value(text)
	}
	for i := range r.rec.Facts {
		if r.rec.Facts[i].Property == x.Property {
			r.rec.Facts[i] = x
			return true
		}
	}
	r.rec.Facts = append(r.rec.Facts, x)
	return true
}

func (r *reader) metric(b []byte, scope uint64) bool {
	var m metric
	var data []byte
	ok := wire.Each(b, func(f wire.Field) bool {
		switch {
		case f.IsBytes(1):
			m.def, m.text = r.v.Metric(f.Bytes), validText(f.Bytes)
			m.identity = scope + identity.Digest(f.Bytes)
		case f.IsBytes(gauge), f.IsBytes(sum), f.IsBytes(histogram), f.IsBytes(exponential), f.IsBytes(summary):
			m.sent, data = f.Number, f.Bytes
		}
		return true
	})
	if !ok {
		return false
	}
	m.unset = m.sent == sum || m.sent == histogram || m.sent == exponential
	ok = wire.Each(data, func(f wire.Field) bool {
		switch {
		case f.IsVarint(2): // 1 delta, 2 cumulative
			m.delta, m.unset = f.Value == 1, f.Value != 1 && f.Value != 2
		case f.IsVarint(3):
			m.monotonic = f.Value != 0
		}
		return true
	})
	return ok && wire.Each(data, func(f wire.Field) bool { return !f.IsBytes(1) || r.point(&m, f.Bytes) })
}

// point reads one data point; false means that the bytes are not one.
func (r *reader) point(m *metric, b []byte) bool {
	if r.points++; r.tooMany() {
		return true
	}
	p := point{counts: r.counts[:0], bounds: r.bounds[:0]}
	if !p.read(m.sent, b) {
		return false
	}
	r.counts, r.bounds = p.counts, p.bounds
	s := record.Sample{Delta: m.delta && m.sent != gauge}
	attributes, buckets := len(r.attributes), len(r.buckets)
	reason, why := r.judge(m, &p, &s)
	if reason != record.Measured {
		r.attributes, r.buckets = r.attributes[:attributes], r.buckets[:buckets]
		r.rec.RefusedSamples[reason]++
		if why != "" && r.why == "" {
			r.why = why
		}
		return true
	}
	s.Attributes = r.attributes[attributes:len(r.attributes):len(r.attributes)]
	if m.def.Type == catalog.Histogram {
		s.Buckets = r.buckets[buckets:len(r.buckets):len(r.buckets)]
	}
	r.rec.Samples = append(r.rec.Samples, s)
	return true
}

// tooMany says that the request would not fit a journal record.
func (r *reader) tooMany() bool {
	return r.points > maxPoints || len(r.buckets) > maxFigures || len(r.attributes) > maxFigures
}

// judge fills s or says the first reason that applies, in MEASURES' order.
func (r *reader) judge(m *metric, p *point, s *record.Sample) (record.Reason, string) {
	switch {
	case !m.text || p.badText:
		return record.Malformed, "a name or value is not UTF-8"
	case p.attributes > maxAttributes || len(p.counts) > maxBuckets || len(p.bounds) > maxBuckets:
		return record.OverSize, "too many attributes or buckets"
	case p.flags&1 != 0:
		return record.Malformed, "a point says that it has no value"
	case m.unset:
		return record.Malformed, "no aggregation temporality"
	case p.start > math.MaxInt64 || p.time > math.MaxInt64:
		return record.Malformed, "a time is beyond the year 2262"
	}
	if why := p.shape(m.sent); why != "" {
		return record.Malformed, why
	}
	switch {
	case r.v.Empty():
		return record.Off, ""
	case m.def == nil:
		return record.UnknownEvent, ""
	case !m.def.On:
		return record.Off, ""
	}
	if why := m.fits(p); why != "" {
		return record.OverValue, why
	}
	r.date(p, s)
	s.Metric = m.def.Def
	s.Value, s.Count, s.Sum = p.value, p.count, p.sum
	if m.def.Type == catalog.Histogram {
		s.Value = 0
		r.merge(m, p)
	} else {
		s.Count, s.Sum = 0, 0
	}
	r.attribute(m, p, s)
	return record.Measured, ""
}

// fits says what is wrong with a point for the metric the catalog declares.
func (m *metric) fits(p *point) string {
	finite := func(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
	if m.sent == summary {
		return "summaries cannot be merged; send a histogram"
	}
	if !finite(p.value) || !finite(p.sum) {
		return "a value is not finite"
	}
	switch m.def.Type {
	case catalog.Gauge:
		if m.sent == gauge || m.sent == sum && !m.monotonic && !m.delta {
			return ""
		}
	case catalog.Counter:
		if m.sent == sum && m.monotonic {
			if p.value < 0 {
				return "a counter is negative"
			}
			return ""
		}
	case catalog.Histogram:
		if m.sent == histogram || m.sent == exponential {
			return ""
		}
	}
	return "a metric is not of the kind the catalog declares"
}

const tolerance = int64(5 * time.Minute)

// date says when a point was taken: nothing is later than it was received. A sender whose clock is
// ahead keeps the length of its accumulation.
func (r *reader) date(p *point, s *record.Sample) {
	s.Time, s.Start = int64(p.time), int64(p.start)
	switch {
	case s.Time == 0:
		s.Time = r.rec.Received
	case s.Time > r.rec.Received+tolerance:
		if s.Start != 0 {
			s.Start = max(s.Start-(s.Time-r.rec.Received), 1)
		}
		s.Time = r.rec.Received
		r.rec.Skewed++
	}
	if s.Start > s.Time {
		s.Start = 0
	}
}

// attribute looks up the declared attributes of a point and hashes all of them into its stream.
func (r *reader) attribute(m *metric, p *point, s *record.Sample) {
	from := len(r.attributes)
	for i := range m.def.Words.Len() {
		r.attributes = append(r.attributes, m.def.Words.At(i).None())
	}
	stream := m.identity
	wire.Each(p.raw, func(f wire.Field) bool {
		if !f.IsBytes(p.attributeField) {
			return true
		}
		stream += identity.Digest(f.Bytes)
		key, value := keyValue(f.Bytes)
		if w := m.def.Words.Find(key); w != nil {
			if text, given := scalarText(value); given {
				r.attributes[from+int(w.Position)], _ = w.Value(text)
			}
		}
		return true
	})
	binary.LittleEndian.PutUint64(s.Stream[:], identity.Seal(stream))
}

// keyValue takes a KeyValue apart; value is the AnyValue's bytes.
func keyValue(b []byte) (key, value []byte) {
	wire.Each(b, func(f wire.Field) bool {
		switch {
		case f.IsBytes(1):
			key = f.Bytes
		case f.IsBytes(2):
			value = f.Bytes
		}
		return true
	})
	return key, value
}

// scalarText is an AnyValue as the text a catalog lists. Lists, maps and bytes have none that could
// be listed, so they are (other). given is false for an empty value.
func scalarText(b []byte) (text []byte, given bool) {
	wire.Each(b, func(f wire.Field) bool {
		given = true
		switch {
		case f.IsBytes(1):
			text = f.Bytes
		case f.IsVarint(2):
			text = strconv.AppendBool(nil, f.Value != 0)
		case f.IsVarint(3):
			text = strconv.AppendInt(nil, int64(f.Value), 10)
		case f.IsFixed(4):
			text = strconv.AppendFloat(nil, f.Double(), 'g', -1, 64)
		default:
			text = nil
		}
		return true
	})
	return text, given
}

package statsd

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/identity"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

const (
	maxSums    = 10_000  // of one flush
	maxFigures = 100_000 // attributes and buckets of one flush: 3 MB in memory, below 1 MB on disk
	maxGauges  = 10_000  // remembered for changes by + and -; the fold remembers as many
	gaugeIdle  = int64(time.Hour)
	tolerance  = int64(5 * time.Minute)
)

// bag is what came since the last flush, added up.
type bag struct {
	v       *intake.Vocabulary
	sums    map[string]*sum
	inOrder []*sum // by arrival of the first
	figures int
	refused record.Counts
	skewed  uint64
	values  uint64 // in sums
}

func newBag(v *intake.Vocabulary) *bag { return &bag{v: v, sums: map[string]*sum{}} }

// sum is the values of one combination of metric, attributes and minute; of a gauge, of one stream too.
type sum struct {
	metric     *intake.Metric
	attributes []uint16
	stream     [8]byte
	at         int64   // the newest, unix ns
	total      fixed   // counter; histogram: sum
	buckets    []fixed // histogram
	low, high  reading // gauge
	last       reading
}

type reading struct {
	value float64
	at    int64
}

// level is where a gauge's stream stands.
type level struct {
	name  string // of the metric
	value fixed
	seen  int64 // unix ns
}

// desk reads lines into the current bag. Everything in it is guarded by the Server's mu.
type desk struct {
	bag    *bag
	levels map[[8]byte]level
	stats  Stats
	key    []byte
	places []uint16
}

// datagram reads the lines of one datagram.
func (d *desk) datagram(b []byte, received int64) {
	d.stats.Datagrams++
	for len(b) > 0 {
		var one []byte
		one, b, _ = cut(b, '\n')
		one = bytes.TrimSuffix(one, []byte{'\r'})
		switch {
		case len(one) == 0:
		case bytes.HasPrefix(one, []byte("_e{")):
			d.stats.Events++
		case bytes.HasPrefix(one, []byte("_sc|")):
			d.stats.Checks++
		default:
			d.line(one, received)
		}
	}
}

func (d *desk) line(b []byte, received int64) {
	var l line
	if !l.read(b) {
		d.refuse(record.Malformed)
		return
	}
	v := d.bag.v
	m := v.Metric(l.name)
	reason := record.Measured
	switch {
	case len(l.name) > 256 || bytes.Count(l.tags, []byte{','}) >= 256:
		reason = record.OverSize
	case v.Empty():
		reason = record.Off
	case m == nil:
		reason = record.UnknownEvent
	case !m.On || l.kind == set:
		reason = record.Off
	case !fits(l.kind, m.Type):
		reason = record.OverValue
	}
	if l.kind == set {
		d.stats.Sets++
		d.refuse(reason) // its values may be ids, and may hold colons: it counts once
		return
	}
	s, keyed := (*sum)(nil), false
	for rest, more := l.values, true; more; {
		var text []byte
		var n number
		text, rest, more = cut(rest, ':')
		why := reason
		switch n.read(text) {
		case unlike:
			why = record.Malformed
		case unbounded:
			if why == record.Measured {
				why = record.OverValue
			}
		}
		if why == record.Measured && l.kind == counter && n.Mantissa < 0 {
			why = record.OverValue
		}
		if why != record.Measured {
			d.refuse(why)
			continue
		}
		if !keyed {
			s, keyed = d.find(m, &l, received), true
		}
		d.put(s, &l, &n, received)
	}
}

func (d *desk) refuse(r record.Reason) {
	d.stats.Values++
	d.stats.Refused[r]++
	d.bag.refused[r]++
}

func fits(k kind, t catalog.Kind) bool {
	switch t {
	case catalog.Counter:
		return k == counter
	case catalog.Gauge:
		return k == gauge
	case catalog.Histogram:
		return k == timer || k == distribution
	}
	return false
}

// find is the sum that a line belongs to; nil where there is no room for another.
func (d *desk) find(m *intake.Metric, l *line, received int64) *sum {
	at := l.when(received)
	d.places = d.places[:0]
	for i := range m.Words.Len() {
		d.places = append(d.places, m.Words.At(i).None())
	}
	var all uint64
	for rest, more := l.tags, len(l.tags) > 0; more; {
		var tag []byte
		tag, rest, more = cut(rest, ',')
		name, value, given := cut(tag, ':')
		if l.kind == gauge {
			all += identity.Digest(tag)
		}
		if w := m.Words.Find(name); w != nil && given {
			d.places[w.Position], _ = w.Value(value)
		}
	}
	key := binary.LittleEndian.AppendUint16(d.key[:0], m.Def)
	for _, p := range d.places {
		key = binary.LittleEndian.AppendUint16(key, p)
	}
	var stream uint64
	if l.kind == gauge {
		stream = identity.Seal(identity.Digest(l.name) + all + identity.Seal(identity.Digest(l.container)))
	}
	key = binary.LittleEndian.AppendUint64(key, stream)
	key = binary.LittleEndian.AppendUint64(key, uint64(at/int64(time.Minute)))
	d.key = key
	if s := d.bag.sums[string(key)]; s != nil {
		return s
	}
	need := len(d.places)
	if m.Type == catalog.Histogram {
		need += len(m.Bounds) + 1
	}
	if len(d.bag.sums) >= maxSums || d.bag.figures+need > maxFigures {
		return nil
	}
	s := &sum{metric: m, attributes: slices.Clone(d.places)}
	if l.kind != gauge { // an increment has no history: the stream only says where it came from
		stream = identity.Digest(l.name)
	}
	binary.LittleEndian.PutUint64(s.stream[:], stream)
	if m.Type == catalog.Histogram {
		s.buckets = make([]fixed, len(m.Bounds)+1)
	}
	d.bag.figures += need
	d.bag.sums[string(key)] = s
	d.bag.inOrder = append(d.bag.inOrder, s)
	return s
}

// when is the time of a line's values.
func (l *line) when(received int64) int64 {
	if l.at == 0 || l.at*1e9 > received+tolerance {
		return received
	}
	return l.at * 1e9
}

// put adds a value to s.
func (d *desk) put(s *sum, l *line, n *number, received int64) {
	d.stats.Values++
	if s == nil {
		d.stats.Lost++
		return
	}
	at := l.when(received)
	switch l.kind {
	case counter:
		s.total = s.total.add(l.rate.undo(n.fixed(0)))
	case gauge:
		value, ok := d.level(l.name, s.stream, n, received)
		if !ok {
			d.stats.Refused[record.OverValue]++
			d.bag.refused[record.OverValue]++
			return
		}
		s.show(reading{value, at})
	default:
		var shift uint8
		if l.kind == timer && s.metric.Unit == "s" {
			shift = 3
		}
		i, _ := slices.BinarySearch(s.metric.Bounds, n.scaled(shift))
		s.buckets[i] = s.buckets[i].add(l.rate.undo(fixed{0, 1e9}))
		s.total = s.total.add(l.rate.undo(n.fixed(shift)))
	}
	if l.at != 0 && at != l.at*1e9 {
		d.bag.skewed++
	}
	s.at = max(s.at, at)
	d.bag.values++
}

// level is where a gauge stands after n; ok is false where there is no room to remember it, or it
// left what can be counted.
func (d *desk) level(name []byte, stream [8]byte, n *number, received int64) (value float64, ok bool) {
	old, known := d.levels[stream]
	if !known {
		if len(d.levels) >= maxGauges {
			return 0, false
		}
		old.name = string(name)
	}
	now := level{old.name, n.fixed(0), received}
	if n.signed {
		now.value = old.value.add(now.value)
	}
	const most = 1 << 29 // 2^93 in fixed: as far as a single value reaches
	if h := int64(now.value.hi); h >= most || h < -most {
		return 0, false
	}
	d.levels[stream] = now
	if n.signed {
		return now.value.float(), true
	}
	return n.float, true
}

// only forgets the gauges that v does not collect.
func (d *desk) only(v *intake.Vocabulary) {
	for k, l := range d.levels {
		if m := v.Metric([]byte(l.name)); m == nil || !m.On {
			delete(d.levels, k)
		}
	}
}

// forget makes room for new gauges where it is short.
func (d *desk) forget(now int64) {
	if len(d.levels) < maxGauges {
		return
	}
	for k, l := range d.levels {
		if now-l.seen > gaugeIdle {
			delete(d.levels, k)
		}
	}
}

func (s *sum) show(r reading) {
	if s.last.at == 0 {
		s.low, s.high, s.last = r, r, r
		return
	}
	if r.value < s.low.value {
		s.low = r
	}
	if r.value > s.high.value {
		s.high = r
	}
	if r.at >= s.last.at {
		s.last = r
	}
}

// full says that the bag takes no more sums.
func (b *bag) full() bool { return len(b.sums) >= maxSums || b.figures >= maxFigures*9/10 }

func (b *bag) empty() bool { return len(b.sums) == 0 && b.refused == record.Counts{} }

// record puts what is in the bag into rec.
func (b *bag) record(rec *record.Record) {
	rec.Kind, rec.Catalog, rec.RefusedSamples, rec.Skewed = record.Request, b.v.Hash(), b.refused, b.skewed
	for _, s := range b.inOrder {
		if s.at == 0 {
			continue // its only value was refused
		}
		one := record.Sample{Metric: s.metric.Def, Attributes: s.attributes, Stream: s.stream, Time: s.at}
		switch s.metric.Type {
		case catalog.Gauge:
			rec.Samples = s.readings(rec.Samples, one)
			continue
		case catalog.Counter:
			one.Delta, one.Value = true, s.total.float()
		default:
			one.Delta, one.Sum, one.Buckets = true, s.total.float(), make([]uint64, len(s.buckets))
			for i, n := range s.buckets {
				one.Buckets[i] = n.round()
				one.Count += one.Buckets[i]
			}
		}
		rec.Samples = append(rec.Samples, one)
	}
}

// readings are the samples of a gauge, by time.
func (s *sum) readings(to []record.Sample, one record.Sample) []record.Sample {
	first, second := s.low, s.high
	if second.at < first.at {
		first, second = second, first
	}
	var before reading
	for _, r := range [...]reading{first, second, s.last} {
		if r != before {
			one.Time, one.Value = r.at, r.value
			to = append(to, one)
		}
		before = r
	}
	return to
}

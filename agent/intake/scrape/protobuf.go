package scrape

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldpost/fieldpost/agent/intake/wire"
)

var errProtobuf = errors.New("the page is not a run of MetricFamily messages")

// families reads delimited io.prometheus.client.MetricFamily messages.
type families struct {
	p   *page
	err error

	family []byte
	kind   kind
	labels []label
	parts  []reading // of one Metric
}

func (f *families) read(b []byte) error {
	for len(b) > 0 {
		one, n := protowire.ConsumeBytes(b) // a length, then as many bytes
		if n < 0 || !f.oneFamily(one) {
			if f.err != nil {
				return f.err
			}
			return errProtobuf
		}
		b = b[n:]
	}
	return nil
}

func (f *families) oneFamily(b []byte) bool {
	f.family, f.kind = nil, counter // the type's default value
	ok := wire.Each(b, func(x wire.Field) bool {
		switch {
		case x.IsBytes(1):
			f.family = x.Bytes
		case x.IsVarint(3):
			f.kind = protoKind(x.Value)
		}
		return true
	})
	if !ok || len(f.family) == 0 || !utf8.Valid(f.family) {
		return false
	}
	return wire.Each(b, func(x wire.Field) bool { return !x.IsBytes(4) || f.metric(x.Bytes) })
}

func protoKind(v uint64) kind {
	switch v {
	case 0:
		return counter
	case 1:
		return gauge
	case 2:
		return summary
	case 4:
		return histogram
	case 5:
		return gaugeHistogram
	}
	return untyped
}

// metric reads one Metric and hands its parts over.
func (f *families) metric(b []byte) bool {
	f.labels, f.parts = f.labels[:0], f.parts[:0]
	var at int64
	ok := wire.Each(b, func(x wire.Field) bool {
		if x.IsVarint(6) {
			ms := int64(x.Value)
			if ms > farthest || ms < -farthest {
				return false
			}
			at = ms * 1e6
			return true
		}
		if x.Kind != protowire.BytesType {
			return true
		}
		switch x.Number {
		case 1:
			return f.label(x.Bytes)
		case 2, 5:
			return f.value(x.Bytes, 0)
		case 3:
			return f.value(x.Bytes, 3)
		case 4:
			return f.summary(x.Bytes)
		case 7:
			return f.histogram(x.Bytes)
		}
		return true
	})
	for i := 0; ok && i < len(f.parts); i++ {
		r := &f.parts[i]
		r.name, r.kind, r.labels, r.at = f.family, f.kind, f.labels, at
		if f.err = f.p.add(r); f.err != nil {
			return false
		}
	}
	return ok
}

func (f *families) part(p part, v float64) { f.parts = append(f.parts, reading{part: p, value: v}) }

func (f *families) label(b []byte) bool {
	var l label
	ok := wire.Each(b, func(x wire.Field) bool {
		switch {
		case x.IsBytes(1):
			l.name = x.Bytes
		case x.IsBytes(2):
			l.value = x.Bytes
		}
		return true
	})
	for i := range f.labels {
		ok = ok && !bytes.Equal(f.labels[i].name, l.name)
	}
	if len(f.labels) <= maxLabels {
		f.labels = append(f.labels, l)
	}
	return ok && utf8.Valid(l.name) && utf8.Valid(l.value)
}

// value reads a Gauge, Untyped or Counter; began is the field of the time it was created at.
func (f *families) value(b []byte, began protowire.Number) bool {
	v := 0.0
	ok := wire.Each(b, func(x wire.Field) bool {
		switch {
		case x.IsFixed(1):
			v = x.Double()
		case began != 0 && x.IsBytes(began):
			return f.created(x.Bytes)
		}
		return true
	})
	f.part(whole, v)
	return ok
}

// created reads a Timestamp.
func (f *families) created(b []byte) bool {
	var s, ns int64
	ok := wire.Each(b, func(x wire.Field) bool {
		switch {
		case x.IsVarint(1):
			s = int64(x.Value)
		case x.IsVarint(2):
			ns = int64(x.Value)
		}
		return true
	})
	f.part(created, float64(s)+float64(ns)/1e9)
	return ok
}

func (f *families) summary(b []byte) bool {
	var n, total float64
	ok := wire.Each(b, func(x wire.Field) bool {
		switch {
		case x.IsVarint(1):
			n = float64(x.Value)
		case x.IsFixed(2):
			total = x.Double()
		case x.IsBytes(4):
			return f.created(x.Bytes)
		}
		return true
	})
	f.part(count, n)
	f.part(sum, total)
	return ok
}

// histogram reads the classic part, and the sum and count of a native one.
func (f *families) histogram(b []byte) bool {
	var n, total float64
	ok := wire.Each(b, func(x wire.Field) bool {
		switch {
		case x.IsVarint(1):
			n = float64(x.Value)
		case x.IsFixed(4) && x.Double() > 0:
			n = x.Double()
		case x.IsFixed(2):
			total = x.Double()
		case x.IsBytes(3):
			return f.bucket(x.Bytes)
		case x.IsBytes(15):
			return f.created(x.Bytes)
		}
		return true
	})
	f.part(count, n)
	f.part(sum, total)
	return ok
}

func (f *families) bucket(b []byte) bool {
	if len(f.parts) > maxFigures {
		f.err = errFigures
		return false
	}
	r := reading{part: bucket}
	ok := wire.Each(b, func(x wire.Field) bool {
		switch {
		case x.IsVarint(1):
			r.value = float64(x.Value)
		case x.IsFixed(4) && x.Double() > 0:
			r.value = x.Double()
		case x.IsFixed(2):
			r.upper = x.Double()
		}
		return true
	})
	f.parts = append(f.parts, r)
	return ok
}

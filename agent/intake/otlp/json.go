package otlp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldpost/fieldpost/agent/intake/jsontext"
)

// form is how a member of a JSON object stands on the wire.
type form uint8

const (
	message form = iota
	text
	boolean
	integer  // int64 as varint
	unsigned // uint64 as varint
	signed   // zigzag varint
	fixed    // uint64
	sfixed   // int64
	double
	blob
	enum
)

type member struct {
	number   protowire.Number
	form     form
	repeated bool
	of       *shape // message
}

// shape is a message: its members by their names in OTLP's JSON. Others are passed over.
type shape struct{ members map[string]member }

// keyValueShape is an attribute.
func keyValueShape() *shape {
	anyValue, keyValue := &shape{}, &shape{}
	anyValue.members = map[string]member{
		"stringValue": {number: 1, form: text}, "boolValue": {number: 2, form: boolean}, "intValue": {number: 3, form: integer},
		"doubleValue": {number: 4, form: double}, "bytesValue": {number: 7, form: blob},
		"arrayValue":  {number: 5, of: &shape{map[string]member{"values": {number: 1, repeated: true, of: anyValue}}}},
		"kvlistValue": {number: 6, of: &shape{map[string]member{"values": {number: 1, repeated: true, of: keyValue}}}},
	}
	keyValue.members = map[string]member{"key": {number: 1, form: text}, "value": {number: 2, of: anyValue}}
	return keyValue
}

// logShapes are the messages of a request with logs, as far as they matter here: without bodies.
func logShapes() *shape {
	attributes := func(n protowire.Number) member { return member{number: n, repeated: true, of: keyValueShape()} }
	logRecord := &shape{map[string]member{"timeUnixNano": {number: 1, form: fixed}, "attributes": attributes(6),
		"observedTimeUnixNano": {number: 11, form: fixed}, "eventName": {number: 12, form: text}}}
	scopeLogs := &shape{map[string]member{"logRecords": {number: 2, repeated: true, of: logRecord}}}
	resource := &shape{map[string]member{"attributes": attributes(1)}}
	resourceLogs := &shape{map[string]member{"resource": {number: 1, of: resource}, "scopeLogs": {number: 2, repeated: true, of: scopeLogs}}}
	return &shape{map[string]member{"resourceLogs": {number: 1, repeated: true, of: resourceLogs}}}
}

// metricShapes are the messages of a request with metrics.
func metricShapes() *shape {
	keyValue := keyValueShape()
	attributes := func(n protowire.Number) member { return member{number: n, repeated: true, of: keyValue} }
	points := func(attributesAt protowire.Number, more map[string]member) *shape {
		p := &shape{map[string]member{"attributes": attributes(attributesAt),
			"startTimeUnixNano": {number: 2, form: fixed}, "timeUnixNano": {number: 3, form: fixed}}}
		for name, m := range more {
			p.members[name] = m
		}
		return &shape{map[string]member{"dataPoints": {number: 1, repeated: true, of: p},
			"aggregationTemporality": {number: 2, form: enum}, "isMonotonic": {number: 3, form: boolean}}}
	}
	number := points(7, map[string]member{"asDouble": {number: 4, form: double}, "asInt": {number: 6, form: sfixed}, "flags": {number: 8, form: unsigned}})
	explicit := points(9, map[string]member{"count": {number: 4, form: fixed}, "sum": {number: 5, form: double},
		"bucketCounts": {number: 6, form: fixed, repeated: true}, "explicitBounds": {number: 7, form: double, repeated: true},
		"flags": {number: 10, form: unsigned}})
	buckets := &shape{map[string]member{"offset": {number: 1, form: signed}, "bucketCounts": {number: 2, form: unsigned, repeated: true}}}
	exponential := points(1, map[string]member{"count": {number: 4, form: fixed}, "sum": {number: 5, form: double}, "scale": {number: 6, form: signed},
		"zeroCount": {number: 7, form: fixed}, "positive": {number: 8, of: buckets}, "negative": {number: 9, of: buckets},
		"flags": {number: 10, form: unsigned}, "zeroThreshold": {number: 14, form: double}})
	metric := &shape{map[string]member{"name": {number: 1, form: text}, "gauge": {number: gauge, of: number}, "sum": {number: sum, of: number},
		"histogram": {number: histogram, of: explicit}, "exponentialHistogram": {number: 10, of: exponential}, "summary": {number: summary, of: points(7, nil)}}}
	scope := &shape{map[string]member{"name": {number: 1, form: text}, "version": {number: 2, form: text}, "attributes": attributes(3)}}
	scopeMetrics := &shape{map[string]member{"scope": {number: 1, of: scope}, "metrics": {number: 2, repeated: true, of: metric}}}
	resource := &shape{map[string]member{"attributes": attributes(1)}}
	resourceMetrics := &shape{map[string]member{"resource": {number: 1, of: resource}, "scopeMetrics": {number: 2, repeated: true, of: scopeMetrics}}}
	return &shape{map[string]member{"resourceMetrics": {number: 1, repeated: true, of: resourceMetrics}}}
}

var errDeep = errors.New("the body is nested too deep")

const maxDepth = 128

// fromJSON turns a request in JSON into the same one in protobuf.
func fromJSON(b []byte, of *shape) ([]byte, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("the body is not UTF-8")
	}
	var s jsontext.Scanner
	s.Reset(b)
	v := s.Value()
	switch {
	case !s.End():
		return nil, errors.New("the body is not JSON")
	case s.Deep > maxDepth:
		return nil, errDeep
	}
	return of.append(make([]byte, 0, len(b)/2), v)
}

// found is a member of an object as it was sent.
type found struct {
	name string
	member
	value jsontext.Value
}

func (s *shape) append(b []byte, v jsontext.Value) ([]byte, error) {
	if v.Kind != jsontext.Other || v.Bytes[0] != '{' {
		return nil, errors.New("an object is missing where OTLP has a message")
	}
	var in jsontext.Scanner
	in.Reset(v.Bytes)
	var all []found
	for more := in.Enter('{'); more; more = in.Next('{') {
		name := string(in.Key())
		m, known := s.members[name]
		if !known {
			in.Skip()
			continue
		}
		all = slices.DeleteFunc(all, func(f found) bool { return f.name == name }) // the last one counts
		if v := in.Value(); v.Kind != jsontext.Absent {
			all = append(all, found{name, m, v})
		}
	}
	// In the order of the numbers, as SDKs write protobuf: equal attributes have equal bytes.
	slices.SortFunc(all, func(a, b found) int { return int(a.number - b.number) })
	for _, f := range all {
		var err error
		if b, err = f.appendAll(b); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return b, nil
}

// appendAll appends a member, or each element of a repeated one.
func (f *found) appendAll(b []byte) (_ []byte, err error) {
	if !f.repeated {
		return f.append(b, f.value)
	}
	if f.value.Kind != jsontext.Other || f.value.Bytes[0] != '[' {
		return nil, errors.New("not a list")
	}
	var in jsontext.Scanner
	in.Reset(f.value.Bytes)
	for more := in.Enter('['); more; more = in.Next('[') {
		if b, err = f.append(b, in.Value()); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (m member) append(b []byte, v jsontext.Value) ([]byte, error) {
	switch m.form {
	case message:
		inner, err := m.of.append(nil, v)
		if err != nil {
			return nil, err
		}
		return protowire.AppendBytes(protowire.AppendTag(b, m.number, protowire.BytesType), inner), nil
	case text:
		if v.Kind != jsontext.Text {
			return nil, errors.New("not a text")
		}
		return protowire.AppendBytes(protowire.AppendTag(b, m.number, protowire.BytesType), v.Bytes), nil
	case blob:
		raw, err := base64.StdEncoding.DecodeString(string(v.Bytes))
		if err != nil || v.Kind != jsontext.Text {
			return nil, errors.New("not base64")
		}
		return protowire.AppendBytes(protowire.AppendTag(b, m.number, protowire.BytesType), raw), nil
	case boolean:
		if v.Kind != jsontext.Boolean {
			return nil, errors.New("neither true nor false")
		}
		return protowire.AppendVarint(protowire.AppendTag(b, m.number, protowire.VarintType), protowire.EncodeBool(v.Bytes[0] == 't')), nil
	}
	n, err := m.bits(v)
	if err != nil {
		return nil, err
	}
	if m.form == fixed || m.form == sfixed || m.form == double {
		return protowire.AppendFixed64(protowire.AppendTag(b, m.number, protowire.Fixed64Type), n), nil
	}
	return protowire.AppendVarint(protowire.AppendTag(b, m.number, protowire.VarintType), n), nil
}

// bits is a number in the form it has on the wire. JSON may give any of them as text.
func (m member) bits(v jsontext.Value) (uint64, error) {
	if v.Kind != jsontext.Number && v.Kind != jsontext.Text {
		return 0, errors.New("not a number")
	}
	s := string(v.Bytes)
	switch m.form {
	case double:
		switch s {
		case "NaN":
			return math.Float64bits(math.NaN()), nil
		case "Infinity":
			return math.Float64bits(math.Inf(1)), nil
		case "-Infinity":
			return math.Float64bits(math.Inf(-1)), nil
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, errors.New("not a number")
		}
		return math.Float64bits(f), nil
	case enum:
		switch s {
		case "AGGREGATION_TEMPORALITY_DELTA":
			return 1, nil
		case "AGGREGATION_TEMPORALITY_CUMULATIVE":
			return 2, nil
		case "AGGREGATION_TEMPORALITY_UNSPECIFIED":
			return 0, nil
		}
	case fixed, unsigned:
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return 0, errors.New("not a whole number that fits")
		}
		return n, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errors.New("not a whole number that fits")
	}
	if m.form == signed {
		return protowire.EncodeZigZag(n), nil
	}
	return uint64(n), nil
}

package event

import (
	"bytes"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/jsontext"
	"github.com/fieldpost/fieldpost/agent/record"
)

// words reads the declared ones among a draft's properties; the others are passed over and go no
// further.
func (b *Builder) words(e *record.Event, w *intake.Words, d *Draft) Fault {
	from := len(b.values)
	var bad Fault
	for _, object := range d.Properties {
		if object.Kind != jsontext.Absent {
			bad = b.object(e, w, from, object, bad)
		}
	}
	for i := range d.Pairs {
		if word := w.Find(d.Pairs[i].Name); word != nil {
			bad = b.put(from, word, d.Pairs[i].Value, bad)
		}
	}
	if bad.Refused() {
		b.values = b.values[:from]
		return bad
	}
	if len(b.values) > from {
		e.Properties = b.values[from:len(b.values):len(b.values)]
	}
	return Fault{}
}

// object reads the members of a JSON object.
func (b *Builder) object(e *record.Event, w *intake.Words, from int, object jsontext.Value, bad Fault) Fault {
	createdAt := e.Type == record.Identify
	if w.Len() == 0 && !createdAt {
		return bad
	}
	s := &b.inner
	s.Reset(object.Bytes)
	for more := s.Enter('{'); more; more = s.Next('{') {
		key := s.Key()
		word := w.Find(key)
		switch {
		case createdAt && string(key) == "createdAt":
			v := s.Value()
			e.CreatedAt = created(v)
			if word != nil {
				bad = b.put(from, word, v, bad)
			}
		case word == nil:
			s.Skip()
		default:
			bad = b.put(from, word, s.Value(), bad)
		}
	}
	return bad
}

// put adds a value under its word, in order of position. A value that came before under the
// same word goes; so do values no measure that is on uses.
func (b *Builder) put(from int, word *intake.Word, v jsontext.Value, bad Fault) Fault {
	at := from
	for at < len(b.values) && b.values[at].Property < word.Position {
		at++
	}
	if at < len(b.values) && b.values[at].Property == word.Position {
		b.values = append(b.values[:at], b.values[at+1:]...)
	}
	if v.Kind == jsontext.Absent {
		return bad
	}
	x, ok := convert(word, v)
	if !ok {
		return Because(record.OverValue, "a value is of the wrong type or outside its bounds")
	}
	if !word.Keep {
		return bad
	}
	b.values = append(b.values, record.Value{})
	copy(b.values[at+1:], b.values[at:])
	b.values[at] = x
	return bad
}

// convert checks a value against its declaration. A truth value or number counts for a closed list
// only if the list names it.
func convert(word *intake.Word, v jsontext.Value) (x record.Value, ok bool) {
	x.Property = word.Position
	if word.IsNumber {
		if v.Kind != jsontext.Number {
			return x, false
		}
		x.Number, ok = word.Number(v.Bytes)
		return x, ok
	}
	if v.Kind == jsontext.Other {
		return x, false
	}
	x.Index, ok = word.Value(v.Bytes)
	return x, ok || v.Kind == jsontext.Text
}

// created reads the createdAt trait: a time, or unix seconds or milliseconds. What it cannot read
// counts as not given. 0 means not given.
func created(v jsontext.Value) int64 {
	var ns int64
	switch v.Kind {
	case jsontext.Text:
		t, ok := parseTime(v.Bytes)
		if !ok {
			return 0
		}
		ns = t
	case jsontext.Number:
		d, _, ok := intake.ParseDecimal(v.Bytes)
		if !ok {
			return 0
		}
		seconds := float64(d.Mantissa)
		for range d.Exponent {
			seconds /= 10
		}
		if seconds > 1e11 || seconds < -1e11 { // the year 5138 in seconds, 1973 in milliseconds
			seconds /= 1000
		}
		ns = clampTime(int64(max(min(seconds, 1e12), -1e12)), 0)
	default:
		return 0
	}
	if ns == 0 {
		return 1
	}
	return ns
}

// IsObject says whether v is an object or absent. PHP sends its empty ones as "[]"; such a v is
// made absent.
func IsObject(v *jsontext.Value) bool {
	if v.Kind == jsontext.Other && v.Bytes[0] == '[' && len(bytes.TrimSpace(v.Bytes[1:len(v.Bytes)-1])) == 0 {
		*v = jsontext.Value{}
	}
	return v.Kind == jsontext.Absent || v.Kind == jsontext.Other && v.Bytes[0] == '{'
}

// ID takes text and, since some products number their users, whole numbers as they are written.
func ID(v jsontext.Value) (b []byte, ok bool) {
	switch v.Kind {
	case jsontext.Absent, jsontext.Text:
		return v.Bytes, true
	case jsontext.Number:
		for i, c := range v.Bytes {
			if (c < '0' || c > '9') && (c != '-' || i > 0) {
				return nil, false
			}
		}
		return v.Bytes, true
	}
	return nil, false
}

// When reads a time as parseTime describes it; null and "" are as good as absent.
func When(v jsontext.Value) (ns int64, given, ok bool) {
	if v.Kind == jsontext.Absent || v.Kind == jsontext.Text && len(v.Bytes) == 0 {
		return 0, false, true
	}
	if v.Kind != jsontext.Text {
		return 0, false, false
	}
	ns, ok = parseTime(v.Bytes)
	return ns, ok, ok
}

// Readable says whether an event's own text can be taken: UTF-8, not too deep. checked says that
// the whole body is UTF-8.
func Readable(b []byte, deep int, checked bool) Fault {
	switch {
	case !checked && !utf8.Valid(b):
		return Malformed("the event is not UTF-8")
	case deep > MaxDepth:
		return Malformed("the event is nested too deep")
	}
	return Fault{}
}

package segment

import (
	"bytes"
	"crypto/sha256"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/jsontext"
	"github.com/fieldpost/fieldpost/agent/record"
)

// Limits of one event.
const (
	maxEvent  = 32 << 10 // bytes of its JSON
	maxUserID = 256      // bytes; a longer id is over_limit_size
	maxDepth  = 64       // an event nested deeper is malformed
)

// fields are the members of an event that matter. Of a repeated one the last counts.
type fields struct {
	typ, event, name, user, anonymous, previous, messageID jsontext.Value
	timestamp, sentAt, receivedAt, writeKey                jsontext.Value
	properties, traits                                     jsontext.Value
}

// fields reads an event's object, every other member is passed over.
func (f *fields) read(s *jsontext.Scanner) {
	for more := s.Enter('{'); more; more = s.Next('{') {
		switch string(s.Key()) {
		case "type":
			f.typ = s.Value()
		case "event":
			f.event = s.Value()
		case "name":
			f.name = s.Value()
		case "userId":
			f.user = s.Value()
		case "anonymousId":
			f.anonymous = s.Value()
		case "previousId":
			f.previous = s.Value()
		case "messageId":
			f.messageID = s.Value()
		case "timestamp":
			f.timestamp = s.Value()
		case "sentAt":
			f.sentAt = s.Value()
		case "receivedAt":
			f.receivedAt = s.Value()
		case "writeKey":
			f.writeKey = s.Value()
		case "properties":
			f.properties = s.Value()
		case "traits":
			f.traits = s.Value()
		default:
			s.Skip()
		}
	}
}

// fault is why an event is refused. An empty one means that it is not.
type fault struct {
	code    code
	message string
}

type code uint8 // a record.Reason + 1

func because(r record.Reason, message string) fault { return fault{code(r) + 1, message} }

func (f fault) refused() bool         { return f.code != 0 }
func (f fault) reason() record.Reason { return record.Reason(f.code - 1) }

// found is an event as far as it can be understood without knowing when its batch was sent.
type found struct {
	timestamp, sentAt int64
	stamped, sent     bool
	user, previous    []byte
	properties        int // length of reader.values before its own
}

// understand turns an event's members into e, f and its part of values, or says the first reason
// that applies, in MEASURES' order.
func (p *parser) understand(e *record.Event, x *found, f *fields, t record.Type) fault {
	if bad := p.shape(e, x, f, t); bad.refused() {
		return bad
	}
	if len(x.user) > maxUserID || len(x.previous) > maxUserID {
		return because(record.OverSize, "an id is over 256 bytes")
	}
	if f.messageID.Kind != jsontext.Absent && len(f.messageID.Bytes) > 0 {
		sum := sha256.Sum256(f.messageID.Bytes)
		e.HasID = true
		copy(e.MessageID[:], sum[:])
	}
	v := p.vocabulary
	if v.Empty() {
		return because(record.Off, "")
	}
	e.Type = t
	switch t {
	case record.Identify:
		if !v.People {
			return because(record.Off, "")
		}
		return p.words(e, v.Traits, f.traits, true)
	case record.Group:
		x.user = nil // a fact about the organisation: who sent it does not matter
		if !v.Groups {
			return because(record.Off, "")
		}
		return p.words(e, v.GroupTraits, f.traits, false)
	case record.Alias:
		if !v.People {
			return because(record.Off, "")
		}
		return fault{}
	}
	name := f.event.Bytes
	if t != record.Track {
		name = f.name.Bytes
	}
	def := v.Event(t, name)
	switch {
	case def == nil:
		return because(record.UnknownEvent, "")
	case !def.On:
		return because(record.Off, "")
	}
	e.Def = def.Def
	return p.words(e, def.Words, f.properties, false)
}

// shape checks everything that makes an event malformed.
func (p *parser) shape(e *record.Event, x *found, f *fields, t record.Type) fault {
	malformed := func(m string) fault { return because(record.Malformed, m) }
	var ok bool
	if x.user, ok = id(f.user); !ok {
		return malformed("userId is neither text nor a whole number")
	}
	anonymous, ok := id(f.anonymous)
	if !ok {
		return malformed("anonymousId is neither text nor a whole number")
	}
	if len(x.user) == 0 && len(anonymous) == 0 {
		return malformed("userId and anonymousId are missing")
	}
	if f.messageID.Bytes, ok = id(f.messageID); !ok {
		return malformed("messageId is neither text nor a whole number")
	}
	switch t {
	case record.Track:
		if f.event.Kind != jsontext.Text || len(f.event.Bytes) == 0 {
			return malformed("event is missing or no text")
		}
	case record.Page, record.Screen:
		if f.name.Kind != jsontext.Text && f.name.Kind != jsontext.Absent {
			return malformed("name is no text")
		}
	case record.Alias:
		x.previous, ok = id(f.previous)
		if !ok || len(x.previous) == 0 || len(x.user) == 0 {
			return malformed("an alias needs userId and previousId")
		}
	}
	if x.timestamp, x.stamped, ok = when(f.timestamp); !ok {
		return malformed("timestamp is not RFC 3339")
	}
	if x.sentAt, x.sent, ok = when(f.sentAt); !ok {
		return malformed("sentAt is not RFC 3339")
	}
	if !isObject(&f.properties) {
		return malformed("properties is no object")
	}
	if !isObject(&f.traits) {
		return malformed("traits is no object")
	}
	return fault{}
}

// isObject says whether v is an object or absent. PHP sends its empty ones as "[]".
func isObject(v *jsontext.Value) bool {
	if v.Kind == jsontext.Other && v.Bytes[0] == '[' && len(bytes.TrimSpace(v.Bytes[1:len(v.Bytes)-1])) == 0 {
		*v = jsontext.Value{}
	}
	return v.Kind == jsontext.Absent || v.Kind == jsontext.Other && v.Bytes[0] == '{'
}

// id takes text and, since some products number their users, whole numbers as they are written.
func id(v jsontext.Value) (b []byte, ok bool) {
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

func when(v jsontext.Value) (ns int64, given, ok bool) {
	if v.Kind == jsontext.Absent || v.Kind == jsontext.Text && len(v.Bytes) == 0 {
		return 0, false, true
	}
	if v.Kind != jsontext.Text {
		return 0, false, false
	}
	ns, ok = parseTime(v.Bytes)
	return ns, ok, ok
}

// words reads the declared ones among an object's members; the others are passed over and go no
// further. Of a repeated one the last counts.
func (p *parser) words(e *record.Event, w *intake.Words, object jsontext.Value, createdAt bool) fault {
	if object.Kind == jsontext.Absent {
		return fault{}
	}
	if w.Len() == 0 && !createdAt {
		return fault{}
	}
	s := &p.inner
	s.Reset(object.Bytes)
	from := len(p.values)
	var bad fault
	for more := s.Enter('{'); more; more = s.Next('{') {
		key := s.Key()
		word := w.Find(key)
		if createdAt && string(key) == "createdAt" {
			v := s.Value()
			e.CreatedAt = created(v)
			if word == nil {
				continue
			}
			bad = p.put(from, word, v, bad)
			continue
		}
		if word == nil {
			s.Skip()
			continue
		}
		bad = p.put(from, word, s.Value(), bad)
	}
	if bad.refused() {
		p.values = p.values[:from]
		return bad
	}
	e.Properties = p.values[from:len(p.values):len(p.values)]
	return fault{}
}

// put adds a value under its word, in order of position. A value that came before under the
// same word goes; so do values no measure that is on uses.
func (p *parser) put(from int, word *intake.Word, v jsontext.Value, bad fault) fault {
	at := from
	for at < len(p.values) && p.values[at].Property < word.Position {
		at++
	}
	if at < len(p.values) && p.values[at].Property == word.Position {
		p.values = append(p.values[:at], p.values[at+1:]...)
	}
	if v.Kind == jsontext.Absent {
		return bad
	}
	x, ok := convert(word, v)
	if !ok {
		return because(record.OverValue, "a value is of the wrong type or outside its bounds")
	}
	if !word.Keep {
		return bad
	}
	p.values = append(p.values, record.Value{})
	copy(p.values[at+1:], p.values[at:])
	p.values[at] = x
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

// readable says whether an event's own text can be taken: UTF-8, not too deep.
func readable(b []byte, deep int, checked bool) fault {
	switch {
	case !checked && !utf8.Valid(b):
		return because(record.Malformed, "the event is not UTF-8")
	case deep > maxDepth:
		return because(record.Malformed, "the event is nested too deep")
	}
	return fault{}
}

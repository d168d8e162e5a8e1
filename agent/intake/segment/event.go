package segment

import (
	"bytes"
	"crypto/sha256"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/record"
)

// Limits of one event.
const (
	maxEvent  = 32 << 10 // bytes of its JSON
	maxUserID = 256      // bytes; a longer id is over_limit_size
	maxDepth  = 64       // an event nested deeper is malformed
)

type kind byte

const (
	absent kind = iota // not there, or null
	text               // a string
	number
	boolean
	other // an object or array
)

// value is a member that was read: for text the string, for number and boolean the JSON itself, for
// other the text from its first byte on.
type value struct {
	kind kind
	b    []byte
}

// value reads any value and leaves what a container holds for later.
func (s *scanner) value() value {
	switch c := s.cur(); c {
	case '"':
		return value{text, s.str()}
	case '{', '[':
		from := s.i
		s.skip()
		return value{other, s.b[from:s.i]}
	case 'n':
		s.literal("null")
		return value{}
	case 't', 'f':
		from := s.i
		s.scalar(c)
		return value{boolean, s.b[from:s.i]}
	default:
		return value{number, s.number()}
	}
}

// fields are the members of an event that matter. Of a repeated one the last counts.
type fields struct {
	typ, event, name, user, anonymous, previous, messageID value
	timestamp, sentAt, receivedAt, writeKey                value
	properties, traits                                     value
}

// fields reads an event's object, every other member is passed over.
func (s *scanner) fields(f *fields) {
	for more := s.enter('{'); more; more = s.next('{') {
		switch string(s.key()) {
		case "type":
			f.typ = s.value()
		case "event":
			f.event = s.value()
		case "name":
			f.name = s.value()
		case "userId":
			f.user = s.value()
		case "anonymousId":
			f.anonymous = s.value()
		case "previousId":
			f.previous = s.value()
		case "messageId":
			f.messageID = s.value()
		case "timestamp":
			f.timestamp = s.value()
		case "sentAt":
			f.sentAt = s.value()
		case "receivedAt":
			f.receivedAt = s.value()
		case "writeKey":
			f.writeKey = s.value()
		case "properties":
			f.properties = s.value()
		case "traits":
			f.traits = s.value()
		default:
			s.skip()
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
	if f.messageID.kind != absent && len(f.messageID.b) > 0 {
		sum := sha256.Sum256(f.messageID.b)
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
	name := f.event.b
	if t != record.Track {
		name = f.name.b
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
	if f.messageID.b, ok = id(f.messageID); !ok {
		return malformed("messageId is neither text nor a whole number")
	}
	switch t {
	case record.Track:
		if f.event.kind != text || len(f.event.b) == 0 {
			return malformed("event is missing or no text")
		}
	case record.Page, record.Screen:
		if f.name.kind != text && f.name.kind != absent {
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
	if !f.properties.object() {
		return malformed("properties is no object")
	}
	if !f.traits.object() {
		return malformed("traits is no object")
	}
	return fault{}
}

// object says whether v is an object or absent. PHP sends its empty ones as "[]".
func (v *value) object() bool {
	if v.kind == other && v.b[0] == '[' && len(bytes.TrimSpace(v.b[1:len(v.b)-1])) == 0 {
		*v = value{}
	}
	return v.kind == absent || v.kind == other && v.b[0] == '{'
}

// id takes text and, since some products number their users, whole numbers as they are written.
func id(v value) (b []byte, ok bool) {
	switch v.kind {
	case absent, text:
		return v.b, true
	case number:
		for i, c := range v.b {
			if (c < '0' || c > '9') && (c != '-' || i > 0) {
				return nil, false
			}
		}
		return v.b, true
	}
	return nil, false
}

func when(v value) (ns int64, given, ok bool) {
	if v.kind == absent || v.kind == text && len(v.b) == 0 {
		return 0, false, true
	}
	if v.kind != text {
		return 0, false, false
	}
	ns, ok = parseTime(v.b)
	return ns, ok, ok
}

// words reads the declared ones among an object's members; the others are passed over and go no
// further. Of a repeated one the last counts.
func (p *parser) words(e *record.Event, w *intake.Words, object value, createdAt bool) fault {
	if object.kind == absent {
		return fault{}
	}
	if w.Len() == 0 && !createdAt {
		return fault{}
	}
	s := &p.inner
	s.reset(object.b)
	from := len(p.values)
	var bad fault
	for more := s.enter('{'); more; more = s.next('{') {
		key := s.key()
		word := w.Find(key)
		if createdAt && string(key) == "createdAt" {
			v := s.value()
			e.CreatedAt = created(v)
			if word == nil {
				continue
			}
			bad = p.put(from, word, v, bad)
			continue
		}
		if word == nil {
			s.skip()
			continue
		}
		bad = p.put(from, word, s.value(), bad)
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
func (p *parser) put(from int, word *intake.Word, v value, bad fault) fault {
	at := from
	for at < len(p.values) && p.values[at].Property < word.Position {
		at++
	}
	if at < len(p.values) && p.values[at].Property == word.Position {
		p.values = append(p.values[:at], p.values[at+1:]...)
	}
	if v.kind == absent {
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
func convert(word *intake.Word, v value) (x record.Value, ok bool) {
	x.Property = word.Position
	if word.IsNumber {
		if v.kind != number {
			return x, false
		}
		x.Number, ok = word.Number(v.b)
		return x, ok
	}
	if v.kind == other {
		return x, false
	}
	x.Index, ok = word.Value(v.b)
	return x, ok || v.kind == text
}

// created reads the createdAt trait: a time, or unix seconds or milliseconds. What it cannot read
// counts as not given. 0 means not given.
func created(v value) int64 {
	var ns int64
	switch v.kind {
	case text:
		t, ok := parseTime(v.b)
		if !ok {
			return 0
		}
		ns = t
	case number:
		d, _, ok := intake.ParseDecimal(v.b)
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

package segment

import (
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/event"
	"github.com/fieldpost/fieldpost/agent/intake/jsontext"
	"github.com/fieldpost/fieldpost/agent/record"
)

// parser reads one body into one record. It is used again for later bodies.
type parser struct {
	body  []byte
	outer jsontext.Scanner // over the body
	inner jsontext.Scanner // over contexts

	events   event.Builder
	rejected event.Rejected

	writeKey   []byte
	sentAt     int64
	sent       bool
	receivedAt jsontext.Value // of the last event; for recorded events
	complaint  string
}

func (p *parser) start(v *intake.Vocabulary, body []byte, values []record.Value) {
	p.body = body
	p.outer.Reset(body)
	p.events.Start(v, values)
	p.rejected.Reset()
	p.writeKey, p.sentAt, p.sent, p.receivedAt, p.complaint = nil, 0, false, jsontext.Value{}, ""
}

// batch reads the body of /v1/batch. ok is false when it is not a JSON object with an array
// "batch".
func (p *parser) batch(r *record.Record) (ok bool) {
	s := &p.outer
	utf := utf8.Valid(p.body)
	seen := false
	for more := s.Enter('{'); more; more = s.Next('{') {
		switch string(s.Key()) {
		case "batch":
			if seen || s.Cur() != '[' { // a second list would count events twice
				p.complaint = "batch is no list, or is there twice"
				return false
			}
			seen = true
			index := 0
			for more := s.Enter('['); more; more = s.Next('[') {
				p.event(r, index, 0, utf)
				index++
			}
		case "writeKey":
			if v := s.Value(); v.Kind == jsontext.Text {
				p.writeKey = v.Bytes
			}
		case "sentAt":
			// A batch whose sentAt cannot be read is one without: the events are still good.
			v := s.Value()
			p.sentAt, p.sent, _ = event.When(v)
		default:
			s.Skip()
		}
	}
	if !p.end() {
		return false
	}
	if !seen {
		p.complaint = "batch is missing"
	}
	return seen
}

// single reads the body of a call of its own. ok is false when it is not a JSON object.
func (p *parser) single(r *record.Record, t record.Type) (ok bool) {
	if p.outer.Cur() != '{' {
		p.end()
		return false
	}
	p.event(r, 0, t, utf8.Valid(p.body))
	return p.end()
}

// end says whether the body was one JSON value and nothing behind it.
func (p *parser) end() bool {
	ok := p.outer.End()
	if !ok {
		p.complaint = "the body is not a JSON object"
	}
	return ok
}

// event reads one event of type t, or of the type it gives itself when t is 0, into r.
func (p *parser) event(r *record.Record, index int, t record.Type, utf bool) {
	s := &p.outer
	if s.Cur() != '{' {
		s.Skip()
		p.refuse(r, index, event.Malformed("the event is no object"))
		return
	}
	var f fields
	from := s.Pos()
	s.Deep = 0
	f.read(s)
	if s.Bad() {
		return
	}
	if f.writeKey.Kind == jsontext.Text && t != 0 {
		p.writeKey = f.writeKey.Bytes
	}
	p.receivedAt = f.receivedAt
	bad := event.Readable(p.body[from:s.Pos()], s.Deep+1, utf)
	if !bad.Refused() && t == 0 {
		if t = typeOf(f.typ); t == 0 {
			bad = event.Malformed("type is missing or unknown")
		}
	}
	d := event.Draft{TooLarge: s.Pos()-from > event.MaxBytes}
	if !bad.Refused() {
		bad = p.draft(&d, &f, t)
	}
	if bad.Refused() {
		p.refuse(r, index, bad)
		return
	}
	p.rejected.Add(index, p.events.Add(r, &d))
}

func (p *parser) refuse(r *record.Record, index int, bad event.Fault) {
	p.events.Refuse(r, bad)
	p.rejected.Add(index, bad)
}

func typeOf(v jsontext.Value) record.Type {
	if v.Kind != jsontext.Text {
		return 0
	}
	switch string(v.Bytes) {
	case "track":
		return record.Track
	case "page":
		return record.Page
	case "screen":
		return record.Screen
	case "identify":
		return record.Identify
	case "group":
		return record.Group
	case "alias":
		return record.Alias
	}
	return 0
}

package segment

import (
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/jsontext"
	"github.com/fieldpost/fieldpost/agent/record"
)

// parser reads one body into one record. It is used again for later bodies.
type parser struct {
	vocabulary *intake.Vocabulary
	body       []byte
	outer      jsontext.Scanner // over the body
	inner      jsontext.Scanner // over properties and traits

	values   []record.Value
	found    []found
	users    []byte // the ids of all events, one after the other
	rejected []rejection
	more     int // rejections beyond maxRejected

	writeKey   []byte
	sentAt     int64
	sent       bool
	receivedAt jsontext.Value // of the last event; for recorded events
	complaint  string
}

type rejection struct {
	index int
	fault fault
}

// maxRejected bounds the answer: a body of nothing but "{}," has 170,000 events.
const maxRejected = 1000

func (p *parser) start(v *intake.Vocabulary, body []byte, values []record.Value) {
	p.vocabulary, p.values, p.body = v, values, body
	p.outer.Reset(body)
	p.found, p.users, p.rejected, p.more = p.found[:0], p.users[:0], p.rejected[:0], 0
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
			p.sentAt, p.sent, _ = when(v)
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
		p.refuse(r, index, because(record.Malformed, "the event is no object"))
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
	bad := readable(p.body[from:s.Pos()], s.Deep+1, utf)
	if !bad.refused() && t == 0 {
		if t = typeOf(f.typ); t == 0 {
			bad = because(record.Malformed, "type is missing or unknown")
		}
	}
	tooLarge := s.Pos()-from > maxEvent
	n := len(r.Events)
	if n < cap(r.Events) {
		r.Events = r.Events[:n+1]
	} else {
		r.Events = append(r.Events, record.Event{})
	}
	e := &r.Events[n]
	*e = record.Event{}
	p.found = append(p.found, found{})
	x := &p.found[n]
	if !bad.refused() {
		bad = p.understand(e, x, &f, t)
	}
	if tooLarge && (!bad.refused() || bad.reason() > record.OverSize) {
		bad = because(record.OverSize, "the event is over 32 KB")
	}
	if bad.refused() {
		p.drop(r, n, e)
		p.refuse(r, index, bad)
	}
}

// drop takes back the event that was begun.
func (p *parser) drop(r *record.Record, n int, e *record.Event) {
	p.values = p.values[:len(p.values)-len(e.Properties)]
	r.Events, p.found = r.Events[:n], p.found[:n]
}

func (p *parser) refuse(r *record.Record, index int, bad fault) {
	r.RefusedEvents[bad.reason()]++
	switch {
	case bad.reason() == record.Off: // the site's choice, nothing the client should mend
	case len(p.rejected) == maxRejected:
		p.more++
	default:
		p.rejected = append(p.rejected, rejection{index, bad})
	}
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

// finish dates the events, now that the whole body is known, and gives them their users: one
// string for all ids of a record.
func (p *parser) finish(r *record.Record) {
	for i := range p.found {
		p.users = append(append(p.users, p.found[i].user...), p.found[i].previous...)
	}
	all := string(p.users)
	for i := range p.found {
		x, e := &p.found[i], &r.Events[i]
		e.User, all = all[:len(x.user)], all[len(x.user):]
		e.Previous, all = all[:len(x.previous)], all[len(x.previous):]
		sentAt, sent := x.sentAt, x.sent
		if !sent {
			sentAt, sent = p.sentAt, p.sent
		}
		var skewed bool
		if e.Time, skewed = eventTime(x.timestamp, x.stamped, sentAt, sent, r.Received); skewed {
			r.Skewed++
		}
	}
}

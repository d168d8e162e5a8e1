package posthog

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/event"
	"github.com/fieldpost/fieldpost/agent/intake/jsontext"
	"github.com/fieldpost/fieldpost/agent/record"
)

// parser reads one body into one record. It is used again for later bodies.
type parser struct {
	vocabulary *intake.Vocabulary
	body       []byte
	outer      jsontext.Scanner // over the body
	inner      jsontext.Scanner // over properties
	innermost  jsontext.Scanner // over objects in them

	events   event.Builder
	rejected event.Rejected
	ids      []byte // those that stood in properties, for the inner scanner keeps none
	id       []byte // the messageId of what an event is besides
	groups   []byte // the last $groups that were a group

	received  int64
	key       []byte
	sentAt    int64
	sent      bool
	complaint string
}

func (p *parser) start(q *intake.Request, body []byte) {
	p.vocabulary, p.body, p.received = q.Vocabulary, body, q.Record.Received
	p.outer.Reset(body)
	p.events.Start(q.Vocabulary, q.Values)
	p.rejected.Reset()
	p.ids, p.groups, p.key, p.sentAt, p.sent, p.complaint = p.ids[:0], nil, nil, 0, false, ""
}

// finish dates the events.
func (p *parser) finish(q *intake.Request) {
	if at := q.Header.Get("Posthog-Request-Timestamp"); at != "" && !p.sent {
		p.sentAt, p.sent, _ = when(jsontext.Value{Kind: jsontext.Text, Bytes: []byte(at)})
	}
	if !p.sent {
		if ms, err := strconv.ParseInt(parameter(q.Query, "_"), 10, 64); err == nil && ms > 1e12 && ms < 1e13 { // 2001 to 2286
			p.sentAt, p.sent = ms*int64(time.Millisecond), true
		}
	}
	p.events.Finish(q.Record, p.sentAt, p.sent)
}

// fields are the members of an event, or of a body around a batch, that matter. Of a repeated one the
// last counts.
type fields struct {
	event, user, uuid, messageID  jsontext.Value
	timestamp, offset, sentAt     jsontext.Value
	properties, set, setOnce, key jsontext.Value
	options                       jsontext.Value
	batch                         bool
}

// read reads a body: an event, a list of them, or an object with a batch. ok is false where it is none.
func (p *parser) read(r *record.Record) (ok bool) {
	s := &p.outer
	utf := utf8.Valid(p.body)
	switch s.Cur() {
	case '[':
		p.list(r, utf)
	case '{':
		var f fields
		s.Deep = 0
		p.members(&f, r, utf)
		if s.Bad() {
			break
		}
		if f.key.Kind == jsontext.Text {
			p.key = f.key.Bytes
		}
		if f.batch {
			// A batch whose time of sending cannot be read is one without: the events are still good.
			p.sentAt, p.sent, _ = when(f.sentAt)
		} else {
			p.event(r, 0, &f, event.Readable(p.body, s.Deep+1, utf), len(p.body))
		}
	default:
		p.complaint = "the body is neither an event nor a list of them"
	}
	if ok = s.End() && p.complaint == ""; !ok && p.complaint == "" {
		p.complaint = "the body is not JSON"
	}
	return ok
}

// list reads the events of a list.
func (p *parser) list(r *record.Record, utf bool) {
	s := &p.outer
	index := 0
	for more := s.Enter('['); more; more = s.Next('[') {
		if s.Cur() != '{' {
			s.Skip()
			p.refuse(r, index, event.Malformed("the event is no object"))
		} else {
			var f fields
			from := s.Pos()
			s.Deep = 0
			p.members(&f, nil, utf)
			if s.Bad() {
				return
			}
			p.event(r, index, &f, event.Readable(p.body[from:s.Pos()], s.Deep+1, utf), s.Pos()-from)
		}
		index++
	}
}

// members reads an object's members; a batch in it only where there is a record for its events.
func (p *parser) members(f *fields, r *record.Record, utf bool) {
	s := &p.outer
	for more := s.Enter('{'); more; more = s.Next('{') {
		switch string(s.Key()) {
		case "event":
			f.event = s.Value()
		case "distinct_id":
			f.user = s.Value()
		case "uuid":
			f.uuid = s.Value()
		case "messageId":
			f.messageID = s.Value()
		case "timestamp":
			f.timestamp = s.Value()
		case "offset":
			f.offset = s.Value()
		case "sent_at", "sentAt":
			f.sentAt = s.Value()
		case "properties":
			f.properties = s.Value()
		case "options":
			f.options = s.Value()
		case "$set":
			f.set = s.Value()
		case "$set_once":
			f.setOnce = s.Value()
		case "api_key", "token":
			f.key = s.Value()
		case "batch":
			switch {
			case r == nil:
				s.Skip()
			case f.batch || s.Cur() != '[': // a second list would count events twice
				p.complaint = "batch is no list, or is there twice"
				s.Skip()
			default:
				f.batch = true
				p.list(r, utf)
			}
		default:
			s.Skip()
		}
	}
}

func (p *parser) refuse(r *record.Record, index int, bad event.Fault) {
	p.events.Refuse(r, bad)
	p.rejected.Add(index, bad)
}

// when reads a time, as UTC where it has no offset: PostHog's own examples have none.
func when(v jsontext.Value) (ns int64, given, ok bool) {
	if ns, given, ok = event.When(v); ok || v.Kind != jsontext.Text || len(v.Bytes) > 40 {
		return ns, given, ok
	}
	var b [41]byte
	n := copy(b[:], v.Bytes)
	b[n] = 'Z'
	v.Bytes = b[:n+1]
	return event.When(v)
}

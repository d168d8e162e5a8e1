package segment

import (
	"github.com/fieldpost/fieldpost/agent/intake/event"
	"github.com/fieldpost/fieldpost/agent/intake/jsontext"
	"github.com/fieldpost/fieldpost/agent/record"
)

// fields are the members of an event that matter. Of a repeated one the last counts.
type fields struct {
	typ, event, name, user, anonymous, previous, messageID jsontext.Value
	timestamp, original, sentAt, receivedAt, writeKey      jsontext.Value
	properties, traits, context                            jsontext.Value
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
		case "originalTimestamp":
			f.original = s.Value()
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
		case "context":
			f.context = s.Value()
		default:
			s.Skip()
		}
	}
}

// draft checks everything that makes an event malformed, and fills d.
func (p *parser) draft(d *event.Draft, f *fields, t record.Type) event.Fault {
	var ok bool
	if d.User, ok = event.ID(f.user); !ok {
		return event.Malformed("userId is neither text nor a whole number")
	}
	anonymous, ok := event.ID(f.anonymous)
	if !ok {
		return event.Malformed("anonymousId is neither text nor a whole number")
	}
	if len(d.User) == 0 && len(anonymous) == 0 {
		return event.Malformed("userId and anonymousId are missing")
	}
	if d.MessageID, ok = event.ID(f.messageID); !ok {
		return event.Malformed("messageId is neither text nor a whole number")
	}
	d.Type = t
	switch t {
	case record.Track:
		if d.Name = f.event.Bytes; f.event.Kind != jsontext.Text || len(d.Name) == 0 {
			return event.Malformed("event is missing or no text")
		}
	case record.Page, record.Screen:
		if d.Name = f.name.Bytes; f.name.Kind != jsontext.Text && f.name.Kind != jsontext.Absent {
			return event.Malformed("name is no text")
		}
	case record.Alias:
		if d.Previous, ok = event.ID(f.previous); !ok || len(d.Previous) == 0 || len(d.User) == 0 {
			return event.Malformed("an alias needs userId and previousId")
		}
	}
	if bad := p.times(d, f); bad.Refused() {
		return bad
	}
	if !event.IsObject(&f.properties) {
		return event.Malformed("properties is no object")
	}
	if !event.IsObject(&f.traits) {
		return event.Malformed("traits is no object")
	}
	d.Properties[0] = f.properties
	if t == record.Identify || t == record.Group {
		d.Properties[0] = f.traits
	}
	if t == record.Identify && f.traits.Kind == jsontext.Absent {
		d.Properties[0] = p.traitsOf(f.context)
	}
	return event.Fault{}
}

// times reads when the event was made and sent. RudderStack calls the first originalTimestamp.
func (p *parser) times(d *event.Draft, f *fields) event.Fault {
	var ok bool
	if d.Timestamp, d.Stamped, ok = event.When(f.timestamp); !ok {
		return event.Malformed("timestamp is not RFC 3339")
	}
	if !d.Stamped {
		if d.Timestamp, d.Stamped, ok = event.When(f.original); !ok {
			return event.Malformed("originalTimestamp is not RFC 3339")
		}
	}
	if d.SentAt, d.Sent, ok = event.When(f.sentAt); !ok {
		return event.Malformed("sentAt is not RFC 3339")
	}
	return event.Fault{}
}

// traitsOf is where RudderStack's browser client puts an identify's traits. What is no object there
// says nothing: a context is never wrong.
func (p *parser) traitsOf(context jsontext.Value) (traits jsontext.Value) {
	if context.Kind != jsontext.Other || context.Bytes[0] != '{' {
		return traits
	}
	p.inner.Reset(context.Bytes)
	for more := p.inner.Enter('{'); more; more = p.inner.Next('{') {
		if string(p.inner.Key()) == "traits" {
			traits = p.inner.Value()
		} else {
			p.inner.Skip()
		}
	}
	if !event.IsObject(&traits) {
		return jsontext.Value{}
	}
	return traits
}

package cloudevents

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
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
	inner jsontext.Scanner // over data, on the way to the user

	events   event.Builder
	rejected event.Rejected
	users    []byte // those that stood in data, for the inner scanner keeps none
	id       []byte // source and id of one event

	attribute string // the extension attribute with the user; "" none
	path      string // the way to the user in data; "" none
}

func (p *parser) start(q *intake.Request) {
	p.body = q.Body
	p.outer.Reset(q.Body)
	p.events.Start(q.Vocabulary, q.Values)
	p.rejected.Reset()
	p.users, p.attribute, p.path = p.users[:0], q.Vocabulary.Doors.CloudEvents, ""
	if path, ok := strings.CutPrefix(p.attribute, "data."); ok {
		p.attribute, p.path = "", path
	}
}

// attributes are the members of an event that matter. Of a repeated one the last counts.
type attributes struct {
	version, id, source, typ, time, user, data jsontext.Value
}

// batch reads a list of events. ok is false where it is none.
func (p *parser) batch(r *record.Record) (ok bool) {
	s := &p.outer
	utf := utf8.Valid(p.body)
	if s.Cur() != '[' {
		return false
	}
	index := 0
	for more := s.Enter('['); more; more = s.Next('[') {
		p.rejected.Add(index, p.element(r, utf))
		index++
	}
	return s.End()
}

// structured reads one event. ok is false where the body is no JSON object.
func (p *parser) structured(r *record.Record) (bad event.Fault, ok bool) {
	if p.outer.Cur() != '{' {
		return bad, false
	}
	bad = p.element(r, utf8.Valid(p.body))
	return bad, p.outer.End()
}

func (p *parser) element(r *record.Record, utf bool) event.Fault {
	s := &p.outer
	if s.Cur() != '{' {
		s.Skip()
		return p.refuse(r, event.Malformed("the event is no object"))
	}
	var a attributes
	from := s.Pos()
	s.Deep = 0
	p.members(&a)
	if s.Bad() {
		return event.Fault{}
	}
	bad := event.Readable(p.body[from:s.Pos()], s.Deep+1, utf)
	if bad.Refused() {
		return p.refuse(r, bad)
	}
	return p.event(r, &a, s.Pos()-from)
}

func (p *parser) members(a *attributes) {
	s := &p.outer
	for more := s.Enter('{'); more; more = s.Next('{') {
		key := s.Key()
		switch string(key) {
		case "specversion":
			a.version = s.Value()
		case "id":
			a.id = s.Value()
		case "source":
			a.source = s.Value()
		case "type":
			a.typ = s.Value()
		case "time":
			a.time = s.Value()
		case "data":
			a.data = s.Value()
		default:
			if p.attribute != "" && string(key) == p.attribute {
				a.user = s.Value()
			} else {
				s.Skip()
			}
		}
	}
}

// binary reads the event whose attributes are headers.
func (p *parser) binary(r *record.Record, h http.Header) event.Fault {
	var a attributes
	ok := true
	get := func(name string) (v jsontext.Value) {
		v, fine := header(h, name)
		ok = ok && fine
		return v
	}
	a.version, a.id, a.source, a.typ, a.time = get("Ce-Specversion"), get("Ce-Id"), get("Ce-Source"), get("Ce-Type"), get("Ce-Time")
	if p.attribute != "" {
		a.user = get(textproto.CanonicalMIMEHeaderKey("ce-" + p.attribute))
	}
	if !ok {
		return p.refuse(r, event.Malformed("a ce- header is there twice, or is not UTF-8"))
	}
	size := len(p.body)
	if size <= event.MaxBytes && isJSON(h.Get("Content-Type")) && p.outer.Cur() == '{' {
		v := p.outer.Value()
		if p.outer.End() {
			if bad := event.Readable(p.body, p.outer.Deep, false); bad.Refused() {
				return p.refuse(r, bad)
			}
			a.data = v
		}
	}
	return p.event(r, &a, size)
}

// header is a value as the HTTP binding writes it: bytes that are not plain are percent-encoded.
// Older senders put it in quotes.
func header(h http.Header, name string) (v jsontext.Value, ok bool) {
	values := h[name]
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return v, true
	}
	text := values[0]
	if n := len(text); n > 1 && text[0] == '"' && text[n-1] == '"' {
		text = text[1 : n-1]
	}
	if strings.IndexByte(text, '%') >= 0 {
		if plain, err := url.PathUnescape(text); err == nil { // a stray % stands for itself
			text = plain
		}
	}
	return jsontext.Value{Kind: jsontext.Text, Bytes: []byte(text)}, len(values) == 1 && utf8.ValidString(text)
}

func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

func (p *parser) refuse(r *record.Record, bad event.Fault) event.Fault {
	p.events.Refuse(r, bad)
	return bad
}

// event makes an event of its attributes.
func (p *parser) event(r *record.Record, a *attributes, size int) event.Fault {
	given := func(v jsontext.Value) bool { return v.Kind == jsontext.Text && len(v.Bytes) > 0 }
	if !given(a.id) || !given(a.source) || !given(a.typ) {
		return p.refuse(r, event.Malformed("id, source or type is missing or no text"))
	}
	if !given(a.version) || string(a.version.Bytes) != "1.0" {
		return p.refuse(r, event.Malformed("specversion is not 1.0"))
	}
	d := event.Draft{Type: record.Track, Name: a.typ.Bytes, TooLarge: size > event.MaxBytes}
	var ok bool
	if d.Timestamp, d.Stamped, ok = event.When(a.time); !ok {
		return p.refuse(r, event.Malformed("time is not RFC 3339"))
	}
	if a.data.Kind == jsontext.Other && a.data.Bytes[0] == '{' {
		d.Properties[0] = a.data
		if p.path != "" {
			a.user = p.inside(a.data, p.path)
		}
	}
	if d.User, ok = event.ID(a.user); !ok {
		return p.refuse(r, event.Malformed("the user is neither text nor a whole number"))
	}
	if p.path != "" { // the inner scanner does not keep it
		from := len(p.users)
		p.users = append(p.users, d.User...)
		d.User = p.users[from:len(p.users):len(p.users)]
	}
	p.id = append(append(append(p.id[:0], a.source.Bytes...), 0), a.id.Bytes...)
	d.MessageID = p.id
	return p.events.Add(r, &d)
}

// inside is the value at the end of a path of members; absent where the path leads nowhere.
func (p *parser) inside(object jsontext.Value, path string) (v jsontext.Value) {
	s := &p.inner
	for path != "" {
		if object.Kind != jsontext.Other || object.Bytes[0] != '{' {
			return jsontext.Value{}
		}
		var name string
		name, path, _ = strings.Cut(path, ".")
		v = jsontext.Value{}
		s.Reset(object.Bytes)
		for more := s.Enter('{'); more; more = s.Next('{') {
			if string(s.Key()) == name {
				v = s.Value()
			} else {
				s.Skip()
			}
		}
		object = v
	}
	return v
}

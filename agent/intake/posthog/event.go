package posthog

import (
	"bytes"
	"time"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/event"
	"github.com/fieldpost/fieldpost/agent/intake/jsontext"
	"github.com/fieldpost/fieldpost/agent/record"
)

// special are the properties that mean something to PostHog itself.
type special struct {
	user, key, alias, anonymous, device jsontext.Value
	identified, profile, cookieless     jsontext.Value
	set, setOnce, groups                jsontext.Value
	groupType, groupKey, groupSet       jsontext.Value
	screenName, title, pathname         jsontext.Value
}

func (x *special) read(s *jsontext.Scanner) {
	for more := s.Enter('{'); more; more = s.Next('{') {
		switch string(s.Key()) {
		case "distinct_id":
			x.user = s.Value()
		case "token":
			x.key = s.Value()
		case "alias":
			x.alias = s.Value()
		case "title":
			x.title = s.Value()
		case "$anon_distinct_id":
			x.anonymous = s.Value()
		case "$device_id":
			x.device = s.Value()
		case "$is_identified":
			x.identified = s.Value()
		case "$process_person_profile":
			x.profile = s.Value()
		case "$cookieless_mode":
			x.cookieless = s.Value()
		case "$set":
			x.set = s.Value()
		case "$set_once":
			x.setOnce = s.Value()
		case "$groups":
			x.groups = s.Value()
		case "$group_type":
			x.groupType = s.Value()
		case "$group_key":
			x.groupKey = s.Value()
		case "$group_set":
			x.groupSet = s.Value()
		case "$screen_name":
			x.screenName = s.Value()
		case "$pathname":
			x.pathname = s.Value()
		default:
			s.Skip()
		}
	}
}

// options are the same under their names of capture's version 1.
func (x *special) options(s *jsontext.Scanner, b []byte) {
	s.Reset(b)
	for more := s.Enter('{'); more; more = s.Next('{') {
		switch string(s.Key()) {
		case "process_person_profile":
			x.profile = s.Value()
		case "cookieless_mode":
			x.cookieless = s.Value()
		default:
			s.Skip()
		}
	}
}

// event makes an event of its members, and what it is besides. bad is what is wrong with its text.
func (p *parser) event(r *record.Record, index int, f *fields, bad event.Fault, size int) {
	d := event.Draft{TooLarge: size > event.MaxBytes}
	var x special
	if !bad.Refused() {
		bad = p.draft(&d, f, &x)
	}
	if bad.Refused() {
		p.refuse(r, index, bad)
		return
	}
	traits := d.Properties
	activity := d.Type == record.Track
	if activity {
		p.name(&d, f, &x)
		d.Properties = [4]jsontext.Value{f.properties}
		if x.nobody(d.User) {
			d.User = nil
		}
	}
	p.rejected.Add(index, p.events.Add(r, &d))
	switch {
	case d.TooLarge:
	case activity:
		p.besides(r, &d, &x, traits)
	case d.Type == record.Identify && x.anonymous.Kind == jsontext.Text && len(x.anonymous.Bytes) > 0 && !bytes.Equal(x.anonymous.Bytes, d.User):
		p.add(r, &event.Draft{Type: record.Alias, User: d.User, Previous: p.keep(x.anonymous.Bytes)}, &d, "alias")
	}
}

// draft checks everything that makes an event malformed, and fills d. Of an activity it leaves a track whose
// properties are the traits it sets; its name and own properties come later.
func (p *parser) draft(d *event.Draft, f *fields, x *special) event.Fault {
	if f.event.Kind != jsontext.Text || len(f.event.Bytes) == 0 {
		return event.Malformed("event is missing or no text")
	}
	if !event.IsObject(&f.properties) {
		return event.Malformed("properties is no object")
	}
	if f.properties.Kind != jsontext.Absent {
		p.inner.Reset(f.properties.Bytes)
		x.read(&p.inner)
	}
	if f.options.Kind == jsontext.Other && f.options.Bytes[0] == '{' {
		x.options(&p.innermost, f.options.Bytes)
	}
	p.findKey(f, x)
	if bad := p.identity(d, f, x); bad.Refused() {
		return bad
	}
	var ok bool
	if d.Timestamp, d.Stamped, ok = when(f.timestamp); !ok {
		return event.Malformed("timestamp is not RFC 3339")
	}
	if d.SentAt, d.Sent, ok = when(f.sentAt); !ok {
		return event.Malformed("sent_at is not RFC 3339")
	}
	if !d.Stamped && f.offset.Kind == jsontext.Number {
		if ms, _, ok := intake.ParseDecimal(f.offset.Bytes); ok && ms.Mantissa >= 0 && ms.Exponent == 0 && ms.Mantissa < 1e12 {
			d.Timestamp, d.Stamped = p.received-ms.Mantissa*int64(time.Millisecond), true
			d.SentAt, d.Sent = p.received, true // an offset needs no clock
		}
	}
	for _, v := range []*jsontext.Value{&f.setOnce, &x.setOnce, &f.set, &x.set, &x.groups, &x.groupSet} {
		if !event.IsObject(v) {
			return event.Malformed("$set, $groups or the like is no object")
		}
	}
	d.Properties = [4]jsontext.Value{f.setOnce, x.setOnce, f.set, x.set}
	return p.kind(d, f, x)
}

func (p *parser) findKey(f *fields, x *special) {
	switch {
	case f.key.Kind == jsontext.Text:
		p.key = f.key.Bytes
	case x.key.Kind == jsontext.Text && len(p.key) == 0:
		p.key = p.keep(x.key.Bytes)
	}
}

// identity finds whose event it is, and its own id.
func (p *parser) identity(d *event.Draft, f *fields, x *special) event.Fault {
	var ok bool
	if d.User, ok = event.ID(f.user); !ok {
		return event.Malformed("distinct_id is neither text nor a whole number")
	}
	if len(d.User) == 0 {
		if d.User, ok = event.ID(x.user); !ok {
			return event.Malformed("distinct_id is neither text nor a whole number")
		}
		d.User = p.keep(d.User)
	}
	if len(d.User) == 0 {
		return event.Malformed("distinct_id is missing")
	}
	if d.MessageID, ok = event.ID(f.uuid); !ok {
		return event.Malformed("uuid is no text")
	}
	if len(d.MessageID) == 0 {
		if d.MessageID, ok = event.ID(f.messageID); !ok {
			return event.Malformed("messageId is no text")
		}
	}
	return event.Fault{}
}

// kind says what PostHog's own events are.
func (p *parser) kind(d *event.Draft, f *fields, x *special) event.Fault {
	d.Type = record.Track
	switch string(f.event.Bytes) {
	case "$identify", "$set", "$set_once":
		d.Type = record.Identify
	case "$create_alias", "$merge_dangerously":
		d.Type = record.Alias
		previous, ok := event.ID(x.alias)
		if !ok || len(previous) == 0 {
			return event.Malformed("an alias needs properties.alias")
		}
		d.Previous = p.keep(previous)
	case "$groupidentify":
		d.Type = record.Group
		d.Properties = [4]jsontext.Value{x.groupSet}
		if x.groupType.Kind == jsontext.Text && x.groupKey.Kind != jsontext.Absent {
			d.Pairs = []event.Pair{{Name: x.groupType.Bytes, Value: x.groupKey}}
		}
	}
	return event.Fault{}
}

// name finds what the catalog calls an activity.
func (p *parser) name(d *event.Draft, f *fields, x *special) {
	d.Name = f.event.Bytes
	t := record.Page
	switch string(d.Name) {
	case "$pageview":
	case "$screen":
		t = record.Screen
	default:
		return
	}
	for _, v := range []jsontext.Value{x.screenName, x.title, x.pathname, f.event} {
		if v.Kind == jsontext.Text && p.vocabulary.Event(t, v.Bytes) != nil {
			d.Type, d.Name = t, v.Bytes
			return
		}
	}
	if p.vocabulary.Event(record.Track, d.Name) == nil {
		d.Type = t
	}
}

// nobody says that an id was made by PostHog for somebody it does not know.
func (x *special) nobody(id []byte) bool {
	if says(x.profile, "false") || says(x.cookieless, "true") {
		return true
	}
	if says(x.identified, "true") {
		return false
	}
	return x.device.Kind == jsontext.Text && bytes.Equal(x.device.Bytes, id) || says(x.identified, "false") && isUUID(id)
}

func says(v jsontext.Value, word string) bool {
	return (v.Kind == jsontext.Boolean || v.Kind == jsontext.Text) && string(v.Bytes) == word
}

func isUUID(b []byte) bool {
	if len(b) != 36 {
		return false
	}
	for i, c := range b {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if nibble(c) > 15 {
			return false
		}
	}
	return true
}

// besides adds what an activity says about its user and groups.
func (p *parser) besides(r *record.Record, d *event.Draft, x *special, traits [4]jsontext.Value) {
	v := p.vocabulary
	if len(d.User) > 0 && v.People {
		for _, t := range traits {
			if p.names(t, v.Traits) {
				p.add(r, &event.Draft{Type: record.Identify, User: d.User, Properties: traits}, d, "set")
				break
			}
		}
	}
	if v.Groups && x.groups.Kind != jsontext.Absent && !bytes.Equal(p.groups, x.groups.Bytes) && p.names(x.groups, v.GroupTraits) {
		p.groups = x.groups.Bytes
		p.add(r, &event.Draft{Type: record.Group, Properties: [4]jsontext.Value{x.groups}}, d, "groups")
	}
}

// names says whether an object has a member that is declared.
func (p *parser) names(object jsontext.Value, w *intake.Words) bool {
	if object.Kind == jsontext.Absent || w.Len() == 0 {
		return false
	}
	s := &p.innermost
	s.Reset(object.Bytes)
	for more := s.Enter('{'); more; more = s.Next('{') {
		if w.Find(s.Key()) != nil {
			return true
		}
		s.Skip()
	}
	return false
}

// add adds what an event is besides: at the same time, with an id made of the event's.
func (p *parser) add(r *record.Record, d, of *event.Draft, what string) {
	d.Timestamp, d.Stamped, d.SentAt, d.Sent = of.Timestamp, of.Stamped, of.SentAt, of.Sent
	if len(of.MessageID) > 0 {
		p.id = append(append(append(p.id[:0], of.MessageID...), ' '), what...)
		d.MessageID = p.id
	}
	p.events.Add(r, d)
}

// keep copies an id that must stay until finish.
func (p *parser) keep(b []byte) []byte {
	from := len(p.ids)
	p.ids = append(p.ids, b...)
	return p.ids[from:len(p.ids):len(p.ids)]
}

// Package event makes the events of a record out of what a door has read: it is the part that
// all doors for events share, so that an event is judged, dated and trimmed alike whatever
// protocol brought it.
//
// Invariants:
//   - The reasons come in MEASURES' order. What makes an event malformed is the door's to say, for
//     it knows the protocol; from the size on the Builder decides.
//   - Only declared properties get into an event; of repeated ones the last counts.
//   - An event that is refused leaves nothing but its count.
//
// There is no state on disk.
package event

import (
	"crypto/sha256"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/jsontext"
	"github.com/fieldpost/fieldpost/agent/record"
)

// Limits of one event, of whatever door.
const (
	MaxBytes  = 32 << 10 // of its text; more is over_limit_size
	MaxUserID = 256      // bytes; a longer id is over_limit_size
	MaxDepth  = 64       // an event nested deeper is malformed
)

// Fault is why an event is refused. An empty one means that it is not. The message goes into JSON
// as it is: plain ASCII without quotes, and nothing that was sent.
type Fault struct {
	code    uint8 // a record.Reason + 1
	message string
}

// Because is a fault.
func Because(r record.Reason, message string) Fault { return Fault{uint8(r) + 1, message} }

// Malformed is the fault that doors find themselves.
func Malformed(message string) Fault { return Because(record.Malformed, message) }

// Refused says whether there is a fault.
func (f Fault) Refused() bool { return f.code != 0 }

// Reason is the reason of a fault that there is.
func (f Fault) Reason() record.Reason { return record.Reason(f.code - 1) }

// Message says more; it may be empty.
func (f Fault) Message() string { return f.message }

// Draft is an event as its door has read it. All it refers to must stay until Finish.
type Draft struct {
	Type      record.Type
	Name      []byte // track, page, screen: the client's name
	User      []byte // empty: of nobody that is known
	Previous  []byte // alias
	MessageID []byte // empty: none
	Timestamp int64  // unix ns, as the client gave it
	Stamped   bool   // Timestamp was given
	SentAt    int64  // of this event alone
	Sent      bool   // SentAt was given
	TooLarge  bool   // its text is over MaxBytes

	// Properties or, of identify and group, traits: JSON objects or Absent, read one after the other, so
	// that the last has the last word.
	Properties [4]jsontext.Value
	// Pairs come after them; for doors whose properties are no JSON.
	Pairs []Pair
}

// Pair is a property that is no member of a JSON object.
type Pair struct {
	Name  []byte
	Value jsontext.Value
}

// Builder makes the events of one record. The zero value can be started, and again afterwards.
type Builder struct {
	vocabulary *intake.Vocabulary
	values     []record.Value
	found      []found
	users      []byte // the ids of all events, one after the other
	inner      jsontext.Scanner
}

// found is what an event waits for until the whole body is known.
type found struct {
	timestamp, sentAt int64
	stamped, sent     bool
	user, previous    []byte
}

// Start begins a record. The values of its events are appended to values.
func (b *Builder) Start(v *intake.Vocabulary, values []record.Value) {
	b.vocabulary, b.values, b.found, b.users = v, values, b.found[:0], b.users[:0]
}

// Values are those of all events since Start, to be used again later.
func (b *Builder) Values() []record.Value { return b.values }

// Vocabulary is that of Start.
func (b *Builder) Vocabulary() *intake.Vocabulary { return b.vocabulary }

// Add puts an event into r, or counts there why not.
func (b *Builder) Add(r *record.Record, d *Draft) Fault {
	n := len(r.Events)
	if n < cap(r.Events) {
		r.Events = r.Events[:n+1]
	} else {
		r.Events = append(r.Events, record.Event{})
	}
	e := &r.Events[n]
	*e = record.Event{}
	bad := b.judge(e, d)
	if bad.Refused() {
		r.Events = r.Events[:n]
		b.Refuse(r, bad)
		return bad
	}
	x := found{d.Timestamp, d.SentAt, d.Stamped, d.Sent, d.User, d.Previous}
	if d.Type == record.Group {
		x.user = nil // a fact about the organisation: who sent it does not matter
	}
	b.found = append(b.found, x)
	return bad
}

// Refuse counts an event that its door refuses.
func (b *Builder) Refuse(r *record.Record, bad Fault) { r.RefusedEvents[bad.Reason()]++ }

// judge fills e or says the first reason that applies.
func (b *Builder) judge(e *record.Event, d *Draft) Fault {
	if d.TooLarge {
		return Because(record.OverSize, "the event is over 32 KB")
	}
	if len(d.User) > MaxUserID || len(d.Previous) > MaxUserID {
		return Because(record.OverSize, "an id is over 256 bytes")
	}
	if len(d.MessageID) > 0 {
		sum := sha256.Sum256(d.MessageID)
		e.HasID = true
		copy(e.MessageID[:], sum[:])
	}
	v := b.vocabulary
	if v.Empty() {
		return Because(record.Off, "")
	}
	e.Type = d.Type
	var declared *intake.Words
	switch d.Type {
	case record.Identify, record.Alias:
		if !v.People {
			return Because(record.Off, "")
		}
		if d.Type == record.Alias {
			return Fault{}
		}
		declared = v.Traits
	case record.Group:
		if !v.Groups {
			return Because(record.Off, "")
		}
		declared = v.GroupTraits
	default:
		def := v.Event(d.Type, d.Name)
		switch {
		case def == nil:
			return Because(record.UnknownEvent, "")
		case !def.On:
			return Because(record.Off, "")
		}
		e.Def, declared = def.Def, def.Words
	}
	return b.words(e, declared, d)
}

// Finish dates the events, now that the whole body is known, and gives them their users: one
// string for all ids of a record. sentAt is when the body was sent, where the client says so.
func (b *Builder) Finish(r *record.Record, sentAt int64, sent bool) {
	for i := range b.found {
		b.users = append(append(b.users, b.found[i].user...), b.found[i].previous...)
	}
	all := string(b.users)
	for i := range b.found {
		x, e := &b.found[i], &r.Events[i]
		e.User, all = all[:len(x.user)], all[len(x.user):]
		e.Previous, all = all[:len(x.previous)], all[len(x.previous):]
		at, given := x.sentAt, x.sent
		if !given {
			at, given = sentAt, sent
		}
		var skewed bool
		if e.Time, skewed = eventTime(x.timestamp, x.stamped, at, given, r.Received); skewed {
			r.Skewed++
		}
	}
}

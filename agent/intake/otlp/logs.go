package otlp

import (
	"math"
	"net/http"
	"strconv"
	"sync"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/event"
	"github.com/fieldpost/fieldpost/agent/intake/jsontext"
	"github.com/fieldpost/fieldpost/agent/intake/wire"
	"github.com/fieldpost/fieldpost/agent/record"
)

// Logs is the door for logs. Safe for concurrent use.
type Logs struct{ readers sync.Pool }

var _ intake.Door = (*Logs)(nil)

// NewLogs builds the door for logs.
func NewLogs() *Logs {
	d := &Logs{}
	d.readers.New = func() any { return new(logs) }
	return d
}

// Paths are what the door answers on.
func (*Logs) Paths() []string { return []string{"/v1/logs"} }

// Limit is the largest body.
func (*Logs) Limit() int { return maxBody }

// Accepts looks at the content type.
func (*Logs) Accepts(h http.Header) *intake.Refusal { return accepts(h) }

// Refuse answers with a google.rpc.Status in the encoding of the request.
func (*Logs) Refuse(h http.Header, f *intake.Refusal) intake.Answer { return refuse(h, f) }

// Read reads the log records of one body.
func (d *Logs) Read(q *intake.Request) (intake.Answer, *intake.Refusal) {
	body := q.Body
	kind := media(q.Header)
	if kind == jsonType {
		var err error
		if body, err = fromJSON(body, logShapes()); err != nil {
			return intake.Answer{}, unreadable(err.Error())
		}
	}
	r := d.readers.Get().(*logs)
	defer d.readers.Put(r)
	r.start(q)
	ok := wire.Each(body, func(f wire.Field) bool { return !f.IsBytes(1) || r.resourceLogs(f.Bytes) })
	q.Values = r.events.Values()
	switch {
	case !ok:
		return intake.Answer{}, unreadable("the body is not an ExportLogsServiceRequest")
	case r.records > maxPoints || len(q.Values) > maxFigures:
		return intake.Answer{}, &intake.Refusal{Status: 413, Code: intake.CodeTooLarge,
			Message: "more than " + strconv.Itoa(maxPoints) + " log records, or too many properties in them", Hint: "Try: smaller batches"}
	}
	r.events.Finish(q.Record, 0, false)
	told := q.Record.RefusedEvents
	told[record.UnknownEvent] -= r.nameless
	n, message := rejected(&told)
	return answer(q, kind, "rejectedLogRecords", n, message), nil
}

// logs turns one request into the events of one record. It is used again for later requests.
type logs struct {
	events  event.Builder
	facts   reader // for the resources
	rec     *record.Record
	pairs   []event.Pair // of one log record, one more than allowed at most
	texts   []byte       // numbers of one log record, written out
	users   []byte       // those of all that were numbers
	records int
	// nameless log records are no events.
	nameless uint64
	user     string // the attribute; "" none
	instead  string // the one to look at where user is not there
}

func (r *logs) start(q *intake.Request) {
	r.events.Start(q.Vocabulary, q.Values)
	r.rec, r.facts = q.Record, reader{v: q.Vocabulary, rec: q.Record}
	r.users, r.records, r.nameless = r.users[:0], 0, 0
	r.user, r.instead = q.Vocabulary.Doors.Logs, ""
	if r.user == "user.id" {
		r.instead = "enduser.id"
	}
}

func (r *logs) resourceLogs(b []byte) bool {
	return wire.Each(b, func(f wire.Field) bool {
		switch {
		case f.IsBytes(1):
			return wire.Each(f.Bytes, func(f wire.Field) bool { return !f.IsBytes(1) || r.facts.resourceAttribute(f.Bytes) })
		case f.IsBytes(2):
			return wire.Each(f.Bytes, func(f wire.Field) bool { return !f.IsBytes(2) || r.logRecord(f.Bytes) })
		}
		return true
	})
}

// logRecord is one log record as it was sent.
type logRecord struct {
	name           []byte // event_name
	attribute      []byte // event.name
	user, instead  jsontext.Value
	uid            jsontext.Value
	time, observed uint64
	size           int // without the body
	badText        bool
}

// logRecord reads one log record; false means that the bytes are not one.
func (r *logs) logRecord(b []byte) bool {
	if r.records++; r.records > maxPoints {
		return true
	}
	r.pairs, r.texts = r.pairs[:0], r.texts[:0]
	l := logRecord{size: len(b)}
	ok := wire.Each(b, func(f wire.Field) bool {
		switch {
		case f.IsFixed(1):
			l.time = f.Value
		case f.IsBytes(5):
			l.size -= len(f.Bytes)
		case f.IsBytes(6):
			r.attribute(&l, f.Bytes)
		case f.IsFixed(11):
			l.observed = f.Value
		case f.IsBytes(12):
			l.name = f.Bytes
		}
		return true
	})
	if !ok {
		return false
	}
	if len(l.name) == 0 {
		l.name = l.attribute
	}
	if len(l.name) == 0 && !r.events.Vocabulary().Empty() {
		r.nameless++
		r.events.Refuse(r.rec, event.Because(record.UnknownEvent, ""))
		return true
	}
	d := event.Draft{Type: record.Track, Name: l.name, Pairs: r.pairs, TooLarge: l.size > event.MaxBytes || len(r.pairs) > maxAttributes}
	if bad := r.draft(&d, &l); bad.Refused() {
		r.events.Refuse(r.rec, bad)
		return true
	}
	r.events.Add(r.rec, &d)
	return true
}

// draft checks everything that makes an event malformed, and fills d.
func (r *logs) draft(d *event.Draft, l *logRecord) event.Fault {
	if l.badText || !validText(l.name) {
		return event.Malformed("a name or value is not UTF-8")
	}
	at := l.time
	if at == 0 {
		at = l.observed
	}
	if at > math.MaxInt64 {
		return event.Malformed("a time is beyond the year 2262")
	}
	d.Timestamp, d.Stamped = int64(at), at != 0
	user := l.user
	if len(user.Bytes) == 0 && user.Kind != jsontext.Other {
		user = l.instead
	}
	var ok bool
	if d.User, ok = event.ID(user); !ok {
		return event.Malformed("the user is neither text nor a whole number")
	}
	if user.Kind == jsontext.Number { // written out for this log record only
		from := len(r.users)
		r.users = append(r.users, d.User...)
		d.User = r.users[from:len(r.users):len(r.users)]
	}
	if l.uid.Kind == jsontext.Text {
		d.MessageID = l.uid.Bytes
	}
	return event.Fault{}
}

func (r *logs) attribute(l *logRecord, b []byte) {
	if len(r.pairs) > maxAttributes {
		return
	}
	key, value := keyValue(b)
	v := r.value(value)
	if !validText(key) || v.Kind == jsontext.Text && !validText(v.Bytes) {
		l.badText = true
	}
	switch string(key) {
	case "": // of no attribute; r.user and r.instead may be empty
	case "event.name":
		if v.Kind == jsontext.Text {
			l.attribute = v.Bytes
		}
	case "log.record.uid":
		l.uid = v
	case r.user:
		l.user = v
	case r.instead:
		l.instead = v
	}
	r.pairs = append(r.pairs, event.Pair{Name: key, Value: v})
}

// value is an AnyValue as JSON would have it. What is no scalar, or no finite number, is Other.
func (r *logs) value(b []byte) (v jsontext.Value) {
	wire.Each(b, func(f wire.Field) bool {
		from := len(r.texts)
		switch {
		case f.IsBytes(1):
			v = jsontext.Value{Kind: jsontext.Text, Bytes: f.Bytes}
			return true
		case f.IsVarint(2):
			r.texts = strconv.AppendBool(r.texts, f.Value != 0)
			v.Kind = jsontext.Boolean
		case f.IsVarint(3):
			r.texts = strconv.AppendInt(r.texts, int64(f.Value), 10)
			v.Kind = jsontext.Number
		case f.IsFixed(4) && !math.IsNaN(f.Double()) && !math.IsInf(f.Double(), 0):
			r.texts = strconv.AppendFloat(r.texts, f.Double(), 'g', -1, 64)
			v.Kind = jsontext.Number
		default:
			v.Kind = jsontext.Other
		}
		v.Bytes = r.texts[from:len(r.texts):len(r.texts)]
		return true
	})
	return v
}

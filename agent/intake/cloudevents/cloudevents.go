// Package cloudevents is the door for CloudEvents 1.0 over HTTP.
//
// What it takes:
//   - POST /cloudevents and POST / in the three content modes: binary (ce- headers), structured
//     (application/cloudevents+json) and batched (application/cloudevents-batch+json). Other event
//     formats are refused with 415. 1 MiB a body, 32 KiB an event.
//   - An event is a track whose name is its type. source and id together are the messageId, time is the
//     timestamp, the members of data are the properties. Where data is no JSON object, or is given as
//     data_base64, the event counts without properties.
//   - The user is the extension attribute that the catalog names under doors.cloudevents.user (authid where it
//     says nothing), or with data.PATH a member of data, PATH's dots leading inwards. Absent, null or empty:
//     under no user.
//   - Malformed: no id, source or type, another specversion than 1.0, a time that is not RFC 3339, a user that is
//     neither text nor a whole number, invalid UTF-8, nesting beyond 64.
//
// The answer is 202 without a body where there is nothing to say. A single event that cannot be taken is
// a 400, over its size a 413; so senders do not repeat it. It is counted all the same. Of a batch the refused
// ones are listed under "rejected" of a 202. What is off at this site is not listed, and a single event that
// the catalog does not know is a 202 like any other: nothing is wrong with it.
//
// There is no state on disk.
package cloudevents

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/event"
	"github.com/fieldpost/fieldpost/agent/record"
)

const (
	maxBody    = 1 << 20
	structured = "application/cloudevents+json"
	batched    = "application/cloudevents-batch+json"
)

// Door is the CloudEvents door. Safe for concurrent use.
type Door struct{ parsers sync.Pool }

var _ intake.Door = (*Door)(nil)

// New builds the door.
func New() *Door {
	d := &Door{}
	d.parsers.New = func() any { return new(parser) }
	return d
}

// Paths are what the door answers on. SDKs post to the bare address they are given.
func (d *Door) Paths() []string { return []string{"/cloudevents", "/cloudevents/", "/"} }

// Limit is the largest body.
func (d *Door) Limit() int { return maxBody }

// Accepts looks whether the request is a CloudEvent.
func (d *Door) Accepts(h http.Header) *intake.Refusal {
	if mode, known := modeOf(h); known && (mode != "" || len(h["Ce-Specversion"]) > 0 || len(h["Ce-Id"]) > 0) {
		return nil
	}
	return &intake.Refusal{Status: 415, Code: intake.CodeContentType, Message: "the request is no CloudEvent in a format that is known here",
		Hint: "Try: application/cloudevents+json, or ce- headers"}
}

// modeOf is structured or batched, or "" where only the headers can tell; known is false for other formats.
func modeOf(h http.Header) (mode string, known bool) {
	given := h.Get("Content-Type")
	if len(given) < 23 || !strings.EqualFold(given[:23], "application/cloudevents") {
		return "", true
	}
	media, params, err := mime.ParseMediaType(given)
	charset := strings.ToLower(params["charset"])
	return media, err == nil && (media == structured || media == batched) && (charset == "" || charset == "utf-8")
}

// Read reads the events of one request.
func (d *Door) Read(q *intake.Request) (intake.Answer, *intake.Refusal) {
	p := d.parsers.Get().(*parser)
	defer d.parsers.Put(p)
	p.start(q)
	mode, _ := modeOf(q.Header)
	var bad event.Fault
	ok := true
	switch mode {
	case batched:
		ok = p.batch(q.Record)
	case structured:
		bad, ok = p.structured(q.Record)
	default:
		bad = p.binary(q.Record, q.Header)
	}
	q.Values = p.events.Values()
	if !ok {
		return intake.Answer{}, &intake.Refusal{Status: 400, Code: intake.CodeUnreadable, Message: "the body is not the JSON its content type says", Hint: "Try: an event in JSON, in UTF-8"}
	}
	p.events.Finish(q.Record, 0, false)
	switch {
	case bad.Refused() && bad.Reason() != record.Off && bad.Reason() != record.UnknownEvent:
		status := http.StatusBadRequest
		if bad.Reason() == record.OverSize {
			status = http.StatusRequestEntityTooLarge
		}
		return complaint(status, bad.Reason().String(), bad.Message(), "Try: a CloudEvent 1.0"), nil
	case p.rejected.None():
		return intake.Answer{Status: http.StatusAccepted}, nil
	}
	q.Out = append(p.rejected.Append(append(q.Out[:0], `{"success":true`...)), '}')
	return intake.Answer{Status: http.StatusAccepted, ContentType: "application/json", Body: q.Out}, nil
}

// Refuse answers a request that is not taken at all.
func (d *Door) Refuse(_ http.Header, f *intake.Refusal) intake.Answer {
	return complaint(f.Status, f.Code, f.Message, f.Hint)
}

func complaint(status int, code, message, hint string) intake.Answer {
	b := append([]byte(nil), `{"success":false,"code":`...)
	b = strconv.AppendQuote(b, code) // all of them are plain ASCII, where Go's quotes are JSON's
	b = append(b, `,"message":`...)
	b = strconv.AppendQuote(b, message)
	b = append(b, `,"hint":`...)
	b = strconv.AppendQuote(b, hint)
	return intake.Answer{Status: status, ContentType: "application/json", Body: append(b, '}')}
}

// Package segment is the door for the Segment HTTP tracking API, and the reader of recorded
// events in the same form (Replay).
//
// What it takes, where it is strict and where it is not:
//   - POST /v1/batch with {"batch":[…]}; POST /v1/identify, group, track, page, screen, alias with
//     one event; and the short forms the browser library uses (/v1/b, i, g, t, p, s, a).
//   - JSON, whether Content-Type says application/json, text/plain (browsers send it to spare a preflight),
//     application/x-www-form-urlencoded (RudderStack's Node client) or nothing; gzip or no Content-Encoding. 500 KiB a body, 32 KiB an event.
//   - A body that is not JSON is refused whole (400). Otherwise each event stands alone: the answer
//     is 200 with the refused ones under "rejected", by index, with the name of
//     the reason as code. Events that are off at this site are not listed: nothing is wrong
//     with them.
//   - userId, anonymousId, messageId and previousId are text, or whole numbers, which are taken as
//     they are written. An event needs a userId or an anonymousId.
//   - "properties" and "traits" are objects; "[]" is an empty one (PHP writes it so).
//   - Times are RFC 3339 as package event describes it; null and "" are as good as absent.
//   - As RudderStack's clients send them: originalTimestamp where there is no timestamp, and the traits
//     of an identify in its context where it has none itself.
//   - The name of a page or screen is its "name".
//   - Unknown members are passed over; of repeated ones the last counts, as in encoding/json.
//   - Malformed: a wrong type of one of the members above, invalid UTF-8, nesting beyond 64.
//     over_limit_size: an event over 32 KiB, a userId over 256 bytes. over_limit_value: a declared
//     property that is of the wrong type or outside its bounds.
//
// There is no state on disk.
package segment

import (
	"crypto/subtle"
	"encoding/base64"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/record"
)

const maxBody = 500 << 10

// Config of the door.
type Config struct {
	// WriteKeys are the keys that are accepted, in the body's "writeKey" or as the user name of
	// HTTP Basic. Default: any, none included.
	WriteKeys []string
}

// Door is the Segment door. Safe for concurrent use.
type Door struct {
	keys    [][]byte
	types   map[string]record.Type // by path; 0: a batch
	parsers sync.Pool
}

var _ intake.Door = (*Door)(nil)

// New builds the door.
func New(c Config) *Door {
	d := &Door{types: map[string]record.Type{
		"/v1/batch": 0, "/v1/b": 0,
		"/v1/identify": record.Identify, "/v1/i": record.Identify,
		"/v1/group": record.Group, "/v1/g": record.Group,
		"/v1/track": record.Track, "/v1/t": record.Track,
		"/v1/page": record.Page, "/v1/p": record.Page,
		"/v1/screen": record.Screen, "/v1/s": record.Screen,
		"/v1/alias": record.Alias, "/v1/a": record.Alias,
	}}
	for _, k := range c.WriteKeys {
		d.keys = append(d.keys, []byte(k))
	}
	d.parsers.New = func() any { return new(parser) }
	return d
}

// Paths are what the door answers on.
func (d *Door) Paths() []string {
	paths := make([]string, 0, len(d.types))
	for p := range d.types {
		paths = append(paths, p)
	}
	return paths
}

// Limit is the largest body.
func (d *Door) Limit() int { return maxBody }

// Accepts looks at the content type.
func (d *Door) Accepts(h http.Header) *intake.Refusal {
	given := h.Get("Content-Type")
	if given == "" || given == "application/json" {
		return nil
	}
	media, params, err := mime.ParseMediaType(given)
	charset := strings.ToLower(params["charset"])
	if err == nil && (media == "application/json" || media == "text/plain" || media == "application/x-www-form-urlencoded") && (charset == "" || charset == "utf-8") {
		return nil
	}
	return &intake.Refusal{Status: 415, Code: intake.CodeContentType, Message: "the content type is not known", Hint: "Try: application/json"}
}

// Read reads the events of one body.
func (d *Door) Read(q *intake.Request) (intake.Answer, *intake.Refusal) {
	p := d.parsers.Get().(*parser)
	defer d.parsers.Put(p)
	p.start(q.Vocabulary, q.Body, q.Values)
	t := d.types[q.Path]
	var ok bool
	if t == 0 {
		ok = p.batch(q.Record)
	} else {
		ok = p.single(q.Record, t)
	}
	q.Values = p.events.Values()
	if !ok {
		return intake.Answer{}, &intake.Refusal{Status: 400, Code: intake.CodeUnreadable, Message: p.complaint, Hint: "Try: one JSON object, in UTF-8"}
	}
	if f := d.allowed(p.writeKey, q.Header); f != nil {
		return intake.Answer{}, f
	}
	p.events.Finish(q.Record, p.sentAt, p.sent)
	q.Out = append(p.rejected.Append(append(q.Out[:0], `{"success":true`...)), '}')
	return intake.Answer{Status: 200, ContentType: "application/json", Body: q.Out}, nil
}

func (d *Door) allowed(inBody []byte, h http.Header) *intake.Refusal {
	if len(d.keys) == 0 || d.known(inBody) {
		return nil
	}
	if basic, ok := strings.CutPrefix(h.Get("Authorization"), "Basic "); ok {
		// Only the user name counts; clients that leave out the colon are known.
		if user, err := base64.StdEncoding.DecodeString(basic); err == nil {
			name, _, _ := strings.Cut(string(user), ":")
			if d.known([]byte(name)) {
				return nil
			}
		}
	}
	return &intake.Refusal{Status: 401, Code: intake.CodeWriteKey, Message: "the write key is missing or not on the list",
		Hint: "Try: one of write_keys in the agent's configuration"}
}

func (d *Door) known(key []byte) bool {
	found := 0
	for _, k := range d.keys {
		found |= subtle.ConstantTimeCompare(k, key)
	}
	return found != 0 && len(key) > 0
}

// Refuse answers a request that is not taken at all.
func (d *Door) Refuse(_ http.Header, f *intake.Refusal) intake.Answer {
	b := append([]byte(nil), `{"success":false,"code":`...)
	b = strconv.AppendQuote(b, f.Code) // all of them are plain ASCII, where Go's quotes are JSON's
	b = append(b, `,"message":`...)
	b = strconv.AppendQuote(b, f.Message)
	b = append(b, `,"hint":`...)
	b = strconv.AppendQuote(b, f.Hint)
	return intake.Answer{Status: f.Status, ContentType: "application/json", Body: append(b, '}')}
}

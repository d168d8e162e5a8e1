// Package posthog is the door for what PostHog's clients send. Nothing is sent on to PostHog, and
// what the catalog does not declare ends here.
//
// What it takes:
//   - POST /batch, /capture, /e, /track, /i/v0/e and /i/v1/analytics/events, each with or without a slash at the
//     end: one event, a list of events, or {"batch":[…]}. JSON, gzip or plain (also where only the query says compression=
//     gzip-js); and the older data=… in base64 or as it is, in a form or alone. Not lz-string. 1 MiB a body,
//     32 KiB an event.
//   - The project's key stands in api_key or token, of the body or of an event's properties, or is the bearer
//     token. It is checked where write keys are configured.
//   - POST /flags and /decide, GET or POST below /array/, GET of surveys and of local evaluation: an
//     empty answer, so that clients stay quiet. There are no flags; what is sent is not read.
//
// What becomes of an event (properties stands for its member of that name):
//   - $pageview is a page, $screen a screen. Its name is the first of $screen_name, title, $pathname and the
//     event's own name that the catalog declares for the type; where it declares none of them, but a
//     track event of the event's name, it is that.
//   - $identify, $set and $set_once are an identify with the traits in $set_once and, before those, $set. An
//     $identify whose $anon_distinct_id is another id is an alias as well.
//   - $create_alias and $merge_dangerously are an alias: properties.alias is joined to distinct_id.
//   - $groupidentify is a group, with the traits in $group_set and the group's key as a trait named by its
//     type.
//   - Everything else is a track of its name. Where $set or $set_once names a declared trait, it is an identify
//     as well; where $groups names a declared trait of groups, also a group, once for equal $groups
//     that follow each other in a body. What an event is besides counts as an event of its own.
//   - $set_once is not told from $set otherwise: the last value received counts.
//
// Who it is of: distinct_id, else properties.distinct_id. It counts as anonymous, so under no user, if
// $process_person_profile (of properties, or without its $ of options) is false, in cookieless mode, if it is $device_id while $is_identified is not true,
// or if it is a UUID while $is_identified is false. This does not apply to identify and alias.
//
// When it was: timestamp, RFC 3339, as UTC where it has no offset; or offset, in milliseconds before it was sent.
// When that was: sent_at or sentAt of event or body, else the header PostHog-Request-Timestamp, else _ of the query
// in unix milliseconds.
//
// uuid, else messageId, is the messageId. Malformed: no event or distinct_id, a wrong type of one of these, a time
// that cannot be read, invalid UTF-8, nesting beyond 64.
//
// There is no state on disk.
package posthog

import (
	"crypto/subtle"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/fieldpost/fieldpost/agent/intake"
)

const maxBody = 1 << 20 // the Node client sends half as many events after a 413

// Config of the door.
type Config struct {
	// WriteKeys are the project keys that are accepted. Default: any, none included.
	WriteKeys []string
}

// Door is the PostHog door. Safe for concurrent use.
type Door struct {
	keys    [][]byte
	parsers sync.Pool
}

var (
	_ intake.Door   = (*Door)(nil)
	_ intake.Getter = (*Door)(nil)
	_ intake.Zipper = (*Door)(nil)
)

// New builds the door.
func New(c Config) *Door {
	d := &Door{}
	for _, k := range c.WriteKeys {
		d.keys = append(d.keys, []byte(k))
	}
	d.parsers.New = func() any { return new(parser) }
	return d
}

// Paths are what the door answers on.
func (d *Door) Paths() []string {
	paths := []string{"/array/*", "/api/surveys*", "/api/feature_flag/local_evaluation*", "/flags/definitions"}
	for _, p := range []string{"/batch", "/capture", "/e", "/track", "/i/v0/e", "/i/v1/analytics/events", "/flags", "/decide"} {
		paths = append(paths, p, p+"/")
	}
	return paths
}

// asks says that at a path clients ask for something instead of sending events.
func asks(path string) bool {
	return strings.HasPrefix(path, "/array/") || strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/flags") || strings.HasPrefix(path, "/decide")
}

// Limit is the largest body.
func (d *Door) Limit() int { return maxBody }

// Zipped says what the browser's client says only in the query.
func (d *Door) Zipped(query string) bool {
	return strings.HasPrefix(parameter(query, "compression"), "gzip")
}

// Accepts looks at the content type. Clients that flush while a page closes cannot choose it freely.
func (d *Door) Accepts(h http.Header) *intake.Refusal {
	given := h.Get("Content-Type")
	if given == "" || given == "application/json" {
		return nil
	}
	media, params, err := mime.ParseMediaType(given)
	charset := strings.ToLower(params["charset"])
	if err == nil && (charset == "" || charset == "utf-8") {
		switch media {
		case "application/json", "text/plain", form, "application/gzip", "application/octet-stream":
			return nil
		}
	}
	return &intake.Refusal{Status: 415, Code: intake.CodeContentType, Message: "the content type is not known", Hint: "Try: application/json"}
}

// Read reads the events of one body.
func (d *Door) Read(q *intake.Request) (intake.Answer, *intake.Refusal) {
	if asks(q.Path) {
		a, _ := d.Get(q.Path)
		return a, nil
	}
	body, ok := unwrap(q.Body, q.Header.Get("Content-Type"), q.Query)
	if !ok {
		return intake.Answer{}, unreadable("the body is neither JSON nor base64 of JSON")
	}
	p := d.parsers.Get().(*parser)
	defer d.parsers.Put(p)
	p.start(q, body)
	ok = p.read(q.Record)
	q.Values = p.events.Values()
	if !ok {
		return intake.Answer{}, unreadable(p.complaint)
	}
	if bearer, ok := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer "); ok && len(p.key) == 0 {
		p.key = []byte(bearer)
	}
	if len(d.keys) > 0 && !d.known(p.key) {
		return intake.Answer{}, &intake.Refusal{Status: 401, Code: intake.CodeWriteKey, Message: "the project key is missing or not on the list",
			Hint: "Try: one of write_keys in the agent's configuration"}
	}
	p.finish(q)
	q.Out = append(p.rejected.Append(append(q.Out[:0], `{"status":1`...)), '}')
	return intake.Answer{Status: 200, ContentType: "application/json", Body: q.Out}, nil
}

func unreadable(message string) *intake.Refusal {
	return &intake.Refusal{Status: 400, Code: intake.CodeUnreadable, Message: message, Hint: "Try: JSON, in UTF-8"}
}

func (d *Door) known(key []byte) bool {
	found := 0
	for _, k := range d.keys {
		found |= subtle.ConstantTimeCompare(k, key)
	}
	return found != 0 && len(key) > 0
}

// Get answers those who ask for flags, surveys and configuration: there is nothing. The same for all, so
// that no client misses a member it knows.
func (d *Door) Get(path string) (intake.Answer, bool) {
	switch {
	case !asks(path):
		return intake.Answer{}, false
	case strings.HasSuffix(path, ".js"):
		return intake.Answer{Status: 200, ContentType: "text/javascript; charset=utf-8"}, true
	}
	flags := `{}`
	if strings.HasPrefix(path, "/api/") || path == "/flags/definitions" { // the rules for deciding at home
		flags = `[]`
	}
	return intake.Answer{Status: 200, ContentType: "application/json", Body: []byte(`{"flags":` + flags + `,"featureFlags":{},"featureFlagPayloads":{},` +
		`"errorsWhileComputingFlags":false,"hasFeatureFlags":false,"group_type_mapping":{},"cohorts":{},"surveys":false,"toolbarParams":{},"isAuthenticated":false,` +
		`"supportedCompression":["gzip","gzip-js"],"sessionRecording":false,"autocapture_opt_out":true,"capturePerformance":false,` +
		`"autocaptureExceptions":false,"heatmaps":false,"siteApps":[],"config":{"enable_collect_everything":false}}`)}, true
}

// Refuse answers a request that is not taken at all.
func (d *Door) Refuse(_ http.Header, f *intake.Refusal) intake.Answer {
	kind := "validation_error"
	switch {
	case f.Status == 401:
		kind = "authentication_error"
	case f.Status >= 500:
		kind = "server_error"
	}
	b := append([]byte(nil), `{"status":0,"type":"`+kind+`","code":`...)
	b = strconv.AppendQuote(b, f.Code) // all of them are plain ASCII, where Go's quotes are JSON's
	b = append(b, `,"detail":`...)
	b = strconv.AppendQuote(b, f.Message)
	b = append(b, `,"hint":`...)
	b = strconv.AppendQuote(b, f.Hint)
	return intake.Answer{Status: f.Status, ContentType: "application/json", Body: append(b, '}')}
}

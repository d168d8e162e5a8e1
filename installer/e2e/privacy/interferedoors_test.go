package privacy

import (
	"fmt"
	"iter"
	"net/http"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/cloudevents"
	"github.com/fieldpost/fieldpost/agent/intake/otlp"
	"github.com/fieldpost/fieldpost/agent/intake/posthog"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// also adds to the samples of each day what one of the other doors makes of the same people: they did the same things in every
// history that s is lived, and are called what p calls them.
func (p *people) also(tb testing.TB, c *catalog.Catalog, s site) iter.Seq[*record.Record] {
	words := intake.NewVocabulary(c, func(*catalog.Measure) bool { return true })
	return func(yield func(*record.Record) bool) {
		n := 0
		for rec := range checks(c, s.weeks, p.seed<<32) {
			if !yield(rec) {
				return
			}
			if len(rec.Samples) == 0 {
				continue
			}
			if n++; !yield(p.through(tb, words, n, s.users, time.Unix(0, rec.Received).Add(time.Minute).UTC())) {
				return
			}
		}
	}
}

// through is one request as a door reads it.
func (p *people) through(tb testing.TB, words *intake.Vocabulary, n, users int, at time.Time) *record.Record {
	tb.Helper()
	user := p.word("user", n*5%users)
	text := func(kind string) string { return p.word(kind, p.rng.IntN(99)) }
	properties := map[string]any{"method": "sso", "email": text("email"), "$ip": p.address(), text("key"): text("text")}
	stamp := at.Format(time.RFC3339Nano)
	q := &intake.Request{Header: http.Header{"Content-Type": {"application/json"}, "User-Agent": {text("agent")}}, Vocabulary: words,
		Record: &record.Record{Kind: record.Request, Received: at.UnixNano(), Catalog: words.Hash()}}
	var door intake.Door
	var body any
	str := func(s string) any { return map[string]any{"stringValue": s} }
	attribute := func(k, v string) any { return map[string]any{"key": k, "value": str(v)} }
	resource := map[string]any{"attributes": []any{attribute("host.name", text("host")), attribute(text("key"), text("text"))}}
	switch n % 4 {
	case 0:
		door, q.Path = posthog.New(posthog.Config{}), "/batch"
		properties["$set"] = map[string]any{"role": "member", "name": text("name")}
		body = map[string]any{"api_key": text("key"), "batch": []any{
			map[string]any{"event": "Logged In", "distinct_id": user, "uuid": p.word("message", -n), "timestamp": stamp, "properties": properties},
			map[string]any{"event": "$identify", "distinct_id": user, "timestamp": stamp, "properties": map[string]any{"$anon_distinct_id": p.word("anonymous", n%9)}},
		}}
	case 1:
		door, q.Path = cloudevents.New(), "/cloudevents"
		q.Header.Set("Content-Type", "application/cloudevents+json")
		body = map[string]any{"specversion": "1.0", "type": "Logged In", "source": "/" + text("source"), "id": p.word("message", -n), "authid": user, "time": stamp, "subject": text("text"), "data": properties}
	case 2:
		door, q.Path = otlp.NewLogs(), "/v1/logs"
		body = map[string]any{"resourceLogs": []any{map[string]any{"resource": resource, "scopeLogs": []any{map[string]any{"logRecords": []any{map[string]any{
			"timeUnixNano": fmt.Sprint(at.UnixNano()), "eventName": "Logged In", "body": str(text("text")),
			"attributes": []any{attribute("user.id", user), attribute("method", "password"), attribute(text("key"), text("text"))}}}}}}}}
	case 3:
		door, q.Path = otlp.Door{}, "/v1/metrics"
		body = map[string]any{"resourceMetrics": []any{map[string]any{"resource": resource, "scopeMetrics": []any{map[string]any{"metrics": []any{map[string]any{
			"name": "app.requests", "description": text("text"), "sum": map[string]any{"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": []any{map[string]any{
				"timeUnixNano": fmt.Sprint(at.UnixNano()), "asInt": "3", "attributes": []any{attribute("outcome", "ok"), attribute("enduser.id", user)}}}}}}}}}}}
	}
	q.Body = []byte(jsonOf(tb, body))
	if a, refused := door.Read(q); refused != nil || a.Status >= 300 ||
		len(q.Record.Events)+len(q.Record.Samples) == 0 && q.Record.RefusedSamples[record.Off] == 0 { // no measure of a drawn catalog reads the metric
		tb.Fatalf("%s: %+v %+v: nothing came through that door", q.Path, a, refused)
	}
	return q.Record
}

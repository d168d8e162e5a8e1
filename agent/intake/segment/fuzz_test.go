package segment_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/intake/segment"
	"github.com/fieldpost/fieldpost/agent/record"
)

// FuzzBatch holds the door against encoding/json: what is no JSON object with a list "batch" is
// refused, every element of the list is accounted once, and what is taken has the user that
// encoding/json sees.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(batch(good, `{"type":"identify","userId":"J\u00f6","traits":{"role":"admin","createdAt":1}}`, `{"type":"page","anonymousId":"a","name":"Home"}`)))
	f.Add([]byte(batch(`{"type":"track","userId":7,"event":"Workflow Saved","properties":{"steps":1e1,"area":"list"},"timestamp":"2026-01-01T00:00:00Z"}`, "1", "null")))
	f.Add([]byte(`{"sentAt":"x","batch":[],"writeKey":1}`))
	f.Add([]byte(`{"batch":[{"type":"alias","previousId":"b","userId":"c"}]} `))
	v := intaketest.Vocabulary(product())
	d := segment.New(segment.Config{})
	f.Fuzz(func(t *testing.T, body []byte) {
		r := record.Record{Kind: record.Request, Received: 1e18}
		q := intake.Request{Path: "/v1/batch", Header: http.Header{}, Body: body, Vocabulary: v, Record: &r}
		_, refusal := d.Read(&q)
		if !json.Valid(body) {
			if refusal == nil {
				t.Fatal("what is no JSON was accepted")
			}
			return
		}
		if refusal != nil || !utf8.Valid(body) {
			return
		}
		var members map[string]json.RawMessage
		var events []json.RawMessage
		if json.Unmarshal(body, &members) != nil || json.Unmarshal(members["batch"], &events) != nil {
			t.Fatal("accepted without a list of events")
		}
		if got := len(r.Events) + int(r.RefusedEvents.Total()); got != len(events) {
			t.Fatalf("%d of %d events are accounted for", got, len(events))
		}
		users := map[string]bool{"": true} // anonymous, or a group
		for _, e := range events {
			var m map[string]any
			d := json.Unmarshal(e, &m)
			if s, ok := m["userId"].(string); ok && d == nil {
				users[s] = true
			}
			var raw map[string]json.RawMessage
			if json.Unmarshal(e, &raw) == nil {
				users[string(raw["userId"])] = true
			}
		}
		for i := range r.Events {
			if !users[r.Events[i].User] {
				t.Fatalf("user %q was not sent", r.Events[i].User)
			}
		}
		var again record.Record
		if err := record.Decode(record.Append(nil, &r), &again); err != nil {
			t.Fatal(err)
		}
	})
}

// BenchmarkRead is the door alone, without network and disk: a batch of 100.
func BenchmarkRead(b *testing.B) {
	events := make([]string, 100)
	for i := range events {
		events[i] = `{"timestamp":"2026-03-02T11:59:58.123Z","integrations":{},"type":"track","userId":"user-000123","event":"Workflow Saved","properties":{"area":"list","steps":12.5,"title":"a title"},"context":{"library":{"name":"@segment/analytics-node","version":"2.3.0"}},"messageId":"node-next-1772452798123-5b6a","_metadata":{"nodeVersion":"22.1.0"}}`
	}
	body := []byte(batch(events...))
	v := intaketest.Vocabulary(product())
	d := segment.New(segment.Config{})
	var q intake.Request
	var r record.Record
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r = record.Record{Kind: record.Request, Received: intaketest.Now().UnixNano(), Events: r.Events[:0]}
		q = intake.Request{Path: "/v1/batch", Header: http.Header{}, Body: body, Vocabulary: v, Record: &r, Values: q.Values[:0], Out: q.Out[:0]}
		if _, refusal := d.Read(&q); refusal != nil || len(r.Events) != 100 {
			b.Fatal(refusal, r.RefusedEvents)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
}

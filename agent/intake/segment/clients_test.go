package segment_test

import (
	"testing"
	"time"

	analytics "github.com/segmentio/analytics-go/v3"

	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/intake/segment"
	"github.com/fieldpost/fieldpost/agent/record"
)

// told waits for the SDK's word on each message.
type told struct{ done chan error }

func (c told) Success(analytics.Message)              { c.done <- nil }
func (c told) Failure(_ analytics.Message, err error) { c.done <- err }

func TestAnalyticsGoWithOnlyItsHostChanged(t *testing.T) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product()), &j, segment.New(segment.Config{WriteKeys: []string{"key"}}))
	callback := told{make(chan error, 16)}
	client, err := analytics.NewWithConfig("key", analytics.Config{Endpoint: h.URL, BatchSize: 7, Callback: callback,
		DefaultContext: &analytics.Context{App: analytics.AppInfo{Name: "shop"}}})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour)
	messages := []analytics.Message{
		analytics.Identify{UserId: "ann", Traits: analytics.NewTraits().SetName("Ann").Set("role", "admin").SetCreatedAt(at)},
		analytics.Group{UserId: "ann", GroupId: "g", Traits: analytics.NewTraits().Set("plan", "gold")},
		analytics.Track{UserId: "ann", Event: "Workflow Saved", Properties: analytics.NewProperties().Set("area", "editor").Set("steps", 12.5)},
		analytics.Page{UserId: "ann", Name: "Home"},
		analytics.Screen{AnonymousId: "someone", Name: "Main"},
		analytics.Alias{UserId: "ann", PreviousId: "someone"},
		analytics.Track{UserId: "ann", Event: "Something Else"},
	}
	for _, m := range messages {
		if err := client.Enqueue(m); err != nil {
			t.Fatal(err)
		}
	}
	for range messages {
		if err := <-callback.done; err != nil {
			t.Error(err)
		}
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	events, _ := j.Received()
	if events != (record.Counts{record.UnknownEvent: 1, record.Measured: 6}) {
		t.Fatalf("accounted %v", events)
	}
	r := j.Records()[0]
	for i, want := range []record.Type{record.Identify, record.Group, record.Track, record.Page, record.Screen, record.Alias} {
		if r.Events[i].Type != want || !r.Events[i].HasID {
			t.Errorf("event %d is %+v", i, r.Events[i])
		}
	}
	// The SDK's clock is the real one and the server's another: sentAt puts that right.
	if off := r.Events[2].Time - intaketest.Now().UnixNano(); off > 0 || off < -int64(time.Minute) {
		t.Errorf("the track call is off by %s", time.Duration(off))
	}
	if e := r.Events[0]; e.CreatedAt != at.UnixNano() || len(e.Properties) != 1 || e.User != "ann" {
		t.Errorf("identify: %+v", e)
	}
	if e := r.Events[2]; len(e.Properties) != 2 || e.Properties[1].Number != (record.Decimal{Mantissa: 125, Exponent: 1}) {
		t.Errorf("track: %+v", e)
	}
}

// Bodies as other SDKs send them, taken from what they put on the wire.
func TestBodiesOfOtherSDKs(t *testing.T) {
	for name, c := range map[string]struct{ path, body, authorization string }{
		"analytics-node": {"/v1/batch", `{"batch":[{"timestamp":"2026-03-02T11:59:58.123Z","integrations":{},"type":"track","userId":"u","event":"Workflow Saved",
			"properties":{"area":"list"},"context":{"library":{"name":"@segment/analytics-node","version":"2.3.0"}},"messageId":"node-next-1772452798123-5b6a","_metadata":{"nodeVersion":"22.1.0","jsRuntime":"node"}}],
			"writeKey":"k","sentAt":"2026-03-02T11:59:59.000Z"}`, ""},
		"analytics.js": {"/v1/t", `{"timestamp":"2026-03-02T11:59:58.123Z","integrations":{"Segment.io":true},"anonymousId":"9b2e","type":"track","event":"Workflow Saved","properties":{},"userId":null,
			"context":{"page":{"path":"/"},"userAgent":"x","locale":"de"},"messageId":"ajs-next-1","writeKey":"k","sentAt":"2026-03-02T11:59:58.200Z","_metadata":{"bundled":["Segment.io"]}}`, ""},
		"analytics-python": {"/v1/batch", `{"batch": [{"integrations": {}, "anonymousId": null, "timestamp": "2026-03-02T11:59:58.123456+00:00", "context": {"library": {"name": "analytics-python"}}, "type": "track", "userId": "u", "event": "Workflow Saved", "properties": {"steps": 3}, "messageId": "5f4e"}], "sentAt": "2026-03-02T11:59:59.123456+00:00", "writeKey": "k"}`, ""},
		"rudder-sdk-node":  {"/v1/batch", `{"batch":[{"type":"identify","userId":"u","context":{"traits":{"role":"admin"},"library":{"name":"analytics-node","version":"3.0.13"}},"channel":"server","_metadata":{"nodeVersion":"22.1.0"},"originalTimestamp":"2026-03-02T11:59:58.123Z","messageId":"m","sentAt":"2026-03-02T11:59:59.000Z"}],"timestamp":"2026-03-02T11:59:59.000Z","sentAt":"2026-03-02T11:59:59.000Z"}`, "Basic azo="},
		"analytics-ruby":   {"/v1/batch", `{"sentAt":"2026-03-02T12:59:59.000+01:00","batch":[{"userId":"u","event":"Workflow Saved","type":"track","timestamp":"2026-03-02T12:59:58.000+01:00","messageId":"1"}]}`, "Basic azo="},
		"analytics-java":   {"/v1/batch", `{"batch":[{"type":"track","messageId":"m","timestamp":"2026-03-02T11:59:58.123+0000","userId":"u","event":"Workflow Saved"}],"sentAt":"2026-03-02T11:59:59.000+0000","context":{},"sequence":1,"writeKey":"k"}`, ""},
		"analytics-php":    {"/v1/batch", `{"batch":[{"userId":"u","event":"Workflow Saved","type":"track","timestamp":"2026-03-02T11:59:58+00:00","messageId":"m","properties":[]}],"sentAt":"2026-03-02T11:59:59+00:00"}`, "Basic azo="},
	} {
		t.Run(name, func(t *testing.T) {
			var j intaketest.Journal
			h, _ := intaketest.Start(t, intaketest.Vocabulary(product()), &j, segment.New(segment.Config{WriteKeys: []string{"k"}}))
			status, answer, _ := intaketest.Post(t, h.URL+c.path, c.body, "Authorization", c.authorization)
			if status != 200 || answer != `{"success":true}` {
				t.Fatalf("%d %s", status, answer)
			}
			if e := j.Records()[0].Events[0]; intaketest.Now().UnixNano()-e.Time > int64(3*time.Second) || e.Time == intaketest.Now().UnixNano() || !e.HasID || e.Type == record.Identify && len(e.Properties) != 1 {
				t.Errorf("%+v", e)
			}
		})
	}
}

package clients

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// cloudEvents are the tracks as a product with CloudEvents would send them.
func cloudEvents(t *testing.T) []cloudevents.Event {
	t.Helper()
	var out []cloudevents.Event
	for _, c := range tracks(sentAt()) {
		e := cloudevents.NewEvent()
		e.SetID(c.Message.MessageID)
		e.SetSource("https://workflows.example.com/editor")
		e.SetType(c.Message.Event)
		at, err := time.Parse(time.RFC3339Nano, c.Message.Timestamp)
		if err != nil {
			t.Fatal(err)
		}
		e.SetTime(at)
		if c.Message.UserID != "" {
			e.SetExtension("authid", c.Message.UserID)
		}
		if err := e.SetData(cloudevents.ApplicationJSON, c.Message.Properties); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func TestCloudEventsNode(t *testing.T) {
	t.Parallel()
	var list []map[string]any
	for _, c := range tracks(sentAt()) {
		e := map[string]any{"id": c.Message.MessageID, "source": "https://workflows.example.com/editor", "type": c.Message.Event,
			"time": c.Message.Timestamp, "datacontenttype": "application/json", "data": c.Message.Properties}
		if c.Message.UserID != "" {
			e["authid"] = c.Message.UserID
		}
		list = append(list, e)
	}
	for _, mode := range []string{"binary", "structured"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			a, _ := site(t)
			for times := 1; times <= 2; times++ {
				r := harness.Node(t, "cloudevents.mjs", map[string]any{"url": "http://" + a.Listen, "mode": mode, "events": list})
				if r.Code != 0 || strings.TrimSpace(r.Stdout) != "1" {
					t.Fatalf("the client heard of %q refusals, not of one: %s", r.Stdout, r.Stderr)
				}
				checkTracks(t, a, times, 0)
			}
		})
	}
}

func TestCloudEventsGo(t *testing.T) {
	t.Parallel()
	send := func(t *testing.T, ctx context.Context, url string) {
		t.Helper()
		client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(url))
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for _, e := range cloudEvents(t) {
			if result := client.Send(ctx, e); cloudevents.IsNACK(result) {
				refused++
			} else if !cloudevents.IsACK(result) {
				t.Fatalf("%s: %v", e.Type(), result)
			}
		}
		if refused != 1 {
			t.Errorf("the client heard of %d refusals, not of one", refused)
		}
	}
	for mode, fn := range map[string]func(t *testing.T, url string){
		"binary":     func(t *testing.T, url string) { send(t, cloudevents.WithEncodingBinary(t.Context()), url) },
		"structured": func(t *testing.T, url string) { send(t, cloudevents.WithEncodingStructured(t.Context()), url) },
		"batched":    sendBatch,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			a, _ := site(t)
			for times := 1; times <= 2; times++ {
				fn(t, "http://"+a.Listen+"/cloudevents")
				checkTracks(t, a, times, 0)
			}
		})
	}
}

// sendBatch lets the SDK make one request of all events.
func sendBatch(t *testing.T, url string) {
	t.Helper()
	q, err := cloudevents.NewHTTPRequestFromEvents(t.Context(), url, cloudEvents(t))
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusAccepted {
		t.Fatal(fmt.Sprint("answered ", a.StatusCode))
	}
}

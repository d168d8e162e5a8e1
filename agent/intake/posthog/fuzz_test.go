package posthog_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/intake/posthog"
	"github.com/fieldpost/fieldpost/agent/record"
)

// FuzzBatch: what is no JSON is refused, every element of a batch is accounted at least once, and a record can
// be written and read again.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(batch(good, `{"event":"$identify","distinct_id":"J\u00f6","$set":{"role":"admin"},"properties":{"$anon_distinct_id":"b"}}`)))
	f.Add([]byte(`[{"event":"$pageview","offset":12,"properties":{"distinct_id":"x","title":"Home","$groups":{"plan":"gold"}}},1]`))
	f.Add([]byte(`{"event":"$groupidentify","distinct_id":1,"properties":{"$group_type":"company","$group_key":"acme"},"sent_at":"x"}`))
	f.Add([]byte("data=eyJldmVudCI6IldvcmtmbG93IFNhdmVkIn0%3D"))
	v := intaketest.Vocabulary(product())
	d := posthog.New(posthog.Config{})
	f.Fuzz(func(t *testing.T, body []byte) {
		sent := append([]byte(nil), body...)
		r := record.Record{Kind: record.Request, Received: 1e18}
		q := intake.Request{Path: "/batch", Header: http.Header{}, Body: body, Vocabulary: v, Record: &r}
		if _, refusal := d.Read(&q); refusal != nil {
			return
		}
		accounted := len(r.Events) + int(r.RefusedEvents.Total())
		var around map[string]json.RawMessage // a struct would take members of other cases
		list := json.RawMessage(sent)
		if json.Unmarshal(sent, &around) == nil && around["batch"] != nil {
			list = around["batch"]
		}
		var elements []json.RawMessage
		if json.Unmarshal(list, &elements) == nil && accounted < len(elements) {
			t.Fatalf("%d of %d events are accounted for", accounted, len(elements))
		}
		var again record.Record
		if err := record.Decode(record.Append(nil, &r), &again); err != nil {
			t.Fatal(err)
		}
	})
}

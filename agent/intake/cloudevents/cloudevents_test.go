package cloudevents_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/cloudevents"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

func product(user string) *catalog.Catalog {
	return &catalog.Catalog{
		Name: "product", Version: 1, Hash: [32]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, Doors: catalog.Doors{CloudEvents: user},
		Events: []catalog.Event{
			{ID: "saved", Match: "com.example.saved", Type: "track", Properties: []catalog.Property{
				{Name: "area", Values: []string{"list", "editor"}}, {Name: "steps", IsNumber: true, Max: 100}}},
			{ID: "idle", Match: "com.example.idle", Type: "track"},
		},
		Measures: []catalog.Measure{{ID: "saves", Kind: catalog.Count, Events: []string{"saved"}, Subject: catalog.Person,
			By: [][]string{{"area"}}, Where: []catalog.Clause{{Property: "steps"}}}},
	}
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

const (
	one   = "application/cloudevents+json"
	many  = "application/cloudevents-batch+json"
	good  = `{"specversion":"1.0","id":"1","source":"/shop","type":"com.example.saved","authid":"ann"}`
	saved = "com.example.saved"
)

// binary are the headers of an event, and more.
func binary(more ...string) []string {
	return append([]string{"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/shop", "Ce-Type", saved}, more...)
}

func TestRequestsAreAnsweredByTheContract(t *testing.T) {
	big := strings.Repeat("x", 32<<10)
	n := func(r record.Reason) record.Counts { c := record.Counts{}; c[r] = 1; return c }
	for name, c := range map[string]struct {
		path, body string
		header     []string
		status     int
		want       record.Counts
		answer     string
	}{
		"structured":             {"/cloudevents", good, []string{"Content-Type", one}, 202, n(record.Measured), ""},
		"at the bare address":    {"/", good, []string{"Content-Type", one + "; charset=UTF-8"}, 202, n(record.Measured), ""},
		"gzip":                   {"/", zipped(good), []string{"Content-Type", one, "Content-Encoding", "gzip"}, 202, n(record.Measured), ""},
		"binary":                 {"/", `{"area":"list"}`, binary("Content-Type", "application/json"), 202, n(record.Measured), ""},
		"binary without data":    {"/cloudevents/", ``, binary(), 202, n(record.Measured), ""},
		"binary of another type": {"/", "<xml/>", binary("Content-Type", "application/xml"), 202, n(record.Measured), ""},
		"binary, broken JSON":    {"/", `{"area":`, binary("Content-Type", "application/json"), 202, n(record.Measured), ""},
		"batched":                {"/", "[" + good + "," + good + "]", []string{"Content-Type", many}, 202, record.Counts{record.Measured: 2}, ""},
		"an empty batch":         {"/", "[]", []string{"Content-Type", many}, 202, record.Counts{}, ""},
		"a batch with others": {"/", "[" + good + `,7,{"type":"x"},{"specversion":"1.0","id":"1","source":"s","type":"unknown"},{"specversion":"1.0","id":"1","source":"s","type":"com.example.idle"}]`, []string{"Content-Type", many}, 202,
			record.Counts{record.Measured: 1, record.Malformed: 2, record.UnknownEvent: 1, record.Off: 1},
			`{"success":true,"rejected":[{"index":1,"code":"malformed","message":"the event is no object"},{"index":2,"code":"malformed","message":"id, source or type is missing or no text"},{"index":3,"code":"unknown_event"}]}`},
		"unknown":                      {"/", `{"specversion":"1.0","id":"1","source":"s","type":"unknown"}`, []string{"Content-Type", one}, 202, n(record.UnknownEvent), ""},
		"off":                          {"/", `{"specversion":"1.0","id":"1","source":"s","type":"com.example.idle"}`, []string{"Content-Type", one}, 202, n(record.Off), ""},
		"another version":              {"/", `{"specversion":"0.3","id":"1","source":"s","type":"com.example.saved"}`, []string{"Content-Type", one}, 400, n(record.Malformed), "specversion is not 1.0"},
		"no id":                        {"/", `{"specversion":"1.0","source":"s","type":"com.example.saved"}`, []string{"Content-Type", one}, 400, n(record.Malformed), "id, source or type is missing"},
		"an id that is a list":         {"/", `{"specversion":"1.0","id":[],"source":"s","type":"com.example.saved"}`, []string{"Content-Type", one}, 400, n(record.Malformed), "id, source or type is missing"},
		"no source, binary":            {"/", ``, []string{"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Type", saved}, 400, n(record.Malformed), "id, source or type is missing"},
		"no version, binary":           {"/", ``, []string{"Ce-Id", "1", "Ce-Source", "s", "Ce-Type", saved}, 400, n(record.Malformed), "specversion is not 1.0"},
		"a time of another day":        {"/", ``, binary("Ce-Time", "yesterday"), 400, n(record.Malformed), "time is not RFC 3339"},
		"a user that is a list":        {"/", `{"specversion":"1.0","id":"1","source":"s","type":"com.example.saved","authid":[1]}`, []string{"Content-Type", one}, 400, n(record.Malformed), "the user is neither"},
		"not UTF-8":                    {"/", "{\"specversion\":\"1.0\",\"id\":\"\xff\",\"source\":\"s\",\"type\":\"com.example.saved\"}", []string{"Content-Type", one}, 400, n(record.Malformed), "not UTF-8"},
		"not UTF-8, binary":            {"/", "", binary("Ce-Authid", "%ff"), 400, n(record.Malformed), "not UTF-8"},
		"a bomb of depth":              {"/", `{"specversion":"1.0","id":"1","source":"s","type":"com.example.saved","data":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`, []string{"Content-Type", one}, 400, n(record.Malformed), "too deep"},
		"a deep bomb, binary":          {"/", `{"x":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, binary("Content-Type", "application/json"), 400, n(record.Malformed), "too deep"},
		"too large":                    {"/", `{"specversion":"1.0","id":"1","source":"s","type":"com.example.saved","data":"` + big + `"}`, []string{"Content-Type", one}, 413, n(record.OverSize), "over 32 KB"},
		"too large, binary":            {"/", big + "x", binary("Content-Type", "text/plain"), 413, n(record.OverSize), "over 32 KB"},
		"an id of 900 KB":              {"/", `{"specversion":"1.0","id":"` + strings.Repeat("x", 900_000) + `","source":"s","type":"com.example.saved"}`, []string{"Content-Type", one}, 413, n(record.OverSize), "over 32 KB"},
		"a long user":                  {"/", ``, binary("Ce-Authid", big[:257]), 413, n(record.OverSize), "over 256"},
		"outside":                      {"/", `{"steps":101}`, binary("Content-Type", "application/json"), 400, n(record.OverValue), "outside its bounds"},
		"not JSON":                     {"/", `{"specversion":"1.0"`, []string{"Content-Type", one}, 400, record.Counts{}, "unreadable"},
		"NaN":                          {"/", `{"specversion":"1.0","x":NaN}`, []string{"Content-Type", one}, 400, record.Counts{}, "unreadable"},
		"a list as one":                {"/", "[" + good + "]", []string{"Content-Type", one}, 400, record.Counts{}, "unreadable"},
		"one as a list":                {"/", good, []string{"Content-Type", many}, 400, record.Counts{}, "unreadable"},
		"too large a body":             {"/", "[" + strings.Repeat(" ", 1<<20) + "]", []string{"Content-Type", many}, 413, record.Counts{}, "too_large"},
		"a bomb":                       {"/", zipped("[" + strings.Repeat(" ", 8<<20) + "]"), []string{"Content-Type", many, "Content-Encoding", "gzip"}, 413, record.Counts{}, "too_large"},
		"another format":               {"/", "", []string{"Content-Type", "application/cloudevents+avro"}, 415, record.Counts{}, "unknown_content_type"},
		"another format, with headers": {"/", "", binary("Content-Type", "application/cloudevents+protobuf"), 415, record.Counts{}, "unknown_content_type"},
		"another charset":              {"/", good, []string{"Content-Type", one + "; charset=latin1"}, 415, record.Counts{}, "unknown_content_type"},
		"no CloudEvent":                {"/", `{}`, []string{"Content-Type", "application/json"}, 415, record.Counts{}, "unknown_content_type"},
	} {
		t.Run(name, func(t *testing.T) {
			var j intaketest.Journal
			h, _ := intaketest.Start(t, intaketest.Vocabulary(product("authid")), &j, cloudevents.New())
			status, answer, _ := intaketest.Post(t, h.URL+c.path, c.body, c.header...)
			if status != c.status || !strings.Contains(answer, c.answer) || c.answer == "" && answer != "" {
				t.Errorf("got %d %q, want %d %q", status, answer, c.status, c.answer)
			}
			if answer != "" && !json.Valid([]byte(answer)) {
				t.Errorf("the answer is no JSON: %s", answer)
			}
			if events, _ := j.Received(); events != c.want {
				t.Errorf("accounted %v, want %v", events, c.want)
			}
		})
	}
}

// The same event is the same in all three modes.
func TestModesAgree(t *testing.T) {
	event := `{"specversion":"1.0","id":"4 2","source":"https://shop.example/ä","type":"com.example.saved","time":"2026-03-02T11:30:00.5Z","authid":"Jörg","subject":"x","data":{"area":"editor","steps":2.5,"title":"x"}}`
	header := binary("Content-Type", "application/json; charset=utf-8", "Ce-Id", "4%202", "Ce-Source", "https://shop.example/%C3%A4", "Ce-Time", "2026-03-02T11:30:00.5Z", "Ce-Authid", `"J%C3%B6rg"`, "Ce-Subject", "x")
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product("authid")), &j, cloudevents.New())
	intaketest.Post(t, h.URL, event, "Content-Type", one)
	intaketest.Post(t, h.URL, "["+event+"]", "Content-Type", many)
	intaketest.Post(t, h.URL, `{"area":"editor","steps":2.5,"title":"x"}`, header...)
	want := record.Event{Type: record.Track, User: "Jörg", Time: intaketest.Now().Add(-30*time.Minute + 500*time.Millisecond).UnixNano(), HasID: true,
		Properties: []record.Value{{Property: 0, Index: 1}, {Property: 1, Number: record.Decimal{Mantissa: 25, Exponent: 1}}}}
	for i, r := range j.Records() {
		if d := cmp.Diff(want, r.Events[0], cmpopts.IgnoreFields(record.Event{}, "MessageID")); d != "" || r.Events[0].MessageID != j.Records()[0].Events[0].MessageID {
			t.Errorf("mode %d: %s", i, d)
		}
	}
	if len(j.Records()) != 3 {
		t.Errorf("%d records", len(j.Records()))
	}
}

func TestTheCatalogSaysWhoTheUserIs(t *testing.T) {
	event := func(more string) string {
		return `{"specversion":"1.0","id":"1","source":"s","type":"com.example.saved"` + more + `}`
	}
	for name, c := range map[string]struct{ doors, more, user string }{
		"the default":               {"authid", `,"authid":"ann"`, "ann"},
		"another attribute":         {"partner", `,"authid":"ann","partner":"ben"`, "ben"},
		"a number":                  {"partner", `,"partner":42`, "42"},
		"none given":                {"authid", ``, ""},
		"null":                      {"authid", `,"authid":null`, ""},
		"nowhere":                   {"", `,"authid":"ann","":"ben","data":{"user":"cyd"}`, ""},
		"in data":                   {"data.user", `,"data":{"user":"c\u00e9d"},"authid":"ann"`, "céd"},
		"deep in data":              {"data.who.user.id", `,"data":{"who":{"id":"no","user":{"id":7}}}`, "7"},
		"the last of them":          {"data.user", `,"data":{"user":"ann","user":"ben"}`, "ben"},
		"a path that leads nowhere": {"data.who.user", `,"data":{"who":"ann"}`, ""},
		"data no object":            {"data.user", `,"data":["user"]`, ""},
		"data in base64":            {"data.user", `,"data_base64":"eyJ1c2VyIjoiYW5uIn0="`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var j intaketest.Journal
			h, _ := intaketest.Start(t, intaketest.Vocabulary(product(c.doors)), &j, cloudevents.New())
			// Two of them: what the second leaves in the buffers must not be the first one's.
			status, answer, _ := intaketest.Post(t, h.URL, "["+event(c.more)+","+event(`,"authid":"\u00fcber","partner":"\u00fcber","data":{"user":"\u00fcber","who":{"user":{"id":"\u00fcber"}}}`)+"]", "Content-Type", many)
			if status != 202 || j.Records()[0].Events[0].User != c.user {
				t.Errorf("%d %s: user %q, want %q", status, answer, j.Records()[0].Events[0].User, c.user)
			}
		})
	}
}

func TestSourceAndIdTogetherAreTheMessageId(t *testing.T) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product("")), &j, cloudevents.New())
	event := func(source, id string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"` + source + `","type":"com.example.saved"}`
	}
	intaketest.Post(t, h.URL, "["+event("a", "bc")+","+event("ab", "c")+","+event("a", "bc")+"]", "Content-Type", many)
	e := j.Records()[0].Events
	if e[0].MessageID != e[2].MessageID || e[0].MessageID == e[1].MessageID || !e[0].HasID {
		t.Errorf("%+v", e)
	}
}

func TestCanariesEndInTheDoor(t *testing.T) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product("data.user.name")), &j, cloudevents.New())
	intaketest.Post(t, h.URL+"/?CANARY", `{"specversion":"1.0","id":"CANARY","source":"CANARY","subject":"CANARY","dataschema":"CANARY","type":"com.example.saved","authid":"CANARY",
		"data":{"area":"CANARY","title":"CANARY","user":{"email":"CANARY","name":"ann"}}}`, "Content-Type", one, "X-Forwarded-For", "CANARY")
	intaketest.Post(t, h.URL, `CANARY`, binary("Content-Type", "text/plain", "Ce-Authid", "CANARY", "Ce-Subject", "CANARY")...)
	if events, _ := j.Received(); events != (record.Counts{record.Measured: 2}) {
		t.Errorf("accounted %v", events)
	}
	if strings.Contains(j.Raw(), "CANARY") {
		t.Error("a canary is in the journal")
	}
}

func TestWithoutACatalogAllIsOff(t *testing.T) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(nil), &j, cloudevents.New())
	status, answer, _ := intaketest.Post(t, h.URL, good, "Content-Type", one)
	if events, _ := j.Received(); status != 202 || answer != "" || events != (record.Counts{record.Off: 1}) {
		t.Errorf("got %d %s %v", status, answer, events)
	}
}

// FuzzStructured holds the door against encoding/json: what is no JSON object is refused, what is one is
// accounted once.
func FuzzStructured(f *testing.F) {
	f.Add([]byte(good), []byte(`["application/cloudevents+json"]`))
	f.Add([]byte(`{"specversion":"1.0","id":"\u00e9","source":"/","type":"com.example.saved","time":"2026-01-01T00:00:00Z","data":{"user":{"id":"x"},"area":"list"}}`), []byte(`x`))
	v := intaketest.Vocabulary(product("data.user.id"))
	d := cloudevents.New()
	f.Fuzz(func(t *testing.T, body, value []byte) {
		r := record.Record{Kind: record.Request, Received: 1e18}
		q := intake.Request{Path: "/", Header: http.Header{"Content-Type": {one}}, Body: body, Vocabulary: v, Record: &r}
		_, refusal := d.Read(&q)
		var object map[string]json.RawMessage
		if err := json.Unmarshal(body, &object); (err == nil && object != nil) != (refusal == nil) {
			t.Fatalf("refused: %v, encoding/json: %v", refusal, err)
		}
		if refusal == nil && len(r.Events)+int(r.RefusedEvents.Total()) != 1 {
			t.Fatal("not accounted once")
		}
		b := record.Record{Kind: record.Request, Received: 1e18}
		q = intake.Request{Path: "/", Header: http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {string(value)}, "Ce-Source": {"s"}, "Ce-Type": {saved}, "Ce-Time": {string(value)}}, Body: body, Vocabulary: v, Record: &b}
		if _, refusal := d.Read(&q); refusal != nil || len(b.Events)+int(b.RefusedEvents.Total()) != 1 {
			t.Fatal("a binary event was not accounted once")
		}
		for _, r := range []*record.Record{&r, &b} {
			var again record.Record
			if err := record.Decode(record.Append(nil, r), &again); err != nil {
				t.Fatal(err)
			}
		}
	})
}

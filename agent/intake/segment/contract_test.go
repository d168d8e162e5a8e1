package segment_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/intake/segment"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

func product() *catalog.Catalog {
	return &catalog.Catalog{
		Name: "product", Version: 1, Hash: [32]byte{1, 2, 3, 4, 5, 6, 7, 8, 9},
		Events: []catalog.Event{
			{ID: "saved", Match: "Workflow Saved", Type: "track", Properties: []catalog.Property{
				{Name: "area", Values: []string{"list", "editor"}, Map: map[string]string{"canvas": "editor"}},
				{Name: "steps", IsNumber: true, Max: 100},
				{Name: "plan", Match: "plan.name", Values: []string{"free", "1", "true"}},
				{Name: "unused", IsNumber: true, Max: 5}}},
			{ID: "home", Match: "Home", Type: "page"},
			{ID: "main", Match: "Main", Type: "screen"},
			{ID: "idle", Match: "Idle", Type: "track"},
		},
		Traits:      []catalog.Property{{Name: "role", Values: []string{"admin", "member"}}, {Name: "shoe", IsNumber: true, Max: 50}},
		GroupTraits: []catalog.Property{{Name: "plan", Values: []string{"gold"}}},
		Measures: []catalog.Measure{
			{ID: "saves", Kind: catalog.Count, Events: []string{"saved", "home", "main"}, Subject: catalog.Person,
				By: [][]string{{"area"}, {"plan"}, {"role"}}, Where: []catalog.Clause{{Property: "steps"}}},
			{ID: "plan", Kind: catalog.Fact, From: "group.plan"},
		},
	}
}

func batch(events ...string) string { return `{"batch":[` + strings.Join(events, ",") + `]}` }

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

const good = `{"type":"track","userId":"u","event":"Workflow Saved"}`

// The contract for requests as a whole.
func TestRequestsAreAnsweredByTheContract(t *testing.T) {
	const json = "application/json"
	for name, c := range map[string]struct {
		path, body, kind, encoding, authorization string
		status                                    int
		code                                      string
	}{
		"a batch":                    {"/v1/batch", batch(good), json, "", "Basic a2V5Og==", 200, ""},
		"key in the body":            {"/v1/batch", `{"batch":[` + good + `],"writeKey":"key"}`, json, "", "", 200, ""},
		"key after the fact":         {"/v1/track", `{"userId":"u","event":"Workflow Saved","writeKey":"key"}`, json, "", "", 200, ""},
		"browser":                    {"/v1/t", `{"userId":"u","event":"Workflow Saved","writeKey":"key"}`, "text/plain;charset=UTF-8", "", "", 200, ""},
		"no content type":            {"/v1/batch", batch(good), "", "", "Basic a2V5Og==", 200, ""},
		"gzip":                       {"/v1/batch", zipped(batch(good)), json, "gzip", "Basic a2V5Og==", 200, ""},
		"identity":                   {"/v1/batch", batch(good), json, "identity", "Basic a2V5Og==", 200, ""},
		"empty batch":                {"/v1/batch", batch(), json, "", "Basic a2V5Og==", 200, ""},
		"no key":                     {"/v1/batch", batch(good), json, "", "", 401, "wrong_write_key"},
		"wrong key":                  {"/v1/batch", `{"batch":[],"writeKey":"kex"}`, json, "", "Basic a2V4Og==", 401, "wrong_write_key"},
		"broken JSON":                {"/v1/batch", `{"batch":[` + good, json, "", "Basic a2V5Og==", 400, "unreadable"},
		"text after JSON":            {"/v1/batch", batch(good) + "x", json, "", "Basic a2V5Og==", 400, "unreadable"},
		"NaN":                        {"/v1/batch", batch(`{"a":NaN}`), json, "", "Basic a2V5Og==", 400, "unreadable"},
		"Infinity":                   {"/v1/batch", batch(`{"a":-Infinity}`), json, "", "Basic a2V5Og==", 400, "unreadable"},
		"empty body":                 {"/v1/batch", "", json, "", "Basic a2V5Og==", 400, "unreadable"},
		"not an object":              {"/v1/track", `[` + good + `]`, json, "", "Basic a2V5Og==", 400, "unreadable"},
		"batch missing":              {"/v1/batch", `{}`, json, "", "Basic a2V5Og==", 400, "unreadable"},
		"batch no list":              {"/v1/batch", `{"batch":{}}`, json, "", "Basic a2V5Og==", 400, "unreadable"},
		"batch twice":                {"/v1/batch", `{"batch":[],"batch":[]}`, json, "", "Basic a2V5Og==", 400, "unreadable"},
		"too large":                  {"/v1/batch", batch(good) + strings.Repeat(" ", 512_000), json, "", "Basic a2V5Og==", 413, "too_large"},
		"too large inflated":         {"/v1/batch", zipped(batch(good) + strings.Repeat(" ", 5_000_000)), json, "gzip", "Basic a2V5Og==", 413, "too_large"},
		"not gzip":                   {"/v1/batch", batch(good), json, "gzip", "Basic a2V5Og==", 400, "bad_encoding"},
		"torn gzip":                  {"/v1/batch", zipped(batch(good))[:40], json, "gzip", "Basic a2V5Og==", 400, "bad_encoding"},
		"unknown encoding":           {"/v1/batch", batch(good), json, "br", "Basic a2V5Og==", 415, "unknown_encoding"},
		"stacked encodings":          {"/v1/batch", batch(good), json, "gzip, gzip", "Basic a2V5Og==", 415, "unknown_encoding"},
		"unknown content type":       {"/v1/batch", batch(good), "application/xml", "", "Basic a2V5Og==", 415, "unknown_content_type"},
		"JSON called a form":         {"/v1/batch", batch(good), "application/x-www-form-urlencoded", "", "Basic a2V5Og==", 200, ""},
		"form":                       {"/v1/batch", "a=b", "application/x-www-form-urlencoded", "", "Basic a2V5Og==", 400, "unreadable"},
		"charset":                    {"/v1/batch", batch(good), "application/json; charset=latin1", "", "Basic a2V5Og==", 415, "unknown_content_type"},
		"unknown path":               {"/v1/merge", batch(good), json, "", "Basic a2V5Og==", 404, ""},
		"a basic name without colon": {"/v1/batch", batch(good), json, "", "Basic a2V5", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var j intaketest.Journal
			h, s := intaketest.Start(t, intaketest.Vocabulary(product()), &j, segment.New(segment.Config{WriteKeys: []string{"other", "key"}}))
			header := []string{"Content-Type", c.kind, "Content-Encoding", c.encoding, "Authorization", c.authorization}
			status, answer, _ := intaketest.Post(t, h.URL+c.path, c.body, header...)
			if status != c.status || c.code != "" && !strings.Contains(answer, `"success":false,"code":"`+c.code+`","message":"`) {
				t.Errorf("got %d %s, want %d %s", status, answer, c.status, c.code)
			}
			if status == 200 && answer != `{"success":true}` {
				t.Errorf("answer %s", answer)
			}
			if status != 200 && len(j.Records()) != 0 {
				t.Errorf("a refused request was journaled")
			}
			if c.code != "" && s.Stats().Refused[c.code] != 1 {
				t.Errorf("refusals counted: %v", s.Stats().Refused)
			}
		})
	}
}

// The contract for each event: the first reason that applies, and the others of its batch unharmed.
func TestEventsAreAccountedByTheFirstReason(t *testing.T) {
	for name, c := range eventCases() {
		t.Run(name, func(t *testing.T) { accountedAs(t, c.event, c.want) })
	}
}

type eventCase struct {
	event string
	want  string // "" for taken
}

func eventCases() map[string]eventCase {
	big := strings.Repeat("x", 32<<10)
	return map[string]eventCase{
		"track":                       {good, ""},
		"page":                        {`{"type":"page","anonymousId":"a","name":"Home"}`, ""},
		"screen":                      {`{"type":"screen","userId":"a","name":"Main"}`, ""},
		"identify":                    {`{"type":"identify","userId":"a","traits":{"role":"admin"}}`, ""},
		"group":                       {`{"type":"group","userId":"a","groupId":"g","traits":{"plan":"gold","name":"Ann"}}`, ""},
		"alias":                       {`{"type":"alias","userId":"a","previousId":"b"}`, ""},
		"numeric user":                {`{"type":"track","userId":42,"event":"Workflow Saved"}`, ""},
		"null members":                {`{"type":"track","userId":"u","anonymousId":null,"event":"Workflow Saved","timestamp":null,"properties":null,"traits":null,"messageId":null}`, ""},
		"escaped names":               {`{"\u0074ype":"tr\u0061ck","userId":"u","event":"Workflow\u0020Saved"}`, ""},
		"undeclared property":         {`{"type":"track","userId":"u","event":"Workflow Saved","properties":{"colour":{"deep":[1]}}}`, ""},
		"unlisted value":              {`{"type":"track","userId":"u","event":"Workflow Saved","properties":{"area":"kitchen"}}`, ""},
		"listed number":               {`{"type":"track","userId":"u","event":"Workflow Saved","properties":{"plan.name":1}}`, ""},
		"listed truth":                {`{"type":"track","userId":"u","event":"Workflow Saved","properties":{"plan.name":true}}`, ""},
		"no object":                   {`7`, "malformed"},
		"empty":                       {`{}`, "malformed"},
		"unknown type":                {`{"type":"delete","userId":"u"}`, "malformed"},
		"type no text":                {`{"type":1,"userId":"u"}`, "malformed"},
		"no one":                      {`{"type":"track","event":"Workflow Saved"}`, "malformed"},
		"user an object":              {`{"type":"track","userId":{},"event":"Workflow Saved"}`, "malformed"},
		"user a fraction":             {`{"type":"track","userId":1.5,"event":"Workflow Saved"}`, "malformed"},
		"user a truth value":          {`{"type":"track","userId":true,"event":"Workflow Saved"}`, "malformed"},
		"event missing":               {`{"type":"track","userId":"u"}`, "malformed"},
		"event no text":               {`{"type":"track","userId":"u","event":["Workflow Saved"]}`, "malformed"},
		"alias of nothing":            {`{"type":"alias","userId":"a"}`, "malformed"},
		"bad timestamp":               {`{"type":"track","userId":"u","event":"Workflow Saved","timestamp":"yesterday"}`, "malformed"},
		"timestamp a number":          {`{"type":"track","userId":"u","event":"Workflow Saved","timestamp":1700000000}`, "malformed"},
		"February 30":                 {`{"type":"track","userId":"u","event":"Workflow Saved","timestamp":"2026-02-30T00:00:00Z"}`, "malformed"},
		"properties a list":           {`{"type":"track","userId":"u","event":"Workflow Saved","properties":[1]}`, "malformed"},
		"not UTF-8":                   {`{"type":"track","userId":"` + "\xff" + `","event":"Workflow Saved"}`, "malformed"},
		"too deep":                    {`{"type":"track","userId":"u","event":"Workflow Saved","x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, "malformed"},
		"malformed goes before size":  {`{"type":"track","x":"` + big + `"}`, "malformed"},
		"too large":                   {`{"type":"track","userId":"u","event":"Workflow Saved","x":"` + big + `"}`, "over_limit_size"},
		"size goes before unknown":    {`{"type":"track","userId":"u","event":"Nobody knows","x":"` + big + `"}`, "over_limit_size"},
		"long id":                     {`{"type":"track","userId":"` + big[:257] + `","event":"Workflow Saved"}`, "over_limit_size"},
		"unknown":                     {`{"type":"track","userId":"u","event":"workflow saved"}`, "unknown_event"},
		"unknown page":                {`{"type":"page","userId":"u"}`, "unknown_event"},
		"a track name on a page":      {`{"type":"page","userId":"u","name":"Workflow Saved"}`, "unknown_event"},
		"number above its bounds":     {`{"type":"track","userId":"u","event":"Workflow Saved","properties":{"steps":100.5}}`, "over_limit_value"},
		"number below its bounds":     {`{"type":"track","userId":"u","event":"Workflow Saved","properties":{"steps":-1}}`, "over_limit_value"},
		"huge number":                 {`{"type":"track","userId":"u","event":"Workflow Saved","properties":{"steps":1e999}}`, "over_limit_value"},
		"text for a number":           {`{"type":"track","userId":"u","event":"Workflow Saved","properties":{"steps":"3"}}`, "over_limit_value"},
		"object for a list":           {`{"type":"track","userId":"u","event":"Workflow Saved","properties":{"area":{}}}`, "over_limit_value"},
		"unlisted number":             {`{"type":"track","userId":"u","event":"Workflow Saved","properties":{"area":3}}`, "over_limit_value"},
		"bad trait":                   {`{"type":"identify","userId":"u","traits":{"shoe":51}}`, "over_limit_value"},
		"unused properties are check": {`{"type":"track","userId":"u","event":"Workflow Saved","properties":{"unused":6}}`, "over_limit_value"},
	}
}

// accountedAs sends the event between two good ones.
func accountedAs(t *testing.T, event, reason string) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product()), &j, segment.New(segment.Config{}))
	status, answer, _ := intaketest.Post(t, h.URL+"/v1/batch", batch(good, event, good))
	want, counts := `{"success":true}`, record.Counts{record.Measured: 3}
	if reason != "" {
		want, counts = `{"success":true,"rejected":[{"index":1,"code":"`+reason+`"`, record.Counts{record.Measured: 2}
		for r := range counts {
			if record.Reason(r).String() == reason {
				counts[r] = 1
			}
		}
	}
	if status != 200 || !strings.HasPrefix(answer, want) {
		t.Errorf("got %d %s, want %s", status, answer, want)
	}
	if events, _ := j.Received(); events != counts {
		t.Errorf("accounted %v, want %v", events, counts)
	}
}

func TestWhatIsOffIsCountedAndAnsweredWith200(t *testing.T) {
	all := batch(good, `{"type":"track","userId":"u","event":"Idle"}`, `{"type":"identify","userId":"u"}`, `{"type":"group","userId":"u"}`, `{"type":"alias","userId":"u","previousId":"p"}`)
	none := product()
	none.Measures = nil
	for name, c := range map[string]*catalog.Catalog{"no catalog": nil, "no measure": none} {
		t.Run(name, func(t *testing.T) {
			var j intaketest.Journal
			h, _ := intaketest.Start(t, intaketest.Vocabulary(c), &j, segment.New(segment.Config{}))
			status, answer, _ := intaketest.Post(t, h.URL+"/v1/batch", all)
			events, _ := j.Received()
			if status != 200 || answer != `{"success":true}` || events != (record.Counts{record.Off: 5}) {
				t.Errorf("got %d %s %v", status, answer, events)
			}
		})
	}
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product()), &j, segment.New(segment.Config{}))
	intaketest.Post(t, h.URL+"/v1/batch", all)
	if events, _ := j.Received(); events != (record.Counts{record.Off: 1, record.Measured: 4}) {
		t.Errorf("with measures: %v", events)
	}
}

// Everything about one event, as the fold will see it.
func TestEventIsReadToTheLastDetail(t *testing.T) {
	at := func(s string) int64 {
		x, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return x.UnixNano()
	}
	now := intaketest.Now().UnixNano()
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product()), &j, segment.New(segment.Config{}))
	body := `{"sentAt":"2026-03-02T10:00:00Z","context":{"x":1},"batch":[
		{"properties":{"steps":1.50,"area":"canvas","plan.name":"free","steps":2.25,"unused":1},"event":"Workflow Saved","userId":"J\u00f6rg","type":"track","timestamp":"2026-03-02T09:30:00.123456789+00:00"},
		{"type":"track","userId":"b","event":"Workflow Saved","timestamp":"2026-03-02T11:00:00Z","sentAt":"2026-03-02T11:58:00Z","properties":{"area":null}},
		{"type":"track","userId":"c","event":"Workflow Saved","timestamp":"2027-03-02T11:00:00Z","sentAt":"2026-03-02T12:00:00Z"},
		{"type":"identify","userId":"d","messageId":"m","traits":{"role":"boss","createdAt":"2020-01-01","shoe":40}},
		{"type":"identify","userId":"e","traits":{"createdAt":1577836800000}},
		{"type":"alias","userId":"new","previousId":"old","timestamp":"2026-03-02T13:59:00+02:00","sentAt":"2026-03-02T12:00:00Z"},
		{"type":"group","userId":"secret","traits":{"plan":"gold"}}]}`
	if status, answer, _ := intaketest.Post(t, h.URL+"/v1/batch", body); status != 200 || answer != `{"success":true}` {
		t.Fatalf("%d %s", status, answer)
	}
	want := []record.Event{
		{Type: record.Track, User: "Jörg", Time: at("2026-03-02T11:30:00.123456789Z"), Properties: []record.Value{
			{Property: 0, Index: 1}, {Property: 1, Number: record.Decimal{Mantissa: 225, Exponent: 2}}, {Property: 2, Index: 0}}},
		{Type: record.Track, User: "b", Time: at("2026-03-02T11:00:00Z")}, // two minutes are no reason to correct
		{Type: record.Track, User: "c", Time: now},
		{Type: record.Identify, User: "d", Time: now, HasID: true, MessageID: [16]byte{0x62, 0xc6, 0x6a, 0x7a, 0x5d, 0xd7, 0x0c, 0x31, 0x46, 0x61, 0x80, 0x63, 0xc3, 0x44, 0xe5, 0x31},
			CreatedAt: at("2020-01-01T00:00:00Z"), Properties: []record.Value{{Property: 0, Index: 2}}},
		{Type: record.Identify, User: "e", Time: now, CreatedAt: at("2020-01-01T00:00:00Z")},
		{Type: record.Alias, User: "new", Previous: "old", Time: at("2026-03-02T11:59:00Z")},
		{Type: record.Group, Time: now, Properties: []record.Value{{Property: 0, Index: 0}}},
	}
	r := j.Records()[0]
	if d := cmp.Diff(want, r.Events, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	if r.Skewed != 1 || r.Kind != record.Request || r.Received != now || r.Catalog != [8]byte{1, 2, 3, 4, 5, 6, 7, 8} {
		t.Errorf("record %+v", r)
	}
}

func TestFullOrSickJournalIsA503AtOnce(t *testing.T) {
	for code, err := range map[string]error{"journal_full": &durable.FullError{}, "busy": durable.ErrBusy,
		"journal_unhealthy": durable.ErrUnhealthy, "stopping": durable.ErrClosed} {
		var j intaketest.Journal
		j.FailWith(fmt.Errorf("appending: %w", err))
		h, s := intaketest.Start(t, intaketest.Vocabulary(product()), &j, segment.New(segment.Config{}))
		status, answer, header := intaketest.Post(t, h.URL+"/v1/batch", batch(good))
		if status != 503 || !strings.Contains(answer, `"code":"`+code+`"`) || header.Get("Retry-After") == "" {
			t.Errorf("got %d %s %v", status, answer, header)
		}
		if s.Stats().PassedEvents != 0 {
			t.Error("an event that was not kept was counted")
		}
	}
}

// What nobody declared ends in the door: nothing of it is in the journal.
func TestCanariesEndInTheDoor(t *testing.T) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product()), &j, segment.New(segment.Config{}))
	intaketest.Post(t, h.URL+"/v1/batch?q=CANARY", `{"CANARY":"CANARY","context":{"ip":"CANARY"},"writeKey":"CANARY","batch":[
		{"type":"track","event":"Workflow Saved","userId":"u","anonymousId":"CANARY","messageId":"CANARY","CANARY":["CANARY"],
		 "context":{"ip":"CANARY","userAgent":"CANARY","groupId":"CANARY","traits":{"email":"CANARY"}},"integrations":{"CANARY":true},
		 "properties":{"area":"CANARY","title":"CANARY","CANARY":1,"plan.name":"CANARY\u00e9"}},
		{"type":"identify","userId":"u","traits":{"email":"CANARY","name":"CANARY","role":"CANARY","CANARY":{"CANARY":"CANARY"}}},
		{"type":"group","userId":"CANARY","groupId":"CANARY","traits":{"name":"CANARY","plan":"CANARY"}},
		{"type":"page","userId":"u","name":"Home","category":"CANARY","properties":{"url":"CANARY"}},
		{"type":"track","event":"CANARY","userId":"CANARY"},{"type":"CANARY"},{"type":"alias","userId":"CANARY"},
		{"type":"track","event":"Idle","userId":"CANARY"}]}`, "User-Agent", "CANARY", "X-Forwarded-For", "CANARY")
	if events, _ := j.Received(); events.Total() != 8 || events[record.Measured] != 4 {
		t.Fatalf("accounted %v", events)
	}
	if strings.Contains(j.Raw(), "CANARY") {
		t.Error("a canary is in the journal")
	}
}

func TestAnswerToRubbishIsBounded(t *testing.T) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product()), &j, segment.New(segment.Config{}))
	_, answer, _ := intaketest.Post(t, h.URL+"/v1/batch", `{"batch":[`+strings.Repeat("{},", 150_000)+`{}]}`)
	if len(answer) > 100_000 || !strings.HasSuffix(answer, `],"rejected_not_listed":149001}`) {
		t.Errorf("%d bytes, ends in %s", len(answer), answer[len(answer)-60:])
	}
	if events, _ := j.Received(); events != (record.Counts{record.Malformed: 150_001}) {
		t.Errorf("accounted %v", events)
	}
}

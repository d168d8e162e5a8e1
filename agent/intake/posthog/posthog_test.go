package posthog_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/intake/posthog"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

func product() *catalog.Catalog {
	return &catalog.Catalog{
		Name: "product", Version: 1, Hash: [32]byte{1, 2, 3, 4, 5, 6, 7, 8, 9},
		Events: []catalog.Event{
			{ID: "saved", Match: "Workflow Saved", Type: "track", Properties: []catalog.Property{
				{Name: "area", Values: []string{"list", "editor"}}, {Name: "steps", IsNumber: true, Max: 100}}},
			{ID: "home", Match: "Home", Type: "page", Properties: []catalog.Property{{Name: "tab", Values: []string{"a", "b"}}}},
			{ID: "any_page", Match: "$pageview", Type: "page"},
			{ID: "main", Match: "Main", Type: "screen"},
			{ID: "any_screen", Match: "$screen", Type: "track"},
			{ID: "idle", Match: "Idle", Type: "track"},
		},
		Traits:      []catalog.Property{{Name: "role", Values: []string{"admin", "member"}}},
		GroupTraits: []catalog.Property{{Name: "plan", Values: []string{"gold", "silver"}}, {Name: "company", Values: []string{"acme"}}},
		Measures: []catalog.Measure{
			{ID: "saves", Kind: catalog.Count, Events: []string{"saved", "home", "any_page", "main", "any_screen"}, Subject: catalog.Person,
				By: [][]string{{"area"}, {"role"}, {"tab"}}, Where: []catalog.Clause{{Property: "steps"}}},
			{ID: "plan", Kind: catalog.Fact, From: "group.plan"},
			{ID: "company", Kind: catalog.Fact, From: "group.company"},
		},
	}
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

const good = `{"event":"Workflow Saved","distinct_id":"u"}`

func batch(events ...string) string {
	return `{"api_key":"key","batch":[` + strings.Join(events, ",") + `]}`
}

const js, text, form = "application/json", "text/plain", "application/x-www-form-urlencoded"

func TestRequestsAreAnsweredByTheContract(t *testing.T) {
	data := func(s string) string { return "data=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) }
	web := `{"event":"Workflow Saved","properties":{"token":"key","distinct_id":"u"}}`
	for name, c := range map[string]struct {
		path, body, kind, encoding string
		status, events             int
		code                       string
	}{
		"a batch":                 {"/batch", batch(good, good), js, "", 200, 2, ""},
		"a batch with a slash":    {"/batch/", batch(good), js, "gzip", 200, 1, ""},
		"one event":               {"/i/v0/e/", `{"api_key":"key","event":"Workflow Saved","distinct_id":"u"}`, js, "", 200, 1, ""},
		"one by capture":          {"/capture", `{"token":"key","event":"Workflow Saved","distinct_id":"u"}`, js, "", 200, 1, ""},
		"of the web":              {"/e/?ip=0&_=1772452798123&ver=1.2", web, text, "", 200, 1, ""},
		"a list of the web":       {"/e/", "[" + web + "," + web + "]", text, "", 200, 2, ""},
		"gzip said in the query":  {"/i/v0/e/?compression=gzip-js", zipped(web), text, "", 200, 1, ""},
		"gzip said there wrongly": {"/i/v0/e/?compression=gzip-js", web, text, "", 400, 0, "bad_encoding"},
		"base64 in a form":        {"/e/", data(web), form, "", 200, 1, ""},
		"base64 of a beacon":      {"/e/?compression=base64", data(web), text, "", 200, 1, ""},
		"base64 of a whole batch": {"/batch", data(batch(good, good)) + "&compression=base64", form + "; charset=utf-8", "", 200, 2, ""},
		"base64 with lost pluses": {"/e/", "data=" + base64.StdEncoding.EncodeToString([]byte(strings.Replace(web, "Saved", "Saved\"\t,\"x\":\"~~~>>>???", 1))), form, "", 200, 1, ""},
		"JSON in a form":          {"/e/", "ver=1&data=" + url.QueryEscape(web), form, "", 200, 1, ""},
		"lz-string":               {"/e/?compression=lz64", "NoIgpgJgbgzgxgFwgQ", text, "", 400, 0, "unreadable"},
		"base64 of nothing":       {"/e/", "data=", form, "", 400, 0, "unreadable"},
		"base64 of text":          {"/e/", data("hello"), form, "", 400, 0, "unreadable"},
		"a torn escape":           {"/e/", "data=%7", form, "", 400, 0, "unreadable"},
		"version 1":               {"/i/v1/analytics/events", `{"created_at":"2026-03-02T11:00:00Z","batch":[` + good + `]}`, js, "", 200, 1, ""},
		"empty list":              {"/batch", batch(), js, "", 200, 0, ""},
		"no key":                  {"/batch", `{"batch":[` + good + `]}`, js, "", 401, 0, "wrong_write_key"},
		"another key":             {"/e/", `{"token":"kex","event":"Workflow Saved","distinct_id":"u"}`, js, "", 401, 0, "wrong_write_key"},
		"batch no list":           {"/batch", `{"api_key":"key","batch":{}}`, js, "", 400, 0, "unreadable"},
		"batch twice":             {"/batch", `{"api_key":"key","batch":[],"batch":[` + good + `]}`, js, "", 400, 0, "unreadable"},
		"broken":                  {"/batch", batch(good)[:60], js, "", 400, 0, "unreadable"},
		"text behind":             {"/batch", batch(good) + "x", js, "", 400, 0, "unreadable"},
		"NaN":                     {"/batch", batch(`{"event":NaN}`), js, "", 400, 0, "unreadable"},
		"a number":                {"/batch", `7`, js, "", 400, 0, "unreadable"},
		"nothing":                 {"/batch", ``, js, "", 400, 0, "unreadable"},
		"too large":               {"/batch", batch(good) + strings.Repeat(" ", 1<<20), js, "", 413, 0, "too_large"},
		"a bomb":                  {"/batch", batch(good) + strings.Repeat(" ", 8<<20), js, "gzip", 413, 0, "too_large"},
		"another encoding":        {"/batch", batch(good), js, "br", 415, 0, "unknown_encoding"},
		"another content":         {"/batch", batch(good), "application/xml", "", 415, 0, "unknown_content_type"},
		"another path":            {"/batches", batch(good), js, "", 404, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var j intaketest.Journal
			h, s := intaketest.Start(t, intaketest.Vocabulary(product()), &j, posthog.New(posthog.Config{WriteKeys: []string{"other", "key"}}))
			if c.encoding == "gzip" {
				c.body = zipped(c.body)
			}
			status, answer, _ := intaketest.Post(t, h.URL+c.path, c.body, "Content-Type", c.kind, "Content-Encoding", c.encoding, "Authorization", bearer(c.path))
			if status != c.status || c.code != "" && !strings.Contains(answer, `"code":"`+c.code+`"`) {
				t.Fatalf("got %d %s, want %d %s", status, answer, c.status, c.code)
			}
			if status == 200 && answer != `{"status":1}` {
				t.Errorf("answer %s", answer)
			}
			if events, _ := j.Received(); events != (record.Counts{record.Measured: uint64(c.events)}) {
				t.Errorf("accounted %v", events)
			}
			if c.code != "" && s.Stats().Refused[c.code] != 1 {
				t.Errorf("refusals counted: %v", s.Stats().Refused)
			}
		})
	}
}

func bearer(path string) string {
	if strings.Contains(path, "/v1/") {
		return "Bearer key"
	}
	return ""
}

func TestEventsAreAccountedByTheFirstReason(t *testing.T) {
	big := strings.Repeat("x", 32<<10)
	deep := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	for name, c := range map[string]struct{ event, want string }{
		"track":                   {good, ""},
		"a numbered user":         {`{"event":"Workflow Saved","distinct_id":42}`, ""},
		"without an offset":       {`{"event":"Workflow Saved","distinct_id":"u","timestamp":"2026-03-02T09:03:11.913767"}`, ""},
		"clock of 1970":           {`{"event":"Workflow Saved","distinct_id":"u","timestamp":"1970-01-01T00:00:00Z"}`, ""},
		"clock of 2106":           {`{"event":"Workflow Saved","distinct_id":"u","timestamp":"2106-02-07T06:28:16Z"}`, ""},
		"an alias":                {`{"event":"$create_alias","distinct_id":"a","properties":{"alias":"b"}}`, ""},
		"no object":               {`7`, "malformed"},
		"empty":                   {`{}`, "malformed"},
		"no one":                  {`{"event":"Workflow Saved"}`, "malformed"},
		"no one in properties":    {`{"event":"Workflow Saved","properties":{"distinct_id":""}}`, "malformed"},
		"user a list":             {`{"event":"Workflow Saved","distinct_id":["u"]}`, "malformed"},
		"event no text":           {`{"event":7,"distinct_id":"u"}`, "malformed"},
		"uuid a list":             {`{"event":"Workflow Saved","distinct_id":"u","uuid":[]}`, "malformed"},
		"time no text":            {`{"event":"Workflow Saved","distinct_id":"u","timestamp":1772452798}`, "malformed"},
		"a time nobody reads":     {`{"event":"Workflow Saved","distinct_id":"u","timestamp":"yesterday"}`, "malformed"},
		"a very long time":        {`{"event":"Workflow Saved","distinct_id":"u","timestamp":"` + big[:300] + `"}`, "malformed"},
		"properties a list":       {`{"event":"Workflow Saved","distinct_id":"u","properties":[1]}`, "malformed"},
		"$set a text":             {`{"event":"$identify","distinct_id":"u","$set":"role"}`, "malformed"},
		"an alias of nothing":     {`{"event":"$create_alias","distinct_id":"a"}`, "malformed"},
		"not UTF-8":               {`{"event":"Workflow Saved","distinct_id":"` + "\xff" + `"}`, "malformed"},
		"a bomb of depth":         {`{"event":"Workflow Saved","distinct_id":"u","x":` + deep + `}`, "malformed"},
		"malformed before size":   {`{"event":"Workflow Saved","x":"` + big + `"}`, "malformed"},
		"too large":               {`{"event":"Workflow Saved","distinct_id":"u","x":"` + big + `"}`, "over_limit_size"},
		"an id of 500 KB":         {`{"event":"Workflow Saved","distinct_id":"` + strings.Repeat("x", 500_000) + `"}`, "over_limit_size"},
		"a long id":               {`{"event":"Workflow Saved","distinct_id":"` + big[:257] + `"}`, "over_limit_size"},
		"a long anonymous id":     {`{"event":"$create_alias","distinct_id":"a","properties":{"alias":"` + big[:257] + `"}}`, "over_limit_size"},
		"unknown":                 {`{"event":"$autocapture","distinct_id":"u"}`, "unknown_event"},
		"off":                     {`{"event":"Idle","distinct_id":"u"}`, "off"},
		"outside":                 {`{"event":"Workflow Saved","distinct_id":"u","properties":{"steps":101}}`, "over_limit_value"},
		"far outside":             {`{"event":"Workflow Saved","distinct_id":"u","properties":{"steps":1e400}}`, "over_limit_value"},
		"of another type":         {`{"event":"Workflow Saved","distinct_id":"u","properties":{"area":{}}}`, "over_limit_value"},
		"a trait of another type": {`{"event":"$identify","distinct_id":"u","$set_once":{"role":[1]}}`, "over_limit_value"},
	} {
		t.Run(name, func(t *testing.T) {
			var j intaketest.Journal
			h, _ := intaketest.Start(t, intaketest.Vocabulary(product()), &j, posthog.New(posthog.Config{}))
			status, answer, _ := intaketest.Post(t, h.URL+"/batch/", batch(good, c.event, good))
			want, counts := `{"status":1}`, record.Counts{record.Measured: 3}
			if c.want != "" {
				counts = record.Counts{record.Measured: 2}
				for r := range counts {
					if record.Reason(r).String() == c.want {
						counts[r] = 1
					}
				}
				if c.want != "off" {
					want = `{"status":1,"rejected":[{"index":1,"code":"` + c.want + `"`
				}
			}
			if status != 200 || !strings.HasPrefix(answer, want) {
				t.Errorf("got %d %s, want %s", status, answer, want)
			}
			if events, _ := j.Received(); events != counts {
				t.Errorf("accounted %v, want %v", events, counts)
			}
		})
	}
}

// taken sends a body and returns the events that were journaled, ids and times as they are.
func taken(t *testing.T, path, body string) []record.Event {
	t.Helper()
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product()), &j, posthog.New(posthog.Config{}))
	if status, answer, _ := intaketest.Post(t, h.URL+path, body); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if len(j.Records()) == 0 {
		return nil
	}
	return j.Records()[0].Events
}

// What each of PostHog's own events becomes.
func TestPostHogsOwnEventsBecomeOurs(t *testing.T) {
	role := func(i uint16) []record.Value { return []record.Value{{Property: 0, Index: i}} }
	const saved, home, anyPage, main, anyScreen = 0, 1, 2, 3, 4
	for name, c := range map[string]struct {
		event string
		want  []record.Event
	}{
		"a page by its title":        {`{"event":"$pageview","distinct_id":"u","properties":{"title":"Home","tab":"b","$pathname":"/x"}}`, []record.Event{{Type: record.Page, Def: home, User: "u", Properties: role(1)}}},
		"a page of another title":    {`{"event":"$pageview","distinct_id":"u","properties":{"title":"Secrets of Ann","$current_url":"https://x/y"}}`, []record.Event{{Type: record.Page, Def: anyPage, User: "u"}}},
		"a screen by its name":       {`{"event":"$screen","distinct_id":"u","properties":{"$screen_name":"Main"}}`, []record.Event{{Type: record.Screen, Def: main, User: "u"}}},
		"a screen as a track":        {`{"event":"$screen","distinct_id":"u","properties":{"$screen_name":"Other"}}`, []record.Event{{Type: record.Track, Def: anyScreen, User: "u"}}},
		"identify":                   {`{"event":"$identify","distinct_id":"u","properties":{"$set":{"role":"member"},"$set_once":{"role":"admin"}}}`, []record.Event{{Type: record.Identify, User: "u", Properties: role(1)}}},
		"identify of the web":        {`{"event":"$identify","properties":{"distinct_id":"J\u00f6","$anon_distinct_id":"b\u00e9fore"},"$set":{"role":"admin"},"$set_once":{"role":"member","createdAt":"2020-01-01T00:00:00Z"}}`, []record.Event{{Type: record.Identify, User: "Jö", CreatedAt: 1577836800e9, Properties: role(0)}, {Type: record.Alias, User: "Jö", Previous: "béfore"}}},
		"identify as before":         {`{"event":"$identify","distinct_id":"u","properties":{"$anon_distinct_id":"u"}}`, []record.Event{{Type: record.Identify, User: "u"}}},
		"set":                        {`{"event":"$set","distinct_id":"u","$set":{"role":"admin"}}`, []record.Event{{Type: record.Identify, User: "u", Properties: role(0)}}},
		"alias":                      {`{"event":"$create_alias","distinct_id":"u","properties":{"distinct_id":"u","alias":"old"}}`, []record.Event{{Type: record.Alias, User: "u", Previous: "old"}}},
		"group":                      {`{"event":"$groupidentify","distinct_id":"$company_acme","properties":{"$group_type":"company","$group_key":"acme","$group_set":{"plan":"silver","name":"Acme"}}}`, []record.Event{{Type: record.Group, Properties: []record.Value{{Property: 0, Index: 1}, {Property: 1, Index: 0}}}}},
		"a track in a group":         {`{"event":"Workflow Saved","distinct_id":"u","properties":{"area":"editor","$groups":{"company":"acme"}}}`, []record.Event{{Type: record.Track, Def: saved, User: "u", Properties: role(1)}, {Type: record.Group, Properties: []record.Value{{Property: 1}}}}},
		"in a group nobody declared": {`{"event":"Workflow Saved","distinct_id":"u","properties":{"$groups":{"team":"red"}}}`, []record.Event{{Type: record.Track, Def: saved, User: "u"}}},
		"a track that sets":          {`{"event":"Workflow Saved","distinct_id":"u","properties":{"$set":{"role":"admin"}}}`, []record.Event{{Type: record.Track, Def: saved, User: "u"}, {Type: record.Identify, User: "u", Properties: role(0)}}},
		"a track that sets the rest": {`{"event":"Workflow Saved","distinct_id":"u","$set_once":{"$initial_referrer":"x"}}`, []record.Event{{Type: record.Track, Def: saved, User: "u"}}},
		"an unknown one that sets":   {`{"event":"$pageleave","distinct_id":"u","$set":{"role":"admin"}}`, []record.Event{{Type: record.Identify, User: "u", Properties: role(0)}}},
		"one of nobody that sets":    {`{"event":"Workflow Saved","distinct_id":"u","$set":{"role":"admin"},"properties":{"$process_person_profile":false}}`, []record.Event{{Type: record.Track, Def: saved}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := taken(t, "/i/v0/e", c.event)
			if d := cmp.Diff(c.want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(record.Event{}, "Time")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestIdsMadeByPostHogAreNobody(t *testing.T) {
	const uuid = "0195f1c2-7a6b-7c3d-8e4f-001122334455"
	for properties, user := range map[string]string{
		`{}`:                                                      uuid,
		`{"$process_person_profile":false}`:                       "",
		`{"$process_person_profile":"false"}`:                     "",
		`{"$process_person_profile":true}`:                        uuid,
		`{"$cookieless_mode":true}`:                               "",
		`{"$is_identified":false}`:                                "",
		`{"$is_identified":true}`:                                 uuid,
		`{"$device_id":"` + uuid + `"}`:                           "",
		`{"$device_id":"` + uuid + `","$is_identified":false}`:    "",
		`{"$device_id":"` + uuid + `","$is_identified":true}`:     uuid,
		`{"$device_id":"another"}`:                                uuid,
		`{"$is_identified":true,"$process_person_profile":false}`: "",
	} {
		for _, event := range []string{"Workflow Saved", "$pageview", "$screen"} {
			got := taken(t, "/e/", fmt.Sprintf(`{"event":%q,"distinct_id":%q,"properties":%s}`, event, uuid, properties))
			if len(got) != 1 || got[0].User != user {
				t.Errorf("%s with %s: %+v, want user %q", event, properties, got, user)
			}
		}
		if got := taken(t, "/e/", fmt.Sprintf(`{"event":"$identify","distinct_id":%q,"properties":%s}`, uuid, properties)); len(got) != 1 || got[0].User != uuid {
			t.Errorf("identify with %s: %+v", properties, got)
		}
	}
	for options, user := range map[string]string{`{"process_person_profile":false}`: "", `{"cookieless_mode":true}`: "", `{}`: "ann", `[]`: "ann"} {
		if got := taken(t, "/i/v1/analytics/events", `{"batch":[{"event":"Workflow Saved","distinct_id":"ann","options":`+options+`}]}`); got[0].User != user {
			t.Errorf("options %s: %q", options, got[0].User)
		}
	}
	if got := taken(t, "/e/", `{"event":"Workflow Saved","distinct_id":"ann","properties":{"$is_identified":false}}`); got[0].User != "ann" {
		t.Errorf("an id of the product's own is %q", got[0].User)
	}
}

// The same body again has the same ids, each event one of its own.
func TestWhatAnEventIsBesidesHasAnIdOfItsOwn(t *testing.T) {
	body := `{"event":"Workflow Saved","distinct_id":"u","uuid":"0195","properties":{"$set":{"role":"admin"},"$groups":{"plan":"gold"}}}`
	first, second := taken(t, "/e", body), taken(t, "/e", body)
	ids := map[[16]byte]bool{}
	for i := range first {
		if !first[i].HasID || first[i].MessageID != second[i].MessageID {
			t.Errorf("%+v and %+v", first[i], second[i])
		}
		ids[first[i].MessageID] = true
	}
	if len(ids) != 3 {
		t.Errorf("%d ids", len(ids))
	}
	if got := taken(t, "/batch", batch(body, body, body)); len(got) != 3+3+1 {
		t.Errorf("%d events, want the group once", len(got))
	}
}

func TestEventsAreDatedByWhatTheClientSays(t *testing.T) {
	now := intaketest.Now()
	ms := func(at time.Time) string { return fmt.Sprint(at.UnixMilli()) }
	for name, c := range map[string]struct {
		path, body string
		ago        time.Duration
	}{
		"nothing":               {"/e/", good, 0},
		"timestamp":             {"/e/", `{"event":"Workflow Saved","distinct_id":"u","timestamp":"2026-03-02T11:00:00.000Z"}`, time.Hour},
		"no offset from UTC":    {"/e/", `{"event":"Workflow Saved","distinct_id":"u","timestamp":"2026-03-02T11:00:00"}`, time.Hour},
		"sent_at, clock wrong":  {"/batch", `{"sent_at":"2026-03-02T18:00:00Z","batch":[{"event":"Workflow Saved","distinct_id":"u","timestamp":"2026-03-02T17:00:00Z"}]}`, time.Hour},
		"sentAt of Python":      {"/batch", `{"batch":[{"event":"Workflow Saved","distinct_id":"u","timestamp":"2026-03-02T17:00:00.000001+00:00"}],"sentAt":"2026-03-02T18:00:00.000001+00:00"}`, time.Hour},
		"sent_at of the event":  {"/e/", `{"event":"Workflow Saved","distinct_id":"u","timestamp":"2026-03-02T17:00:00Z","sent_at":"2026-03-02T18:00:00Z"}`, time.Hour},
		"_ of the query":        {"/e/?_=" + ms(now.Add(6*time.Hour)), `{"event":"Workflow Saved","distinct_id":"u","timestamp":"2026-03-02T17:00:00Z"}`, time.Hour},
		"offset":                {"/e/?_=" + ms(now.Add(6*time.Hour)), `[{"event":"Workflow Saved","distinct_id":"u","offset":3600000}]`, time.Hour},
		"an offset of nonsense": {"/e/", `[{"event":"Workflow Saved","distinct_id":"u","offset":-5}]`, 0},
		"from the future":       {"/e/", `{"event":"Workflow Saved","distinct_id":"u","timestamp":"2106-02-07T06:28:16Z"}`, 0},
	} {
		got := taken(t, c.path, c.body)
		if off := now.Add(-c.ago).UnixNano() - got[0].Time; off < -2000 || off > 2000 {
			t.Errorf("%s: off by %s", name, time.Duration(off))
		}
	}
}

func TestQuestionsGetAnEmptyAnswer(t *testing.T) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product()), &j, posthog.New(posthog.Config{WriteKeys: []string{"key"}}))
	for _, path := range []string{"/flags", "/flags/?v=2&config=true", "/decide", "/decide/?v=3", "/array/key/config"} {
		status, answer, _ := intaketest.Post(t, h.URL+path, `{"token":"CANARY","distinct_id":"CANARY","person_properties":{"email":"CANARY"}}`)
		if status != 200 || !strings.Contains(answer, `"flags":{},"featureFlags":{}`) || strings.Contains(answer, "CANARY") {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	for path, want := range map[string]int{"/array/key/config": 200, "/array/key/config.js": 200, "/api/surveys/?token=key": 200,
		"/api/feature_flag/local_evaluation?token=key": 200, "/flags/": 200, "/batch/": 405, "/e/": 405} {
		a, err := http.Get(h.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != want {
			t.Errorf("GET %s: %d", path, a.StatusCode)
		}
	}
	if len(j.Records()) != 0 {
		t.Error("a question was journaled")
	}
}

// What nobody declared ends in the door.
func TestCanariesEndInTheDoor(t *testing.T) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(product()), &j, posthog.New(posthog.Config{}))
	intaketest.Post(t, h.URL+"/batch/?ip=CANARY", `{"api_key":"CANARY","CANARY":1,"batch":[
		{"event":"Workflow Saved","distinct_id":"u","uuid":"CANARY","properties":{"area":"CANARY","$ip":"CANARY","$current_url":"CANARY","$groups":{"company":"CANARY"},"$set":{"role":"CANARY","email":"CANARY"}}},
		{"event":"$identify","distinct_id":"u","$set":{"email":"CANARY","role":"CANARY"},"properties":{"$device_id":"CANARY"}},
		{"event":"$groupidentify","distinct_id":"CANARY","properties":{"$group_type":"company","$group_key":"CANARY","$group_set":{"plan":"CANARY","name":"CANARY"}}},
		{"event":"$pageview","distinct_id":"CANARY","properties":{"title":"CANARY","$pathname":"CANARY","$is_identified":false,"$device_id":"CANARY"}},
		{"event":"CANARY","distinct_id":"CANARY"},{"event":"Idle","distinct_id":"CANARY"}]}`, "User-Agent", "CANARY")
	if events, _ := j.Received(); events != (record.Counts{record.Measured: 6, record.UnknownEvent: 1, record.Off: 1}) {
		t.Errorf("accounted %v", events)
	}
	if strings.Contains(j.Raw(), "CANARY") {
		t.Error("a canary is in the journal")
	}
}

func TestWithoutACatalogAllIsOff(t *testing.T) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(nil), &j, posthog.New(posthog.Config{}))
	status, answer, _ := intaketest.Post(t, h.URL+"/batch", batch(good, `{"event":"$pageview","distinct_id":"u","$set":{"role":"admin"}}`, `{"event":"$identify","distinct_id":"u"}`))
	if events, _ := j.Received(); status != 200 || answer != `{"status":1}` || events != (record.Counts{record.Off: 3}) {
		t.Errorf("got %d %s %v", status, answer, events)
	}
}

package otlp_test

import (
	"bytes"
	"compress/gzip"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	res "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/intake/otlp"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

func product(user string) *catalog.Catalog {
	return &catalog.Catalog{Name: "product", Version: 1, Doors: catalog.Doors{Logs: user},
		Resource: []catalog.Property{{Name: "edition", Match: "service.edition", Values: []string{"small", "large"}}},
		Events: []catalog.Event{
			{ID: "saved", Match: "workflow.saved", Type: "track", Properties: []catalog.Property{
				{Name: "area", Match: "workflow.area", Values: []string{"list", "editor", "7", "true"}}, {Name: "steps", IsNumber: true, Min: -10, Max: 100}}},
			{ID: "idle", Match: "idle", Type: "track"},
		},
		Measures: []catalog.Measure{{ID: "saves", Kind: catalog.Count, Events: []string{"saved"}, Subject: catalog.Person,
			By: [][]string{{"area"}}, Where: []catalog.Clause{{Property: "steps"}}}, {ID: "edition", Kind: catalog.Fact, From: "resource.edition"}},
	}
}

// pair is an attribute of any type.
func pair(key string, value any) *common.KeyValue {
	v := &common.AnyValue{}
	switch x := value.(type) {
	case string:
		v.Value = &common.AnyValue_StringValue{StringValue: x}
	case int:
		v.Value = &common.AnyValue_IntValue{IntValue: int64(x)}
	case float64:
		v.Value = &common.AnyValue_DoubleValue{DoubleValue: x}
	case bool:
		v.Value = &common.AnyValue_BoolValue{BoolValue: x}
	case []byte:
		v.Value = &common.AnyValue_BytesValue{BytesValue: x}
	case []string:
		v.Value = &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{}}
	}
	return &common.KeyValue{Key: key, Value: v}
}

func line(name string, attributes ...*common.KeyValue) *logs.LogRecord {
	return &logs.LogRecord{EventName: name, Attributes: attributes, SeverityText: "CANARY",
		Body: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "CANARY"}}}
}

func lines(ls ...*logs.LogRecord) *logs.LogsData {
	return &logs.LogsData{ResourceLogs: []*logs.ResourceLogs{{
		Resource:  &res.Resource{Attributes: []*common.KeyValue{pair("service.edition", "large"), pair("host.name", "CANARY")}},
		ScopeLogs: []*logs.ScopeLogs{{LogRecords: ls}}}}}
}

// sendLogs sends a request in both encodings and returns what each answered, and the two records.
func sendLogs(t *testing.T, c *catalog.Catalog, d *logs.LogsData) (answers [2]string, records []*record.Record, j *intaketest.Journal) {
	t.Helper()
	j = &intaketest.Journal{}
	h, _ := intaketest.Start(t, intaketest.Vocabulary(c), j, otlp.NewLogs())
	binary, err := proto.MarshalOptions{AllowPartial: true}.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range []string{string(binary), string(text)} {
		status, answer, _ := intaketest.Post(t, h.URL+"/v1/logs", body, "Content-Type", []string{protobuf, json}[i])
		if status != 200 {
			t.Errorf("%d %s", status, answer)
		}
		answers[i] = answer
	}
	return answers, j.Records(), j
}

func TestLogRecordsAreEventsToTheLastDetail(t *testing.T) {
	now := intaketest.Now()
	at := now.Add(-time.Hour)
	all := lines(
		&logs.LogRecord{EventName: "workflow.saved", TimeUnixNano: uint64(at.UnixNano()), ObservedTimeUnixNano: 5,
			Attributes: []*common.KeyValue{pair("user.id", "Jörg"), pair("workflow.area", "editor"), pair("steps", 2.5), pair("log.record.uid", "01ARZ"), pair("CANARY", "CANARY")}},
		&logs.LogRecord{ObservedTimeUnixNano: uint64(at.UnixNano()), Attributes: []*common.KeyValue{pair("event.name", "workflow.saved"), pair("enduser.id", 42), pair("workflow.area", 7), pair("steps", -3)}},
		line("workflow.saved", pair("workflow.area", true), pair("user.id", ""), pair("enduser.id", "ben"), pair("log.record.uid", "01ARZ")),
		line("workflow.saved", pair("workflow.area", "kitchen"), pair("workflow.area", "list"), pair("event.name", "idle")),
		&logs.LogRecord{EventName: "workflow.saved", TimeUnixNano: uint64(now.Add(80 * 365 * 24 * time.Hour).UnixNano())},
		&logs.LogRecord{EventName: "workflow.saved", TimeUnixNano: 1},
	)
	number := func(m int64, e uint8) record.Value {
		return record.Value{Property: 1, Number: record.Decimal{Mantissa: m, Exponent: e}}
	}
	area := func(i uint16) record.Value { return record.Value{Property: 0, Index: i} }
	want := []record.Event{
		{Type: record.Track, User: "Jörg", Time: at.UnixNano(), HasID: true, Properties: []record.Value{area(1), number(25, 1)}},
		{Type: record.Track, User: "42", Time: at.UnixNano(), Properties: []record.Value{area(2), number(-3, 0)}},
		{Type: record.Track, User: "ben", Time: now.UnixNano(), HasID: true, Properties: []record.Value{area(3)}},
		{Type: record.Track, Time: now.UnixNano(), Properties: []record.Value{area(0)}},
		{Type: record.Track, Time: now.UnixNano()}, // skewed
		{Type: record.Track, Time: 1}, // 1970: late, which is the fold's to say
	}
	_, records, j := sendLogs(t, product("user.id"), all)
	for i, r := range records {
		if d := cmp.Diff(want, r.Events, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(record.Event{}, "MessageID")); d != "" {
			t.Errorf("encoding %d: %s", i, d)
		}
		if r.Skewed != 1 || len(r.Facts) != 1 || r.Facts[0] != (record.Value{Index: 1}) {
			t.Errorf("encoding %d: skewed %d, facts %v", i, r.Skewed, r.Facts)
		}
		if r.Events[0].MessageID != r.Events[2].MessageID {
			t.Error("equal uids are not the same id")
		}
	}
	if len(records) != 2 || strings.Contains(j.Raw(), "CANARY") {
		t.Error("a record is missing or holds a canary")
	}
}

func TestLogRecordsAreAccountedByTheFirstReason(t *testing.T) {
	big := strings.Repeat("x", 40<<10)
	many := make([]*common.KeyValue, 257)
	for i := range many {
		many[i] = pair("a"+strconv.Itoa(i), 1)
	}
	for name, c := range map[string]struct {
		line *logs.LogRecord
		want record.Reason
		told bool
	}{
		"an event":              {line("workflow.saved"), record.Measured, false},
		"a large body":          {&logs.LogRecord{EventName: "workflow.saved", Body: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: big}}}, record.Measured, false},
		"a log line":            {line(""), record.UnknownEvent, false},
		"a log line with a bad": {line("", pair("user.id", []string{})), record.UnknownEvent, false},
		"unknown":               {line("workflow.opened"), record.UnknownEvent, true},
		"off":                   {line("idle"), record.Off, false},
		"too large":             {line("workflow.saved", pair("x", big)), record.OverSize, true},
		"too many attributes":   {line("workflow.saved", many...), record.OverSize, true},
		"a long user":           {line("workflow.saved", pair("user.id", big[:257])), record.OverSize, true},
		"a user that is a list": {line("workflow.saved", pair("user.id", []string{})), record.Malformed, true},
		"a user in bytes":       {line("workflow.saved", pair("user.id", []byte("ann"))), record.Malformed, true},
		"a user of fractions":   {line("workflow.saved", pair("user.id", 1.5)), record.Malformed, true},
		"beyond 2262":           {&logs.LogRecord{EventName: "workflow.saved", TimeUnixNano: math.MaxInt64 + 1}, record.Malformed, true},
		"outside":               {line("workflow.saved", pair("steps", 101)), record.OverValue, true},
		"NaN":                   {line("workflow.saved", pair("steps", math.NaN())), record.OverValue, true},
		"infinite":              {line("workflow.saved", pair("steps", math.Inf(-1))), record.OverValue, true},
		"text for a number":     {line("workflow.saved", pair("steps", "3")), record.OverValue, true},
		"a list for a word":     {line("workflow.saved", pair("workflow.area", []string{})), record.OverValue, true},
	} {
		t.Run(name, func(t *testing.T) {
			answers, _, j := sendLogs(t, product("user.id"), lines(line("workflow.saved"), c.line))
			want := record.Counts{record.Measured: 2}
			want[c.want] += 2
			if events, _ := j.Received(); events != want {
				t.Errorf("accounted %v, want %v", events, want)
			}
			text := `{}`
			if c.told {
				text = `{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"` + c.want.String() + ` 1"}}`
			}
			if answers[1] != text || (answers[0] != "") != c.told {
				t.Errorf("answered %q and %s, want %s", answers[0], answers[1], text)
			}
		})
	}
}

func TestTheCatalogSaysWhichAttributeIsTheUser(t *testing.T) {
	l := line("workflow.saved", pair("user.id", "ann"), pair("enduser.id", "ben"), pair("who", "cyd"), pair("", "nobody"))
	for doors, user := range map[string]string{"user.id": "ann", "enduser.id": "ben", "who": "cyd", "other": "", "": ""} {
		_, records, _ := sendLogs(t, product(doors), lines(l))
		for _, r := range records {
			if r.Events[0].User != user {
				t.Errorf("%s: %q, want %q", doors, r.Events[0].User, user)
			}
		}
	}
}

func TestLogRequestsAreAnsweredByTheContract(t *testing.T) {
	good, err := proto.Marshal(lines(line("workflow.saved")))
	if err != nil {
		t.Fatal(err)
	}
	var many []byte // 20,001 empty log records
	for range 20_001 {
		many = append(many, 0x12, 0x00)
	}
	field := func(n protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
	}
	for name, c := range map[string]struct {
		body, kind, encoding string
		status               int
		code                 string
	}{
		"protobuf":              {string(good), protobuf, "", 200, ""},
		"gzip":                  {zippedLogs(string(good)), protobuf, "gzip", 200, ""},
		"empty":                 {"", protobuf, "", 200, ""},
		"JSON with unknown":     {`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"workflow.saved","traceId":"00","new":[1],"body":{"stringValue":7}}]}]}],"x":1}`, json, "", 200, ""},
		"torn":                  {string(good[:len(good)-3]), protobuf, "", 400, "unreadable"},
		"no JSON":               {`{"resourceLogs":`, json, "", 400, "unreadable"},
		"NaN in JSON":           {`{"resourceLogs":NaN}`, json, "", 400, "unreadable"},
		"a list in JSON":        {`[]`, json, "", 400, "unreadable"},
		"a name that is a list": {`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":[]}]}]}]}`, json, "", 400, "unreadable"},
		"a bomb of depth":       {`{"resourceLogs":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, json, "", 400, "unreadable"},
		"another content":       {string(good), "text/plain", "", 415, "unknown_content_type"},
		"another encoding":      {string(good), protobuf, "zstd", 415, "unknown_encoding"},
		"too many":              {string(field(1, field(2, many))), protobuf, "", 413, "too_large"},
		"too large":             {strings.Repeat(" ", 4<<20+1), json, "", 413, "too_large"},
		"a bomb":                {zippedLogs(strings.Repeat(" ", 16<<20)), json, "gzip", 413, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			var j intaketest.Journal
			h, s := intaketest.Start(t, intaketest.Vocabulary(product("user.id")), &j, otlp.NewLogs())
			status, answer, head := intaketest.Post(t, h.URL+"/v1/logs", c.body, "Content-Type", c.kind, "Content-Encoding", c.encoding)
			if status != c.status || !strings.Contains(answer, c.code) {
				t.Errorf("got %d %q, want %d %s", status, answer, c.status, c.code)
			}
			if c.kind == protobuf && head.Get("Content-Type") != protobuf {
				t.Errorf("answered as %s", head.Get("Content-Type"))
			}
			if c.code != "" && (s.Stats().Refused[c.code] != 1 || len(j.Records()) != 0) {
				t.Errorf("refused %v, %d records", s.Stats().Refused, len(j.Records()))
			}
		})
	}
}

// A log record of nothing but empty attributes must not take many times its size in memory.
func TestMyriadsOfAttributesAreNotKept(t *testing.T) {
	attributes := bytes.Repeat([]byte{0x32, 0x00}, 1_900_000)
	wrap := func(n protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
	}
	body := wrap(1, wrap(2, wrap(2, append(wrap(12, []byte("workflow.saved")), attributes...))))
	v := intaketest.Vocabulary(product("user.id"))
	d := otlp.NewLogs()
	r := record.Record{Kind: record.Request, Received: 1e18}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, refusal := d.Read(&intake.Request{Header: http.Header{"Content-Type": {protobuf}}, Body: body, Vocabulary: v, Record: &r})
	runtime.ReadMemStats(&after)
	if refusal != nil || r.RefusedEvents != (record.Counts{record.OverSize: 1}) {
		t.Errorf("%v %v", refusal, r.RefusedEvents)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

func FuzzLogs(f *testing.F) {
	seed, _ := proto.Marshal(lines(line("workflow.saved", pair("user.id", "u"), pair("steps", 1.5)), line("")))
	f.Add(seed, false)
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"workflow.saved","timeUnixNano":"1","attributes":[{"key":"user.id","value":{"intValue":"7"}}]}]}]}]}`), true)
	v := intaketest.Vocabulary(product("user.id"))
	d := otlp.NewLogs()
	f.Fuzz(func(t *testing.T, body []byte, text bool) {
		kind := protobuf
		if text {
			kind = json
		}
		r := record.Record{Kind: record.Request, Received: 1e18}
		q := intake.Request{Header: http.Header{"Content-Type": {kind}}, Body: body, Vocabulary: v, Record: &r}
		if _, refusal := d.Read(&q); refusal != nil {
			return
		}
		var again logs.LogsData
		if !text && proto.Unmarshal(body, &again) == nil {
			n := 0
			for _, x := range again.ResourceLogs {
				for _, y := range x.ScopeLogs {
					n += len(y.LogRecords)
				}
			}
			if got := len(r.Events) + int(r.RefusedEvents.Total()); got != n {
				t.Fatalf("%d of %d log records are accounted for", got, n)
			}
		}
		var kept record.Record
		if err := record.Decode(record.Append(nil, &r), &kept); err != nil {
			t.Fatal(err)
		}
	})
}

func zippedLogs(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

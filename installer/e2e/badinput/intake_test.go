package badinput

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// request is one bad request.
type request struct {
	name, path, body string
	headers          []string
	status           int
	answer           string            // part of it
	events           map[string]uint64 // how its events are accounted for
	samples          map[string]uint64
}

func gzipped(t *testing.T, n int) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.CopyN(z, zeros{}, int64(n)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func segmentRequests(t *testing.T) []request {
	event := func(rest string) string { return batchOf(good, `{"type":"track","userId":"ann",`+rest+`}`) }
	one := func(reason string) map[string]uint64 { return map[string]uint64{"measured": 1, reason: 1} }
	rejected := func(code string) string { return `{"success":true,"rejected":[{"index":1,"code":"` + code + `"` }
	saved := func(steps string) string {
		return event(`"event":"Workflow Saved","properties":{"steps":` + steps + `}`)
	}
	whole := func(code string) string { return `{"success":false,"code":"` + code + `"` }
	return []request{
		{"malformed JSON", "/v1/batch", `{"batch":[{"type":`, nil, 400, whole("unreadable"), nil, nil},
		{"no object", "/v1/batch", `[1,2]`, nil, 400, whole("unreadable"), nil, nil},
		{"a batch of a wrong type", "/v1/batch", `{"batch":7}`, nil, 400, whole("unreadable"), nil, nil},
		{"NaN", "/v1/batch", saved("NaN"), nil, 400, whole("unreadable"), nil, nil},
		{"a million brackets", "/v1/batch", strings.Repeat("[", 400_000), nil, 400, whole("unreadable"), nil, nil},
		{"an event nested too deep", "/v1/batch", event(`"event":"Workflow Saved","properties":` + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70)), nil, 200, rejected("malformed"), one("malformed"), nil},
		{"a wrong type", "/v1/batch", event(`"event":{"a":1}`), nil, 200, rejected("malformed"), one("malformed"), nil},
		{"a wrong time", "/v1/batch", event(`"event":"Workflow Saved","timestamp":"yesterday"`), nil, 200, rejected("malformed"), one("malformed"), nil},
		{"invalid UTF-8", "/v1/batch", event("\"event\":\"Workflow\xff\""), nil, 200, rejected("malformed"), one("malformed"), nil},
		{"an unknown event", "/v1/batch", event(`"event":"Never Heard Of"`), nil, 200, rejected("unknown_event"), one("unknown_event"), nil},
		{"a number outside its bounds", "/v1/batch", saved("10001"), nil, 200, rejected("over_limit_value"), one("over_limit_value"), nil},
		{"a number that no float holds", "/v1/batch", saved("1e999"), nil, 200, rejected("over_limit_value"), one("over_limit_value"), nil},
		{"text for a number", "/v1/batch", saved(`"many"`), nil, 200, rejected("over_limit_value"), one("over_limit_value"), nil},
		{"an oversized event", "/v1/batch", event(`"event":"Workflow Saved","x":"` + strings.Repeat("x", 33<<10) + `"`), nil, 200, rejected("over_limit_size"), one("over_limit_size"), nil},
		{"a user id without end", "/v1/batch", batchOf(good, `{"type":"track","event":"Workflow Saved","userId":"`+strings.Repeat("u", 300)+`"}`), nil, 200, rejected("over_limit_size"), one("over_limit_size"), nil},
		{"an oversized batch", "/v1/batch", batchOf(strings.Repeat(good+",", 6000) + good), nil, 413, whole("too_large"), nil, nil},
		{"a gzip bomb", "/v1/batch", gzipped(t, 100<<20), []string{"Content-Encoding", "gzip"}, 413, whole("too_large"), nil, nil},
		{"what is no gzip", "/v1/batch", batchOf(good), []string{"Content-Encoding", "gzip"}, 400, whole("bad_encoding"), nil, nil},
		{"an unknown encoding", "/v1/batch", batchOf(good), []string{"Content-Encoding", "zstd"}, 415, whole("unknown_encoding"), nil, nil},
		{"encodings in a stack", "/v1/batch", batchOf(good), []string{"Content-Encoding", "gzip, gzip"}, 415, whole("unknown_encoding"), nil, nil},
		{"an unknown content type", "/v1/batch", batchOf(good), []string{"Content-Type", "text/xml"}, 415, whole("unknown_content_type"), nil, nil},
		{"a wrong write key", "/v1/batch", `{"writeKey":"wrong","batch":[` + good + `]}`, nil, 401, whole("wrong_write_key"), nil, nil},
		{"no write key", "/v1/track", good, nil, 401, whole("wrong_write_key"), nil, nil},
		{"an unknown path", "/v1/bulk", batchOf(good), nil, 404, "(not_found)", nil, nil},
	}
}

func otlpRequests(t *testing.T) []request {
	t.Helper()
	points := func(values ...float64) string {
		g := &metrics.Gauge{}
		for _, v := range values {
			g.DataPoints = append(g.DataPoints, &metrics.NumberDataPoint{TimeUnixNano: uint64(time.Now().UnixNano()), Value: &metrics.NumberDataPoint_AsDouble{AsDouble: v}})
		}
		m := &metrics.Metric{Name: "app.workflows.running", Data: &metrics.Metric_Gauge{Gauge: g}}
		b, err := proto.Marshal(&metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{{ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: []*metrics.Metric{m}}}}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	binary := []string{"Content-Type", "application/x-protobuf"}
	two := map[string]uint64{"measured": 1, "over_limit_value": 1}
	text := `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"app.workflows.running","gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":1},{"timeUnixNano":"%d","asDouble":%s}]}}]}]}]}`
	now := time.Now().UnixNano()
	return []request{
		{"malformed protobuf", "/v1/metrics", points(1)[:20], binary, 400, "unreadable: ", nil, nil},
		{"malformed OTLP JSON", "/v1/metrics", `{"resourceMetrics":[`, nil, 400, `{"code":3,"message":"unreadable: `, nil, nil},
		{"OTLP JSON of wrong types", "/v1/metrics", `{"resourceMetrics":7}`, nil, 400, `"message":"unreadable: `, nil, nil},
		{"NaN in protobuf", "/v1/metrics", points(math.NaN(), 4), binary, 200, "over_limit_value 1", nil, two},
		{"infinity in protobuf", "/v1/metrics", points(4, math.Inf(1)), binary, 200, "over_limit_value 1", nil, two},
		{"NaN in OTLP JSON", "/v1/metrics", fmt.Sprintf(text, now, now, `"NaN"`), nil, 200, `{"partialSuccess":{"rejectedDataPoints":"1","errorMessage":"over_limit_value 1`, nil, two},
		{"a bare NaN in OTLP JSON", "/v1/metrics", fmt.Sprintf(text, now, now, `NaN`), nil, 400, `"message":"unreadable: `, nil, nil},
		{"invalid UTF-8 in OTLP JSON", "/v1/metrics", "{\"resourceMetrics\":[{\"schemaUrl\":\"\xff\"}]}", nil, 400, `"message":"unreadable: `, nil, nil},
		{"a metric nobody declared", "/v1/metrics", strings.ReplaceAll(points(4), "app.workflows.running", "app.workflows.walking"), binary, 200, "unknown_event 1", nil, map[string]uint64{"unknown_event": 1}},
		{"an oversized body", "/v1/metrics", strings.Repeat("x", 4<<20+1), binary, 413, "too_large: ", nil, nil},
		{"a gzip bomb", "/v1/metrics", gzipped(t, 100<<20), append([]string{"Content-Encoding", "gzip"}, binary...), 413, "too_large: ", nil, nil},
		{"an unknown content type", "/v1/metrics", "x", []string{"Content-Type", "application/grpc"}, 415, `"message":"unknown_content_type: `, nil, nil},
		{"an unknown encoding", "/v1/metrics", points(4), append([]string{"Content-Encoding", "br"}, binary...), 415, "unknown_encoding: ", nil, nil},
	}
}

// Every bad request stands between two good ones.
func TestIntake(t *testing.T) {
	a := site(t, harness.Options{Config: "write_keys: [" + writeKey + "]"})
	events, samples := map[string]uint64{}, map[string]uint64{}
	for _, r := range append(segmentRequests(t), otlpRequests(t)...) {
		code, answer, h := a.Post(r.path, r.body, r.headers...)
		if code != r.status || !strings.Contains(answer, r.answer) {
			t.Errorf("%s: %d %.300q, want %d and %q", r.name, code, answer, r.status, r.answer)
		}
		if code == 401 && h.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: 401 without WWW-Authenticate", r.name)
		}
		for k, n := range r.events {
			events[k] += n
		}
		for k, n := range r.samples {
			samples[k] += n
		}
		if code, answer, _ := a.Post("/v1/batch", batchOf(good)); code != 200 || answer != `{"success":true}` {
			t.Fatalf("after %s a good batch got %d %s", r.name, code, answer)
		}
		events["measured"]++
	}
	check := func() {
		t.Helper()
		e, s := a.Received(sum(events), sum(samples))
		if !same(e.Reasons, events) || !same(s.Reasons, samples) {
			t.Errorf("events %v, want %v; samples %v, want %v", e.Reasons, events, s.Reasons, samples)
		}
	}
	check()
	a.Kill()
	a.Start()
	check()
}

func sum(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

func same(got, want map[string]uint64) bool {
	for k, n := range got {
		if n != want[k] {
			return false
		}
	}
	return sum(got) == sum(want)
}

// Headers over 16 KiB are refused before anything is read of the body. Beyond 64 KiB the status is all there is: no
// door has seen the request.
func TestIntake_HeadersWithoutEnd(t *testing.T) {
	a := site(t, harness.Options{})
	c, err := net.Dial("tcp", a.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /v1/batch HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 96<<10)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body.Close(); res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%s", res.Status)
	}
	if code, answer, _ := a.Post("/v1/batch", batchOf(good), "X-Long", strings.Repeat("x", 20<<10)); code != 431 || !strings.Contains(answer, "headers_too_large") {
		t.Errorf("%d %s", code, answer)
	}
	if code, answer, _ := a.Post("/v1/batch", batchOf(good)); code != 200 {
		t.Errorf("%d %s", code, answer)
	}
	a.Received(1, 0)
}

// Only POST is taken.
func TestIntake_Methods(t *testing.T) {
	a := site(t, harness.Options{})
	if code, body := a.Get("http://" + a.Listen + "/v1/batch"); code != 405 || !strings.Contains(body, "method_not_allowed") {
		t.Errorf("%d %s", code, body)
	}
}

// Clients that send a byte now and then hold up nobody, and are told.
func TestIntake_SlowClients(t *testing.T) {
	a := site(t, harness.Options{})
	const headers = "POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	slow := func(text string) net.Conn {
		c, err := net.Dial("tcp", a.Listen)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		return c
	}
	var body, head net.Conn
	for range 100 {
		body, head = slow(headers+"Content-Length: 1000\r\n\r\n{"), slow(headers)
	}
	for i := range 50 {
		begun := time.Now()
		if code, answer, _ := a.Post("/v1/batch", batchOf(good)); code != 200 {
			t.Fatalf("%d %s", code, answer)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Fatalf("beside slow clients request %d took %s", i, took)
		}
	}
	a.Received(50, 0)
	for name, c := range map[string]net.Conn{"body": body, "headers": head} {
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil {
			t.Fatalf("slow %s: the connection stays open: %v", name, err)
		}
		if name == "body" && (!bytes.HasPrefix(answer, []byte("HTTP/1.1 "+fmt.Sprint(http.StatusRequestTimeout))) || !bytes.Contains(answer, []byte("body_too_slow"))) {
			t.Errorf("slow %s: %q", name, answer)
		}
	}
}

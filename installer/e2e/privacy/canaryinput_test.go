package privacy

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// object is a JSON object with a canary in each of the fields, and one as the name of a field.
func (c *canaries) object(place string, fields ...string) map[string]any {
	o := map[string]any{c.in(place + " key"): c.in(place + " value of an unknown key")}
	for _, f := range fields {
		o[f] = c.in(place + " " + f)
	}
	return o
}

// traits and context are the fields of Segment's specification.
func (c *canaries) traits(of string) map[string]any {
	t := c.object(of+" traits", "avatar", "birthday", "company", "description", "email", "firstName", "gender", "id", "lastName", "name", "phone",
		"title", "username", "website", "role", "plan", "industry", "employees")
	t["address"] = c.object(of+" address", "city", "country", "postalCode", "state", "street")
	return t
}

func (c *canaries) context(of string) map[string]any {
	x := c.object(of+" context", "ip", "locale", "timezone", "userAgent", "groupId", "protocols")
	for name, fields := range map[string]string{
		"app": "name version build namespace", "campaign": "name source medium term content", "device": "id advertisingId manufacturer model name type",
		"library": "name version", "location": "city country region", "network": "carrier", "os": "name version",
		"page": "path referrer search title url", "referrer": "id type name url", "screen": "density",
	} {
		x[name] = c.object(of+" context "+name, strings.Fields(fields)...)
	}
	x["traits"] = c.traits(of + " context")
	return x
}

// event is one call with a canary in each field.
func (c *canaries) event(kind, n string) map[string]any {
	of := kind + n
	e := c.object(of, "messageId", "anonymousId", "groupId", "category", "channel", "version")
	e["originalTimestamp"] = time.Now().UTC().Format(time.RFC3339Nano)
	e["type"], e["userId"], e["context"] = kind, c.in("user: "+of), c.context(of)
	e["integrations"] = c.object(of+" integrations", "All")
	e["_metadata"] = c.object(of+" metadata", "bundled")
	properties := c.object(of+" properties", "email", "title", "url", "path", "referrer", "search", "revenue", "name")
	switch kind {
	case "identify", "group":
		e["traits"] = c.traits(of)
	case "alias":
		e["previousId"] = c.in("user: previous of " + of)
	case "page", "screen":
		e["name"] = map[string]string{"page": "Dashboard", "screen": "Home"}[kind]
		e["properties"] = properties
	case "track":
		e["event"], e["properties"] = "Signed Up", properties
		properties["via"] = c.in(of + " an unlisted value of a declared property")
	}
	return e
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// headers are what proxies and browsers put on requests, in pairs.
func (c *canaries) headers(of string) (out []string) {
	for _, h := range []string{"User-Agent", "Cookie", "Referer", "Origin", "X-Forwarded-For", "X-Real-Ip", "Forwarded", "Via", "From", "X-Request-Id",
		"Idempotency-Key", "Traceparent", "Baggage", "Accept-Language", "X-" + c.in(of+" header name")} {
		out = append(out, h, c.in(of+" header "+h))
	}
	return append(out, "Authorization", "Basic "+c.in(of+" Authorization"))
}

// segment sends canaries through every path of the Segment door and gives how many events that were.
func (c *canaries) segment(t *testing.T, a *harness.Agent) (events uint64) {
	t.Helper()
	kinds := []string{"identify", "group", "track", "page", "screen", "alias"}
	var list []any
	for _, k := range kinds {
		list = append(list, c.event(k, " in a batch"))
	}
	unknown := c.event("track", " unknown")
	unknown["event"] = c.in("an event's name")
	wrong := c.event("track", " wrong type")
	wrong["event"], wrong["properties"] = "Workflow Saved", map[string]any{"steps": c.in("text where a number belongs")}
	late := c.event("track", " late")
	late["timestamp"] = "2020-01-01T00:00:00Z"
	badTime := c.event("track", " bad time")
	badTime["timestamp"] = c.in("a timestamp")
	original := c.event("track", " bad original time")
	original["originalTimestamp"] = c.in("an original timestamp")
	long := c.event("track", " oversized")
	long["properties"] = map[string]any{"long": strings.Repeat(c.in("an oversized event"), 4000)}
	known := c.event("track", " declared")
	known["properties"] = map[string]any{"via": c.declared("segment")}
	list = append(list, known, unknown, wrong, late, badTime, original, long, c.in("an event that is no object"), []any{c.in("an event that is a list")})
	body := c.object("the batch", "writeKey", "sentAt")
	body["batch"] = list
	text := jsonOf(t, body)
	if code, answer, _ := a.Post("/v1/batch?q="+c.in("query string"), text, c.headers("batch")...); code != 200 {
		t.Fatalf("batch: %d %s", code, answer)
	} else {
		c.hunt(t, "the answer to a batch", []byte(answer))
	}
	events = uint64(len(list))
	for _, k := range kinds {
		if code, answer, _ := a.Post("/v1/"+k+"?q="+c.in("query string of "+k), jsonOf(t, c.event(k, " alone")), c.headers(k)...); code != 200 {
			t.Fatalf("%s: %d %s", k, code, answer)
		}
		events++
	}
	return events
}

// refused sends canaries in requests that are refused as a whole.
func (c *canaries) refused(t *testing.T, a *harness.Agent) {
	t.Helper()
	for _, r := range []struct {
		path, body string
		headers    []string
		want       int
	}{
		{"/v1/batch", `{"batch":[{"userId":"` + c.in("malformed JSON"), nil, 400},
		{"/v1/metrics", `{"resourceMetrics":"` + c.in("malformed OTLP"), nil, 400},
		{"/v1/metrics", c.in("malformed protobuf"), []string{"Content-Type", "application/x-protobuf"}, 400},
		{"/v1/" + c.in("an unknown path"), "{}", nil, 404},
		{"/v1/track", "{}", []string{"Content-Type", "application/" + c.in("a content type")}, 415},
		{"/v1/track", "{}", []string{"Content-Encoding", c.in("an encoding")}, 415},
		{"/v1/track", c.in("what is not gzip"), []string{"Content-Encoding", "gzip"}, 400},
		{"/v1/batch", strings.Repeat(c.in("a large body"), 50_000), nil, 413},
	} {
		code, answer, _ := a.Post(r.path, r.body, append(c.headers("refused"), r.headers...)...)
		if code != r.want {
			t.Errorf("%s: %d %s", r.path, code, answer)
		}
		c.hunt(t, "the answer to "+r.path, []byte(answer))
	}
}

func (c *canaries) attributes(of string, known map[string]any) []any {
	kv := func(k string, v any) any { return map[string]any{"key": k, "value": v} }
	str := func(s string) any { return map[string]any{"stringValue": s} }
	out := []any{
		kv(c.in(of+" attribute key"), str(c.in(of+" attribute value"))),
		kv("list", map[string]any{"arrayValue": map[string]any{"values": []any{str(c.in(of + " attribute list"))}}}),
		kv("map", map[string]any{"kvlistValue": map[string]any{"values": []any{kv(c.in(of+" attribute map key"), str(c.in(of+" attribute map")))}}}),
	}
	for k, v := range known {
		out = append(out, kv(k, v))
	}
	return out
}

// otlp sends canaries in every field of metrics, as JSON and as protobuf, and gives how many samples
// that were.
func (c *canaries) otlp(t *testing.T, a *harness.Agent) (samples uint64) {
	t.Helper()
	point := func(of string, value map[string]any, known map[string]any) map[string]any {
		p := map[string]any{"timeUnixNano": fmt.Sprint(nowNano()), "attributes": c.attributes(of, known), "exemplars": []any{map[string]any{
			"traceId": hex.EncodeToString([]byte(c.in("trace"))[:16]), "spanId": hex.EncodeToString([]byte(c.in("trace"))[:8]), "timeUnixNano": fmt.Sprint(nowNano()), "asDouble": 1, "filteredAttributes": c.attributes(of+" exemplar", nil)}}}
		for k, v := range value {
			p[k] = v
		}
		return p
	}
	unlisted := map[string]any{"stringValue": c.in("an unlisted value of a declared attribute")}
	metric := func(name, kind string, body map[string]any) map[string]any {
		return map[string]any{"name": name, "description": c.in(name + " description"), "unit": c.in(name + " unit"), "metadata": c.attributes(name+" metadata", nil), kind: body}
	}
	sum := map[string]any{"aggregationTemporality": 1, "isMonotonic": true}
	with := func(m map[string]any, points ...any) map[string]any {
		out := map[string]any{"dataPoints": points}
		for k, v := range m {
			out[k] = v
		}
		return out
	}
	request := map[string]any{"resourceMetrics": []any{map[string]any{
		"resource":  map[string]any{"attributes": c.attributes("resource", map[string]any{"deployment.platform": map[string]any{"stringValue": c.declared("resource")}})},
		"schemaUrl": c.in("resource schema"),
		"scopeMetrics": []any{map[string]any{
			"scope":     map[string]any{"name": c.in("scope name"), "version": c.in("scope version"), "attributes": c.attributes("scope", nil)},
			"schemaUrl": c.in("scope schema"),
			"metrics": []any{
				metric("app.requests", "sum", with(sum, point("requests", map[string]any{"asInt": "3"}, map[string]any{"outcome": unlisted}))),
				metric("app.workflow.runs", "sum", with(sum, point("runs", map[string]any{"asInt": "3"}, map[string]any{"result": map[string]any{"stringValue": c.declared("metrics")}}))),
				metric("app.workflows.running", "gauge", with(nil, point("running", map[string]any{"asDouble": 4}, nil))),
				metric("http.server.request.duration", "histogram", with(map[string]any{"aggregationTemporality": 1},
					point("latency", map[string]any{"count": "1", "sum": 0.5, "bucketCounts": []any{"1", "0"}, "explicitBounds": []any{1}}, map[string]any{"http.response.status_code": unlisted}))),
				metric(c.in("a metric's name"), "gauge", with(nil, point("unknown metric", map[string]any{"asDouble": 4}, nil))),
			},
		}},
	}}}
	text := jsonOf(t, request)
	var data metrics.MetricsData
	if err := protojson.Unmarshal([]byte(text), &data); err != nil {
		t.Fatal(err)
	}
	binary, err := proto.Marshal(&data)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []struct{ body, kind string }{{text, "application/json"}, {string(binary), "application/x-protobuf"}} {
		code, answer, _ := a.Post("/v1/metrics?q="+c.in("query string of metrics"), b.body, append(c.headers("metrics"), "Content-Type", b.kind)...)
		if code != 200 {
			t.Fatalf("metrics as %s: %d %s", b.kind, code, answer)
		}
		c.hunt(t, "the answer to metrics", []byte(answer))
		samples += 5
	}
	return samples
}

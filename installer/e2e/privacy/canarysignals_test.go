package privacy

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// logs sends canaries in every field of log records, as JSON and as protobuf, and gives how many events that were.
func (c *canaries) logs(t *testing.T, a *harness.Agent) (events uint64) {
	t.Helper()
	str := func(s string) any { return map[string]any{"stringValue": s} }
	trace, span := []byte(c.in("trace"))[:16], []byte(c.in("trace"))[:8] // cut off, which the hunt sees too
	for _, x := range []struct{ as, kind string }{{"JSON", "application/json"}, {"protobuf", "application/x-protobuf"}} {
		n := 0
		record := func(name string, body any, known map[string]any) map[string]any {
			n++
			of := fmt.Sprintf("log %s %d", x.as, n)
			for k, place := range map[string]string{"user.id": "user: " + of, "user.email": of + " email", "client.address": of + " address", "log.record.uid": of + " uid", "event.domain": of + " domain",
				"exception.message": of + " exception", "code.function": of + " function", "log.file.path": of + " path"} {
				known[k] = str(c.in(place))
			}
			return map[string]any{"timeUnixNano": fmt.Sprint(nowNano()), "observedTimeUnixNano": fmt.Sprint(nowNano()), "severityText": c.in(of + " severity"), "body": body,
				"attributes": c.attributes(of, known), "traceId": hex.EncodeToString(trace), "spanId": hex.EncodeToString(span), "eventName": name}
		}
		nameless := record("", str(c.in("log nameless body")), map[string]any{})
		named := record("", str(c.in("log body")), map[string]any{"event.name": str("Signed Up"), "via": str(c.in("log an unlisted value"))})
		wrong := record("Signed Up", nil, map[string]any{})
		wrong["attributes"] = append(wrong["attributes"].([]any), map[string]any{"key": "user.id", "value": map[string]any{"arrayValue": map[string]any{"values": []any{str(c.in("log a user that is a list"))}}}})
		list := []any{
			record("Signed Up", str(c.in("log body")), map[string]any{"via": str(c.declared("logs as " + x.as))}), named, nameless, wrong,
			record(c.in("log an event's name"), str(c.in("log body")), map[string]any{}),
			record("Signed Up", map[string]any{"kvlistValue": map[string]any{"values": []any{map[string]any{"key": c.in("log body key"), "value": str(c.in("log body value"))}}}}, map[string]any{}),
		}
		text := jsonOf(t, map[string]any{"resourceLogs": []any{map[string]any{
			"resource": map[string]any{"attributes": c.attributes("log resource", map[string]any{"service.instance.id": str(c.in("log instance")), "host.name": str(c.in("log host"))})}, "schemaUrl": c.in("log resource schema"),
			"scopeLogs": []any{map[string]any{"scope": map[string]any{"name": c.in("log scope name"), "version": c.in("log scope version"), "attributes": c.attributes("log scope", nil)},
				"schemaUrl": c.in("log scope schema"), "logRecords": list}},
		}}})
		if x.as == "protobuf" {
			text = logsInBytes(t, text, trace, span)
		}
		code, answer, _ := a.Post("/v1/logs?q="+c.in("query string of logs"), text, append(c.headers("logs"), "Content-Type", x.kind)...)
		if code != 200 {
			t.Fatalf("logs as %s: %d %s", x.as, code, answer)
		}
		c.hunt(t, "the answer to logs as "+x.as, []byte(answer))
		events += uint64(len(list))
	}
	return events
}

// logsInBytes is OTLP's JSON as protobuf. The ids are set apart: OTLP writes them in hex, protobuf's own JSON in base64.
func logsInBytes(t *testing.T, text string, trace, span []byte) string {
	t.Helper()
	var data logs.LogsData
	if err := protojson.Unmarshal([]byte(text), &data); err != nil {
		t.Fatal(err)
	}
	for _, r := range data.ResourceLogs[0].ScopeLogs[0].LogRecords {
		r.TraceId, r.SpanId = trace, span
	}
	b, err := proto.Marshal(&data)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// statsd sends canaries in every part of StatsD's and DogStatsD's lines and gives how many values the door counts.
func (c *canaries) statsd(t *testing.T, port int) (values uint64) {
	t.Helper()
	tags := fmt.Sprintf("pod:%s,%s:%s,%s", c.in("statsd tag value"), c.in("statsd tag key"), c.in("statsd value of an unknown tag"), c.in("statsd tag without value"))
	tail := fmt.Sprintf("|c:%s|e:%s", c.in("statsd container"), c.in("statsd external data"))
	counted := []string{
		"app.workflow.runs:3|c|#result:" + c.declared("statsd") + "," + tags + tail,
		"app.requests:1|c|@0.5|#outcome:" + c.in("statsd an unlisted value") + "," + tags + tail,
		"app.workflows.running:7|g|#" + tags + tail,
		"http.server.request.duration:5|ms|#http.response.status_code:" + c.in("statsd an unlisted status") + "," + tags,
		"http.server.request.duration:0.5|d|#" + tags,
		c.in("statsd metric name") + ":1|c|#" + tags,
		"app.visitors:" + c.in("statsd member of a set") + "|s|#" + tags,
		"app.requests:" + c.in("statsd member of a set under a counter's name") + "|s",
		"app.requests:" + c.in("statsd value") + "|c",
		"app.requests:1|" + c.in("statsd type"),
		"app.requests:1|c|@" + c.in("statsd rate"),
		"app.requests:1|c|T" + c.in("statsd time"),
		c.in("statsd what is no line"),
		"app.requests" + strings.Repeat(c.in("statsd a long name"), 20) + ":1|c",
	}
	title, text := c.in("statsd title of an event"), c.in("statsd text of an event")
	notes := []string{
		fmt.Sprintf("_e{%d,%d}:%s|%s|d:%d|h:%s|k:%s|p:normal|s:%s|t:info|#%s%s", len(title), len(text), title, text, time.Now().Unix(), c.in("statsd host"), c.in("statsd aggregation key"), c.in("statsd source"), tags, tail),
		fmt.Sprintf("_sc|%s|2|d:%d|h:%s|#%s|m:%s%s", c.in("statsd name of a check"), time.Now().Unix(), c.in("statsd host of a check"), tags, c.in("statsd message of a check"), tail),
	}
	socket, err := net.Dial("udp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for _, line := range append(counted, notes...) {
		if _, err := socket.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	return uint64(len(counted))
}

// freePort is a UDP port of loopback that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	return socket.LocalAddr().(*net.UDPAddr).Port
}

// page is what scraped targets show: first nothing has run, then something has, then answers that cannot be taken.
type page struct {
	c  *canaries
	mu sync.Mutex // guards all below
	// asked is how often each was asked. Its number is how far it is.
	asked map[string]int
}

// answers is how many different answers a target gives, good of them the first; the last one stands. Two would show an increase;
// one more, for a page that a busy machine reads too late.
const good, answers = 3, 7

// serve starts a target and gives its URL.
func (p *page) serve(t *testing.T, kind string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		n := p.asked[kind]
		p.asked[kind]++
		p.mu.Unlock()
		p.answer(w, kind, n)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/" + p.c.in("config: path of a target")
}

// wait waits until each target has given all of its answers.
func (p *page) wait(t *testing.T) {
	t.Helper()
	harness.Eventually(t, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, kind := range []string{"text", "OpenMetrics", "protobuf"} {
			if p.asked[kind] <= answers {
				return fmt.Errorf("the page of %s was asked for %d times", kind, p.asked[kind])
			}
		}
		return nil
	})
}

// series is how many at least are on the good pages: two of shop_runs' on two pages of each kind.
func (p *page) series() uint64 { return 3 * 2 }

func (p *page) answer(w http.ResponseWriter, kind string, n int) {
	c := p.c
	w.Header().Set("X-"+c.in("scrape header name"), c.in("scrape header"))
	w.Header().Set("Set-Cookie", "id="+c.in("scrape cookie"))
	media, text := map[string]string{
		"text": "text/plain; version=0.0.4", "OpenMetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
		"protobuf": "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
	}[kind], ""
	switch n - good {
	case 0:
		w.Header().Set("Location", "http://127.0.0.1:1/"+c.in("scrape where a redirect leads"))
		w.WriteHeader(http.StatusFound)
		return
	case 1:
		w.WriteHeader(http.StatusInternalServerError)
		text = c.in("scrape body of an error")
	case 2:
		media, text = "text/html; profile="+c.in("scrape content type"), "<p>"+c.in("scrape HTML")
	case 3:
		text = c.in("scrape malformed") + "{" + c.in("scrape malformed label") + "=\"" + c.in("scrape malformed value") + "\n"
	default:
		if text = c.page(kind == "OpenMetrics", min(n, good-1)*5); kind == "protobuf" {
			text = c.families(min(n, good-1) * 5)
		}
	}
	w.Header().Set("Content-Type", media)
	_, _ = w.Write([]byte(text)) // who hangs up has read enough
}

// page is a page of text; open: as OpenMetrics has it.
func (c *canaries) page(open bool, runs int) string {
	of, name, exemplar, end := "scrape text", "shop_runs_total", "", ""
	door := c.declared("scrape as text")
	if open {
		of, door = "scrape OpenMetrics", c.declared("scrape as OpenMetrics")
		exemplar = fmt.Sprintf(" # {trace_id=%q,%s=%q} 1", c.in(of+" trace"), c.in(of+" exemplar key"), c.in(of+" exemplar"))
		end = fmt.Sprintf("# TYPE target info\n# HELP target %s\ntarget_info{host=%q,%s=%q} 1\n# EOF\n", c.in(of+" help of target"), c.in(of+" target host"), c.in(of+" target key"), c.in(of+" target value"))
	}
	family := name
	if open {
		family = "shop_runs"
	}
	labels := fmt.Sprintf("%s=%q,pod=%q", c.in(of+" label name"), c.in(of+" label of an unknown name"), c.in(of+" label value"))
	unknown := c.in(of + " metric name")
	out := fmt.Sprintf("# HELP %s %s\n# TYPE %s counter\n", family, c.in(of+" help"), family)
	out += fmt.Sprintf("%s{result=%q,%s} %d%s\n", name, door, labels, runs, exemplar)
	out += fmt.Sprintf("%s{result=%q,%s} %d%s\n", name, c.in(of+" an unlisted value"), labels, runs, exemplar)
	out += fmt.Sprintf("# TYPE %s gauge\n# HELP %s %s\n%s{%s} 4\n", unknown, unknown, c.in(of+" help of an unknown metric"), unknown, labels)
	if !open {
		out += "# " + c.in(of+" comment") + "\n"
	}
	return out + end
}

// families is the page as delimited io.prometheus.client.MetricFamily messages.
func (c *canaries) families(runs int) string {
	const of = "scrape protobuf"
	text := func(n protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), s)
	}
	message := func(n protowire.Number, parts ...[]byte) []byte {
		var all []byte
		for _, p := range parts {
			all = append(all, p...)
		}
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), all)
	}
	double := func(n protowire.Number, v uint64) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(nil, n, protowire.Fixed64Type), v)
	}
	label := func(k, v string) []byte { return message(1, text(1, k), text(2, v)) }
	value := double(1, 0)
	if runs > 0 {
		value = double(1, 0x4014000000000000) // 5
	}
	var metrics [][]byte
	for _, result := range []string{c.declared("scrape as protobuf"), c.in(of + " an unlisted value")} {
		exemplar := message(2, label(c.in(of+" exemplar key"), c.in(of+" exemplar")), label("trace_id", c.in(of+" trace")), double(2, 0))
		metrics = append(metrics, message(4, label("result", result), label("pod", c.in(of+" label value")), label(c.in(of+" label name"), c.in(of+" label of an unknown name")), message(3, value, exemplar)))
	}
	counter := append([][]byte{text(1, "shop_runs"), text(2, c.in(of+" help")), text(5, c.in(of+" unit"))}, metrics...)
	var out []byte
	for _, family := range [][][]byte{counter, {text(1, c.in(of+" metric name")), text(2, c.in(of+" help of an unknown metric")), metrics[0]}} {
		var body []byte
		for _, p := range family {
			body = append(body, p...)
		}
		out = protowire.AppendBytes(out, body)
	}
	return string(out)
}

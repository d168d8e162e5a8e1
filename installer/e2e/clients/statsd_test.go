package clients

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

// measuring is a running agent that measures a catalog's samples and keeps them to itself.
func measuring(t *testing.T, catalog []byte, config string) *harness.Agent {
	t.Helper()
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: catalog})
	a := harness.NewAgent(t, harness.Options{Config: fmt.Sprintf("local_exact: true\nzone: %s\n%s", noon(time.Now()), config)})
	a.Enrol(f)
	a.Must("consent", "set", "usage=local", "sla=local", "inventory=local", "--by", "the test")
	a.Start()
	return a
}

// clientCall is a method of a client's, with what it is called with.
type clientCall struct {
	Method string `json:"method"`
	Args   []any  `json:"args"`
}

// The lines that statsdCalls sends, by what becomes of them.
const (
	statsdTaken   = 10 + 4 + 3 + 3
	statsdUnknown = 2 // a metric, a set
	statsdOff     = 1 // a set under a metric's name
	statsdOver    = 2 // a decrement, a gauge under a counter's name
)

// statsdCalls is what a product counts, in hot-shots' words.
func statsdCalls() (calls []clientCall) {
	call := func(method string, args ...any) { calls = append(calls, clientCall{method, args}) }
	tags := func(kv ...string) map[string]string {
		m := map[string]string{"pod": "web-7d9f"}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	for i := range 9 {
		call("increment", "app.requests", 10, 1, tags("outcome", "ok", "user", fmt.Sprint("user-", i%3)))
	}
	call("increment", "app.requests", 3, 0.25, tags("outcome", "server_error")) // 12

	call("increment", "app.workflow.runs", 1, 1, tags("result", "success"))
	call("increment", "app.workflow.runs", 4, 0.5, tags("result", "success")) // 8
	call("increment", "app.workflow.runs", 2, 1, tags("result", "failure"))
	call("increment", "app.workflow.runs", 1, 1, tags("result", "exploded")) // (other)

	call("gauge", "app.workflows.running", 3, 1, tags())
	call("gaugeDelta", "app.workflows.running", 4, 1, tags())
	call("gaugeDelta", "app.workflows.running", -4, 1, tags())

	call("timing", "http.server.request.duration", 62.5, 1, tags("http.response.status_code", "200"))
	call("histogram", "http.server.request.duration", 0.375, 1, tags("http.response.status_code", "200"))
	call("distribution", "http.server.request.duration", 4, 0.5, tags("http.response.status_code", "503")) // two of 4 s

	call("increment", "app.secret", 1, 1, tags())
	call("set", "app.visitors", "user-4711", 1, tags())
	call("set", "app.requests", "user-4711", 1, tags())
	call("decrement", "app.requests", 1, 1, tags("outcome", "ok"))
	call("gauge", "app.requests", 1, 1, tags())
	call("event", "deployed", "user-4711 pressed the button", map[string]any{}, tags())
	call("check", "db.up", 0, map[string]any{"message": "all is well"}, tags())
	return calls
}

func TestHotShots(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]map[string]any{
		"a line a datagram": {},
		"buffered":          {"maxBufferSize": 1432},
		"aggregated there":  {"aggregation": true},
		"Datadog's mode":    {"datadog": true, "containerID": "abc123", "cardinality": "low", "includeDatadogTelemetry": false, "maxBufferSize": 600},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := freeUDP(t)
			a := measuring(t, examples.ProductCatalog(), fmt.Sprintf("statsd: 127.0.0.1:%d", port))
			if r := harness.Node(t, "statsd.mjs", map[string]any{"port": port, "calls": statsdCalls(), "options": options}); r.Code != 0 {
				t.Fatalf("the client failed: %s%s", r.Stdout, r.Stderr)
			}
			together := uint64(0) // lines that the client made one of
			if options["aggregation"] == true {
				together = 6 // nine requests of three users
			}
			checkStatsD(t, a, together)
		})
	}
}

// freeUDP is a loopback port nobody listens on.
func freeUDP(t *testing.T) int {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	return socket.LocalAddr().(*net.UDPAddr).Port
}

// checkStatsD compares everything with what statsdCalls sends.
func checkStatsD(t *testing.T, a *harness.Agent, together uint64) {
	t.Helper()
	var s *control.StatsD
	sent := uint64(statsdTaken+statsdUnknown+statsdOff+statsdOver) - together
	harness.Eventually(t, func() error {
		st, err := a.Site().Status(context.Background())
		if err != nil {
			return err
		}
		if s = st.StatsD; s == nil || s.Values < sent || s.Events+s.Checks < 2 {
			return fmt.Errorf("%+v, sent %d values", s, sent)
		}
		return nil
	})
	if s.Values != sent || s.Sets != 2 || s.Events != 1 || s.Checks != 1 || s.Lost+s.Dropped != 0 || s.Journaled+s.Pending != statsdTaken-together {
		t.Errorf("%+v, sent %d values", s, sent)
	}
	if code := a.Stop(); code != 0 { // what was not flushed is journaled now
		t.Errorf("exit %d", code)
	}
	st := a.Status()
	refused := map[string]uint64{"unknown_event": statsdUnknown, "off": statsdOff, "over_limit_value": statsdOver}
	for reason, n := range refused {
		if st.Samples.Reasons[reason] != n {
			t.Errorf("%s: %d of %d", reason, st.Samples.Reasons[reason], n)
		}
	}
	if n := st.Samples.Received; n != st.Samples.Reasons["measured"]+5 {
		t.Errorf("samples do not add up: %+v", st.Samples)
	}
	figures(t, a, "runs", "day", "", map[string]string{"": `{"increase":12}`})
	figures(t, a, "runs", "day", "result", map[string]string{"result=success": `{"increase":9}`, "result=failure": `{"increase":2}`, "result=(other)": `{"increase":1}`})
	figures(t, a, "errors", "day", "", map[string]string{"": `{"good":90,"valid":102,"ratio":0.8823529411764706}`})
	histogram(t, a, "", 4, 8.4375, map[float64]int64{0.075: 1, 0.5: 1, 5: 2})
	histogram(t, a, "2xx", 2, 0.4375, map[float64]int64{0.075: 1, 0.5: 1})
	histogram(t, a, "5xx", 2, 8, map[float64]int64{5: 2})
	gauge(t, a)
}

// Another StatsD on the same address is no reason to guess: the agent says so and does not start.
func TestStatsDPortInUse(t *testing.T) {
	t.Parallel()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	a := harness.NewAgent(t, harness.Options{Config: "statsd: " + socket.LocalAddr().String()})
	a.Launch()
	if code := a.Wait(); code != 1 || !strings.Contains(a.Log.String(), "port_in_use") {
		t.Errorf("exit %d\n%s", code, a.Log)
	}
}

// Without consent nothing of what arrives or could be read is collected: values are counted, the target
// is not asked.
func TestNoConsentNoSamples(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked <- struct{}{} }))
	defer target.Close()
	port := freeUDP(t)
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: examples.ProductCatalog()})
	a := harness.NewAgent(t, harness.Options{Config: fmt.Sprintf("statsd: 127.0.0.1:%d\nscrape: [{name: product, url: %q, interval: 1s}]", port, target.URL)})
	a.Enrol(f)
	a.Start()
	client, err := net.Dial("udp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("app.requests:1:2:3|c|#outcome:ok\napp.workflows.running:7|g")); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, func() error {
		st, err := a.Site().Status(context.Background())
		if err == nil && (st.StatsD == nil || st.StatsD.Refused["off"] != 4 || len(st.Scrapes) != 1 || !st.Scrapes[0].Idle) {
			err = fmt.Errorf("%+v %+v", st.StatsD, st.Scrapes)
		}
		return err
	})
	a.Stop()
	if st := a.Status(); st.Samples.Received != 4 || st.Samples.Reasons["off"] != 4 || len(asked) != 0 {
		t.Errorf("%+v, the target was asked %d times", st.Samples, len(asked))
	}
}

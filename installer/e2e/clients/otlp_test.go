package clients

import (
	"context"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// reading is one call of an instrument.
type reading struct {
	Kind       string         `json:"kind"` // counter, gauge, histogram
	Name       string         `json:"name"`
	Value      float64        `json:"value"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// bounds are the buckets OpenTelemetry recommends for this instrument; the catalog has the same.
var bounds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// rounds are what a product measured, one export each. The sums of the answers' times are exact in
// binary.
func rounds() [][]reading {
	requests := func(n float64, outcome string) reading {
		return reading{"counter", "app.requests", n, map[string]any{"outcome": outcome}}
	}
	runs := func(n float64, result string) reading {
		return reading{"counter", "app.workflow.runs", n, map[string]any{"result": result, "workflow": "ours"}}
	}
	took := func(seconds float64, status int) reading {
		return reading{"histogram", "http.server.request.duration", seconds, map[string]any{"http.response.status_code": status, "http.route": "/private"}}
	}
	running := func(n float64) reading { return reading{"gauge", "app.workflows.running", n, nil} }
	return [][]reading{
		{
			requests(90, "ok"), requests(6, "client_error"), requests(4, "server_error"), runs(5, "success"), runs(1, "failure"), running(7),
			took(0.0625, 200), took(0.0625, 204), took(0.375, 200), took(4, 503), {"counter", "app.secret", 1, nil},
		},
		{requests(110, "ok"), runs(2, "success"), running(3), took(0.375, 200), took(0.875, 404), {"counter", "app.secret", 1, nil}},
	}
}

// points is how many data points the exports hold: SDKs repeat every counter and histogram, changed or
// not. Second round: one more histogram stream, status 404.
const points, secret = (3 + 2 + 1 + 3 + 1) + (3 + 2 + 1 + 4 + 1), 2

// checkRounds compares everything with what rounds sends.
func checkRounds(t *testing.T, a *harness.Agent) {
	t.Helper()
	_, samples := a.Received(0, points)
	accounts(t, "samples", samples, map[string]uint64{"measured": points - secret, "unknown_event": secret})
	figures(t, a, "runs", "day", "", map[string]string{"": `{"increase":8}`})
	figures(t, a, "runs", "day", "result", map[string]string{"result=success": `{"increase":7}`, "result=failure": `{"increase":1}`})
	figures(t, a, "errors", "day", "", map[string]string{"": `{"good":206,"valid":210,"ratio":0.9809523809523809}`})
	figures(t, a, "speed", "day", "", map[string]string{"": `{"good":4,"valid":6,"ratio":0.6666666666666666}`})
	histogram(t, a, "", 6, 5.75, map[float64]int64{0.075: 2, 0.5: 2, 1: 1, 5: 1})
	histogram(t, a, "2xx", 4, 0.875, map[float64]int64{0.075: 2, 0.5: 2})
	histogram(t, a, "4xx", 1, 0.875, map[float64]int64{1: 1})
	histogram(t, a, "5xx", 1, 4, map[float64]int64{5: 1})
	gauge(t, a)
	fact(t, a, "platform", "kubernetes")
}

// histogram checks count, sum and buckets, by upper bound.
func histogram(t *testing.T, a *harness.Agent, status string, count int64, sum float64, buckets map[float64]int64) {
	t.Helper()
	args := []string{}
	if status != "" {
		args = append(args, "--by", "status")
	}
	want := make([]int64, len(bounds)+1)
	for i, b := range bounds {
		want[i] = buckets[b]
	}
	for _, l := range a.Exact("latency", "day", args...) {
		if l.Dims["status"] != status {
			continue
		}
		var v struct {
			Count   int64
			Sum     float64
			Buckets []int64
		}
		fromJSON(t, l.Value, &v)
		if d := gocmp.Diff(want, v.Buckets); d != "" || v.Count != count || v.Sum != sum {
			t.Errorf("latency of %q: %s, want count %d, sum %v, buckets %v", status, l.Value, count, sum, want)
		}
		return
	}
	t.Errorf("latency of %q was not measured", status)
}

func gauge(t *testing.T, a *harness.Agent) {
	t.Helper()
	lines := a.Exact("running", "day")
	if len(lines) != 1 {
		t.Fatalf("%d windows of running", len(lines))
	}
	var v struct{ Last, Min, Max, Mean float64 }
	fromJSON(t, lines[0].Value, &v)
	if v.Last != 3 || v.Min != 3 || v.Max != 7 || v.Mean < 3 || v.Mean > 7 {
		t.Errorf("running: %s", lines[0].Value)
	}
}

func TestOpenTelemetryJS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		encoding string
		gzip     bool
	}{{"protobuf", false}, {"protobuf", true}, {"json", false}, {"json", true}} {
		name := c.encoding
		if c.gzip {
			name += " gzip"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := site(t)
			r := harness.Node(t, "otlp.mjs", map[string]any{
				"encoding": c.encoding, "gzip": c.gzip, "rounds": rounds(), "bounds": bounds,
				"resource": map[string]any{"service.name": "workflows", "deployment.platform": "kubernetes"},
			}, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+a.Listen)
			if r.Code != 0 {
				t.Fatalf("the exporter failed: %s%s", r.Stdout, r.Stderr)
			}
			checkRounds(t, a)
		})
	}
}

// The SDK has one handler of errors for the whole process, so these run by themselves.
func TestOpenTelemetryGo(t *testing.T) {
	for name, compression := range map[string]otlpmetrichttp.Compression{"identity": otlpmetrichttp.NoCompression, "gzip": otlpmetrichttp.GzipCompression} {
		t.Run(name, func(t *testing.T) {
			a, _ := site(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			complaints := &complaints{}
			otel.SetErrorHandler(complaints)
			exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(a.Listen), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithCompression(compression))
			if err != nil {
				t.Fatal(err)
			}
			provider := sdk.NewMeterProvider(sdk.WithReader(sdk.NewPeriodicReader(exporter, sdk.WithInterval(time.Hour))),
				sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "workflows"), attribute.String("deployment.platform", "kubernetes"))))
			i := &instruments{meter: provider.Meter("workflows"), t: t}
			for _, round := range rounds() {
				for _, r := range round {
					i.record(ctx, r)
				}
				if err := provider.ForceFlush(ctx); err != nil {
					complaints.Handle(err)
				}
			}
			if n := complaints.count(); n != 2 {
				t.Errorf("the SDK was told %d times that the secret metric was not taken, not once an export", n)
			}
			checkRounds(t, a)
		})
	}
}

// complaints is what the SDK reports: partial successes.
type complaints struct {
	mu sync.Mutex // guards n
	n  int
}

func (c *complaints) Handle(error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *complaints) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

type instruments struct {
	meter metric.Meter
	t     *testing.T
}

// record makes the instrument (the SDK gives the same one for the same name) and uses it.
func (i *instruments) record(ctx context.Context, r reading) {
	i.t.Helper()
	var set []attribute.KeyValue
	for k, v := range r.Attributes {
		switch v := v.(type) {
		case string:
			set = append(set, attribute.String(k, v))
		case int:
			set = append(set, attribute.Int(k, v))
		}
	}
	with := metric.WithAttributes(set...)
	var err error
	switch r.Kind {
	case "counter":
		var c metric.Int64Counter
		if c, err = i.meter.Int64Counter(r.Name); err == nil {
			c.Add(ctx, int64(r.Value), with)
		}
	case "gauge":
		var g metric.Float64Gauge
		if g, err = i.meter.Float64Gauge(r.Name); err == nil {
			g.Record(ctx, r.Value, with)
		}
	case "histogram":
		var h metric.Float64Histogram
		if h, err = i.meter.Float64Histogram(r.Name, metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(bounds...)); err == nil {
			h.Record(ctx, r.Value, with)
		}
	}
	if err != nil {
		i.t.Fatal(err)
	}
}

package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// buildCollector builds OpenTelemetry's Collector from the module beside this package.
func buildCollector(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "otelcol")
	cmd := exec.Command("go", "build", "-o", file, ".")
	cmd.Dir = "otelcol"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the collector: %v\n%s", err, out)
	}
	return file
}

// collectorConfig is all that a site with a collector writes to have it send to the agent.
const collectorConfig = `
receivers:
  otlp: {protocols: {http: {endpoint: %s}}}
exporters:
  otlphttp: {endpoint: "http://%s", encoding: %s, compression: %s, sending_queue: {enabled: false}}
service:
  telemetry: {metrics: {level: none}, logs: {level: error}}
  pipelines:
    metrics: {receivers: [otlp], exporters: [otlphttp]}
    logs: {receivers: [otlp], exporters: [otlphttp]}
`

// startCollector runs it until the test ends and gives the address it listens on.
func startCollector(t *testing.T, program string, a *harness.Agent, encoding, compression string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	file := filepath.Join(t.TempDir(), "otelcol.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, collectorConfig, addr, a.Listen, encoding, compression), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--config", file)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	said := &harness.Log{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was interrupted
		if t.Failed() {
			t.Logf("the collector wrote:\n%s", said)
		}
	})
	harness.Eventually(t, func() error {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, said)
		}
		return c.Close()
	})
	return addr
}

// Events as log records, and metrics, go through OpenTelemetry's own Collector and its otlphttp exporter.
func TestOpenTelemetryCollector(t *testing.T) {
	t.Parallel()
	program := buildCollector(t)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { t.Error(err) }))
	for encoding, compression := range map[string]string{"proto": "gzip", "json": "none"} {
		t.Run("logs "+encoding, func(t *testing.T) {
			t.Parallel()
			a, _ := site(t)
			addr := startCollector(t, program, a, encoding, compression)
			body := logRecords(t)
			for times := 1; times <= 2; times++ {
				postOTLP(t, "http://"+addr+"/v1/logs", "application/json", body)
				checkTracks(t, a, times, 1)
			}
		})
		t.Run("metrics "+encoding, func(t *testing.T) {
			t.Parallel()
			a, _ := site(t)
			addr := startCollector(t, program, a, encoding, compression)
			bodies := roundsThrough(t, addr)
			checkRounds(t, a)
			for _, b := range bodies {
				postOTLP(t, "http://"+addr+"/v1/metrics", "application/x-protobuf", b)
			}
			_, samples := a.Received(0, 2*points)
			accounts(t, "samples sent twice", samples, map[string]uint64{"measured": 2 * (points - secret), "unknown_event": 2 * secret})
			// Running totals that are heard twice have not grown.
			figures(t, a, "runs", "day", "", map[string]string{"": `{"increase":8}`})
			figures(t, a, "speed", "day", "", map[string]string{"": `{"good":4,"valid":6,"ratio":0.6666666666666666}`})
			histogram(t, a, "", 6, 5.75, map[float64]int64{0.075: 2, 0.5: 2, 1: 1, 5: 1})
		})
	}
}

// logRecords are the tracks as log records, and an ordinary line of a log.
func logRecords(t *testing.T) []byte {
	t.Helper()
	type object = map[string]any
	attribute := func(key string, value any) object {
		switch v := value.(type) {
		case string:
			return object{"key": key, "value": object{"stringValue": v}}
		case int:
			return object{"key": key, "value": object{"intValue": strconv.Itoa(v)}}
		}
		return object{"key": key, "value": object{"doubleValue": value}}
	}
	records := []object{{"severityText": "INFO", "body": object{"stringValue": "GET /private 200"}, "attributes": []object{attribute("http.route", "/private")}}}
	for i, c := range tracks(sentAt()) {
		at, err := time.Parse(time.RFC3339Nano, c.Message.Timestamp)
		if err != nil {
			t.Fatal(err)
		}
		attributes := []object{attribute("log.record.uid", c.Message.MessageID)}
		for k, v := range c.Message.Properties {
			attributes = append(attributes, attribute(k, v))
		}
		if c.Message.UserID != "" {
			attributes = append(attributes, attribute([]string{"user.id", "enduser.id"}[i%2], c.Message.UserID))
		}
		r := object{"timeUnixNano": strconv.FormatInt(at.UnixNano(), 10), "body": object{"stringValue": "what a person reads"}}
		if i%2 == 0 {
			r["eventName"] = c.Message.Event
		} else { // as it was before log records had a field for it
			attributes = append(attributes, attribute("event.name", c.Message.Event))
		}
		r["attributes"] = attributes
		records = append(records, r)
	}
	body, err := json.Marshal(object{"resourceLogs": []object{{"scopeLogs": []object{{"logRecords": records}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func postOTLP(t *testing.T, url, kind string, body []byte) {
	t.Helper()
	a, err := http.Post(url, kind, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if text, _ := io.ReadAll(a.Body); a.StatusCode != http.StatusOK {
		t.Fatalf("the collector answered %d %s", a.StatusCode, text)
	}
}

// roundsThrough sends the rounds with OpenTelemetry's SDK to the collector, and gives what the SDK wrote.
func roundsThrough(t *testing.T, addr string) (bodies [][]byte) {
	t.Helper()
	var mu sync.Mutex // guards bodies
	tee := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		bodies = append(bodies, body)
		mu.Unlock()
		postOTLP(t, "http://"+addr+q.URL.Path, q.Header.Get("Content-Type"), body)
		w.Header().Set("Content-Type", q.Header.Get("Content-Type"))
	}))
	defer tee.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(strings.TrimPrefix(tee.URL, "http://")), otlpmetrichttp.WithInsecure())
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
			t.Fatal(err)
		}
	}
	return bodies
}

// Package clients proves that clients nobody here wrote reach the agent with only their host
// changed: Segment's for Node and Go, RudderStack's and PostHog's for Node, the CloudEvents SDKs for Node and
// Go, OpenTelemetry's metric exporters for Go and JavaScript, and its Collector (built from the module in
// otelcol).
// Each sends to a real agent process that is enrolled and was told to measure locally; then the
// accounting and the exact figures are compared with what was sent. There is no state on disk
// outside the tests' temporary folders.
package clients

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, "fieldpost-agent")) }

const writeKey = "workflows-example"

// site is a running agent that measures the product's catalog and keeps it to itself.
func site(t *testing.T) (*harness.Agent, *protocoltest.FakeCollector) {
	t.Helper()
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: examples.ProductCatalog()})
	a := harness.NewAgent(t, harness.Options{Config: fmt.Sprintf("local_exact: true\nwrite_keys: [%s]\nzone: %s", writeKey, noon(time.Now()))})
	a.Enrol(f)
	a.Must("consent", "set", "usage=local", "sla=local", "inventory=local", "--by", "the test")
	a.Start()
	t.Cleanup(func() {
		if k, _ := f.Agent(a.Status().Agent); len(k.Accepted)+k.Refused != 0 {
			t.Errorf("%d batches left although everything is local", len(k.Accepted)+k.Refused)
		}
	})
	return a, f
}

// noon is a zone in which it is about noon, so that no test runs over a midnight.
func noon(now time.Time) string { return fmt.Sprintf("Etc/GMT%+d", now.UTC().Hour()-12) }

// accounts compares the accounting, reasons that count nothing left out.
func accounts(t *testing.T, what string, got control.Counts, want map[string]uint64) {
	t.Helper()
	sum := uint64(0)
	reasons := map[string]uint64{}
	for k, n := range got.Reasons {
		if sum += n; n != 0 {
			reasons[k] = n
		}
	}
	if d := gocmp.Diff(want, reasons); d != "" {
		t.Errorf("%s (-sent +accounted):\n%s", what, d)
	}
	if sum != got.Received {
		t.Errorf("%s: %d received, %d accounted for", what, got.Received, sum)
	}
}

// figures compares exact figures: value by dimensions ("role=admin"; "" for the total), each of one
// window of the grain.
func figures(t *testing.T, a *harness.Agent, measure, grain, by string, want map[string]string) {
	t.Helper()
	args := []string{}
	if by != "" {
		args = append(args, "--by", by)
	}
	got := map[string]string{}
	for _, l := range a.Exact(measure, grain, args...) {
		key := dims(l.Dims)
		if _, twice := got[key]; twice {
			t.Errorf("%s: more than one window of %q", measure, key)
		}
		got[key] = string(l.Value)
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("%s by %q per %s (-sent +measured):\n%s", measure, by, grain, d)
	}
}

// fact checks what is known of a fact today.
func fact(t *testing.T, a *harness.Agent, measure, want string) {
	t.Helper()
	lines := a.Exact(measure, "day")
	if len(lines) != 1 {
		t.Fatalf("%d windows of %s", len(lines), measure)
	}
	var v struct{ Value string }
	if fromJSON(t, lines[0].Value, &v); v.Value != want {
		t.Errorf("%s: %s, want %s", measure, lines[0].Value, want)
	}
}

func dims(m map[string]string) string {
	keys := slices.SortedFunc(maps.Keys(m), cmp.Compare[string])
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = k + "=" + m[k]
	}
	return strings.Join(parts, ",")
}

func fromJSON(t *testing.T, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

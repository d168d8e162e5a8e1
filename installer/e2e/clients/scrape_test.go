package clients

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
)

// shown is one reading of a program's page.
type shown struct {
	Kind   string            `json:"kind"` // counter, gauge, histogram, summary
	Name   string            `json:"name"`
	Value  *float64          `json:"value,omitempty"` // none: only named
	Labels map[string]string `json:"labels,omitempty"`
}

// pages are what a program shows on three pages: first all series with nothing in them, as a program
// does that has just started.
func pages() [][]shown {
	var named, first, second []shown
	add := func(to *[]shown, value float64, kind, name string, labels ...string) {
		s := shown{Kind: kind, Name: name, Value: &value, Labels: map[string]string{}}
		for i := 0; i < len(labels); i += 2 {
			s.Labels[labels[i]] = labels[i+1]
		}
		*to = append(*to, s)
		s.Value = nil
		named = append(named, s)
	}
	const runs, requests, took = "app_workflow_runs_total", "app_requests_total", "http_server_request_duration_seconds"
	add(&first, 90, "counter", requests, "outcome", "ok")
	add(&first, 6, "counter", requests, "outcome", "client_error")
	add(&first, 4, "counter", requests, "outcome", "server_error")
	add(&first, 5, "counter", runs, "result", "success", "workflow", "ours")
	add(&first, 1, "counter", runs, "result", "failure", "workflow", "ours")
	add(&first, 0.0625, "histogram", took, "status_code", "200", "route", "/private")
	add(&first, 0.0625, "histogram", took, "status_code", "204", "route", "/private")
	add(&first, 0.375, "histogram", took, "status_code", "200", "route", "/private")
	add(&first, 4, "histogram", took, "status_code", "503", "route", "/private")
	add(&first, 0.5, "summary", "app_render_seconds")
	add(&first, 7, "gauge", "app_workflows_running")
	add(&first, 1, "counter", "app_secret_total", "who", "user-4711")
	add(&second, 110, "counter", requests, "outcome", "ok")
	add(&second, 2, "counter", runs, "result", "success", "workflow", "ours")
	add(&second, 0.375, "histogram", took, "status_code", "200", "route", "/private")
	add(&second, 0.875, "histogram", took, "status_code", "404", "route", "/private")
	add(&second, 3, "gauge", "app_workflows_running")
	named = named[:0:0]
	seen := map[string]bool{}
	for _, s := range append(append([]shown{}, first...), second...) {
		if key := fmt.Sprint(s.Name, s.Labels); !seen[key] && s.Kind != "gauge" {
			seen[key] = true
			s.Value = nil
			named = append(named, s)
		}
	}
	seven := 7.0
	named = append(named, shown{Kind: "gauge", Name: "app_workflows_running", Value: &seven})
	return [][]shown{named, first, second}
}

// series are those of one page of pages: requests, runs, running, durations; and what nobody declared.
const series, undeclared = 3 + 2 + 1 + 4, 2

// prometheusCatalog is the product's with the names Prometheus' libraries give.
func prometheusCatalog() []byte {
	return []byte(strings.NewReplacer("match: app.requests", "match: app_requests_total", "match: http.server.request.duration", "match: http_server_request_duration_seconds",
		"match: app.workflows.running", "match: app_workflows_running", "match: app.workflow.runs", "match: app_workflow_runs",
		"match: http.response.status_code", "match: status_code").Replace(string(examples.ProductCatalog())))
}

func TestPromClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		open bool
	}{{"text", false}, {"OpenMetrics", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			port := l.Addr().(*net.TCPAddr).Port
			l.Close()
			a := measuring(t, prometheusCatalog(), fmt.Sprintf("scrape: [{name: product, url: \"http://127.0.0.1:%d/metrics\", interval: 1s}]", port))
			rounds := pages()
			if r := harness.Node(t, "prom.mjs", map[string]any{"port": port, "openMetrics": c.open, "rounds": rounds, "bounds": bounds}); r.Code != 0 {
				t.Fatalf("the program failed: %s%s", r.Stdout, r.Stderr)
			}
			n := uint64(len(rounds))
			_, samples := a.Received(0, n*(series+undeclared))
			accounts(t, "samples", samples, map[string]uint64{"measured": n * series, "unknown_event": n * undeclared})
			figures(t, a, "runs", "day", "", map[string]string{"": `{"increase":8}`})
			figures(t, a, "runs", "day", "result", map[string]string{"result=success": `{"increase":7}`, "result=failure": `{"increase":1}`})
			figures(t, a, "errors", "day", "", map[string]string{"": `{"good":206,"valid":210,"ratio":0.9809523809523809}`})
			figures(t, a, "speed", "day", "", map[string]string{"": `{"good":4,"valid":6,"ratio":0.6666666666666666}`})
			histogram(t, a, "", 6, 5.75, map[float64]int64{0.075: 2, 0.5: 2, 1: 1, 5: 1})
			histogram(t, a, "2xx", 4, 0.875, map[float64]int64{0.075: 2, 0.5: 2})
			histogram(t, a, "4xx", 1, 0.875, map[float64]int64{1: 1})
			histogram(t, a, "5xx", 1, 4, map[float64]int64{5: 1})
			gauge(t, a)
			gone(t, a)
		})
	}
}

// gone waits until status says that the program's page can no longer be read.
func gone(t *testing.T, a *harness.Agent) {
	t.Helper()
	harness.Eventually(t, func() error {
		st, err := a.Site().Status(context.Background())
		if err != nil {
			return err
		}
		if len(st.Scrapes) != 1 || st.Scrapes[0].OK || st.Scrapes[0].Failed["unreachable"] == 0 || st.Scrapes[0].Scrapes < 4 {
			return fmt.Errorf("%+v", st.Scrapes)
		}
		for _, w := range st.Warnings {
			if w.Code == "scrape_failing" {
				return nil
			}
		}
		return fmt.Errorf("no warning among %+v", st.Warnings)
	})
}

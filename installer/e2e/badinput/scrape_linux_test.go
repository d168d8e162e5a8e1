package badinput

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// Targets that hang, redirect, answer 2 GB, never end, or answer HTML: each is one failed scrape with its reason, as
// `status` shows it; the good one beside them is read; the agent stays as small as it is.
func TestScrape_BadTargets(t *testing.T) {
	var elsewhere atomic.Int64
	away := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer away.Close()
	line := []byte(strings.Repeat("app_workflows_running{id=\"0\"} 1\n", 1000))
	const kind = "text/plain; version=0.0.4"
	mux := http.NewServeMux()
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, away.URL, http.StatusFound) })
	mux.HandleFunc("/2gb", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Length", fmt.Sprint(2<<30))
		for r.Context().Err() == nil {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		for r.Context().Err() == nil {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/html", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!DOCTYPE html><html><body>Sign in")
	})
	mux.HandleFunc("/good", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; escaping=allow-utf-8")
		fmt.Fprint(w, "{\"app.workflows.running\"} 7\n")
	})
	target := httptest.NewServer(mux)
	defer target.Close()

	var config strings.Builder
	config.WriteString("scrape:\n")
	want := map[string]string{"hang": "timeout", "redirect": "redirect", "2gb": "too_large", "endless": "too_large", "html": "content_type", "good": ""}
	for name := range want {
		fmt.Fprintf(&config, "  - {name: %s, url: %q, interval: 2s, timeout: 1s}\n", name, target.URL+"/"+name)
	}
	a := site(t, harness.Options{Config: config.String()})
	harness.Eventually(t, func() error {
		st, err := a.Site().Status(t.Context())
		if err != nil {
			return err
		}
		if len(st.Scrapes) != len(want) {
			return fmt.Errorf("%d targets", len(st.Scrapes))
		}
		for _, s := range st.Scrapes {
			if reason := want[s.Name]; reason != "" && s.Failed[reason] == 0 || reason == "" && (!s.OK || s.Samples == 0) {
				return fmt.Errorf("%+v, want %q", s, reason)
			}
			if want[s.Name] != "" && (s.OK || s.Samples != 0 || len(s.Failed) != 1) {
				return fmt.Errorf("%+v", s)
			}
		}
		if st.Samples.Reasons["measured"] == 0 || st.Samples.Reasons["measured"] != st.Samples.Received {
			return fmt.Errorf("%v", st.Samples)
		}
		return nil
	})
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
	bounded(t, a)
}

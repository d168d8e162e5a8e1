package scrape

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/record"
)

const textType = "text/plain; version=0.0.4; charset=utf-8"

// scraped asks a target once.
func scraped(t *testing.T, j *intaketest.Journal, target Target) State {
	t.Helper()
	if target.Name == "" {
		target.Name = "shop"
	}
	if target.Timeout == 0 {
		target.Timeout = 10 * time.Second
	}
	v := vocabulary(t)
	r := New(Config{Targets: []Target{target}, Vocabulary: func() *intake.Vocabulary { return v }, Journal: j})
	r.once(t.Context(), target)
	if n := r.inUse.Load(); n != 0 {
		t.Errorf("%d bytes are still accounted for", n)
	}
	return r.States()[0]
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestAScrapeIsJournaled(t *testing.T) {
	var asked http.Header
	url := serve(t, func(w http.ResponseWriter, q *http.Request) {
		asked = q.Header
		w.Header().Set("Content-Type", textType)
		fmt.Fprint(w, "queue_waiting 7\ngo_goroutines 3\nqueue_waiting 8\n")
	})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var j intaketest.Journal
	s := scraped(t, &j, Target{URL: url + "/metrics?token=hidden", TokenFile: token})
	if !s.OK || s.Samples != 0 || s.Refused != (record.Counts{record.Malformed: 1, record.UnknownEvent: 1}) || s.Scrapes != 1 || s.Bytes == 0 {
		t.Errorf("%+v", s)
	}
	if s.Target != url+"/metrics" {
		t.Errorf("the state shows %s", s.Target)
	}
	if _, samples := j.Received(); samples.Total() != 2 {
		t.Errorf("%v", samples)
	}
	if asked.Get("Authorization") != "Bearer s3cret" || !strings.HasPrefix(asked.Get("Accept"), "application/vnd.google.protobuf") || asked.Get("X-Prometheus-Scrape-Timeout-Seconds") != "10" {
		t.Errorf("%v", asked)
	}
}

func TestGzipIsTakenOff(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", textType)
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, "queue_waiting 7\n")
		z.Close()
	})
	var j intaketest.Journal
	if s := scraped(t, &j, Target{URL: url}); !s.OK || s.Samples != 1 {
		t.Errorf("%+v", s)
	}
}

// TestS69_BadTargets: what a target does costs one failed scrape with its reason, and nothing is kept.
func TestS69_BadTargets(t *testing.T) {
	reached := false
	away := serve(t, func(http.ResponseWriter, *http.Request) { reached = true })
	pages := badPages(away)
	url := serve(t, func(w http.ResponseWriter, q *http.Request) { pages[q.URL.Path](w, q) })
	want := map[string]string{"/hang": Slow, "/slow": Slow, "/redirect": Redirected, "/2GB": TooLarge, "/endless": TooLarge, "/bomb": TooLarge,
		"/html": BadType, "/html-as-html": BadType, "/html-as-text": Unreadable, "/json": BadType, "/none": BadType, "/br": BadType, "/500": BadStatus, "/million": TooLarge, "/cut": Unreachable}
	for path := range pages {
		var j intaketest.Journal
		target := Target{URL: url + path}
		if want[path] == Slow {
			target.Timeout = 100 * time.Millisecond
		}
		s := scraped(t, &j, target)
		if s.OK || s.Failed[want[path]] != 1 || !strings.HasPrefix(s.Detail, want[path]+": ") {
			t.Errorf("%s: %+v, want %s", path, s, want[path])
		}
		if len(j.Records()) != 0 {
			t.Errorf("%s: something was kept", path)
		}
		if strings.Contains(s.Detail, url) {
			t.Errorf("%s: the detail shows the URL: %s", path, s.Detail)
		}
	}
	if reached {
		t.Error("a redirect was followed")
	}
}

// badPages are answers that are no pages, by path. away is where a redirect leads.
func badPages(away string) map[string]http.HandlerFunc {
	line := []byte(strings.Repeat("queue_waiting{id=\"0\"} 1\n", 1000))
	says := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			if contentType != "" {
				w.Header().Set("Content-Type", contentType)
			}
			fmt.Fprint(w, body)
		}
	}
	return map[string]http.HandlerFunc{
		"/hang": func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() },
		"/slow": func(w http.ResponseWriter, q *http.Request) {
			says(textType, "queue_waiting 1\n")(w, q)
			w.(http.Flusher).Flush()
			<-q.Context().Done()
		},
		"/redirect": func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, away, http.StatusFound) },
		"/2GB": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", textType)
			w.Header().Set("Content-Length", fmt.Sprint(2<<30))
		},
		"/endless": func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", textType)
			for q.Context().Err() == nil {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		},
		"/bomb": func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", textType)
			z := gzip.NewWriter(w)
			for n := 0; n < 64<<20 && q.Context().Err() == nil; n += len(line) {
				z.Write(line)
			}
			z.Close()
		},
		"/html":         says("", "<!DOCTYPE html><html><body>Sign in"),
		"/html-as-html": says("text/html; charset=utf-8", "<!DOCTYPE html><html><body>Sign in"),
		"/html-as-text": says(textType, "<html><body>Sign in"),
		"/json":         says("application/json", `{"queue_waiting": 1}`),
		"/none":         says("", "queue_waiting 1\n"),
		"/br": func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			says(textType, "queue_waiting 1\n")(w, q)
		},
		"/500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"/million": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", textType)
			var b []byte
			for i := range 1_000_000 {
				b = fmt.Appendf(b[:0], "queue_waiting{a=\"%d\"} 1\n", i)
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		},
		"/cut": func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Length", "1000")
			says(textType, "queue_waiting 1\n")(w, q)
		},
	}
}

// TestS69_OnlyPrivateAddressesAreDialled: whatever a name means at the moment of dialling.
func TestS69_OnlyPrivateAddressesAreDialled(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:1": true, "[::1]:1": true, "10.1.2.3:1": true, "172.16.0.1:1": true, "192.168.1.1:1": true, "[fd00::1]:1": true, "[::ffff:127.0.0.1]:1": true,
		"8.8.8.8:1": false, "169.254.169.254:80": false, "[fe80::1%eth0]:1": false, "0.0.0.0:1": false, "[::]:1": false, "[::ffff:8.8.8.8]:1": false,
		"172.32.0.1:1": false, "100.64.0.1:1": false, "224.0.0.1:1": false, "[2001:4860:4860::8888]:1": false, "name:1": false,
	} {
		if err := allowed(address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	var j intaketest.Journal
	for _, url := range []string{"http://0.0.0.0:9/metrics", "http://[::]:9/metrics"} { // both would lead to this machine
		if s := scraped(t, &j, Target{URL: url}); s.Failed[Forbidden] != 1 {
			t.Errorf("%s: %+v", url, s)
		}
	}
}

func TestClosedPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	var j intaketest.Journal
	if s := scraped(t, &j, Target{URL: "http://" + l.Addr().String()}); s.Failed[Unreachable] != 1 || !strings.Contains(s.Detail, "refused") {
		t.Errorf("%+v", s)
	}
}

func TestTokenFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": " \n", "lines": "a\r\nX-Evil: 1", "large": strings.Repeat("x", maxToken+1), "missing": ""} {
		path := filepath.Join(dir, name)
		if name != "missing" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var j intaketest.Journal
		if s := scraped(t, &j, Target{URL: "http://127.0.0.1:9", TokenFile: path}); s.Failed[BadToken] != 1 || strings.Contains(s.Detail, "Evil") {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// Where nothing reads a metric the target is left alone.
func TestNoConsentNoRequest(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the target was asked") })
	target := Target{Name: "shop", URL: url}
	r := New(Config{Targets: []Target{target}, Vocabulary: func() *intake.Vocabulary { return intake.NewVocabulary(nil, nil) }, Journal: &intaketest.Journal{}})
	r.once(t.Context(), target)
	if s := r.States()[0]; !s.Idle || !s.OK || s.Scrapes != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAFullJournalIsSaid(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", textType)
		fmt.Fprint(w, "queue_waiting 1\n")
	})
	var j intaketest.Journal
	j.FailWith(errors.New("the disk is full"))
	if s := scraped(t, &j, Target{URL: url}); s.Failed[Unkept] != 1 {
		t.Errorf("%+v", s)
	}
}

// A target that hangs does not delay another, and the room for pages is shared.
func TestTargetsDoNotWaitForEachOther(t *testing.T) {
	hang := serve(t, func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() })
	got := make(chan struct{}, 100)
	good := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", textType)
		fmt.Fprint(w, "queue_waiting 1\n")
		got <- struct{}{}
	})
	v := vocabulary(t)
	r := New(Config{Vocabulary: func() *intake.Vocabulary { return v }, Journal: &intaketest.Journal{}, Targets: []Target{
		{Name: "hang", URL: hang, Interval: time.Hour, Timeout: time.Hour}, {Name: "good", URL: good, Interval: 5 * time.Millisecond}}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	for range 3 {
		<-got
	}
	cancel()
	<-done
	if s := r.States(); s[0].Scrapes != 0 || s[1].Scrapes < 2 {
		t.Errorf("%+v", s)
	}
	r.inUse.Store(maxPages)
	full := &buffer{room: &r.inUse}
	var f *failure
	if err := full.fill(strings.NewReader("x")); !errors.As(err, &f) || f.reason != Busy {
		t.Errorf("%v", err)
	}
}

func fuzzed(t *testing.T, v *intake.Vocabulary, f form, b []byte) {
	rec := &record.Record{Received: intaketest.Now().UnixNano()}
	if err := read(f, b, v, "shop", rec); err != nil {
		if len(rec.Samples) != 0 || rec.RefusedSamples != (record.Counts{}) {
			t.Error("half a page was kept")
		}
		return
	}
	for i := range rec.Samples {
		s := &rec.Samples[i]
		n := uint64(0)
		for _, c := range s.Buckets {
			n += c
		}
		if !finite(s.Value) || !finite(s.Sum) || s.Time <= 0 || s.Time > rec.Received+tolerance || s.Start > s.Time || s.Start < 0 || n != s.Count || s.Metric > dotted {
			t.Errorf("%+v", s)
		}
	}
	var again record.Record
	if err := record.Decode(record.Append(nil, rec), &again); err != nil {
		t.Error(err)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{
		histogramPage(`{le="0.1"} 1`, `{le="+Inf"} 6`), "# TYPE jobs counter\njobs_total{a=\"b\\n\"} 3 1772445600.5 # {t=\"x\"} 0.5\njobs_created 1.5e9\n# EOF",
		"{\"app.depth\",a=\"b\"} 4 1772445600000", "# TYPE rpc_seconds summary\nrpc_seconds{quantile=\"0.5\"} 1\nrpc_seconds_sum 1\nrpc_seconds_count 1\n",
	} {
		f.Add(true, []byte(s))
		f.Add(false, []byte(s))
	}
	v := vocabulary(f)
	f.Fuzz(func(t *testing.T, open bool, b []byte) {
		if open {
			fuzzed(t, v, openMetrics, b)
		} else {
			fuzzed(t, v, plainText, b)
		}
	})
}

func FuzzProtobuf(f *testing.F) {
	f.Add(encoded(f, "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"))
	v := vocabulary(f)
	f.Fuzz(func(t *testing.T, b []byte) { fuzzed(t, v, protobuf, b) })
}

// BenchmarkText is a page of 2,000 lines as a program in Go shows it, a tenth of it declared.
func BenchmarkText(b *testing.B) {
	var page []byte
	for i := range 1800 {
		page = fmt.Appendf(page, "go_something_total{kind=\"%d\",host=\"web-7d9f\"} %d\n", i, i*17)
	}
	for i := range 200 {
		page = fmt.Appendf(page, "http_requests_total{code=\"200\",path=\"/%d\"} %d\n", i, i*17)
	}
	v := vocabulary(b)
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		var rec record.Record
		if err := read(plainText, page, v, "shop", &rec); err != nil || len(rec.Samples) != 200 {
			b.Fatal(err, len(rec.Samples))
		}
	}
}

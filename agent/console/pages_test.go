package console

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func contains(t *testing.T, page string, wants ...string) {
	t.Helper()
	text := words(t, page)
	for _, w := range wants {
		if !strings.Contains(text, w) {
			t.Errorf("the page does not say %q", w)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestHealthShowsWarningsAndThatEverythingAddsUp(t *testing.T) {
	site := newFakeSite()
	r := start(t, site).login()
	_, page := r.get("/")
	contains(t, page, "1 warning", "3 figures found no room to wait in.", "outbox_max: a larger size, or restore the connection", "outbox_full", "adds up",
		"184,213 = the sum of all above", "frozen 44 batches = the sum of all above", "connection refused", "48.3 ms", "Europe/Berlin", "late for requests")
	site.mu.Lock()
	site.status = func(s *control.Status) { s.Events.Received++; s.Delivery.Frozen++ }
	site.mu.Unlock()
	_, page = r.get("/")
	if n := strings.Count(words(t, page), "does not add up"); n != 2 {
		t.Errorf("two sums that do not add up are told %d times", n)
	}
}

func TestUseShowsEachFormAsWhatItIs(t *testing.T) {
	r := start(t, newFakeSite()).login()
	await(t, r, "/use")
	_, page := r.get("/use")
	contains(t, page, "How many people work here?", "band: the figure lies in it", "withheld", "not observed", "target 99.9 %", "Measured and not shown", "about people only the site's weekly total leaves", "linux", "the 95th percentile lies in it", "lowest to highest")
	await(t, r, "/use/people")
	_, page = r.get("/use/people")
	contains(t, page, "20–24 band", "≥ 43 band", "withheld", "week of 9 Nov 2026", "Seat planning with the customer", "1–30 of 105")
	_, page = r.get("/use/people?p=4")
	contains(t, page, "91–105 of 105")
	await(t, r, "/use/web")
	_, page = r.get("/use/web")
	contains(t, page, "up in the last 28 days", "of downtime left in the budget", "Maintenance", "Not observed")
	if res, page := r.get("/use/nothing"); res.StatusCode != http.StatusNotFound || !strings.Contains(page, "measure_unknown") {
		t.Errorf("an unknown measure: %s", res.Status)
	}
}

func TestWhatIsOffIsNotAskedFor(t *testing.T) {
	site := newFakeSite()
	site.consent.Levels = site.consent.Levels[:1] // inventory only
	r := start(t, site).login()
	await(t, r, "/use")
	_, page := r.get("/use")
	off := 0
	for i := range site.book.Measures {
		if site.book.Measures[i].Category != "inventory" {
			off++
		}
	}
	contains(t, page, "Not collected", fmt.Sprintf("%d measures of categories that are off", off), "How many people work here?")
	await(t, r, "/use/people")
	for _, q := range site.asked {
		if q.Measure != "agent_version" && q.Measure != "os_family" {
			t.Errorf("asked for %s", q.Measure)
		}
	}
}

// TestAPageDoesNotWaitForSlowFigures: the page comes with what is there, and the rest with the next
// load.
func TestAPageDoesNotWaitForSlowFigures(t *testing.T) {
	site := newFakeSite()
	held := make(chan struct{})
	site.delay = func(q control.Query) <-chan struct{} {
		if q.Measure == "latency" {
			return held
		}
		free := make(chan struct{})
		close(free)
		return free
	}
	r := start(t, site).login()
	began := time.Now()
	_, page := r.get("/use")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the page took %v", took)
	}
	contains(t, page, "How many people work here?", "Being computed; the page loads again by itself.")
	if !strings.Contains(page, "data-later") || !strings.Contains(page, `http-equiv="refresh"`) {
		t.Error("the page does not load again")
	}
	close(held)
	await(t, r, "/use")
	if _, page = r.get("/use"); strings.Contains(page, "Being computed") || strings.Contains(page, "http-equiv") {
		t.Error("it is still being computed")
	}
}

func TestLeavesShowsWhatTheVendorWillSeeAndWhatStays(t *testing.T) {
	r := start(t, newFakeSite()).login()
	_, page := r.get("/leaves")
	contains(t, page, "214 figures · 318 bytes · to https://collector.example.com:8443", "up 23 h 59 min · down 1 min", "30–34 band", "withheld", "Seat planning with the customer", "This length of window stays here.", "70 figures, each day", "1–30 of 64")
	_, page = r.get("/leaves?p=3&measure=")
	contains(t, page, "61–64 of 64")
	_, page = r.get("/leaves?measure=people")
	contains(t, page, "Only people.", "≥ 43 band")
	res, _ := r.post("/send", url.Values{"token": {r.token()}})
	if res.StatusCode != http.StatusSeeOther || r.site.sends != 1 {
		t.Errorf("sending: %s", res.Status)
	}
	_, page = r.get("/leaves")
	contains(t, page, "Sent 1 batch with 212 figures, 318 bytes.")
	if _, page = r.get("/leaves"); strings.Contains(page, "Sent 1 batch") {
		t.Error("it is told twice")
	}
}

func TestLeftShowsTheLedgerPageByPage(t *testing.T) {
	r := start(t, newFakeSite()).login()
	_, page := r.get("/left")
	contains(t, page, "130", "refused: window_closed", "12 figures, acknowledged")
	_, page = r.get("/left?p=5")
	contains(t, page, "page 5")
	if !strings.Contains(page, `href="/left/1?kind=check_in"`) || strings.Contains(page, `p=6`) {
		t.Error("the last page is not the last")
	}
	_, page = r.get("/left?kind=quarantined")
	contains(t, page, "refused: window_closed")
	if strings.Contains(words(t, page), "acknowledged") {
		t.Error("other kinds are shown")
	}
	for _, p := range []string{"/left/129", "/left/6?kind=batch"} {
		_, page = r.get(p)
		contains(t, page, "Download the bytes as they left", "30–34 band", "signed by the collector")
	}
	if res, _ := r.get("/left/131"); res.StatusCode != http.StatusNotFound {
		t.Errorf("an entry that is not there: %s", res.Status)
	}
	r.post("/left/verify", url.Values{"token": {r.token()}})
	_, page = r.get("/left")
	contains(t, page, "The whole record is intact: all 130 entries follow from one another.")
}

func TestConsentIsDecidedReviewedAndKept(t *testing.T) {
	site := newFakeSite()
	r := start(t, site).login()
	await(t, r, "/consent")
	_, page := r.get("/consent")
	contains(t, page, "The vendor asks for more", "The measure queue_depth is new", "waits for you", "now: aggregate, for windows from 20 Mar 2026", "At a small site this can tell whether a particular person worked.", "Kept 730 days, by product", "CHG-2291", "It is not shown here before you choose this.")
	token := r.token()
	_, hash, _ := strings.Cut(page, `name="catalog" value="`)
	hash = hash[:64]
	form := url.Values{"token": {token}, "by": {"a.b."}, "ticket": {"CHG-1"}, "level.usage": {"local"}, "level.sla": {"aggregate"}, "level.inventory": {"aggregate"}, "people": {"62"}}
	_, page = r.post("/consent/review", form)
	contains(t, page, "Review the decision", "Usage aggregate local", "nothing is decided yet", "ticket CHG-1")
	if len(site.decided) != 0 {
		t.Fatal("the review decided")
	}
	form.Set("catalog", "another")
	r.post("/consent/decide", form)
	_, page = r.get("/consent")
	contains(t, page, "The catalog changed while you were reading.", "catalog_changed")
	form.Set("catalog", hash)
	if res, _ := r.post("/consent/decide", form); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("deciding: %s", res.Status)
	}
	if len(site.decided) != 1 || len(site.decided[0].Levels) != 1 || site.decided[0].Levels["usage"] != exchange.Local || site.decided[0].Accept || site.decided[0].People != 0 || site.decided[0].Ticket != "CHG-1" {
		t.Errorf("decided %+v", site.decided)
	}
	for name, bad := range map[string]url.Values{
		"nobody": {"level.usage": {"off"}}, "nothing": {"by": {"x"}, "level.sla": {"aggregate"}}, "no such level": {"by": {"x"}, "level.usage": {"everything"}}, "no number": {"by": {"x"}, "level.usage": {"off"}, "people": {"-3"}},
		"the future": {"by": {"x"}, "level.usage": {"totals"}, "from": {"2199-01-01"}}, "no day": {"by": {"x"}, "level.usage": {"totals"}, "from": {"yesterday"}},
	} {
		bad.Set("token", token)
		bad.Set("catalog", hash)
		for _, path := range []string{"/consent/review", "/consent/decide"} {
			if res, _ := r.post(path, bad); res.StatusCode != http.StatusSeeOther {
				t.Errorf("%s at %s: %s", name, path, res.Status)
			}
			if _, page := r.get("/consent"); !strings.Contains(page, "form_invalid") {
				t.Errorf("%s at %s is not refused", name, path)
			}
		}
	}
	if len(site.decided) != 1 {
		t.Error("a wrong form decided")
	}
}

func TestARequestIsAcceptedOrRejected(t *testing.T) {
	site := newFakeSite()
	r := start(t, site).login()
	_, page := r.get("/consent")
	_, hash, _ := strings.Cut(page, `name="catalog" value="`)
	form := url.Values{"token": {r.token()}, "catalog": {hash[:64]}, "by": {"a.b."}}
	r.post("/consent/reject", form)
	if len(site.decided) != 1 || site.decided[0].Accept || len(site.decided[0].Levels) != 0 {
		t.Fatalf("rejecting decided %+v", site.decided)
	}
	_, page = r.get("/consent")
	contains(t, page, "Rejected version 2 of the catalog.", "you said no", "You rejected it on")
	if strings.Contains(page, "1 request") {
		t.Error("it still waits")
	}
	if strings.Contains(page, "/consent/reject") {
		t.Error("it can be rejected twice")
	}
	r.post("/consent/accept", form)
	if len(site.decided) != 2 || !site.decided[1].Accept {
		t.Errorf("accepting decided %+v", site.decided)
	}
}

func TestPauseAndResume(t *testing.T) {
	site := newFakeSite()
	r := start(t, site).login()
	token := r.token()
	r.post("/pause", url.Values{"token": {token}, "pause": {"1"}})
	_, page := r.get("/consent")
	contains(t, page, "Paused: nothing is sent but check-ins.", "Resume sending")
	r.post("/pause", url.Values{"token": {token}, "pause": {"0"}})
	_, page = r.get("/consent")
	contains(t, page, "Sending is resumed.", "Pause everything")
	if len(site.decided) != 2 || !*site.decided[0].Pause || *site.decided[1].Pause {
		t.Errorf("decided %+v", site.decided)
	}
}

func TestARefusalSaysWhatToDo(t *testing.T) {
	site := newFakeSite()
	site.consent.Locked = true
	r := start(t, site).login()
	r.post("/pause", url.Values{"token": {r.token()}, "pause": {"1"}})
	_, page := r.get("/consent")
	contains(t, page, "Consent is locked by the configuration.", "consent_locked", "ask whoever owns the configuration: consent_lock")
}

func TestAnEmptySiteSaysWhatToDoNext(t *testing.T) {
	site := newFakeSite()
	site.empty = true
	r := start(t, site).login()
	for path, want := range map[string]string{"/": "not enrolled", "/use": "fieldpost-agent enroll", "/leaves": "this agent is not enrolled with any vendor", "/consent": "until then nothing is collected"} {
		res, page := r.get(path)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, res.Status)
		}
		contains(t, page, want)
	}
}

// TestGoldenEntry keeps the HTML of one page as it is: what changes it changes every page.
func TestGoldenEntry(t *testing.T) {
	r := start(t, newFakeSite()).login()
	_, page := r.get("/left/128")
	page = changing.ReplaceAllString(page, "TOKEN")
	for _, s := range []string{styleSheet, script, icon} {
		page = strings.ReplaceAll(page, "?v="+version(s), "?v=HASH")
	}
	page = strings.ReplaceAll(page, "><", ">\n<")
	golden := filepath.Join("testdata", "entry.golden.html")
	if *update {
		if err := os.WriteFile(golden, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if page != string(want) {
		t.Errorf("the page is\n%s", page)
	}
}

// BenchmarkPages loads each page; p95 is the figure of the promise, 200 ms.
func BenchmarkPages(b *testing.B) {
	site := newFakeSite()
	ready := make(chan struct{})
	close(ready)
	site.delay = func(control.Query) <-chan struct{} { return ready }
	c := New(Config{Site: site, Dir: b.TempDir(), Address: "127.0.0.1:4380"})
	cookie := http.Cookie{Name: c.door.Cookie, Value: c.door.Enter()}
	for _, path := range allPages() {
		b.Run(path, func(b *testing.B) {
			var took []time.Duration
			size := 0
			for b.Loop() {
				c.asker.Forget() // every load is a first one
				req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:4380"+path, nil)
				if err != nil {
					b.Fatal(err)
				}
				req.AddCookie(&cookie)
				w := &sink{header: http.Header{}}
				began := time.Now()
				c.handler.ServeHTTP(w, req)
				took = append(took, time.Since(began))
				size = w.size
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
			b.ReportMetric(float64(size), "bytes/page")
		})
	}
}

type sink struct {
	header http.Header
	size   int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(b []byte) (int, error) { s.size += len(b); return len(b), nil }

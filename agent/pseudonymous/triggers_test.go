//go:build pseudonymous

package pseudonymous

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// crowd is whom rules meet, always the same.
type crowd struct{ names [][]string }

func (c crowd) Block(string, int64, func(record.Person)) {}
func (c crowd) Names(name string) []string {
	for _, n := range c.names {
		for _, x := range n {
			if x == name {
				return n
			}
		}
	}
	return nil
}
func (c crowd) NotTried(_, _ string, _ int, _ int64, fn func([]string)) {
	for _, n := range c.names {
		fn(n)
	}
}
func (c crowd) Unfinished(string, int64, int64, int64, func([]string)) {}

// site is a room with the clock, the disk and the ledger of a test around it.
type site struct {
	mu      sync.Mutex
	room    Room
	at      Site
	disk    json.RawMessage
	entries []string
	full    bool // the disk
	vendor  ed25519.PrivateKey
}

func newSite(t *testing.T, names ...[]string) *site {
	t.Helper()
	raw, err := os.ReadFile("../../installer/examples/forge/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	st := &exchange.Statement{Categories: []exchange.Decision{{Category: catalog.Usage, Level: exchange.Local}}}
	return &site{vendor: key, at: Site{People: crowd{names}, Catalog: c, Statement: st, Now: time.Now(), Zone: time.UTC, Vendor: pub,
		MAC: func(use string) func([]byte) []byte {
			return func(message []byte) []byte {
				h := hmac.New(sha256.New, []byte(use))
				h.Write(message)
				return h.Sum(nil)
			}
		}}}
}

func (s *site) host() Host {
	return Host{Mu: &s.mu, Site: func() Site { return s.at },
		Record: func(_ context.Context, kind string, d any) error {
			b, err := json.Marshal(d)
			s.entries = append(s.entries, kind+" "+string(b))
			return err
		},
		Commit: func() (err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.full {
				return errors.New("the disk is full")
			}
			s.disk, err = s.room.Save(s.at)
			return err
		}}
}

// pass lets time go on to the next look at the rules.
func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at.Now = s.at.Now.Add(d)
	s.room.Applied(s.at)
}

const someRules = `{"fieldpost_triggers":1,"catalog":"forge","rules":[
 {"id":"try-docs","kind":"not_tried","measure":"areas","feature":"docs","active_days":5,"again":"48h","purpose":"a guide to docs"}]}`

func (s *site) order(t *testing.T, rules, webhook string) control.PersonsOrder {
	t.Helper()
	sig, err := SignRules([]byte(rules), s.vendor)
	if err != nil {
		t.Fatal(err)
	}
	return control.PersonsOrder{Do: control.AllowTriggers, By: "j.d.", Rules: []byte(rules), Signature: sig, Webhook: webhook}
}

func (s *site) state(t *testing.T) control.TriggersState {
	t.Helper()
	out, err := s.room.Carry(t.Context(), s.host(), control.PersonsOrder{Do: control.ShowPersons})
	if err != nil || out.Triggers.Fired != out.Triggers.Called+out.Triggers.Failed+uint64(out.Triggers.Waiting) {
		t.Fatalf("%+v %v", out.Triggers, err)
	}
	return out.Triggers
}

// serve makes calls until the test ends, and returns once it would.
func (s *site) serve(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.room.Serve(ctx, s.host()) }()
	t.Cleanup(func() { cancel(); <-done })
	for ready := false; !ready; time.Sleep(time.Millisecond) { // Serve says that it serves under the lock only
		s.mu.Lock()
		ready = s.room.triggers.wake != nil
		s.mu.Unlock()
	}
}

// guide is a program on this machine that is called.
func guide(t *testing.T, status int) (url string, calls chan call) {
	t.Helper()
	calls = make(chan call, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var c call
		if err := json.Unmarshal(b, &c); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s %q: %v", r.Method, b, err)
		}
		w.WriteHeader(status)
		calls <- c
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/guide", calls
}

func TestATriggerFiresOnceAndIsRememberedBeforeTheCall(t *testing.T) {
	s := newSite(t, []string{"anon-1", "u1"}, []string{"u2"})
	url, calls := guide(t, 204)
	if _, err := s.room.Carry(t.Context(), s.host(), s.order(t, someRules, url)); err != nil {
		t.Fatal(err)
	}
	s.pass(time.Minute)
	if n := s.state(t).Fired; n != 0 {
		t.Fatalf("%d fired while nobody makes calls", n)
	}
	s.serve(t)
	s.pass(time.Minute)
	got := map[string]call{}
	for range 2 {
		c := <-calls
		got[c.User] = c
	}
	if c := got["u1"]; c.Rule != "try-docs" || c.Feature != "docs" || strings.Join(c.IDs, " ") != "anon-1 u1" || got["u2"].User == "" {
		t.Errorf("%+v", got)
	}
	s.mu.Lock()
	disk := string(s.disk)
	s.mu.Unlock()
	if strings.Contains(disk, "u1") || strings.Contains(disk, "anon") || !strings.Contains(disk, `"fired"`) {
		t.Errorf("on disk: %s", disk)
	}
	for range 40 { // hours
		s.pass(time.Hour)
	}
	// A start later reads what was on disk: they rest there too.
	later := newSite(t, []string{"anon-1", "u1"}, []string{"u2"}, []string{"u3"})
	later.at = s.at
	later.at.People = crowd{[][]string{{"anon-1", "u1"}, {"u2"}, {"u3"}}}
	if err := later.room.Load(s.disk); err != nil {
		t.Fatal(err)
	}
	later.serve(t)
	later.pass(time.Minute)
	if c := <-calls; c.User != "u3" {
		t.Errorf("%s was called for again", c.User)
	}
	later.pass(9 * time.Hour) // 48 hours are over
	if a, b := <-calls, <-calls; a.User == b.User || a.User == "u3" || b.User == "u3" {
		t.Errorf("after the rest %s and %s", a.User, b.User)
	}
	if len(calls) > 0 {
		t.Errorf("%d calls too many", len(calls))
	}
}

func TestACallThatCannotBeRememberedIsNotMade(t *testing.T) {
	s := newSite(t, []string{"u1"})
	url, calls := guide(t, 204)
	if _, err := s.room.Carry(t.Context(), s.host(), s.order(t, someRules, url)); err != nil {
		t.Fatal(err)
	}
	s.full = true
	s.serve(t)
	s.pass(time.Hour)
	for s.state(t).Failed != 1 {
		time.Sleep(time.Millisecond)
	}
	if len(calls) > 0 {
		t.Error("it was made")
	}
}

func TestTriggersForgetAndDeny(t *testing.T) {
	s := newSite(t, []string{"anon-1", "u1"}, []string{"u2"})
	if _, err := s.room.Carry(t.Context(), s.host(), s.order(t, someRules, "http://127.0.0.1:1/")); err != nil {
		t.Fatal(err)
	}
	s.room.triggers.wake = make(chan struct{}, 1) // nobody takes the calls
	s.pass(time.Hour)
	if len(s.room.triggers.waiting) != 2 || len(s.room.triggers.Fired) != 2 {
		t.Fatalf("%+v", s.room.triggers)
	}
	s.room.Forget(s.at, "u1")
	if w := s.room.triggers.waiting; len(w) != 1 || w[0].User != "u2" || len(s.room.triggers.Fired) != 1 {
		t.Errorf("%+v", s.room.triggers)
	}
	s.state(t)
	if _, err := s.room.Carry(t.Context(), s.host(), control.PersonsOrder{Do: control.DenyTriggers, By: "j.d."}); err != nil {
		t.Fatal(err)
	}
	s.pass(2 * time.Hour)
	if len(s.room.triggers.waiting) > 0 || s.disk != nil || s.state(t).Allowed {
		t.Errorf("%+v %s", s.room.triggers, s.disk)
	}
	if len(s.entries) != 2 || !strings.HasPrefix(s.entries[1], `triggers {"do":"triggers_deny"`) {
		t.Errorf("%q", s.entries)
	}
}

func TestOnlyThisMachineIsCalled(t *testing.T) {
	for _, bad := range []string{"", "127.0.0.1:80", "http://localhost/", "http://127.0.0.2/", "http://127.1/", "http://2130706433/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/",
		"http://10.0.0.1/", "http://127.0.0.1.example.com/", "ftp://127.0.0.1/", "http://a@127.0.0.1/", "http://127.0.0.1/#x", "unix:///run/x", "http://[::1%25lo]/"} {
		if _, err := loopback(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, good := range []string{"http://127.0.0.1:9000/guide?x=1", "https://[::1]:9000", "http://127.0.0.1"} {
		if _, err := loopback(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	// Also what got past that, or is in the state, is not dialled.
	for _, to := range []string{"http://127.0.0.2:9/", "http://192.0.2.1/", "http://localhost:9/"} {
		if err := post(t.Context(), client(), to, call{}); !errors.Is(err, errElsewhere) {
			t.Errorf("%s: %v", to, err)
		}
	}
	// A redirect is an answer like any other that is no 2xx.
	reached := make(chan call, 1)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached <- call{} }))
	defer elsewhere.Close()
	away := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer away.Close()
	t.Setenv("HTTP_PROXY", elsewhere.URL)
	if err := once(t.Context(), client(), away.URL, []byte("{}")); err == nil || len(reached) > 0 {
		t.Errorf("followed: %v", err)
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	s := newSite(t)
	rule := func(text string) string {
		return `{"fieldpost_triggers":1,"catalog":"forge","rules":[` + text + `]}`
	}
	for text, code := range map[string]string{
		rule(`{"id":"a","kind":"not_tried","measure":"areas","feature":"docs","active_days":5}`):                            "rules_invalid",
		rule(`{"id":"a","kind":"spy","measure":"areas","purpose":"p"}`):                                                     "rules_invalid",
		rule(`{"id":"a","kind":"not_tried","measure":"areas","feature":"docs","active_days":29,"purpose":"p"}`):             "rules_invalid",
		rule(`{"id":"a","kind":"not_tried","measure":"areas","feature":"docs","active_days":5,"again":"1h","purpose":"p"}`): "rules_invalid",
		rule(`{"id":"a","kind":"unfinished","measure":"into_review","after":"5m","purpose":"p"}`):                           "rules_invalid",
		rule(`{"id":"a","kind":"unfinished","measure":"into_review","after":"24h","purpose":"p","where":"x"}`):              "rules_invalid",
		rule(``):         "rules_invalid",
		someRules + `{}`: "rules_invalid",
		rule(`{"id":"a","kind":"not_tried","measure":"people","feature":"docs","active_days":5,"purpose":"p"}`): "rules_catalog",
		rule(`{"id":"a","kind":"not_tried","measure":"areas","feature":"golf","active_days":5,"purpose":"p"}`):  "rules_catalog",
		rule(`{"id":"a","kind":"unfinished","measure":"into_review","after":"360h","purpose":"p"}`):             "rules_catalog",
		strings.Replace(someRules, `"forge"`, `"other"`, 1):                                                     "rules_catalog",
	} {
		o := control.PersonsOrder{Do: control.AllowTriggers, By: "x", Rules: []byte(text), Webhook: "http://127.0.0.1:9/"}
		o.Signature = ed25519.Sign(s.vendor, append([]byte(rulesDomain), text...))
		var e *control.Error
		if _, err := s.room.Carry(t.Context(), s.host(), o); !errors.As(err, &e) || e.Code != code {
			t.Errorf("%s: %v, want %s", text, err, code)
		}
	}
	o := s.order(t, someRules, "http://127.0.0.1:9/")
	for name, forged := range map[string][]byte{"none": nil, "another": make([]byte, 64), "a catalog's": ed25519.Sign(s.vendor, append([]byte("fieldpost/catalog/v1\x00"), someRules...))} {
		o.Signature = forged
		var e *control.Error
		if _, err := s.room.Carry(t.Context(), s.host(), o); !errors.As(err, &e) || e.Code != "rules_signature" {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.at.Statement = nil
	var e *control.Error
	if _, err := s.room.Carry(t.Context(), s.host(), s.order(t, someRules, "http://127.0.0.1:9/")); !errors.As(err, &e) || e.Code != "triggers_consent" {
		t.Error(err)
	}
	if len(s.entries) > 0 || s.room.triggers.Decision != nil {
		t.Errorf("%q", s.entries)
	}
}

func TestSmallValuesOfATraitAreMerged(t *testing.T) {
	for want, sizes := range map[string]map[string]int{
		"a=a b=b":                       {"a": 12, "b": 30},
		"":                              {"a": 11, "b": 30, "c": 0}, // b joins a: one group is none
		"a=(other) b=(other) c=c":       {"a": 11, "b": 30, "c": 31},
		"a=(other) b=b c=(other)":       {"a": 6, "b": 30, "c": 6},
		"(other)=(other) a=(other) b=b": {"(other)": 20, "a": 3, "b": 12},
		"=(none) a=a":                   {"": 12, "a": 12},
	} {
		people := map[pseudonym]*row{}
		for v, n := range sizes {
			for range n {
				people[pseudonym{byte(len(people)), 1}] = &row{trait: v}
			}
		}
		var got []string
		merged := merge(people)
		for _, v := range []string{"", "(other)", "a", "b", "c"} {
			if merged[v] != "" {
				got = append(got, fmt.Sprintf("%s=%s", v, merged[v]))
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%v: %q, want %q", sizes, s, want)
		}
	}
}

func FuzzBlockOpensWhatItClosed(f *testing.F) {
	f.Add([]byte{1, 2, 3}, 2)
	f.Fuzz(func(t *testing.T, packed []byte, measures int) {
		b := &block{Measures: make([]string, measures&3), Values: []string{"x"}, Packed: packed}
		people := b.open()
		if len(people) > len(packed)/18 {
			t.Fatalf("%d rows of %d bytes", len(people), len(packed))
		}
		b.close(people)
		again := b.open()
		if len(again) != len(people) || b.People != len(people) {
			t.Fatalf("%d rows, then %d", len(people), len(again))
		}
		for id, x := range people {
			if y := again[id]; y == nil || y.trait != x.trait || y.first != x.first || fmt.Sprint(y.figures) != fmt.Sprint(x.figures) {
				t.Fatalf("%v became %v", x, again[id])
			}
		}
	})
}

//go:build pseudonymous

package agent

import (
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/record"
)

// beginners feeds a site five people: "stuck" (also stuck-2) wrote code yesterday and today, "reader" also documents, "through" took in
// a change of others, "fresh" began now, and "bot" is automation.
func beginners(t testing.TB, a *Agent, now time.Time) {
	t.Helper()
	c := a.current
	before := now.Add(-24*time.Hour - 10*time.Minute)
	feed := func(ev ...record.Event) {
		t.Helper()
		if _, err := a.journal.Append(t.Context(), &record.Record{Kind: record.Request, Received: now.UnixNano(), Catalog: [8]byte(c.Hash[:8]), Events: ev}); err != nil {
			t.Fatal(err)
		}
	}
	did := func(user, event string, area uint16, at time.Time) {
		t.Helper()
		_, n := c.Event(event)
		ev := record.Event{Type: record.Track, Def: uint16(n), Time: at.UnixNano(), User: user}
		if event == "change_authored" {
			ev.Properties = []record.Value{{Property: 0, Index: area}}
		}
		feed(ev)
	}
	const code, docs = 0, 1
	feed(record.Event{Type: record.Identify, Time: before.UnixNano(), User: "bot", Properties: []record.Value{{Index: 2}}})
	for _, u := range []string{"stuck", "reader", "through", "bot"} {
		did(u, "change_authored", code, before)
		did(u, "change_authored", code, now)
	}
	did("reader", "change_authored", docs, now)
	did("through", "change_accepted", 0, before.Add(time.Hour))
	did("fresh", "change_authored", code, now)
	feed(record.Event{Type: record.Alias, Time: now.UnixNano(), Previous: "stuck", User: "stuck-2"})
	caughtUp(t, a)
}

// Rules meet whom the fold says they are about, and each person once; the ids reach a program on this machine.
func TestExactTriggersCallForThoseTheyAreAbout(t *testing.T) {
	calls := make(chan string, 100)
	guide := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var c struct{ Rule, User string }
		_ = json.NewDecoder(r.Body).Decode(&c)
		calls <- c.Rule + " " + c.User
	}))
	defer guide.Close()
	a := opened(t, real(t, nil))
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	a.id.Enrolment.CatalogKey = pub
	now := time.Now()
	beginners(t, a, now)
	rules := []byte(`{"fieldpost_triggers":1,"catalog":"forge","rules":[
	 {"id":"docs","kind":"not_tried","measure":"areas","feature":"docs","active_days":2,"purpose":"a guide"},
	 {"id":"review","kind":"unfinished","measure":"into_review","after":"1h","purpose":"a guide"}]}`)
	sig, err := SignRules(rules, key)
	if err != nil {
		t.Fatal(err)
	}
	ask, end := running(t, a)
	if _, err := ask.Persons(t.Context(), control.PersonsOrder{Do: control.AllowTriggers, By: "j.d.", Rules: rules, Signature: sig, Webhook: guide.URL}); err != nil {
		t.Fatal(err)
	}
	hash := [8]byte(a.words.Load().Hash())
	tick := func(at time.Time) (no uint64) {
		t.Helper()
		no, err := a.journal.Append(t.Context(), &record.Record{Kind: record.Tick, Received: at.UnixNano(), Catalog: hash})
		if err != nil {
			t.Fatal(err)
		}
		return no
	}
	got := []string{}
	for at := now; len(got) == 0; at = at.Add(time.Millisecond) { // until the room serves
		tick(at)
		select {
		case x := <-calls:
			got = append(got, x)
		case <-time.After(10 * time.Millisecond):
		}
	}
	for len(got) < 4 {
		got = append(got, <-calls)
	}
	slices.Sort(got)
	if want := "docs stuck-2, docs through, review reader, review stuck-2"; strings.Join(got, ", ") != want {
		t.Errorf("%q, want %q", got, want)
	}
	last := uint64(0)
	for h := range 4 {
		last = tick(now.Add(time.Duration(h+1) * time.Hour))
	}
	if err := a.waitApplied(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	out, err := ask.Persons(t.Context(), control.PersonsOrder{Do: control.ShowPersons})
	if err != nil || out.Triggers.Fired != out.Triggers.Called+uint64(out.Triggers.Waiting) || len(out.Triggers.Rules) != 2 {
		t.Errorf("%+v %v", out.Triggers, err)
	}
	// "fresh" wrote their first change an hour before the second look, and is the only one that came to be met.
	if x := <-calls; x != "review fresh" || len(calls) > 0 {
		t.Errorf("called again: %s and %d more", x, len(calls))
	}
	if _, err := ask.Wipe(t.Context(), control.WipeOrder{}); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
}

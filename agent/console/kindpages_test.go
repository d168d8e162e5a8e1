package console

import (
	"net/url"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// TestThePoolIsALineOfItsOwn: it knows off and strict only, and joining it decides nothing else.
func TestThePoolIsALineOfItsOwn(t *testing.T) {
	site := newKindsSite()
	r := start(t, site).login()
	await(t, r, "/consent")
	_, page := r.get("/consent")
	contains(t, page, "Pool", "at least 100 other customers", "ε = 4", "Only from 50 people on", "with noise", "At a small site this can tell whether a particular person worked.")
	if strings.Contains(page, `id="level-pool-aggregate"`) || strings.Contains(page, `id="level-pool-local"`) {
		t.Error("the pool has levels it cannot have")
	}
	form := url.Values{"token": {r.token()}, "catalog": {exchange.Hash(site.book.Hash).String()}, "by": {"a.b."}, "level.pool": {"aggregate"}}
	r.post("/consent/decide", form)
	if len(site.decided) != 0 {
		t.Fatal("the pool was joined at a level it does not have")
	}
	form.Set("level.pool", "strict")
	_, page = r.post("/consent/review", form)
	contains(t, page, "Pool: what would be sent", "Sent to the pool, every 12 weeks")
	r.post("/consent/decide", form)
	if len(site.decided) != 1 || len(site.decided[0].Levels) != 1 || site.decided[0].Levels["pool"] != exchange.Strict {
		t.Errorf("decided %+v", site.decided)
	}
}

func TestWhatLeavesOpensToItsReason(t *testing.T) {
	r := start(t, newFakeSite()).login()
	_, page := r.get("/leaves")
	contains(t, page, "why this form", "Out of 62 people; code book of fives", "how that follows", "What could be concluded", "fieldpost-agent audit")
}

func TestDoorsAndTheSealAreOnTheHealthPage(t *testing.T) {
	site := newFakeSite()
	r := start(t, site).login()
	_, page := r.get("/")
	contains(t, page, "StatsD", "4,990", "127.0.0.1:8125", "Metrics read", "311 samples", "The answer is HTML.", "not asked", "encrypted by the site key")
	site.mu.Lock()
	site.status = func(s *control.Status) {
		s.StatsD.Lost++
		s.Sealed = false
	}
	site.mu.Unlock()
	_, page = r.get("/")
	contains(t, page, "does not add up", "not all of it encrypted")
	if strings.Contains(page, "encrypted by the site key") {
		t.Error("what is not sealed is called encrypted")
	}
}

// TestEachKindHasADrawingAndATable on its own page.
func TestEachKindHasADrawingAndATable(t *testing.T) {
	r := start(t, newKindsSite()).login()
	for id, want := range map[string]string{"habit": "21-28 days", "kept": "still there in week", "flow": "dormant", "seats": "purchased", "activation": "Time to the last step", "features": "habitual",
		"next": "within 30 minutes", "guide_test": "Mean of minutes", "moved": "confidence", "stage": "production", "first_published": "within 3 days"} {
		await(t, r, "/use/"+id)
		_, page := r.get("/use/" + id)
		contains(t, page, want, "Figures", "newest first")
	}
	await(t, r, "/use/activation?by=role")
	_, page := r.get("/use/activation?by=role")
	contains(t, page, "role: admin", "role: (other)")
}

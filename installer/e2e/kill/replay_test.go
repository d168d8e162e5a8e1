// Package kill proves that what was accepted is kept and counts once, with real processes that are
// ended by SIGKILL at random moments: an agent that replays a recorded history into a collector, the
// collector, or both; and an agent under load from a product. Afterwards the agent's ledger and
// the collector's figures are compared cell by cell, with each other and with a replay that nobody
// disturbed.
//
// The seed is printed; -seed N does the same again, as far as the machine allows. -rounds N makes it
// longer. There is no state on disk outside the tests' temporary folders.
package kill

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.MainPlain(m, "fieldpost-agent", "fieldpost-collector"))
}

var (
	seedFlag = flag.Uint64("seed", 0, "seed of the random moments; 0: a new one")
	rounds   = flag.Int("rounds", 50, "how often something is killed in TestReplay")
)

// random is the test's source of chance; its seed is printed.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("do it again with: go test ./installer/e2e/kill -run %s -seed %d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// moment is when the next kill comes.
func moment(rng *rand.Rand) time.Duration {
	return 20*time.Millisecond + time.Duration(rng.Int64N(int64(380*time.Millisecond)))
}

// active is how many sites are replayed at a time.
const active = 2

// TestReplay kills agents and collector during replays of several sites; when one is through, the
// next history begins.
func TestReplay(t *testing.T) {
	rng := random(t)
	began := time.Now()
	v := newVendor(t)
	list := examples.Installations()
	rng.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
	var sites []*site
	levels := []string{"totals", "aggregate"}
	for round := range *rounds {
		if !v.running() && rng.IntN(4) > 0 { // sometimes away for a while
			v.start()
			if rng.IntN(4) > 0 { // sometimes killed while it starts
				v.ready()
			}
		}
		running := replaying(sites)
		if len(running) == 0 && !v.running() { // all were through while it was away: the next ones need it
			v.start()
		}
		for len(running) < active && len(sites) < len(list) && v.running() {
			v.ready()
			sites = append(sites, join(t, v, list[len(sites)], "", levels[len(sites)%2]))
			running = replaying(sites)
		}
		if len(running) == 0 {
			t.Fatalf("round %d: every history is through; fewer -rounds", round)
		}
		time.Sleep(moment(rng))
		what := rng.IntN(10)
		if what >= 6 && v.running() { // 6…9: the collector, 8 and 9 with an agent
			v.kill()
		}
		if victim := running[rng.IntN(len(running))]; what < 6 || what >= 8 {
			victim.kill()
			if round%3 == 0 {
				victim.status()
			}
		}
	}
	if !v.running() {
		v.start()
	}
	v.ready()
	finish(t, sites)
	v.kill() // with batches on the stream that are acknowledged and not yet in the store
	v.start()
	v.ready()
	sum := &summary{}
	for _, s := range sites {
		sum.add(t, v, s)
	}
	sum.undisturbed(t, v, sites)
	sum.spotless(t, v)
	t.Logf("%d rounds in %s: %s", *rounds, time.Since(began).Round(time.Second), sum)
	if sum.lost+sum.doubled+sum.differing > 0 || sum.cells == 0 {
		t.Errorf("lost %d, doubled %d, differing %d of %d cells", sum.lost, sum.doubled, sum.differing, sum.cells)
	}
}

// replaying starts what does not run and is not through, and gives it.
func replaying(sites []*site) (running []*site) {
	for _, s := range sites {
		if s.ended() && !s.done || s.p == nil {
			s.start()
		}
		if !s.done {
			running = append(running, s)
		}
	}
	return running
}

// finish lets all replays come to their end.
func finish(t *testing.T, sites []*site) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); ; {
		running := replaying(sites)
		if len(running) == 0 {
			return
		}
		select {
		case <-running[0].p.done:
		case <-time.After(time.Until(end)):
			t.Fatalf("the replay of %s does not end\n%s", running[0].name(), running[0].p.log)
		}
	}
}

// summary is what was found.
type summary struct {
	sites, kills, vendorKills, outages, batches, cells int
	lost, doubled, differing                           int
}

func (x *summary) String() string {
	return fmt.Sprintf("%d sites, %d kills of agents and %d of the collector, %d replays cut off by its absence, %d batches, %d cells; lost %d, doubled %d, differing %d",
		x.sites, x.kills, x.vendorKills, x.outages, x.batches, x.cells, x.lost, x.doubled, x.differing)
}

// add compares a site's ledger with what the collector has.
func (x *summary) add(t *testing.T, v *vendor, s *site) {
	t.Helper()
	d := s.status().Delivery
	if d.Outbox != 0 || d.Quarantined != 0 || d.Waiting != 0 || d.Acknowledged == 0 {
		t.Errorf("%s: %+v", s.name(), d)
	}
	sent, batches, doubled := s.sent()
	if uint64(batches) != d.Acknowledged {
		t.Errorf("%s: %d batches on the ledger, %d acknowledged", s.name(), batches, d.Acknowledged)
	}
	x.sites++
	x.kills += s.kills
	x.vendorKills = v.kills
	x.outages += s.outage
	x.batches += batches
	x.cells += len(sent)
	x.doubled += doubled
	stored := v.settled(s, len(sent), &x.doubled)
	x.compare(t, s.name()+", ledger and collector", sent, stored)
}

// settled is what the collector has when everything has come from the stream into the store.
func (v *vendor) settled(s *site, want int, doubled *int) map[string]report.Figure {
	v.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		figures, twice := v.stored(s.account, s.in.Installation)
		if len(figures) >= want || time.Now().After(end) {
			*doubled += twice
			return figures
		}
	}
}

func (x *summary) compare(t *testing.T, what string, want, got map[string]report.Figure) {
	t.Helper()
	told := 0
	say := func(format string, args ...any) {
		if told++; told <= 3 {
			t.Errorf(what+": "+format, args...)
		}
	}
	for key, w := range want {
		g, ok := got[key]
		switch {
		case !ok:
			x.lost++
			say("lost: %+v", w)
		case !reflect.DeepEqual(g, w):
			x.differing++
			say("differing: %+v is %+v", w, g)
		}
	}
	for key, g := range got {
		if _, ok := want[key]; !ok {
			x.doubled++
			say("from nowhere: %+v", g)
		}
	}
}

// undisturbed replays the histories of the most troubled sites once more, into the same collector and
// in peace: the same events count, and the same figures leave.
func (x *summary) undisturbed(t *testing.T, v *vendor, sites []*site) {
	t.Helper()
	for range 2 {
		var worst *site
		for _, s := range sites {
			if s.kills > 0 && (worst == nil || s.kills > worst.kills) {
				worst = s
			}
		}
		if worst == nil {
			t.Error("no site was killed")
			return
		}
		calm := join(t, v, worst.in, "-in-peace", worst.level)
		calm.start()
		finish(t, []*site{calm})
		a, _, _ := worst.sent()
		b, _, _ := calm.sent()
		x.compare(t, worst.name()+", in peace and not", b, a)
		if before, after := worst.status().Events, calm.status().Events; !reflect.DeepEqual(before, after) {
			t.Errorf("%s: killed %d times it accounts for %+v, in peace for %+v", worst.name(), worst.kills, before, after)
		}
		if err := accountsOf(calm.p.out.Bytes(), calm.in.Events); err != nil {
			t.Errorf("%s: %v", calm.name(), err)
		}
		worst.kills = -worst.kills
	}
}

// accountsOf says whether a replay's result received every event of the file.
func accountsOf(result []byte, events int) error {
	var r struct{ Events control.Counts }
	if err := json.Unmarshal(result, &r); err != nil {
		return err
	}
	if r.Events.Received != uint64(events) {
		return fmt.Errorf("%d events received of %d", r.Events.Received, events)
	}
	return nil
}

// spotless: nothing was refused, given up or set aside as told twice.
func (x *summary) spotless(t *testing.T, v *vendor) {
	t.Helper()
	for _, what := range []string{"quarantine", "losses", "aside"} {
		var page struct{ Rows []json.RawMessage }
		v.get("/api/v1/"+what, url.Values{}, &page)
		rows := page.Rows
		if len(rows) > 0 {
			t.Errorf("%d rows in %s, the newest: %s", len(rows), what, rows[0])
		}
	}
}

// Package pool shows the whole way of the pool: many small sites that tell nothing of their own, and one sum.
package pool

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/settings"
	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

const catalogFile = `
catalog: small
version: 1
vendor: Example
events:
  used: {match: Used}
measures:
  - id: people
    kind: active_users
    events: [used]
    pool: true
    category: usage
    question: "How many people use it?"
    purpose: "Knowing whether small customers use it at all"
    owner: product
    retention: 730d
`

func TestMain(m *testing.M) { os.Exit(harness.MainPlain(m, "fieldpost-collector")) }

const (
	sites  = 104
	people = 7
)

// recorded is half a year of a small site; it says how many were active in each block of 12 weeks.
func recorded(t *testing.T, seed uint64) (file string, active map[string]int) {
	r := rand.New(rand.NewPCG(seed, 1))
	begin := time.Date(2024, 1, 22, 9, 0, 0, 0, time.UTC) // the first Monday of a block of 12 weeks
	var b strings.Builder
	seen := map[string]map[int]bool{}
	n := 0
	for d := range 27 * 7 {
		for u := range people {
			if r.IntN(20) > 0 && d > 0 {
				continue
			}
			n++
			at := begin.AddDate(0, 0, d).Add(time.Duration(u) * time.Minute)
			fmt.Fprintf(&b, `{"type":"track","event":"Used","messageId":"m%d","userId":"u%d","timestamp":%q,"receivedAt":%q}`+"\n", n, u, at.Format(time.RFC3339), at.Format(time.RFC3339))
			block := begin.AddDate(0, 0, d/84*84).Format(time.DateOnly)
			if seen[block] == nil {
				seen[block] = map[int]bool{}
			}
			seen[block][u] = true
		}
	}
	active = map[string]int{}
	for block, users := range seen {
		active[block] = len(users)
	}
	file = filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, active
}

func TestManySmallSitesTellOneSum(t *testing.T) {
	c := harness.NewCollector(t, []byte(catalogFile))
	truth := map[string]int{}
	type one struct{ token, file string }
	var all []one
	for i := range sites { // before any state is opened: a command that is being started holds what is open
		token := filepath.Join(t.TempDir(), "token")
		c.Must("token", "create", "--account", fmt.Sprintf("account-%03d", i), "--installation", "main", "--environment", "test", "--out", token)
		file, active := recorded(t, uint64(i))
		for block, n := range active {
			truth[block] += n
		}
		all = append(all, one{token, file})
	}
	var wg sync.WaitGroup
	work := make(chan one)
	for range 2 {
		wg.Go(func() {
			for x := range work {
				site(t, x.token, x.file)
			}
		})
	}
	for _, x := range all {
		work <- x
	}
	close(work)
	wg.Wait()

	told := 0
	for line := range strings.Lines(c.Must("pool", "--measure", "people", "-o", "json")) {
		var f struct{ Measure, Block, Dims, Accounts, Reason, Sum, Margin string }
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if f.Reason != "" {
			continue // the last block is not complete everywhere
		}
		told++
		sum, err1 := strconv.ParseFloat(f.Sum, 64)
		margin, err2 := strconv.ParseFloat(f.Margin, 64)
		if err1 != nil || err2 != nil || f.Accounts != strconv.Itoa(sites) {
			t.Fatalf("%+v", f)
		}
		// Once in 20 blocks the truth lies beyond the error bar, beyond twice the bar practically never.
		if exact := float64(truth[f.Block]); math.Abs(sum-exact) > 2*margin || margin <= 0 || margin > 0.1*exact {
			t.Errorf("block %s: told %v ± %v, exactly %v", f.Block, sum, margin, exact)
		}
		t.Logf("block %s: %s ± %s people of %s accounts, exactly %d", f.Block, f.Sum, f.Margin, f.Accounts, truth[f.Block])
	}
	if told == 0 {
		t.Error("nothing was told")
	}
	for line := range strings.Lines(c.Must("query", "--measure", "people", "-o", "json")) {
		if !strings.Contains(line, `"form":"suppressed"`) {
			t.Errorf("a site told something of its own: %s", line)
		}
	}
}

// site enrols, decides and replays.
func site(t *testing.T, token, file string) {
	s, err := settings.Load(settings.Source{Getenv: func(string) string { return "" },
		Flags: map[string]string{"state": filepath.Join(t.TempDir(), "state"), "listen": "127.0.0.1:0", "console": "off"}})
	if err != nil {
		t.Error(err)
		return
	}
	cfg := agent.Config{Settings: s, Version: "0.1.0", Simulated: true}
	raw, err := os.ReadFile(token)
	if err != nil {
		t.Error(err)
		return
	}
	tok, err := exchange.ParseToken(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Error(err)
		return
	}
	_, err = agent.Enroll(t.Context(), cfg, tok)
	for wait := time.Second; err != nil && wait < time.Minute && strings.Contains(err.Error(), "collector_busy"); wait *= 2 { // all come from one address
		time.Sleep(wait)
		_, err = agent.Enroll(t.Context(), cfg, tok)
	}
	if err != nil {
		t.Error(err)
		return
	}
	a, err := agent.Open(cfg)
	if err != nil {
		t.Error(err)
		return
	}
	defer a.Close()
	d := &control.Decision{Levels: map[string]exchange.Level{"usage": exchange.Local, "pool": exchange.Strict}, By: "j.d.", Accept: true}
	if _, err := a.Replay(t.Context(), agent.ReplayOptions{Files: []string{file}, Consent: d}); err != nil {
		t.Error(err)
	}
}

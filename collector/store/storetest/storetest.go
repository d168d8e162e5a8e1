// Package storetest is the one suite that every implementation of package store passes:
// exactly-once by mark and by window, roll-ups that equal a recomputation from the cells,
// tokens that are used exactly as often as they say, lists that filter, rank and page.
//
// Use it from the implementation's own test:
//
//	storetest.Run(t, func(t *testing.T) storetest.Store { … })
//
// It keeps nothing; each case gets a fresh, empty store.
package storetest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Store is everything an implementation does.
type Store interface {
	store.Enrolment
	store.Agents
	store.Statements
	store.Catalogs
	store.Accounts
	store.Fleet
	store.Measurements
	store.Pool
	store.Troubles
	store.Writer
	store.Arrivals
	store.Auditor
	store.Users
	store.Secrets
}

// Run runs every case on a store of its own. open returns an empty one and closes it when t ends.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, c := range []struct {
		name string
		f    func(*testing.T, Store)
	}{
		{"tokens", tokens},
		{"TestS02_single_use_under_concurrent_joins", singleUse},
		{"TestS03_max_uses_exact_under_race", maxUses},
		{"TestS14_no_usable_secret", noSecret},
		{"check-ins and statements", checkIns},
		{"catalogs", catalogs},
		{"batches once", batchesOnce},
		{"windows once", windowsOnce},
		{"refusals consume their seq", refusals},
		{"a failed transaction leaves nothing", failedApply},
		{"roll-ups equal a recomputation", rollups},
		{"users of several installations overlap", unions},
		{"one grain speaks for a period", grains},
		{"figures page and filter", figures},
		{"accounts filter, rank and page", accounts},
		{"installations filter, rank and page", fleet},
		{"coverage counts each installation once", coverage},
		{"backlog", backlog},
		{"noised blocks are added up", pooled},
		{"what was given to the pool is told in sums alone", poolHidden},
		{"blocks and 28 days are periods, and people are not added", blocks},
		{"troubles", troubles},
		{"users and secrets", secrets},
	} {
		t.Run(c.name, func(t *testing.T) { c.f(t, open(t)) })
	}
}

// epoch0 is when every case begins.
var epoch0 = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC) // a Monday

// site is an enrolled agent that makes batches.
type site struct {
	store.Agent
	epoch exchange.ID
	seq   uint64
	prev  exchange.Hash
}

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func pub(name string) []byte { return key(name).Public().(ed25519.PublicKey) }

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func token(name, account, installation, env string, uses int) store.Token {
	id := sha256.Sum256([]byte("token " + name))
	return store.Token{ID: exchange.ID(id[:16]), Key: pub("token " + name), Account: account, Installation: installation, Environment: env,
		MaxUses: uses, Created: epoch0, Expires: epoch0.Add(24 * time.Hour), By: "test"}
}

// enrol makes a site; account and installation in one name, "acme/eu".
func enrol(t *testing.T, s Store, account, installation, env string) *site {
	t.Helper()
	name := account + "/" + installation
	tok := token(name, account, installation, env, 1)
	ok(t, s.AddToken(t.Context(), tok))
	a := must[store.Agent](t)(s.Join(t.Context(), tok.ID, pub("agent "+name), epoch0))
	id := sha256.Sum256([]byte("epoch " + name))
	return &site{Agent: a, epoch: exchange.ID(id[:16])}
}

// batch freezes cells as the site's next batch.
func (s *site) batch(cells ...store.Cell) store.Batch {
	s.seq++
	b := store.Batch{Agent: s.ID, Epoch: s.epoch, Seq: s.seq, Prev: s.prev, Bytes: 100, Zone: "UTC",
		Received: epoch0.Add(time.Duration(s.seq) * time.Hour), Cells: cells}
	b.Hash = sha256.Sum256([]byte(fmt.Sprint(s.ID, s.epoch, s.seq)))
	s.prev = b.Hash
	return b
}

func apply(t *testing.T, s Store, batches ...store.Batch) []store.Result {
	t.Helper()
	r := must[[]store.Result](t)(s.Apply(t.Context(), batches))
	if len(r) != len(batches) {
		t.Fatalf("%d results for %d batches", len(r), len(batches))
	}
	return r
}

// Series that the cases use.
func people(g report.Grain, dims map[string]string) *store.Series {
	return &store.Series{Measure: "people", Hash: "00000000000000aa", Kind: "active_users", Subject: "person", Category: "usage", Field: report.Value, Grain: g, Dims: dims}
}

func requests(g report.Grain) *store.Series {
	return &store.Series{Measure: "requests", Hash: "00000000000000bb", Kind: "count", Subject: "traffic", Category: "usage", Field: report.Value, Grain: g}
}

func exact(s *store.Series, start int64, v float64) store.Cell {
	return store.Cell{Series: s, Start: start, Form: report.Exact, Lo: v, Hi: v}
}

func band(s *store.Series, start int64, lo, hi float64) store.Cell {
	return store.Cell{Series: s, Start: start, Form: report.Band, Lo: lo, Hi: hi}
}

// monday is the civil day of the nth week after epoch0's.
func monday(n int) int64 {
	return report.CivilStart(report.Week, report.CivilDay(epoch0, time.UTC)) + int64(7*n)
}

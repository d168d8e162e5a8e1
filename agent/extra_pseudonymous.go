//go:build pseudonymous

package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/ledger"
	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/pseudonymous"
	"github.com/fieldpost/fieldpost/agent/record"
)

// extra is rows and triggers about single people. Guarded by Agent.mu.
type extra struct{ room pseudonymous.Room }

var _ control.Persons = (*Agent)(nil)

func (x *extra) load(b json.RawMessage) error { return x.room.Load(b) }
func (x *extra) save(a *Agent) (json.RawMessage, error) {
	return x.room.Save(a.around(a.store.Fold().Now()))
}
func (x *extra) forget(a *Agent, r *record.Record) {
	x.room.Forget(a.around(r.Received), string(r.Data))
}
func (x *extra) applied(a *Agent, r *record.Record)        { x.room.Applied(a.around(r.Received)) }
func (x *extra) serve(ctx context.Context, a *Agent) error { return x.room.Serve(ctx, a.host()) }
func (x *extra) closed(a *Agent, w *measure.Window) {
	x.room.Closed(a.around(w.Closed), &w.Catalog.Measures[w.Measure], w.Grain, w.Start)
}

// around is the site as the room sees it at a moment. mu is held.
func (a *Agent) around(ns int64) pseudonymous.Site {
	s := pseudonymous.Site{People: a.store.Fold().Persons(), Catalog: a.current, MAC: a.vault.MAC, Now: time.Unix(0, ns), Zone: a.zoneAt(ns), Simulated: a.cfg.Simulated,
		Statement: a.policy.Statement, Accepted: a.policy.Accepted, Settings: a.cfg.Settings}
	if e := a.id.Enrolment; e != nil {
		s.Vendor, s.Name = e.CatalogKey, e.Account+"/"+e.Installation
	}
	return s
}

func (a *Agent) host() pseudonymous.Host {
	return pseudonymous.Host{Mu: &a.mu, Commit: a.checkpoint, Site: func() pseudonymous.Site { return a.around(a.now().UnixNano()) },
		Record: func(ctx context.Context, kind string, detail any) error {
			return a.record(ctx, ledger.Kind(kind), detail)
		}}
}

// Persons carries out an order about single people.
func (a *Agent) Persons(ctx context.Context, o control.PersonsOrder) (control.PersonsAnswer, error) {
	a.keeping.Lock()
	defer a.keeping.Unlock()
	return a.extra.room.Carry(ctx, a.host(), o)
}

// SignRules signs the bytes of a file of rules with the vendor's catalog key.
func SignRules(raw []byte, key ed25519.PrivateKey) ([]byte, error) {
	return pseudonymous.SignRules(raw, key)
}

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/ledger"
	"github.com/fieldpost/fieldpost/agent/vault"
	"github.com/fieldpost/fieldpost/agent/wipe"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

var errWiped = errors.New("the state was wiped")

// Wiping reports whether a wipe of the state was begun and is not finished.
func Wiping(state string) bool { return wipe.Pending(durable.OS(), state) }

// Wipe deletes a state that no agent holds. It needs no key: it is the way out when that is lost.
func Wipe(ctx context.Context, cfg Config, o control.WipeOrder) (w control.Wiped, err error) {
	a := newAgent(cfg)
	dir := a.cfg.Settings.State
	if a.lock, err = durable.Lock(dir); err != nil {
		return w, stateError(dir, err)
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	order, err := wipe.Begin(a.wipe(), o.KeepEnrolment, o.Ledger)
	if err == nil {
		err = wipe.Finish(ctx, a.wipe())
	}
	if err != nil {
		return w, stateError(dir, err)
	}
	return wipe.Told(order, false, a.cfg.Settings.SiteKeyFile), nil
}

// Wipe begins to delete the state of a running agent: its key is gone when Wipe returns. The agent stops then
// and deletes the rest when it closes.
func (a *Agent) Wipe(_ context.Context, o control.WipeOrder) (control.Wiped, error) {
	a.wiping.Store(true) // from here on nothing is saved that would have to be deleted again
	order, err := wipe.Begin(a.wipe(), o.KeepEnrolment, o.Ledger)
	if err != nil {
		a.wiping.Store(Wiping(a.cfg.Settings.State))
		return control.Wiped{}, stateError(a.cfg.Settings.State, err)
	}
	a.mu.Lock()
	halt := a.halt
	a.mu.Unlock()
	if halt != nil {
		halt(errWiped)
	}
	return wipe.Told(order, true, a.cfg.Settings.SiteKeyFile), nil
}

// wipe is what a wipe of this state needs.
func (a *Agent) wipe() wipe.Config {
	key := vault.Config{Dir: a.cfg.Settings.State, KeyFile: keyFile(a.cfg), FS: a.cfg.FS, Make: true}
	return wipe.Config{Dir: key.Dir, FS: key.FS, Note: a.noteWipe,
		Destroy: func() error { return vault.Destroy(key) },
		Renew: func() error {
			_, err := vault.Open(key)
			return keyError(a.cfg, err)
		}}
}

// noteWipe notes a wipe on the ledger, once.
func (a *Agent) noteWipe(ctx context.Context, o wipe.Order) (err error) {
	l, err := ledger.Open(ledger.Config{Dir: filepath.Join(a.cfg.Settings.State, "ledger"), FS: a.cfg.FS, MaxBytes: a.cfg.Settings.LedgerMax, Logger: a.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	for e, err := range l.Entries(ledger.Filter{Kind: ledger.Wiped, Newest: 1}) {
		var before wipeDetail
		if err == nil && json.Unmarshal(e.Detail, &before) == nil && before.ID == o.ID {
			return nil
		}
	}
	return l.Record(ctx, ledger.Wiped, wipeDetail{ID: o.ID, KeepEnrolment: o.KeepEnrolment})
}

// wipeDetail is what the ledger says of a wipe.
type wipeDetail struct {
	ID            exchange.ID `json:"id"`
	KeepEnrolment bool        `json:"keep_enrolment"`
}

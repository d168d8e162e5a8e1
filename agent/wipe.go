package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/ledger"
	"github.com/fieldpost/fieldpost/agent/vault"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// wipeName is the file that says that a wipe was begun. It is written first and removed last, so that
// whoever opens the state next finishes it.
const wipeName = "wiping.json"

// wiping is its content.
type wiping struct {
	ID            exchange.ID `json:"id"` // so that the ledger notes it once
	At            time.Time   `json:"at"`
	KeepEnrolment bool        `json:"keep_enrolment"`
	Ledger        bool        `json:"ledger"` // goes too
}

var errWiped = errors.New("the state was wiped")

// measuredNames are the files and folders of a state that hold what was measured; enrolledNames those that say who
// the agent is and what was decided.
func measuredNames() []string { return []string{"journal", "measure", "outbox"} }
func enrolledNames() []string {
	return []string{"consent", "catalogs", "enrolment.json", "key.json", "state.json"}
}

// Wiping reports whether a wipe of the state was begun and is not finished.
func Wiping(state string) bool {
	_, err := durable.OS().Lstat(filepath.Join(state, wipeName))
	return err == nil
}

// Wipe deletes a state that no agent holds. It needs no key: it is the way out when that is lost.
func Wipe(ctx context.Context, cfg Config, o control.WipeOrder) (w control.Wiped, err error) {
	a := newAgent(cfg)
	dir := a.cfg.Settings.State
	if a.lock, err = durable.Lock(dir); err != nil {
		return w, stateError(dir, err)
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.beginWipe(o); err != nil {
		return w, stateError(dir, err)
	}
	order := *a.wiping.Load()
	a.wiping.Store(nil)
	if err := a.finishWipe(ctx); err != nil {
		return w, stateError(dir, err)
	}
	return a.wiped(order, false), nil
}

// Wipe begins to delete the state of a running agent: its key is gone when Wipe returns. The agent stops then
// and deletes the rest when it closes.
func (a *Agent) Wipe(_ context.Context, o control.WipeOrder) (control.Wiped, error) {
	if err := a.beginWipe(o); err != nil {
		return control.Wiped{}, stateError(a.cfg.Settings.State, err)
	}
	a.mu.Lock()
	halt := a.halt
	a.mu.Unlock()
	if halt != nil {
		halt(errWiped)
	}
	return a.wiped(*a.wiping.Load(), true), nil
}

// beginWipe writes down what is to be done and destroys the key. From then on nothing is written that
// would have to be deleted again, and a crash is followed by the rest.
func (a *Agent) beginWipe(o control.WipeOrder) error {
	w := wiping{ID: exchange.NewNonce(), At: time.Now().UTC(), KeepEnrolment: o.KeepEnrolment, Ledger: o.Ledger}
	b, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("beginning to wipe: %w", err)
	}
	if err := durable.WriteFile(a.cfg.FS, a.at(wipeName), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("beginning to wipe: %w", err)
	}
	a.wiping.Store(&w)
	return vault.Destroy(vault.Config{Dir: a.cfg.Settings.State, KeyFile: keyFile(a.cfg), FS: a.cfg.FS})
}

func (a *Agent) at(name string) string { return filepath.Join(a.cfg.Settings.State, name) }

// wiped is what a wipe does, in the words of its answer.
func (a *Agent) wiped(w wiping, pending bool) control.Wiped {
	out := control.Wiped{Pending: pending, Gone: append([]string{"site key"}, measuredNames()...)}
	sort := func(keep bool, names ...string) {
		if keep {
			out.Kept = append(out.Kept, names...)
		} else {
			out.Gone = append(out.Gone, names...)
		}
	}
	sort(w.KeepEnrolment, "identity", "enrolment", "catalogs", "consent")
	sort(!w.Ledger, "ledger")
	if a.cfg.Settings.SiteKeyFile != "" {
		out.Kept = append(out.Kept, a.cfg.Settings.SiteKeyFile)
	}
	return out
}

// finishWipe does what a wipe that was begun has left to do. The caller holds the state's lock and has
// nothing in it open.
func (a *Agent) finishWipe(ctx context.Context) error {
	fsys := a.cfg.FS
	b, err := durable.ReadFile(fsys, a.at(wipeName), 4096)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var w wiping
	if err == nil {
		err = json.Unmarshal(b, &w)
	}
	if err != nil {
		return fmt.Errorf("finishing a wipe: %w", err)
	}
	own := vault.Config{Dir: a.cfg.Settings.State, KeyFile: keyFile(a.cfg), FS: fsys}
	if err := vault.Destroy(own); err != nil {
		return err
	}
	names := measuredNames()
	if w.Ledger {
		names = append(names, "ledger")
	}
	if !w.KeepEnrolment {
		names = append(names, enrolledNames()...)
	}
	for _, name := range names {
		if err := removeAll(fsys, a.at(name)); err != nil {
			return fmt.Errorf("finishing a wipe: %w", err)
		}
	}
	if err := durable.CleanTemps(fsys, a.cfg.Settings.State); err != nil {
		return fmt.Errorf("finishing a wipe: %w", err)
	}
	if !w.Ledger {
		if err := a.noteWipe(ctx, w); err != nil {
			return fmt.Errorf("finishing a wipe: %w", err)
		}
	}
	if w.KeepEnrolment { // a state that goes on needs a key of its own
		own.Make = true
		if _, err := vault.Open(own); err != nil {
			return keyError(a.cfg, err)
		}
	}
	return durable.Remove(fsys, a.at(wipeName))
}

// noteWipe notes the wipe on the ledger, once.
func (a *Agent) noteWipe(ctx context.Context, w wiping) (err error) {
	l, err := ledger.Open(ledger.Config{Dir: a.at("ledger"), Agent: ed25519.PublicKey(nil), FS: a.cfg.FS, MaxBytes: a.cfg.Settings.LedgerMax, Logger: a.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	detail := wipeDetail{ID: w.ID, KeepEnrolment: w.KeepEnrolment}
	for e, err := range l.Entries(ledger.Filter{Kind: ledger.Wiped, Newest: 1}) {
		var before wipeDetail
		if err == nil && json.Unmarshal(e.Detail, &before) == nil && before.ID == w.ID {
			return nil
		}
	}
	return l.Record(ctx, ledger.Wiped, detail)
}

// wipeDetail is what the ledger says of a wipe.
type wipeDetail struct {
	ID            exchange.ID `json:"id"`
	KeepEnrolment bool        `json:"keep_enrolment"`
}

// removeAll removes a file, or a folder with what is in it. A link is emptied, if it leads to a folder, and stays: an
// administrator put it there.
func removeAll(fsys durable.FS, path string) error {
	info, err := fsys.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	entries, err := fsys.ReadDir(path)
	if err != nil {
		if info.IsDir() {
			return err
		}
		return durable.Remove(fsys, path)
	}
	for _, e := range slices.Backward(entries) {
		below := filepath.Join(path, e.Name())
		if e.IsDir() {
			err = removeAll(fsys, below)
		} else {
			err = fsys.Remove(below)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if !info.IsDir() {
		return fsys.SyncDir(path)
	}
	return durable.Remove(fsys, path)
}

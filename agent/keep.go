package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/fieldpost/fieldpost/agent/identity"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/agent/vault"
	"github.com/fieldpost/fieldpost/agent/vault/refusal"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// Uses of the site key; each has a key of its own.
const (
	useJournal = "journal"
	useMeasure = "measure"
)

// keyFile is the file that holds the site key; "": the vault's own.
func keyFile(cfg Config) string {
	path := cfg.Settings.SiteKeyFile
	if real, err := filepath.EvalSymlinks(path); path != "" && err == nil {
		return real // a mounted secret is often a link
	}
	return path
}

// openVault opens the site key, before anything is read or written that is sealed with it. It is made with
// the state, or when a state of before there was one is first opened; later it has to be there.
func (a *Agent) openVault() (err error) {
	dir, fsys := a.cfg.Settings.State, a.cfg.FS
	s, err := identity.Peek(fsys, dir)
	known := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) || s.Layout > identity.Layout {
		return nil // identity says why
	}
	c := vault.Config{Dir: dir, KeyFile: keyFile(a.cfg), FS: fsys, Make: !known || s.Layout < 2, Open: known && s.Layout < 2}
	a.vault, err = vault.Open(c)
	return keyError(a.cfg, err)
}

// keyError gives what can be wrong with the site key a code and a remedy.
func keyError(cfg Config, err error) error {
	return refusal.Of(err, cmp.Or(cfg.Settings.SiteKeyFile, filepath.Join(cfg.Settings.State, "site.key")))
}

// sealAll ends what was begun when a state of before there was a site key was first opened: the checkpoint and
// closed windows are written again, sealed, and the journal's old records, which are in them, go. Until it is done,
// at this start or a later one, both forms are read.
func (a *Agent) sealAll() error {
	if a.vault.Sealed() {
		return nil
	}
	err := a.purge(context.Background())
	if err == nil {
		err = a.vault.SetSealed()
	}
	if errors.Is(err, durable.ErrFull) { // it says so, and works
		a.log.Warn("the state is not sealed yet", "error", err)
		a.unsealed = err
		return nil
	}
	return err
}

// purge commits what the journal holds and lets go of all of it, down to the last byte, whatever its age.
func (a *Agent) purge(ctx context.Context) error {
	if a.journal == nil {
		return a.checkpoint()
	}
	if err := a.journal.Cut(ctx); err != nil {
		return err
	}
	// The newest segment stays, so something has to stand in it: a record of the time.
	ns, _ := a.clock.Received()
	no, err := a.journal.Append(ctx, &record.Record{Kind: record.Tick, Received: ns, Catalog: a.words.Load().Hash()})
	if err != nil {
		return err
	}
	if err := a.measured(ctx, no); err != nil {
		return err
	}
	if err := a.checkpoint(); err != nil {
		return err
	}
	return a.journal.Purge(no)
}

// measured returns when record no was measured.
func (a *Agent) measured(ctx context.Context, no uint64) error {
	if !a.running.Load() {
		return a.catchUp(ctx)
	}
	if err := a.waitApplied(ctx, no); err != nil {
		return fmt.Errorf("waiting for the journal: %w", err)
	}
	return nil
}

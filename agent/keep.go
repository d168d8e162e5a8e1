package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/fieldpost/fieldpost/agent/identity"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/agent/vault"
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
	path := cfg.Settings.SiteKeyFile
	if path == "" {
		path = filepath.Join(cfg.Settings.State, "site.key")
	}
	giveUp := "; without it what was measured here cannot be read again, and is given up by: fieldpost-agent wipe --keep-enrolment --yes"
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vault.ErrMissing):
		return refuse("site_key_missing", "what this state holds is sealed with a site key, and "+path+", or vault.json in the state, is missing",
			"put both back from a backup"+giveUp, 1)
	case errors.Is(err, vault.ErrWrong):
		return refuse("site_key_wrong", path+" is not the key that this state was sealed with, or vault.json was altered",
			"put the right one back, or name it with site_key_file"+giveUp, 1)
	case errors.Is(err, vault.ErrOpenToOthers):
		return refuse("site_key_open", "others than its owner can read "+path+", or it belongs to somebody else", "chmod 600 "+path+", as the user the agent runs as", 1)
	case errors.Is(err, vault.ErrMalformed):
		return refuse("site_key_unreadable", path+" does not hold a site key: 32 bytes in base64, in a plain file", "put the right one back"+giveUp, 1)
	case errors.Is(err, vault.ErrNewer):
		return refuse("state_newer", err.Error(), "install the version that wrote it, or a newer one", 1)
	}
	return err
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

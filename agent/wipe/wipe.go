// Package wipe deletes a state, or what was measured in it, so that it is finished whatever happens.
//
// States on disk:
//
//	wiping.json   a wipe was begun, and what it is to do; written first and removed last
//
// Begin writes it and destroys the site key, Finish does the rest and can be repeated: whoever opens the state
// next calls it before anything else. Crash points: before wiping.json nothing happened; after it, at any moment, the next
// Finish destroys the key (again), deletes, notes it and removes the file. Names that are not a state's are left
// alone.
package wipe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

const name = "wiping.json"

// maxFile bounds wiping.json, which takes 150 bytes.
const maxFile = 4096

// Config of a wipe; all but FS are required.
type Config struct {
	Dir string     // the state, locked by the caller, with nothing in it open
	FS  durable.FS // default durable.OS()
	// Destroy makes what was sealed unreadable for good; it can be repeated.
	Destroy func() error
	// Note notes the wipe on the ledger, once for each Order.ID; not called when the ledger goes too.
	Note func(ctx context.Context, o Order) error
	// Renew gives a state that goes on what it needs to be opened again.
	Renew func() error
}

// Order is what is to be done; it stands in wiping.json.
type Order struct {
	ID            exchange.ID `json:"id"`
	At            time.Time   `json:"at"`
	KeepEnrolment bool        `json:"keep_enrolment"`
	Ledger        bool        `json:"ledger"` // goes too
}

// Measured are the files and folders of a state that hold what was measured.
func Measured() []string { return []string{"journal", "measure", "outbox"} }

// enrolled are those that say who the agent is and what was decided.
func enrolled() []string {
	return []string{"consent", "catalogs", "enrolment.json", "key.json", "state.json"}
}

// Pending reports whether a wipe of the state was begun and is not finished.
func Pending(fsys durable.FS, dir string) bool {
	_, err := fsys.Lstat(filepath.Join(dir, name))
	return err == nil
}

// Begin writes down what is to be done and destroys the key.
func Begin(c Config, keepEnrolment, ledger bool) (Order, error) {
	o := Order{ID: exchange.NewNonce(), At: time.Now().UTC(), KeepEnrolment: keepEnrolment, Ledger: ledger}
	b, err := json.Marshal(o)
	if err != nil {
		return o, fmt.Errorf("beginning to wipe: %w", err)
	}
	if err := durable.WriteFile(c.FS, filepath.Join(c.Dir, name), append(b, '\n'), 0o600); err != nil {
		return o, fmt.Errorf("beginning to wipe: %w", err)
	}
	return o, c.Destroy()
}

// Finish does what a wipe that was begun has left to do; nothing when there is none.
func Finish(ctx context.Context, c Config) error {
	b, err := durable.ReadFile(c.FS, filepath.Join(c.Dir, name), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("finishing a wipe: %w", err)
	}
	var o Order
	if err := json.Unmarshal(b, &o); err != nil {
		// It was whole when it was written, so this is damage. What was sealed is to go in any case; what
		// else was asked for is not known, so the rest stays.
		o = Order{KeepEnrolment: true}
	}
	if err := c.finish(ctx, o); err != nil {
		return fmt.Errorf("finishing a wipe: %w", err)
	}
	return durable.Remove(c.FS, filepath.Join(c.Dir, name))
}

func (c Config) finish(ctx context.Context, o Order) error {
	if err := c.Destroy(); err != nil {
		return err
	}
	names := Measured()
	if o.Ledger {
		names = append(names, "ledger")
	}
	if !o.KeepEnrolment {
		names = append(names, enrolled()...)
	}
	for _, n := range names {
		if err := removeAll(c.FS, filepath.Join(c.Dir, n)); err != nil {
			return err
		}
	}
	if err := durable.CleanTemps(c.FS, c.Dir); err != nil {
		return err
	}
	if !o.Ledger {
		if err := c.Note(ctx, o); err != nil {
			return err
		}
	}
	if !o.KeepEnrolment {
		return nil
	}
	return c.Renew()
}

// removeAll removes a file, or a folder with what is in it. A link that leads to a folder is emptied and stays: an
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

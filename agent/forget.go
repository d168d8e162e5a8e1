package agent

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/journal"
	"github.com/fieldpost/fieldpost/agent/ledger"
	"github.com/fieldpost/fieldpost/agent/ledger/words"
	"github.com/fieldpost/fieldpost/agent/record"
)

// maxName is the longest name a person can have (record.Event.User).
const maxName = 256

// maxForget is how many can be named at once: with the longest names, 16 MB of a control request.
const maxForget = 50_000

// Forget takes people out of everything the agent keeps: names, traits and memberships go from the dictionary, and
// no byte of their names stays on disk. Figures of closed windows stay: they are counts of the past. Somebody
// who is active again is somebody new.
//
// It goes through the journal, so that a replay gives the same. Crash points: before the record is on disk nothing
// happened; after it the next start applies it and, as long as the journal reaches back to it, lets go of
// the journal. The ledger is told first, so that nobody is forgotten without an entry.
func (a *Agent) Forget(ctx context.Context, o control.ForgetOrder) (control.Forgotten, error) {
	out := control.Forgotten{Asked: len(o.Users)}
	if len(o.Users) == 0 || len(o.Users) > maxForget {
		return out, refuse("forget_count", fmt.Sprintf("%d names were given", len(o.Users)), fmt.Sprintf("name 1 to %d people", maxForget), 2)
	}
	for i, u := range o.Users {
		if u == "" || len(u) > maxName || !utf8.ValidString(u) {
			return out, refuse("forget_name", fmt.Sprintf("name %d of %d is empty, not text, or longer than %d bytes", i+1, len(o.Users), maxName), "one name a line, as the product sends it", 2)
		}
	}
	a.keeping.Lock() // one at a time: what is counted is this one's
	defer a.keeping.Unlock()
	if err := a.record(ctx, ledger.Forgotten, words.Forgotten{Asked: len(o.Users)}); err != nil {
		return out, err
	}
	before := a.forgotten()
	// From here on it is carried through, whoever waits for it.
	ctx = context.WithoutCancel(ctx)
	if err := a.journalForget(ctx, o.Users); err != nil {
		return out, stateError(a.cfg.Settings.State, err)
	}
	out.Known = int(a.forgotten() - before)
	if err := a.forgetOnDisk(ctx); err != nil {
		return out, refuse("forget_unfinished", "they are forgotten, but what was written earlier is still on disk: "+err.Error(),
			"make room on the disk and repeat it; the next start tries it too", 1)
	}
	return out, nil
}

func (a *Agent) forgotten() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.forgot
}

// journalForget writes a record for each name and waits until they were applied.
func (a *Agent) journalForget(ctx context.Context, users []string) error {
	if a.journal == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, u := range users {
			if err := a.apply(a.applied+1, &record.Record{Kind: record.Forget, Data: []byte(u), Received: a.virtualNS.Load()}); err != nil {
				return err
			}
		}
		return nil
	}
	var last journal.Ticket
	for _, u := range users {
		r := &record.Record{Kind: record.Forget, Data: []byte(u), Catalog: a.words.Load().Hash()}
		r.Received, _ = a.clock.Received()
		t, err := a.journal.Enqueue(r)
		if err != nil {
			return err
		}
		last = t
	}
	no, err := last.Wait(ctx)
	if err != nil {
		return err
	}
	return a.measured(ctx, no)
}

// forgetOnDisk makes sure that nothing that was written before the newest Forget record is left.
func (a *Agent) forgetOnDisk(ctx context.Context) error {
	a.mu.Lock()
	err := a.store.DropDamaged()
	a.mu.Unlock()
	if err != nil {
		return err
	}
	return a.purge(ctx)
}

// finishForget goes on with what a crash cut off.
func (a *Agent) finishForget(ctx context.Context) error {
	a.mu.Lock()
	to := a.purgeTo
	a.mu.Unlock()
	if to == 0 || a.journal == nil || a.journal.First() > to {
		return nil
	}
	return a.forgetOnDisk(ctx)
}

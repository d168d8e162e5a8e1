//go:build pseudonymous

// Package pseudonymous keeps rows and triggers about single people, in the one build that may: with the tag of that name.
//
// Rows are a person's figures of closed blocks of four weeks under a pseudonym, for a file that the customer
// exports. Triggers are rules of the vendor that call a program on the same machine with a user's id. Nothing of
// either goes over a wire: no other stage knows this room, and it knows none.
//
// # Invariants
//
//   - Nothing is kept or called without a decision of its own, and nothing is that consent to the measure's
//     category no longer covers: Save drops it, and the root saves after every decision.
//   - Kept rows hold pseudonyms, never names. Whoever is forgotten has no row in any block, by any of their names.
//   - A trigger's call is remembered on disk before it is made: at most one a day for a person and rule.
//   - What is kept is bounded: blocksMost, bytesMost, waitingMost, firedMost.
//
// # States on disk
//
// None of its own: what Save gives lies in the fold's checkpoint, which is sealed with the site key and written
// anew when somebody is forgotten. A program without this room drops it with its first checkpoint.
//
// Not safe for concurrent use: Host.Mu guards it, which Carry and Serve take themselves.
package pseudonymous

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/agent/settings"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// People is what the fold holds, person by person, now.
type People interface {
	// Block calls fn for each person with activity in a block of four weeks of a measure, in no order. The block is closing.
	Block(measure string, start int64, fn func(record.Person))
	// Names are all names of the person called name; none when nobody is.
	Names(name string) []string
	// NotTried calls fn for whoever was active on so many days of the last 28 and did not use the feature.
	NotTried(measure, feature string, days int, now int64, fn func(names []string))
	// Unfinished calls fn for whoever entered a funnel between after and after+reach (ns) before now and is not through.
	Unfinished(measure string, after, reach, now int64, fn func(names []string))
}

// Site is the site around the room, as of Now.
type Site struct {
	People    People
	Catalog   *catalog.Catalog    // in force; nil: none
	Statement *exchange.Statement // in force; nil: nothing was decided
	Accepted  *catalog.Catalog    // that the statement names
	Settings  settings.Config
	MAC       func(use string) func(message []byte) []byte // HMAC-SHA256 under keys of the site key
	Now       time.Time
	Zone      *time.Location
	Simulated bool
	Vendor    ed25519.PublicKey // signs catalogs, and rules
	Name      string            // account/installation
}

// consent is the decision in force for a measure.
func (s Site) consent(m *catalog.Measure) exchange.Decision {
	if s.Statement == nil || s.Settings.DoNotTrack {
		return exchange.Decision{Category: m.Category, Level: exchange.Off}
	}
	return s.Statement.Effective(m, s.Accepted)
}

// Host is how the room asks for what it needs when it is called from outside; all are required.
type Host struct {
	Mu     sync.Locker                                              // guards the room
	Site   func() Site                                              // as of now; called with Mu held
	Record func(ctx context.Context, kind string, detail any) error // on the ledger
	Commit func() error                                             // writes a checkpoint
}

// Room is rows and triggers. The zero value is empty and allows nothing.
type Room struct {
	rows     rows
	triggers triggers
}

// saved is what the checkpoint holds.
type saved struct {
	Rows     *rows     `json:"rows,omitempty"`
	Triggers *triggers `json:"triggers,omitempty"`
}

// Save drops what may no longer be kept and gives the rest; nil when there is nothing.
func (r *Room) Save(s Site) (json.RawMessage, error) {
	r.rows.prune(s)
	r.triggers.prune(s)
	var out saved
	if r.rows.Decision != nil {
		out.Rows = &r.rows
	}
	if r.triggers.Decision != nil {
		out.Triggers = &r.triggers
	}
	if out == (saved{}) {
		return nil, nil
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("writing rows and triggers: %w", err)
	}
	return b, nil
}

// Load takes what Save gave.
func (r *Room) Load(b json.RawMessage) error {
	if len(b) == 0 {
		return nil
	}
	var in saved
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("reading rows and triggers: %w", err)
	}
	if in.Rows != nil {
		r.rows = *in.Rows
	}
	if in.Triggers != nil {
		r.triggers = *in.Triggers
	}
	return nil
}

// Closed takes the rows of a window that closes.
func (r *Room) Closed(s Site, m *catalog.Measure, g report.Grain, start int64) {
	if g == report.Block4w && r.rows.Decision != nil {
		r.rows.closed(s, m, start)
	}
}

// Forget takes out what is kept of somebody, before the dictionary forgets their names.
func (r *Room) Forget(s Site, name string) {
	names := append(s.People.Names(name), name)
	r.rows.forget(s, names)
	r.triggers.forget(s, names)
}

// Carry carries out an order: on the ledger first, then in what is kept, then on disk. The answer is as things stand
// after it. One at a time.
func (r *Room) Carry(ctx context.Context, h Host, o control.PersonsOrder) (out control.PersonsAnswer, err error) {
	h.Mu.Lock()
	p, err := r.plan(h.Site(), o)
	h.Mu.Unlock()
	if err == nil && p.entry != nil {
		err = h.Record(ctx, p.kind, p.entry)
	}
	if err != nil {
		return out, err
	}
	h.Mu.Lock()
	if p.act != nil {
		p.act()
	}
	s := h.Site()
	out = control.PersonsAnswer{Rows: r.rows.state(s), Triggers: r.triggers.state(), File: p.file}
	h.Mu.Unlock()
	if p.act != nil {
		err = h.Commit()
	}
	return out, err
}

// order is what an order comes to.
type order struct {
	kind  string // of the ledger entry
	entry any    // what is to stand on the ledger before anything is done; nil: nothing
	act   func() // what is to be done; nil: nothing
	file  []byte
}

func (r *Room) plan(s Site, o control.PersonsOrder) (order, error) {
	switch o.Do {
	case control.ShowPersons:
		return order{}, nil
	case control.AllowRows:
		return r.rows.allow(s, o)
	case control.DenyRows:
		return order{kind: "rows", entry: denied(s, o), act: func() { r.rows = rows{} }}, nil
	case control.ExportRows:
		return r.rows.export(s, o)
	case control.AllowTriggers:
		return r.triggers.allow(s, o)
	case control.DenyTriggers:
		return order{kind: "triggers", entry: denied(s, o), act: func() { r.triggers = triggers{wake: r.triggers.wake, pending: r.triggers.pending} }}, nil
	}
	return order{}, refuse("persons_order", fmt.Sprintf("there is no order %q", o.Do), "fieldpost-agent rows --help", 2)
}

func refuse(code, message, hint string, exit int) error {
	return &control.Error{Code: code, Message: message, Hint: hint, Exit: exit}
}

// signed is who stands behind a decision.
type signed struct {
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Ticket  string    `json:"ticket,omitempty"`
	Counter string    `json:"countersigned_by,omitempty"`
}

// decide is a decision made now; widening ones are refused where consent is locked.
func decide(s Site, o control.PersonsOrder, command string) (signed, error) {
	if o.By == "" {
		return signed{}, refuse("by_missing", "nobody stands behind this decision", "fieldpost-agent "+command+" --by YOU", 2)
	}
	if s.Settings.ConsentLock {
		return signed{}, refuse("consent_locked", "consent is locked by the configuration: only narrowing is possible", "ask whoever owns the configuration: consent_lock", 1)
	}
	return signed{At: s.Now.UTC().Truncate(time.Second), By: o.By, Ticket: o.Ticket, Counter: o.Counter}, nil
}

// denied is what the ledger keeps of a withdrawal.
func denied(s Site, o control.PersonsOrder) any {
	return struct {
		Do string `json:"do"`
		signed
	}{o.Do, signed{At: s.Now.UTC().Truncate(time.Second), By: o.By, Ticket: o.Ticket, Counter: o.Counter}}
}

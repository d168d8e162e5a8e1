// Package consent keeps the customer's decisions: which category may be measured, which may
// leave, since when, and which catalog that was decided on.
//
// A decision is never changed, only followed by the next one. Each is a file of its own,
// DIR/000001.json and so on, holding the signed statement the vendor will see and the
// site's own record (who decided, on which ticket, who countersigned, how many people the customer
// named), which the statement only commits to by a salted hash. The newest whole file is
// in force. A file that does not verify is set aside as NAME.damaged and reported; what is
// in force then is the newest one before it, paused: damage never widens what leaves.
//
// Invariants: nothing was decided means everything is off. Numbers rise by one; each statement
// carries the hash of the one before. Only this room signs statements.
package consent

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// maxFile bounds a decision's file: a statement is below 2 KiB, a record below 4 KiB.
const maxFile = 64 << 10

// Errors a decision can meet.
var (
	ErrLocked   = errors.New("consent is locked by the configuration")
	ErrRefused  = errors.New("decision is refused")
	ErrDamaged  = errors.New("consent files are damaged")
	ErrNoAccept = errors.New("there is no catalog to accept")
)

// Config of the room. The zero value of each field is its documented default.
type Config struct {
	Dir       string
	FS        durable.FS         // default durable.OS()
	Key       ed25519.PrivateKey // the agent's
	Simulated bool               // a replay of a demo or test state
	Lock      bool               // no decision may be made here; only narrowing ones pass
	DoNot     bool               // DO_NOT_TRACK: everything counts as off whatever was decided
}

// Record is what stays at the site about a decision.
type Record struct {
	By              string    `json:"by,omitempty"`
	Ticket          string    `json:"ticket,omitempty"`
	CountersignedBy string    `json:"countersigned_by,omitempty"`
	People          int       `json:"people,omitempty"` // how many people work here, as the customer says; 0: not named
	Note            string    `json:"note,omitempty"`
	At              time.Time `json:"at"`
	Salt            []byte    `json:"salt"`
}

// State is one decision, whole.
type State struct {
	Statement exchange.Statement
	Signed    exchange.SignedStatement
	Record    Record
}

// Change is what a decision changes; what it leaves out stays as it is.
type Change struct {
	Levels  map[string]exchange.Level // by category
	From    time.Time                 // windows that begin earlier are not covered; zero: now
	Accept  *catalog.Catalog          // the catalog these decisions are about
	Before  *catalog.Catalog          // the one accepted so far; nil: none
	Pause   *bool
	By      string
	Ticket  string
	Counter string
	People  int
	Note    string
}

// Consent is the room. Safe for concurrent use.
type Consent struct {
	cfg Config

	mu      sync.Mutex // guards states, damaged
	states  []State    // all decisions, oldest first
	damaged []string   // names of files set aside
}

type file struct {
	Signed exchange.SignedStatement `json:"signed"`
	Record Record                   `json:"record"`
}

// Open reads the decisions made so far.
func Open(cfg Config) (*Consent, error) {
	if cfg.FS == nil {
		cfg.FS = durable.OS()
	}
	c := &Consent{cfg: cfg}
	if err := durable.MkdirAll(cfg.FS, cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening consent: %w", err)
	}
	if err := durable.CleanTemps(cfg.FS, cfg.Dir); err != nil {
		return nil, fmt.Errorf("opening consent: %w", err)
	}
	entries, err := cfg.FS.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening consent: %w", err)
	}
	names := []string{}
	for _, e := range entries {
		switch {
		case strings.HasSuffix(e.Name(), ".damaged"):
			c.damaged = append(c.damaged, e.Name())
		case strings.HasSuffix(e.Name(), ".json"):
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if err := c.load(name); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Consent) load(name string) error {
	path := filepath.Join(c.cfg.Dir, name)
	data, err := durable.ReadFile(c.cfg.FS, path, maxFile)
	if err != nil {
		return fmt.Errorf("reading the decision %s: %w", name, err)
	}
	st, err := c.check(data)
	if err != nil {
		c.damaged = append(c.damaged, name)
		if err := durable.Rename(c.cfg.FS, path, path+".damaged"); err != nil {
			return fmt.Errorf("setting the decision %s aside: %w", name, err)
		}
		return nil
	}
	c.states = append(c.states, *st)
	return nil
}

func (c *Consent) check(data []byte) (*State, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	s, err := f.Signed.Verify(c.cfg.Key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	last := exchange.Statement{}
	if n := len(c.states); n > 0 {
		last = c.states[n-1].Statement
	}
	if s.Number <= last.Number || s.Record != commit(f.Record) {
		return nil, fmt.Errorf("%w: number %d after %d, or another record", ErrDamaged, s.Number, last.Number)
	}
	return &State{Statement: *s, Signed: f.Signed, Record: f.Record}, nil
}

// Current is the decision in force; ok is false when none was ever made (everything is off).
func (c *Consent) Current() (State, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.states) == 0 {
		return State{}, false
	}
	s := c.states[len(c.states)-1]
	if len(c.unanswered()) > 0 {
		s.Statement.Paused = true
	}
	if c.cfg.DoNot {
		s.Statement.Categories = nil
	}
	return s, true
}

// History is every decision, oldest first.
func (c *Consent) History() []State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.states)
}

// Damaged names the files that were set aside and that no later decision has answered.
func (c *Consent) Damaged() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unanswered()
}

// unanswered are the damaged files newer than the decision in force.
func (c *Consent) unanswered() (out []string) {
	newest := fmt.Sprintf("%06d", 0)
	if n := len(c.states); n > 0 {
		newest = fmt.Sprintf("%06d", c.states[n-1].Statement.Number)
	}
	for _, name := range c.damaged {
		if name > newest {
			out = append(out, name)
		}
	}
	return out
}

// Decide makes the next decision, dated now, and returns it once it is safe on disk.
func (c *Consent) Decide(now time.Time, ch Change) (State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var last State
	if n := len(c.states); n > 0 {
		last = c.states[n-1]
	}
	next, widens, err := apply(last.Statement, ch, now)
	if err != nil {
		return State{}, err
	}
	if c.cfg.Lock && widens {
		return State{}, fmt.Errorf("%w: only narrowing is possible", ErrLocked)
	}
	rec := Record{By: ch.By, Ticket: ch.Ticket, CountersignedBy: ch.Counter, People: ch.People, Note: ch.Note, At: now.UTC(), Salt: make([]byte, 16)}
	if rec.People == 0 {
		rec.People = last.Record.People
	}
	if rec.People < 0 {
		return State{}, fmt.Errorf("%w: the number of people is negative", ErrRefused)
	}
	rand.Read(rec.Salt) // never fails (crypto/rand)
	next.Version = exchange.Version
	next.Agent = exchange.AgentID(c.cfg.Key.Public().(ed25519.PublicKey))
	next.Number = last.Statement.Number + 1 + len(c.damaged) // a damaged number is never used twice
	if last.Signed.Raw != nil {
		next.Prev = last.Signed.Hash()
	}
	next.Decided = now.Unix()
	next.Simulated = c.cfg.Simulated
	next.Record = commit(rec)
	signed, err := exchange.SignStatement(next, c.cfg.Key)
	if err != nil {
		return State{}, err
	}
	data, err := json.MarshalIndent(file{signed, rec}, "", " ")
	if err != nil {
		return State{}, fmt.Errorf("writing a decision: %w", err)
	}
	path := filepath.Join(c.cfg.Dir, fmt.Sprintf("%06d.json", next.Number))
	if err := durable.WriteFile(c.cfg.FS, path, append(data, '\n'), 0o600); err != nil {
		return State{}, fmt.Errorf("writing a decision: %w", err)
	}
	s := State{Statement: next, Signed: signed, Record: rec}
	c.states = append(c.states, s)
	return s, nil
}

// apply is the statement after ch, and whether it lets more leave than before.
func apply(s exchange.Statement, ch Change, now time.Time) (exchange.Statement, bool, error) {
	widens := false
	s.Categories = slices.Clone(s.Categories)
	from := ch.From
	if from.IsZero() {
		from = now
	}
	if from.After(now) {
		return s, false, fmt.Errorf("%w: it would begin in the future", ErrRefused)
	}
	for cat, level := range ch.Levels {
		if !slices.Contains(Categories(), cat) {
			return s, false, fmt.Errorf("%w: there is no category %q; did you mean %q?", ErrRefused, cat, catalog.Nearest(cat, Categories()))
		}
		if levels := exchange.LevelsOf(cat); !slices.Contains(levels, level) {
			return s, false, fmt.Errorf("%w: there is no level %q of %s; its levels are %s", ErrRefused, level, cat, join(levels))
		}
		old := s.Decision(cat)
		d := exchange.Decision{Category: cat, Level: level, From: from.Unix()}
		if old.Level != exchange.Off && old.Level.AtLeast(level) {
			d.From = max(old.From, 0) // narrowing keeps the beginning
			if level == exchange.Off {
				d.From = now.Unix() // history begins again
			}
		} else if old.Level != level {
			widens = true
		}
		s.Categories = slices.DeleteFunc(s.Categories, func(o exchange.Decision) bool { return o.Category == cat })
		s.Categories = append(s.Categories, d)
	}
	if ch.Accept != nil && exchange.Hash(ch.Accept.Hash) != s.Catalog {
		s.Since = since(s, ch, from.Unix())
		s.CatalogName, s.CatalogVersion, s.Catalog = ch.Accept.Name, ch.Accept.Version, ch.Accept.Hash
		widens = true
	}
	for _, d := range s.Categories {
		if d.Level.Leaves() && s.CatalogVersion == 0 {
			return s, false, fmt.Errorf("%w: %w", ErrRefused, ErrNoAccept)
		}
	}
	if ch.Pause != nil {
		widens = widens || s.Paused && !*ch.Pause
		s.Paused = *ch.Pause
	}
	return s, widens, nil
}

// since dates the definitions that the newly accepted catalog adds to the one before: they are covered from
// now on, not from when their category was decided.
func since(s exchange.Statement, ch Change, from int64) []exchange.Since {
	if s.CatalogVersion == 0 {
		return nil // the first acceptance: the categories' own dates say all
	}
	old := map[string]int64{}
	for _, x := range s.Since {
		old[x.Measure] = x.From
	}
	var out []exchange.Since
	for i := range ch.Accept.Measures {
		m := &ch.Accept.Measures[i]
		var before *catalog.Measure
		if ch.Before != nil {
			before, _ = ch.Before.Measure(m.ID)
		}
		known := before != nil && before.DefHash == m.DefHash && before.Category == m.Category
		if at, dated := old[m.ID]; known && dated {
			out = append(out, exchange.Since{Measure: m.ID, From: at})
		} else if !known {
			out = append(out, exchange.Since{Measure: m.ID, From: from})
		}
	}
	slices.SortFunc(out, func(a, b exchange.Since) int { return strings.Compare(a.Measure, b.Measure) })
	return out
}

// Categories the customer decides on in this version.
func Categories() []string {
	return []string{catalog.Inventory, catalog.SLA, catalog.Usage, catalog.Pool}
}

func join(levels []exchange.Level) string {
	words := make([]string, len(levels))
	for i, l := range levels {
		words[i] = string(l)
	}
	return strings.Join(words, ", ")
}

// commit is the hash a statement carries of the site's own record.
func commit(r Record) exchange.Hash {
	b, err := json.Marshal(r)
	if err != nil { // cannot happen: only strings, numbers, bytes and a time
		return exchange.Hash{}
	}
	return sha256.Sum256(b)
}

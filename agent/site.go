package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/ledger"
	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/measure/history"
	"github.com/fieldpost/fieldpost/agent/outbox"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// checkpointEvery bounds what a start reads again: at 50,000 events a second, a minute is 3 million
// events, folded in about 12 s.
const checkpointEvery = time.Minute

// saved is what the root adds to a checkpoint, so that it commits with the fold.
type saved struct {
	Gate     json.RawMessage `json:"gate"`
	Shelf    []byte          `json:"shelf"`
	Consent  exchange.Hash   `json:"consent"`
	Catalog  exchange.Hash   `json:"catalog"`
	Progress map[string]int  `json:"progress,omitempty"`
	Virtual  int64           `json:"virtual,omitempty"` // unix ns, simulated
	Also     int64           `json:"also,omitempty"`
	Told     int             `json:"told,omitempty"`  // the newest decision the collector was told of
	Purge    uint64          `json:"purge,omitempty"` // the journal up to here has to go: it names who was forgotten
	Changes  json.RawMessage `json:"changes,omitempty"`
	Extra    json.RawMessage `json:"extra,omitempty"` // dropped by a build that has none
}

// openSite restores fold, gate and shelf from the last checkpoint.
func (a *Agent) openSite() (err error) {
	a.gate = egress.New(egress.Config{Zone: a.zoneAt, Catalog: a.byPrefix})
	a.store, err = history.Restore(filepath.Join(a.cfg.Settings.State, "measure"), history.Config{FS: a.cfg.FS, Seal: a.vault.Files(useMeasure), Open: !a.vault.Sealed(), Measure: measure.Config{
		Zone: a.zone, Workdays: a.cfg.Settings.WorkingDays, Remember: a.cfg.Settings.Remember, Catalog: a.byPrefix, Closed: a.judge(),
		SimpleLocal: a.id.Enrolment == nil && a.cfg.Simulated,
		Facts:       map[string]string{"agent.version": a.cfg.Version, "agent.os": runtime.GOOS, "agent.arch": runtime.GOARCH},
	}})
	if errors.Is(err, history.ErrOlder) {
		return refuse("state_older", err.Error(), "begin to measure anew with `fieldpost-agent wipe --keep-enrolment`, or go on with the version that wrote it", 1)
	}
	if errors.Is(err, history.ErrNewer) {
		return refuse("state_newer", err.Error(), "install the version that wrote it, or a newer one", 1)
	}
	if err != nil {
		return err
	}
	a.applied = a.store.Position()
	a.saved = time.Now()
	if len(a.store.Extra()) == 0 {
		return a.openOutbox(nil)
	}
	var s saved
	if err := json.Unmarshal(a.store.Extra(), &s); err != nil {
		return fmt.Errorf("reading the checkpoint: %w", err)
	}
	if err := a.gate.Load(s.Gate); err != nil {
		return err
	}
	if err := errors.Join(a.changes.Load(s.Changes), a.extra.load(s.Extra)); err != nil {
		return err
	}
	if err := a.openOutbox(s.Shelf); err != nil {
		return err
	}
	if s.Progress != nil {
		a.progress = s.Progress
	}
	a.virtualNS.Store(s.Virtual)
	a.alsoNS = s.Also
	a.delivery.told = s.Told
	a.purgeTo = s.Purge
	if c := a.catalogs[s.Catalog]; c != nil {
		a.current = c
	}
	a.adoptPolicy(s.Consent)
	return nil
}

// byPrefix finds a catalog for the fold. It is called with mu held.
func (a *Agent) byPrefix(prefix [8]byte) *catalog.Catalog {
	for h, c := range a.catalogs {
		if [8]byte(h[:8]) == prefix {
			return c
		}
	}
	return nil
}

// apply folds one record in. mu is held.
func (a *Agent) apply(no uint64, r *record.Record) error {
	a.begin(r)
	if r.Kind == record.Forget {
		a.forget(no, r)
	}
	if err := a.store.Fold().Apply(no, r); err != nil {
		return fmt.Errorf("measuring record %d: %w", no, err)
	}
	switch r.Kind {
	case record.Consent:
		a.adoptPolicy(exchange.SignedStatement{Raw: statementRaw(r.Data)}.Hash())
		a.gate.Name(time.Unix(0, r.Received), a.policy, sizes{a.store.Fold(), r.Received})
	case record.Adopted:
		if len(r.Data) == len(exchange.Hash{}) {
			if c := a.catalogs[exchange.Hash(r.Data)]; c != nil {
				a.current = c
			}
		}
	}
	a.applied = no
	a.extra.applied(a, r)
	a.moved.Broadcast()
	return nil
}

// begin fixes the groups of people of the block a record begins. mu is held.
func (a *Agent) begin(r *record.Record) {
	if t := time.Unix(0, r.Received); !a.gate.Fixed(t) {
		a.gate.Begin(t, a.policy, sizes{a.store.Fold(), r.Received})
	}
}

// forget forgets the person of a Forget record. mu is held.
func (a *Agent) forget(no uint64, r *record.Record) {
	f := a.store.Fold()
	f.Advance(r.Received)
	a.extra.forget(a, r)
	if f.Forget(string(r.Data)) {
		a.forgot++
	}
	a.purgeTo = no
}

// statementRaw is the statement inside a Consent record.
func statementRaw(data []byte) []byte {
	var s exchange.SignedStatement
	if json.Unmarshal(data, &s) != nil {
		return nil
	}
	return s.Raw
}

// adoptPolicy makes the decision with that hash the gate's.
func (a *Agent) adoptPolicy(hash exchange.Hash) {
	for _, s := range a.consent.History() {
		if s.Signed.Hash() == hash {
			st := s.Statement
			a.policy = egress.Policy{Statement: &st, Accepted: a.catalogs[st.Catalog], People: s.Record.People}
			a.delivery.consent = hash
		}
	}
}

// sizes are the gate's questions about the site.
type sizes struct {
	fold *measure.Fold
	now  int64
}

func (s sizes) Known() int   { return s.fold.Seen(s.now, measure.DefaultRemember) } // also where users are remembered for ever
func (s sizes) Users28() int { return s.fold.Seen(s.now, 28*24*time.Hour) }
func (s sizes) Users84() int { return s.fold.Seen(s.now, 84*24*time.Hour) }
func (s sizes) Holders(trait string) map[string]int {
	return s.fold.Holders(s.now, measure.DefaultRemember, trait)
}

// judge is what the fold calls with a closed window; nil where the gate does not judge. From a recording that is not
// enrolled nothing can leave, and judging takes longer than measuring.
func (a *Agent) judge() func(*measure.Window) {
	if !a.judges() {
		return nil
	}
	return a.closed
}

func (a *Agent) judges() bool { return a.id.Enrolment != nil || !a.cfg.Simulated || a.cfg.Judge }

// closed takes a closed window through the gate to the shelf. The fold calls it, with mu held.
func (a *Agent) closed(w *measure.Window) {
	a.extra.closed(a, w)
	a.sayChanges(w.Closed)
	e := egress.Window{Catalog: w.Catalog, Measure: w.Measure, Grain: w.Grain, Start: w.Start, Cells: w.Cells, Sum: (*egress.Sum)(w.Sum)}
	cells, leave, err := a.gate.Judge(e, a.policy)
	if err != nil { // no random bytes: the window stays, and noise for it was not spent
		a.log.Error("a window was withheld", "measure", w.Catalog.Measures[w.Measure].ID, "error", err)
		return
	}
	a.kept.Add(e, cells, leave)
	a.noteTold(e, cells, leave)
	if !leave {
		return
	}
	a.outbox.Put(outbox.Origin{Catalog: w.Catalog.Hash, Consent: a.delivery.consent, Zone: a.zoneOf(w).String(), Simulated: a.cfg.Simulated}, egress.Cells(cells))
}

// zoneOf is the zone in which a window was counted. mu is held.
func (a *Agent) zoneOf(w *measure.Window) *time.Location {
	c, begin := a.store.Fold().Calendar(), w.Start*1e9
	if w.Grain != report.Change {
		begin, _ = c.Span(w.Grain, w.Start)
	}
	return c.Zone(begin)
}

func (a *Agent) zoneAt(ns int64) *time.Location { return a.store.Fold().Calendar().Zone(ns) }

// rezone tells the fold of a zone that was set since it was told last; it takes effect with the next month. Commands that
// only open the state leave it: their setting may not be the agent's.
func (a *Agent) rezone(ctx context.Context) error {
	if name := a.zone.String(); a.store.Fold().Calendar().Newest().String() != name {
		a.log.Info("days are counted in another time zone from next month on", "zone", name)
		return errors.Join(a.journalControl(ctx, record.Zone, []byte(name), nil), a.record(ctx, ledger.Note, "the time zone is "+name+" from next month on"))
	}
	return nil
}

// catchUp applies what the journal holds beyond the fold.
func (a *Agent) catchUp(ctx context.Context) error {
	from := a.applied + 1
	for {
		next, err := a.journal.Read(ctx, from, a.step)
		if errors.Is(err, durable.ErrTrimmed) { // gone by age or by hand: count what is there
			a.log.Warn("journal begins after the checkpoint", "checkpoint", a.applied, "first", a.journal.First())
			from = a.journal.First()
			continue
		}
		if err != nil || next == from {
			return err
		}
		from = next
	}
}

// step folds one record of the journal in. Windows that are due before it are closed one at a time: whoever asks
// something meanwhile, or writes a checkpoint, waits for one of them and not for a whole day's.
func (a *Agent) step(no uint64, r *record.Record) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begin(r)
	for a.store.Fold().Step(r.Received) {
		a.mu.Unlock()
		a.mu.Lock()
	}
	return a.apply(no, r)
}

// tail measures what comes in, as it comes, and writes checkpoints.
func (a *Agent) tail(ctx context.Context) error {
	return a.journal.Tail(ctx, a.applied+1, func(no uint64, r *record.Record) error {
		if err := a.step(no, r); err != nil {
			return err
		}
		a.save()
		return nil
	})
}

// save writes a checkpoint in passing, when it is time for one. A full disk must not stop the agent: what the fold holds beyond
// the last checkpoint stands in the journal, and the next one may find room.
func (a *Agent) save() {
	a.mu.Lock()
	due := time.Since(a.saved) >= checkpointEvery
	a.mu.Unlock()
	if !due {
		return
	}
	err := a.checkpoint()
	if err != nil {
		a.log.Warn("checkpoint not written", "error", err, "next_try", checkpointEvery)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.saved = time.Now()
}

// tick lets time close windows, through the journal: a record a minute.
func (a *Agent) tick(ctx context.Context) error {
	free := sync.OnceFunc(debug.FreeOSMemory) // opening and the first check-in take more than running
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			free()
			ns, _ := a.clock.Received()
			if _, err := a.journal.Append(ctx, &record.Record{Kind: record.Tick, Received: ns, Catalog: a.words.Load().Hash()}); err != nil {
				a.log.Warn("clock not written", "error", err) // the next one serves as well
			}
		}
	}
}

// checkpoint commits fold, gate and shelf, and lets go of what the journal no longer needs.
func (a *Agent) checkpoint() (err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.store == nil || a.wiping.Load() {
		return nil
	}
	defer func() { a.unsaved = err }()
	gate, err := a.gate.Save()
	if err != nil {
		return err
	}
	changes, err := a.changes.Save()
	if err != nil {
		return err
	}
	more, err := a.extra.save(a)
	if err != nil {
		return err
	}
	s := saved{Gate: gate, Changes: changes, Extra: more, Shelf: a.outbox.Save(), Consent: a.delivery.consent, Progress: a.progress, Virtual: a.virtualNS.Load(), Also: a.alsoNS, Told: a.delivery.told, Purge: a.purgeTo}
	if a.current != nil {
		s.Catalog = a.current.Hash
	}
	extra, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	if err := a.store.Checkpoint(a.applied, extra); err != nil {
		return err
	}
	a.saved = time.Now()
	if a.journal != nil {
		return a.journal.Trim(a.applied + 1)
	}
	return nil
}

// refreshWords makes the vocabulary that of the catalog in force and the newest decision.
func (a *Agent) refreshWords() {
	a.mu.Lock()
	c := a.current
	a.mu.Unlock()
	st, decided := a.consent.Current()
	local := a.id.Enrolment == nil && a.cfg.Simulated
	a.words.Store(intake.NewVocabulary(c, func(m *catalog.Measure) bool {
		if m.Subject == catalog.Person && a.cfg.Settings.Role != "users" {
			return false
		}
		return local || decided && !a.cfg.Settings.DoNotTrack && st.Statement.Decision(m.Category).Level.AtLeast(exchange.Local)
	}))
}

// sink journals probe results.
type sink struct{ a *Agent }

func (s sink) Probed(ctx context.Context, id string, r record.Result) error {
	st, ok := s.a.consent.Current()
	if !ok || !st.Statement.Decision(catalog.SLA).Level.AtLeast(exchange.Local) {
		return nil // off: not even collected
	}
	s.a.mu.Lock()
	c := s.a.current
	s.a.mu.Unlock()
	if c == nil {
		return nil
	}
	i := c.Probe(id)
	if i < 0 {
		return nil // the catalog asks for no such check; status says so
	}
	r.Probe = uint16(i)
	ns, back := s.a.clock.Received()
	rec := &record.Record{Kind: record.Probed, Received: ns, Catalog: [8]byte(c.Hash[:8]), Results: []record.Result{r}}
	if back {
		rec.ClockBack = 1
	}
	_, err := s.a.journal.Append(ctx, rec)
	return err
}

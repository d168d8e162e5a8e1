// Package board sums a measure over all accounts, once for many readers: what lists and the
// overview show of each account (its weeks, its word, its service level) and of the fleet.
//
// Invariants: a snapshot never changes after it was made; all its figures are of one moment
// and one week; sums are report.Tally over accounts, so that each account counts once. A
// reader who finds a snapshot older than Config.Fresh gets it at once while the next is
// made; one older than staleAfter is waited for. Close ends what is being made and waits.
// It keeps nothing on disk.
package board

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/sla"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/kinds"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Config of a board. All but Fresh are required.
type Config struct {
	Accounts     store.Accounts
	Fleet        store.Fleet
	Measurements store.Measurements
	Catalogs     store.Catalogs
	Fresh        time.Duration // a snapshot older than this is made anew; default 15 s
	Now          func() time.Time
}

// staleAfter is how old a snapshot may be shown at all: pages that are open ask every 15 s.
const staleAfter = 5 * time.Minute

// Weeks is how far back the lists' small charts go.
const Weeks = 53

type boardKey struct{ measure, environment string }

type entry struct {
	mu   sync.Mutex // held while it is made
	snap *Snapshot  // guarded by board.mu
}

// Board remembers snapshots for a while: one reader makes a new one, the others get the old
// one meanwhile.
type Board struct {
	c  *Config
	mu sync.Mutex // guards all below
	by map[boardKey]*entry

	counts   store.Overview
	countsAt time.Time
	catalogs map[exchange.Hash]*catalog.Catalog

	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	making sync.WaitGroup
}

func New(c Config) *Board {
	b := &Board{c: &c, by: map[boardKey]*entry{}, catalogs: map[exchange.Hash]*catalog.Catalog{}}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// Overview counts, at most as old as Fresh.
func (b *Board) Overview(ctx context.Context) (store.Overview, error) {
	b.mu.Lock()
	o, at := b.counts, b.countsAt
	b.mu.Unlock()
	if b.c.Now().Sub(at) < min(b.c.Fresh, 2*time.Second) && !at.IsZero() {
		return o, nil
	}
	o, err := b.c.Fleet.Overview(ctx)
	if err != nil {
		return o, fmt.Errorf("counting: %w", err)
	}
	b.mu.Lock()
	b.counts, b.countsAt = o, b.c.Now()
	b.mu.Unlock()
	return o, nil
}

// Catalog is the newest one, parsed; nil when there is none yet.
func (b *Board) Catalog(ctx context.Context) (*catalog.Catalog, error) {
	list, err := b.c.Catalogs.CatalogList(ctx)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	newest, err := b.c.Catalogs.NewestCatalog(ctx, "")
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the newest catalog: %w", err)
	}
	b.mu.Lock()
	c := b.catalogs[newest.Hash]
	b.mu.Unlock()
	if c != nil {
		return c, nil
	}
	if c, err = catalog.Parse(newest.Raw); err != nil {
		return nil, fmt.Errorf("parsing catalog %s: %w", newest.Name, err)
	}
	b.mu.Lock()
	b.catalogs[newest.Hash] = c
	b.mu.Unlock()
	return c, nil
}

// Clock is the time by which an installation is judged.
func Clock(o store.Overview, now time.Time) time.Time {
	if !o.Clock.IsZero() {
		return o.Clock
	}
	return now
}

// Get is a snapshot for a measure ("" = the headline) and an environment ("" = all).
func (b *Board) Get(ctx context.Context, measure, environment string) (*Snapshot, error) {
	cat, err := b.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	k := boardKey{canonical(cat, measure), canonicalEnvironment(environment)}
	b.mu.Lock()
	e := b.by[k]
	if e == nil {
		if len(b.by) >= 16 { // a handful of measures is looked at; a walker must not fill memory
			clear(b.by)
		}
		e = &entry{}
		b.by[k] = e
	}
	snap := e.snap
	b.mu.Unlock()
	if snap != nil {
		switch age := b.c.Now().Sub(snap.At); {
		case age < b.c.Fresh:
			return snap, nil
		case age < staleAfter:
			if e.mu.TryLock() { // else somebody is at it
				b.behind(e, k)
			}
			return snap, nil
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b.mu.Lock()
	if e.snap != snap { // made while we waited
		snap = e.snap
		b.mu.Unlock()
		return snap, nil
	}
	b.mu.Unlock()
	made, err := b.make(ctx, k.measure, k.environment)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	e.snap = made
	b.mu.Unlock()
	return made, nil
}

// behind makes the next snapshot while the reader goes on with the last; it unlocks e.mu.
func (b *Board) behind(e *entry, k boardKey) {
	b.making.Go(func() {
		defer e.mu.Unlock()
		ctx, stop := context.WithTimeout(b.ctx, time.Minute)
		defer stop()
		made, err := b.make(ctx, k.measure, k.environment)
		if err != nil {
			return // the reader who finds it too old makes it again and is told
		}
		b.mu.Lock()
		e.snap = made
		b.mu.Unlock()
	})
}

// Close ends what is being made and waits for it. The store can be closed afterwards.
func (b *Board) Close() {
	b.stop()
	b.making.Wait()
}

// canonical is "" for the headline and for what the catalog does not hold, so that one
// snapshot has one key.
func canonical(c *catalog.Catalog, measure string) string {
	h := accounts.Headline(c)
	if h == nil || h.ID == measure {
		return ""
	}
	if m, _ := c.Measure(measure); m == nil {
		return ""
	}
	return measure
}

func canonicalEnvironment(e string) string {
	if slices.Contains(store.Environments(), e) {
		return e
	}
	return ""
}

func (b *Board) make(ctx context.Context, measure, environment string) (*Snapshot, error) {
	s := &Snapshot{At: b.c.Now()}
	var err error
	if s.Overview, err = b.c.Fleet.Overview(ctx); err != nil {
		return nil, fmt.Errorf("counting: %w", err)
	}
	s.Clock = Clock(s.Overview, s.At)
	if s.Catalog, err = b.Catalog(ctx); err != nil {
		return nil, err
	}
	s.Measure = accounts.Headline(s.Catalog)
	if s.Catalog != nil {
		if m, _ := s.Catalog.Measure(measure); m != nil {
			s.Measure = m
		}
	}
	if err := b.rows(ctx, s, environment); err != nil {
		return nil, err
	}
	if err := b.figures(ctx, s, environment); err != nil {
		return nil, err
	}
	if err := b.levels(ctx, s, environment); err != nil {
		return nil, err
	}
	s.read()
	return s, nil
}

func (b *Board) rows(ctx context.Context, s *Snapshot, environment string) error {
	q := store.AccountQuery{Limit: 1000}
	if environment != "" {
		q.Filters = []store.Filter{{Attribute: "environment", Op: store.Equal, Value: environment}}
	}
	for {
		p, err := b.c.Accounts.AccountPage(ctx, q)
		if err != nil {
			return fmt.Errorf("listing accounts: %w", err)
		}
		for _, a := range p.Rows {
			s.Rows = append(s.Rows, Row{AccountRow: a})
		}
		if q.Offset += q.Limit; q.Offset >= p.Total {
			break
		}
	}
	at := map[string]int{}
	for i := range s.Rows {
		at[s.Rows[i].Key] = i
	}
	f := store.FleetQuery{Limit: 1000}
	if environment != "" {
		f.Environments = []string{environment}
	}
	for {
		p, err := b.c.Fleet.InstallationPage(ctx, f)
		if err != nil {
			return fmt.Errorf("listing installations: %w", err)
		}
		s.Installs = append(s.Installs, p.Rows...)
		for _, inst := range p.Rows {
			if i, ok := at[inst.Account]; ok {
				s.Rows[i].Installs = append(s.Rows[i].Installs, inst)
			}
		}
		if f.Offset += f.Limit; f.Offset >= p.Total {
			return nil
		}
	}
}

// ListField is the field of a measure that lists show.
func ListField(m *catalog.Measure) report.Field {
	if m == nil {
		return report.Value
	}
	switch m.Kind {
	case catalog.Lifecycle:
		return report.New
	case catalog.Distribution, catalog.Histogram, catalog.Sufficient:
		return report.Count
	case catalog.Counter:
		return report.Increase
	case catalog.Availability:
		return report.Up
	case catalog.SLO:
		return report.Valid
	}
	return report.Value
}

func environments(e string) []string {
	if e == "" {
		return nil
	}
	return []string{e}
}

func (b *Board) figures(ctx context.Context, s *Snapshot, environment string) error {
	grace := accounts.Grace(s.Catalog, s.Measure)
	s.Week = accounts.ClosedWeek(s.Clock, grace)
	var all []store.Period
	best := -1
	for _, g := range accounts.Grains(s.Measure) {
		start := accounts.NewestClosed(g, s.Clock, grace)
		var list []store.Period
		if s.Measure != nil {
			var err error
			list, err = b.c.Measurements.Periods(ctx, store.PeriodQuery{Measure: s.Measure.ID, Field: ListField(s.Measure), Environments: environments(environment), Grain: g,
				From: start - accounts.Step(g)*(accounts.History(g)+8), To: start})
			if err != nil {
				return fmt.Errorf("reading figures of %s: %w", g, err)
			}
		}
		// Where the level totals alone tells weeks, fewer accounts do: the grain that most of them told speaks.
		if told := tellers(list); told > best {
			best, all, s.Grain, s.Start = told, list, g, start
		}
	}
	step, n := accounts.Step(s.Grain), accounts.History(s.Grain)
	s.Start = settled(all, s.Start, step)
	if s.Grain == store.Weekly {
		s.Week = s.Start
	}
	from := s.Start - step*(n-1)
	prefer := ""
	if s.Measure != nil {
		prefer = s.Measure.HashString()
	}
	by := map[string][]store.Period{}
	for _, p := range all {
		by[p.Account] = append(by[p.Account], p)
	}
	s.Tallies = make([]report.Tally, n)
	for i := range s.Rows {
		r := &s.Rows[i]
		r.Points = accounts.LineOf(by[r.Key], from, s.Start, step, prefer)
		if s.Measure != nil {
			kinds.Noise(s.Catalog, s.Measure, ListField(s.Measure), s.Grain, r.Points)
		}
		r.Now = r.Points[len(r.Points)-1]
		for w, p := range r.Points {
			s.Tallies[w].Add(p.Form, p.Interval)
			if p.Partial {
				s.Tallies[w].Partial++
			}
		}
	}
	for w, t := range s.Tallies {
		s.Line = append(s.Line, words.TallyPoint(from+int64(w)*step, t))
	}
	s.Total = s.Tallies[n-1]
	return nil
}

// tellers counts accounts that told something; those that withheld it do not count.
func tellers(list []store.Period) int {
	who := map[string]bool{}
	for _, p := range list {
		if p.Tally().Told() > 0 {
			who[p.Account] = true
		}
	}
	return len(who)
}

// settled steps back from the newest closed window while fewer than half as many accounts have
// told it as the fullest of the eight before: its reports are still under way.
func settled(all []store.Period, week, step int64) int64 {
	n := map[int64]int{}
	for _, p := range all {
		if f := p.Form(); f.HasNumbers() || f == report.Suppressed {
			n[p.Start]++
		}
	}
	for back := 0; back < 4; back++ {
		most := 0
		for i := int64(1); i <= 8; i++ {
			most = max(most, n[week-step*i])
		}
		if 2*n[week] >= most {
			return week
		}
		week -= step
	}
	return week
}

// levels reads the service levels of the last four weeks.
func (b *Board) levels(ctx context.Context, s *Snapshot, environment string) error {
	if s.Catalog == nil {
		return nil
	}
	by := map[string]map[string][]store.Period{}
	for i := range s.Catalog.Measures {
		m := &s.Catalog.Measures[i]
		if !sla.Is(m.Kind) {
			continue
		}
		ps, err := b.c.Measurements.Periods(ctx, store.PeriodQuery{Measure: m.ID, Environments: environments(environment), Grain: store.Weekly, From: s.Week - 21, To: s.Week})
		if err != nil {
			return fmt.Errorf("reading service levels: %w", err)
		}
		for _, p := range ps {
			if by[p.Account] == nil {
				by[p.Account] = map[string][]store.Period{}
			}
			by[p.Account][m.ID] = append(by[p.Account][m.ID], p)
		}
	}
	for i := range s.Rows {
		r := &s.Rows[i]
		for j := range s.Catalog.Measures {
			m := &s.Catalog.Measures[j]
			if ps := by[r.Key][m.ID]; sla.Is(m.Kind) && len(ps) > 0 {
				levels := sla.Periods(ps, map[string]float64{m.ID: m.Target})
				r.Levels = append(r.Levels, sla.Sum(m.ID, m.Kind, m.Target, levels, s.Week-21, 28))
			}
		}
	}
	return nil
}

func (s *Snapshot) read() {
	for i := range s.Rows {
		r := &s.Rows[i]
		r.Clock = s.Clock
		st := Status(r.AccountRow, r.Installs, s.Clock)
		st.Weeks = int(accounts.Step(s.Grain) / 7)
		r.Reading = accounts.Read(r.Points, st)
	}
}

// Status gathers what a reading needs of an account.
func Status(a store.AccountRow, installs []store.Installation, clock time.Time) accounts.Status {
	st := accounts.Status{Clock: clock, LastReport: a.LastReport, Closed: a.Closed, Installed: len(installs)}
	for _, i := range installs {
		st.EverAsked = st.EverAsked || i.Statement != (exchange.Hash{})
		for _, l := range i.Consent {
			st.Consented = st.Consented || l.Leaves()
		}
	}
	return st
}

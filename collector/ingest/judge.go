package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const (
	// maxAge of a window. What consent covers is bounded by its own date; this only keeps
	// nonsense out.
	maxAge = 20 * 365 * 24 * time.Hour
	// maxAhead is how far past the clock a window may end: a day for zones and clocks that
	// are wrong (skew is shown, not punished).
	maxAhead = 24 * time.Hour
	// keep bounds each of the caches below; full, it begins anew.
	keep = 4096
)

// refusal is why a batch is refused for good.
type refusal struct{ code, message string }

func refuse(code, format string, args ...any) *refusal {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// judge decides whether consent and catalog cover a batch.
type judge struct {
	statements store.Statements
	catalogs   store.Catalogs
	demo       bool

	mu     sync.Mutex // guards the caches: statements and catalogs never change
	known  map[exchange.Hash]*exchange.Statement
	parsed map[exchange.Hash]*catalog.Catalog
	zones  map[string]*time.Location
}

func newJudge(c Config) *judge {
	return &judge{statements: c.Statements, catalogs: c.Catalogs, demo: c.Demo, known: map[exchange.Hash]*exchange.Statement{},
		parsed: map[exchange.Hash]*catalog.Catalog{}, zones: map[string]*time.Location{}}
}

// cached looks a thing up once. Errors are not kept: what is unknown may become known.
func cached[K comparable, V any](mu *sync.Mutex, m map[K]V, k K, load func() (V, error)) (V, error) {
	mu.Lock()
	v, ok := m[k]
	mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := load()
	if err != nil {
		return v, err
	}
	mu.Lock()
	defer mu.Unlock()
	if len(m) >= keep {
		clear(m)
	}
	m[k] = v
	return v, nil
}

func (j *judge) statement(ctx context.Context, h exchange.Hash) (*exchange.Statement, error) {
	return cached(&j.mu, j.known, h, func() (*exchange.Statement, error) {
		s, err := j.statements.Statement(ctx, h)
		if err != nil {
			return nil, err
		}
		return s.Signed.Parse() // was verified when it came
	})
}

func (j *judge) catalog(ctx context.Context, h exchange.Hash) (*catalog.Catalog, error) {
	return cached(&j.mu, j.parsed, h, func() (*catalog.Catalog, error) {
		c, err := j.catalogs.Catalog(ctx, h)
		if err != nil {
			return nil, err
		}
		return catalog.Parse(c.Raw) // was verified when it was added
	})
}

// case_ is everything one batch is judged by.
type case_ struct {
	cat, accepted, acceptedNow *catalog.Catalog
	named, newest              *exchange.Statement
	zone                       *time.Location
	now                        time.Time
	plans                      map[planKey]*noise.Plan // nil: no figure of it has noise
}

type planKey struct {
	measure uint16
	level   string
}

// batch judges an opened batch. An error means that it could not be judged now.
func (j *judge) batch(ctx context.Context, a *store.Agent, b *batch.Batch, now time.Time) (*refusal, error) {
	h := &b.Header
	if h.Simulated && !j.demo && a.Environment != store.Test {
		return refuse(store.CodeSimulated, "a %s installation cannot send simulated batches", a.Environment), nil
	}
	k := case_{now: now}
	var err error
	k.zone, err = cached(&j.mu, j.zones, h.Zone, func() (*time.Location, error) { return time.LoadLocation(h.Zone) })
	if err != nil {
		return refuse(store.CodeUnknownZone, "the time zone %q is not known here", h.Zone), nil
	}
	if r, err := j.consent(ctx, a, h, &k); r != nil || err != nil {
		return r, err
	}
	for i := range b.Cells {
		c := &b.Cells[i]
		if _, err := k.cat.Resolve(*c); err != nil {
			return refuse(store.CodeUnknownCell, "cell %d: %v", i, err), nil
		}
		if r := k.cell(c); r != nil {
			return r, nil
		}
	}
	return nil, nil
}

// consent finds the statements and catalogs a batch names.
func (j *judge) consent(ctx context.Context, a *store.Agent, h *batch.Header, k *case_) (*refusal, error) {
	var err error
	if k.named, err = j.statement(ctx, h.Consent); errors.Is(err, store.ErrNotFound) {
		return refuse(store.CodeUnknownStatement, "no check-in brought the consent statement %s", exchange.Hash(h.Consent)), nil
	} else if err != nil {
		return nil, err
	}
	if k.named.Agent != a.ID {
		return refuse(store.CodeUnknownStatement, "the consent statement is another agent's"), nil
	}
	if k.named.Simulated != h.Simulated {
		return refuse(store.CodeSimulated, "the batch says simulated=%v, the consent it names %v", h.Simulated, k.named.Simulated), nil
	}
	newest, err := j.statements.NewestStatement(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	if k.newest, err = j.statement(ctx, newest.Hash); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		hash exchange.Hash
		to   **catalog.Catalog
		what string
	}{{h.Catalog, &k.cat, "the batch names"}, {k.named.Catalog, &k.accepted, "the consent accepted"}, {k.newest.Catalog, &k.acceptedNow, ""}} {
		if *c.to, err = j.catalog(ctx, c.hash); err == nil || c.what == "" && errors.Is(err, store.ErrNotFound) {
			continue
		}
		if errors.Is(err, store.ErrNotFound) {
			return refuse(store.CodeUnknownCatalog, "the catalog %s that %s is not known here", c.hash, c.what), nil
		}
		return nil, err
	}
	return nil, nil
}

// cell judges one cell: time, consent, form.
func (k *case_) cell(c *report.Cell) *refusal {
	m := &k.cat.Measures[c.Measure]
	begin, end := report.WindowTimes(c.Grain, c.Start, k.zone)
	switch {
	case begin.Before(k.now.Add(-maxAge)):
		return refuse(store.CodeTooOld, "a %s of %s began at %s", c.Grain, m.ID, report.StartString(c.Grain, c.Start))
	case end.After(k.now.Add(maxAhead)):
		return refuse(store.CodeTooFuture, "a %s of %s that began at %s has not ended", c.Grain, m.ID, report.StartString(c.Grain, c.Start))
	}
	if k.pooled(k.named, m, k.accepted, c, begin) && k.pooled(k.newest, m, k.acceptedNow, c, k.now) {
		return nil
	}
	d := k.named.Effective(m, k.accepted)
	if !d.Level.Leaves() {
		return refuse(store.CodeNotCovered, "%s (%s) is at level %s", m.ID, m.Category, d.Level)
	}
	if begin.Unix() < d.From {
		return refuse(store.CodeNotCovered, "a %s of %s began at %s, before the consent to %s did", c.Grain, m.ID, report.StartString(c.Grain, c.Start), m.Category)
	}
	if !k.allowed(m, c, d.Level) {
		return refuse(store.CodeNotCovered, "%s may not be told as %s per %s at level %s", m.ID, c.Form, c.Grain, d.Level)
	}
	// A decision that has narrowed since stops what was frozen before it.
	if now := k.newest.Effective(m, k.acceptedNow); !now.Level.Leaves() || !k.allowed(m, c, now.Level) {
		return refuse(store.CodeNotCovered, "%s (%s) is at level %s since statement %d", m.ID, m.Category, now.Level, k.newest.Number)
	}
	return nil
}

// pooled reports whether a statement lets the cell leave for the pool: a noised or withheld figure of a block of 12 weeks that
// began when the pool was joined already.
func (k *case_) pooled(s *exchange.Statement, m *catalog.Measure, accepted *catalog.Catalog, c *report.Cell, begin time.Time) bool {
	if c.Grain != report.Block12w || c.Form != report.Noised && c.Form != report.Suppressed {
		return false
	}
	if d := s.EffectivePool(m, accepted); !d.Level.Leaves() || begin.Unix() < d.From {
		return false
	}
	return c.Form == report.Suppressed || k.noised(c, noise.Pool)
}

// noised reports whether the figure can have noise at the level.
func (k *case_) noised(c *report.Cell, level string) bool {
	key := planKey{c.Measure, level}
	p, ok := k.plans[key]
	if !ok {
		p, _ = noise.PlanOf(k.cat, &k.cat.Measures[c.Measure], level)
		if k.plans == nil {
			k.plans = map[planKey]*noise.Plan{}
		}
		k.plans[key] = p
	}
	if p == nil {
		return false
	}
	_, ok = p.Params(c.Series)
	return ok && (c.Grain != report.Rolling28 || endsBlock(c.Start))
}

// allowed is the collector's own knowledge of PRIVACY: in which form a cell may be told at all. Machines and traffic: any but
// noise, traffic per hour or longer. People: with noise at strict and only there; at aggregate and above the audited
// statements of the windows that leave; at totals also the site's totals of active users and of events, exactly.
func (k *case_) allowed(m *catalog.Measure, c *report.Cell, level exchange.Level) bool {
	if !c.Form.HasNumbers() {
		return true
	}
	switch m.Subject {
	case catalog.Machine:
		return c.Form != report.Noised
	case catalog.Traffic:
		return c.Form != report.Noised && c.Grain != report.FiveMinutes
	}
	if c.Form == report.Noised {
		return level == exchange.Strict && k.noised(c, noise.Strict)
	}
	if c.Field == report.Purchased || c.Field == report.Assigned || c.Field == report.Workdays { // contracts and calendars
		return c.Form == report.Exact && leavesAt(m, c)
	}
	return level.AtLeast(exchange.Aggregate) && audited(m, c, level)
}

// audited are the windows of PRIVACY, "Windows that leave": of weeks the site's total alone.
func audited(m *catalog.Measure, c *report.Cell, level exchange.Level) bool {
	if c.Grain != report.Week {
		return leavesAt(m, c)
	}
	if c.Breakdown != 0 || c.Field != report.Value {
		return false
	}
	return m.Kind == catalog.ActiveUsers && c.Form != report.Share || m.Kind == catalog.Count && level.AtLeast(exchange.Totals)
}

// leavesAt reports whether a cell's window is one of those that leave of its kind.
func leavesAt(m *catalog.Measure, c *report.Cell) bool {
	return c.Grain == m.LeavesAt() && (c.Grain != report.Rolling28 || endsBlock(c.Start))
}

// endsBlock reports whether a civil day is the last of a block of four weeks.
func endsBlock(day int64) bool { return report.CivilStart(report.Block4w, day)+27 == day }

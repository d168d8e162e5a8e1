// Package insight answers questions over many accounts that none of them can be asked alone: the pool.
//
// A site that joined the pool sends figures of blocks of 12 weeks with noise of its own. Added up over sites, the people
// add up and the noise cancels out. The sum is unbiased (noise has mean nought, negative figures stay negative), and its
// error bar is exact for 95 %: see protocol/noise.Sum.
//
// Invariants: a sum over fewer than 100 accounts, or one whose error is more than 30 % of it, is withheld and carries no
// number; the two reasons are told apart, the first is looked at first. A figure whose noise no catalog here explains is
// never shown. Where several catalogs hold the definition and pool another number of measures beside it,
// the widest noise counts: the bar is too long rather than too short.
//
// A sum counts people per installation: who works at two of an account counts twice. Withholding looks at the noised
// sum, so of figures close to 30 % those that came out high are shown more often.
//
// It keeps nothing on disk and nothing but parsed catalogs in memory.
package insight

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Reason is why a sum is withheld; "" when it is shown.
type Reason string

// Reasons, in the order in which they are looked at.
const (
	Shown        Reason = ""
	UnknownNoise Reason = "unknown_noise"    // no catalog here explains the figure's noise
	TooFew       Reason = "too_few_accounts" // fewer than noise.MinAccounts
	TooUncertain Reason = "too_uncertain"    // the error is more than noise.MaxError of the sum
)

// Text is the reason in plain words.
func (r Reason) Text() string {
	switch r {
	case UnknownNoise:
		return "no catalog here says how much noise this has"
	case TooFew:
		return fmt.Sprintf("fewer than %d accounts", noise.MinAccounts)
	case TooUncertain:
		return fmt.Sprintf("the error is more than %.0f %%", noise.MaxError*100)
	}
	return ""
}

// Figure is one pooled figure of one block of 12 weeks.
type Figure struct {
	Measure  string
	Hash     string
	Kind     string
	Field    report.Field
	Dims     map[string]string // empty: the total
	Start    int64             // civil day of the block's first Monday
	Accounts int
	Sites    int // installations
	Reason   Reason
	// Value, the noised sum, lies within Margin of the exact one in 95 of 100 blocks; Interval is that, and never
	// below nought. Error is Margin ÷ Value. All are 0 where the sum is withheld.
	Value    float64
	Margin   float64
	Error    float64
	Interval report.Interval
	Epsilon  float64 // what a user of a site spent on the measure in the block
}

// Pool answers from a store. It is safe for concurrent use.
type Pool struct {
	rows     store.Pool
	catalogs store.Catalogs

	mu     sync.Mutex // guards parsed
	parsed map[exchange.Hash]*catalog.Catalog
}

// New is a Pool over a store.
func New(rows store.Pool, catalogs store.Catalogs) *Pool {
	return &Pool{rows: rows, catalogs: catalogs, parsed: map[exchange.Hash]*catalog.Catalog{}}
}

// Figures are the pooled figures that match, by measure, definition, block, dimensions (the total first) and field.
func (p *Pool) Figures(ctx context.Context, q store.PoolQuery) ([]Figure, error) {
	rows, err := p.rows.Pooled(ctx, q)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	known, err := p.noise(ctx)
	if err != nil {
		return nil, err
	}
	out, margins := make([]Figure, len(rows)), margins{}
	for i, r := range rows {
		n, ok := known[seriesKey{r.Measure, r.Hash, r.Field, store.DimsKey(r.Dims)}]
		out[i] = read(r, n, ok, margins)
	}
	return out, nil
}

// margins remembers error bars: most figures of a block have the same.
type margins map[marginKey]float64

type marginKey struct {
	noise.Params
	sites int
}

func (m margins) of(n noise.Params, sites int) float64 {
	k := marginKey{n, sites}
	v, ok := m[k]
	if !ok {
		var sum noise.Sum
		sum.AddN(n, sites)
		v = sum.Margin(noise.Confidence)
		m[k] = v
	}
	return v
}

// read is what may be said of a sum whose parts have noise n.
func read(r store.PoolRow, n noise.Params, known bool, bars margins) Figure {
	f := Figure{Measure: r.Measure, Hash: r.Hash, Kind: r.Kind, Field: r.Field, Dims: r.Dims, Start: r.Start, Accounts: r.Accounts, Sites: r.Sites, Epsilon: n.Epsilon}
	switch {
	case !known:
		f.Reason = UnknownNoise
		return f
	case r.Accounts < noise.MinAccounts:
		f.Reason = TooFew
		return f
	}
	margin := bars.of(n, r.Sites)
	if r.Sum <= 0 || margin > noise.MaxError*r.Sum {
		f.Reason = TooUncertain
		return f
	}
	f.Value, f.Margin, f.Error = r.Sum, margin, margin/r.Sum
	f.Interval = report.Interval{Lo: math.Max(0, r.Sum-margin), Hi: r.Sum + margin}
	return f
}

// seriesKey names a figure whatever the catalog.
type seriesKey struct {
	measure, hash string
	field         report.Field
	dims          string
}

// noise is the noise of every pooled figure of every catalog that is known here.
func (p *Pool) noise(ctx context.Context) (map[seriesKey]noise.Params, error) {
	list, err := p.catalogs.CatalogList(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing catalogs: %w", err)
	}
	out := map[seriesKey]noise.Params{}
	for _, row := range list {
		c, err := p.catalog(ctx, row.Hash)
		if err != nil {
			return nil, err
		}
		for i := range c.Measures {
			m := &c.Measures[i]
			plan, ok := noise.PlanOf(c, m, noise.Pool)
			if !ok {
				continue
			}
			for _, s := range plan.Figures() {
				n, _ := plan.Params(s)
				k := seriesKey{m.ID, m.HashString(), s.Field, store.DimsKey(c.Dims(m, s))}
				if have, ok := out[k]; !ok || n.Variance() > have.Variance() {
					out[k] = n
				}
			}
		}
	}
	return out, nil
}

// catalog reads a catalog once: what is stored under a hash never changes.
func (p *Pool) catalog(ctx context.Context, hash exchange.Hash) (*catalog.Catalog, error) {
	p.mu.Lock()
	c := p.parsed[hash]
	p.mu.Unlock()
	if c != nil {
		return c, nil
	}
	row, err := p.catalogs.Catalog(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("reading the catalog %s: %w", hash, err)
	}
	if c, err = catalog.Parse(row.Raw); err != nil { // was verified when it was added
		return nil, fmt.Errorf("reading the catalog %s: %w", hash, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parsed[hash] = c
	return c, nil
}

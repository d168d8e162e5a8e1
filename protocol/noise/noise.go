// Package noise is what a site and a vendor must agree on about figures with noise: which figures of a
// measure can have it at the levels strict and pool, of which disjoint cells they are made, how much of
// a user's privacy budget ε each spends, and how far a figure or a sum of figures can be off.
//
// The guarantee is differential privacy (Dwork, McSherry, Nissim, Smith 2006) for a user (who uses two ids that were
// not joined yet is two): whoever sees all that
// a measure tells of a block cannot tell two sites apart, of which one has a user more, by more than the
// factor exp(ε), whatever else is known. The mechanism is the two-sided geometric one, see Params.
//
// # Families of disjoint cells
//
// A family is a set of cells that one user changes by at most Sensitivity in sum, whoever the user is. That
// must follow from what the measure means, not from what a site happened to see; where it does not (events
// per user are not bounded, a user has many values of an event's property) the figure is Suppressed. Cells
// of one family share its ε (parallel composition), families split the measure's ε evenly (sequential
// composition). A figure that is a sum of cells is the sum of their noised values and spends nothing more.
//
//	kind          window      families (strict)                                  pool
//	active_users  4w          each breakdown by one trait                        the first such breakdown, 12w
//	lifecycle     4w          new, retained, resurrected, dormant; by one trait  the same of three windows, 12w
//	retention     12w         size; still active in week 4 after the first       still active
//	funnel        4w          last step reached; time band; split × last step    last step reached, 12w
//	stickiness    rolling28   bins of L28                                        –
//	adoption      rolling28   eligible; of each feature tried, adopted, habitual tried, at most 3 features
//	seats         rolling28   active; peak                                       –
//	count         4w          events, each person's at most cap (if declared)    –
//
// A total is the sum of the smallest breakdown's cells when these are at most 8, else a family of its own. Steps
// of a funnel are made of "reached this one last", rungs of a ladder of "this one and no higher". Pooled
// windows are named by their block of 12 weeks, also where the figure is that of the block's last 28 days.
//
// # ε
//
// strict: Measure.Epsilon per measure, block and user. pool: 4 per user and block of 12 weeks, split evenly over
// the catalog's pooled measures. ε is rounded down to thousandths, so that both ends have the same
// ratio of integers.
//
// The package keeps no state and depends on the signed catalog alone, so that a cell on the wire needs no words
// about its noise.
package noise

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Levels at which figures leave with noise. Pool is the category of that name at the level strict.
const (
	Strict = "strict"
	Pool   = "pool"
)

const (
	// MinGroup is the fewest people of an installation whose figures leave at the level strict. The noise of a 4-week
	// total at ε = 1 is ± 3 (95 %): 6 % of 50.
	MinGroup = 50
	// MinAccounts is the fewest accounts of a pooled sum, MaxError the largest relative error (95 %) it is shown with.
	MinAccounts = 100
	MaxError    = 0.30
	// Confidence of all error bars.
	Confidence = 0.95

	poolMilli   = 4000 // thousandths of ε per user and 12-week block
	maxDerived  = 8    // cells a total is added up from; with more it is better told by itself (see doc)
	maxTimes    = 3    // entries of one user in one window of a funnel
	maxFeatures = catalog.MostPooledFeatures
	ladders     = 8 // features at strict: their ladders split ε
	keptOffset  = 4 // the one retained offset, in weeks
	maxNested   = 3 // uses up to which habitual (3 weeks, so 3 uses on 3 days) implies adopted
)

// Plan says how the figures of one measure are made of noised cells.
type Plan struct {
	Level    string
	Measure  int          // index in the catalog
	Grain    report.Grain // of the windows that leave
	Source   report.Grain // of the exact windows they are made of
	Milli    uint64       // thousandths of ε spent per user and block
	Families []Family

	at map[report.Series]place // figure → its cells
}

// Family is a set of cells that one user changes by at most Sensitivity in sum.
type Family struct {
	Name        string
	Sensitivity int
	Cells       []Cell
}

// Cell is a disjoint count: Plus, or Plus − Minus where people are in both. Series are named as exact windows
// name them, with the grain of the plan.
type Cell struct {
	Plus, Minus report.Series
	Less        bool // there is a Minus
}

type place struct {
	family int
	cells  []int
}

// Exact is the cell's count, given the exact figures.
func (c Cell) Exact(of func(report.Series) float64) float64 {
	if c.Less {
		return of(c.Plus) - of(c.Minus)
	}
	return of(c.Plus)
}

// Of is the noise of one figure; ok is false when it does not leave with noise at that level.
func Of(c *catalog.Catalog, m *catalog.Measure, level string, s report.Series) (Params, bool) {
	p, ok := PlanOf(c, m, level)
	if !ok {
		return Params{}, false
	}
	return p.Params(s)
}

// Params is the noise of one figure of the plan. The measure's index in s does not matter.
func (p *Plan) Params(s report.Series) (Params, bool) {
	s.Measure = uint16(p.Measure)
	at, ok := p.at[s]
	if !ok {
		return Params{}, false
	}
	f := p.Families[at.family]
	out := Params{Epsilon: float64(p.Milli) / 1000, Share: float64(p.Milli) / 1000 / float64(len(p.Families)), Sensitivity: f.Sensitivity, Draws: len(at.cells)}
	out.Num, out.Den = p.Ratio(at.family)
	return out, true
}

// Ratio is the exact decay γ of a family's draws.
func (p *Plan) Ratio(family int) (num, den uint64) {
	return p.Milli, 1000 * uint64(len(p.Families)) * uint64(p.Families[family].Sensitivity)
}

// Figures are the series that leave with noise, in order.
func (p *Plan) Figures() []report.Series {
	return slices.SortedFunc(maps.Keys(p.at), report.Series.Compare)
}

// Cells of a figure: the family and the numbers of its cells; ok is false when it leaves without noise or not.
func (p *Plan) Cells(s report.Series) (family int, cells []int, ok bool) {
	at, ok := p.at[s]
	return at.family, at.cells, ok
}

// Window is the window that leaves and holds the exact one; ok is false when that one is no part of any: a
// rolling28 that does not end a block.
func (p *Plan) Window(g report.Grain, start int64) (released int64, ok bool) {
	if g != p.Source {
		return 0, false
	}
	length := int64(28)
	if p.Grain == report.Block12w {
		length = 84
	}
	switch {
	case g != report.Rolling28:
		return report.CivilStart(p.Grain, start), true
	case report.CivilStart(block(length), start)+length-1 != start:
		return 0, false
	case p.Grain == report.Rolling28:
		return start, true
	}
	return start - length + 1, true
}

// Block is the first day of the block whose budget a released window spends.
func (p *Plan) Block(released int64) int64 {
	if p.Grain == report.Rolling28 {
		return released - 27
	}
	return released
}

// Days is how long the block is whose budget a window spends.
func (p *Plan) Days() int {
	if p.Grain == report.Block12w {
		return 84
	}
	return 28
}

// Parts is how many exact windows make up a released one.
func (p *Plan) Parts() int {
	if p.Grain == report.Block12w && p.Source == report.Block4w {
		return 3
	}
	return 1
}

func block(days int64) report.Grain {
	if days == 84 {
		return report.Block12w
	}
	return report.Block4w
}

// PlanOf is how the measure leaves with noise at the level; ok is false when it does not. m must be one of c's.
func PlanOf(c *catalog.Catalog, m *catalog.Measure, level string) (*Plan, bool) {
	i := indexOf(c, m)
	if i < 0 || m.Subject != catalog.Person {
		return nil, false
	}
	p := &Plan{Level: level, Measure: i, at: map[report.Series]place{}}
	switch {
	case level == Pool && m.Pool:
		p.Milli, p.Grain = poolMilli/uint64(Pooled(c)), report.Block12w
	case level == Strict && m.Category != catalog.Pool && (!m.Pool || m.LeavesAt() != report.Block12w):
		p.Milli, p.Grain = milli(m.Epsilon), m.LeavesAt()
	default: // a pooled measure's windows of 12 weeks leave in the pool alone: the sum must not hold another noise
		return nil, false
	}
	p.Source = p.Grain
	b := builder{Plan: p, c: c, m: m}
	if !b.build() {
		return nil, false
	}
	return p, true
}

// Pooled is how many measures of the catalog share the pool's ε; at least 1.
func Pooled(c *catalog.Catalog) int {
	n := 0
	for i := range c.Measures {
		if c.Measures[i].Pool {
			n++
		}
	}
	return max(n, 1)
}

// PoolMilli is the budget of a user in the pool, per block of 12 weeks, in thousandths of ε.
func PoolMilli() uint64 { return poolMilli }

func milli(epsilon float64) uint64 {
	if !(epsilon > 0) {
		epsilon = 1
	}
	return max(1, uint64(math.Floor(epsilon*1000+1e-6)))
}

func indexOf(c *catalog.Catalog, m *catalog.Measure) int {
	for i := range c.Measures {
		if &c.Measures[i] == m {
			return i
		}
	}
	return -1
}

// mostEntries is how often one user can enter a funnel in days of time, or 0 where that is not bounded.
func mostEntries(m *catalog.Measure, days int) int {
	switch {
	case m.Correlate != "": // once per value
		return 0
	case m.Entry != "each":
		return 1
	case m.Window <= 0:
		return 0
	}
	span := time.Duration(days+1) * 24 * time.Hour // days of a zone can be longer than 24 h
	if n := int(span/m.Window) + 1; n <= maxTimes {
		return n
	}
	return 0
}

// Package egress is the one gate between what was measured and what may leave.
//
// For every closed window it rules, from the catalog, the consent, the fixed group size and what was
// told before, in which form each figure leaves: the ruling is made before any value is looked
// up, so that the form tells nothing about the value (PRIVACY, "The form never depends on
// the value"). Machine figures leave exactly, at the one grain the catalog names; traffic
// per hour, or per day at small sites. Of counts of people an audited answer leaves: package
// relate knows what the counts have to do with one another, package audit cuts the code books.
// At the level totals the site's totals leave exactly; at strict and for the pool counts leave with
// noise (package noise).
//
// Invariants: nothing leaves that the consent in force did not cover for the whole window;
// every cell a ruling names is answered, zero and suppressed ones included, whatever
// happened in the window; group sizes are fixed for a block of 12 weeks; an answer is given once
// and then stands. The gate keeps group sizes, answers and noise, which the agent's checkpoint
// holds (Save, Load).
//
// What the site's own screens show obeys the same answers: windows of every measured category are
// judged, also those that do not leave.
package egress

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/fieldpost/fieldpost/agent/egress/noise"
	"github.com/fieldpost/fieldpost/agent/egress/relate"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	shared "github.com/fieldpost/fieldpost/protocol/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// smallSite is the number of users in 28 days below which traffic leaves per day only: an hourly
// count at a three-person site is an attendance clock.
const smallSite = 20

// Safety is tested with so many per cent fewer people than named; with more where many who are known
// have not been seen for 12 weeks.
const (
	margin         = 20
	marginTurnover = 35
)

// Policy is what the customer decided, as the gate needs it.
type Policy struct {
	Statement *exchange.Statement // nil: nothing was decided
	Accepted  *catalog.Catalog    // the catalog Statement names
	People    int                 // how many people the customer named; 0: none
}

// Window is one closed window of one measure as it comes from the fold.
type Window struct {
	Catalog *catalog.Catalog
	Measure int
	Grain   report.Grain
	Start   int64
	Cells   []report.Cell // exact figures: totals and breakdown values that are not nought
	Sum     *Sum          // of a count about people per block; nil: not known, and it stays
}

// Ruled is a cell in the form it may leave in, or suppressed with the reason.
type Ruled struct {
	report.Cell
	Reason Reason
	Why    Explanation
}

// Gate rules. It is used by one goroutine.
type Gate struct {
	cfg    Config
	groups map[int64]group // by start of the 12-week block
	plans  map[[8]byte]*relate.Plan
	model  *relate.Model
	drawer *noise.Drawer
	sums   map[string]toldSum
}

// Config of a Gate.
type Config struct {
	Zone    func(ns int64) *time.Location         // in which the installation counts days at a moment
	Catalog func(prefix [8]byte) *catalog.Catalog // finds every catalog that was in force within two years
	Noise   noise.Config
}

type group struct {
	Size    int            `json:"size"`              // the group size in force for the block
	Named   bool           `json:"named"`             // by the customer, and not rounded
	Used    bool           `json:"used"`              // a figure was answered with it
	Users28 bool           `json:"users_28"`          // at least smallSite users were active in the 28 days before the block
	Margin  int            `json:"margin"`            // per cent
	Trait   string         `json:"trait,omitempty"`   // that figures are told by, when the size was fixed
	Holders map[string]int `json:"holders,omitempty"` // people known by value of the trait; "" none
}

// New is a gate.
func New(cfg Config) *Gate {
	g := &Gate{cfg: cfg, groups: map[int64]group{}, plans: map[[8]byte]*relate.Plan{}, drawer: noise.New(cfg.Noise)}
	g.model = relate.NewModel(g.planOf)
	return g
}

// planOf is the plan of a catalog that was in force; nil when it is unknown.
func (g *Gate) planOf(prefix [8]byte) *relate.Plan {
	if p, ok := g.plans[prefix]; ok {
		return p
	}
	if g.cfg.Catalog == nil {
		return nil
	}
	c := g.cfg.Catalog(prefix)
	if c == nil {
		return nil
	}
	return g.plan(c)
}

func (g *Gate) plan(c *catalog.Catalog) *relate.Plan {
	prefix := [8]byte(c.Hash[:8])
	p, ok := g.plans[prefix]
	if !ok {
		p = relate.New(c)
		g.plans[prefix] = p
	}
	return p
}

// Sizes tells what a block's group size is made of; asked once a block.
type Sizes interface {
	Known() int                          // users known at the site who are people
	Users28() int                        // of them, active in the last 28 days
	Users84() int                        // of them, active in the last 12 weeks
	Holders(trait string) map[string]int // of them, by the value of a trait; "" those without
}

// Begin fixes the group size of the 12-week block that holds t, if it is not fixed yet. It must be
// called before the first window of the block closes.
func (g *Gate) Begin(t time.Time, p Policy, s Sizes) {
	start := report.WindowStart(report.Block12w, t, g.cfg.Zone(t.UnixNano()))
	if _, ok := g.groups[start]; ok {
		return
	}
	known := s.Known()
	n := group{Size: roundGroup(known), Users28: s.Users28() >= smallSite, Margin: margin}
	if (known-s.Users84())*5 > known {
		n.Margin = marginTurnover
	}
	g.groups[start] = g.named(n, p, s)
	for old := range g.groups {
		if old < start-12*84 { // what was told is related for two years
			delete(g.groups, old)
		}
	}
}

// named takes in what the customer decided.
func (g *Gate) named(n group, p Policy, s Sizes) group {
	if p.People > 0 {
		n.Size, n.Named, n.Margin = p.People, true, margin
	}
	if p.Accepted != nil {
		if n.Trait = g.plan(p.Accepted).Trait(); n.Trait != "" {
			n.Holders = s.Holders(n.Trait)
		}
	}
	return n
}

// Name lets a decision of the customer take effect in the block that holds t, if no figure about people
// was answered with the block's size yet; from the next block on it does anyway.
func (g *Gate) Name(t time.Time, p Policy, s Sizes) {
	start := report.WindowStart(report.Block12w, t, g.cfg.Zone(t.UnixNano()))
	if n, ok := g.groups[start]; ok && !n.Used {
		g.groups[start] = g.named(n, p, s)
	}
}

// Fixed reports whether the group size of t's block is fixed.
func (g *Gate) Fixed(t time.Time) bool {
	_, ok := g.groups[report.WindowStart(report.Block12w, t, g.cfg.Zone(t.UnixNano()))]
	return ok
}

// Judge rules on a closed window: every cell it has, whether or not something happened. The cells leave when leave
// is set; what leaves with noise may belong to a longer window than w.
func (g *Gate) Judge(w Window, p Policy) (cells []Ruled, leave bool, err error) {
	m := &w.Catalog.Measures[w.Measure]
	why := g.stays(w, m, p)
	if m.Subject != catalog.Person {
		if why != Leaves {
			return suppressAll(w, why), false, nil
		}
		return machineCells(w), true, nil
	}
	noised, alone, err := g.noised(w, m, p)
	if err != nil {
		return nil, false, err
	}
	if alone && p.level(m) != exchange.Strict {
		return noised, len(noised) > 0, nil
	}
	if p.level(m) == exchange.Strict {
		noised = append(noised, g.public(w, m, why)...)
		return noised, len(noised) > 0, nil
	}
	if !g.tells(w, m) {
		if len(noised) > 0 {
			return noised, true, nil
		}
		return suppressAll(w, why), false, nil
	}
	audited := g.audited(w, m, p)
	if why != Leaves {
		if len(noised) > 0 {
			return noised, true, nil
		}
		return suppressAll(w, why), false, nil
	}
	return append(noised, audited...), true, nil
}

func (p Policy) level(m *catalog.Measure) exchange.Level {
	if p.Statement == nil {
		return exchange.Off
	}
	return p.Statement.Effective(m, p.Accepted).Level
}

// stays is why a whole window does not leave, Leaves when it does.
func (g *Gate) stays(w Window, m *catalog.Measure, p Policy) Reason {
	if p.Statement == nil || !p.Statement.Decision(m.Category).Level.Leaves() {
		return NotConsented
	}
	d := p.Statement.Effective(m, p.Accepted)
	if !d.Level.Leaves() {
		return NotAccepted
	}
	begin := g.begin(w.Grain, w.Start)
	if begin.Unix() < d.From {
		return BeforeConsent
	}
	if m.Subject == catalog.Person {
		if !g.tells(w, m) {
			return OtherGrain
		}
		return Leaves
	}
	return g.grain(w, m, begin)
}

// tells reports whether anything is told of windows like this one (PRIVACY, "Windows that leave").
func (g *Gate) tells(w Window, m *catalog.Measure) bool {
	if w.Grain == report.Week && m.Kind == catalog.Count {
		return true
	}
	if m.Kind == catalog.FirstTime && w.Grain == report.Change {
		return true
	}
	return g.plan(w.Catalog).Window(w.Measure, w.Grain, w.Start)
}

// grain rules whether windows of this length leave, for machines and traffic.
func (g *Gate) grain(w Window, m *catalog.Measure, begin time.Time) Reason {
	leaves := m.Leaves
	switch m.Subject {
	case catalog.Traffic:
		if leaves < report.Hour {
			leaves = report.Hour
		}
		if leaves == report.Hour && !g.block(begin).Users28 {
			leaves = report.Day
		}
		if w.Grain != leaves && w.Grain == m.Leaves {
			return SmallSite
		}
	case catalog.Machine:
		if (m.Kind == catalog.Fact || m.Kind == catalog.FirstTime) && w.Grain == report.Change {
			return Leaves
		}
	}
	if w.Grain != leaves {
		return OtherGrain
	}
	return Leaves
}

// begin is when a window begins, in the zone in which its days are counted.
func (g *Gate) begin(grain report.Grain, start int64) time.Time {
	about, _ := report.WindowTimes(grain, start, time.UTC)
	begin, _ := report.WindowTimes(grain, start, g.cfg.Zone(about.UnixNano()))
	return begin
}

// block is the group of the 12-week block that holds t. A block before the first one that was
// fixed is taken as that of the site when it began.
func (g *Gate) block(t time.Time) group {
	return g.blockAt(report.WindowStart(report.Block12w, t, g.cfg.Zone(t.UnixNano())))
}

func (g *Gate) blockAt(start int64) group {
	var best group
	newest := int64(math.MinInt64)
	for s, n := range g.groups {
		if s <= start && s > newest {
			best, newest = n, s
		}
	}
	return best
}

// sizes is the group of a block of 12 weeks as package relate needs it; from now on it is used.
func (g *Gate) sizes(p *relate.Plan) func(start int64) relate.Sizes {
	return func(start int64) relate.Sizes {
		n := g.blockAt(start)
		if own, ok := g.groups[start]; ok && !own.Used && n.Size >= minGroup {
			own.Used = true
			g.groups[start] = own
		}
		z := relate.Sizes{People: n.Size, Margin: n.Margin}
		if n.Trait != "" && n.Trait == p.Trait() {
			z.Roles = share(n.Size, p.Weights(n.Holders))
		}
		return z
	}
}

// noised is what leaves of a window with noise: at the level strict, and for the pool.
// alone says that nothing else of this very window leaves.
func (g *Gate) noised(w Window, m *catalog.Measure, p Policy) (out []Ruled, alone bool, err error) {
	if p.Statement == nil {
		return nil, false, nil
	}
	var taken noise.Window // by the pool
	for _, x := range []struct {
		level string
		d     exchange.Decision
	}{{shared.Pool, p.Statement.EffectivePool(m, p.Accepted)}, {shared.Strict, p.Statement.Effective(m, p.Accepted)}} {
		if x.d.Level != exchange.Strict {
			continue
		}
		nw := noise.Window{Catalog: w.Catalog, Measure: w.Measure, Grain: w.Grain, Start: w.Start, Cells: w.bounded(m)}
		grain, start, ok := noise.Released(nw, x.level)
		if !ok || m.Kind == catalog.Count && w.Sum == nil || grain == taken.Grain && start == taken.Start {
			continue
		}
		begin := g.begin(grain, start)
		if begin.Unix() < x.d.From {
			continue
		}
		taken = noise.Window{Grain: grain, Start: start}
		cells, done, err := g.drawer.Draw(nw, x.level, g.block(begin).Size)
		if err != nil {
			return nil, false, fmt.Errorf("drawing noise for %s: %w", m.ID, err)
		}
		for _, c := range cells {
			if done {
				r := Ruled{Cell: c, Why: Explanation{Noise: x.level}}
				if c.Form == report.Suppressed {
					r.Reason = GroupTooSmall
				}
				out = append(out, r)
			}
		}
	}
	return out, taken.Grain == w.Grain && taken.Start == w.Start && taken.Grain != 0, nil
}

// Spent is what noise has cost so far.
func (g *Gate) Spent() []noise.Spending { return g.drawer.Spent() }

// saved is the gate on disk.
type saved struct {
	Groups map[int64]group `json:"groups"`
	Told   json.RawMessage `json:"told"`
	Noise  json.RawMessage `json:"noise"`

	Sums map[string]toldSum `json:"sums,omitempty"`
}

// Save is the gate's state, to be committed with the checkpoint.
func (g *Gate) Save() ([]byte, error) {
	told, err := g.model.Save()
	if err != nil {
		return nil, err
	}
	drawn, err := g.drawer.Save()
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(saved{g.groups, told, drawn, g.sums}) // keys are written sorted
	if err != nil {
		return nil, fmt.Errorf("writing the gate: %w", err)
	}
	return b, nil
}

// Load reads what Save gave.
func (g *Gate) Load(b []byte) error {
	s := saved{}
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("reading the gate: %w", err)
	}
	if s.Groups == nil { // as the first version wrote it: group sizes alone
		return json.Unmarshal(b, &g.groups)
	}
	g.groups, g.sums = s.Groups, s.Sums
	if err := g.model.Load(s.Told); err != nil {
		return err
	}
	return g.drawer.Load(s.Noise)
}

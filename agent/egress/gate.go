// Package egress is the one gate between what was measured and what may leave.
//
// For every closed window it rules, from the catalog, the consent and the fixed group size
// alone, in which form each figure leaves: the ruling is made before any value is looked
// up, so that the form tells nothing about the value (PRIVACY, "The form never depends on
// the value"). Machine figures leave exactly, at the one grain the catalog names; traffic
// per hour, or per day at small sites; about people only the site's weekly total of active users
// leaves, in the answer of a code book, and at the level totals the site's totals exactly.
// Everything else about people is suppressed.
//
// Invariants: nothing leaves that the consent in force did not cover for the whole window;
// every cell a ruling names is answered, zero and suppressed ones included, whatever
// happened in the window; group sizes are fixed for a block of 12 weeks. The gate keeps one
// thing of its own, the group sizes, which the agent's checkpoint holds (Save, Load).
package egress

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// smallSite is the number of users in 28 days below which traffic leaves per day only: an hourly
// count at a three-person site is an attendance clock.
const smallSite = 20

// Reason is why a figure is suppressed or does not leave. It stays at the site.
type Reason string

const (
	Leaves        Reason = ""                // it leaves
	NotConsented  Reason = "not_consented"   // the category's level is off or local
	NotAccepted   Reason = "not_accepted"    // the accepted catalog does not hold this definition
	BeforeConsent Reason = "before_consent"  // the window began before the consent did
	OtherGrain    Reason = "other_grain"     // this grain stays at the site
	SmallSite     Reason = "small_site"      // traffic per hour at a site with fewer than 20 users
	GroupTooSmall Reason = "group_too_small" // no code book has two answers for so few people
	StillOpen     Reason = "still_open"      // the window has not closed
	NotSiteTotal  Reason = "not_site_total"  // about people, and not the site's total of active users
)

// Text is the reason in plain words.
func (r Reason) Text() string {
	switch r {
	case NotConsented:
		return "you have not agreed to send this category"
	case NotAccepted:
		return "you have not accepted the catalog that asks for this"
	case BeforeConsent:
		return "the window began before your consent did"
	case OtherGrain:
		return "this length of window stays here"
	case SmallSite:
		return "hours would tell who worked when at a site with fewer than 20 users; days leave"
	case GroupTooSmall:
		return "too few people: no answer could hide a single one"
	case StillOpen:
		return "the window has not closed yet"
	case NotSiteTotal:
		return "about people only the site's weekly total leaves"
	}
	return ""
}

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
}

// Ruled is a cell in the form it may leave in, or suppressed with the reason.
type Ruled struct {
	report.Cell
	Reason Reason
}

// Gate rules. It is used by one goroutine.
type Gate struct {
	zone   *time.Location
	groups map[int64]group // by start of the 12-week block
}

type group struct {
	Size    int  `json:"size"`     // the group size in force for the block
	Named   bool `json:"named"`    // by the customer, and not rounded
	Used    bool `json:"used"`     // a figure was answered with it
	Users28 bool `json:"users_28"` // at least smallSite users were active in the 28 days before the block
}

// New is a gate for an installation in zone.
func New(zone *time.Location) *Gate { return &Gate{zone: zone, groups: map[int64]group{}} }

// Sizes tells what a block's group size is made of; asked once a block.
type Sizes interface {
	Known() int   // users known at the site who are people
	Users28() int // users active in the last 28 days
}

// Begin fixes the group size of the 12-week block that holds t, if it is not fixed yet. It must be
// called before the first window of the block closes.
func (g *Gate) Begin(t time.Time, p Policy, s Sizes) {
	start := report.WindowStart(report.Block12w, t, g.zone)
	if _, ok := g.groups[start]; ok {
		return
	}
	n := group{Size: roundGroup(s.Known()), Users28: s.Users28() >= smallSite}
	if p.People > 0 {
		n.Size, n.Named = p.People, true
	}
	g.groups[start] = n
	for old := range g.groups {
		if old < start-4*84 { // windows close within a year of blocks
			delete(g.groups, old)
		}
	}
}

// Name lets a number of people that the customer named take effect in the block that holds t, if no
// figure about people was answered with the block's size yet; from the next block on it does
// anyway.
func (g *Gate) Name(t time.Time, p Policy) {
	start := report.WindowStart(report.Block12w, t, g.zone)
	n, ok := g.groups[start]
	if !ok || n.Used || p.People <= 0 {
		return
	}
	n.Size, n.Named = p.People, true
	g.groups[start] = n
}

// Fixed reports whether the group size of t's block is fixed.
func (g *Gate) Fixed(t time.Time) bool {
	_, ok := g.groups[report.WindowStart(report.Block12w, t, g.zone)]
	return ok
}

// ruling is the form of a series, decided without its value.
type ruling struct {
	form   report.Form
	book   Book // Band
	reason Reason
}

// Judge rules on a window. leave is false when nothing of it leaves; the cells then say why,
// for the site's own screens.
func (g *Gate) Judge(w Window, p Policy) (cells []Ruled, leave bool) {
	m := &w.Catalog.Measures[w.Measure]
	if why := g.stays(w, m, p); why != Leaves {
		return suppressAll(w, why), false
	}
	exact := make(map[report.Series]report.Cell, len(w.Cells))
	for _, c := range w.Cells {
		exact[c.Series] = c
	}
	if m.Subject != catalog.Person {
		return machineCells(w, m), true
	}
	for _, s := range seriesOf(w, m) {
		r := g.rule(s, w, m, p)
		cells = append(cells, answer(s, w.Start, r, exact[s])) // the value is looked up here and nowhere above
	}
	return cells, true
}

// stays is why a whole window stays at the site, or Leaves.
func (g *Gate) stays(w Window, m *catalog.Measure, p Policy) Reason {
	if p.Statement == nil || !p.Statement.Decision(m.Category).Level.Leaves() {
		return NotConsented
	}
	d := p.Statement.Effective(m, p.Accepted)
	if !d.Level.Leaves() {
		return NotAccepted
	}
	begin, _ := report.WindowTimes(w.Grain, w.Start, g.zone)
	if begin.Unix() < d.From {
		return BeforeConsent
	}
	return g.grain(w, m, begin)
}

// grain is why a grain stays at the site, or Leaves. Of machine and traffic one grain leaves,
// of people weeks and blocks of four weeks.
func (g *Gate) grain(w Window, m *catalog.Measure, begin time.Time) Reason {
	leaves := m.Leaves
	switch m.Subject {
	case catalog.Person:
		if w.Grain == report.Block4w || w.Grain == report.Week && m.Kind == catalog.ActiveUsers || w.Grain == report.Week && m.Kind == catalog.Count {
			return Leaves
		}
		return OtherGrain
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
		if m.Kind == catalog.Fact && w.Grain == report.Change {
			return Leaves
		}
	}
	if w.Grain != leaves {
		return OtherGrain
	}
	return Leaves
}

// block is the group of t's block; where nothing at all was received in a block, that of the newest
// one before it.
func (g *Gate) block(t time.Time) group {
	start := report.WindowStart(report.Block12w, t, g.zone)
	var best group
	newest := int64(math.MinInt64)
	for s, n := range g.groups {
		if s <= start && s > newest {
			best, newest = n, s
		}
	}
	return best
}

// use marks that a figure of t's block was answered with its size.
func (g *Gate) use(t time.Time) {
	start := report.WindowStart(report.Block12w, t, g.zone)
	if n, ok := g.groups[start]; ok && !n.Used {
		n.Used = true
		g.groups[start] = n
	}
}

// rule decides the form of one series of a window about people. It sees no value.
func (g *Gate) rule(s report.Series, w Window, m *catalog.Measure, p Policy) ruling {
	level := exchange.Off
	if p.Statement != nil {
		level = p.Statement.Effective(m, p.Accepted).Level
	}
	// Two totals of active users over overlapping events would tell their difference: one only.
	siteTotal := s.Breakdown == 0 && s.Field == report.Value && len(m.Where) == 0 && len(m.WhereUser) == 0 &&
		(m.Kind == catalog.Count || firstTotal(w.Catalog) == w.Measure)
	if siteTotal && level.AtLeast(exchange.Totals) {
		return ruling{form: report.Exact}
	}
	if !siteTotal || w.Grain != report.Week || firstTotal(w.Catalog) != w.Measure {
		return ruling{form: report.Suppressed, reason: NotSiteTotal}
	}
	begin, _ := report.WindowTimes(w.Grain, w.Start, g.zone)
	book := TotalBook(g.block(begin).Size)
	if book == nil {
		return ruling{form: report.Suppressed, reason: GroupTooSmall}
	}
	g.use(begin)
	return ruling{form: report.Band, book: book}
}

// Show is the form in which the site's own screens may show a figure: what leaves could tell no more
// about people, so the console is no monitor. total says that it is a total with the whole number v.
func (g *Gate) Show(w Window, p Policy, total bool, v float64, closed bool) (report.Form, report.Interval, Reason) {
	m := &w.Catalog.Measures[w.Measure]
	begin, _ := report.WindowTimes(w.Grain, w.Start, g.zone)
	switch m.Subject {
	case catalog.Machine:
		return report.Exact, report.Interval{}, Leaves
	case catalog.Traffic:
		if w.Grain < report.Hour || w.Grain == report.Hour && !g.block(begin).Users28 {
			return report.Suppressed, report.Interval{}, SmallSite
		}
		return report.Exact, report.Interval{}, Leaves
	}
	if !total {
		return report.Suppressed, report.Interval{}, NotSiteTotal
	}
	s := report.Series{Measure: uint16(w.Measure), Field: report.Value, Grain: w.Grain}
	r := ruling{form: report.Suppressed, reason: OtherGrain}
	if g.grain(w, m, begin) == Leaves {
		r = g.rule(s, w, m, p)
	}
	if !closed && r.form != report.Suppressed { // a figure that still moves would be told many times
		return report.Suppressed, report.Interval{}, StillOpen
	}
	switch r.form {
	case report.Band:
		i := r.book.Answer(v)
		if i.Known() {
			return report.Exact, i, Leaves
		}
		return report.Band, i, Leaves
	case report.Exact:
		return report.Exact, report.Interval{Lo: v, Hi: v}, Leaves
	}
	return report.Suppressed, report.Interval{}, r.reason
}

// firstTotal is the measure that counts as the site's total of active users: the first
// unfiltered one of the catalog.
func firstTotal(c *catalog.Catalog) int {
	for i := range c.Measures {
		m := &c.Measures[i]
		if m.Kind == catalog.ActiveUsers && m.Subject == catalog.Person && len(m.Where) == 0 && len(m.WhereUser) == 0 {
			return i
		}
	}
	return -1
}

// answer looks the value up and gives it the ruled form.
func answer(s report.Series, start int64, r ruling, exact report.Cell) Ruled {
	c := report.Cell{Series: s, Start: start, Form: r.form}
	switch r.form {
	case report.Exact:
		c.Lo, c.Hi, c.Blob = exact.Lo, exact.Hi, exact.Blob
	case report.Band:
		i := r.book.Answer(exact.Lo)
		c.Lo, c.Hi = i.Lo, i.Hi
		if i.Known() {
			c.Form = report.Exact // a book's answer of one value; the book's form was fixed all the same
		}
	}
	return Ruled{Cell: c, Reason: r.reason}
}

func machineCells(w Window, m *catalog.Measure) []Ruled {
	out := make([]Ruled, 0, len(w.Cells))
	for _, c := range w.Cells {
		out = append(out, Ruled{Cell: c})
	}
	return out
}

// seriesOf is every series a window about people has, in order: the fields of the total and, in blocks
// of four weeks, of every listed value of every breakdown, whether it occurred or not.
func seriesOf(w Window, m *catalog.Measure) []report.Series {
	var out []report.Series
	add := func(b uint8, v1, v2 int) {
		for _, f := range m.Fields() {
			out = append(out, report.Series{Measure: uint16(w.Measure), Field: f, Grain: w.Grain, Breakdown: b, V1: uint16(v1), V2: uint16(v2)})
		}
	}
	add(0, 0, 0)
	if w.Grain != report.Block4w {
		return out
	}
	for b, dims := range m.By {
		n := [2]int{1, 1}
		for i, d := range dims {
			if p, _ := w.Catalog.Dimension(m, d); p != nil {
				n[i] = int(p.NoneIndex()) + 1
			}
		}
		for v1 := range n[0] {
			for v2 := range n[1] {
				add(uint8(b+1), v1, v2)
			}
		}
	}
	return out
}

func suppressAll(w Window, why Reason) []Ruled {
	out := make([]Ruled, 0, len(w.Cells))
	for _, c := range w.Cells {
		out = append(out, Ruled{Cell: report.Cell{Series: c.Series, Start: c.Start, Form: report.Suppressed}, Reason: why})
	}
	return out
}

// Save writes the gate's state for the checkpoint; equal states give equal bytes.
func (g *Gate) Save() ([]byte, error) {
	b, err := json.Marshal(g.groups) // keys are written sorted
	if err != nil {
		return nil, fmt.Errorf("writing group sizes: %w", err)
	}
	return b, nil
}

// Load replaces the gate's state.
func (g *Gate) Load(b []byte) error {
	groups := map[int64]group{}
	if err := json.Unmarshal(b, &groups); err != nil {
		return fmt.Errorf("reading group sizes: %w", err)
	}
	g.groups = groups
	return nil
}

package run

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/path"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Grains is one more than the largest report.Grain.
const Grains = int(report.Change) + 1

// graceTraffic is how long windows of machine and traffic stay open after their end.
const graceTraffic = int64(60 * time.Second)

// Run is one measure being measured under one definition, without a break.
type Run struct {
	ID      uint32
	Cat     *catalog.Catalog
	M       *catalog.Measure
	Mi      int   // index in Cat.Measures
	Created int64 // unix ns
	Grace   int64 // how long after its end a window closes, in ns
	Spans   [Grains]Span

	Breaks    []breakdown // Breaks[0] is the total
	Props     []string    // properties and attributes the breakdowns read: the places of a combination
	WhereUser []userCond
	Eligible  []userCond // adoption
	NotPeople []userCond
	combos    [][]uint16 // combinations of values of props, by number
	comboOf   map[string]uint32
	grains    []report.Grain                 // as personGrains gives them
	quiet     map[report.Grain][]report.Cell // of a window in which nothing happened, where they are always the same

	People  *Person     // subject person
	Path    *path.State // funnel, transitions and sufficient: beside People, which is empty then
	Traffic *Traffic    // the rest but facts
	Fact    *Fact
}

// Span is which windows of one grain a run has.
type Span struct {
	From, Until int64 // windows whose first (firstOf) lies in [from, until)
	Next        int64 // chained windows: the next to close
	Lo, Hi      int64 // first and last window that was not zero; lo > hi: none
	Done        bool  // the chain has ended
}

// Everything is the span of a run without limits.
func Everything() Span {
	return Span{From: math.MinInt64, Until: math.MaxInt64, Lo: math.MaxInt64, Hi: math.MinInt64}
}

// Covers reports whether the run has the window with that start.
func (s *Span) Covers(g report.Grain, start int64) bool {
	f := calendar.FirstOf(g, start)
	return f >= s.From && f < s.Until
}

// Nonzero notes a window in which something counted.
func (s *Span) Nonzero(start int64) {
	s.Lo, s.Hi = min(s.Lo, start), max(s.Hi, start)
}

// breakdown is how the figures of a measure are split; without dims it is the total.
type breakdown struct{ dims []dim }

type dim struct {
	prop  *catalog.Property
	trait bool
	slot  int     // of the trait
	place int     // in a combination
	table []int32 // trait: index of each code, -1 where not looked up yet
}

// userCond is a condition on a trait.
type userCond struct {
	slot  int
	match func(value string) bool
	table []int8 // by code: 0 not looked up, 1 yes, -1 no
}

// Group is one value of one breakdown.
type Group struct {
	B      uint8
	V1, V2 uint16
}

// series of the group for a field.
func (r *Run) series(k Group, g report.Grain, f report.Field) report.Series {
	return report.Series{Measure: uint16(r.Mi), Field: f, Grain: g, Breakdown: k.B, V1: k.V1, V2: k.V2}
}

// New begins to measure measure mi of cat.
func New(t *people.Table, id uint32, cat *catalog.Catalog, mi int, now int64) *Run {
	r := &Run{ID: id, Created: now, Grace: graceTraffic}
	for g := range r.Spans {
		r.Spans[g] = Everything()
	}
	r.Bind(t, cat, mi)
	switch {
	case isFact(r.M):
		r.Fact = &Fact{}
		if r.M.Kind == catalog.FirstTime {
			r.Fact.First = &FirstTime{At: math.MaxInt64, Waiting: map[uint32]int64{}}
		}
	case r.M.Subject == catalog.Person:
		r.People, r.Path = newPerson(r.M), path.New(r.M, r.Grace-tail(r.M))
	default:
		r.Traffic = newTraffic(r.M)
	}
	return r
}

// Bind makes r read its definition from cat, where it is measure mi.
func (r *Run) Bind(t *people.Table, cat *catalog.Catalog, mi int) {
	r.Cat, r.Mi, r.M = cat, mi, &cat.Measures[mi]
	r.grains, r.quiet = nil, map[report.Grain][]report.Cell{}
	r.Breaks, r.Props, r.WhereUser, r.NotPeople, r.Eligible = []breakdown{{}}, nil, nil, nil, nil
	if r.comboOf == nil {
		r.combos, r.comboOf = nil, map[string]uint32{}
	}
	for _, names := range told(r.M) {
		var b breakdown
		for _, name := range names {
			p, isTrait := cat.Dimension(r.M, name)
			if p == nil {
				p = &catalog.Property{Name: name}
			}
			d := dim{prop: p, trait: isTrait}
			if isTrait {
				d.slot = t.Slot(name)
			} else if d.place = slices.Index(r.Props, name); d.place < 0 {
				d.place = len(r.Props)
				r.Props = append(r.Props, name)
			}
			b.dims = append(b.dims, d)
		}
		r.Breaks = append(r.Breaks, b)
	}
	for _, c := range r.M.WhereUser {
		r.WhereUser = append(r.WhereUser, userCond{slot: t.Slot(c.Property), match: traitMatcher(cat, c)})
	}
	for _, c := range r.M.Eligible {
		r.Eligible = append(r.Eligible, userCond{slot: t.Slot(c.Property), match: traitMatcher(cat, c)})
	}
	for i := range cat.Traits {
		if p := &cat.Traits[i]; len(p.NotPeople) > 0 {
			r.NotPeople = append(r.NotPeople, userCond{slot: t.Slot(p.Name), match: func(v string) bool { return slices.Contains(p.NotPeople, v) }})
		}
	}
	if r.M.Subject == catalog.Person && !isFact(r.M) {
		r.Grace = 0
		for _, id := range EventsOf(r.M) {
			if e, _ := cat.Event(id); e != nil {
				r.Grace = max(r.Grace, int64(GraceOf(e)))
			}
		}
		if r.Path != nil {
			r.Path.SetGrace(r.Grace)
		}
		r.Grace += tail(r.M)
	}
}

// EventsOf is every event the measure reads, once.
func EventsOf(m *catalog.Measure) []string { return m.EventIDs() }

// GraceOf is the grace of an event.
func GraceOf(e *catalog.Event) time.Duration {
	if e.Grace <= 0 {
		return 48 * time.Hour
	}
	return e.Grace
}

// traitMatcher is a where_user clause as a test of a value's name.
func traitMatcher(cat *catalog.Catalog, c catalog.Clause) func(string) bool {
	p, _ := catalog.Find(cat.Traits, c.Property)
	if p == nil {
		return func(string) bool { return false }
	}
	if p.IsNumber {
		return func(v string) bool {
			n, err := strconv.ParseFloat(v, 64)
			return err == nil && within(c, n)
		}
	}
	return func(v string) bool { return slices.Contains(c.Values, p.ValueName(ValueIndex(p, v))) }
}

func within(c catalog.Clause, n float64) bool {
	return (c.Min == nil || n >= *c.Min) && (c.Max == nil || n <= *c.Max)
}

// ValueIndex is the index of a value's name, as another catalog may have written it.
func ValueIndex(p *catalog.Property, name string) uint16 {
	switch name {
	case "", catalog.None:
		return p.NoneIndex()
	}
	if i := slices.Index(p.Values, name); i >= 0 {
		return uint16(i)
	}
	return p.OtherIndex()
}

// Holds reports whether the condition holds of a user, now.
func (c *userCond) Holds(t *people.Table, id uint32) bool {
	code := t.Trait(id, c.slot)
	for int(code) >= len(c.table) {
		c.table = append(c.table, 0)
	}
	if c.table[code] == 0 {
		name := t.Values(c.slot)[code]
		if code == 0 {
			name = catalog.None
		}
		c.table[code] = -1
		if c.match(name) {
			c.table[code] = 1
		}
	}
	return c.table[code] > 0
}

// Excluded reports whether a user is under not_people, now.
func (r *Run) Excluded(t *people.Table, id uint32) bool {
	for i := range r.NotPeople {
		if r.NotPeople[i].Holds(t, id) {
			return true
		}
	}
	return false
}

// Counts reports whether a user is measured: not under not_people and fitting where_user, now.
func (r *Run) Counts(t *people.Table, id uint32) bool {
	if id != people.Nobody && r.Excluded(t, id) {
		return false
	}
	for i := range r.WhereUser {
		if !r.WhereUser[i].Holds(t, id) {
			return false
		}
	}
	return true
}

// traitIndex is the value of a trait dimension of a user, now.
func (d *dim) traitIndex(t *people.Table, id uint32) uint16 {
	code := t.Trait(id, d.slot)
	for int(code) >= len(d.table) {
		d.table = append(d.table, -1)
	}
	if d.table[code] < 0 {
		d.table[code] = int32(ValueIndex(d.prop, t.Values(d.slot)[code]))
	}
	return uint16(d.table[code])
}

// Key is the group of breakdown b that a combination and a user belong to.
func (r *Run) Key(b int, combo uint32, t *people.Table, id uint32) Group {
	k := Group{B: uint8(b)}
	for i := range r.Breaks[b].dims {
		d := &r.Breaks[b].dims[i]
		var v uint16
		if d.trait {
			v = d.traitIndex(t, id)
		} else {
			v = r.combos[combo][d.place]
		}
		if i == 0 {
			k.V1 = v
		} else {
			k.V2 = v
		}
	}
	return k
}

// hasTraits reports whether a breakdown looks at traits.
func (b *breakdown) hasTraits() bool {
	return slices.ContainsFunc(b.dims, func(d dim) bool { return d.trait })
}

// combo is the number of a combination of values.
func (r *Run) combo(values []uint16) uint32 {
	var buf [32]byte
	key := buf[:0]
	for _, v := range values {
		key = binary.LittleEndian.AppendUint16(key, v)
	}
	if n, ok := r.comboOf[string(key)]; ok {
		return n
	}
	n := uint32(len(r.combos))
	r.combos = append(r.combos, slices.Clone(values))
	r.comboOf[string(key)] = n
	return n
}

// Decimal is the number as a float, for bounds.
func Decimal(d record.Decimal) float64 {
	return float64(d.Mantissa) / math.Pow10(int(d.Exponent))
}

// MetricsOf is every metric the measure reads, once.
func MetricsOf(m *catalog.Measure) (ids []string) {
	if m.Metric != "" {
		ids = append(ids, m.Metric)
	}
	for _, s := range []*catalog.Selector{m.Good, m.Valid} {
		if s != nil && s.Metric != "" && !slices.Contains(ids, s.Metric) {
			ids = append(ids, s.Metric)
		}
	}
	return ids
}

package measure

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const grains = int(report.Change) + 1

// graceTraffic is how long windows of machine and traffic stay open after their end.
const graceTraffic = int64(60 * time.Second)

// run is one measure being measured under one definition, without a break.
type run struct {
	id      uint32
	cat     *catalog.Catalog
	m       *catalog.Measure
	mi      int // index in cat.Measures
	created int64
	grace   int64
	spans   [grains]span

	breaks    []breakdown // breaks[0] is the total
	props     []string    // properties and attributes the breakdowns read: the places of a combination
	whereUser []userCond
	notPeople []userCond
	combos    [][]uint16 // combinations of values of props, by number
	comboOf   map[string]uint32

	people  *personState  // subject person
	traffic *trafficState // the rest but facts
	fact    *factState
}

// span is which windows of one grain a run has.
type span struct {
	from, until int64 // windows whose first (firstOf) lies in [from, until)
	next        int64 // chained windows: the next to close
	lo, hi      int64 // first and last window that was not zero; lo > hi: none
	done        bool  // the chain has ended
}

var everything = span{from: math.MinInt64, until: math.MaxInt64, lo: math.MaxInt64, hi: math.MinInt64}

func (s *span) covers(g report.Grain, start int64) bool {
	f := firstOf(g, start)
	return f >= s.from && f < s.until
}

func (s *span) nonzero(start int64) {
	s.lo, s.hi = min(s.lo, start), max(s.hi, start)
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

// group is one value of one breakdown.
type group struct {
	b      uint8
	v1, v2 uint16
}

// series of the group for a field.
func (r *run) series(k group, g report.Grain, f report.Field) report.Series {
	return report.Series{Measure: uint16(r.mi), Field: f, Grain: g, Breakdown: k.b, V1: k.v1, V2: k.v2}
}

func newRun(t *people.Table, id uint32, cat *catalog.Catalog, mi int, now int64) *run {
	r := &run{id: id, created: now, grace: graceTraffic}
	for g := range r.spans {
		r.spans[g] = everything
	}
	r.bind(t, cat, mi)
	switch {
	case r.m.Kind == catalog.Fact:
		r.fact = &factState{}
	case r.m.Subject == catalog.Person:
		r.people = newPersonState()
	default:
		r.traffic = newTrafficState(r.m)
	}
	return r
}

// bind makes r read its definition from cat, where it is measure mi.
func (r *run) bind(t *people.Table, cat *catalog.Catalog, mi int) {
	r.cat, r.mi, r.m = cat, mi, &cat.Measures[mi]
	r.breaks, r.props, r.whereUser, r.notPeople = []breakdown{{}}, nil, nil, nil
	if r.comboOf == nil {
		r.combos, r.comboOf = nil, map[string]uint32{}
	}
	for _, names := range r.m.By {
		var b breakdown
		for _, name := range names {
			p, isTrait := cat.Dimension(r.m, name)
			if p == nil {
				p = &catalog.Property{Name: name}
			}
			d := dim{prop: p, trait: isTrait}
			if isTrait {
				d.slot = t.Slot(name)
			} else if d.place = slices.Index(r.props, name); d.place < 0 {
				d.place = len(r.props)
				r.props = append(r.props, name)
			}
			b.dims = append(b.dims, d)
		}
		r.breaks = append(r.breaks, b)
	}
	for _, c := range r.m.WhereUser {
		r.whereUser = append(r.whereUser, userCond{slot: t.Slot(c.Property), match: traitMatcher(cat, c)})
	}
	for i := range cat.Traits {
		if p := &cat.Traits[i]; len(p.NotPeople) > 0 {
			r.notPeople = append(r.notPeople, userCond{slot: t.Slot(p.Name), match: func(v string) bool { return slices.Contains(p.NotPeople, v) }})
		}
	}
	if r.m.Subject == catalog.Person && r.m.Kind != catalog.Fact {
		r.grace = 0
		for _, id := range eventsOf(r.m) {
			if e, _ := cat.Event(id); e != nil {
				r.grace = max(r.grace, int64(graceOf(e)))
			}
		}
	}
}

// eventsOf is every event the measure reads, once.
func eventsOf(m *catalog.Measure) (ids []string) {
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range m.Events {
		add(id)
	}
	for _, s := range []*catalog.Selector{m.Good, m.Valid} {
		if s != nil {
			add(s.Event)
		}
	}
	if rest, ok := strings.CutPrefix(m.From, "event."); ok && m.Kind == catalog.Fact {
		id, _, _ := strings.Cut(rest, ".")
		add(id)
	}
	return ids
}

func graceOf(e *catalog.Event) time.Duration {
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
	return func(v string) bool { return slices.Contains(c.Values, p.ValueName(valueIndex(p, v))) }
}

func within(c catalog.Clause, n float64) bool {
	return (c.Min == nil || n >= *c.Min) && (c.Max == nil || n <= *c.Max)
}

// valueIndex is the index of a value's name, as another catalog may have written it.
func valueIndex(p *catalog.Property, name string) uint16 {
	switch name {
	case "", catalog.None:
		return p.NoneIndex()
	}
	if i := slices.Index(p.Values, name); i >= 0 {
		return uint16(i)
	}
	return p.OtherIndex()
}

func (c *userCond) holds(t *people.Table, id uint32) bool {
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

// counts reports whether a user is measured: not under not_people and fitting where_user, now.
func (r *run) counts(t *people.Table, id uint32) bool {
	if id != people.Nobody {
		for i := range r.notPeople {
			if r.notPeople[i].holds(t, id) {
				return false
			}
		}
	}
	for i := range r.whereUser {
		if !r.whereUser[i].holds(t, id) {
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
		d.table[code] = int32(valueIndex(d.prop, t.Values(d.slot)[code]))
	}
	return uint16(d.table[code])
}

// key is the group of breakdown b that a combination and a user belong to.
func (r *run) key(b int, combo uint32, t *people.Table, id uint32) group {
	k := group{b: uint8(b)}
	for i := range r.breaks[b].dims {
		d := &r.breaks[b].dims[i]
		var v uint16
		if d.trait {
			v = d.traitIndex(t, id)
		} else {
			v = r.combos[combo][d.place]
		}
		if i == 0 {
			k.v1 = v
		} else {
			k.v2 = v
		}
	}
	return k
}

// hasTraits reports whether a breakdown looks at traits.
func (b *breakdown) hasTraits() bool {
	return slices.ContainsFunc(b.dims, func(d dim) bool { return d.trait })
}

// combo is the number of a combination of values.
func (r *run) combo(values []uint16) uint32 {
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

// decimal is the number as a float, for bounds.
func decimal(d record.Decimal) float64 {
	return float64(d.Mantissa) / math.Pow10(int(d.Exponent))
}

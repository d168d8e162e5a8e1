package run

import (
	"slices"

	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Feed is one run that reads an event or metric.
type Feed struct {
	R      *Run
	where  []valueCond
	places []place // one per run.Props
	Part   uint32  // adoption: 0 makes eligible, otherwise the feature's position + 1
	Number uint16  // distribution: position of the property
	Good   bool    // slo: the good ones
	Valid  bool    // slo: the valid ones
	AtMost int     // slo over a histogram: how many buckets count; -1 all

	Second uint16     // sufficient: position of y
	steps  []stepFeed // funnel, transitions
	follow *following // funnel: correlate
}

// place is where a combination's value comes from.
type place struct {
	pos   int // position in the record's declaration; -1: (none)
	none  uint16
	table []uint16 // record's index → run's index
}

// valueCond is a where clause on a listed value or number.
type valueCond struct {
	pos     int
	number  bool
	clause  catalog.Clause
	allowed []bool // by index
	none    uint16
}

// Bind finds the positions; false when a clause names a property that is not declared: that
// never matches.
func (fd *Feed) Bind(r *Run, theirs, own []catalog.Property, where []catalog.Clause) bool {
	fd.R = r
	var ok bool
	if fd.where, ok = conditions(theirs, where); !ok {
		return false
	}
	for _, name := range r.Props {
		// The run's own declaration names the values; an event of the measure without
		// the property counts as (none) of whichever event declares it.
		to, _ := catalog.Find(own, name)
		if to == nil {
			to, _ = r.Cat.Dimension(r.M, name)
		}
		if to == nil {
			to = &catalog.Property{}
		}
		pl := place{pos: -1, none: to.NoneIndex()}
		if from, pos := catalog.Find(theirs, name); from != nil && !from.IsNumber {
			pl.pos = pos
			for i := uint16(0); i <= from.NoneIndex(); i++ {
				pl.table = append(pl.table, ValueIndex(to, from.ValueName(i)))
			}
		}
		fd.places = append(fd.places, pl)
	}
	return true
}

// conditions finds what where clauses are about; false when one is not declared.
func conditions(theirs []catalog.Property, where []catalog.Clause) (out []valueCond, ok bool) {
	for _, c := range where {
		p, pos := catalog.Find(theirs, c.Property)
		if p == nil {
			return nil, false
		}
		vc := valueCond{pos: pos, number: p.IsNumber, clause: c, none: p.NoneIndex()}
		for i := uint16(0); !p.IsNumber && i <= p.NoneIndex(); i++ {
			vc.allowed = append(vc.allowed, slices.Contains(c.Values, p.ValueName(i)))
		}
		out = append(out, vc)
	}
	return out, true
}

// Take is the combination of an event's values; false when a where clause does not hold.
func (fd *Feed) Take(values []record.Value) (combo uint32, ok bool) {
	for i := range fd.where {
		if !fd.where[i].Holds(Find(values, fd.where[i].pos)) {
			return 0, false
		}
	}
	if len(fd.places) == 0 {
		if len(fd.R.combos) == 0 {
			fd.R.combo(nil)
		}
		return 0, true
	}
	var buf [8]uint16
	vs := buf[:0]
	for i := range fd.places {
		pl := &fd.places[i]
		v := pl.none
		if pl.pos >= 0 {
			if x := Find(values, pl.pos); x != nil && int(x.Index) < len(pl.table) {
				v = pl.table[x.Index]
			}
		}
		vs = append(vs, v)
	}
	return fd.R.combo(vs), true
}

// TakeAttributes is take for the attributes of a sample.
func (fd *Feed) TakeAttributes(attrs []uint16) (combo uint32, ok bool) {
	var buf [16]record.Value
	vs := buf[:0]
	for i, a := range attrs {
		vs = append(vs, record.Value{Property: uint16(i), Index: a})
	}
	return fd.Take(vs)
}

// Find is the value of the property at a position; nil when there is none.
func Find(values []record.Value, pos int) *record.Value {
	for i := range values {
		if int(values[i].Property) == pos {
			return &values[i]
		}
	}
	return nil
}

func (c *valueCond) Holds(v *record.Value) bool {
	if c.number {
		return v != nil && within(c.clause, Decimal(v.Number))
	}
	i := c.none
	if v != nil {
		i = v.Index
	}
	return int(i) < len(c.allowed) && c.allowed[i]
}

// Field is 0 for the good ones of an slo, 1 for the valid ones.
func (fd *Feed) Field() int {
	if fd.Good {
		return 0
	}
	return 1
}

package measure

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// plan says which runs read what, for records made with one catalog. Positions in the records
// are that catalog's; positions in a run are those of the run's own.
type plan struct {
	cat     *catalog.Catalog
	events  []source // by Event.Def
	metrics []source // by Sample.Metric
	probes  []source // by Result.Probe
	traits  []traitFeed
	groups  []factFeed
	facts   []factFeed // resource attributes
	anyOn   bool
}

// source is what one kind of event, metric or probe feeds.
type source struct {
	off   bool // no consent for any measure that reads it
	feeds []feed
	facts []factFeed
}

// feed is one run that reads an event or metric.
type feed struct {
	r      *run
	where  []valueCond
	places []place // one per run.props
	number uint16  // distribution: position of the property
	good   bool    // slo: the good ones
	valid  bool    // slo: the valid ones
	atMost int     // slo over a histogram: how many buckets count; -1 all
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

// factFeed is a fact that is the value of a property.
type factFeed struct {
	r   *run
	pos uint16
	p   *catalog.Property
}

type traitFeed struct {
	slot  int
	p     *catalog.Property
	codes []int32
}

func (f *Fold) plan(prefix [8]byte) *plan {
	if p, ok := f.plans[prefix]; ok {
		return p
	}
	cat := f.catalog(prefix)
	if cat == nil {
		return nil
	}
	p := &plan{cat: cat, events: make([]source, len(cat.Events)), metrics: make([]source, len(cat.Metrics)), probes: make([]source, len(cat.Probes))}
	f.consents(p)
	for i := range cat.Traits {
		t := &cat.Traits[i]
		p.traits = append(p.traits, traitFeed{slot: f.people.Slot(t.Name), p: t})
	}
	for _, r := range f.runs {
		p.add(r)
	}
	if len(f.plans) > 8 { // records are read in order: old catalogs do not come back
		clear(f.plans)
	}
	f.plans[prefix] = p
	return p
}

// consents finds out what is off: what only measures without consent read, and, where no
// measure reads it, everything while no measure is on.
func (f *Fold) consents(p *plan) {
	ev, me, pr := make([]bool, len(p.events)), make([]bool, len(p.metrics)), make([]bool, len(p.probes))
	for i := range p.events {
		p.events[i].off = true
	}
	for i := range p.metrics {
		p.metrics[i].off = true
	}
	for i := range p.probes {
		p.probes[i].off = true
	}
	for i := range p.cat.Measures {
		m := &p.cat.Measures[i]
		on := f.on(m)
		p.anyOn = p.anyOn || on
		for _, id := range eventsOf(m) {
			if _, n := p.cat.Event(id); n >= 0 {
				ev[n] = true
				p.events[n].off = p.events[n].off && !on
			}
		}
		for _, id := range metricsOf(m) {
			if _, n := p.cat.Metric(id); n >= 0 {
				me[n] = true
				p.metrics[n].off = p.metrics[n].off && !on
			}
		}
		if n := p.cat.Probe(m.Probe); n >= 0 {
			pr[n] = true
			p.probes[n].off = p.probes[n].off && !on
		}
	}
	for i := range ev {
		p.events[i].off = p.events[i].off && (ev[i] || !p.anyOn)
	}
	for i := range me {
		p.metrics[i].off = p.metrics[i].off && (me[i] || !p.anyOn)
	}
	for i := range pr {
		p.probes[i].off = p.probes[i].off && (pr[i] || !p.anyOn)
	}
}

func metricsOf(m *catalog.Measure) (ids []string) {
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

// add enters a run wherever it reads.
func (p *plan) add(r *run) {
	switch r.m.Kind {
	case catalog.Fact:
		p.addFact(r)
	case catalog.Availability:
		if n := p.cat.Probe(r.m.Probe); n >= 0 {
			p.probes[n].feeds = append(p.probes[n].feeds, feed{r: r})
		}
	case catalog.SLO:
		p.addSelector(r, r.m.Valid, false)
		p.addSelector(r, r.m.Good, true)
	case catalog.Gauge, catalog.Counter, catalog.Histogram:
		p.addMetric(r, r.m.Metric, r.m.Where, feed{atMost: -1})
	default:
		var done []string
		for _, id := range r.m.Events {
			if !slices.Contains(done, id) {
				done = append(done, id)
				p.addEvent(r, id, r.m.Where, feed{})
			}
		}
	}
}

func (p *plan) addSelector(r *run, s *catalog.Selector, good bool) {
	if s == nil {
		return
	}
	fd := feed{good: good, valid: !good, atMost: -1}
	if s.Event != "" {
		p.addEvent(r, s.Event, s.Where, fd)
		return
	}
	if mt, _ := r.cat.Metric(s.Metric); mt != nil && s.AtMost != 0 {
		fd.atMost = slices.Index(mt.Bounds, s.AtMost) + 1
	}
	p.addMetric(r, s.Metric, s.Where, fd)
}

func (p *plan) addEvent(r *run, id string, where []catalog.Clause, fd feed) {
	e, n := p.cat.Event(id)
	if e == nil {
		return
	}
	var own []catalog.Property
	if o, _ := r.cat.Event(id); o != nil {
		own = o.Properties
	}
	if !fd.bind(r, e.Properties, own, where) {
		return
	}
	if r.m.Kind == catalog.Distribution {
		_, pos := catalog.Find(e.Properties, r.m.Property)
		if pos < 0 {
			return
		}
		fd.number = uint16(pos)
	}
	p.events[n].feeds = append(p.events[n].feeds, fd)
}

func (p *plan) addMetric(r *run, id string, where []catalog.Clause, fd feed) {
	mt, n := p.cat.Metric(id)
	own, _ := r.cat.Metric(id)
	if mt == nil || own == nil || mt.Type != own.Type || !slices.Equal(mt.Bounds, own.Bounds) {
		return
	}
	if fd.bind(r, mt.Attributes, own.Attributes, where) {
		p.metrics[n].feeds = append(p.metrics[n].feeds, fd)
	}
}

// bind finds the positions; false when a clause names a property that is not declared: that
// never matches.
func (fd *feed) bind(r *run, theirs, own []catalog.Property, where []catalog.Clause) bool {
	fd.r = r
	for _, c := range where {
		p, pos := catalog.Find(theirs, c.Property)
		if p == nil {
			return false
		}
		vc := valueCond{pos: pos, number: p.IsNumber, clause: c, none: p.NoneIndex()}
		for i := uint16(0); !p.IsNumber && i <= p.NoneIndex(); i++ {
			vc.allowed = append(vc.allowed, slices.Contains(c.Values, p.ValueName(i)))
		}
		fd.where = append(fd.where, vc)
	}
	for _, name := range r.props {
		// The run's own declaration names the values; an event of the measure without
		// the property counts as (none) of whichever event declares it.
		to, _ := catalog.Find(own, name)
		if to == nil {
			to, _ = r.cat.Dimension(r.m, name)
		}
		if to == nil {
			to = &catalog.Property{}
		}
		pl := place{pos: -1, none: to.NoneIndex()}
		if from, pos := catalog.Find(theirs, name); from != nil && !from.IsNumber {
			pl.pos = pos
			for i := uint16(0); i <= from.NoneIndex(); i++ {
				pl.table = append(pl.table, valueIndex(to, from.ValueName(i)))
			}
		}
		fd.places = append(fd.places, pl)
	}
	return true
}

// take is the combination of an event's values; false when a where clause does not hold.
func (fd *feed) take(values []record.Value) (combo uint32, ok bool) {
	for i := range fd.where {
		if !fd.where[i].holds(find(values, fd.where[i].pos)) {
			return 0, false
		}
	}
	var buf [8]uint16
	vs := buf[:0]
	for i := range fd.places {
		pl := &fd.places[i]
		v := pl.none
		if pl.pos >= 0 {
			if x := find(values, pl.pos); x != nil && int(x.Index) < len(pl.table) {
				v = pl.table[x.Index]
			}
		}
		vs = append(vs, v)
	}
	return fd.r.combo(vs), true
}

// takeAttributes is take for the attributes of a sample.
func (fd *feed) takeAttributes(attrs []uint16) (combo uint32, ok bool) {
	var buf [16]record.Value
	vs := buf[:0]
	for i, a := range attrs {
		vs = append(vs, record.Value{Property: uint16(i), Index: a})
	}
	return fd.take(vs)
}

func find(values []record.Value, pos int) *record.Value {
	for i := range values {
		if int(values[i].Property) == pos {
			return &values[i]
		}
	}
	return nil
}

func (c *valueCond) holds(v *record.Value) bool {
	if c.number {
		return v != nil && within(c.clause, decimal(v.Number))
	}
	i := c.none
	if v != nil {
		i = v.Index
	}
	return int(i) < len(c.allowed) && c.allowed[i]
}

func (p *plan) addFact(r *run) {
	kind, rest, _ := strings.Cut(r.m.From, ".")
	switch kind {
	case "group":
		if pr, pos := catalog.Find(p.cat.GroupTraits, rest); pr != nil {
			p.groups = append(p.groups, factFeed{r, uint16(pos), pr})
		}
	case "resource":
		if pr, pos := catalog.Find(p.cat.Resource, rest); pr != nil {
			p.facts = append(p.facts, factFeed{r, uint16(pos), pr})
		}
	case "event":
		id, name, _ := strings.Cut(rest, ".")
		if e, n := p.cat.Event(id); e != nil {
			if pr, pos := catalog.Find(e.Properties, name); pr != nil {
				p.events[n].facts = append(p.events[n].facts, factFeed{r, uint16(pos), pr})
			}
		}
	}
}

// text is a value as the dictionary of traits and facts holds it: its name, or the number.
func text(p *catalog.Property, v *record.Value) string {
	if !p.IsNumber {
		return p.ValueName(v.Index)
	}
	return strconv.FormatFloat(decimal(v.Number), 'g', -1, 64)
}

// code is the code of a trait's value.
func (f *Fold) code(t *traitFeed, v *record.Value) int32 {
	if t.p.IsNumber {
		return f.people.Code(t.slot, text(t.p, v))
	}
	for int(v.Index) >= len(t.codes) {
		t.codes = append(t.codes, -1)
	}
	if t.codes[v.Index] < 0 {
		t.codes[v.Index] = f.people.Code(t.slot, t.p.ValueName(v.Index))
	}
	return t.codes[v.Index]
}

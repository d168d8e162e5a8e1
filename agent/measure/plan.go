package measure

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/agent/measure/run"
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
	seats   []seatFeed
	facts   []factFeed // resource attributes
	anyOn   bool
}

// source is what one kind of event, metric or probe feeds.
type source struct {
	off   bool // no consent for any measure that reads it
	feeds []run.Feed
	facts []factFeed
}

// factFeed is a fact that is the value of a property.
type factFeed struct {
	r   *run.Run
	pos uint16
	p   *catalog.Property
}

// seatFeed is a group trait that says how many seats there are.
type seatFeed struct {
	pos uint16
	to  *[]run.Bought
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
		p.traits = append(p.traits, traitFeed{slot: f.w.People.Slot(t.Name), p: t})
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
// measure reads it, run.Everything() while no measure is on.
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
		for _, id := range run.EventsOf(m) {
			if _, n := p.cat.Event(id); n >= 0 {
				ev[n] = true
				p.events[n].off = p.events[n].off && !on
			}
		}
		for _, id := range run.MetricsOf(m) {
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

// add enters a run wherever it reads.
func (p *plan) add(r *run.Run) {
	switch r.M.Kind {
	case catalog.Fact:
		p.addFact(r)
	case catalog.Availability:
		if n := p.cat.Probe(r.M.Probe); n >= 0 {
			p.probes[n].feeds = append(p.probes[n].feeds, run.Feed{R: r})
		}
	case catalog.SLO:
		p.addSelector(r, r.M.Valid, false)
		p.addSelector(r, r.M.Good, true)
	case catalog.Gauge, catalog.Counter, catalog.Histogram:
		p.addMetric(r, r.M.Metric, r.M.Where, run.Feed{AtMost: -1})
	case catalog.Funnel, catalog.Transitions:
		for _, id := range run.EventsOf(r.M) {
			p.addSteps(r, id)
		}
	default:
		if r.M.Kind == catalog.Adoption {
			for i := range r.M.Features {
				for _, id := range r.M.Features[i].Events {
					p.addEvent(r, id, r.M.Features[i].Where, run.Feed{Part: uint32(i + 1)})
				}
			}
		}
		if r.People != nil && r.People.Seats != nil {
			p.addSeats(r.M.Purchased, &r.People.Seats.Purchased)
			p.addSeats(r.M.Assigned, &r.People.Seats.Assigned)
		}
		var done []string
		for _, id := range r.M.Events {
			if !slices.Contains(done, id) {
				done = append(done, id)
				p.addEvent(r, id, r.M.Where, run.Feed{})
			}
		}
	}
}

func (p *plan) addSeats(trait string, to *[]run.Bought) {
	if pr, pos := catalog.Find(p.cat.GroupTraits, trait); pr != nil && pr.IsNumber {
		p.seats = append(p.seats, seatFeed{uint16(pos), to})
	}
}

func (p *plan) addSelector(r *run.Run, s *catalog.Selector, good bool) {
	if s == nil {
		return
	}
	fd := run.Feed{Good: good, Valid: !good, AtMost: -1}
	if s.Event != "" {
		p.addEvent(r, s.Event, s.Where, fd)
		return
	}
	if mt, _ := r.Cat.Metric(s.Metric); mt != nil && s.AtMost != 0 {
		fd.AtMost = slices.Index(mt.Bounds, s.AtMost) + 1
	}
	p.addMetric(r, s.Metric, s.Where, fd)
}

func (p *plan) addEvent(r *run.Run, id string, where []catalog.Clause, fd run.Feed) {
	e, n := p.cat.Event(id)
	if e == nil {
		return
	}
	var own []catalog.Property
	if o, _ := r.Cat.Event(id); o != nil {
		own = o.Properties
	}
	if !fd.Bind(r, e.Properties, own, where) {
		return
	}
	if r.M.Kind == catalog.Distribution {
		_, pos := catalog.Find(e.Properties, r.M.Property)
		if pos < 0 {
			return
		}
		fd.Number = uint16(pos)
	}
	if r.M.Kind == catalog.Sufficient {
		_, x := catalog.Find(e.Properties, r.M.X)
		_, y := catalog.Find(e.Properties, r.M.Y)
		if x < 0 || (y < 0 && r.M.Y != "") {
			return
		}
		fd.Number, fd.Second = uint16(x), uint16(max(y, 0))
	}
	p.events[n].feeds = append(p.events[n].feeds, fd)
}

// addSteps enters a funnel or transitions at an event.
func (p *plan) addSteps(r *run.Run, id string) {
	e, n := p.cat.Event(id)
	if e == nil {
		return
	}
	var own []catalog.Property
	if o, _ := r.Cat.Event(id); o != nil {
		own = o.Properties
	}
	var fd run.Feed
	if fd.BindSteps(r, id, e.Properties, own) {
		p.events[n].feeds = append(p.events[n].feeds, fd)
	}
}

func (p *plan) addMetric(r *run.Run, id string, where []catalog.Clause, fd run.Feed) {
	mt, n := p.cat.Metric(id)
	own, _ := r.Cat.Metric(id)
	if mt == nil || own == nil || mt.Type != own.Type || !slices.Equal(mt.Bounds, own.Bounds) {
		return
	}
	if fd.Bind(r, mt.Attributes, own.Attributes, where) {
		p.metrics[n].feeds = append(p.metrics[n].feeds, fd)
	}
}

func (p *plan) addFact(r *run.Run) {
	kind, rest, _ := strings.Cut(r.M.From, ".")
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
	return strconv.FormatFloat(run.Decimal(v.Number), 'g', -1, 64)
}

// code is the code of a trait's value.
func (f *Fold) code(t *traitFeed, v *record.Value) int32 {
	if t.p.IsNumber {
		return f.w.People.Code(t.slot, text(t.p, v))
	}
	for int(v.Index) >= len(t.codes) {
		t.codes = append(t.codes, -1)
	}
	if t.codes[v.Index] < 0 {
		t.codes[v.Index] = f.w.People.Code(t.slot, t.p.ValueName(v.Index))
	}
	return t.codes[v.Index]
}

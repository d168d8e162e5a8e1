package catalog

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
)

const (
	maxFunnel      = 30 * day // the longest way of a funnel: open ways are kept for every user
	maxFeatures    = 100      // each is a set of users for each of 28 days
	defaultUses    = 2
	defaultEpsilon = 1
	leastEpsilon   = 0.1
	mostEpsilon    = 4
	leastCap       = 5
	mostCap        = 200 * 28 // PRIVACY: one user counts at most 200 a day
	mostPooled     = 2        // PRIVACY: the pool's ε is for a user and block over at most two measures
)

// MostPooledFeatures is how many features a user may have tried in the pool (PRIVACY), and so how many an adoption that joins it
// may have.
const MostPooledFeatures = 3

// ofItsKind reads what only some kinds have. What is absent or was refused is nil here.
func (r *reader) ofItsKind() {
	if n, at := r.get("steps"); n != nil {
		r.steps(n, at)
	}
	switch r.m.Kind {
	case Count:
		r.cap()
	case Funnel:
		r.funnel()
	case Adoption:
		r.adoption()
	case Seats:
		r.m.Purchased, r.m.Assigned = r.groupNumber("purchased"), r.groupNumber("assigned")
	case Sufficient:
		r.sufficient()
	case Shift, Environment:
		r.of()
	}
}

func (r *reader) steps(n *yaml.Node, at string) {
	items := r.Items(n, at)
	most := map[Kind]int{Funnel: 10, Transitions: 30}[r.m.Kind]
	switch {
	case items == nil:
		return
	case len(items) < 2:
		r.Fail(n, at, strict.CodeTooFew, "a count of its event", "has one step; the kind %s needs two at least", r.m.Kind)
	case len(items) > most:
		r.Fail(n, at, strict.CodeTooLarge, "", "has %d steps; the kind %s has at most %d", len(items), r.m.Kind, most)
		return
	}
	for i, c := range items {
		path := fmt.Sprintf("%s[%d]", at, i)
		s := r.step(c, path, "id", "event")
		if s.ID != "" && slices.ContainsFunc(r.m.Steps, func(o Step) bool { return o.ID == s.ID }) {
			r.Fail(c, path+".id", strict.CodeRepeated, "another id: each step is a value of its own", "a step before has the id %q already", s.ID)
		}
		r.m.Steps = append(r.m.Steps, s)
	}
}

// step reads {id: ID, event: EVENT, where: {…}}; the keys it needs are given.
func (r *reader) step(n *yaml.Node, at string, needs ...string) (s Step) {
	have := r.Object(n, at, append(needs, "where")...)
	if n.Kind != yaml.MappingNode {
		return s
	}
	r.Require(n, at, have, needs...)
	if v := have["id"]; v != nil {
		if id, ok := r.Text(v, at+".id", strict.MaxID); ok && strict.ValidID(id) {
			s.ID = id
		} else if ok {
			r.BadID(v, at+".id", id)
		}
	}
	sub := &reader{parser: r.parser, n: n, path: at, have: have}
	if v := have["event"]; v != nil {
		s.Event = sub.event(v, at+".event")
	}
	sub.filters()
	s.Where = sub.m.Where
	return s
}

// event reads the id of one event, which the reader's clauses are then about.
func (r *reader) event(n *yaml.Node, at string) string {
	id, ok := r.Text(n, at, strict.MaxID)
	if !ok {
		return ""
	}
	if e, _ := r.cat.Event(id); e == nil {
		r.unknown(at, n, id, "event", r.eventIDs())
		return ""
	}
	r.m.Events = []string{id}
	return id
}

func (r *reader) funnel() {
	if n, at := r.get("window"); n != nil {
		r.m.Window = r.Duration(n, at, time.Minute, maxKept)
		if r.m.Window > maxFunnel {
			r.Fail(n, at, strict.CodeBadDuration, strict.Span(maxFunnel)+", or a retention for what takes longer", "a funnel's way is at most %s long", strict.Span(maxFunnel))
		}
	}
	r.m.Entry = "first"
	if n, at := r.get("entry"); n != nil {
		r.m.Entry = r.OneOf(n, at, "first", "each")
	}
	if n, at := r.get("before"); n != nil {
		s := r.step(n, at, "event")
		r.m.Before = &s
	}
	if n, at := r.get("correlate"); n != nil {
		r.correlate(n, at)
	}
	if n, at := r.get("split"); n != nil {
		r.split(n, at)
	}
}

// correlate is a property that every step's event declares, and all alike.
func (r *reader) correlate(n *yaml.Node, at string) {
	name, ok := r.Text(n, at, strict.MaxID)
	if !ok {
		return
	}
	var events []string
	for _, s := range r.m.Steps {
		e, _ := r.cat.Event(s.Event)
		if e == nil || slices.Contains(events, s.Event) {
			continue
		}
		events = append(events, s.Event)
		if p, _ := Find(e.Properties, name); p == nil {
			r.Fail(n, at, strict.CodeUnknownRef, strict.Nearest(name, propertyNames(e.Properties)), "the step %q follows one %s, but its event %q declares no such property",
				s.ID, strict.Clip(name), s.Event)
		}
	}
	r.agreeAmong(events, n, at, name)
	r.m.Correlate = name
}

func (r *reader) split(n *yaml.Node, at string) {
	name, ok := r.Text(n, at, strict.MaxID)
	if !ok || len(r.m.Steps) == 0 || r.m.Steps[0].Event == "" {
		return
	}
	p, _ := r.dimension(n, at, name)
	switch {
	case p == nil:
	case name == "step" || name == "band":
		r.Fail(n, at, strict.CodeAmbiguous, "another name for it, with match", "a funnel has a dimension %s of its own", name)
	case (len(p.Values)+2)*max(len(r.m.Steps), len(timeBands)) > maxCross:
		r.Fail(n, at, strict.CodeBadBreakdown, "", "has %d values; at most %d cells a window are allowed", len(p.Values), maxCross)
	default:
		r.m.Split = name
	}
}

func (r *reader) adoption() {
	r.m.Uses = defaultUses
	if n, at := r.get("uses"); n != nil {
		r.m.Uses = r.Whole(n, at, 1)
	}
	if n, at := r.get("eligible"); n != nil {
		r.m.Eligible = r.ofTraits(n, at)
	}
	n, at := r.get("features")
	if n == nil {
		return
	}
	es := r.Declared(n, at)
	if len(es) > maxFeatures {
		r.Fail(n, at, strict.CodeTooLarge, "", "has %d features; at most %d are allowed", len(es), maxFeatures)
		return
	}
	for _, e := range es {
		path := at + "." + strict.Clip(e.Name)
		sub := &reader{parser: r.parser, n: e.Val, path: path, have: r.Object(e.Val, path, "events", "where")}
		if e.Val.Kind != yaml.MappingNode {
			continue
		}
		r.Require(e.Val, path, sub.have, "events")
		sub.source()
		sub.filters()
		r.m.Features = append(r.m.Features, Feature{ID: e.Name, Events: sub.m.Events, Where: sub.m.Where})
	}
}

// cap is how often one person counts.
func (r *reader) cap() {
	if n, at := r.get("cap"); n != nil && r.m.Subject != Person {
		r.Fail(n, at, strict.CodeKeyNotForKind, "leave it out", "only people are counted so often at most; this one is about %s", r.m.Subject)
	} else if n != nil {
		r.m.Cap = r.WholeTo(n, at, leastCap, mostCap)
	}
}

// groupNumber is the name of a trait of the organisation that is a number, or "".
func (r *reader) groupNumber(key string) string {
	n, at := r.get(key)
	if n == nil {
		return ""
	}
	name, ok := r.Text(n, at, strict.MaxID)
	if !ok {
		return ""
	}
	switch p, _ := Find(r.cat.GroupTraits, name); {
	case p == nil:
		r.Fail(n, at, strict.CodeUnknownRef, strict.Nearest(name, propertyNames(r.cat.GroupTraits)), "no trait of the group of that name is declared: %q", strict.Clip(name))
	case !p.IsNumber:
		r.Fail(n, at, strict.CodeWrongType, "{number: {min: 0, max: 100000}}", "the group's trait %q is a list; a number of seats is needed", strict.Clip(name))
	}
	return name
}

func (r *reader) sufficient() {
	if n, at := r.get("arm"); n != nil {
		if name, ok := r.Text(n, at, strict.MaxID); ok {
			if p, _ := r.dimension(n, at, name); p != nil {
				r.m.Arm = name
			}
		}
	}
	if n, at := r.get("x"); n != nil {
		r.m.X = r.numeric(n, at)
	}
	if n, at := r.get("y"); n != nil {
		r.m.Y = r.numeric(n, at)
		if r.m.Y != "" && r.m.Y == r.m.X {
			r.Fail(n, at, strict.CodeRepeated, "leave it out: the square of x is summed anyway", "y is x, %q", strict.Clip(r.m.X))
		}
	}
}

// of is checked when all measures are known: it may name one that stands further down.
func (r *reader) of() {
	n, at := r.get("of")
	if n == nil {
		return
	}
	id, ok := r.Text(n, at, strict.MaxID)
	if !ok {
		return
	}
	r.m.Of = id
	self, kind := r.m.ID, r.m.Kind
	r.later = append(r.later, func() {
		seen := []Kind{Count, ActiveUsers, Counter}
		if kind == Environment {
			seen = []Kind{Count, ActiveUsers}
		}
		m, _ := r.cat.Measure(id)
		switch {
		case m == nil:
			others := slices.DeleteFunc(names(r.cat.Measures, func(m Measure) string { return m.ID }), func(o string) bool { return o == self })
			r.Fail(n, at, strict.CodeUnknownRef, strict.Nearest(id, others), "no measure %q is declared", strict.Clip(id))
		case m.Kind != "" && !slices.Contains(seen, m.Kind):
			r.Fail(n, at, strict.CodeWrongType, "", "%q is a %s; needed is a %s", id, m.Kind, joinKinds(seen))
		}
	})
}

// noise reads what a measure about people may say about noised figures.
func (r *reader) noise() {
	if r.m.Subject == Person {
		r.m.Epsilon = defaultEpsilon
	}
	if n, at := r.get("epsilon"); n != nil {
		switch f, ok := r.Number(n, at); {
		case r.m.Subject != Person:
			r.Fail(n, at, strict.CodeKeyNotForKind, "leave it out", "only figures about people are noised; this one is about %s", r.m.Subject)
		case ok && (f < leastEpsilon || f > mostEpsilon):
			r.Fail(n, at, strict.CodeBadNumber, "1", "should lie between %v and %v", leastEpsilon, mostEpsilon)
		default:
			r.m.Epsilon = f
		}
	}
	n, at := r.get("pool")
	if n == nil || !r.Truth(n, at) {
		return
	}
	r.m.Pool = true
	can := []Kind{ActiveUsers, Lifecycle, Retention, Funnel, Adoption}
	if !slices.Contains(can, r.m.Kind) {
		r.Fail(n, at, strict.CodeBadPool, "leave it out", "the kind %s cannot join the pool; %s can", r.m.Kind, list(names(can, func(k Kind) string { return string(k) })))
		return
	}
	if len(r.m.Features) > MostPooledFeatures {
		r.Fail(n, at, strict.CodeBadPool, "leave it out, or ask for fewer features", "%d features cannot join the pool, at most %d can: a person counts for each they tried", len(r.m.Features), MostPooledFeatures)
		return
	}
	if r.pooled++; r.pooled > mostPooled {
		r.Fail(n, at, strict.CodeBadPool, "leave it out here or at another measure", "%d measures of this file join the pool already, and no more can: a person's share is spent on them", mostPooled)
	}
}

// alwaysPeople are kinds that look at who did something.
func alwaysPeople(k Kind) bool {
	switch k {
	case ActiveUsers, Lifecycle, Stickiness, Retention, Funnel, Adoption, FirstTime, Transitions, Seats, Sufficient, Shift, Environment:
		return true
	}
	return false
}

// instead says what to do about a key that the kind does not have.
func instead(k Kind, key string) string {
	own := map[Kind]string{Stickiness: "days", Retention: "week since", Funnel: "step and band", Adoption: "feature", Transitions: "from and to", Sufficient: "arm"}[k]
	switch {
	case key == "by" && k == Funnel:
		return "split: DIMENSION; a funnel is told apart by step and band already"
	case key == "by" && own != "":
		return "leave it out: the kind " + string(k) + " is told apart by " + own + " already"
	case key == "where" && (k == Funnel || k == Transitions):
		return "where in each step"
	case key == "where" && k == Adoption:
		return "where in each feature"
	case key == "where_user" && k == Adoption:
		return "eligible"
	case key == "events" && (k == Funnel || k == Transitions):
		return "an event in each step"
	}
	return "leave it out"
}

package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
)

const (
	maxBreakdowns = 32
	maxCross      = 10_000 // cells of one breakdown per window
)

// Facts the agent knows by itself. A closed list like any other: what is not in it is (other).
func systems() []string       { return []string{"linux", "windows", "darwin"} }
func architectures() []string { return []string{"amd64", "arm64"} }

func (r *reader) filters() {
	if n, at := r.get("where"); n != nil {
		r.m.Where = r.Clauses(n, at, func(n *yaml.Node, at, name string) *Property {
			return r.ownProperty(n, at, name)
		})
	}
	if n, at := r.get("where_user"); n != nil {
		r.m.WhereUser = r.ofTraits(n, at)
	}
}

// ofTraits are conditions on the traits of users.
func (r *reader) ofTraits(n *yaml.Node, at string) []Clause {
	return r.Clauses(n, at, func(n *yaml.Node, at, name string) *Property {
		p, _ := Find(r.cat.Traits, name)
		if p == nil {
			r.Fail(n, at, strict.CodeUnknownRef, strict.Nearest(name, propertyNames(r.cat.Traits)), "no trait %q is declared", strict.Clip(name))
		}
		return p
	})
}

// ownProperty is a property of the measure's events or an attribute of its metric.
func (r *reader) ownProperty(n *yaml.Node, at, name string) *Property {
	var known []string
	for _, id := range r.m.Events {
		e, _ := r.cat.Event(id)
		if p, _ := Find(e.Properties, name); p != nil {
			r.agree(n, at, name)
			return p
		}
		known = append(known, propertyNames(e.Properties)...)
	}
	if mt, _ := r.cat.Metric(r.m.Metric); mt != nil {
		if p, _ := Find(mt.Attributes, name); p != nil {
			return p
		}
		known = append(known, propertyNames(mt.Attributes)...)
	}
	if r.m.Events != nil || r.m.Metric != "" { // else the missing source was noted already
		r.Fail(n, at, strict.CodeUnknownRef, strict.Nearest(name, known), "nothing of this measure declares the property %q", strict.Clip(name))
	}
	return nil
}

func (r *reader) breakdowns() {
	n, at := r.get("by")
	if n == nil {
		return
	}
	items := r.Items(n, at)
	if len(items) > maxBreakdowns {
		r.Fail(n, at, strict.CodeTooLarge, "", "has %d breakdowns; at most %d are allowed", len(items), maxBreakdowns)
		return
	}
	for i, c := range items {
		r.breakdown(c, fmt.Sprintf("%s[%d]", at, i))
	}
}

func (r *reader) breakdown(n *yaml.Node, at string) {
	var dims []string
	switch n.Kind {
	case yaml.ScalarNode:
		if s, ok := r.Text(n, at, strict.MaxID); ok {
			dims = []string{s}
		}
	default:
		dims = r.Words(n, at)
	}
	if len(dims) > 2 {
		r.Fail(n, at, strict.CodeBadBreakdown, "two breakdowns, or one of two dimensions", "crosses %d dimensions; two is the most", len(dims))
		return
	}
	cells := 1
	for _, d := range dims {
		p, _ := r.dimension(n, at, d)
		if p == nil {
			return
		}
		cells *= len(p.Values) + 2
	}
	same := func(b []string) bool {
		return len(b) == len(dims) && !slices.ContainsFunc(dims, func(d string) bool { return !slices.Contains(b, d) })
	}
	switch {
	case len(dims) == 0:
		return
	case cells > maxCross:
		r.Fail(n, at, strict.CodeBadBreakdown, "", "has %d cells a window; at most %d are allowed", cells, maxCross)
	case slices.ContainsFunc(r.m.By, same):
		r.Fail(n, at, strict.CodeRepeated, "", "the breakdown by %s is here twice", list(dims))
	default:
		r.m.By = append(r.m.By, dims)
	}
}

// dimension is what a breakdown's name means, or nil with the reason noted.
func (r *reader) dimension(n *yaml.Node, at, name string) (*Property, bool) {
	p, isTrait := r.cat.Dimension(&r.m, name)
	trait, _ := Find(r.cat.Traits, name)
	switch {
	case p == nil || isTrait && r.m.Metric != "":
		if r.m.dimensionEvents() != nil || r.m.Metric != "" {
			r.Fail(n, at, strict.CodeUnknownRef, strict.Nearest(name, r.dimensionNames()), "nothing of this measure declares %q", strict.Clip(name))
		}
		return nil, false
	case p.IsNumber:
		r.Fail(n, at, strict.CodeBadBreakdown, "", "%s is a number; a breakdown needs a list of values", strict.Clip(name))
		return nil, false
	case isTrait && r.m.Subject != Person:
		r.Fail(n, at, strict.CodeBadSubject, "subject: person", "a breakdown by a trait of users (%s) is about people", strict.Clip(name))
		return nil, false
	case !isTrait && trait != nil && len(r.m.dimensionEvents()) > 0:
		r.Fail(n, at, strict.CodeAmbiguous, "another name for one of them, with match", "%s is a property of the events and a trait of users", strict.Clip(name))
		return nil, false
	case !isTrait && r.m.Kind == Lifecycle:
		r.Fail(n, at, strict.CodeBadBreakdown, "a trait of users", "%s is a property of events; whether somebody came back is about the user", strict.Clip(name))
		return nil, false
	}
	if !isTrait {
		r.agree(n, at, name)
	}
	return p, isTrait
}

func (r *reader) dimensionNames() []string {
	var out []string
	for _, id := range r.m.dimensionEvents() {
		if e, _ := r.cat.Event(id); e != nil {
			out = append(out, propertyNames(e.Properties)...)
		}
	}
	if mt, _ := r.cat.Metric(r.m.Metric); mt != nil {
		return append(out, propertyNames(mt.Attributes)...)
	}
	return append(out, propertyNames(r.cat.Traits)...)
}

func (r *reader) slo() {
	r.m.Window, r.m.MinValid = 28*day, 1
	if n, at := r.get("window"); n != nil {
		r.m.Window = r.Duration(n, at, time.Hour, 400*day)
	}
	if n, at := r.get("min_valid"); n != nil {
		r.m.MinValid = r.Whole(n, at, 1)
	}
	if n, at := r.get("valid"); n != nil {
		r.m.Valid = r.selector(n, at)
	}
	if n, at := r.get("good"); n != nil {
		r.m.Good = r.selector(n, at)
	}
}

func (r *reader) selector(n *yaml.Node, at string) *Selector {
	have := r.Object(n, at, "event", "metric", "where", "at_most")
	s := &Selector{}
	event, metric := have["event"], have["metric"]
	if n.Kind != yaml.MappingNode {
		return s
	}
	if (event == nil) == (metric == nil) {
		r.Fail(n, at, strict.CodeMissingKey, "", "needs event or metric, one of them")
		return s
	}
	// ownProperty looks at the measure's sources: lend it this selector's.
	sub := &reader{parser: r.parser, n: n, path: at, have: have}
	if event != nil {
		if id, ok := r.Text(event, at+".event", strict.MaxID); ok {
			if e, _ := r.cat.Event(id); e == nil {
				r.unknown(at+".event", event, id, "event", r.eventIDs())
			} else {
				s.Event, sub.m.Events = id, []string{id}
			}
		}
	} else if id := r.metricOf(metric, at+".metric", Counter, Histogram); id != "" {
		s.Metric, sub.m.Metric = id, id
	}
	sub.filters()
	s.Where = sub.m.Where
	if v := have["at_most"]; v != nil {
		r.atMost(v, at+".at_most", s)
	}
	return s
}

func (r *reader) atMost(n *yaml.Node, at string, s *Selector) {
	mt, _ := r.cat.Metric(s.Metric)
	if mt == nil || mt.Type != Histogram {
		r.Fail(n, at, strict.CodeKeyNotForKind, "leave it out", "only a histogram can be cut at a bound")
		return
	}
	f, ok := r.Number(n, at)
	if ok && !slices.Contains(mt.Bounds, f) {
		r.Fail(n, at, strict.CodeBadNumber, fmt.Sprint(mt.Bounds), "should be one of the bounds of %s: between them nothing is known", s.Metric)
		return
	}
	if ok && f == 0 {
		r.Fail(n, at, strict.CodeBadNumber, "", "should not be 0, which stands for all observations")
		return
	}
	s.AtMost = f
}

// from reads a fact's source and fills in its closed list.
func (r *reader) from(n *yaml.Node, at string) {
	s, ok := r.Text(n, at, 256)
	if !ok {
		return
	}
	r.m.From = s
	given, givenAt := r.get("values")
	if s == "agent.version" {
		if given == nil {
			r.Fail(r.n, r.path, strict.CodeMissingKey, "values: [1.0.0, 1.1.0]", "a fact from agent.version needs the list of values")
			return
		}
		r.m.Values = r.Listed(given, givenAt)
		return
	}
	src, why := r.cat.source(s)
	if why != "" {
		r.Fail(n, at, strict.CodeUnknownRef, r.nearestSource(s), "%s", why)
		return
	}
	r.m.Values = src.values()
	switch {
	case given != nil && src.Of == "agent":
		// A part of what agents are built for may be spelled out; the rest is (other).
		r.m.Values = r.Listed(given, givenAt)
		for i, v := range given.Content {
			if !slices.Contains(src.values(), v.Value) {
				r.Fail(v, fmt.Sprintf("%s[%d]", givenAt, i), strict.CodeUnknownValue, strict.Nearest(v.Value, src.values()), "%q is not what %s can be: %s", strict.Clip(v.Value), s, list(src.values()))
			}
		}
	case given != nil:
		r.Fail(given, givenAt, strict.CodeKeyNotForKind, "leave it out", "a fact from %s has the list of its declaration", strict.Clip(s))
	}
	if src.aboutPeople() && r.m.Subject != Person {
		sn, sat := r.get("subject")
		r.Fail(sn, sat, strict.CodeBadSubject, "person", "a fact from users or their events is about people")
		r.m.Subject = Person
	}
}

func (r *reader) nearestSource(s string) string {
	if head, value, ok := strings.Cut(s, "="); ok {
		if p, _ := Find(r.cat.Traits, strings.TrimPrefix(head, "user.")); p != nil {
			if near := strict.Nearest(value, p.Values); near != "" {
				return head + "=" + near
			}
			return ""
		}
	}
	all := []string{"agent.version", "agent.os", "agent.arch"}
	add := func(prefix string, ps []Property, suffix string) {
		for _, p := range ps {
			if !p.IsNumber {
				all = append(all, prefix+p.Name+suffix)
			}
		}
	}
	add("group.", r.cat.GroupTraits, "")
	add("resource.", r.cat.Resource, "")
	add("user.", r.cat.Traits, "=VALUE")
	for _, e := range r.cat.Events {
		add("event."+e.ID+".", e.Properties, "")
	}
	return strict.Nearest(s, all[:min(len(all), 2*strict.MaxList)])
}

// Source is where a fact comes from, taken apart.
type Source struct {
	Of       string    // agent, group, resource, event or user
	Name     string    // version, os, arch; the trait, attribute or property
	Event    string    // event: its id
	Value    string    // user: the value some user should have
	Property *Property // group, resource, event, user
}

// Source takes From of a fact apart; false when m is no fact of this catalog.
func (c *Catalog) Source(m *Measure) (Source, bool) {
	if m.From == "agent.version" {
		return Source{Of: "agent", Name: "version"}, true
	}
	s, why := c.source(m.From)
	return s, why == ""
}

// source takes a from apart, or says why it cannot.
func (c *Catalog) source(from string) (s Source, why string) {
	of, rest, _ := strings.Cut(from, ".")
	s = Source{Of: of, Name: rest}
	among := c.GroupTraits
	switch of {
	case "agent":
		if rest == "os" || rest == "arch" {
			return s, ""
		}
		return s, fmt.Sprintf("the agent knows its version, os and arch, not %q", strict.Clip(rest))
	case "group":
	case "resource":
		among = c.Resource
	case "event":
		s.Event, s.Name, _ = strings.Cut(rest, ".")
		e, _ := c.Event(s.Event)
		if e == nil {
			return s, fmt.Sprintf("no event %q is declared", strict.Clip(s.Event))
		}
		among = e.Properties
	case "user":
		s.Name, s.Value, _ = strings.Cut(rest, "=")
		among = c.Traits
	default:
		return s, fmt.Sprintf("%q is not a source; those are agent.version, agent.os, agent.arch, group.TRAIT, resource.NAME, event.EVENT.PROPERTY and user.TRAIT=VALUE", strict.Clip(from))
	}
	s.Property, _ = Find(among, s.Name)
	switch {
	case s.Property == nil:
		return s, fmt.Sprintf("no %s of that name is declared: %q", map[string]string{"group": "trait of the group", "resource": "resource attribute", "event": "property", "user": "trait"}[of], strict.Clip(s.Name))
	case s.Property.IsNumber:
		return s, fmt.Sprintf("%s is a number; a fact is one value of a list", strict.Clip(s.Name))
	case of == "user" && !slices.Contains(s.Property.Values, s.Value):
		return s, fmt.Sprintf("%q is not a listed value of %s; write user.TRAIT=VALUE", strict.Clip(s.Value), strict.Clip(s.Name))
	}
	return s, ""
}

func (s Source) aboutPeople() bool { return s.Of == "event" || s.Of == "user" }

func (s Source) values() []string {
	switch {
	case s.Of == "user":
		return []string{"yes", "no"}
	case s.Name == "os" && s.Of == "agent":
		return systems()
	case s.Of == "agent":
		return architectures()
	}
	return slices.Clone(s.Property.Values)
}

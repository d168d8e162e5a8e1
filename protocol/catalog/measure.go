package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// reader reads one measure. It exists so that each rule stands in a function of its own.
type reader struct {
	*parser
	n    *yaml.Node
	path string
	have map[string]*yaml.Node
	m    Measure
}

func (p *parser) measure(n *yaml.Node, i int) {
	r := &reader{parser: p, n: n, path: fmt.Sprintf("measures[%d]", i)}
	if n.Kind == yaml.MappingNode {
		for j := 0; j+1 < len(n.Content); j += 2 {
			if v := n.Content[j+1]; n.Content[j].Value == "id" && v.Kind == yaml.ScalarNode && strict.ValidID(v.Value) {
				r.path = "measures." + v.Value
			}
		}
	}
	r.have = p.Object(n, r.path, slices.Concat(strict.CommonKeys(), strict.KindOnlyKeys(), names(strict.Refused(), func(w [2]string) string { return w[0] }))...)
	if n.Kind != yaml.MappingNode {
		return
	}
	for _, w := range strict.Refused() {
		if v := r.have[w[0]]; v != nil {
			r.Fail(v, r.path+"."+w[0], strict.CodeUnknownKey, w[1], "a measure has no key %q", w[0])
		}
	}
	p.Require(n, r.path, r.have, "id", "kind", "category", "question", "purpose", "owner", "retention")
	r.identity()
	r.about()
	if r.kind() {
		r.subject()
		r.source()
		r.filters()
		r.breakdowns()
		r.ofItsKind()
		r.leaves()
		r.noise()
	}
	p.cat.Measures = append(p.cat.Measures, r.m)
}

// get is the node of a key and its path.
func (r *reader) get(key string) (*yaml.Node, string) { return r.have[key], r.path + "." + key }

func (r *reader) identity() {
	n, at := r.get("id")
	if n == nil {
		return
	}
	id, ok := r.Text(n, at, strict.MaxID)
	if ok && !strict.ValidID(id) {
		r.BadID(n, at, id)
	}
	if m, i := r.cat.Measure(id); m != nil && id != "" {
		r.Fail(n, at, strict.CodeDuplicateID, "", "measure %d of the file has this id already", i+1)
	}
	r.m.ID = id
}

// about reads what people are told about the measure.
func (r *reader) about() {
	if n, at := r.get("category"); n != nil {
		r.m.Category = r.OneOf(n, at, Inventory, SLA, Usage, Diagnostics, Pool)
	}
	if n, at := r.get("question"); n != nil {
		r.m.Question = r.Prose(n, at)
	}
	if n, at := r.get("purpose"); n != nil {
		r.m.Purpose = r.Prose(n, at)
	}
	if n, at := r.get("owner"); n != nil {
		r.m.Owner = r.Prose(n, at)
	}
	if n, at := r.get("consumed_in"); n != nil {
		r.m.ConsumedIn = r.Words(n, at)
	}
	if n, at := r.get("retention"); n != nil && n.Value != "forever" {
		r.m.Retention = r.Duration(n, at, time.Second, maxKept)
	}
	if n, at := r.get("expires"); n != nil {
		if _, err := time.Parse(time.DateOnly, n.Value); n.Kind != yaml.ScalarNode || err != nil {
			r.Fail(n, at, strict.CodeBadDate, "2028-01-31", "should be a date, not %s", strict.What(n))
		} else {
			r.m.Expires = n.Value
		}
	}
}

// kindKeys are the keys a kind needs and those it may have, beyond the ones all have.
func kindKeys(k Kind) (needs, may []string) {
	switch k {
	case Count:
		return []string{"events"}, []string{"by", "where", "where_user", "cap"}
	case ActiveUsers, Lifecycle:
		return []string{"events"}, []string{"by", "where", "where_user"}
	case Distribution:
		return []string{"events", "property"}, []string{"by", "where", "where_user"}
	case Gauge, Counter, Histogram:
		return []string{"metric"}, []string{"by", "where"}
	case Fact:
		return []string{"from"}, []string{"values"}
	case Availability:
		return []string{"probe"}, []string{"target"}
	case SLO:
		return []string{"valid", "good", "target"}, []string{"window", "min_valid"}
	case Stickiness, Retention, FirstTime:
		return []string{"events"}, []string{"where", "where_user"}
	case Funnel:
		return []string{"steps", "window"}, []string{"entry", "correlate", "split", "before", "where_user"}
	case Adoption:
		return []string{"events", "features"}, []string{"eligible", "uses"}
	case Transitions:
		return []string{"steps"}, []string{"where_user"}
	case Seats:
		return []string{"events"}, []string{"purchased", "assigned", "where", "where_user"}
	case Sufficient:
		return []string{"events", "arm", "x"}, []string{"y", "where", "where_user"}
	case Shift, Environment:
		return []string{"of"}, nil
	}
	return nil, nil
}

func (r *reader) kind() bool {
	n, at := r.get("kind")
	if n == nil {
		return false
	}
	s, ok := r.Text(n, at, strict.MaxID)
	if !ok {
		return false
	}
	r.m.Kind = Kind(s)
	if !slices.Contains(Kinds(), r.m.Kind) {
		known := names(Kinds(), func(k Kind) string { return string(k) })
		r.Fail(n, at, strict.CodeUnknownKind, strict.Nearest(s, known), "unknown kind %q; this version knows %s", strict.Clip(s), list(known))
		return false
	}
	needs, may := kindKeys(r.m.Kind)
	for _, k := range needs {
		if r.have[k] == nil {
			r.Fail(r.n, r.path, strict.CodeMissingKey, strict.Example(k), "the kind %s needs the key %q", s, k)
		}
	}
	for _, k := range strict.KindOnlyKeys() {
		if v := r.have[k]; v != nil && !slices.Contains(needs, k) && !slices.Contains(may, k) {
			r.Fail(v, r.path+"."+k, strict.CodeKeyNotForKind, instead(r.m.Kind, k), "the kind %s has no %q", s, k)
			delete(r.have, k)
		}
	}
	return true
}

// subject: undeclared means person, whatever door the data came through. Only an
// availability cannot be about people: a probe is the agent's own doing.
func (r *reader) subject() {
	r.m.Subject = Person
	if r.m.Kind == Availability {
		r.m.Subject = Machine
	}
	n, at := r.get("subject")
	if n == nil {
		return
	}
	s := Subject(r.OneOf(n, at, string(Person), string(Traffic), string(Machine)))
	switch {
	case s != Person && s != Traffic && s != Machine:
		return
	case r.m.Kind == Availability && s != Machine:
		r.Fail(n, at, strict.CodeBadSubject, "machine", "an availability is about machines")
	case s != Person && alwaysPeople(r.m.Kind):
		r.Fail(n, at, strict.CodeBadSubject, "person", "the kind %s is always about people", r.m.Kind)
	case s != Person && r.have["where_user"] != nil:
		r.Fail(n, at, strict.CodeBadSubject, "person", "a measure that looks at users (where_user) is about people")
	case s == Traffic && r.m.Kind == Fact:
		r.Fail(n, at, strict.CodeBadSubject, "machine", "a fact is about people or machines, not traffic")
	default:
		r.m.Subject = s
	}
}

func (r *reader) leaves() {
	switch {
	case r.m.Subject == Person || r.m.Kind == Fact:
		r.m.Leaves = r.m.LeavesAt()
	default:
		r.m.Leaves = report.Hour
	}
	n, at := r.get("leaves")
	if n == nil {
		return
	}
	s, ok := r.Text(n, at, strict.MaxID)
	g, err := report.ParseGrain(s)
	if !ok {
		return
	}
	if err != nil || !r.m.HasGrain(g) {
		var names []string
		for _, g := range r.m.Grains() {
			names = append(names, g.String())
		}
		r.Fail(n, at, strict.CodeBadGrain, strict.Nearest(s, names), "%q is not a grain of this measure (%s); those are %s", strict.Clip(s), r.m.Subject, list(names))
		return
	}
	r.m.Leaves = g
}

// source reads where the measure's numbers come from.
func (r *reader) source() {
	if n, at := r.get("events"); n != nil {
		for _, id := range r.Words(n, at) {
			if e, _ := r.cat.Event(id); e == nil {
				r.unknown(at, n, id, "event", r.eventIDs())
				continue
			}
			r.m.Events = append(r.m.Events, id)
		}
	}
	if n, at := r.get("metric"); n != nil {
		r.m.Metric = r.metricOf(n, at, r.m.Kind)
	}
	if n, at := r.get("probe"); n != nil {
		if id, ok := r.Text(n, at, strict.MaxID); ok {
			r.m.Probe = id
			if r.cat.Probe(id) < 0 {
				r.unknown(at, n, id, "probe", names(r.cat.Probes, func(p Probe) string { return p.ID }))
			}
		}
	}
	if n, at := r.get("property"); n != nil {
		r.m.Property = r.numeric(n, at)
	}
	if n, at := r.get("from"); n != nil {
		r.from(n, at)
	}
	if n, at := r.get("target"); n != nil {
		if f, ok := r.Number(n, at); ok && (f <= 0 || f >= 1) {
			r.Fail(n, at, strict.CodeBadNumber, "0.995", "should be a ratio between 0 and 1, both excluded")
		} else {
			r.m.Target = f
		}
	}
	if r.m.Kind == SLO {
		r.slo()
	}
}

// unknown notes a reference to something not declared, at the item of the list that names it.
func (r *reader) unknown(path string, n *yaml.Node, id, kind string, among []string) {
	for i, c := range n.Content {
		if c.Value == id {
			n, path = c, fmt.Sprintf("%s[%d]", path, i)
			break
		}
	}
	r.Fail(n, path, strict.CodeUnknownRef, strict.Nearest(id, among), "no %s %q is declared", kind, strict.Clip(id))
}

func (r *reader) metricOf(n *yaml.Node, at string, types ...Kind) string {
	id, ok := r.Text(n, at, strict.MaxID)
	if !ok {
		return ""
	}
	mt, _ := r.cat.Metric(id)
	if mt == nil {
		r.unknown(at, n, id, "metric", names(r.cat.Metrics, func(m Metric) string { return m.ID }))
		return ""
	}
	if mt.Type != "" && !slices.Contains(types, mt.Type) {
		r.Fail(n, at, strict.CodeWrongType, "", "%q is a %s; needed is a %s", id, mt.Type, joinKinds(types))
	}
	return id
}

// numeric is a property that is a number with the same declaration in each event.
func (r *reader) numeric(n *yaml.Node, at string) string {
	name, ok := r.Text(n, at, strict.MaxID)
	if !ok {
		return ""
	}
	for _, id := range r.m.Events {
		e, _ := r.cat.Event(id)
		p, _ := Find(e.Properties, name)
		switch {
		case p == nil:
			r.Fail(n, at, strict.CodeUnknownRef, strict.Nearest(name, propertyNames(e.Properties)), "the event %q declares no property %q", id, strict.Clip(name))
		case !p.IsNumber:
			r.Fail(n, at, strict.CodeWrongType, "", "the property %q of the event %q is a list; the kind %s needs a number", strict.Clip(name), id, r.m.Kind)
		}
	}
	r.agree(n, at, name)
	return name
}

// agree notes when two events of the measure declare one property differently: its values
// would have two meanings in one column.
func (r *reader) agree(n *yaml.Node, at, name string) {
	r.agreeAmong(r.m.dimensionEvents(), n, at, name)
}

func (r *reader) agreeAmong(events []string, n *yaml.Node, at, name string) {
	var first *Property
	var of string
	for _, id := range events {
		e, _ := r.cat.Event(id)
		p, _ := Find(e.Properties, name)
		switch {
		case p == nil:
		case first == nil:
			first, of = p, id
		case first.IsNumber != p.IsNumber || first.Min != p.Min || first.Max != p.Max || !slices.Equal(first.Values, p.Values):
			r.Fail(n, at, strict.CodeDiffering, "", "the events %q and %q declare the property %q differently", of, id, strict.Clip(name))
			return
		}
	}
}

func (r *reader) eventIDs() []string {
	return names(r.cat.Events, func(e Event) string { return e.ID })
}

func names[T any](xs []T, of func(T) string) []string {
	out := make([]string, len(xs))
	for i, x := range xs {
		out[i] = of(x)
	}
	return out
}

func propertyNames(ps []Property) []string {
	return names(ps, func(p Property) string { return p.Name })
}

func joinKinds(ks []Kind) string {
	return strings.Join(names(ks, func(k Kind) string { return string(k) }), " or ")
}

// list writes words for a sentence.
func list(words []string) string { return strings.Join(words, ", ") }

package catalog

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/report"
)

const (
	day          = 24 * time.Hour
	defaultGrace = 48 * time.Hour
	maxGrace     = 7 * day
	maxKept      = 36_500 * day // a hundred years
)

// Parse reads and validates a catalog. What is wrong with it comes back as *Errors, all at
// once, each with its line. Parse does not look at a signature: see ParseSigned.
func Parse(raw []byte) (*Catalog, error) {
	p := &parser{cat: &Catalog{Raw: slices.Clone(raw), Hash: sha256.Sum256(raw)}}
	if root := p.document(raw); root != nil {
		p.file(root)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	c := p.cat
	for i := range c.Measures {
		c.Measures[i].DefHash = sha256.Sum256(c.Canonical(&c.Measures[i]))
	}
	c.breakdowns = make([][]Breakdown, len(c.Measures))
	for i := range c.Measures {
		c.breakdowns[i] = c.listBreakdowns(&c.Measures[i])
	}
	return c, nil
}

func (p *parser) file(root *yaml.Node) {
	c := p.cat
	have := p.object(root, "", "catalog", "version", "vendor", "events", "traits", "group_traits", "resource", "metrics", "probes", "measures")
	if root.Kind != yaml.MappingNode {
		return
	}
	p.require(root, "", have, "catalog", "version", "vendor", "measures")
	if n := have["catalog"]; n != nil {
		c.Name, _ = p.text(n, "catalog", maxID)
		if c.Name != "" && !validID(c.Name) {
			p.badID(n, "catalog", c.Name)
		}
	}
	if n := have["version"]; n != nil {
		c.Version = int(p.whole(n, "version", 1))
	}
	if n := have["vendor"]; n != nil {
		c.Vendor, _ = p.text(n, "vendor", 200)
	}
	if n := have["events"]; n != nil {
		p.events(n)
	}
	if n := have["traits"]; n != nil {
		c.Traits = p.properties(n, "traits", traits)
	}
	if n := have["group_traits"]; n != nil {
		c.GroupTraits = p.properties(n, "group_traits", plain)
	}
	if n := have["resource"]; n != nil {
		c.Resource = p.properties(n, "resource", plain)
	}
	if n := have["metrics"]; n != nil {
		p.metrics(n)
	}
	if n := have["probes"]; n != nil {
		p.probes(n)
	}
	if n := have["measures"]; n != nil {
		for i, m := range p.items(n, "measures") {
			p.measure(m, i)
		}
	}
}

func (p *parser) badID(n *yaml.Node, path, id string) {
	p.fail(n, path, CodeBadID, "", "%q is not an id: a–z, then a–z 0–9 _ -, at most %d", clip(id), maxID)
}

// declared are the entries of a section that maps ids to declarations.
func (p *parser) declared(n *yaml.Node, section string) []entry {
	es := p.mapping(n, section)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.fail(n, section, CodeEmptyList, "leave the key out", "nothing is declared")
	}
	for _, e := range es {
		if !validID(e.name) {
			p.badID(e.key, section, e.name)
		}
	}
	return es
}

func (p *parser) events(n *yaml.Node) {
	matches := map[string]string{}
	for _, e := range p.declared(n, "events") {
		path := "events." + clip(e.name)
		have := p.object(e.val, path, "match", "type", "grace", "properties")
		ev := Event{ID: e.name, Match: e.name, Type: "track", Grace: defaultGrace}
		if v := have["match"]; v != nil {
			ev.Match, _ = p.text(v, path+".match", 256)
		}
		if v := have["type"]; v != nil {
			ev.Type = p.oneOf(v, path+".type", "track", "page", "screen")
		}
		if v := have["grace"]; v != nil {
			ev.Grace = p.duration(v, path+".grace", 0, maxGrace)
		}
		if v := have["properties"]; v != nil {
			ev.Properties = p.properties(v, path+".properties", plain)
		}
		p.distinct(e.key, path, matches, ev.Type+" "+ev.Match, e.name, fmt.Sprintf("%s events named %q", ev.Type, clip(ev.Match)))
		p.cat.Events = append(p.cat.Events, ev)
	}
}

// distinct notes a second declaration that answers to the same client name.
func (p *parser) distinct(n *yaml.Node, path string, seen map[string]string, match, id, said string) {
	if first, ok := seen[match]; ok {
		p.fail(n, path, CodeDuplicate, "", "answers to %s, as %q already does", said, clip(first))
		return
	}
	seen[match] = id
}

func (p *parser) oneOf(n *yaml.Node, path string, words ...string) string {
	s, ok := p.text(n, path, maxID)
	if ok && !slices.Contains(words, s) {
		p.fail(n, path, CodeUnknownWord, Nearest(s, words), "%q is not one of %s", clip(s), list(words))
	}
	return s
}

// Where a property is declared decides which keys it may have.
const (
	plain     = iota
	traits    // may leave people out
	attribute // lists only
)

func (p *parser) properties(n *yaml.Node, path string, place int) []Property {
	es := p.mapping(n, path)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.fail(n, path, CodeEmptyList, "leave the key out", "nothing is declared")
	}
	out := make([]Property, 0, len(es))
	matches := map[string]string{}
	for _, e := range es {
		at := path + "." + clip(e.name)
		if !validName(e.name) {
			p.fail(e.key, path, CodeBadID, "", "%q is not a name: a letter, then letters, digits, _ - and ., at most %d", clip(e.name), maxID)
		}
		pr := p.property(e, at, place)
		p.distinct(e.key, at, matches, pr.Match, e.name, fmt.Sprintf("the name %q", clip(pr.Match)))
		out = append(out, pr)
	}
	return out
}

func (p *parser) property(e entry, path string, place int) Property {
	pr := Property{Name: e.name, Match: e.name}
	have := p.object(e.val, path, "values", "map", "number", "match", "not_people")
	values, num := have["values"], have["number"]
	switch {
	case e.val.Kind != yaml.MappingNode:
		return pr
	case values == nil && num == nil:
		p.fail(e.val, path, CodeMissingKey, "{values: [a, b]}", "needs values (a closed list) or number (its bounds): no free text is measured")
	case values != nil && num != nil:
		p.fail(num, path+".number", CodeKeyNotForKind, "", "a property is a list of values or a number, not both")
	case num != nil && place == attribute:
		p.fail(num, path+".number", CodeKeyNotForKind, "", "an attribute of a metric is a list of values")
	}
	if v := have["match"]; v != nil {
		pr.Match, _ = p.text(v, path+".match", 256)
	}
	if values != nil {
		pr.Values = p.listed(values, path+".values")
	} else if num != nil {
		pr.IsNumber = true
		p.bounds(num, path+".number", &pr)
	}
	for _, key := range []string{"map", "not_people"} {
		if v := have[key]; v != nil && pr.Values == nil && values == nil {
			p.fail(v, path+"."+key, CodeKeyNotForKind, "", "needs a list of values")
			return pr
		}
	}
	if v := have["map"]; v != nil {
		p.renames(v, path+".map", &pr)
	}
	if v := have["not_people"]; v != nil {
		if place != traits {
			p.fail(v, path+".not_people", CodeKeyNotForKind, "", "only a trait of users can say who is not a person")
			return pr
		}
		pr.NotPeople = p.words(v, path+".not_people")
		for i, s := range pr.NotPeople {
			p.listedIn(v.Content[min(i, len(v.Content)-1)], path+".not_people", s, pr.Values, e.name)
		}
	}
	return pr
}

// listed is a closed list: words that can stand on their own, none of them reserved.
func (p *parser) listed(n *yaml.Node, path string) []string {
	out := p.words(n, path)
	for i, c := range n.Content {
		if c.Value == Other || c.Value == None {
			p.fail(c, fmt.Sprintf("%s[%d]", path, i), CodeReserved, "leave it out: it is there for every list", "%s is a reserved word", c.Value)
		}
	}
	return out
}

func (p *parser) listedIn(n *yaml.Node, path, v string, among []string, of string) {
	if !slices.Contains(among, v) {
		p.fail(n, path, CodeUnknownValue, Nearest(v, among), "%q is not a listed value of %s", clip(v), clip(of))
	}
}

func (p *parser) renames(n *yaml.Node, path string, pr *Property) {
	pr.Map = map[string]string{}
	for _, e := range p.mapping(n, path) {
		at := path + "." + clip(e.name)
		if len(e.name) > 256 {
			p.fail(e.key, path, CodeBadText, "", "has %d bytes; at most 256 are allowed", len(e.name))
		}
		if slices.Contains(pr.Values, e.name) {
			p.fail(e.key, at, CodeRepeated, "", "%q is a listed value already and would never be seen", clip(e.name))
		}
		if to, ok := p.word(e.val, at); ok {
			p.listedIn(e.val, at, to, pr.Values, pr.Name)
			pr.Map[e.name] = to
		}
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.fail(n, path, CodeEmptyList, "leave the key out", "nothing is mapped")
	}
}

func (p *parser) bounds(n *yaml.Node, path string, pr *Property) {
	have := p.object(n, path, "min", "max")
	if n.Kind != yaml.MappingNode {
		return
	}
	p.require(n, path, have, "min", "max")
	lo, hi := have["min"], have["max"]
	if lo == nil || hi == nil {
		return
	}
	var ok, ok2 bool
	pr.Min, ok = p.number(lo, path+".min")
	pr.Max, ok2 = p.number(hi, path+".max")
	if ok && ok2 && pr.Min >= pr.Max {
		p.fail(hi, path+".max", CodeBadNumber, "", "max should be above min")
	}
}

func (p *parser) metrics(n *yaml.Node) {
	matches := map[string]string{}
	for _, e := range p.declared(n, "metrics") {
		path := "metrics." + clip(e.name)
		have := p.object(e.val, path, "match", "type", "unit", "attributes", "bounds")
		mt := Metric{ID: e.name, Match: e.name}
		if e.val.Kind == yaml.MappingNode {
			p.require(e.val, path, have, "type")
		}
		if v := have["match"]; v != nil {
			mt.Match, _ = p.text(v, path+".match", 256)
		}
		if v := have["type"]; v != nil {
			mt.Type = Kind(p.oneOf(v, path+".type", string(Gauge), string(Counter), string(Histogram)))
		}
		if v := have["unit"]; v != nil {
			mt.Unit, _ = p.text(v, path+".unit", maxID)
		}
		if v := have["attributes"]; v != nil {
			mt.Attributes = p.properties(v, path+".attributes", attribute)
		}
		switch v := have["bounds"]; {
		case v != nil && mt.Type != Histogram:
			p.fail(v, path+".bounds", CodeKeyNotForKind, "", "only a histogram has bounds")
		case v != nil:
			mt.Bounds = p.rising(v, path+".bounds")
		case mt.Type == Histogram:
			p.fail(e.val, path, CodeMissingKey, "bounds: [0.1, 0.5, 1, 5]", "a histogram needs bounds: its counts are merged into them")
		}
		p.distinct(e.key, path, matches, mt.Match, e.name, fmt.Sprintf("metrics named %q", clip(mt.Match)))
		p.cat.Metrics = append(p.cat.Metrics, mt)
	}
}

func (p *parser) rising(n *yaml.Node, path string) []float64 {
	var out []float64
	items := p.items(n, path)
	if len(items) > 200 {
		p.fail(n, path, CodeTooLarge, "", "has %d bounds; at most 200 are allowed", len(items))
		return nil
	}
	for i, c := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		f, ok := p.number(c, at)
		if !ok {
			continue
		}
		if len(out) > 0 && f <= out[len(out)-1] {
			p.fail(c, at, CodeBadNumber, "", "each bound should be above the one before")
			continue
		}
		out = append(out, f)
	}
	return out
}

func (p *parser) probes(n *yaml.Node) {
	for _, e := range p.declared(n, "probes") {
		path := "probes." + clip(e.name)
		have := p.object(e.val, path, "label")
		pb := Probe{ID: e.name}
		if e.val.Kind == yaml.MappingNode {
			p.require(e.val, path, have, "label")
		}
		if v := have["label"]; v != nil {
			pb.Label, _ = p.text(v, path+".label", 200)
		}
		p.cat.Probes = append(p.cat.Probes, pb)
	}
}

func kinds() []string {
	return []string{string(Count), string(Distribution), string(ActiveUsers), string(Lifecycle), string(Gauge), string(Counter),
		string(Histogram), string(Fact), string(Availability), string(SLO)}
}

func grainsOf(m *Measure) []report.Grain {
	switch {
	case m.Kind == Fact:
		return []report.Grain{report.Day, report.Change}
	case m.Subject == Person:
		return []report.Grain{report.Day, report.Week, report.Month, report.Rolling28, report.Block4w, report.Block12w}
	}
	return []report.Grain{report.FiveMinutes, report.Hour, report.Day}
}

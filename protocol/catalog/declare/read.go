package declare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
)

const (
	defaultGrace = 48 * time.Hour
	maxGrace     = 7 * 24 * time.Hour
)

// Reader reads the sections of a file that declare something. The zero value is ready.
type Reader struct{ strict.Reader }

// BadID notes that something is no id.
func (p *Reader) BadID(n *yaml.Node, path, id string) {
	p.Fail(n, path, strict.CodeBadID, "", "%q is not an id: a–z, then a–z 0–9 _ -, at most %d", strict.Clip(id), strict.MaxID)
}

// Declared are the entries of a section that maps ids to declarations.
func (p *Reader) Declared(n *yaml.Node, section string) []strict.Entry {
	es := p.Mapping(n, section)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.Fail(n, section, strict.CodeEmptyList, "leave the key out", "nothing is declared")
	}
	for _, e := range es {
		if !strict.ValidID(e.Name) {
			p.BadID(e.Key, section, e.Name)
		}
	}
	return es
}

// Events reads the section events.
func (p *Reader) Events(n *yaml.Node) (out []Event) {
	matches := map[string]string{}
	for _, e := range p.Declared(n, "events") {
		path := "events." + strict.Clip(e.Name)
		have := p.Object(e.Val, path, "match", "type", "grace", "properties")
		ev := Event{ID: e.Name, Match: e.Name, Type: "track", Grace: defaultGrace}
		if v := have["match"]; v != nil {
			ev.Match, _ = p.Text(v, path+".match", 256)
		}
		if v := have["type"]; v != nil {
			ev.Type = p.OneOf(v, path+".type", "track", "page", "screen")
		}
		if v := have["grace"]; v != nil {
			ev.Grace = p.Duration(v, path+".grace", 0, maxGrace)
		}
		if v := have["properties"]; v != nil {
			ev.Properties = p.Properties(v, path+".properties", Plain)
		}
		p.distinct(e.Key, path, matches, ev.Type+" "+ev.Match, e.Name, fmt.Sprintf("%s events named %q", ev.Type, strict.Clip(ev.Match)))
		out = append(out, ev)
	}
	return out
}

// distinct notes a second declaration that answers to the same client name.
func (p *Reader) distinct(n *yaml.Node, path string, seen map[string]string, match, id, said string) {
	if first, ok := seen[match]; ok {
		p.Fail(n, path, strict.CodeDuplicate, "", "answers to %s, as %q already does", said, strict.Clip(first))
		return
	}
	seen[match] = id
}

// Where a property is declared decides which keys it may have.
const (
	Plain     = iota
	Traits    // may leave people out
	Attribute // lists only
)

// Properties reads a mapping of names to properties, in order.
func (p *Reader) Properties(n *yaml.Node, path string, place int) []Property {
	es := p.Mapping(n, path)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.Fail(n, path, strict.CodeEmptyList, "leave the key out", "nothing is declared")
	}
	out := make([]Property, 0, len(es))
	matches := map[string]string{}
	for _, e := range es {
		at := path + "." + strict.Clip(e.Name)
		if !strict.ValidName(e.Name) {
			p.Fail(e.Key, path, strict.CodeBadID, "", "%q is not a name: a letter, then letters, digits, _ - and ., at most %d", strict.Clip(e.Name), strict.MaxID)
		}
		pr := p.property(e, at, place)
		p.distinct(e.Key, at, matches, pr.Match, e.Name, fmt.Sprintf("the name %q", strict.Clip(pr.Match)))
		out = append(out, pr)
	}
	return out
}

func (p *Reader) property(e strict.Entry, path string, place int) Property {
	pr := Property{Name: e.Name, Match: e.Name}
	have := p.Object(e.Val, path, "values", "map", "number", "match", "not_people")
	values, num := have["values"], have["number"]
	switch {
	case e.Val.Kind != yaml.MappingNode:
		return pr
	case values == nil && num == nil:
		p.Fail(e.Val, path, strict.CodeMissingKey, "{values: [a, b]}", "needs values (a closed list) or number (its bounds): no free text is measured")
	case values != nil && num != nil:
		p.Fail(num, path+".number", strict.CodeKeyNotForKind, "", "a property is a list of values or a number, not both")
	case num != nil && place == Attribute:
		p.Fail(num, path+".number", strict.CodeKeyNotForKind, "", "an attribute of a metric is a list of values")
	}
	if v := have["match"]; v != nil {
		pr.Match, _ = p.Text(v, path+".match", 256)
	}
	if values != nil {
		pr.Values = p.Listed(values, path+".values")
	} else if num != nil {
		pr.IsNumber = true
		p.bounds(num, path+".number", &pr)
	}
	for _, key := range []string{"map", "not_people"} {
		if v := have[key]; v != nil && values == nil {
			p.Fail(v, path+"."+key, strict.CodeKeyNotForKind, "", "needs a list of values")
		}
	}
	if v := have["map"]; v != nil && pr.Values != nil {
		p.renames(v, path+".map", &pr)
	}
	if v := have["not_people"]; v != nil && place != Traits {
		p.Fail(v, path+".not_people", strict.CodeKeyNotForKind, "", "only a trait of users can say who is not a person")
	} else if v != nil && pr.Values != nil {
		pr.NotPeople = p.Words(v, path+".not_people")
		p.allListed(v, path+".not_people", &pr)
	}
	return pr
}

// Listed is a closed list: words that can stand on their own, none of them reserved.
func (p *Reader) Listed(n *yaml.Node, path string) []string {
	out := p.Words(n, path)
	for i, c := range n.Content {
		if c.Value == Other || c.Value == None {
			p.Fail(c, fmt.Sprintf("%s[%d]", path, i), strict.CodeReserved, "leave it out: it is there for every list", "%s is a reserved word", c.Value)
		}
	}
	return out
}

func (p *Reader) listedIn(n *yaml.Node, path, v string, among []string, of string) {
	if !slices.Contains(among, v) {
		p.Fail(n, path, strict.CodeUnknownValue, strict.Nearest(v, among), "%q is not a listed value of %s", strict.Clip(v), strict.Clip(of))
	}
}

// allListed notes the items of a list that are no values of the property.
func (p *Reader) allListed(n *yaml.Node, path string, pr *Property) {
	for i, c := range n.Content {
		if c.Kind == yaml.ScalarNode {
			p.listedIn(c, fmt.Sprintf("%s[%d]", path, i), c.Value, pr.Values, pr.Name)
		}
	}
}

func (p *Reader) renames(n *yaml.Node, path string, pr *Property) {
	pr.Map = map[string]string{}
	for _, e := range p.Mapping(n, path) {
		at := path + "." + strict.Clip(e.Name)
		if len(e.Name) > 256 {
			p.Fail(e.Key, path, strict.CodeBadText, "", "has %d bytes; at most 256 are allowed", len(e.Name))
		}
		if slices.Contains(pr.Values, e.Name) {
			p.Fail(e.Key, at, strict.CodeRepeated, "", "%q is a listed value already and would never be seen", strict.Clip(e.Name))
		}
		if to, ok := p.Word(e.Val, at); ok {
			p.listedIn(e.Val, at, to, pr.Values, pr.Name)
			pr.Map[e.Name] = to
		}
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.Fail(n, path, strict.CodeEmptyList, "leave the key out", "nothing is mapped")
	}
}

func (p *Reader) bounds(n *yaml.Node, path string, pr *Property) {
	have := p.Object(n, path, "min", "max")
	if n.Kind != yaml.MappingNode {
		return
	}
	p.Require(n, path, have, "min", "max")
	lo, hi := have["min"], have["max"]
	if lo == nil || hi == nil {
		return
	}
	var ok, ok2 bool
	pr.Min, ok = p.Number(lo, path+".min")
	pr.Max, ok2 = p.Number(hi, path+".max")
	if ok && ok2 && pr.Min >= pr.Max {
		p.Fail(hi, path+".max", strict.CodeBadNumber, "", "max should be above min")
	}
}

// Metrics reads the section metrics.
func (p *Reader) Metrics(n *yaml.Node) (out []Metric) {
	matches := map[string]string{}
	for _, e := range p.Declared(n, "metrics") {
		path := "metrics." + strict.Clip(e.Name)
		have := p.Object(e.Val, path, "match", "type", "unit", "attributes", "bounds")
		mt := Metric{ID: e.Name, Match: e.Name}
		if e.Val.Kind == yaml.MappingNode {
			p.Require(e.Val, path, have, "type")
		}
		if v := have["match"]; v != nil {
			mt.Match, _ = p.Text(v, path+".match", 256)
		}
		if v := have["type"]; v != nil {
			mt.Type = Kind(p.OneOf(v, path+".type", string(Gauge), string(Counter), string(Histogram)))
		}
		if v := have["unit"]; v != nil {
			mt.Unit, _ = p.Text(v, path+".unit", strict.MaxID)
		}
		if v := have["attributes"]; v != nil {
			mt.Attributes = p.Properties(v, path+".attributes", Attribute)
		}
		switch v := have["bounds"]; {
		case v != nil && mt.Type != Histogram:
			p.Fail(v, path+".bounds", strict.CodeKeyNotForKind, "", "only a histogram has bounds")
		case v != nil:
			mt.Bounds = p.rising(v, path+".bounds")
		case mt.Type == Histogram:
			p.Fail(e.Val, path, strict.CodeMissingKey, "bounds: [0.1, 0.5, 1, 5]", "a histogram needs bounds: its counts are merged into them")
		}
		p.distinct(e.Key, path, matches, mt.Match, e.Name, fmt.Sprintf("metrics named %q", strict.Clip(mt.Match)))
		out = append(out, mt)
	}
	return out
}

func (p *Reader) rising(n *yaml.Node, path string) []float64 {
	var out []float64
	items := p.Items(n, path)
	if len(items) > 200 {
		p.Fail(n, path, strict.CodeTooLarge, "", "has %d bounds; at most 200 are allowed", len(items))
		return nil
	}
	for i, c := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		f, ok := p.Number(c, at)
		if !ok {
			continue
		}
		if len(out) > 0 && f <= out[len(out)-1] {
			p.Fail(c, at, strict.CodeBadNumber, "", "each bound should be above the one before")
			continue
		}
		out = append(out, f)
	}
	return out
}

// Probes reads the section probes.
func (p *Reader) Probes(n *yaml.Node) (out []Probe) {
	for _, e := range p.Declared(n, "probes") {
		path := "probes." + strict.Clip(e.Name)
		have := p.Object(e.Val, path, "label")
		pb := Probe{ID: e.Name}
		if e.Val.Kind == yaml.MappingNode {
			p.Require(e.Val, path, have, "label")
		}
		if v := have["label"]; v != nil {
			pb.Label, _ = p.Text(v, path+".label", 200)
		}
		out = append(out, pb)
	}
	return out
}

// DefaultDoors is what holds where a catalog says nothing of a door.
func DefaultDoors() Doors { return Doors{CloudEvents: "authid", Logs: "user.id"} }

// Doors reads the section doors over what holds without it.
func (p *Reader) Doors(n *yaml.Node, to *Doors) {
	have := p.Object(n, "doors", "cloudevents", "logs")
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.Fail(n, "doors", strict.CodeEmptyList, "leave the key out", "nothing is declared")
	}
	if v := have["cloudevents"]; v != nil {
		p.doorUser(v, "doors.cloudevents", &to.CloudEvents, attributeOfCloudEvents, "authid, data.user.id or none",
			"is neither an extension attribute (a–z and 0–9) nor data.PATH")
	}
	if v := have["logs"]; v != nil {
		p.doorUser(v, "doors.logs", &to.Logs, strict.ValidName, "user.id or none", "is not the name of an attribute")
	}
}

func (p *Reader) doorUser(n *yaml.Node, path string, to *string, valid func(string) bool, hint, why string) {
	have := p.Object(n, path, "user")
	if n.Kind != yaml.MappingNode {
		return
	}
	p.Require(n, path, have, "user")
	v := have["user"]
	if v == nil {
		return
	}
	switch s, ok := p.Text(v, path+".user", 2*strict.MaxID); {
	case !ok:
	case s == Nowhere:
		*to = ""
	case !valid(s):
		p.Fail(v, path+".user", strict.CodeBadID, hint, "%q %s", strict.Clip(s), why)
	default:
		*to = s
	}
}

// Nowhere is written for a door that finds no user: events of this door count under no user.
const Nowhere = "none"

// attributeOfCloudEvents: names are lower-case letters and digits, at most 20 of them
// (CloudEvents 1.0.2, "Attribute Naming Convention"). Those of the envelope itself name no user.
func attributeOfCloudEvents(s string) bool {
	if path, ok := strings.CutPrefix(s, "data."); ok {
		return strict.ValidName(path) && !strings.Contains(path, "..")
	}
	envelope := []string{"data", "datacontenttype", "dataschema", "id", "source", "specversion", "subject", "time", "type"}
	return s != "" && len(s) <= 20 && !slices.Contains(envelope, s) && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

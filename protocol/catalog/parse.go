package catalog

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
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
	p := &parser{Reader: &strict.Reader{}, cat: &Catalog{Raw: slices.Clone(raw), Hash: sha256.Sum256(raw), Doors: defaultDoors()}}
	if root := p.Document(raw); root != nil {
		p.file(root)
	}
	if err := p.Err(); err != nil {
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

// parser reads the sections of the file into a catalog.
type parser struct {
	*strict.Reader
	cat    *Catalog
	pooled int      // measures with pool: true so far
	later  []func() // checks that need all measures
}

func (p *parser) file(root *yaml.Node) {
	c := p.cat
	have := p.Object(root, "", "catalog", "version", "vendor", "events", "traits", "group_traits", "resource", "metrics", "probes", "doors", "measures")
	if root.Kind != yaml.MappingNode {
		return
	}
	p.Require(root, "", have, "catalog", "version", "vendor", "measures")
	if n := have["catalog"]; n != nil {
		c.Name, _ = p.Text(n, "catalog", strict.MaxID)
		if c.Name != "" && !strict.ValidID(c.Name) {
			p.badID(n, "catalog", c.Name)
		}
	}
	if n := have["version"]; n != nil {
		c.Version = int(p.Whole(n, "version", 1))
	}
	if n := have["vendor"]; n != nil {
		c.Vendor, _ = p.Text(n, "vendor", 200)
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
	if n := have["doors"]; n != nil {
		p.doors(n)
	}
	if n := have["measures"]; n != nil {
		for i, m := range p.Items(n, "measures") {
			p.measure(m, i)
		}
	}
	for _, check := range p.later {
		check()
	}
}

func (p *parser) badID(n *yaml.Node, path, id string) {
	p.Fail(n, path, strict.CodeBadID, "", "%q is not an id: a–z, then a–z 0–9 _ -, at most %d", strict.Clip(id), strict.MaxID)
}

// declared are the entries of a section that maps ids to declarations.
func (p *parser) declared(n *yaml.Node, section string) []strict.Entry {
	es := p.Mapping(n, section)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.Fail(n, section, strict.CodeEmptyList, "leave the key out", "nothing is declared")
	}
	for _, e := range es {
		if !strict.ValidID(e.Name) {
			p.badID(e.Key, section, e.Name)
		}
	}
	return es
}

func (p *parser) events(n *yaml.Node) {
	matches := map[string]string{}
	for _, e := range p.declared(n, "events") {
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
			ev.Properties = p.properties(v, path+".properties", plain)
		}
		p.distinct(e.Key, path, matches, ev.Type+" "+ev.Match, e.Name, fmt.Sprintf("%s events named %q", ev.Type, strict.Clip(ev.Match)))
		p.cat.Events = append(p.cat.Events, ev)
	}
}

// distinct notes a second declaration that answers to the same client name.
func (p *parser) distinct(n *yaml.Node, path string, seen map[string]string, match, id, said string) {
	if first, ok := seen[match]; ok {
		p.Fail(n, path, strict.CodeDuplicate, "", "answers to %s, as %q already does", said, strict.Clip(first))
		return
	}
	seen[match] = id
}

// Where a property is declared decides which keys it may have.
const (
	plain     = iota
	traits    // may leave people out
	attribute // lists only
)

func (p *parser) properties(n *yaml.Node, path string, place int) []Property {
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

func (p *parser) property(e strict.Entry, path string, place int) Property {
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
	case num != nil && place == attribute:
		p.Fail(num, path+".number", strict.CodeKeyNotForKind, "", "an attribute of a metric is a list of values")
	}
	if v := have["match"]; v != nil {
		pr.Match, _ = p.Text(v, path+".match", 256)
	}
	if values != nil {
		pr.Values = p.listed(values, path+".values")
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
	if v := have["not_people"]; v != nil && place != traits {
		p.Fail(v, path+".not_people", strict.CodeKeyNotForKind, "", "only a trait of users can say who is not a person")
	} else if v != nil && pr.Values != nil {
		pr.NotPeople = p.Words(v, path+".not_people")
		p.allListed(v, path+".not_people", &pr)
	}
	return pr
}

// listed is a closed list: words that can stand on their own, none of them reserved.
func (p *parser) listed(n *yaml.Node, path string) []string {
	out := p.Words(n, path)
	for i, c := range n.Content {
		if c.Value == Other || c.Value == None {
			p.Fail(c, fmt.Sprintf("%s[%d]", path, i), strict.CodeReserved, "leave it out: it is there for every list", "%s is a reserved word", c.Value)
		}
	}
	return out
}

func (p *parser) listedIn(n *yaml.Node, path, v string, among []string, of string) {
	if !slices.Contains(among, v) {
		p.Fail(n, path, strict.CodeUnknownValue, strict.Nearest(v, among), "%q is not a listed value of %s", strict.Clip(v), strict.Clip(of))
	}
}

// allListed notes the items of a list that are no values of the property.
func (p *parser) allListed(n *yaml.Node, path string, pr *Property) {
	for i, c := range n.Content {
		if c.Kind == yaml.ScalarNode {
			p.listedIn(c, fmt.Sprintf("%s[%d]", path, i), c.Value, pr.Values, pr.Name)
		}
	}
}

func (p *parser) renames(n *yaml.Node, path string, pr *Property) {
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

func (p *parser) bounds(n *yaml.Node, path string, pr *Property) {
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

func (p *parser) metrics(n *yaml.Node) {
	matches := map[string]string{}
	for _, e := range p.declared(n, "metrics") {
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
			mt.Attributes = p.properties(v, path+".attributes", attribute)
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
		p.cat.Metrics = append(p.cat.Metrics, mt)
	}
}

func (p *parser) rising(n *yaml.Node, path string) []float64 {
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

func (p *parser) probes(n *yaml.Node) {
	for _, e := range p.declared(n, "probes") {
		path := "probes." + strict.Clip(e.Name)
		have := p.Object(e.Val, path, "label")
		pb := Probe{ID: e.Name}
		if e.Val.Kind == yaml.MappingNode {
			p.Require(e.Val, path, have, "label")
		}
		if v := have["label"]; v != nil {
			pb.Label, _ = p.Text(v, path+".label", 200)
		}
		p.cat.Probes = append(p.cat.Probes, pb)
	}
}

// Kinds are all kinds of measures this version knows.
func Kinds() []Kind {
	return []Kind{Count, Distribution, ActiveUsers, Lifecycle, Gauge, Counter, Histogram, Fact, Availability, SLO, Stickiness, Retention, Funnel,
		Adoption, FirstTime, Transitions, Seats, Sufficient, Shift, Environment}
}

func defaultDoors() Doors { return Doors{CloudEvents: "authid", Logs: "user.id"} }

// doors reads where doors whose format does not name a user find one.
func (p *parser) doors(n *yaml.Node) {
	have := p.Object(n, "doors", "cloudevents", "logs")
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.Fail(n, "doors", strict.CodeEmptyList, "leave the key out", "nothing is declared")
	}
	if v := have["cloudevents"]; v != nil {
		p.doorUser(v, "doors.cloudevents", &p.cat.Doors.CloudEvents, attributeOfCloudEvents, "authid, data.user.id or none",
			"is neither an extension attribute (a–z and 0–9) nor data.PATH")
	}
	if v := have["logs"]; v != nil {
		p.doorUser(v, "doors.logs", &p.cat.Doors.Logs, strict.ValidName, "user.id or none", "is not the name of an attribute")
	}
}

func (p *parser) doorUser(n *yaml.Node, path string, to *string, valid func(string) bool, hint, why string) {
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
	case s == nowhere:
		*to = ""
	case !valid(s):
		p.Fail(v, path+".user", strict.CodeBadID, hint, "%q %s", strict.Clip(s), why)
	default:
		*to = s
	}
}

// nowhere as a door's user: events of this door count under no user.
const nowhere = "none"

// attributeOfCloudEvents: names are lower-case letters and digits, at most 20 of them
// (CloudEvents 1.0.2, "Attribute Naming Convention"). Those of the envelope itself name no user.
func attributeOfCloudEvents(s string) bool {
	if path, ok := strings.CutPrefix(s, "data."); ok {
		return strict.ValidName(path) && !strings.Contains(path, "..")
	}
	envelope := []string{"data", "datacontenttype", "dataschema", "id", "source", "specversion", "subject", "time", "type"}
	return s != "" && len(s) <= 20 && !slices.Contains(envelope, s) && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

package catalog

import (
	"crypto/sha256"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/catalog/declare"
	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
)

const (
	day     = 24 * time.Hour
	maxKept = 36_500 * day // a hundred years
)

// Parse reads and validates a catalog. What is wrong with it comes back as *Errors, all at
// once, each with its line. Parse does not look at a signature: see ParseSigned.
func Parse(raw []byte) (*Catalog, error) {
	p := &parser{Reader: &declare.Reader{}, cat: &Catalog{Raw: slices.Clone(raw), Hash: sha256.Sum256(raw), Doors: declare.DefaultDoors()}}
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
	*declare.Reader
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
			p.BadID(n, "catalog", c.Name)
		}
	}
	if n := have["version"]; n != nil {
		c.Version = int(p.Whole(n, "version", 1))
	}
	if n := have["vendor"]; n != nil {
		c.Vendor, _ = p.Text(n, "vendor", 200)
	}
	if n := have["events"]; n != nil {
		c.Events = p.Events(n)
	}
	if n := have["traits"]; n != nil {
		c.Traits = p.Properties(n, "traits", declare.Traits)
	}
	if n := have["group_traits"]; n != nil {
		c.GroupTraits = p.Properties(n, "group_traits", declare.Plain)
	}
	if n := have["resource"]; n != nil {
		c.Resource = p.Properties(n, "resource", declare.Plain)
	}
	if n := have["metrics"]; n != nil {
		c.Metrics = p.Metrics(n)
	}
	if n := have["probes"]; n != nil {
		c.Probes = p.Probes(n)
	}
	if n := have["doors"]; n != nil {
		p.Doors(n, &c.Doors)
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

// Kinds are all kinds of measures this version knows.
func Kinds() []Kind {
	return []Kind{Count, Distribution, ActiveUsers, Lifecycle, Gauge, Counter, Histogram, Fact, Availability, SLO, Stickiness, Retention, Funnel,
		Adoption, FirstTime, Transitions, Seats, Sufficient, Shift, Environment}
}

// Package words says what the vendor asks for and what was decided, in the shapes that the command line, the console
// and scripts share. It is a function of the catalogs and the decisions, and keeps no state.
package words

import (
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/agent/consent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/diff"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Catalog is what catalog c asks for. decided says that st was decided; accepted is the catalog it was about, nil
// where that is not known.
func Catalog(c *catalog.Catalog, st exchange.Statement, decided bool, accepted *catalog.Catalog) control.Catalog {
	out := control.Catalog{Name: c.Name, Version: c.Version, Vendor: c.Vendor, Hash: c.Hash, Raw: c.Raw, Changes: []control.Change{}}
	if !decided || st.CatalogVersion == 0 {
		accepted = nil
	} else {
		out.Accepted = st.CatalogVersion
	}
	if accepted != nil {
		for _, d := range diff.Between(accepted, c) {
			out.Changes = append(out.Changes, control.Change{Kind: string(d.Kind), Measure: d.Measure, Text: d.Text})
		}
	}
	for i := range c.Measures {
		m := &c.Measures[i]
		x := control.Measure{ID: m.ID, Kind: string(m.Kind), Subject: string(m.Subject), Category: m.Category, Question: m.Question, Purpose: m.Purpose,
			Owner: m.Owner, Kept: kept(m.Retention), Expires: m.Expires, By: m.By, Leaves: m.Leaves.String(), Level: exchange.Off, Target: m.Target}
		for _, g := range m.Grains() {
			x.Grains = append(x.Grains, g.String())
		}
		if mt, _ := c.Metric(m.Metric); mt != nil {
			x.Unit = mt.Unit
		}
		if decided {
			x.Level = st.Effective(m, accepted).Level
		}
		out.Measures = append(out.Measures, x)
	}
	return out
}

func kept(d time.Duration) string {
	if d == 0 {
		return "for ever"
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Decisions are those made at a site.
type Decisions interface {
	Current() (consent.State, bool)
	History() []consent.State
}

// Consent is the decision in force and all before it.
func Consent(d Decisions) control.Consent {
	out := control.Consent{Levels: []exchange.Decision{}}
	for _, s := range d.History() {
		st := s.Statement
		out.History = append(out.History, control.ConsentEntry{Number: st.Number, At: time.Unix(st.Decided, 0).UTC(), By: s.Record.By,
			Ticket: s.Record.Ticket, Levels: st.Categories, Paused: st.Paused, Hash: s.Signed.Hash()})
	}
	s, ok := d.Current()
	if !ok {
		return out
	}
	st := s.Statement
	out.Decided, out.Number, out.Paused, out.At = len(st.Categories) > 0, st.Number, st.Paused, time.Unix(st.Decided, 0).UTC()
	out.By, out.Ticket, out.Counter, out.People = s.Record.By, s.Record.Ticket, s.Record.CountersignedBy, s.Record.People
	out.Levels = append(out.Levels, st.Categories...)
	if st.CatalogVersion > 0 {
		out.Catalog = fmt.Sprintf("%s %d", st.CatalogName, st.CatalogVersion)
	}
	return out
}

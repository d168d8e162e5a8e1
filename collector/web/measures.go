package web

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/board"
	"github.com/fieldpost/fieldpost/collector/web/chart"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

type measuresPage struct {
	Catalog   *catalog.Catalog
	Added     time.Time
	Measures  []measureRow
	Old       []store.Coverage // definitions that are in no catalog's newest version
	Reporting int
}

type measureRow struct {
	*catalog.Measure
	store.Coverage
	Covered bool
}

func (h *Handler) measures(q *request) error {
	d := measuresPage{}
	var err error
	if d.Catalog, err = h.board.Catalog(q.ctx); err != nil {
		return err
	}
	if d.Catalog != nil {
		newest, err := h.c.Catalogs.NewestCatalog(q.ctx, "")
		if err != nil {
			return err
		}
		d.Added = newest.Added
	}
	cover, err := h.c.Measurements.Coverage(q.ctx)
	if err != nil {
		return err
	}
	o, err := h.board.Overview(q.ctx)
	if err != nil {
		return err
	}
	d.Reporting = o.Reporting
	used := map[int]bool{}
	if d.Catalog != nil {
		for i := range d.Catalog.Measures {
			m := &d.Catalog.Measures[i]
			r := measureRow{Measure: m}
			r.Coverage, r.Covered = coverageOf(cover, m, used)
			if !r.Covered {
				r.Unknown = o.Reporting
			}
			d.Measures = append(d.Measures, r)
		}
	}
	for i, c := range cover {
		if !used[i] {
			d.Old = append(d.Old, c)
		}
	}
	q.render(http.StatusOK, "measures", page{Title: "Measures", Section: "measures"}, &d)
	return nil
}

func coverageOf(cover []store.Coverage, m *catalog.Measure, used map[int]bool) (store.Coverage, bool) {
	for i, c := range cover {
		if c.Measure == m.ID && c.Hash == m.HashString() {
			used[i] = true
			return c, true
		}
	}
	return store.Coverage{}, false
}

type measurePage struct {
	*catalog.Measure
	Catalog    *catalog.Catalog
	Coverage   store.Coverage
	Covered    bool
	Earlier    []store.Coverage // other definitions under this id
	Retention  string
	Fields     []string
	Breakdowns string
	Source     string
	Chart      template.HTML
	Table      []tableRow
	CSV, List  string
	Field      string // that the chart draws
	Joined     string
}

func (h *Handler) measure(q *request) error {
	cat, err := h.board.Catalog(q.ctx)
	if err != nil {
		return err
	}
	if cat == nil {
		return store.ErrNotFound
	}
	m, _ := cat.Measure(q.r.PathValue("id"))
	if m == nil {
		return store.ErrNotFound
	}
	d := measurePage{Measure: m, Catalog: cat, Retention: catalog.Span(m.Retention), Source: source(cat, m), Joined: joined(m)}
	cover, err := h.c.Measurements.Coverage(q.ctx)
	if err != nil {
		return err
	}
	used := map[int]bool{}
	d.Coverage, d.Covered = coverageOf(cover, m, used)
	for i, c := range cover {
		if c.Measure == m.ID && !used[i] {
			d.Earlier = append(d.Earlier, c)
		}
	}
	o, err := h.board.Overview(q.ctx)
	if err != nil {
		return err
	}
	if !d.Covered {
		d.Coverage.Unknown = o.Reporting
	}
	for _, f := range m.Fields() {
		d.Fields = append(d.Fields, f.String())
	}
	for _, b := range m.By {
		d.Breakdowns += strings.Join(b, " × ") + "; "
	}
	d.Breakdowns = strings.TrimSuffix(d.Breakdowns, "; ")
	if err := h.fleetLine(q, &d); err != nil {
		return err
	}
	q.render(http.StatusOK, "measure", page{Title: words.Label(m.ID), Section: "measures"}, &d)
	return nil
}

// fleetLine draws the measure over all accounts where weekly roll-ups have it.
func (h *Handler) fleetLine(q *request, d *measurePage) error {
	s, err := h.board.Get(q.ctx, d.ID, "")
	if err != nil {
		return err
	}
	first := slices.IndexFunc(s.Line, func(p accounts.Point) bool { return p.Form != report.Unknown })
	if first < 0 {
		return nil
	}
	first = min(first, len(s.Line)-26)
	ws := s.Columns()
	for i := first; i < len(s.Line); i++ {
		d.Table = append(d.Table, tableRow{words.Day(s.Line[i].Start), s.Line[i], words.Told(s.Tallies[i], "account")})
	}
	slices.Reverse(d.Table)
	d.Chart = chart.Line(d.Question, ws[first:], nil)
	d.Field = board.ListField(d.Measure).String()
	d.CSV = fmt.Sprintf("/api/v1/periods.csv?grain=week&fleet=true&measure=%s&field=%s", d.ID, d.Field)
	d.List = "/accounts?m=" + d.ID + "&sort=figure&desc=1"
	return nil
}

// joined says how installations and accounts are summed.
func joined(m *catalog.Measure) string {
	switch m.Kind {
	case catalog.ActiveUsers, catalog.Lifecycle:
		return "Installations of one account can share people: joined by the largest … the sum. Accounts add up."
	case catalog.Availability:
		return "Seconds add up. Availability = up ÷ (up + down); coverage = (up + down) ÷ all."
	case catalog.Gauge, catalog.Fact:
		return "Readings of one installation; they are not added."
	}
	return "Added over windows, installations and accounts."
}

// source says in words where the figures come from.
func source(c *catalog.Catalog, m *catalog.Measure) string {
	switch {
	case len(m.Events) > 0:
		var names []string
		for _, id := range m.Events {
			if e, _ := c.Event(id); e != nil {
				names = append(names, "“"+e.Match+"”")
			}
		}
		s := "events " + strings.Join(names, ", ")
		for _, w := range append(slices.Clone(m.Where), m.WhereUser...) {
			s += "; only where " + w.Property
			if len(w.Values) > 0 {
				s += " is " + strings.Join(w.Values, " or ")
			} else {
				s += " lies in bounds"
			}
		}
		return s
	case m.Metric != "":
		if x, _ := c.Metric(m.Metric); x != nil {
			return "metric " + x.Match + ", unit " + x.Unit
		}
	case m.Probe != "":
		return "the agent's own check “" + m.Probe + "”; its target is decided at the site"
	case m.From != "":
		return m.From
	case m.Valid != nil:
		return "good and valid: " + cmpSelector(m.Good) + " of " + cmpSelector(m.Valid)
	}
	return "–"
}

func cmpSelector(s *catalog.Selector) string {
	name := s.Metric
	if name == "" {
		name = s.Event
	}
	for _, w := range s.Where {
		name += ", " + w.Property + " " + strings.Join(w.Values, " or ")
	}
	if s.AtMost > 0 {
		name += fmt.Sprintf(", at most %g", s.AtMost)
	}
	return name
}

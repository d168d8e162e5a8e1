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
	"github.com/fieldpost/fieldpost/collector/web/kinds"
	"github.com/fieldpost/fieldpost/collector/web/many"
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
	Grain      string // of the chart, in words
	Segments   many.Segments
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
	d := measurePage{Measure: m, Catalog: cat, Retention: catalog.Span(m.Retention), Source: kinds.Source(cat, m), Joined: kinds.Joined(m)}
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
	for _, b := range cat.Breakdowns(m) {
		d.Breakdowns += strings.Join(b.Dims, " × ") + "; "
	}
	d.Breakdowns = strings.TrimSuffix(d.Breakdowns, "; ")
	if err := h.fleetLine(q, &d); err != nil {
		return err
	}
	q.render(http.StatusOK, "measure", page{Title: words.Label(m.ID), Section: "measures"}, &d)
	return nil
}

// fleetLine draws the measure over all accounts, and groups them, where roll-ups have it.
func (h *Handler) fleetLine(q *request, d *measurePage) error {
	s, err := h.board.Get(q.ctx, d.ID, "")
	if err != nil {
		return err
	}
	if s.Measure == nil || s.Measure.ID != d.ID { // came between the two looks at the catalog
		return nil
	}
	first := slices.IndexFunc(s.Line, func(p accounts.Point) bool { return p.Form != report.Unknown })
	if first < 0 {
		return nil
	}
	first = max(0, min(first, len(s.Line)-26))
	ws := s.Columns()
	for i := first; i < len(s.Line); i++ {
		d.Table = append(d.Table, tableRow{words.Window(s.Grain, s.Line[i].Start), s.Line[i], words.Told(s.Tallies[i], "account")})
	}
	slices.Reverse(d.Table)
	d.Grain = words.Every(s.Grain)
	d.Chart = chart.Columns(d.Question, ws[first:], int(accounts.Step(s.Grain)), nil)
	d.Field = board.ListField(d.Measure).String()
	d.CSV = fmt.Sprintf("/api/v1/periods.csv?grain=%s&fleet=true&measure=%s&field=%s", s.Grain, d.ID, d.Field)
	d.List = "/accounts?m=" + d.ID + "&sort=figure&desc=1"
	traits, err := h.c.Accounts.Attributes(q.ctx)
	if err != nil {
		return err
	}
	d.Segments = many.NewSegments(s, traits, q.get("by"), d.Field)
	return nil
}

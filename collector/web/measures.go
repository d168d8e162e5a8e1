package web

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/board"
	"github.com/fieldpost/fieldpost/collector/web/chart"
	"github.com/fieldpost/fieldpost/collector/web/kinds"
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
	Windows    string // what a table row is
	Segments   segmentsPart
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
	d.Grain, d.Windows = words.Every(s.Grain), "Window"
	d.Chart = chart.Columns(d.Question, ws[first:], int(accounts.Step(s.Grain)), nil)
	d.Field = board.ListField(d.Measure).String()
	d.CSV = fmt.Sprintf("/api/v1/periods.csv?grain=%s&fleet=true&measure=%s&field=%s", s.Grain, d.ID, d.Field)
	d.List = "/accounts?m=" + d.ID + "&sort=figure&desc=1"
	return h.segments(q, d, s)
}

// segmentsPart groups the accounts of a measure by one imported trait.
type segmentsPart struct {
	By     string
	Traits []store.Attribute
	List   []segmentRow
	All    segmentRow
	Most   float64
	Window string
	CSV    string
}

type segmentRow struct {
	accounts.Segment
	Sum, Without accounts.Point
	Dots         template.HTML
	Href         string
	Share        template.HTML // of the largest account in the sum
}

func (h *Handler) segments(q *request, d *measurePage, s *board.Snapshot) error {
	p := &d.Segments
	var err error
	if p.Traits, err = h.c.Accounts.Attributes(q.ctx); err != nil {
		return err
	}
	p.By, p.Window = q.get("by"), s.Window()
	if !slices.ContainsFunc(p.Traits, func(a store.Attribute) bool { return a.Name == p.By }) {
		p.By = ""
	}
	members := make([]accounts.Member, len(s.Rows))
	for i := range s.Rows {
		r := &s.Rows[i]
		members[i] = accounts.Member{Key: r.Key, Name: r.Name, Trait: r.Attributes[p.By], Point: r.Now}
		if r.Now.Told() {
			p.Most = max(p.Most, kinds.Top(r.Now))
		}
	}
	list, all := accounts.Segments(members, p.By)
	p.All = rowOf(all, p.Most, s.Start)
	if p.By == "" {
		return nil
	}
	for _, g := range list {
		r := rowOf(g, p.Most, s.Start)
		if len(g.Filter) > 0 {
			r.Href = "/accounts?" + url.Values{"m": {d.ID}, "f": g.Filter, "sort": {"figure"}, "desc": {"1"}}.Encode()
		}
		p.List = append(p.List, r)
	}
	p.CSV = "/api/v1/segments.csv?" + url.Values{"measure": {d.ID}, "field": {d.Field}, "trait": {p.By}, "grain": {s.Grain.String()}, "start": {report.StartString(s.Grain, s.Start)}}.Encode()
	return nil
}

func rowOf(g accounts.Segment, most float64, start int64) segmentRow {
	r := segmentRow{Segment: g, Sum: words.TallyPoint(start, g.Sum), Without: words.TallyPoint(start, g.Without)}
	var list []chart.Amount
	for _, m := range g.Members {
		list = append(list, chart.Amount{Form: m.Point.Form, Interval: m.Point.Interval})
	}
	r.Dots = chart.Dots(list, most)
	if g.Largest != nil {
		r.Share = kinds.ShareOf(g.Largest.Point, r.Without)
	}
	return r
}

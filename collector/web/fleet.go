package web

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/board"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// fleetPage lists installations; all that shapes it is in the URL: q, env, version, silent
// (days), category and level (consent), sort, desc, page.
type fleetPage struct {
	Query, Environment, Version, Silent, Level string
	Clock                                      time.Time
	Overview                                   store.Overview
	Rows                                       []fleetRow
	Versions                                   []versionCount
	Total, Page, Pages                         int
	Prev, Next, CSV, ClearAll                  string
	Heads                                      []head
	Environs                                   []string
	Levels                                     []exchange.Level
	SilentNow                                  int
}

// SilentChoices are the lengths of silence that the form offers, in days.
func (d *fleetPage) SilentChoices() []string { return []string{"2", "7", "14", "28", "84"} }

type versionCount struct {
	Version string
	N, Of   int
	Href    string
}

type fleetRow struct {
	store.Installation
	Missing  int64 // windows due and not there
	Due      int64
	SkewTone string
	Silent   bool
}

// silentDays is after how long an installation counts as silent, where nothing else is asked.
const silentDays = 14

func (h *Handler) fleet(q *request) error {
	d := fleetPage{Query: q.get("q"), Environment: q.get("env"), Version: q.get("version"), Silent: q.get("silent"), Level: q.get("level"), Environs: store.Environments(), Levels: exchange.Levels()}
	var err error
	if d.Overview, err = h.board.Overview(q.ctx); err != nil {
		return err
	}
	d.Clock = board.Clock(d.Overview, h.c.Now())
	f := store.FleetQuery{Search: d.Query, Environments: environments(d.Environment), Version: d.Version, Sort: q.get("sort"), Desc: q.get("desc") == "1", Limit: perPage}
	if !slices.Contains([]string{"", "account", "installation", "last_report", "first_report", "version", "skew", "cells", "environment"}, f.Sort) {
		f.Sort = ""
	}
	if slices.Contains(d.Levels, exchange.Level(d.Level)) {
		f.Category, f.Level = "usage", d.Level
	}
	if n, err := strconv.Atoi(d.Silent); err == nil && n > 0 && n < 10_000 {
		f.SilentSince = d.Clock.AddDate(0, 0, -n)
	}
	d.Page, _ = strconv.Atoi(q.get("page"))
	d.Page = max(1, d.Page)
	f.Offset = (d.Page - 1) * perPage
	p, err := h.c.Fleet.InstallationPage(q.ctx, f)
	if err != nil {
		return err
	}
	d.Total, d.Pages = p.Total, max(1, (p.Total+perPage-1)/perPage)
	if d.Rows, err = h.backlogs(q, p.Rows, d.Clock); err != nil {
		return err
	}
	silent, err := h.c.Fleet.InstallationPage(q.ctx, store.FleetQuery{SilentSince: d.Clock.AddDate(0, 0, -silentDays), Limit: 1})
	if err != nil {
		return err
	}
	d.SilentNow = silent.Total
	of := 0
	for _, n := range p.Versions {
		of += n
	}
	for v, n := range p.Versions {
		name := v
		if v == "" {
			name = "never checked in"
		}
		d.Versions = append(d.Versions, versionCount{name, n, of, q.with("version", v, "page", "")})
	}
	slices.SortFunc(d.Versions, func(a, b versionCount) int { return compareVersions(b.Version, a.Version) })
	if d.Page > 1 {
		d.Prev = q.with("page", strconv.Itoa(d.Page-1))
	}
	if d.Page < d.Pages {
		d.Next = q.with("page", strconv.Itoa(d.Page+1))
	}
	d.CSV = "/api/v1/installations.csv?" + q.r.URL.RawQuery
	if q.r.URL.RawQuery != "" {
		d.ClearAll = "/fleet"
	}
	for _, c := range []struct {
		text, key string
		num       bool
	}{{"Account", "account", false}, {"Installation", "installation", false}, {"Environment", "environment", false}, {"Version", "version", false}, {"Last report", "last_report", false},
		{"Backlog", "", true}, {"Skew", "skew", true}, {"Usage consent", "", false}, {"Figures", "cells", true}} {
		d.Heads = append(d.Heads, sortHead(q, c.text, c.key, c.num, "account"))
	}
	q.render(http.StatusOK, "fleet", page{Title: "Fleet", Section: "fleet"}, &d)
	return nil
}

// environments is one as a list; "" means all.
func environments(e string) []string {
	if e == "" {
		return nil
	}
	return []string{e}
}

func sortHead(q *request, text, key string, isNum bool, byDefault string) head {
	h := head{Text: text, Num: isNum}
	if key == "" {
		return h
	}
	now, desc := q.get("sort"), ""
	if now == "" {
		now = byDefault
	}
	if now == key {
		h.Aria = "ascending"
		if q.get("desc") == "1" {
			h.Aria = "descending"
		} else {
			desc = "1"
		}
	}
	h.Href = q.with("sort", key, "desc", desc, "page", "")
	return h
}

// backlogs asks for the backlog of each installation of a page, four at a time: the store
// reads each from its newest cells.
func (h *Handler) backlogs(q *request, list []store.Installation, clock time.Time) ([]fleetRow, error) {
	out := make([]fleetRow, len(list))
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := w; i < len(list) && errs[w] == nil; i += len(errs) {
				inst := list[i]
				out[i] = fleetRow{Installation: inst, Silent: inst.LastReport.Before(clock.AddDate(0, 0, -silentDays)), SkewTone: "good"}
				if s := inst.Skew.Abs(); s > 5*time.Minute {
					out[i].SkewTone = "bad"
				} else if s > time.Minute {
					out[i].SkewTone = "warn"
				}
				bs, err := h.c.Measurements.Backlog(q.ctx, inst.Account, inst.Key, h.c.Now())
				errs[w] = err
				for _, b := range bs {
					out[i].Missing, out[i].Due = out[i].Missing+b.Missing, out[i].Due+b.Due
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

type installationPage struct {
	store.Installation
	Clock      time.Time
	Decisions  []accounts.Decision
	Backlog    []store.Backlog
	Missing    int64
	Batches    []store.BatchRow
	Latest     []latestLine
	Agents     []store.Agent
	Quarantine []store.Quarantined
	Losses     []store.Loss
	CSV        string
}

type latestLine struct {
	store.LatestRow
	Point accounts.Point
	Start string
}

// Moment is the time that a fact's since-when tells; zero for all else.
func (l latestLine) Moment() time.Time {
	if l.Figure.Field != report.Since || l.Figure.Form != report.Exact {
		return time.Time{}
	}
	return time.Unix(int64(l.Figure.Lo), 0).UTC()
}

func (h *Handler) installation(q *request) error {
	account, key := q.r.PathValue("account"), q.r.PathValue("installation")
	inst, err := h.c.Fleet.Installation(q.ctx, account, key)
	if err != nil {
		return err
	}
	d := installationPage{Installation: inst}
	o, err := h.board.Overview(q.ctx)
	if err != nil {
		return err
	}
	d.Clock = h.c.Now()
	if inst.Simulated {
		d.Clock = board.Clock(o, d.Clock)
	}
	statements, err := h.c.Statements.StatementsOf(q.ctx, account, key)
	if err != nil {
		return err
	}
	if d.Decisions, err = accounts.Decisions(statements); err != nil {
		return err
	}
	if d.Backlog, err = h.c.Measurements.Backlog(q.ctx, account, key, h.c.Now()); err != nil {
		return err
	}
	for _, b := range d.Backlog {
		d.Missing += b.Missing
	}
	if d.Batches, err = h.c.Fleet.Batches(q.ctx, store.BatchQuery{Account: account, Installation: key, Limit: 20}); err != nil {
		return err
	}
	if d.Agents, err = h.c.Agents.AgentsOf(q.ctx, account, key, 20); err != nil {
		return err
	}
	t := store.TroubleQuery{Account: account, Installation: key, Limit: 20}
	if d.Quarantine, err = h.c.Troubles.Quarantine(q.ctx, t); err != nil {
		return err
	}
	if d.Losses, err = h.c.Troubles.Losses(q.ctx, t); err != nil {
		return err
	}
	latest, err := h.c.Measurements.Latest(q.ctx, account, key)
	if err != nil {
		return err
	}
	for _, l := range latest {
		if len(l.Figure.Dims) == 0 && !l.Figure.Field.IsBlob() {
			d.Latest = append(d.Latest, latestLine{l, accounts.Point{Form: l.Figure.Form, Interval: report.Interval{Lo: l.Figure.Lo, Hi: l.Figure.Hi}}, report.StartString(l.Figure.Grain, l.Figure.Start)})
		}
	}
	v := q.r.URL.Query()
	v.Set("account", account)
	v.Set("installation", key)
	d.CSV = "/api/v1/measurements.csv?" + v.Encode()
	q.render(http.StatusOK, "installation", page{Title: key + " of " + inst.AccountName, Section: "fleet"}, &d)
	return nil
}

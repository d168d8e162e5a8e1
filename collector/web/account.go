package web

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/sla"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/board"
	"github.com/fieldpost/fieldpost/collector/web/chart"
	"github.com/fieldpost/fieldpost/collector/web/kinds"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// storyWeeks is how far back the story of an account goes: two years.
const storyWeeks = 106

type accountPage struct {
	Account  store.AccountRow
	Clock    time.Time
	Catalog  *catalog.Catalog
	Measure  *catalog.Measure
	Field    string
	Grain    report.Grain // of the story
	Kind     *kinds.View  // of the measure, at the grain that leaves
	KindCSV  string
	First    bool // the kind's drawing stands before the line
	Now      accounts.Point
	Before   string // range of the weeks before
	Reading  accounts.Reading
	Chart    template.HTML
	Table    []tableRow
	Told     int
	Weeks    int
	CSV      string
	Events   []accounts.Event
	Levels   []levelCard
	Lines    []measureLine
	Facts    []store.LatestRow
	Installs []installCard
	Traits   []hidden
	Versions string
	Losses   int64
	Refused  int64
}

type levelCard struct {
	Measure *catalog.Measure
	Whole   sla.Level // 4 weeks
	Levels  []sla.Level
	Chart   template.HTML
}

type measureLine struct {
	Measure *catalog.Measure
	Field   report.Field
	Now     accounts.Point
	Points  []accounts.Point
	Grain   report.Grain
	Text    string // of measures whose numbers stand for words
	Href    string
}

type installCard struct {
	store.Installation
	Decisions []accounts.Decision
}

func (h *Handler) account(q *request) error {
	key := q.r.PathValue("key")
	a, err := h.c.Accounts.Account(q.ctx, key)
	if err != nil {
		return err
	}
	d := accountPage{Account: a}
	o, err := h.board.Overview(q.ctx)
	if err != nil {
		return err
	}
	d.Clock = board.Clock(o, h.c.Now())
	if d.Catalog, err = h.board.Catalog(q.ctx); err != nil {
		return err
	}
	d.Measure = accounts.Headline(d.Catalog)
	if d.Catalog != nil {
		if m, _ := d.Catalog.Measure(q.get("m")); m != nil {
			d.Measure = m
		}
	}
	installs, err := h.c.Fleet.InstallationPage(q.ctx, store.FleetQuery{Account: key, Limit: 200})
	if err != nil {
		return err
	}
	decisions := map[string][]accounts.Decision{}
	for _, i := range installs.Rows {
		list, err := h.c.Statements.StatementsOf(q.ctx, key, i.Key)
		if err != nil {
			return err
		}
		ds, err := accounts.Decisions(list)
		if err != nil {
			return err
		}
		decisions[i.Key] = ds
		d.Installs = append(d.Installs, installCard{i, ds})
		d.Losses, d.Refused = d.Losses+i.Losses, d.Refused+i.Refused
	}
	d.Versions = versions(installs.Rows)
	if err := h.story(q, &d, installs.Rows, decisions); err != nil {
		return err
	}
	latest, err := h.c.Measurements.Latest(q.ctx, key, "")
	if err != nil {
		return err
	}
	d.Facts = facts(latest)
	d.others(q, latest)
	if err := h.kind(q, &d); err != nil {
		return err
	}
	for k, v := range a.Attributes {
		d.Traits = append(d.Traits, hidden{k, v})
	}
	slices.SortFunc(d.Traits, func(x, y hidden) int { return strings.Compare(x.Name, y.Name) })
	q.render(http.StatusOK, "account", page{Title: a.Name, Section: "accounts"}, &d)
	return nil
}

// kind draws the chosen measure as its kind wants to be read.
func (h *Handler) kind(q *request, d *accountPage) error {
	if d.Measure == nil {
		return nil
	}
	g, ok := kinds.Grain(d.Measure)
	if !ok {
		return nil
	}
	today := report.CivilDay(d.Clock, time.UTC)
	back := d.Clock.AddDate(-2, 0, -14)
	if g == report.Day {
		back = d.Clock.AddDate(0, 0, -35) // the newest are enough: it says the same every day
	}
	p, err := h.c.Measurements.Figures(q.ctx, store.FigureQuery{Measure: d.Measure.ID, Account: d.Account.Key, Grain: g, From: back, Limit: 10_000})
	if err != nil {
		return err
	}
	v := kinds.Of(d.Catalog, d.Measure, p.Rows, today)
	d.Kind, d.First = &v, d.Grain != store.Weekly
	d.KindCSV = "/api/v1/measurements.csv?" + url.Values{"account": {d.Account.Key}, "measure": {d.Measure.ID}, "grain": {g.String()}}.Encode()
	return nil
}

// others are the measures that have no line: words, and figures of one installation alone.
func (d *accountPage) others(q *request, latest []store.LatestRow) {
	has := map[string]bool{}
	for _, l := range d.Lines {
		has[l.Measure.ID] = true
	}
	if d.Catalog == nil {
		return
	}
	for i := range d.Catalog.Measures {
		m := &d.Catalog.Measures[i]
		if _, ok := kinds.Grain(m); !ok || has[m.ID] {
			continue
		}
		for _, l := range latest {
			if f := l.Figure; f.Measure == m.ID && f.Hash == m.HashString() && len(f.Dims) == 0 && f.Grain == m.LeavesAt() {
				p := accounts.Point{Start: f.Start, Form: f.Form, Interval: report.Interval{Lo: f.Lo, Hi: f.Hi}}
				d.Lines = append(d.Lines, measureLine{Measure: m, Field: f.Field, Now: p, Grain: f.Grain, Text: kinds.Word(m, f.Field, p), Href: q.with("m", m.ID, "field", "")})
				break
			}
		}
	}
}

// story reads all roll-ups of the account once and tells them.
func (h *Handler) story(q *request, d *accountPage, installs []store.Installation, decisions map[string][]accounts.Decision) error {
	week := accounts.ClosedWeek(d.Clock, accounts.Grace(d.Catalog, d.Measure))
	from := week - 7*(storyWeeks-1)
	type series struct {
		measure string
		field   report.Field
		grain   report.Grain
	}
	by := map[series][]store.Period{}
	for _, g := range []report.Grain{store.Weekly, report.Rolling28, report.Block4w, report.Block12w} {
		all, err := h.c.Measurements.Periods(q.ctx, store.PeriodQuery{Account: d.Account.Key, Grain: g, From: from - 84, To: week + 7})
		if err != nil {
			return err
		}
		for _, p := range all {
			k := series{p.Measure, p.Field, g}
			by[k] = append(by[k], p)
		}
	}
	// line is a figure at the first of the measure's grains that has any.
	line := func(m *catalog.Measure, f report.Field) (report.Grain, []store.Period) {
		grains := accounts.Grains(m)
		for _, g := range grains {
			if ps := by[series{m.ID, f, g}]; len(ps) > 0 {
				return g, ps
			}
		}
		return grains[0], nil
	}
	st := board.Status(d.Account, installs, d.Clock)
	if d.Measure != nil {
		f := board.ListField(d.Measure)
		if want, err := report.ParseField(q.get("field")); err == nil && slices.Contains(d.Measure.Fields(), want) {
			f = want
		}
		var ps []store.Period
		d.Grain, ps = line(d.Measure, f)
		step, newest := accounts.Step(d.Grain), accounts.NewestClosed(d.Grain, d.Clock, accounts.Grace(d.Catalog, d.Measure))
		points := accounts.LineOf(ps, newest-step*(storyWeeks*7/step-1), newest, step, d.Measure.HashString())
		kinds.Noise(d.Catalog, d.Measure, f, d.Grain, points)
		d.tell(points, f)
		st.Weeks = int(step / 7)
		d.Reading = accounts.Read(points[max(0, len(points)-int(accounts.History(d.Grain))):], st)
		weekly := points
		if d.Grain != store.Weekly { // gaps and peaks are told in weeks
			weekly = nil
		}
		d.Events = accounts.Events(weekly, installs, decisions)
		// The chart begins where the story does, but is never narrower than half a year.
		begin := max(0, min(len(points)-d.Weeks, len(points)-int(26*7/step)))
		d.Chart = chart.Columns(d.Measure.Question, words.Columns(d.Grain, points[begin:]), int(step), marks(d.Events))
		d.CSV = fmt.Sprintf("/api/v1/periods.csv?grain=%s&account=%s&measure=%s&field=%s", d.Grain, template.URLQueryEscaper(d.Account.Key), d.Measure.ID, f)
	} else {
		d.Reading = accounts.Read(nil, st)
	}
	d.lines(q, week, line, func(m *catalog.Measure, f report.Field) []store.Period { return by[series{m.ID, f, store.Weekly}] })
	return nil
}

// lines are all other figures of the account: service levels, and one line for each field.
func (d *accountPage) lines(q *request, week int64, line func(*catalog.Measure, report.Field) (report.Grain, []store.Period), weekly func(*catalog.Measure, report.Field) []store.Period) {
	if d.Catalog == nil {
		return
	}
	for i := range d.Catalog.Measures {
		m := &d.Catalog.Measures[i]
		if sla.Is(m.Kind) {
			var ps []store.Period
			for _, f := range sla.Fields(m.Kind) {
				ps = append(ps, weekly(m, f)...)
			}
			if len(ps) > 0 {
				d.Levels = append(d.Levels, level(m, ps, week))
			}
			continue
		}
		for _, f := range m.Fields() {
			g, ps := line(m, f)
			if len(ps) == 0 || f == report.Sum {
				continue
			}
			step, newest := accounts.Step(g), accounts.NewestClosed(g, d.Clock, accounts.Grace(d.Catalog, m))
			points := accounts.LineOf(ps, newest-step*(accounts.History(g)-1), newest, step, m.HashString())
			kinds.Noise(d.Catalog, m, f, g, points)
			if last := points[len(points)-1]; last.Form == report.Unknown && len(points) > 1 && g != store.Weekly {
				points = points[:len(points)-1] // still under way: a funnel's block closes when its window is over
			}
			d.Lines = append(d.Lines, measureLine{Measure: m, Field: f, Now: points[len(points)-1], Points: points, Grain: g,
				Href: q.with("m", m.ID, "field", f.String())})
		}
	}
}

func (d *accountPage) tell(points []accounts.Point, f report.Field) {
	if f != report.Value {
		d.Field = words.Label(f.String())
	}
	first := slices.IndexFunc(points, func(p accounts.Point) bool { return p.Form != report.Unknown })
	if first < 0 {
		first = len(points) - 1
	}
	for i := len(points) - 1; i >= first; i-- {
		p := points[i]
		d.Table = append(d.Table, tableRow{words.Window(d.Grain, p.Start), p, parts(p)})
		if p.Form != report.Unknown {
			d.Told++
		}
	}
	d.Weeks = len(points) - first
	d.Now = points[len(points)-1]
	var before report.Interval
	n := 0
	back := 8
	if d.Grain != store.Weekly {
		back = 3
	}
	for _, p := range points[max(0, len(points)-1-back) : len(points)-1] {
		if !p.Told() {
			continue
		}
		if n == 0 {
			before = p.Interval
		}
		before.Lo, before.Hi = min(before.Lo, p.Lo), max(before.Hi, p.Hi)
		n++
	}
	if n > 0 {
		d.Before = words.Interval(before) + " in the 8 weeks before"
		if d.Grain != store.Weekly {
			d.Before = words.Interval(before) + " in the 3 windows before"
		}
	}
}

// parts says how many installations told a sum, when there is more than one.
func parts(p accounts.Point) string {
	if p.Tally().Parts() < 2 {
		return ""
	}
	return words.Told(p.Tally(), "installation") + "; people may be in several, so from the largest to the sum"
}

func marks(events []accounts.Event) []chart.Mark {
	var out []chart.Mark
	for _, e := range events {
		if e.Short != "" {
			out = append(out, chart.Mark{At: e.At, Text: e.Short})
		}
	}
	return out
}

func level(m *catalog.Measure, ps []store.Period, week int64) levelCard {
	levels := sla.Periods(ps, map[string]float64{m.ID: m.Target})
	by := map[int64]sla.Level{}
	for _, l := range levels {
		by[l.Start] = l
	}
	c := levelCard{Measure: m}
	var out []chart.Part
	var recent []sla.Level
	for start := week - 7*(board.Weeks-1); start <= week; start += 7 {
		l, ok := by[start]
		if !ok {
			l = sla.Level{Measure: m.ID, Kind: m.Kind, Start: start, Days: 7, Target: m.Target}
		}
		if start > week-28 && ok {
			recent = append(recent, l)
		}
		p := chart.Part{Start: time.Unix(start*86400, 0).UTC(), Read: "week of " + words.Day(start) + ": " + levelText(l)}
		p.Up, p.Down, p.Maintenance, p.Unknown = l.Parts()
		out = append(out, p)
		if ok {
			c.Levels = append(c.Levels, l)
		}
	}
	slices.Reverse(c.Levels)
	c.Whole = sla.Sum(m.ID, m.Kind, m.Target, recent, week-21, 28)
	c.Chart = chart.Levels(m.Question, out)
	return c
}

func levelText(l sla.Level) string {
	if !l.HasShare {
		return "nothing observed"
	}
	if l.Kind == catalog.SLO {
		return fmt.Sprintf("%s %% good; %s bad of %s", words.Share(l.Share), words.Interval(l.Down), words.Interval(l.Up.Add(l.Down)))
	}
	return fmt.Sprintf("%s %% available; down %s, maintenance %s, unknown %s", words.Share(l.Share), words.Seconds(l.Down), words.Seconds(l.Maintenance), words.Seconds(l.Unseen))
}

// facts are the newest value of each fact, by installation.
func facts(latest []store.LatestRow) []store.LatestRow {
	newest := map[string]int{}
	var out []store.LatestRow
	for _, l := range latest {
		if l.Figure.Text == "" || l.Figure.Field != report.Value {
			continue
		}
		k := l.Installation + "\x00" + l.Figure.Measure
		if i, ok := newest[k]; ok {
			if startOf(l.Figure) > startOf(out[i].Figure) {
				out[i] = l
			}
			continue
		}
		newest[k] = len(out)
		out = append(out, l)
	}
	return out
}

func startOf(f report.Figure) int64 {
	if f.Grain.Civil() {
		return f.Start * 86400
	}
	return f.Start
}

func versions(list []store.Installation) string {
	n := map[string]int{}
	for _, i := range list {
		if i.Version != "" {
			n[i.Version]++
		}
	}
	var names []string
	for v := range n {
		names = append(names, v)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(0, compareVersions(a, b)) })
	if len(names) > 2 {
		return names[0] + " … " + names[len(names)-1] + " (" + strconv.Itoa(len(names)) + ")"
	}
	return strings.Join(names, ", ")
}

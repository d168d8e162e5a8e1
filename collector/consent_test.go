package collector

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// refusedFor sends one cell and says with which code it was refused ("" = accepted). A refusal
// must consume its seq: the next batch must continue.
func (a *agent) refusedFor(cells ...report.Cell) string {
	a.t.Helper()
	r := a.send(a.freeze(cells...))
	switch r.Outcome {
	case exchange.Accepted:
		return ""
	case exchange.Refused:
		if r.Queued != a.seq {
			a.t.Fatalf("a refusal did not consume its seq: %+v", r)
		}
		return r.Code
	}
	a.t.Fatalf("%+v", r)
	return ""
}

func TestS30_valuesOutsideConsent(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	person := func(m int, g report.Grain, start int64, f report.Form, lo, hi float64) report.Cell {
		return cell(m, g, start, f, lo, hi)
	}
	day, block := week(0), report.WindowStart(report.Block4w, longAgo.AddDate(0, 0, 28), time.UTC)
	byArea := cell(people, report.Week, week(0), report.Exact, 40, 40)
	byArea.Breakdown = 1
	byAreaHidden := cell(people, report.Block4w, block, report.Suppressed, 0, 0)
	byAreaHidden.Breakdown = 1
	for name, c := range map[string]struct {
		level exchange.Level
		cell  report.Cell
		want  string
	}{
		"a band of the site's week":         {exchange.Aggregate, person(people, report.Week, week(0), report.Band, 10, 14), ""},
		"an open answer":                    {exchange.Aggregate, person(people, report.Week, week(0), report.Band, 50, math.Inf(1)), ""},
		"withheld":                          {exchange.Aggregate, person(uses, report.Week, week(0), report.Suppressed, 0, 0), ""},
		"a withheld breakdown":              {exchange.Aggregate, byAreaHidden, ""},
		"events of people at aggregate":     {exchange.Aggregate, person(uses, report.Week, week(0), report.Exact, 5, 5), store.CodeNotCovered},
		"events of people at totals":        {exchange.Totals, person(uses, report.Week, week(0), report.Exact, 5, 5), ""},
		"an audited block":                  {exchange.Aggregate, person(people, report.Block4w, block, report.Exact, 40, 40), ""},
		"a block with noise at aggregate":   {exchange.Aggregate, person(people, report.Block4w, block, report.Noised, 40, 40), store.CodeNotCovered},
		"a block with noise at strict":      {exchange.Strict, person(people, report.Block4w, block, report.Noised, -3, -3), ""},
		"a block without noise at strict":   {exchange.Strict, person(people, report.Block4w, block, report.Exact, 40, 40), store.CodeNotCovered},
		"a block at totals":                 {exchange.Totals, person(people, report.Block4w, block, report.Exact, 40, 40), ""},
		"a day of people":                   {exchange.Totals, person(people, report.Day, day, report.Exact, 40, 40), store.CodeNotCovered},
		"a breakdown of people":             {exchange.Totals, byArea, store.CodeNotCovered},
		"a share":                           {exchange.Aggregate, person(people, report.Week, week(0), report.Share, 10, 20), store.CodeNotCovered},
		"traffic per hour":                  {exchange.Aggregate, person(requests, report.Hour, hour(1), report.Exact, 5, 5), ""},
		"traffic per five minutes":          {exchange.Aggregate, person(requests, report.FiveMinutes, hour(1), report.Exact, 5, 5), store.CodeNotCovered},
		"everything at local":               {exchange.Local, person(requests, report.Hour, hour(1), report.Exact, 5, 5), store.CodeNotCovered},
		"even withheld at off":              {exchange.Off, person(uses, report.Week, week(0), report.Suppressed, 0, 0), store.CodeNotCovered},
		"a window that began before":        {exchange.Totals, person(people, report.Week, week(-1), report.Exact, 40, 40), store.CodeNotCovered},
		"an hour that began a second early": {exchange.Totals, person(requests, report.Hour, hour(-1), report.Exact, 5, 5), store.CodeNotCovered},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.enrol("acme", exchange.NewNonce().String(), store.Production)
			a.t = t
			a.consent(c.level, longAgo)
			if got := a.refusedFor(c.cell); got != c.want {
				t.Fatalf("refused for %q, want %q", got, c.want)
			}
		})
	}
}

// S45, the collector's half: a measure that a later accepted catalog added is covered from its
// acceptance on, its category's older neighbours as before; whoever runs the agent cannot backdate it.
func TestS45_addedMeasureIsCoveredFromItsAcceptanceOn(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	a := h.enrol("acme", "eu", store.Production)
	accepted := longAgo.AddDate(0, 0, 21).Add(30 * time.Minute)
	a.number++
	st := exchange.Statement{Version: exchange.Version, Agent: a.id, Number: a.number, CatalogName: h.cat.Name, CatalogVersion: h.cat.Version, Catalog: h.cat.Hash,
		Decided: accepted.Unix(), Since: []exchange.Since{{Measure: "requests", From: accepted.Unix()}, {Measure: "uses", From: 1}}}
	for _, c := range []string{"inventory", "sla", "usage"} {
		st.Categories = append(st.Categories, exchange.Decision{Category: c, Level: exchange.Totals, From: longAgo.Unix()})
	}
	a.statement = must[exchange.SignedStatement](t)(exchange.SignStatement(st, a.key))
	if status, body := a.checkIn(a.statement, time.Now()); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	at := accepted.Add(30 * time.Minute).Unix() // the first hour that began after it
	for _, c := range []struct {
		name string
		cell report.Cell
		want string
	}{
		{"the added measure's hour before", cell(requests, report.Hour, at-7200, report.Exact, 5, 5), store.CodeNotCovered},
		{"even withheld", cell(requests, report.Hour, at-10800, report.Suppressed, 0, 0), store.CodeNotCovered},
		{"its hour that holds the moment", cell(requests, report.Hour, at-3600, report.Exact, 5, 5), store.CodeNotCovered},
		{"its first hour", cell(requests, report.Hour, at, report.Exact, 5, 5), ""},
		{"an older measure's week", cell(people, report.Week, week(0), report.Exact, 40, 40), ""},
		{"a date before the category's widens nothing", cell(uses, report.Week, week(-1), report.Exact, 5, 5), store.CodeNotCovered},
	} {
		if got := a.refusedFor(c.cell); got != c.want {
			t.Errorf("%s: refused for %q, want %q", c.name, got, c.want)
		}
	}
	// One cell that is not covered refuses the whole batch.
	if r := a.send(a.freeze(cell(requests, report.Hour, at-3600, report.Exact, 5, 5), cell(people, report.Week, week(1), report.Exact, 40, 40))); r.Code != store.CodeNotCovered {
		t.Errorf("one cell of two: %+v", r)
	}
}

func TestS29_S31_outsideCatalogAndTime(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	a := h.enrol("acme", "eu", store.Production)
	a.consent(exchange.Totals, time.Unix(1, 0))
	now := time.Now()
	for name, c := range map[string]struct {
		cell report.Cell
		want string
	}{
		"a measure beyond the list":  {cell(99, report.Hour, hour(1), report.Exact, 1, 1), store.CodeUnknownCell},
		"a field it does not have":   {report.Cell{Series: report.Series{Measure: people, Field: report.Good, Grain: report.Week}, Start: week(0), Form: report.Exact}, store.CodeUnknownCell},
		"a value it does not list":   {report.Cell{Series: report.Series{Measure: people, Field: report.Value, Grain: report.Week, Breakdown: 1, V1: 9}, Start: week(0), Form: report.Suppressed}, store.CodeUnknownCell},
		"half a user":                {cell(people, report.Week, week(0), report.Exact, 1.5, 1.5), store.CodeUnknownCell},
		"thirty years ago":           {cell(requests, report.Hour, now.AddDate(-30, 0, 0).Truncate(time.Hour).Unix(), report.Exact, 1, 1), store.CodeTooOld},
		"an hour that has not ended": {cell(requests, report.Hour, now.Add(48*time.Hour).Truncate(time.Hour).Unix(), report.Exact, 1, 1), ""},
	} {
		a.created = now
		if c.want == "" { // package batch refuses what ends after the batch was frozen; a lying clock gets further
			a.created, c.want = now.Add(72*time.Hour), store.CodeTooFuture
		}
		got := a.refusedFor(c.cell)
		if got != c.want && got != string(batch.ErrWindow) {
			t.Errorf("%s: refused for %q, want %q", name, got, c.want)
		}
	}
	if got := a.refusedFor(cell(requests, report.Hour, hour(5), report.Exact, 1, 1)); got != "" {
		t.Fatalf("what is right after all that: %q", got)
	}
	a.stored(a.seq)
	q := must[[]store.Quarantined](t)(h.c.Data().Store.Quarantine(t.Context(), store.TroubleQuery{Limit: 50}))
	if len(q) != 6 || len(must[[]byte](t)(h.c.Data().Store.QuarantineBytes(t.Context(), q[0].ID))) == 0 {
		t.Fatalf("%d in quarantine", len(q))
	}
	if n := len(a.figures(store.FigureQuery{})); n != 1 {
		t.Fatalf("%d figures", n)
	}
}

func TestConsentMustBeKnownAndNarrowingCounts(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	a, b := h.enrol("acme", "eu", store.Production), h.enrol("bolt", "eu", store.Production)
	c := cell(requests, report.Hour, hour(1), report.Exact, 5, 5)
	st := exchange.Statement{Version: exchange.Version, Agent: a.id, Number: 7, Catalog: h.cat.Hash, Categories: []exchange.Decision{{Category: "sla", Level: exchange.Totals, From: longAgo.Unix()}}}
	a.statement = must[exchange.SignedStatement](t)(exchange.SignStatement(st, a.key))
	if got := a.refusedFor(c); got != store.CodeUnknownStatement {
		t.Fatalf("a statement that no check-in brought: %q", got)
	}
	b.consent(exchange.Totals, longAgo)
	a.consent(exchange.Aggregate, longAgo)
	mine := a.statement
	a.statement = b.statement
	if got := a.refusedFor(c); got != store.CodeUnknownStatement {
		t.Fatalf("another account's statement: %q", got)
	}
	a.statement = mine
	a.h.cat.Hash[0]++
	got := a.refusedFor(c)
	a.h.cat.Hash[0]--
	if got != store.CodeUnknownCatalog {
		t.Fatalf("an unknown catalog: %q", got)
	}
	if got := a.refusedFor(c); got != "" {
		t.Fatalf("what is covered: %q", got)
	}
	// A batch frozen under the old decision arrives after the customer said no.
	a.consent(exchange.Local, longAgo)
	a.statement = mine
	if got := a.refusedFor(cell(requests, report.Hour, hour(2), report.Exact, 5, 5)); got != store.CodeNotCovered {
		t.Fatalf("after the decision was narrowed: %q", got)
	}
}

func TestSimulatedAgentsHaveTheirOwnClock(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	a := h.enrol("acme", "eu", store.Production)
	a.simulated = true
	st := exchange.Statement{Version: exchange.Version, Agent: a.id, Number: 1, Simulated: true}
	status, body := a.checkIn(must[exchange.SignedStatement](t)(exchange.SignStatement(st, a.key)), time.Now())
	wantCode(t, status, body, 422, store.CodeSimulated)
	a.simulated = false
	a.consent(exchange.Totals, longAgo)
	a.simulated = true
	if got := a.refusedFor(cell(requests, report.Hour, hour(1), report.Exact, 5, 5)); got != store.CodeSimulated {
		t.Fatalf("a simulated batch of a production site: %q", got)
	}
	lab := h.enrol("acme", "lab", store.Test)
	lab.simulated = true
	lab.consent(exchange.Totals, longAgo)
	virtual := time.Date(2040, 6, 1, 0, 0, 0, 0, time.UTC) // windows that the real clock would refuse
	lab.created = virtual
	if got := lab.refusedFor(cell(requests, report.Hour, virtual.Add(-time.Hour).Unix(), report.Exact, 5, 5)); got != "" {
		t.Fatalf("a test site's: %q", got)
	}
	lab.stored(1)
	db := h.c.Data().Store
	if c := must[time.Time](t)(db.Clock(t.Context())); !c.Equal(virtual) {
		t.Fatalf("the virtual clock stands at %s", c)
	}
	if i := must[store.Installation](t)(db.Installation(t.Context(), "acme", "lab")); !i.LastReport.Equal(virtual) || !i.Simulated {
		t.Fatalf("%+v", i)
	}
}

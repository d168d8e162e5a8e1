package pages

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Sums of what people did come per four weeks, exactly, in bands or withheld, and per week only from sites at totals: lists, the
// fleet's chart and segments go by the grain that most accounts told, and withheld weeks do not hide it.
func TestSumsAreListedAtTheGrainMostAccountsTold(t *testing.T) {
	s := newSite(t, nil)
	cat := addCatalog(t, s)
	m, _ := cat.Measure("changes")
	series := func(g report.Grain) *store.Series {
		return &store.Series{Measure: m.ID, Hash: m.HashString(), Kind: string(m.Kind), Subject: string(m.Subject), Category: m.Category, Field: report.Value, Grain: g}
	}
	block := report.CivilStart(report.Block4w, report.CivilDay(now(), time.UTC)) - 28
	week := report.CivilStart(report.Week, report.CivilDay(now(), time.UTC)) - 14
	for i, told := range []store.Cell{
		{Form: report.Exact, Lo: 4321, Hi: 4321}, {Form: report.Band, Lo: 500, Hi: 999}, {Form: report.Suppressed},
	} {
		tok := store.Token{ID: exchange.ID{5, byte(i)}, Key: append([]byte{5, byte(i)}, make([]byte, 30)...), Account: fmt.Sprint("sum", i), Installation: "main", Environment: store.Production, MaxUses: 1, Created: now(), Expires: now().Add(time.Hour)}
		if err := s.store.AddToken(t.Context(), tok); err != nil {
			t.Fatal(err)
		}
		a, err := s.store.Join(t.Context(), tok.ID, tok.Key, now())
		if err != nil {
			t.Fatal(err)
		}
		weekly := store.Cell{Series: series(report.Week), Start: week, Form: report.Suppressed}
		if i == 0 { // at totals
			weekly.Form, weekly.Lo, weekly.Hi = report.Exact, 1111, 1111
		}
		var cells []store.Cell
		for b := range int64(3) {
			told.Series, told.Start = series(report.Block4w), block-28*b
			cells = append(cells, told)
		}
		if _, err := s.store.Apply(t.Context(), []store.Batch{{Agent: a.ID, Epoch: exchange.ID{1}, Seq: 1, Zone: "UTC", Received: now(), Cells: append(cells, weekly)}}); err != nil {
			t.Fatal(err)
		}
	}
	c := s.user(t, "v", access.Viewer)
	for address, want := range map[string][]string{
		"/accounts?m=changes":      {"4,321", "500–999<em>band</em>", "withheld", "4,821–5,320", "4 weeks from"},
		"/accounts/sum1?m=changes": {"500–999", `class="band"`},
		"/accounts/sum2?m=changes": {"withheld", `class="supp"`},
		"/measures/changes":        {"4,821–5,320", "by blocks of 4 weeks"},
		"/api/v1/periods.csv?measure=changes&grain=4w&fleet=true": {",band,4821,5320,1,1,0,1,0,"},
		"/api/v1/periods.csv?measure=changes&account=sum0":        {",exact,1111,1111,"},
	} {
		_, body, _ := get(t, c, s.URL+address)
		for _, w := range want {
			if !strings.Contains(strings.ReplaceAll(body, `"`, ""), strings.ReplaceAll(w, `"`, "")) {
				t.Errorf("%s does not say %q", address, w)
			}
		}
	}
}

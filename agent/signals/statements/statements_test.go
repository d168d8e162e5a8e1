package statements

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/signals"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const file = `
catalog: changes
version: 1
vendor: Test
events:
  work: {match: "Work"}
measures:
  - {id: people, kind: active_users, events: [work], category: usage, question: q, purpose: p, owner: o, retention: 730d}
  - {id: moved, kind: change, of: people, category: usage, question: q, purpose: p, owner: o, retention: 730d}
  - {id: stage, kind: environment, of: people, category: inventory, question: q, purpose: p, owner: o, retention: 730d}
`

const monday = 19996 // 2024-09-30, which begins a block

func parsed(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if report.CivilStart(report.Block4w, monday) != monday {
		t.Fatal("no block begins there")
	}
	return c
}

func week(c *catalog.Catalog, w int64, form report.Form, lo, hi float64, left bool) Window {
	return Window{Catalog: c, Grain: report.Week, Start: monday + 7*w, Left: left, Cells: []report.Cell{
		{Series: report.Series{Field: report.Value, Grain: report.Week}, Start: monday + 7*w, Form: form, Lo: lo, Hi: hi}}}
}

func at(day int64) int64 { return time.Unix(day*86400, 0).UnixNano() }

func always(*catalog.Measure, report.Grain, int64) bool { return true }

// TestSubsetOnlyAnswersThatLeftAreInWhatLeaves: weeks that were judged at local go into what the site sees alone.
func TestSubsetOnlyAnswersThatLeftAreInWhatLeaves(t *testing.T) {
	c := parsed(t)
	m := New()
	for w := range int64(24) {
		m.Note(week(c, w, report.Exact, 100, 100, w >= 16))
	}
	site := Site{Zone: time.UTC, May: always}
	for _, d := range m.Say(c, at(monday+24*7+8), site) {
		if s := d.Statement; d.Measure == 1 && s.Known {
			t.Errorf("eight weeks left, and yet: %+v", s)
		}
	}
	m = New()
	for w := range int64(24) {
		m.Note(week(c, w, report.Exact, 100, 100, w >= 16))
	}
	site.May = func(m *catalog.Measure, g report.Grain, start int64) bool { return false }
	due := m.Say(c, at(monday+24*7+8), site)
	if n := slices.IndexFunc(due, func(d Due) bool { return d.Leaves }); n >= 0 {
		t.Errorf("leaves without consent: %+v", due[n])
	}
	if last := due[slices.IndexFunc(due, func(d Due) bool { return d.Measure == 2 })-1]; last.Measure != 1 || !last.Statement.Known || last.Statement.Direction != signals.Level {
		t.Errorf("the site itself knows: %+v", last)
	}
}

// TestEachBlockIsSaidOnce: a week after its end, not before, not again, and the same after a restart anywhere.
func TestEachBlockIsSaidOnce(t *testing.T) {
	c := parsed(t)
	site := Site{Zone: time.UTC, May: always}
	said := func(restart bool) (out []Due) {
		m := New()
		for w := range int64(40) {
			m.Note(week(c, w, report.Band, 90, 109, true))
			for d := range int64(7) {
				out = append(out, m.Say(c, at(monday+7*w+d), site)...)
				if restart {
					b, err := m.Save()
					if err != nil {
						t.Fatal(err)
					}
					m = New()
					if err := m.Load(b); err != nil {
						t.Fatal(err)
					}
					if again, _ := m.Save(); !bytes.Equal(b, again) {
						t.Fatal("saved, loaded and saved is another state")
					}
				}
			}
		}
		return out
	}
	all := said(false)
	seen := map[[2]int64]bool{}
	for _, d := range all {
		k := [2]int64{int64(d.Measure), d.Statement.Start}
		if seen[k] {
			t.Errorf("twice: %+v", d)
		}
		seen[k] = true
	}
	if len(all) != 2*9 { // ten blocks have begun to be told, the last one's grace is not over
		t.Errorf("%d statements", len(all))
	}
	other := said(true)
	if !slices.EqualFunc(all, other, func(a, b Due) bool {
		return a.Measure == b.Measure && a.Leaves == b.Leaves && a.Statement.Start == b.Statement.Start && a.Statement.Lo == b.Statement.Lo && slices.Equal(a.Statement.Evidence, b.Statement.Evidence)
	}) {
		t.Error("restarts change what is said")
	}
}

// TestABlockWaitsForItsLastWindow: at the very moment at which its last windows close they are not told yet.
func TestABlockWaitsForItsLastWindow(t *testing.T) {
	c := parsed(t)
	m := New()
	m.Note(week(c, 0, report.Exact, 5, 5, true))
	site := Site{Zone: time.UTC, May: always}
	end := at(monday + 28 + 7)
	if got := m.Say(c, end, site); len(got) > 0 {
		t.Errorf("too early: %+v", got)
	}
	if got := m.Say(c, end+1, site); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestCellsAreOnesTheCatalogHas(t *testing.T) {
	c := parsed(t)
	u := signals.Unknown
	for _, s := range []Statement{
		{Start: monday, Direction: u, Size: u, Value: u, Confidence: u, Evidence: []signals.Answer{u, u, u, u, u}},
		{Start: monday, Known: true, Lo: 10.5, Hi: 20, Direction: signals.Up, Size: signals.Large, Confidence: signals.High, Evidence: []signals.Answer{0, 1, u, 0, 1}},
		{Start: monday, Known: true, Lo: 10, Hi: math.MaxFloat64, Direction: signals.Down, Size: u, Confidence: signals.Low, Evidence: []signals.Answer{0, 1, u, 0, 1}},
	} {
		for _, cell := range s.Cells(c, 1, report.Block4w) {
			if _, err := c.Resolve(cell); err != nil {
				t.Errorf("%+v: %v", cell, err)
			}
		}
	}
	for _, cell := range (Statement{Start: monday, Value: signals.Production, Confidence: u, Evidence: []signals.Answer{0, 1, u, 0, 1, 1}}).Cells(c, 2, report.Block4w) {
		f, err := c.Resolve(cell)
		if err != nil || cell.Field == report.Value && cell.Breakdown == 0 && f.Text != "production" {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

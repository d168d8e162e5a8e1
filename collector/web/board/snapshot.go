package board

import (
	"time"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/sla"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/chart"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Row is an account as lists show it.
type Row struct {
	store.AccountRow
	Points   []accounts.Point // oldest first, the last is the newest closed window
	Now      accounts.Point
	Reading  accounts.Reading
	Levels   []sla.Level // last 4 weeks, one per objective
	Installs []store.Installation
	Clock    time.Time
}

// Worst is the objective that went worst, nil without any.
func (r *Row) Worst() *sla.Level {
	rank := map[sla.State]int{sla.Missed: 4, sla.Open: 3, sla.Kept: 2, sla.NoGoal: 1}
	var worst *sla.Level
	for i := range r.Levels {
		l := &r.Levels[i]
		if l.Kind == catalog.Availability && (worst == nil || rank[l.State()] > rank[worst.State()]) {
			worst = l
		}
	}
	return worst
}

// Consent of the account: what its installations let leave about usage.
func (r *Row) Consent() string {
	word := ""
	for _, i := range r.Installs {
		w := "–"
		if i.Statement != (exchange.Hash{}) {
			if w = string(i.Consent[catalog.Usage]); w == "" {
				w = "off"
			}
		}
		if word != "" && word != w {
			return "mixed"
		}
		word = w
	}
	return word
}

// Snapshot is the whole fleet at a moment, for one measure and environment.
type Snapshot struct {
	At       time.Time        // real time
	Clock    time.Time        // by which silence is judged: virtual with simulated sites
	Week     int64            // newest week of service levels
	Grain    report.Grain     // of the figures: weeks, or the blocks and 28 days that people's leave for
	Start    int64            // of the newest window
	Catalog  *catalog.Catalog // newest; nil when there is none
	Measure  *catalog.Measure // nil when the catalog has none for lists
	Overview store.Overview
	Rows     []Row
	Total    report.Tally     // of Start
	Line     []accounts.Point // of the fleet
	Tallies  []report.Tally   // of Line
	Installs []store.Installation
}

// Columns of the fleet's chart, each with what went into it.
func (s *Snapshot) Columns() []chart.Week {
	ws := words.Columns(s.Grain, s.Line)
	for i := range ws {
		figure := words.FigureText(s.Line[i])
		if s.Line[i].Told() {
			figure = words.Interval(s.Line[i].Interval)
		}
		ws[i].Read = words.Window(s.Grain, s.Line[i].Start) + ": " + figure + " " + words.Told(s.Tallies[i], "account")
	}
	return ws
}

// Window names the newest window.
func (s *Snapshot) Window() string { return words.Window(s.Grain, s.Start) }

// Span says how far back the small charts go.
func (s *Snapshot) Span() string {
	if s.Grain == store.Weekly {
		return "53 weeks"
	}
	return "2 years"
}

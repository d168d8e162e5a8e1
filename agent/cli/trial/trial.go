// Package trial lets the author of a catalog see what would come of it: it feeds recorded or made-up events to an
// agent of its own, with the real fold and the real gate, and looks at every figure as it is and as it would leave.
//
// Invariants: the agent is enrolled with nobody, so that nothing can be sent; its state is a new directory that is
// deleted when the trial ends, whatever happens. The same catalog and events give the same answer.
package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/settings"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Config of a trial.
type Config struct {
	Catalog *catalog.Catalog
	Zone    string         // default UTC
	Level   exchange.Level // that every category is set to; default aggregate
	People  int            // how many the customer names; 0: those known count
	Files   []string       // recorded events, of one site; none: made up, by Users
	Users   int            // how many people are made up
	Until   time.Time      // let time pass up to this date; zero: as far as the events go
}

// Figure is one that the gate ruled.
type Figure struct {
	agent.Watched
	Leaves bool
}

// weeks of a made-up site: two blocks of 12 weeks, and the days by which what is late may come.
const weeks, late = 24, 10

// run feeds a site and tells see of every figure.
func run(ctx context.Context, c Config, see func(Figure)) (res agent.ReplayResult, err error) {
	dir, err := os.MkdirTemp("", "fieldpost-trial-")
	if err != nil {
		return res, fmt.Errorf("making a directory for the trial: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	set, err := settings.Load(settings.Source{Getenv: func(string) string { return "" }, Flags: map[string]string{"state": dir, "zone": cmp.Or(c.Zone, "UTC")}})
	if err != nil {
		return res, err
	}
	ag, err := agent.Open(agent.Config{Settings: set, Version: "0.0.0", Simulated: true, Judge: true, CatalogFile: c.Catalog.Raw, Watch: func(fs []agent.Watched, leave bool) {
		for _, f := range fs {
			see(Figure{f, leave})
		}
	}})
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, ag.Close()) }()
	always := time.Unix(0, 0)
	o := agent.ReplayOptions{Files: c.Files, Until: c.Until, Consent: &control.Decision{Levels: levels(c), People: c.People, From: &always}}
	if len(c.Files) == 0 {
		o.Open = func() (string, io.ReadCloser, error) {
			return "made-up", newMade(c.Catalog, c.Users, weeks*7, 0.6), nil
		}
		o.Until = begin().AddDate(0, 0, weeks*7+late)
	}
	return ag.Replay(ctx, o)
}

// levels sets every category that the catalog names.
func levels(c Config) map[string]exchange.Level {
	out := map[string]exchange.Level{}
	for i := range c.Catalog.Measures {
		out[c.Catalog.Measures[i].Category] = cmp.Or(c.Level, exchange.Aggregate)
	}
	return out
}

// Share is in which forms the figures of a measure would leave.
type Share struct {
	People     int    `json:"people"`         // 0: of the given events
	Site       string `json:"site,omitempty"` // the given file
	Measure    string `json:"measure"`        // "": all
	Figures    int    `json:"figures"`
	Exact      int    `json:"exact"`
	Band       int    `json:"band"`
	Share      int    `json:"share"`
	Implied    int    `json:"implied"`
	Noised     int    `json:"noised"`
	Suppressed int    `json:"suppressed"`
}

// Usable is how many say something.
func (s Share) Usable() int { return s.Figures - s.Suppressed }

func (s *Share) add(f Figure) {
	s.Figures++
	switch {
	case f.Form == report.Exact:
		s.Exact++
	case f.Form == report.Band:
		s.Band++
	case f.Form == report.Share:
		s.Share++
	case f.Form == report.Implied:
		s.Implied++
	case f.Form == report.Noised:
		s.Noised++
	default:
		s.Suppressed++
	}
}

// counts reports whether a figure is one that might leave: a count of people in a window that leaves, and not one that
// stays because another says the same, because its role counts under another, or by its kind. Sums about people stay, and
// signals of change are made of what was told.
func counts(c *catalog.Catalog, f Figure) bool {
	m, _ := c.Measure(f.Measure)
	switch f.Reason {
	case "kind", "role_merged", "one_role", "cross":
		return false
	}
	if m == nil || m.Subject != catalog.Person || !f.Leaves {
		return false
	}
	switch m.Kind {
	case catalog.Count, catalog.Distribution, catalog.Transitions, catalog.Sufficient, catalog.SLO, catalog.Shift, catalog.Environment:
		return false
	}
	return f.Field != report.Purchased && f.Field != report.Assigned && f.Field != report.Workdays
}

// Shares is in which forms the figures of a site would leave: all first, then each measure in the order of the file.
func Shares(ctx context.Context, c Config) ([]Share, error) {
	by := map[string]*Share{}
	all := Share{People: c.Users}
	_, err := run(ctx, c, func(f Figure) {
		if !counts(c.Catalog, f) {
			return
		}
		if by[f.Measure] == nil {
			by[f.Measure] = &Share{People: c.Users, Measure: f.Measure}
		}
		by[f.Measure].add(f)
		all.add(f)
	})
	if err != nil {
		return nil, err
	}
	out := []Share{all}
	for i := range c.Catalog.Measures {
		if s := by[c.Catalog.Measures[i].ID]; s != nil {
			out = append(out, *s)
		}
	}
	return out, nil
}

// Newest feeds recorded events and returns of each measure the figures of the newest window that might leave, in the order
// of the file.
func Newest(ctx context.Context, c Config) ([]Figure, agent.ReplayResult, error) {
	type key struct {
		measure string
		grain   report.Grain
	}
	newest := map[key][]Figure{}
	res, err := run(ctx, c, func(f Figure) {
		m, _ := c.Catalog.Measure(f.Measure)
		if m == nil || f.Reason == "other_grain" || m.Subject != catalog.Person && f.Grain != m.Leaves && f.Grain != report.Change {
			return
		}
		if m.Kind == catalog.Fact {
			f.Exact = nil // it is a word, or a time
		}
		k := key{f.Measure, f.Grain}
		if old := newest[k]; len(old) > 0 && old[0].Start != f.Start {
			if f.Start < old[0].Start {
				return // a late window of before
			}
			newest[k] = nil
		}
		newest[k] = append(newest[k], f)
	})
	var out []Figure
	for i := range c.Catalog.Measures {
		for g := report.FiveMinutes; g <= report.Change; g++ {
			out = append(out, newest[key{c.Catalog.Measures[i].ID, g}]...)
		}
	}
	return out, res, err
}

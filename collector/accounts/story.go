package accounts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Event is something that happened to an account, for the margin of its charts.
type Event struct {
	At    time.Time
	Text  string
	Short string // for the chart; "" keeps it off
	Tone  string
}

// Decision is one consent statement in plain words.
type Decision struct {
	Number     int
	Decided    time.Time
	Catalog    string
	Paused     bool
	Levels     []exchange.Decision
	Difference string // to the one before
}

// Decisions reads statements (newest first) of an installation.
func Decisions(list []store.Statement) ([]Decision, error) {
	var out []Decision
	for _, s := range list {
		st, err := s.Signed.Parse()
		if err != nil {
			return nil, fmt.Errorf("reading statement %s: %w", s.Hash, err)
		}
		d := Decision{Number: st.Number, Decided: time.Unix(st.Decided, 0).UTC(), Paused: st.Paused, Levels: st.Categories}
		if st.CatalogVersion > 0 {
			d.Catalog = fmt.Sprintf("%s %d", st.CatalogName, st.CatalogVersion)
		}
		out = append(out, d)
	}
	for i := range out {
		if i+1 < len(out) {
			out[i].Difference = difference(out[i+1], out[i])
		} else {
			out[i].Difference = "first decision: " + levels(out[i])
		}
	}
	return out, nil
}

func levels(d Decision) string {
	var parts []string
	for _, c := range d.Levels {
		if c.Level != exchange.Off {
			parts = append(parts, c.Category+" "+string(c.Level))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func difference(a, b Decision) string {
	was := map[string]exchange.Level{}
	for _, c := range a.Levels {
		was[c.Category] = c.Level
	}
	var parts []string
	for _, c := range b.Levels {
		if w := was[c.Category]; w != c.Level {
			if w == "" {
				w = exchange.Off
			}
			parts = append(parts, fmt.Sprintf("%s %s → %s", c.Category, w, c.Level))
		}
		delete(was, c.Category)
	}
	for k, w := range was {
		if w != exchange.Off {
			parts = append(parts, fmt.Sprintf("%s %s → off", k, w))
		}
	}
	slices.Sort(parts)
	if a.Paused != b.Paused {
		if b.Paused {
			parts = append(parts, "paused")
		} else {
			parts = append(parts, "resumed")
		}
	}
	if a.Catalog != b.Catalog && b.Catalog != "" {
		parts = append(parts, "catalog "+b.Catalog)
	}
	if len(parts) == 0 {
		return "confirmed"
	}
	return strings.Join(parts, ", ")
}

// Events tells what the figures and the installations show, newest first: first report,
// stretches without a report, the highest week, changed definitions, consent. Only what is
// certain from the intervals is told.
func Events(points []Point, installs []store.Installation, decisions map[string][]Decision) []Event {
	var out []Event
	for _, i := range installs {
		name := ""
		if len(installs) > 1 {
			name = i.Key + ": "
		}
		if !i.FirstReport.IsZero() {
			out = append(out, Event{At: i.FirstReport, Text: name + "first report", Short: "first report", Tone: "good"})
		}
		for _, d := range decisions[i.Key] {
			e := Event{At: d.Decided, Text: name + "consent: " + d.Difference}
			if d.Number > 1 {
				e.Short = "consent"
			}
			out = append(out, e)
		}
	}
	out = append(out, gaps(points)...)
	if e, ok := highest(points); ok {
		out = append(out, e)
	}
	last := ""
	for _, p := range points {
		if p.Hash != "" && last != "" && p.Hash != last {
			out = append(out, Event{At: day(p.Start), Text: "definition changed: figures before and after are different series", Short: "definition"})
		}
		if p.Hash != "" {
			last = p.Hash
		}
	}
	slices.SortStableFunc(out, func(a, b Event) int { return b.At.Compare(a.At) })
	return out
}

// gaps of at least two weeks between weeks that were told.
func gaps(points []Point) []Event {
	var out []Event
	started, from := false, -1
	for i, p := range points {
		switch {
		case p.Form == report.Unknown && started && from < 0:
			from = i
		case p.Form != report.Unknown:
			if started && from >= 0 && i-from >= 2 {
				out = append(out, Event{At: day(points[i].Start), Text: fmt.Sprintf("%d weeks without a figure, from %s", i-from, day(points[from].Start).Format("2 Jan 2006")), Tone: "unknown"})
			}
			started, from = true, -1
		}
	}
	return out
}

// highest is the week that is certainly above all others.
func highest(points []Point) (Event, bool) {
	best, told := -1, 0
	for i, p := range points {
		if !p.Told() {
			continue
		}
		told++
		if best < 0 || p.Lo > points[best].Lo {
			best = i
		}
	}
	if told < 8 {
		return Event{}, false
	}
	for i, p := range points {
		if i != best && p.Told() && p.Hi >= points[best].Lo {
			return Event{}, false
		}
	}
	return Event{At: day(points[best].Start), Text: "highest week: " + short(points[best].Interval), Short: "highest"}, true
}

func day(civil int64) time.Time { return time.Unix(civil*86400, 0).UTC() }

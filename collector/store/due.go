package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// leadTime is how long after a window has closed it may be under way before it counts as
// missing: an agent sends at least hourly when it can.
const leadTime = 2 * time.Hour

// Due says, for a measure that consent covers, which windows are due and how many of them have
// arrived: windows of every grain that arrived before, counted from the later of the
// consent's date and the first window that arrived; of a person's count of active users also
// its blocks when none has arrived yet, counted from the consent (which of several such counts
// is told by week as well, only the site knows). latest are the newest cells of
// the installation; cat is the catalog its statement accepted.
func Due(cat *catalog.Catalog, m *catalog.Measure, st *exchange.Statement, latest []LatestRow, now time.Time, zone *time.Location) []Backlog {
	d := st.Effective(m, cat)
	if !d.Level.Leaves() {
		return nil
	}
	// One field speaks for the measure: they travel together.
	byGrain := map[report.Grain]LatestRow{}
	for _, l := range latest {
		f := l.Figure
		if f.Measure != m.ID || f.Hash != m.HashString() || len(f.Dims) > 0 || f.Grain == report.Change {
			continue
		}
		if o, ok := byGrain[f.Grain]; !ok || l.Windows > o.Windows {
			byGrain[f.Grain] = l
		}
	}
	if m.Subject == catalog.Person && m.Kind == catalog.ActiveUsers {
		if g := m.LeavesAt(); byGrain[g].Windows == 0 {
			byGrain[g] = LatestRow{}
		}
	}
	closes := grace(cat, m)
	var out []Backlog
	for g, l := range byGrain {
		b := Backlog{Measure: m.ID, Grain: g, Arrived: l.Windows}
		first := report.WindowStart(g, time.Unix(d.From, 0), zone)
		if begin, _ := report.WindowTimes(g, first, zone); begin.Unix() < d.From {
			first = next(g, first)
		}
		if l.Windows > 0 {
			first = max(first, l.First)
			_, b.Since = report.WindowTimes(g, l.Figure.Start, zone)
		}
		b.Due = windows(g, first, now.Add(-closes-leadTime), zone)
		b.Missing = max(0, b.Due-b.Arrived)
		if b.Due > 0 {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b Backlog) int { return cmp.Compare(a.Grain, b.Grain) })
	return out
}

// grace is how long after its end a window of the measure closes (MEASURES, "Grace").
func grace(cat *catalog.Catalog, m *catalog.Measure) time.Duration {
	if m.Subject != catalog.Person {
		return time.Minute
	}
	var most time.Duration
	for _, id := range m.Events {
		if e, _ := cat.Event(id); e != nil {
			most = max(most, e.Grace)
		}
	}
	return most
}

func next(g report.Grain, start int64) int64 {
	switch g {
	case report.FiveMinutes:
		return start + 300
	case report.Hour:
		return start + 3600
	}
	_, last := report.CivilDays(g, start)
	return last + 1
}

// windows counts those from first that have ended by t.
func windows(g report.Grain, first int64, t time.Time, zone *time.Location) int64 {
	running := report.WindowStart(g, t, zone) // has not ended
	if running <= first {
		return 0
	}
	switch g {
	case report.FiveMinutes:
		return (running - first) / 300
	case report.Hour:
		return (running - first) / 3600
	case report.Week:
		return (running - first) / 7
	case report.Block4w:
		return (running - first) / 28
	case report.Block12w:
		return (running - first) / 84
	case report.Rolling28: // they leave for a block's last day only
		end := report.CivilStart(report.Block4w, first) + 27
		return max(0, (running-1-end+28)/28)
	case report.Month:
		a, b := time.Unix(first*86400, 0).UTC(), time.Unix(running*86400, 0).UTC()
		return int64((b.Year()-a.Year())*12 + int(b.Month()) - int(a.Month()))
	}
	return running - first
}

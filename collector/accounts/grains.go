package accounts

import (
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Grains are those in which a measure's totals may have come, the best for lists first:
// weeks, where a site tells them, else the grain at which figures about people leave.
func Grains(m *catalog.Measure) []report.Grain {
	if m == nil || m.Subject != catalog.Person && m.Kind != catalog.Seats {
		return []report.Grain{report.Week}
	}
	switch g := m.LeavesAt(); g {
	case report.Rolling28, report.Block12w:
		return []report.Grain{g}
	case report.Block4w:
		if m.Kind == catalog.ActiveUsers || m.Kind == catalog.Count || m.Kind == catalog.Distribution || m.Kind == catalog.Histogram {
			return []report.Grain{report.Week, g}
		}
		return []report.Grain{g, report.Week}
	}
	return []report.Grain{report.Week}
}

// Step is how many days lie between the starts of a grain's windows that leave; 28 days leave
// for a block's last day.
func Step(g report.Grain) int64 {
	switch g {
	case report.Rolling28, report.Block4w:
		return 28
	case report.Block12w:
		return 84
	}
	return 7
}

// History is how many windows a list shows: a year of weeks, two of blocks.
func History(g report.Grain) int64 {
	switch Step(g) {
	case 28:
		return 27
	case 84:
		return 9
	}
	return 53
}

// NewestClosed is the start (of 28 days: the last day) of the newest window of a grain that has
// closed everywhere by the clock.
func NewestClosed(g report.Grain, clock time.Time, grace time.Duration) int64 {
	day := report.CivilDay(clock.Add(-grace-12*time.Hour), time.UTC)
	switch g {
	case report.Block4w:
		return report.CivilStart(g, day) - 28
	case report.Rolling28:
		return report.CivilStart(report.Block4w, day) - 1
	case report.Block12w:
		return report.CivilStart(g, day) - 84
	}
	return ClosedWeek(clock, grace)
}

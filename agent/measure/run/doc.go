// Package run is one measure being measured: what it keeps of events and samples while its
// windows are open, and how a window's cells are made of it.
//
// Invariants: a figure depends on what happened and on who is who when the window closes, never on
// the order of arrival; cells are sorted by Series.Compare; Save gives the same bytes for the same
// state. It decides neither when a window closes nor what is late: package measure does.
package run

import (
	"math"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/series"
)

// NoDay is Started before the first event.
const NoDay = math.MinInt64

// World is what all runs of a site share.
type World struct {
	Cal     *calendar.Calendar
	People  *people.Table
	Bins    *series.Bins
	Started int64 // civil day of the first event, or NoDay
	Now     int64 // unix ns: how far the fold has advanced
	Began   int64 // unix ns: the first event was received
	// Workdays by time.Weekday.
	Workdays [7]bool
}

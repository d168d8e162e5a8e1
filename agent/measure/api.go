package measure

import (
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/answer"
	"github.com/fieldpost/fieldpost/agent/measure/outcome"
	"github.com/fieldpost/fieldpost/agent/measure/pack"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/sums"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// DefaultRemember is how long a user without activity is remembered.
const DefaultRemember = 190 * 24 * time.Hour

// Config of a Fold. The zero value measures nothing: it knows no catalog.
type Config struct {
	// Zone in which days are counted until a record.Zone says otherwise. Default UTC.
	Zone *time.Location
	// Remember: a user without activity for longer is forgotten. 0: 190 days; negative: never.
	Remember time.Duration
	// Catalog finds a catalog by the first bytes of its hash; nil when unknown. Every
	// catalog that was ever adopted must stay findable: old windows are read through it.
	Catalog func(prefix [8]byte) *catalog.Catalog
	// Closed is told of every window in the order of closing time, then measure, then
	// grain. It is called during Apply and Advance and must not call the Fold. The
	// Window belongs to the callee. May be nil.
	Closed func(*Window)
	// SimpleLocal: the unenrolled replay. run.Everything() is measured without a statement, and
	// the first catalog that Catalog("first record's prefix") finds is in force at once.
	SimpleLocal bool
	// Workdays are the days on which the site works, by time.Weekday; none: Monday to Friday.
	Workdays [7]bool
	// Facts of the program itself: agent.version, agent.os, agent.arch.
	Facts map[string]string
	// Past gives back closed windows that were dropped with DropClosed. May be nil.
	Past Past
}

// Past is where closed windows live that the Fold no longer holds.
type Past interface {
	// Each calls fn for every closed window of the measure id and grain, in any order; an
	// error of fn ends it and is returned.
	Each(measure string, g report.Grain, fn func(Stored) error) error
	// Oldest is the moment, in unix ns, before which windows of the grain may have been dropped;
	// math.MinInt64 when none are. Queries do not reach behind it.
	Oldest(g report.Grain) int64
}

// Window is a closed window of one measure.
type Window struct {
	Catalog *catalog.Catalog // the one the measure's definition stands in
	Measure int              // index into Catalog.Measures
	Grain   report.Grain
	Start   int64 // as in report.Cell
	// Offset of the figure of a cohort, in weeks; 0 the cohort's size. Each comes in a window of
	// its own, with the cohort's Start. Other kinds: 0.
	Offset int
	Closed int64 // unix ns: the moment it was due to close
	// Cells are exact: totals always (zero where nothing happened), breakdown values only
	// where they are not zero. Sorted by Series.Compare.
	Cells []report.Cell
	Sum   *sums.Sum // of a count about people per block of four weeks
}

// What a query asks and is answered with; package answer says what each value means.
type (
	Query             = answer.Query
	Line              = answer.Line
	LifecycleValue    = answer.LifecycleValue
	DistributionValue = answer.DistributionValue
	GaugeValue        = answer.GaugeValue
	CounterValue      = answer.CounterValue
	HistogramValue    = answer.HistogramValue
	FactValue         = answer.FactValue
	AvailabilityValue = answer.AvailabilityValue
	SLOValue          = answer.SLOValue
	StickinessValue   = answer.StickinessValue
	RetentionValue    = answer.RetentionValue
	AdoptionValue     = answer.AdoptionValue
	FirstTimeValue    = answer.FirstTimeValue
	SeatsValue        = answer.SeatsValue
	FunnelValue       = answer.FunnelValue
	SufficientValue   = answer.SufficientValue
)

// Burn rates; see package series.
type (
	Burn     = series.Burn
	BurnPair = series.BurnPair
)

// Errors of Query; match them with errors.Is.
var (
	ErrMeasure   = answer.ErrMeasure
	ErrGrain     = answer.ErrGrain
	ErrBreakdown = answer.ErrBreakdown
	ErrRange     = answer.ErrRange
)

// Stored is a closed window as history keeps it, and Pack many of one measure and grain.
type (
	Stored = pack.Window
	Pack   = pack.Pack
	// Accounting says what became of everything that was received.
	Accounting = outcome.Accounting
)

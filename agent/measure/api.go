package measure

import (
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/pack"
	"github.com/fieldpost/fieldpost/agent/record"
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
}

// Stored is a closed window as history keeps it, and Pack many of one measure and grain.
type (
	Stored = pack.Window
	Pack   = pack.Pack
)

// Query asks for one measure's windows.
type Query struct {
	Measure  string
	Grain    report.Grain
	By       []string // names of one breakdown, in any order; empty: totals
	From, To string   // inclusive, in the form of Line.Start (or a date); "" open
}

// Line is one line of the answer; it marshals as MEASURES prints it.
type Line struct {
	Measure string            `json:"measure"`
	Grain   string            `json:"grain"`
	Start   string            `json:"start"`
	Dims    map[string]string `json:"dims"`
	Value   any               `json:"value"` // int64 or one of the values below
	Closed  bool              `json:"closed"`
}

// LifecycleValue is the value of a lifecycle line.
type LifecycleValue struct {
	New         int64 `json:"new"`
	Retained    int64 `json:"retained"`
	Resurrected int64 `json:"resurrected"`
	Dormant     int64 `json:"dormant"`
}

// DistributionValue is the value of a distribution line. Without values it has only count and sum.
type DistributionValue struct {
	Count int64    `json:"count"`
	Sum   float64  `json:"sum"`
	P50   *float64 `json:"p50,omitempty"`
	P90   *float64 `json:"p90,omitempty"`
	P95   *float64 `json:"p95,omitempty"`
	P99   *float64 `json:"p99,omitempty"`
}

// GaugeValue is the value of a gauge line.
type GaugeValue struct {
	Last float64 `json:"last"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// CounterValue is the value of a counter line.
type CounterValue struct {
	Increase float64 `json:"increase"`
}

// HistogramValue is the value of a histogram line; Buckets has one more than the catalog's bounds.
type HistogramValue struct {
	Count   int64   `json:"count"`
	Sum     float64 `json:"sum"`
	Buckets []int64 `json:"buckets"`
}

// FactValue is the value of a fact line. Since is RFC 3339 in UTC.
type FactValue struct {
	Value string `json:"value"`
	Since string `json:"since"`
}

// AvailabilityValue is the value of an availability line, in seconds. Availability is absent
// when the check was neither up nor down.
type AvailabilityValue struct {
	Up           int64    `json:"up"`
	Down         int64    `json:"down"`
	Maintenance  int64    `json:"maintenance"`
	Unknown      int64    `json:"unknown"`
	Incidents    int64    `json:"incidents"`
	Availability *float64 `json:"availability,omitempty"`
	Coverage     float64  `json:"coverage"`
}

// SLOValue is the value of an slo line. Ratio is absent when nothing was valid.
type SLOValue struct {
	Good  int64    `json:"good"`
	Valid int64    `json:"valid"`
	Ratio *float64 `json:"ratio,omitempty"`
}

// Accounting says what became of run.Everything() that was received. Events.Total() is the number
// received, always.
type Accounting struct {
	Events    record.Counts
	Samples   record.Counts
	Skewed    uint64
	ClockBack uint64
	// LateFor counts, per measure id, events and samples that found a window of that measure
	// closed; they are Measured in Events.
	LateFor map[string]uint64
	// AliasRefused counts aliases that would have closed a circle, AliasIgnored those of an
	// unknown previous id; both are Measured in Events.
	AliasRefused, AliasIgnored uint64
	// StreamsRefused counts samples of streams beyond the limit; they are OverValue in Samples.
	StreamsRefused uint64
	// UsersRefused counts events and identifies of users for whom there was no more room
	// (people.Limit); their events count under no user.
	UsersRefused uint64
	// MatchesRefused counts steps of funnels and transitions that were too many for one user
	// (path.Most), of the measures that are on; they are Measured in Events.
	MatchesRefused uint64
	Since          int64 // unix ns of the first record; 0 when there was none
}

// BurnPair is one pair of windows of a burn rate alert.
type BurnPair struct {
	Short, Long           time.Duration
	ShortRate, LongRate   float64 // 1: the budget is used up exactly at the end of the slo's window
	ShortValid, LongValid int64
	Known                 bool // both have at least min_valid valid events
}

// Burn is how fast an slo's budget burns now: rates over 5m/1h, 30m/6h and 6h/3d (Google,
// The Site Reliability Workbook, chapter 5).
type Burn struct {
	Measure  string
	Target   float64
	MinValid int64
	Pairs    [3]BurnPair
}

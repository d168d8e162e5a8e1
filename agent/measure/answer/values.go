package answer

import (
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

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

// RetentionValue is the value of a retention line: who began in the cohort's window, and how many of them
// were active then (all) and in each week since that has closed.
type RetentionValue struct {
	Size   int64   `json:"size"`
	Active []int64 `json:"active"`
}

// StickinessValue is the value of a stickiness line: how many were active, the sum of every day's active
// users, what the mean day is of the whole (absent when nobody was active), the same for working
// days, and on how many days how many were.
type StickinessValue struct {
	Active       int64    `json:"active"`
	Daily        int64    `json:"daily"`
	Ratio        *float64 `json:"ratio,omitempty"`
	WorkingRatio *float64 `json:"working_ratio,omitempty"`
	L28          L28      `json:"l28"`
}

// L28 is on how many of the 28 days how many users were active.
type L28 struct {
	Day       int64 `json:"1"`
	Days2To3  int64 `json:"2-3"`
	Days4To7  int64 `json:"4-7"`
	Days8To12 int64 `json:"8-12"`
	To20      int64 `json:"13-20"`
	To28      int64 `json:"21-28"`
}

// AdoptionValue is the value of an adoption line.
type AdoptionValue struct {
	Eligible int64                   `json:"eligible"`
	Features map[string]FeatureValue `json:"features"`
}

// FeatureValue is how far users came with a feature.
type FeatureValue struct {
	Tried    int64 `json:"tried"`
	Adopted  int64 `json:"adopted"`
	Habitual int64 `json:"habitual"`
}

// FirstTimeValue is the value of a first_time line: a band.
type FirstTimeValue struct {
	Value string `json:"value"`
}

// SeatsValue is the value of a seats line. What the grain has not, and what was never received, is absent.
type SeatsValue struct {
	Active    *int64   `json:"active,omitempty"`
	Purchased *float64 `json:"purchased,omitempty"`
	Assigned  *float64 `json:"assigned,omitempty"`
	Peak      int64    `json:"peak"`
	AtCap     *int64   `json:"at_cap,omitempty"`
}

// wholeValue is the value of a line that all cells of a window make together; false for other kinds.
func wholeValue(m *catalog.Measure, g report.Grain, cells []report.Cell) (any, bool) {
	v := map[report.Field]float64{}
	for _, c := range cells {
		if c.Breakdown == 0 {
			v[c.Field] = c.Lo
		}
	}
	switch m.Kind {
	case catalog.Stickiness:
		return stickinessValue(v, cells), true
	case catalog.Adoption:
		a := AdoptionValue{Eligible: int64(v[report.Value]), Features: map[string]FeatureValue{}}
		for i, f := range m.Features {
			var x FeatureValue
			for _, c := range cells {
				if c.Breakdown == 1 && int(c.V1) == i {
					switch c.Field {
					case report.Tried:
						x.Tried = int64(c.Lo)
					case report.Adopted:
						x.Adopted = int64(c.Lo)
					case report.Habitual:
						x.Habitual = int64(c.Lo)
					}
				}
			}
			a.Features[f.ID] = x
		}
		return a, true
	case catalog.Seats:
		return seatsValue(v, g), true
	}
	return nil, false
}

func stickinessValue(v map[report.Field]float64, cells []report.Cell) StickinessValue {
	s := StickinessValue{Active: int64(v[report.Value]), Daily: int64(v[report.Daily])}
	bins := [...]*int64{&s.L28.Day, &s.L28.Days2To3, &s.L28.Days4To7, &s.L28.Days8To12, &s.L28.To20, &s.L28.To28}
	for _, c := range cells {
		if c.Breakdown == 1 && int(c.V1) < len(bins) {
			*bins[c.V1] = int64(c.Lo)
		}
	}
	if s.Active > 0 {
		ratio := v[report.Daily] / 28 / v[report.Value]
		s.Ratio = &ratio
		if days := v[report.Workdays]; days > 0 {
			ratio := v[report.Working] / days / v[report.Value]
			s.WorkingRatio = &ratio
		}
	}
	return s
}

func seatsValue(v map[report.Field]float64, g report.Grain) SeatsValue {
	s := SeatsValue{Peak: int64(v[report.Peak])}
	whole := func(f report.Field) *int64 {
		n, ok := v[f]
		if !ok {
			return nil
		}
		i := int64(n)
		return &i
	}
	if s.Active = whole(report.Value); s.Active == nil && g == report.Rolling28 {
		s.Active = new(int64) // a line between two others that has nothing of its own
	}
	s.AtCap = whole(report.AtCap)
	for f, to := range map[report.Field]**float64{report.Purchased: &s.Purchased, report.Assigned: &s.Assigned} {
		if n, ok := v[f]; ok {
			*to = &n
		}
	}
	return s
}

// Zero is the value of a line on which nothing happened.
func Zero(m *catalog.Measure, g report.Grain) any {
	switch m.Kind {
	case catalog.Lifecycle:
		return LifecycleValue{}
	case catalog.Funnel:
		return *newFunnelValue(m)
	}
	if v, ok := wholeValue(m, g, nil); ok {
		return v
	}
	return int64(0)
}

// valueOf is the value of a line.
func valueOf(m *catalog.Measure, cells []report.Cell) any {
	v := map[report.Field]float64{}
	blob := map[report.Field][]byte{}
	for _, c := range cells {
		v[c.Field], blob[c.Field] = c.Lo, c.Blob
	}
	n := func(f report.Field) int64 { return int64(v[f]) }
	switch m.Kind {
	case catalog.Lifecycle:
		return LifecycleValue{n(report.New), n(report.Retained), n(report.Resurrected), n(report.Dormant)}
	case catalog.Distribution:
		d := DistributionValue{Count: n(report.Count), Sum: v[report.Sum]}
		if q := series.Quantiles(blob[report.Sketch], 0.5, 0.9, 0.95, 0.99); q != nil {
			d.P50, d.P90, d.P95, d.P99 = &q[0], &q[1], &q[2], &q[3]
		}
		return d
	case catalog.Gauge:
		return GaugeValue{v[report.Last], v[report.Min], v[report.Max], v[report.Mean]}
	case catalog.Counter:
		return CounterValue{v[report.Increase]}
	case catalog.Histogram:
		return HistogramValue{n(report.Count), v[report.Sum], series.DecodeBuckets(blob[report.Buckets])}
	case catalog.FirstTime:
		return FirstTimeValue{m.Listed(report.Value, 0)[n(report.Value)]}
	case catalog.Fact:
		p := catalog.Property{Values: run.FactValues(m)}
		return FactValue{p.ValueName(uint16(n(report.Value))), time.Unix(n(report.Since), 0).UTC().Format(time.RFC3339)}
	case catalog.Availability:
		a := AvailabilityValue{Up: n(report.Up), Down: n(report.Down), Maintenance: n(report.Maintenance), Unknown: n(report.Unseen), Incidents: n(report.Incidents)}
		seen := a.Up + a.Down
		if seen > 0 {
			share := float64(a.Up) / float64(seen)
			a.Availability = &share
		}
		if all := seen + a.Maintenance + a.Unknown; all > 0 {
			a.Coverage = float64(seen) / float64(all)
		}
		return a
	case catalog.SLO:
		s := SLOValue{Good: n(report.Good), Valid: n(report.Valid)}
		if s.Valid > 0 {
			ratio := float64(s.Good) / float64(s.Valid)
			s.Ratio = &ratio
		}
		return s
	case catalog.Sufficient:
		return sufficientValue(m, v)
	}
	return n(report.Value)
}

package measure

import (
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

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

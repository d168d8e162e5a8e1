package catalog

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// Retained offsets of a cohort, in whole weeks since the first activity. Offset 0 is the cohort itself.
const LastOffset = 26

// Words of dimensions that belong to a kind. They are wire format: their order never changes.
var (
	dayBins    = []string{"1", "2-3", "4-7", "8-12", "13-20", "21-28"}
	timeBands  = []string{"1h", "24h", "3d", "7d", "30d", "never"}
	firstBands = []string{"1h", "24h", "3d", "7d", "30d", "90d", "later"}
	directions = []string{"down", "level", "up"}
	sizes      = []string{"none", "small", "medium", "large"} // below 10 %, 25 %, 50 % of the level before, and above
	trust      = []string{"low", "medium", "high"}
	answers    = []string{"no", "yes", "unknown"}
	stages     = []string{"trial", "pilot", "production"}
	moved      = []string{"bulk_provisioning", "new_group", "invited", "burst", "flows_cancel"}
	observed   = []string{"working_week", "many_people", "steady", "roles_present", "lasting", "real_load"}
)

// TimeBands are the bands of a funnel's time to its last step: at most 1 h, 24 h, 3 d, 7 d, 30 d, and never.
func TimeBands() []string { return slices.Clone(timeBands) }

// DayBins are the bins of L28: on how many of the 28 days a user was active.
func DayBins() []string { return slices.Clone(dayBins) }

// Fields are the figures that one window of the measure has as its total, in order.
func (m *Measure) Fields() []report.Field {
	switch m.Kind {
	case Count, ActiveUsers, Retention, Funnel, Adoption, FirstTime, Transitions:
		return []report.Field{report.Value}
	case Lifecycle:
		return []report.Field{report.New, report.Retained, report.Resurrected, report.Dormant}
	case Distribution:
		return []report.Field{report.Count, report.Sum, report.Sketch}
	case Histogram:
		return []report.Field{report.Count, report.Sum, report.Buckets}
	case Gauge:
		return []report.Field{report.Last, report.Min, report.Max, report.Mean}
	case Counter:
		return []report.Field{report.Increase}
	case Fact:
		return []report.Field{report.Value, report.Since}
	case Availability:
		return []report.Field{report.Up, report.Down, report.Maintenance, report.Unseen, report.Incidents}
	case SLO:
		return []report.Field{report.Good, report.Valid}
	case Stickiness:
		return []report.Field{report.Value, report.Daily, report.Working, report.Workdays}
	case Seats:
		return []report.Field{report.Value, report.Purchased, report.Assigned, report.Peak, report.AtCap}
	case Sufficient:
		return []report.Field{report.Count, report.SumX, report.SumXX, report.SumY, report.SumYY, report.SumXY}
	case Shift:
		return []report.Field{report.Level, report.Direction, report.Size, report.Confidence}
	case Environment:
		return []report.Field{report.Value, report.Confidence}
	}
	return nil
}

// FieldsOf are the figures of breakdown b; 0 is the total.
func (m *Measure) FieldsOf(b int) []report.Field {
	switch {
	case b == 0 || len(m.own()) == 0:
		return m.Fields()
	case m.Kind == Adoption:
		return []report.Field{report.Tried, report.Adopted, report.Habitual}
	case m.Kind == Sufficient:
		return m.Fields()
	}
	return []report.Field{report.Value}
}

// own are the dimensions that belong to the measure's kind, one list for each breakdown.
// A nil entry stands for a dimension of the catalog (a funnel's split, an experiment's arm).
func (m *Measure) own() [][]*Property {
	fixed := func(name string, values []string) *Property {
		return &Property{Name: name, Values: values, Fixed: true}
	}
	switch m.Kind {
	case Stickiness:
		return [][]*Property{{fixed("days", dayBins)}}
	case Retention:
		var weeks []string
		for w := 1; w <= LastOffset; w++ {
			weeks = append(weeks, strconv.Itoa(w))
		}
		return [][]*Property{{fixed("offset", weeks)}}
	case Funnel:
		step, band := fixed("step", stepIDs(m.Steps)), fixed("band", timeBands)
		out := [][]*Property{{step}, {band}}
		if m.Split != "" {
			out = append(out, []*Property{nil, step}, []*Property{nil, band})
		}
		return out
	case Adoption:
		var ids []string
		for _, f := range m.Features {
			ids = append(ids, f.ID)
		}
		return [][]*Property{{fixed("feature", ids)}}
	case Transitions:
		ids := stepIDs(m.Steps)
		return [][]*Property{{fixed("from", ids), fixed("to", ids)}}
	case Sufficient:
		return [][]*Property{{nil}}
	case Shift:
		return [][]*Property{{fixed("evidence", moved)}}
	case Environment:
		return [][]*Property{{fixed("evidence", observed)}}
	}
	return nil
}

func stepIDs(steps []Step) (ids []string) {
	for _, s := range steps {
		ids = append(ids, s.ID)
	}
	return ids
}

// Listed are the texts that a field's numbers stand for (a position in the list), in breakdown b; nil
// where numbers are numbers. Facts also have (other) and (none) after theirs.
func (m *Measure) Listed(f report.Field, b int) []string {
	switch {
	case m.Kind == Fact && f == report.Value:
		return m.Values
	case m.Kind == FirstTime && f == report.Value:
		return firstBands
	case (m.Kind == Shift || m.Kind == Environment) && b > 0:
		return answers
	case m.Kind == Environment && f == report.Value:
		return stages
	case f == report.Direction:
		return directions
	case f == report.Size:
		return sizes
	case f == report.Confidence:
		return trust
	}
	return nil
}

// Most is how often one person counts in a block of four weeks at most, in a sum that leaves.
func (m *Measure) Most() int64 { return cmp.Or(m.Cap, mostCap) }

// Grains are the windows kept at the site for the measure: all grains of its subject
// (MEASURES, "Grains"), and for kinds with a length of their own only theirs.
func (m *Measure) Grains() []report.Grain {
	switch m.Kind {
	case Fact, FirstTime:
		return []report.Grain{report.Day, report.Change}
	case Lifecycle:
		return []report.Grain{report.Week, report.Month, report.Block4w}
	case Stickiness, Adoption:
		return []report.Grain{report.Rolling28}
	case Seats:
		return []report.Grain{report.Day, report.Rolling28}
	case Retention:
		return []report.Grain{report.Week, report.Block12w}
	case Funnel, Shift:
		return []report.Grain{report.Week, report.Block4w}
	case Environment:
		return []report.Grain{report.Block4w}
	}
	if m.Subject != Person {
		return []report.Grain{report.FiveMinutes, report.Hour, report.Day}
	}
	return []report.Grain{report.Day, report.Week, report.Month, report.Rolling28, report.Block4w, report.Block12w}
}

// LeavesAt is the grain at which figures about people leave (PRIVACY, "Windows that leave"):
// rolling28, for a block's last day, of kinds that have no other; blocks of 12 weeks for cohorts.
func (m *Measure) LeavesAt() report.Grain {
	switch m.Kind {
	case Stickiness, Adoption, Seats:
		return report.Rolling28
	case Retention:
		return report.Block12w
	case FirstTime:
		return report.Change // once
	case Fact:
		return report.Day
	}
	return report.Block4w
}

package store

import (
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// RollsUp reports whether windows of the series add up: counts and seconds do, distinct
// users do only across people's weeks (which are not cut finer here), gauges never.
func (s *Series) RollsUp() bool {
	switch s.Field {
	case report.Value:
		if s.Kind == string(catalog.ActiveUsers) {
			return s.Grain == report.Week || s.Grain == report.Month
		}
		if s.Kind != string(catalog.Count) {
			return false
		}
	case report.New, report.Retained, report.Resurrected, report.Dormant:
		return s.Grain == report.Week || s.Grain == report.Month
	case report.Count, report.Sum, report.Increase, report.Up, report.Down, report.Maintenance,
		report.Unseen, report.Incidents, report.Good, report.Valid:
	default:
		return false
	}
	switch s.Grain {
	case report.FiveMinutes, report.Hour, report.Day, report.Week, report.Month:
		return true
	}
	return false
}

// JoinEnvironments makes one period of those that differ in their environment alone.
func JoinEnvironments(list []Period, fleet bool) []Period {
	out := list[:0]
	for _, p := range list {
		if n := len(out); n > 0 {
			o := &out[n-1]
			if o.Account == p.Account && o.Measure == p.Measure && o.Hash == p.Hash && o.Field == p.Field && o.Start == p.Start {
				if p.Kind == string(catalog.ActiveUsers) && !fleet {
					o.Interval = o.Interval.Union(p.Interval)
				} else {
					o.Interval = o.Interval.Add(p.Interval)
				}
				o.Exact, o.Banded, o.Suppressed, o.Unknown = o.Exact+p.Exact, o.Banded+p.Banded, o.Suppressed+p.Suppressed, o.Unknown+p.Unknown
				o.Windows += p.Windows
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

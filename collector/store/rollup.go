package store

import (
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// RollsUp reports whether windows of the series are kept as periods of an account: counts and
// seconds add up to weeks and months; distinct users do not, and windows longer than a day
// (weeks, months, rolling 28 days, blocks of 4 and 12 weeks) are periods by themselves; gauges never.
func (s *Series) RollsUp() bool {
	if s.Grain < report.FiveMinutes || s.Grain > report.Block12w {
		return false
	}
	whole := s.Grain > report.Day
	switch s.Field {
	case report.Value:
		return s.Kind == string(catalog.Count) || whole && (s.JoinsPeople() || s.Kind == string(catalog.Transitions))
	case report.New, report.Retained, report.Resurrected, report.Dormant, report.Daily, report.Peak:
		return whole
	case report.Purchased, report.Assigned:
		return s.Grain == report.Rolling28
	case report.Count, report.Sum, report.Increase, report.Up, report.Down, report.Maintenance,
		report.Unseen, report.Incidents, report.Good, report.Valid:
		return true
	}
	return false
}

// ForPool reports whether a figure of that form was given to the pool alone: of a pooled measure
// a noised window of 12 weeks, which stands for no other purpose. It is told in sums over
// many accounts (Pool) and by no other method of a store.
func (s *Series) ForPool(f report.Form) bool {
	return s.Pool && s.Grain == report.Block12w && f == report.Noised
}

// JoinsPeople reports whether the figure counts people, who may use several installations of
// an account: those join to the largest … the sum, and do not add up.
func (s *Series) JoinsPeople() bool { return countsPeople(s.Kind, s.Field) }

func countsPeople(kind string, f report.Field) bool {
	switch catalog.Kind(kind) {
	case catalog.ActiveUsers, catalog.Lifecycle, catalog.Stickiness, catalog.Retention, catalog.Funnel, catalog.Adoption:
		return true
	case catalog.Seats:
		return f == report.Value || f == report.Peak
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
				if countsPeople(p.Kind, p.Field) && !fleet && o.Tally().Told() > 0 && p.Tally().Told() > 0 {
					o.Interval = o.Interval.Union(p.Interval)
				} else {
					o.Interval = o.Interval.Add(p.Interval)
				}
				o.Exact, o.Banded, o.Noised, o.Suppressed, o.Unknown = o.Exact+p.Exact, o.Banded+p.Banded, o.Noised+p.Noised, o.Suppressed+p.Suppressed, o.Unknown+p.Unknown
				o.Windows += p.Windows
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

// Package sla judges service levels from roll-ups: was what was promised kept, and how much
// of the time was anybody looking?
//
// Invariants: every number is an interval; up, down, maintenance and unknown seconds are
// told apart and never folded into one another; availability = up ÷ (up + down), coverage =
// (up + down) ÷ all seconds of the period; silence is never "up". Kept and missed are said
// only when the whole interval lies on one side of the target, else the level is open.
//
// It reads rows of collector/store and keeps nothing on disk.
package sla

import (
	"math"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// State is the verdict on one level and period.
type State string

const (
	Kept   State = "kept"
	Missed State = "missed"
	Open   State = "open"    // the interval holds the target: bands do not settle it
	NoData State = "no data" // nothing was observed
	NoGoal State = "no target"
)

// Level is one objective of one account over one period or several.
type Level struct {
	Measure string
	Kind    catalog.Kind // Availability or SLO
	Start   int64        // civil day of the first period
	Days    int64        // civil days covered
	Target  float64      // 0…1; 0 when none is promised

	// Availability: seconds. SLO: Up is good and Down is valid − good, in events; Maintenance
	// and Unseen stay empty.
	Up, Down, Maintenance, Unseen report.Interval
	Incidents                     report.Interval

	Told  bool // something other than suppressed or unknown arrived
	Share report.Interval
	// Coverage is (up + down) ÷ all; ok only for availability with anything in it.
	Coverage   report.Interval
	HasCover   bool
	HasShare   bool
	Suppressed int
}

// State judges the level against its target.
func (l Level) State() State {
	switch {
	case !l.HasShare:
		return NoData
	case l.Target == 0:
		return NoGoal
	case l.Share.Lo >= l.Target:
		return Kept
	case l.Share.Hi < l.Target:
		return Missed
	}
	return Open
}

// Budget is what is left of the allowed badness, in seconds (availability) or events (slo),
// as an interval; negative when overspent. ok is false without target or data.
func (l Level) Budget() (report.Interval, bool) {
	if l.Target == 0 || !l.HasShare {
		return report.Interval{}, false
	}
	// (1−t)·(up+down) − down = (1−t)·up − t·down: monotone in both.
	bad := 1 - l.Target
	return report.Interval{Lo: bad*l.Up.Lo - l.Target*l.Down.Hi, Hi: bad*l.Up.Hi - l.Target*l.Down.Lo}, true
}

// Fields of roll-ups that a kind needs.
func Fields(k catalog.Kind) []report.Field {
	if k == catalog.SLO {
		return []report.Field{report.Good, report.Valid}
	}
	return []report.Field{report.Up, report.Down, report.Maintenance, report.Unseen, report.Incidents}
}

// Is reports whether measures of the kind are service levels.
func Is(k catalog.Kind) bool { return k == catalog.Availability || k == catalog.SLO }

// Periods turns roll-ups of one account (all fields, one or several hashes) into levels, one
// per measure and period, oldest first.
func Periods(rows []store.Period, targets map[string]float64) []Level {
	type key struct {
		measure string
		start   int64
	}
	at := map[key]int{}
	var out []Level
	valid := map[key]report.Interval{}
	for _, p := range rows {
		k := catalog.Kind(p.Kind)
		if !Is(k) {
			continue
		}
		id := key{p.Measure, p.Start}
		i, ok := at[id]
		if !ok {
			i = len(out)
			at[id] = i
			first, last := report.CivilDays(p.Grain, p.Start)
			out = append(out, Level{Measure: p.Measure, Kind: k, Start: p.Start, Days: last - first + 1, Target: targets[p.Measure]})
		}
		l := &out[i]
		l.Suppressed += p.Suppressed
		if f := p.Form(); f != report.Exact && f != report.Band {
			continue
		}
		l.Told = true
		switch p.Field {
		case report.Up, report.Good:
			l.Up = l.Up.Add(p.Interval)
		case report.Down:
			l.Down = l.Down.Add(p.Interval)
		case report.Maintenance:
			l.Maintenance = l.Maintenance.Add(p.Interval)
		case report.Unseen:
			l.Unseen = l.Unseen.Add(p.Interval)
		case report.Incidents:
			l.Incidents = l.Incidents.Add(p.Interval)
		case report.Valid:
			valid[id] = valid[id].Add(p.Interval)
		}
	}
	for i := range out {
		l := &out[i]
		if l.Kind == catalog.SLO {
			l.Down = clip(valid[key{l.Measure, l.Start}].Sub(l.Up))
		}
		l.settle()
	}
	slices.SortStableFunc(out, func(a, b Level) int {
		if c := strings.Compare(a.Measure, b.Measure); c != 0 {
			return c
		}
		return int(a.Start - b.Start)
	})
	return out
}

// Sum joins levels of one measure into one over all their periods. days is the length of
// the whole span: what no period covers is unknown time.
func Sum(measure string, kind catalog.Kind, target float64, levels []Level, start, days int64) Level {
	s := Level{Measure: measure, Kind: kind, Target: target, Start: start, Days: days}
	for _, l := range levels {
		s.Up, s.Down = s.Up.Add(l.Up), s.Down.Add(l.Down)
		s.Maintenance, s.Unseen = s.Maintenance.Add(l.Maintenance), s.Unseen.Add(l.Unseen)
		s.Incidents = s.Incidents.Add(l.Incidents)
		s.Told = s.Told || l.Told
		s.Suppressed += l.Suppressed
	}
	s.settle()
	return s
}

func (l *Level) settle() {
	l.Share, l.HasShare = report.ShareOf(l.Up, l.Down)
	if !l.Told {
		l.HasShare = false
	}
	if l.Kind != catalog.Availability || !l.Told {
		return
	}
	// An installation that did not report at all leaves a hole: time of the period that no
	// second accounts for is unknown. Several installations of an account only add seconds.
	all := l.Up.Lo + l.Down.Lo + l.Maintenance.Lo + l.Unseen.Lo
	if whole := float64(l.Days * 86400); all < whole {
		l.Unseen = l.Unseen.Add(report.Interval{Lo: 0, Hi: whole - all})
		if l.Up.Known() && l.Down.Known() && l.Maintenance.Known() {
			l.Unseen.Lo = l.Unseen.Hi
		}
	}
	l.Coverage, l.HasCover = report.ShareOf(l.Up.Add(l.Down), l.Maintenance.Add(l.Unseen))
}

func clip(i report.Interval) report.Interval {
	return report.Interval{Lo: math.Max(0, i.Lo), Hi: math.Max(0, i.Hi)}
}

// Parts are the shares of a period that were up, down, maintenance and unknown, by their
// lower ends, for a bar; what bands leave undecided falls to unknown. They add up to 1.
func (l Level) Parts() (up, down, maintenance, unknown float64) {
	all := math.Max(float64(l.Days*86400), l.Up.Lo+l.Down.Lo+l.Maintenance.Lo+l.Unseen.Lo)
	if l.Kind == catalog.SLO {
		all = l.Up.Lo + l.Down.Lo
	}
	if all == 0 || !l.Told {
		return 0, 0, 0, 1
	}
	up, down, maintenance = l.Up.Lo/all, l.Down.Lo/all, l.Maintenance.Lo/all
	if unknown = 1 - up - down - maintenance; unknown < 1e-9 {
		unknown = 0 // what rounding leaves is no time
	}
	return up, down, maintenance, unknown
}

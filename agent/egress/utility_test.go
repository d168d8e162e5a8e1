package egress

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/egress/egresstest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// tally is how many figures left in which form. Those that stay by their kind, because others say the same, are not counted,
// nor those of roles that were merged.
type tally struct {
	exact, band, share, implied, wide, suppressed int
}

func (y *tally) add(r Ruled) {
	switch r.Form {
	case report.Exact:
		y.exact++
	case report.Band:
		y.band++
	case report.Share:
		y.share++
	case report.Implied:
		if hi := min(r.Hi, float64(r.Why.Group)); 2*(hi-r.Lo) < float64(r.Why.Group) {
			y.implied++
		} else {
			y.wide++ // it says little more than how many people there are
		}
	default:
		y.suppressed++
	}
}

func (y *tally) plus(o tally) {
	y.exact, y.band, y.share = y.exact+o.exact, y.band+o.band, y.share+o.share
	y.implied, y.wide, y.suppressed = y.implied+o.implied, y.wide+o.wide, y.suppressed+o.suppressed
}

func (y tally) all() int { return y.exact + y.band + y.share + y.implied + y.wide + y.suppressed }

// percent of usable figures: as PRIVACY counts them (not suppressed), and strictly (without what is known to half of the
// group only).
func (y tally) percent() (usable, strict float64) {
	n := float64(max(y.all(), 1))
	return float64(y.all()-y.suppressed) / n * 100, float64(y.all()-y.suppressed-y.wide) / n * 100
}

func (y tally) String() string {
	n := max(y.all(), 1)
	usable, strict := y.percent()
	return fmt.Sprintf("%6d %6d%% %6d%% %6d%% %6d%% %6d%% %6d%% %9.0f%% %7.0f%%", y.all(), y.exact*100/n, y.band*100/n, y.share*100/n, y.implied*100/n, y.wide*100/n,
		y.suppressed*100/n, usable, strict)
}

const tallyHead = " cells   exact    band   share implied    wide    none    usable  strict"

// counted reports whether a figure about people counts for the goals: contracts and calendars do not, nor what stays by its
// kind or was merged, nor sums.
func counted(a answer) bool {
	switch a.Reason {
	case StaysByKind, RoleMerged, OneRole:
		return false
	}
	return !isPublic(a.Field) && a.measure != "actions"
}

// TestUtility: what share of the figures leaves in which form, by size of site and kind, and PRIVACY's goals.
func TestUtility(t *testing.T) {
	t.Parallel()
	c := madeUp(t)
	classes := map[string]tally{}
	for _, x := range []struct {
		people, weeks, seeds int
		class                string
	}{{8, 12, 1, "below 9"}, {15, 36, 3, "10–19"}, {25, 36, 2, "20–49"}, {80, 24, 3, "from 50"}, {300, 24, 1, "from 50"}} {
		all, by := tally{}, map[string]*tally{}
		start := time.Now()
		for _, active := range []float64{0.3, 0.6, 0.95} {
			for seed := range uint64(x.seeds) {
				s := egresstest.New(egresstest.Options{Places: x.people, Active: active, Churn: 0.15, Weeks: x.weeks + 2, Seed: seed})
				one := tally{}
				for _, a := range drive(t, c, s, x.people, 0, x.weeks).told {
					id := fmt.Sprintf("%s %s %d", a.measure, a.Grain, a.Breakdown)
					if by[id] == nil && !isPublic(a.Field) {
						by[id] = &tally{}
					}
					if a.measure == "actions" {
						by[id].add(a.Ruled)
					}
					if counted(a) {
						by[id].add(a.Ruled)
						one.add(a.Ruled)
					}
				}
				all.plus(one)
			}
		}
		class := classes[x.class]
		class.plus(all)
		classes[x.class] = class
		t.Logf("%-22s %s", fmt.Sprint(x.people, " people"), tallyHead)
		t.Logf("%-22s %s  (%v)", "all", all, time.Since(start).Round(time.Millisecond))
		for _, id := range slices.SortedFunc(maps.Keys(by), cmp.Compare[string]) {
			if by[id].all() > 0 {
				t.Logf("%-22s %s", id, by[id])
			}
		}
	}
	// From 50 people PRIVACY's goal of 92 is missed since probing looks one relation further: what it found was known too narrowly
	// (ADR 0009, "What it costs"). The floor is what is reached, so that it does not sink unseen.
	for class, wanted := range map[string]struct{ goal, floor float64 }{"10–19": {60, 60}, "20–49": {85, 85}, "from 50": {92, 89}} {
		usable, strict := classes[class].percent()
		t.Logf("%s people: %.1f %% usable (goal %.0f), %.1f %% counted strictly", class, usable, wanted.goal, strict)
		if usable < wanted.floor {
			t.Errorf("%s people: %.1f %% of the figures are usable, at least %.0f have to be", class, usable, wanted.floor)
		}
	}
	if y := classes["below 9"]; y.exact+y.share+y.implied+y.wide > 0 || y.band*50 > y.all() { // "in use: yes" is a band
		t.Errorf("below 9 people: %s", y)
	}
}

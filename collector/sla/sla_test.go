package sla

import (
	"math"
	"testing"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const monday = 20_391 // 2025-10-30 is no Monday, but periods only carry the number

func week(field report.Field, lo, hi float64) store.Period {
	return store.Period{Measure: "web", Kind: string(catalog.Availability), Field: field, Grain: report.Week, Start: monday, Interval: report.Interval{Lo: lo, Hi: hi}, Exact: 1}
}

func TestLevelTellsUpDownMaintenanceAndUnknownApart(t *testing.T) {
	const day = 86400
	ls := Periods([]store.Period{week(report.Up, 5*day, 5*day), week(report.Down, 600, 600), week(report.Maintenance, 3600, 3600), week(report.Unseen, day, day), week(report.Incidents, 1, 1)}, map[string]float64{"web": 0.999})
	if len(ls) != 1 {
		t.Fatalf("%d levels", len(ls))
	}
	l := ls[0]
	if want := 5.0 * day / (5*day + 600); math.Abs(l.Share.Lo-want) > 1e-12 || l.Share.Lo != l.Share.Hi {
		t.Errorf("share %v, want %v", l.Share, want)
	}
	if l.State() != Missed {
		t.Errorf("state %s", l.State())
	}
	// A week has 7 days; what no second accounts for is unknown, never up.
	if want := 7.0*day - 5*day - 600 - 3600; l.Unseen.Lo != want || l.Unseen.Hi != want {
		t.Errorf("unknown %v, want %v", l.Unseen, want)
	}
	if want := (5.0*day + 600) / (7 * day); math.Abs(l.Coverage.Lo-want) > 1e-12 {
		t.Errorf("coverage %v, want %v", l.Coverage, want)
	}
	up, down, maint, unknown := l.Parts()
	if sum := up + down + maint + unknown; math.Abs(sum-1) > 1e-9 || down == 0 || maint == 0 || unknown == 0 {
		t.Errorf("parts %v %v %v %v", up, down, maint, unknown)
	}
}

func TestStateIsOpenWhileTheIntervalHoldsTheTarget(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64 // of down
		want   State
	}{{0, 100, Kept}, {0, 1000, Open}, {900, 1000, Missed}} {
		p := week(report.Down, c.lo, c.hi)
		p.Exact, p.Banded = 0, 1
		l := Periods([]store.Period{week(report.Up, 600_000, 600_000), p}, map[string]float64{"web": 0.999})[0]
		if l.State() != c.want {
			t.Errorf("down %v–%v: %s, want %s", c.lo, c.hi, l.State(), c.want)
		}
		if b, ok := l.Budget(); !ok || (b.Lo < 0) != (c.want != Kept) || (b.Hi < 0) != (c.want == Missed) {
			t.Errorf("down %v–%v: budget %v", c.lo, c.hi, b)
		}
	}
}

func TestSilenceIsNoDataAndNeverUp(t *testing.T) {
	withheld := week(report.Up, 0, 0)
	withheld.Exact, withheld.Suppressed = 0, 1
	for _, ps := range [][]store.Period{{withheld}, {week(report.Up, 0, 0), week(report.Down, 0, 0), week(report.Unseen, 7*86400, 7*86400)}} {
		l := Periods(ps, map[string]float64{"web": 0.999})[0]
		if l.State() != NoData || l.HasShare {
			t.Errorf("%s, share %v", l.State(), l.Share)
		}
		if _, _, _, unknown := l.Parts(); unknown != 1 {
			t.Errorf("unknown %v of the time", unknown)
		}
	}
	if s := Sum("web", catalog.Availability, 0.999, nil, monday, 28); s.State() != NoData {
		t.Errorf("nothing at all: %s", s.State())
	}
}

func TestSumOverWeeksWithAHoleKeepsTheHoleUnknown(t *testing.T) {
	l := Periods([]store.Period{week(report.Up, 7*86400, 7*86400), week(report.Down, 0, 0)}, map[string]float64{"web": 0.9})
	s := Sum("web", catalog.Availability, 0.9, l, monday, 28)
	if s.State() != Kept || s.Unseen.Lo != 21*86400 || math.Abs(s.Coverage.Lo-0.25) > 1e-12 {
		t.Errorf("%s, unknown %v, coverage %v", s.State(), s.Unseen, s.Coverage)
	}
}

func TestSLOCountsGoodOfValid(t *testing.T) {
	p := func(f report.Field, v float64) store.Period {
		return store.Period{Measure: "requests", Kind: string(catalog.SLO), Field: f, Grain: report.Week, Start: monday, Interval: report.Interval{Lo: v, Hi: v}, Exact: 1}
	}
	l := Periods([]store.Period{p(report.Good, 995), p(report.Valid, 1000)}, map[string]float64{"requests": 0.99})[0]
	if l.Share.Lo != 0.995 || l.Down.Lo != 5 || l.State() != Kept || l.HasCover {
		t.Errorf("%+v", l)
	}
	if b, _ := l.Budget(); math.Abs(b.Lo-5) > 1e-9 {
		t.Errorf("budget %v, want 5 events", b)
	}
}

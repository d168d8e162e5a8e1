package accounts

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func exact(v float64) Point {
	return Point{Form: report.Exact, Interval: report.Interval{Lo: v, Hi: v}}
}

func band(lo, hi float64) Point {
	return Point{Form: report.Band, Interval: report.Interval{Lo: lo, Hi: hi}}
}

func times(n int, p Point) []Point { return slices.Repeat([]Point{p}, n) }

func TestReadSaysOnlyWhatTheIntervalsMakeCertain(t *testing.T) {
	clock := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	alive := Status{Clock: clock, LastReport: clock.Add(-time.Hour), Consented: true, EverAsked: true}
	withheld := Point{Form: report.Suppressed}
	for _, c := range []struct {
		name   string
		points []Point
		status Status
		want   Word
	}{
		{"up by a quarter", slices.Concat(times(12, exact(20)), times(4, exact(25))), alive, Growing},
		{"up by 15 %, not more", slices.Concat(times(12, exact(20)), times(4, exact(23))), alive, Steady},
		{"down by a quarter", slices.Concat(times(12, exact(20)), times(4, exact(15))), alive, Shrinking},
		{"the same", times(16, exact(20)), alive, Steady},
		{"bands that touch", slices.Concat(times(12, band(15, 19)), times(4, band(20, 24))), alive, Unclear},
		{"bands far apart", slices.Concat(times(12, band(15, 19)), times(4, band(25, 29))), alive, Growing},
		{"open tops", slices.Concat(times(12, exact(20)), times(4, band(18, math.Inf(1)))), alive, Unclear},
		{"the open top was before", slices.Concat(times(12, band(30, math.Inf(1))), times(4, exact(20))), alive, Shrinking},
		{"two recent weeks missing", slices.Concat(times(12, exact(20)), times(2, exact(30)), times(2, Point{})), alive, Unclear},
		{"one recent week missing", slices.Concat(times(12, exact(20)), times(3, exact(30)), times(1, Point{})), alive, Growing},
		{"nobody, told", slices.Concat(times(12, exact(3)), times(4, exact(0))), alive, Idle},
		{"perhaps nobody", slices.Concat(times(12, exact(3)), times(4, band(0, 4))), alive, Unclear},
		{"an installation withheld it before", slices.Concat(times(12, Point{Form: report.Exact, Interval: report.Interval{Lo: 20, Hi: 20}, Partial: true}), times(4, exact(30))), alive, Unclear},
		{"15 weeks", times(15, exact(20)), alive, Young},
		{"all withheld", times(16, withheld), alive, Withheld},
		{"withheld of late", slices.Concat(times(12, exact(20)), times(4, withheld)), alive, Withheld},
		{"nothing of this measure", times(16, Point{}), alive, NoFigure},
		{"no points at all", nil, alive, NoFigure},
		{"no report for 15 days", times(16, exact(20)), Status{Clock: clock, LastReport: clock.AddDate(0, 0, -15), Consented: true, EverAsked: true}, Silent},
		{"never", times(16, Point{}), Status{Clock: clock}, Waiting},
		{"refused", times(16, Point{}), Status{Clock: clock, EverAsked: true}, NoConsent},
		{"closed", times(16, exact(20)), Status{Clock: clock, Closed: true}, Closed},
	} {
		if got := Read(c.points, c.status); got.Word != c.want || got.Tone == "" || got.Why == "" {
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
	}
}

func TestCompareIsATotalOrderWithWithheldAndThenUnknownLast(t *testing.T) {
	want := []Point{exact(0), band(0, 4), band(5, 9), exact(7), band(7, 8), band(7, math.Inf(1)), {Form: report.Suppressed}, {}}
	got := []Point{want[6], want[3], want[7], want[1], want[5], want[0], want[4], want[2]}
	slices.SortFunc(got, Compare)
	if !slices.Equal(got, want) {
		t.Errorf("rising: %v", got)
	}
	slices.SortFunc(got, CompareDesc)
	slices.Reverse(want[:6])
	if !slices.Equal(got, want) {
		t.Errorf("falling: %v", got)
	}
	for _, a := range want {
		for _, b := range want {
			if Compare(a, b) != -Compare(b, a) {
				t.Errorf("%v and %v are not ordered", a, b)
			}
		}
	}
}

func TestLineKeepsGapsUnknownAndPrefersTheNewestDefinition(t *testing.T) {
	from := int64(20_000)/7*7 + 4 // any multiple of weeks will do
	period := func(week int64, hash string, v float64) store.Period {
		return store.Period{Start: from + 7*week, Hash: hash, Interval: report.Interval{Lo: v, Hi: v}, Exact: 1}
	}
	got := Line([]store.Period{period(0, "old", 1), period(2, "old", 3), period(2, "new", 4), period(3, "new", 5), period(9, "new", 6)}, from, from+28, "new")
	want := []float64{1, -1, 4, 5, -1}
	if len(got) != len(want) {
		t.Fatalf("%d points", len(got))
	}
	for i, p := range got {
		if v := want[i]; (v < 0) != (p.Form == report.Unknown) || v >= 0 && p.Lo != v {
			t.Errorf("week %d: %+v, want %v", i, p, v)
		}
	}
}

func TestFirstFigureComesAfterTheFirstWholeWeekInsideTheConsent(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"2026-11-04T10:00:00+01:00": "2026-11-18T01:00:00+01:00", // Wednesday: week of 9 Nov, which ends on 16 Nov, + 48 h + 1 h
		"2026-11-02T00:00:00+01:00": "2026-11-11T01:00:00+01:00", // Monday at midnight: this week
		"2026-11-02T00:00:01+01:00": "2026-11-18T01:00:00+01:00",
		"2026-10-24T12:00:00+02:00": "2026-11-04T01:00:00+01:00", // over the end of summer time
	} {
		at, err := time.Parse(time.RFC3339, from)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := FirstFigure(at, zone, 48*time.Hour); got.Format(time.RFC3339) != want {
			t.Errorf("consent at %s: first figure at %s, want %s", from, got.Format(time.RFC3339), want)
		}
	}
}

func TestClosedWeekWaitsForTheLastZoneAndTheGrace(t *testing.T) {
	for clock, want := range map[string]string{
		"2026-11-04T11:59:00Z": "2026-10-19", // week of 26 Oct ended on 2 Nov; + 48 h + 12 h is 4 Nov noon
		"2026-11-04T12:00:00Z": "2026-10-26",
		"2026-11-11T12:00:00Z": "2026-11-02",
	} {
		at, err := time.Parse(time.RFC3339, clock)
		if err != nil {
			t.Fatal(err)
		}
		if got := report.StartString(report.Week, ClosedWeek(at, 48*time.Hour)); got != want {
			t.Errorf("at %s: %s, want %s", clock, got, want)
		}
	}
}

func TestHighestIsToldOnlyWhenNoOtherWeekCanReachIt(t *testing.T) {
	line := slices.Concat(times(8, band(10, 14)), times(1, exact(20)))
	if e, ok := highest(line); !ok || e.Text != "highest week: 20" {
		t.Errorf("%v %v", e, ok)
	}
	if _, ok := highest(append(line, band(15, 25))); ok {
		t.Error("a band reaches above it")
	}
}

package report

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Every second belongs to exactly the day whose midnight is the newest at or before it.
func TestMidnightInEveryKindOfZone(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia", "Africa/Cairo", "America/Havana", "Australia/Lord_Howe"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for d := int64(14000); d < 20800; d++ { // 2008 to 2026
			m := Midnight(d, zone)
			if CivilDay(m, zone) < d || CivilDay(m.Add(-time.Second), zone) >= d {
				t.Errorf("%s: day %d begins at %s", name, d, m)
			}
		}
	}
}

func TestWindowsOfKnownDays(t *testing.T) {
	at := time.Date(2024, 2, 29, 13, 7, 0, 0, time.UTC)
	for g, want := range map[Grain]string{FiveMinutes: "2024-02-29T13:05:00Z", Hour: "2024-02-29T13:00:00Z", Day: "2024-02-29", Week: "2024-02-26",
		Month: "2024-02-01", Rolling28: "2024-02-29", Block4w: "2024-02-19", Block12w: "2024-01-22"} {
		if got := StartString(g, WindowStart(g, at, time.UTC)); got != want {
			t.Errorf("%s: %s, want %s", g, got, want)
		}
	}
	if d := WindowStart(Block4w, time.Unix(4*86400, 0), time.UTC); d != 4 {
		t.Errorf("blocks are counted from day %d, not from Monday 1970-01-05", d)
	}
}

func TestATallySaysWhatItIsMadeOf(t *testing.T) {
	var s Tally
	s.Add(Exact, Interval{10, 10})
	s.Add(Band, Interval{5, 9})
	s.Add(Suppressed, Interval{})
	s.Add(Unknown, Interval{})
	if s.Interval != (Interval{15, 19}) || s.Told() != 2 || s.Suppressed != 1 || s.Unknown != 1 || s.Form() != Band {
		t.Errorf("%+v", s)
	}
	if (Tally{}).Form() != Unknown {
		t.Error("an empty sum is not nought")
	}
	s.Add(Band, Interval{20, math.Inf(1)})
	if !math.IsInf(s.Hi, 1) || s.Lo != 35 {
		t.Errorf("%+v", s)
	}
}

// A figure with noise was once counted as exact, and a sum with it called exact.
func TestNoiseIsNeverExact(t *testing.T) {
	var s Tally
	s.Add(Noised, Interval{7, 7})
	if s.Noised != 1 || s.Exact != 0 || s.Told() != 1 || s.Form() != Noised {
		t.Errorf("%+v is %s", s, s.Form())
	}
	s.Add(Exact, Interval{10, 10})
	s.Add(Noised, Interval{-2, -2})
	if s.Noised != 2 || s.Exact != 1 || s.Interval != (Interval{15, 15}) || s.Form() != Noised {
		t.Errorf("%+v is %s", s, s.Form())
	}
	s.Add(Band, Interval{5, 9})
	s.Add(Suppressed, Interval{})
	s.Add(Unknown, Interval{})
	if s.Interval != (Interval{20, 24}) || s.Form() != Noised || s.Parts() != 6 {
		t.Errorf("%+v is %s: a sum with noise in it is certain of nothing", s, s.Form())
	}
	if u := (Interval{-5, -5}).Union(Interval{3, 3}); u.Lo > u.Hi {
		t.Errorf("the union with a figure below nought is %v", u)
	}
}

// Whatever the true figures are inside their intervals, the result lies inside the result's.
func TestIntervalArithmeticHoldsTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (Interval, float64) {
			lo := float64(rapid.IntRange(0, 1000).Draw(t, name+" lo"))
			hi := lo + float64(rapid.IntRange(0, 50).Draw(t, name+" width"))
			return Interval{lo, hi}, float64(rapid.IntRange(int(lo), int(hi)).Draw(t, name+" truth"))
		}
		a, x := draw("a")
		b, y := draw("b")
		in := func(what string, i Interval, v float64) {
			if v < i.Lo-1e-12 || v > i.Hi+1e-12 {
				t.Fatalf("%s of %v and %v: %v outside %v", what, x, y, v, i)
			}
		}
		in("sum", a.Add(b), x+y)
		in("difference", a.Sub(b), x-y)
		union := rapid.Float64Range(math.Max(x, y), x+y).Draw(t, "union")
		in("union", a.Union(b), union)
		if r, ok := a.Ratio(b); ok {
			in("ratio", r, x/y)
		}
		if r, ok := ShareOf(a, b); ok {
			in("share", r, x/(x+y))
		}
	})
}

func TestFiguresSurviveJSON(t *testing.T) {
	for _, f := range []Figure{
		{Measure: "people", Hash: "00", Field: Value, Grain: Week, Start: 19783, Dims: map[string]string{}, Form: Exact, Lo: 12, Hi: 12},
		{Measure: "people", Hash: "00", Field: Value, Grain: Week, Start: 19783, Dims: map[string]string{"role": "x"}, Form: Band, Lo: 20, Hi: math.Inf(1)},
		{Measure: "people", Hash: "00", Field: Value, Grain: Block4w, Start: 19783, Dims: map[string]string{}, Form: Suppressed},
		{Measure: "web", Hash: "00", Field: Up, Grain: Hour, Start: 1_700_000_000 / 3600 * 3600, Dims: map[string]string{}, Form: Exact},
		{Measure: "v", Hash: "00", Field: Value, Grain: Day, Start: 1, Dims: map[string]string{}, Form: Exact, Text: "1.0"},
		{Measure: "l", Hash: "00", Field: Buckets, Grain: Hour, Start: 3600, Dims: map[string]string{}, Form: Exact, Blob: []byte{1, 2}},
	} {
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var got Figure
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(f, got); d != "" {
			t.Errorf("%s: %s", b, d)
		}
	}
}

func TestCellsThatBreakAnInvariantAreFound(t *testing.T) {
	good := Cell{Series: Series{Field: Value, Grain: Week}, Form: Exact, Lo: 1, Hi: 1}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Cell){
		"exact interval":       func(c *Cell) { c.Hi = 2 },
		"empty interval":       func(c *Cell) { c.Form, c.Lo = Band, 2 },
		"suppressed with one":  func(c *Cell) { c.Form = Suppressed },
		"not a number":         func(c *Cell) { c.Lo = math.NaN() },
		"no field":             func(c *Cell) { c.Field = 0 },
		"no grain":             func(c *Cell) { c.Grain = 99 },
		"no form":              func(c *Cell) { c.Form = 9 },
		"number with blob":     func(c *Cell) { c.Blob = []byte{1} },
		"sketch with a number": func(c *Cell) { c.Field = Sketch },
		"minus infinity":       func(c *Cell) { c.Form, c.Lo = Band, math.Inf(-1) },
	} {
		c := good
		change(&c)
		if c.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

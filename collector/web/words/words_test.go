package words

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func TestNumbersHaveSeparatorsAndNoSpuriousDecimals(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "−1,234", 12.345: "12.3", 1234.5: "1,234", 0.1234: "0.123", 1e15: "1,000,000,000,000,000"} {
		if got := Num(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func TestAShareIsNeverRoundedUp(t *testing.T) {
	for v, want := range map[float64]string{1: "100.00", 0.99999: "99.99", 0.999: "99.90", 0.9971: "99.71", 0: "0.00", 0.29: "29.00", 0.57: "57.00"} {
		if got := Share(report.Interval{Lo: v, Hi: v}); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
	if got := Share(report.Interval{Lo: 0.99, Hi: 0.995}); got != "99.00–99.50" {
		t.Error(got)
	}
}

func TestFiguresTellTheirForm(t *testing.T) {
	p := func(f report.Form, lo, hi float64) accounts.Point {
		return accounts.Point{Form: f, Interval: report.Interval{Lo: lo, Hi: hi}}
	}
	partial := p(report.Exact, 5, 5)
	partial.Partial, partial.Exact, partial.Suppressed = true, 1, 1
	for _, c := range []struct {
		p          accounts.Point
		html, text string
	}{
		{p(report.Exact, 1412, 1412), "1,412", "1,412"},
		{p(report.Band, 5, 9), "5–9<em>band", "5–9, band"},
		{p(report.Band, 45, math.Inf(1)), "≥ 45<em>band", "≥ 45, band"},
		{p(report.Share, 0, 7), "<em>share", "0–7, share"},
		{p(report.Implied, 3, 8), "<em>implied", "3–8, implied"},
		{p(report.Noised, 12, 12), "12<em>noised", "12, noised"},
		{p(report.Suppressed, 0, 0), "withheld", "withheld, small numbers"},
		{p(report.Unknown, 0, 0), "unknown", "unknown, not told"},
		{partial, "5<em>partial", "5, partial: in 1 installation; 1 withheld"},
	} {
		if got := string(Figure(c.p)); !strings.Contains(got, c.html) {
			t.Errorf("%+v: %s", c.p, got)
		}
		if got := FigureText(c.p); got != c.text {
			t.Errorf("%+v: %s, want %s", c.p, got, c.text)
		}
	}
	var sum report.Tally
	for _, x := range []accounts.Point{p(report.Exact, 400, 400), p(report.Band, 12, 55), p(report.Suppressed, 0, 0), p(report.Unknown, 0, 0), p(report.Unknown, 0, 0)} {
		sum.Add(x.Form, x.Interval)
	}
	if got := Interval(sum.Interval) + " " + Told(sum, "account"); got != "412–455 in 2 accounts; 1 banded, 1 withheld, 2 silent" {
		t.Error(got)
	}
	sum.Add(report.Noised, report.Interval{Lo: 8, Hi: 8})
	sum.Partial = 1
	if got := Interval(sum.Interval) + " " + Told(sum, "account"); got != "420–463 in 3 accounts, 1 of them in part; 1 banded, 1 with noise, 1 withheld, 2 silent" {
		t.Error(got)
	}
}

func TestSpansAreInOneUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{30 * time.Second: "moments", 14 * time.Minute: "14 minutes", time.Hour: "1 hour", 47 * time.Hour: "47 hours", 72 * time.Hour: "3 days", 29 * 7 * 24 * time.Hour: "29 weeks", 8 * 365 * 24 * time.Hour: "8 years"} {
		if got := accounts.Span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestHowOftenAFigureLeavesIsSaidInWords(t *testing.T) {
	for g := report.FiveMinutes; g <= report.Change; g++ {
		if got := Leaves(g.String()); got == "" || strings.Contains(got, "4w") || strings.Contains(got, "12w") || strings.Contains(got, "rolling") || strings.Contains(got, "5m") {
			t.Errorf("%s: %q", g, got)
		}
	}
	if got := Leaves(""); got != "stays at the site" {
		t.Errorf("%q", got)
	}
}

package say

import (
	"math"
	"strings"
	"testing"
	"time"

	m "github.com/fieldpost/fieldpost/agent/console/markup"

	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, not %q", what, got, want)
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 1234567: "1,234,567", 0.5: "0.5", 12.345: "12.3", 1234.5: "1,235", -3: "−3", 0.00012345: "0.000123", math.Inf(1): "∞"} {
		same(t, "amount", Amount(v), want)
	}
	same(t, "no number", Amount(math.NaN()), "–")
	for v, want := range map[float64]string{0: "0 %", 1: "100 %", 0.5: "50 %", 0.9971: "99.71 %", 0.99999: "99.999 %"} {
		same(t, "share", Share(v), want)
	}
	if Share(0.9999999) == "100 %" {
		t.Error("almost all is told as all")
	}
	for v, want := range map[float64]string{0: "0 s", 59: "59 s", 60: "1 min", 125: "2 min 5 s", 86340: "23 h 59 min", 86400: "24 h", 200000: "2 d 7 h", -125: "−2 min 5 s"} {
		same(t, "span", Span(v), want)
	}
	same(t, "milliseconds", Quantity(0.25, "s"), "250 ms")
	same(t, "bytes", Quantity(1536, "By"), "1.5 KiB")
	same(t, "annotation", Quantity(3, "{jobs}"), "3 jobs")
	same(t, "size", Bytes(318), "318 bytes")
}

func TestWords(t *testing.T) {
	same(t, "sentence", Sentence(" it is so"), "It is so.")
	same(t, "whole sentence", Sentence("Ärger!"), "Ärger!")
	same(t, "nothing", Sentence(""), "")
	same(t, "dims", DimsText(map[string]string{"role": "a", "area": "b"}), "area: b, role: a")
	day := report.CivilDay(time.Date(2026, 11, 16, 12, 0, 0, 0, time.UTC), time.UTC)
	for g, want := range map[report.Grain]string{report.Day: "Mon 16 Nov 2026", report.Week: "week of 16 Nov 2026", report.Month: "November 2026", report.Rolling28: "28 days to 16 Nov 2026", report.Block4w: "4 weeks from 16 Nov 2026", report.Block12w: "12 weeks from 16 Nov 2026"} {
		same(t, g.String(), WindowText(g, day), want)
	}
	same(t, "hour", WindowText(report.Hour, 0), "1 Jan 1970, 00:00 UTC")
	for _, l := range exchange.Levels() {
		if LevelText(l, true) == "" || LevelText(l, false) == "" {
			t.Errorf("no words for %s", l)
		}
	}
	if PoolText(exchange.Off) == "" || !strings.Contains(PoolText(exchange.Strict), "ε = 4") || !strings.Contains(CategoryText("pool"), "at least 100 other customers") {
		t.Error("the pool is not said plainly")
	}
	for _, r := range ReasonOrder() {
		if ReasonText(r) == "" {
			t.Errorf("no words for %s", r)
		}
	}
}

// TestAFigureIsNeverToldAsMoreThanItIs walks the forms.
func TestAFigureIsNeverToldAsMoreThanItIs(t *testing.T) {
	for want, f := range map[string]report.Figure{
		`38`: {Field: report.Value, Form: report.Exact, Lo: 38, Hi: 38},
		`<span class="int">10–14<em>band</em></span>`:      {Field: report.Value, Form: report.Band, Lo: 10, Hi: 14},
		`<span class="int">≥ 43<em>band</em></span>`:       {Field: report.Value, Form: report.Band, Lo: 43, Hi: math.Inf(1)},
		`<span class="int">5–9<em>implied</em></span>`:     {Field: report.Value, Form: report.Implied, Lo: 5, Hi: 9},
		`<span class="int">20–39<em>share</em></span>`:     {Field: report.Value, Form: report.Share, Lo: 20, Hi: 39},
		`<span class="int">≈ −2<em>with noise</em></span>`: {Field: report.Value, Form: report.Noised, Lo: -2, Hi: -2},
		`<span class="hatch">withheld</span>`:              {Field: report.Value, Form: report.Suppressed},
		`<span class="unknown">unknown</span>`:             {Field: report.Value, Form: report.Unknown},
		`linux`:                                            {Field: report.Value, Form: report.Exact, Text: "linux"},
		`(84 bytes)`:                                       {Field: report.Sketch, Form: report.Exact, Blob: make([]byte, 84)},
		`23 h 59 min`:                                      {Field: report.Up, Form: report.Exact, Lo: 86340, Hi: 86340},
	} {
		same(t, f.Form.String(), string(m.Render(Told(f, false))), want)
	}
}

func TestFiguresOfAWindowAreOneRow(t *testing.T) {
	fs := []report.Figure{
		{Measure: "web", Field: report.Up, Grain: report.Day, Start: 10, Form: report.Exact, Lo: 86400, Hi: 86400},
		{Measure: "web", Field: report.Down, Grain: report.Day, Start: 10, Form: report.Exact},
		{Measure: "web", Field: report.Up, Grain: report.Day, Start: 11, Form: report.Suppressed},
		{Measure: "web", Field: report.Down, Grain: report.Day, Start: 11, Form: report.Suppressed},
		{Measure: "web", Field: report.Up, Grain: report.Hour, Start: 12 * 86400, Form: report.Exact},
	}
	rs := Rows(fs, func(f report.Figure) (report.Figure, string, string, string) { return f, "sla", "why", "" })
	if len(rs) != 3 || rs[0].Grain != report.Hour || rs[1].Start != 11 || len(rs[2].Figures) != 2 {
		t.Fatalf("rows %+v", rs)
	}
	same(t, "exact", string(m.Render(rs[2].Told())), "up 24 h · down 0 s")
	same(t, "withheld", string(m.Render(rs[1].Told())), `<span class="hatch">withheld</span>`)
	same(t, "tally", Tally(fs), "3 exact, 2 withheld")
	same(t, "forms are told apart", Tally([]report.Figure{{Form: report.Band}, {Form: report.Share}, {Form: report.Share}, {Form: report.Implied}, {Form: report.Noised}}), "1 band, 2 shares, 1 implied, 1 with noise")
}

func TestPagesLinkBothWays(t *testing.T) {
	got := string(m.Render(Pages(m.At("/left").With("kind", "batch"), "p", 2, 10, 35)))
	for _, w := range []string{"11–20 of 35", `href="/left?kind=batch&amp;p=1"`, `href="/left?kind=batch&amp;p=3"`} {
		if !strings.Contains(got, w) {
			t.Errorf("%q is not in %s", w, got)
		}
	}
	if got := m.Render(Pages(m.At("/"), "p", 1, 10, 10)); len(got) != 0 {
		t.Errorf("one page has links: %s", got)
	}
	if from, to := Cut(5, 10, 35); from != 35 || to != 35 {
		t.Errorf("a page after the end: %d to %d", from, to)
	}
}

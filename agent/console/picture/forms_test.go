package picture

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/agent/console/chart"
	m "github.com/fieldpost/fieldpost/agent/console/markup"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// allOf renders everything a page may show of a picture.
func allOf(p Picture) string {
	s := text(p)
	for _, n := range []m.Node{p.Legend, p.Reasons, p.Why} {
		s += string(m.Render(n))
	}
	return s + string(m.Render(m.Text(p.Hidden)))
}

func figured(start string, closed bool, figures ...string) string {
	return fmt.Sprintf(`{"start":%q,"dims":{},"value":null,"form":"figures","figures":[%s],"closed":%v}`, start, strings.Join(figures, ","), closed)
}

func fig(field, dims, rest string) string {
	if dims == "" {
		dims = "{}"
	}
	return fmt.Sprintf(`{"field":%q,"dims":%s,%s}`, field, dims, rest)
}

func must(t *testing.T, s string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(s, w) {
			t.Errorf("%q is not in %s", w, s)
		}
	}
}

func book(ms catalog.Measure) *catalog.Catalog {
	return &catalog.Catalog{Measures: []catalog.Measure{ms}}
}

// TestRetentionIsATriangle: what has not closed is empty, what is withheld hatched with its reason, what nobody
// told grey; shares are intervals of intervals.
func TestRetentionIsATriangle(t *testing.T) {
	p := Draw(control.Measure{ID: "kept", Kind: "retention"}, &catalog.Catalog{}, "12w", lines(t,
		figured("2026-05-11", true, fig("value", "", `"form":"band","lo":20,"hi":24`), fig("value", `{"offset":"1"}`, `"form":"share","lo":10,"hi":14`),
			fig("value", `{"offset":"2"}`, `"form":"suppressed","why":"too few people"`), fig("value", `{"offset":"4"}`, `"form":"implied","lo":5,"hi":9`), fig("value", `{"offset":"5"}`, `"form":"band","lo":5`)),
		figured("2026-08-03", false, fig("value", "", `"form":"exact","lo":40,"hi":40`), fig("value", `{"offset":"1"}`, `"form":"exact","lo":10,"hi":10`))), now(), true)
	got := allOf(p)
	must(t, got, "41–70 %", "of-share", "of-implied", "cell hatched", "Too few people.", "not closed yet", "cell grey", "25 %", "≥ 20 %", "<caption", `scope="row"`)
	must(t, string(m.Render(p.Number)), "25 %")
	if strings.Contains(got, "0 %") && strings.Contains(got, ">0 %<") {
		t.Error("something that is not told is drawn as nothing")
	}
}

// TestAFunnelSaysHowFarHowSoonAndWhereItEnded in interval arithmetic.
func TestAFunnelSaysHowFarHowSoonAndWhereItEnded(t *testing.T) {
	b := book(catalog.Measure{ID: "act", Kind: catalog.Funnel, Window: 3 * 24 * 3600e9, Steps: []catalog.Step{{ID: "signed_up"}, {ID: "made"}, {ID: "done"}}})
	p := Draw(control.Measure{ID: "act", Kind: "funnel"}, b, "4w", lines(t, figured("2026-09-28", true, fig("value", "", `"form":"exact","lo":40,"hi":40`),
		fig("value", `{"step":"signed_up"}`, `"form":"exact","lo":40,"hi":40`), fig("value", `{"step":"made"}`, `"form":"band","lo":15,"hi":19`), fig("value", `{"step":"done"}`, `"form":"band","lo":5`),
		fig("value", `{"band":"1h"}`, `"form":"band","lo":0,"hi":4`), fig("value", `{"band":"3d"}`, `"form":"suppressed","why":"w"`), fig("value", `{"band":"never"}`, `"form":"implied","lo":21,"hi":25`))), now(), true)
	got := allOf(p)
	must(t, got, "signed up", "37–48 %", "21–25", "≥ 5", "whisker", `url(#hatch)`, "Time to the last step", "not in time", "Last step reached", "no end: the top is open")
	if strings.Contains(got, "≤ 7 days") {
		t.Error("a band beyond the window is drawn")
	}
	// value as it is: the same figures, exactly
	p = Draw(control.Measure{ID: "act", Kind: "funnel"}, b, "4w", lines(t, `{"start":"2026-09-28","dims":{},"value":{"entered":7,"steps":[7,5,2],"bands":{"1h":1,"24h":1,"3d":0,"7d":0,"30d":0,"never":5}},"closed":true}`), now(), true)
	must(t, allOf(p), "71 %", "29 %")
}

func TestLifecycleStandsAroundZero(t *testing.T) {
	p := Draw(control.Measure{ID: "flow", Kind: "lifecycle"}, &catalog.Catalog{}, "4w", lines(t,
		figured("2026-08-31", true, fig("new", "", `"form":"band","lo":0,"hi":4`), fig("retained", "", `"form":"band","lo":20,"hi":24`), fig("resurrected", "", `"form":"exact","lo":5,"hi":5`), fig("dormant", "", `"form":"band","lo":5,"hi":9`)),
		`{"start":"2026-09-28","dims":{},"value":{"new":2,"retained":9,"resurrected":1,"dormant":3},"closed":true}`,
		figured("2026-10-26", false, fig("new", "", `"form":"suppressed","why":"the window has not closed yet"`))), now(), true)
	got := allOf(p)
	must(t, got, "25–33", `class="zero"`, `class="t5"`, "whisker", "new", "dormant", "not closed")
	must(t, string(m.Render(p.Number)), "12")
}

// TestStickinessHoldsTheTruth: whatever people are in the ranges, their true mean of days lies in what is drawn.
func TestStickinessHoldsTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := point{figs: map[string]figure{}}
		people, days := 0, 0
		for _, b := range catalog.DayBins() {
			lo, hi := daysOf(b)
			n := rapid.IntRange(0, 12).Draw(t, b)
			for range n {
				days += rapid.IntRange(int(lo), int(hi)).Draw(t, "days")
			}
			people += n
			f := figure{form: chart.Band, lo: float64(n - n%5), hi: float64(n - n%5 + 4)}
			switch rapid.IntRange(0, 4).Draw(t, "form") {
			case 0:
				f = exactly(float64(n))
			case 1:
				f = figure{form: chart.Withheld, why: "w"}
			case 2:
				f.hi = math.Inf(1)
			}
			x.figs[at("value", "days", b)] = f
		}
		x.figs[bare("value")] = figure{form: chart.Band, lo: float64(people - people%5), hi: float64(people - people%5 + 4)}
		if people == 0 {
			return
		}
		truth := float64(days) / float64(people) / 28
		if s := sticky(x); s.form.Told() && (truth < s.lo-1e-9 || truth > s.hi+1e-9) {
			t.Fatalf("%v is not in %v to %v", truth, s.lo, s.hi)
		}
	})
}

func TestLadderSeatsMatrixAndMoments(t *testing.T) {
	b := book(catalog.Measure{ID: "f", Kind: catalog.Adoption, Features: []catalog.Feature{{ID: "mobile_home"}}})
	p := Draw(control.Measure{ID: "f", Kind: "adoption"}, b, "rolling28", lines(t, figured("2026-11-09", true, fig("value", "", `"form":"suppressed","why":"this length of window stays here"`)),
		figured("2026-11-10", true, fig("value", "", `"form":"exact","lo":50,"hi":50`), fig("tried", `{"feature":"mobile_home"}`, `"form":"share","lo":17,"hi":33`), fig("adopted", `{"feature":"mobile_home"}`, `"form":"band","lo":5,"hi":9`), fig("habitual", `{"feature":"mobile_home"}`, `"form":"suppressed","why":"too few people"`))), now(), true)
	must(t, allOf(p), "mobile home", "eligible", "34–66 %", "10–18 %", "Too few people.", `class="band share"`)
	if p.Rows != 1 {
		t.Errorf("%d rows: days that tell nothing are listed", p.Rows)
	}
	p = Draw(control.Measure{ID: "s", Kind: "seats"}, &catalog.Catalog{}, "rolling28", lines(t, figured("2026-11-10", true, fig("value", "", `"form":"band","lo":30,"hi":34`), fig("purchased", "", `"form":"exact","lo":40,"hi":40`), fig("peak", "", `"form":"band","lo":10,"hi":14`))), now(), true)
	must(t, allOf(p), "of 40 seats bought active", "75–85 % of seats", "purchased")
	b = book(catalog.Measure{ID: "n", Kind: catalog.Transitions, Steps: []catalog.Step{{ID: "a"}, {ID: "b"}}})
	p = Draw(control.Measure{ID: "n", Kind: "transitions"}, b, "4w", lines(t, `{"start":"2026-09-28","dims":{"from":"a","to":"b"},"value":12,"closed":true}`, `{"start":"2026-09-28","dims":{"from":"b","to":"a"},"form":"suppressed","why":"too few","closed":true}`), now(), true)
	must(t, allOf(p), "≥ 12", "a, then b: 12", "Too few.", "no figure")
	b = book(catalog.Measure{ID: "x", Kind: catalog.Sufficient, X: "minutes"})
	p = Draw(control.Measure{ID: "x", Kind: "sufficient"}, b, "4w", lines(t, `{"start":"2026-09-28","dims":{},"value":{"n":4,"sum_x":20,"sum_xx":120},"closed":true}`), now(), true)
	must(t, allOf(p), "Mean of minutes", ">5<", "2.58")
	p = Draw(control.Measure{ID: "t", Kind: "first_time"}, &catalog.Catalog{}, "change", lines(t, `{"start":"2026-03-03T08:12:00Z","dims":{},"value":{"value":"3d"},"closed":true}`), now(), true)
	must(t, allOf(p), "within 3 days", "after the first event received here")
}

// TestShareIsNeverNarrowerThanItIs: the true share of any two numbers in their ranges lies in what is written.
func TestShareIsNeverNarrowerThanItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.IntRange(1, 200).Draw(t, "whole")
		v := rapid.IntRange(0, w).Draw(t, "part")
		in := func(n int, name string) figure {
			return figure{form: chart.Band, lo: float64(max(0, n-rapid.IntRange(0, 9).Draw(t, name))), hi: float64(n + rapid.IntRange(0, 9).Draw(t, name))}
		}
		lo, hi, ok := in(v, "v").of(in(w, "w"))
		if share := float64(v) / float64(w); !ok || share < lo-1e-9 || share > hi+1e-9 {
			t.Fatalf("%d of %d is not in %v to %v", v, w, lo, hi)
		}
	})
}

// FuzzNoFigureBreaksAPage: whatever a line holds, the page has no element of its making and no number that is none.
func FuzzNoFigureBreaksAPage(f *testing.F) {
	f.Add(`<script>`, `band`, `{"value":{"new":"<img>","steps":[1,"x",null],"bands":{"1h":[]},"features":{"a":{"tried":"x"}}}}`, -1.0, 1e308)
	f.Add(`tried`, `share`, `{"value":[1]}`, 5.0, 1.0)
	f.Add(`new`, `exact`, `{"value":{"active":[1,2,"x"],"size":-1,"l28":{"1":{}}}}`, 0.0, 0.0)
	f.Fuzz(func(t *testing.T, name, form, value string, lo, hi float64) {
		if math.IsNaN(lo) || math.IsNaN(hi) || math.IsInf(lo, 0) || math.IsInf(hi, 0) {
			return // JSON has no such numbers
		}
		one := Line{Start: "2026-09-28", Dims: map[string]string{}, Form: "figures", Why: name, Closed: true}
		for _, field := range []string{"value", "new", "retained", "tried", "count", "sum_x", name} {
			for _, dims := range []map[string]string{{}, {"offset": "1"}, {"step": name}, {"band": "1h"}, {"feature": name}, {"days": "1"}} {
				one.Figures = append(one.Figures, control.Part{Field: field, Dims: dims, Form: form, Lo: &lo, Hi: &hi, Why: name})
			}
		}
		var two Line
		if json.Unmarshal([]byte(value), &two) != nil {
			two = Line{}
		}
		two.Start, two.Closed = "2026-08-31", true
		three := Line{Start: "2026-09-28", Dims: map[string]string{"from": name, "to": name}, Form: form, Lo: &lo, Hi: &hi, Closed: true}
		b := book(catalog.Measure{ID: "x", X: name, Steps: []catalog.Step{{ID: name}, {ID: "b"}}, Features: []catalog.Feature{{ID: name}}})
		for _, kind := range []string{"lifecycle", "stickiness", "retention", "funnel", "adoption", "seats", "sufficient", "first_time", "transitions", "change", "environment", "count"} {
			for _, all := range [][]Line{{one, two}, {two, one}, {three}} {
				got := allOf(Draw(control.Measure{ID: "x", Kind: kind, Question: name}, b, "4w", all, now(), true))
				if strings.Contains(got, "NaN") || strings.Contains(got, "<script") || strings.Contains(got, "<img") {
					t.Fatalf("%s: %s", kind, got)
				}
			}
		}
	})
}

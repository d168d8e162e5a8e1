package picture

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	m "github.com/fieldpost/fieldpost/agent/console/markup"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func now() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

func lines(t *testing.T, all ...string) []Line {
	t.Helper()
	out := make([]Line, len(all))
	for i, s := range all {
		if err := json.Unmarshal([]byte(s), &out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func text(p Picture) string {
	s := ""
	for _, n := range []m.Node{p.Number, m.Text(p.Note), p.When, p.Chart, p.Table(1, 100, true)} {
		s += string(m.Render(n))
	}
	return s
}

func TestTheNewestClosedFigureIsTheNumber(t *testing.T) {
	p := Draw(control.Measure{ID: "people", Kind: "active_users", Subject: "person"}, &catalog.Catalog{}, "week", lines(t,
		`{"start":"2026-10-26","value":12,"closed":true}`, `{"start":"2026-11-02","value":null,"form":"band","lo":20,"hi":24,"closed":true}`,
		`{"start":"2026-11-09","value":null,"form":"suppressed","why":"the window has not closed yet","closed":false}`), now(), true)
	if got := string(m.Render(p.Number)); got != `<span class="int">20–24<em>band</em></span>` {
		t.Errorf("the number is %s", got)
	}
	if got := text(p); !strings.Contains(got, "the one before: 12") || !strings.Contains(got, "still open") {
		t.Error(got)
	}
}

func TestWhatIsWithheldSaysWhy(t *testing.T) {
	p := Draw(control.Measure{Kind: "lifecycle", Subject: "person"}, &catalog.Catalog{}, "week", lines(t, `{"start":"2026-11-02","form":"suppressed","why":"too few people","closed":true}`, `{"start":"2026-11-09","form":"suppressed","why":"the window has not closed yet","closed":false}`), now(), false)
	if p.Hidden != "too few people" || p.Chart != nil || p.Number != nil {
		t.Errorf("%+v", p)
	}
	if p := Draw(control.Measure{Kind: "gauge"}, &catalog.Catalog{}, "day", nil, now(), false); !strings.Contains(p.Hidden, "no figure in the time") {
		t.Errorf("%+v", p)
	}
}

// TestSilenceIsNeverZero: days nobody reported are gaps, also since the last figure; a count has
// its noughts told, so nothing after its end is drawn.
func TestSilenceIsNeverZero(t *testing.T) {
	p := Draw(control.Measure{Kind: "counter", Subject: "traffic"}, &catalog.Catalog{}, "day", lines(t, `{"start":"2026-11-10","value":{"increase":5},"closed":true}`, `{"start":"2026-11-13","value":{"increase":7},"closed":true}`), now(), true)
	svg := string(m.Render(p.Chart))
	if n := strings.Count(svg, `class="gap"`); n != 2 { // the 11th and 12th, and since the 14th
		t.Errorf("%d gaps: %s", n, svg)
	}
	p = Draw(control.Measure{Kind: "count", Subject: "traffic"}, &catalog.Catalog{}, "day", lines(t, `{"start":"2026-11-10","value":5,"closed":true}`, `{"start":"2026-11-11","value":0,"closed":true}`), now(), true)
	if svg := string(m.Render(p.Chart)); strings.Contains(svg, `class="gap"`) {
		t.Errorf("a count has gaps: %s", svg)
	}
	p = Draw(control.Measure{Kind: "counter", Subject: "traffic"}, &catalog.Catalog{}, "day", lines(t, `{"start":"2026-11-18","dims":{"r":"a"},"value":{"increase":5},"closed":true}`, `{"start":"2026-11-18","dims":{"r":"b"},"value":{"increase":2},"closed":true}`, `{"start":"2026-11-19","dims":{"r":"a"},"value":{"increase":1},"closed":true}`), now(), true)
	if svg := string(m.Render(p.Chart)); strings.Contains(svg, `class="gap"`) || strings.Count(svg, "<path") != 2 {
		t.Errorf("a value that did not happen is no nought: %s", svg)
	}
}

func TestAvailabilityIsJudgedOverTwentyEightDays(t *testing.T) {
	var all []string
	for i := range 40 {
		down := 0
		if i < 5 {
			down = 40000 // long ago
		}
		if i == 39 {
			down = 3000
		}
		all = append(all, fmt.Sprintf(`{"start":%q,"value":{"up":%d,"down":%d,"maintenance":0,"unknown":0,"incidents":%d,"coverage":1},"closed":true}`, now().AddDate(0, 0, i-40).Format(time.DateOnly), 86400-down, down, min(down, 1)))
	}
	p := Draw(control.Measure{Kind: "availability", Subject: "machine", Target: 0.999}, &catalog.Catalog{}, "day", lines(t, all...), now(), true)
	got := text(p)
	for _, w := range []string{"99.88 %", "1 incident", "target 99.9 % missed", "over the budget"} {
		if !strings.Contains(got, w) {
			t.Errorf("%q is not in %s", w, got)
		}
	}
	p = Draw(control.Measure{Kind: "availability", Subject: "machine", Target: 0.999}, &catalog.Catalog{}, "day", lines(t, `{"start":"2026-11-19","value":{"up":0,"down":0,"maintenance":0,"unknown":86400,"incidents":0,"coverage":0},"closed":true}`), now(), true)
	if got := text(p); strings.Contains(got, "100 %") || !strings.Contains(got, "not observed") {
		t.Errorf("not observed is told as up: %s", got)
	}
}

func TestAQuantileLiesInItsBucket(t *testing.T) {
	bounds := []float64{1, 2, 5}
	for _, c := range []struct {
		buckets []float64
		q       float64
		lo, hi  float64
		ok      bool
	}{
		{[]float64{50, 45, 5, 0}, 0.95, 1, 2, true},
		{[]float64{50, 44, 6, 0}, 0.95, 2, 5, true},
		{[]float64{1, 0, 0, 0}, 0.95, 0, 1, true},
		{[]float64{0, 0, 0, 9}, 0.5, 5, math.Inf(1), true},
		{[]float64{0, 0, 0, 0}, 0.5, 0, 0, false},
		{[]float64{1, 2}, 0.5, 0, 0, false},
	} {
		lo, hi, ok := quantile(c.buckets, bounds, c.q)
		if lo != c.lo || hi != c.hi || ok != c.ok {
			t.Errorf("%v at %v: %v to %v, %v", c.buckets, c.q, lo, hi, ok)
		}
	}
}

// TestNoLineBreaksAPage: values of the wrong type, forms and grains of later versions.
func TestNoLineBreaksAPage(t *testing.T) {
	odd := lines(t, `{"start":"2026-11-09","value":"x","closed":true}`, `{"start":"2026-11-10","value":{"up":"x"},"closed":true}`, `{"start":"x","value":1,"closed":true}`, `{"start":"2026-11-11","value":[1],"closed":true}`,
		`{"start":"2026-11-12","form":"later","closed":true}`, `{"start":"2026-11-13","form":"band","closed":true}`, `{"start":"2026-11-14","value":1e308,"closed":true}`, `{"start":"1900-01-01","value":1,"closed":true}`, `{"start":"2026-11-15","value":null,"closed":true}`)
	for _, kind := range []string{"count", "active_users", "lifecycle", "distribution", "gauge", "counter", "histogram", "fact", "availability", "slo", "later"} {
		for _, grain := range []string{"day", "week", "month", "rolling28", "4w", "12w", "change", "hour", "5m", "later"} {
			p := Draw(control.Measure{Kind: kind, Target: 0.9}, &catalog.Catalog{}, grain, odd, now(), true)
			if got := text(p); strings.Contains(got, "NaN") {
				t.Errorf("%s by %s: %s", kind, grain, got)
			}
		}
	}
}

func TestStepsMeetTheCalendar(t *testing.T) {
	for g, want := range map[report.Grain]string{report.Day: "2026-03-02", report.Week: "2026-03-08", report.Month: "2026-04-01", report.Rolling28: "2026-03-02", report.Block4w: "2026-03-29", report.Block12w: "2026-05-24"} {
		start, err := report.ParseStart(g, "2026-03-01")
		if err != nil {
			t.Fatal(err)
		}
		if got := report.StartString(g, Step(g, start)); got != want {
			t.Errorf("%s: %s, not %s", g, got, want)
		}
	}
}

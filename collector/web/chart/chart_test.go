package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/report"
)

func line(forms ...report.Form) []Week {
	out := make([]Week, len(forms))
	for i, f := range forms {
		out[i] = Week{Start: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 7*i), Form: f, Read: "week <" + f.String() + "> & more"}
		if f.HasNumbers() {
			out[i].Interval = report.Interval{Lo: 10, Hi: 10}
			if f == report.Band {
				out[i].Hi = 14
			}
		}
	}
	return out
}

// wide is the drawing for wide places.
func wide(t *testing.T, s string) string {
	t.Helper()
	_, rest, ok := strings.Cut(s, `<svg class="wide"`)
	if !ok {
		t.Fatal("no wide drawing")
	}
	svg, _, _ := strings.Cut(rest, "</svg>")
	return svg
}

func TestALineNeverCrossesAWeekThatWasNotToldExactly(t *testing.T) {
	for _, between := range []report.Form{report.Unknown, report.Suppressed, report.Band} {
		svg := wide(t, string(Line("x", line(report.Exact, report.Exact, between, report.Exact, report.Exact), nil)))
		if n := strings.Count(svg, `class="line"`); n != 2 {
			t.Errorf("%s between: %d lines, want 2", between, n)
		}
	}
	if svg := wide(t, string(Line("x", line(report.Unknown, report.Exact, report.Unknown), nil))); !strings.Contains(svg, "<circle") || strings.Contains(svg, `class="line"`) {
		t.Error("a lone week is a dot")
	}
}

func TestEachFormIsDrawnInItsOwnWay(t *testing.T) {
	svg := wide(t, string(Line("x", line(report.Exact, report.Band, report.Suppressed, report.Suppressed, report.Unknown, report.Unknown), nil)))
	for class, n := range map[string]int{`class="band"`: 1, `class="bandedge"`: 2, `class="supp"`: 1, `class="gap"`: 1, `class="hit"`: 6} {
		if got := strings.Count(svg, class); got != n {
			t.Errorf("%s: %d, want %d", class, got, n)
		}
	}
	open := line(report.Band)
	open[0].Hi = math.Inf(1)
	if svg := wide(t, string(Line("x", open, nil))); !strings.Contains(svg, `class="band open"`) || strings.Count(svg, "bandedge") != 1 {
		t.Error("an open top has no upper edge")
	}
}

func TestDrawingsAreWellFormedEscapedAndWithoutStyle(t *testing.T) {
	weeks := line(report.Exact, report.Band, report.Suppressed, report.Unknown)
	marks := []Mark{{At: weeks[1].Start, Text: `<script>alert("x")</script>`}}
	parts := []Part{{Start: weeks[0].Start, Up: 0.9, Down: 0.001, Maintenance: 0.05, Unknown: 0.049, Read: `<b>`}, {Start: weeks[1].Start, Unknown: 1}}
	for name, s := range map[string]string{
		"line": string(Line(`a "label" <&>`, weeks, marks)), "none": string(Line("x", nil, nil)), "levels": string(Levels("y", parts)), "spark": string(Spark(weeks)),
		"bar": string(Bar(3, 0)), "forms": string(Forms(1, 2, 5, 3, 4)), "long": string(Line("x", line(make([]report.Form, 300)...), nil)),
	} {
		d := xml.NewDecoder(strings.NewReader(s))
		for {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			el, ok := tok.(xml.StartElement)
			if !ok {
				continue
			}
			if el.Name.Local == "script" || el.Name.Local == "style" {
				t.Errorf("%s holds <%s>", name, el.Name.Local)
			}
			for _, a := range el.Attr {
				if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("%s holds %s", name, a.Name.Local)
				}
			}
		}
		if regexp.MustCompile(`NaN|Inf`).MatchString(s) {
			t.Errorf("%s has a coordinate that is no number", name)
		}
	}
}

func TestAMinuteDownIsSeenAndAWholeUnknownWeekIsGrey(t *testing.T) {
	s := wide(t, string(Levels("y", []Part{{Up: 0.9999, Down: 0.0001}, {Unknown: 1}})))
	if !strings.Contains(s, `class="down" x="0" width="429" y="39" height="3"`) {
		t.Errorf("a minute is not 3 px high: %s", s)
	}
	if strings.Count(s, `class="up"`) != 1 || strings.Count(s, `class="unseen"`) != 1 {
		t.Errorf("%s", s)
	}
}

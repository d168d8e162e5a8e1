package strict_test

import (
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
)

func TestNearest(t *testing.T) {
	words := []string{"events", "event", "metric", "retention", "question", "4w", "id"}
	for word, want := range map[string]string{
		"evnets":                 "events",    // swapped
		"metrics":                "metric",    // one too many
		"retntion":               "retention", // one missing
		"QUESTION":               "question",
		"event":                  "event",
		"ids":                    "id",
		"colour":                 "",
		"":                       "",
		"x":                      "",
		strings.Repeat("e", 300): "",
	} {
		if got := strict.Nearest(word, words); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := strict.Nearest("any", nil); got != "" {
		t.Error(got)
	}
}

func TestNearestOfAWordItselfIsThatWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z_]{1,12}`), 1, 8, rapid.ID[string]).Draw(t, "words")
		w := rapid.SampledFrom(words).Draw(t, "word")
		if got := strict.Nearest(w, words); got != w {
			t.Fatalf("%q is nearest to %q", w, got)
		}
		// One slip in a longer word is always forgiven.
		if len(w) >= 3 {
			i := rapid.IntRange(0, len(w)-1).Draw(t, "slip")
			if got := strict.Nearest(w[:i]+w[i+1:], []string{w}); got != w {
				t.Fatalf("%q without letter %d is nearest to %q", w, i, got)
			}
		}
	})
}

func TestSpanReadsBack(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "forever", time.Second: "1s", 90 * time.Second: "90s", 15 * time.Minute: "15m", time.Hour: "1h", 36 * time.Hour: "36h",
		48 * time.Hour: "2d", 7 * 24 * time.Hour: "7d", 730 * 24 * time.Hour: "730d",
	} {
		if got := strict.Span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
		if d == 0 {
			continue
		}
		var r strict.Reader
		if got := r.Duration(scalar(want), "", time.Second, 1000*24*time.Hour); got != d || r.Err() != nil {
			t.Errorf("%q reads as %v, %v", want, got, r.Err())
		}
	}
}

func scalar(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func TestDurations(t *testing.T) {
	for s, ok := range map[string]bool{
		"60s": true, "1m": true, "2h": true, "1d": true, "1w": true, "07d": true,
		"59s": false, "8d": false, "-1h": false, "+1h": false, "1.5h": false, "1h30m": false, "h": false, "": false, "1": false,
		"1y": false, " 1h": false, "1h ": false, "99999999999999999999h": false, "9223372036854775807w": false, "1H": false, "１h": false,
	} {
		var r strict.Reader
		r.Duration(scalar(s), "x", time.Minute, 7*24*time.Hour)
		if err := r.Err(); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestIDs(t *testing.T) {
	long := strings.Repeat("a", 64)
	for s, ok := range map[string][2]bool{ // as an id, as a name
		"a": {true, true}, "saved_twice-2": {true, true}, long: {true, true}, long + "a": {},
		"http.route": {false, true}, "userId": {false, true}, "A": {false, true},
		"": {}, "9a": {}, "_a": {}, ".a": {}, "a.": {}, "a b": {}, "a\n": {}, "a=b": {}, "a/b": {}, "ä": {}, "a,b": {}, "../a": {},
	} {
		if got := [2]bool{strict.ValidID(s), strict.ValidName(s)}; got != ok {
			t.Errorf("%q: %v, want %v", s, got, ok)
		}
	}
}

func TestErrorsAreSortedAndCapped(t *testing.T) {
	var r strict.Reader
	for i := range 60 {
		r.Fail(&yaml.Node{Line: 100 - i, Column: 1}, "x", strict.CodeBadText, "", "bad")
	}
	es, ok := r.Err().(*strict.Errors)
	if !ok || len(es.List) != 50 || es.More != 10 || es.List[0].Line != 51 {
		t.Fatalf("%+v", es)
	}
	if !strings.HasSuffix(es.Error(), "\nand 10 more") {
		t.Error(es.Error())
	}
	var none strict.Reader
	if err := none.Err(); err != nil {
		t.Error(err)
	}
}

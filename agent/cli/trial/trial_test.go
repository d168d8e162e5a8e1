package trial

import (
	"io"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

func forge(t *testing.T) *catalog.Catalog {
	t.Helper()
	raw, err := os.ReadFile("../../../installer/examples/forge/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMadeUpEventsAreTheSameEachTime(t *testing.T) {
	c := forge(t)
	first, err := io.ReadAll(newMade(c, 9, 14, 0.6))
	if err != nil {
		t.Fatal(err)
	}
	again, err := io.ReadAll(newMade(c, 9, 14, 0.6))
	if err != nil {
		t.Fatal(err)
	}
	if len(first) < 1000 || !slices.Equal(first, again) {
		t.Errorf("%d and %d bytes", len(first), len(again))
	}
}

// The shares are those of the real gate: nothing of eight people but that it is in use, most of eighty.
func TestSharesFollowTheSizeOfTheSite(t *testing.T) {
	c := forge(t)
	small, err := Shares(t.Context(), Config{Catalog: c, Users: 8, People: 8})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range small[1:] {
		if s.Usable() > 0 && s.Measure != "people" {
			t.Errorf("of eight people: %+v", s)
		}
	}
	large, err := Shares(t.Context(), Config{Catalog: c, Users: 80, People: 80})
	if err != nil {
		t.Fatal(err)
	}
	if all := large[0]; all.Usable()*100 < 85*all.Figures || all.Figures < 100 || all.Exact == 0 {
		t.Errorf("of eighty people: %+v", all)
	}
	for _, s := range large {
		if s.Exact+s.Band+s.Share+s.Implied+s.Noised+s.Suppressed != s.Figures {
			t.Errorf("the forms do not add up: %+v", s)
		}
	}
	again, err := Shares(t.Context(), Config{Catalog: c, Users: 80, People: 80})
	if err != nil || !reflect.DeepEqual(large, again) {
		t.Errorf("a second time: %v %v", again, err)
	}
}

// A trial leaves nothing behind.
func TestTheStateIsThrownAway(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	if _, _, err := Newest(t.Context(), Config{Catalog: forge(t), Files: []string{"../../../installer/examples/forge/installations/oklog--oklog.jsonl.gz"}}); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

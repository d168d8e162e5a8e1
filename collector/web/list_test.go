package web

import (
	"testing"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/board"
)

func TestFiltersCompareNumbersAsNumbers(t *testing.T) {
	a := &store.AccountRow{Account: store.Account{Key: "k", Name: "Nordic Rail", Attributes: map[string]string{"seats": "90", "plan": "Team"}}, Environments: []string{"pilot"}}
	for text, want := range map[string]bool{"seats>=100": false, "seats>=9": true, "seats<=90": true, "plan=team": true, "plan!=Team": false, "name~rail": true, "price>=1": false, "price!=1": false,
		"environment=pilot": true, "environment=production": false, "key=k": true} {
		f, err := parseFilters([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		if got := board.Fits(a, f[0]); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, bad := range []string{"", "seats", "=5", "seats<5", "seats>5"} {
		if _, err := parseFilters([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestVersionsAreComparedByTheirNumbers(t *testing.T) {
	if got := newestVersion(map[string]int{"0.9.0": 1, "0.10.0": 2, "0.2.11": 3}); got != "0.10.0" {
		t.Error(got)
	}
}

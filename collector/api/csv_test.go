package api

import (
	"encoding/csv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestS61_safeLeavesNoFormulaAndLosesNoText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[ "']{0,2}[=+\-@＝＋－＠|%\t\ra-z0-9]{0,2}[a-zA-Z0-9()"',;|!=+\n-]{0,12}`).Draw(t, "text")
		line := cell(s) + ",1\r\n"
		rows, err := csv.NewReader(strings.NewReader(line)).ReadAll()
		if err != nil || len(rows) != 1 || len(rows[0]) != 2 {
			t.Fatalf("%q became %q: %v", s, line, err)
		}
		got := rows[0][0]
		// The reader turns a lone \r\n inside quotes into \n; nothing else may change.
		if want := strings.ReplaceAll(s, "\r\n", "\n"); strings.TrimPrefix(got, "'") != want && got != want {
			t.Fatalf("%q is read as %q", s, got)
		}
		first := strings.TrimLeft(got, " \"")
		if first != "" && strings.ContainsRune("=@＝＠\t|%", []rune(first)[0]) {
			t.Fatalf("%q begins a formula", got)
		}
	})
}

func TestNumbersStayNumbers(t *testing.T) {
	half := 0.5
	for v, want := range map[any]string{-5: "-5", int64(1e15): "1000000000000000", 12.25: "12.25", "-5": `"-5"`, "-5+1": `"'-5+1"`, true: "true", "": ""} {
		if got := cell(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if got := cell(&half) + cell((*float64)(nil)); got != "0.5" {
		t.Error(got)
	}
}

package pages

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// kindAddresses are an account of each form for each kind, and the pages about many accounts.
func kindAddresses() []string {
	var out []string
	for i, m := range []string{"people", "habit", "kept", "sending", "parts", "first_sent", "next", "seats", "test_by_site", "moved", "stage", "flow"} {
		out = append(out, "/accounts/"+seed.Key(i%7)+"?m="+m, "/accounts/"+seed.Key(13)+"?m="+m)
	}
	return append(out, "/accounts/"+seed.Key(2)+"?m=people", "/accounts/"+seed.Key(2)+"?m=parts", "/accounts/"+seed.Key(3)+"?m=flow", "/accounts?m=habit&sort=figure&desc=1", "/measures/kept", "/measures/habit?by=industry", "/measures/people?by=seats", "/measures/flow?by=size&field=new", "/measures/second_order",
		"/pool", "/pool?env=pilot", "/answers", "/answers?q=orders", "/answers?q=nobody+asks+this")
}

func TestEveryKindRendersInEveryForm(t *testing.T) {
	s := newKinds(t, seed.Config{})
	c := s.user(t, "root", access.Viewer)
	all := ""
	for _, a := range kindAddresses() {
		status, body, _ := get(t, c, s.URL+a)
		if status != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(body), "</html>") || strings.Contains(body, "ZgotmplZ") || strings.Contains(body, " style=") || strings.Contains(body, "NaN") || strings.Contains(body, "+Inf") {
			t.Errorf("%s: %d or not whole", a, status)
		}
		for _, href := range regexp.MustCompile(`href="(/api/v1/[^"]+\.csv[^"]*)"`).FindAllStringSubmatch(body, -1) {
			status, csv, _ := get(t, c, s.URL+strings.ReplaceAll(href[1], "&amp;", "&"))
			if status != http.StatusOK || !strings.Contains(csv, ",") {
				t.Errorf("%s: its CSV %s: %d %.200s", a, href[1], status, csv)
			}
		}
		all += body
	}
	for _, word := range []string{">band<", ">share<", ">noised<", ">implied<", ">partial<", ">withheld<", "unknown", "too early", "sitting on a volcano", "(other)", "fewer than 100 accounts", "± ", "Without the largest"} {
		if !strings.Contains(all, word) {
			t.Errorf("no page says %q", word)
		}
	}
}

// TestKindsGolden pins what is drawn and said of each kind, in its narrow form.
func TestKindsGolden(t *testing.T) {
	s := newKinds(t, seed.Config{Accounts: 14})
	c := s.user(t, "root", access.Viewer)
	for name, a := range map[string]string{
		"active-noised": "/accounts/acme-012?m=people", "stickiness-bands": "/accounts/acme-001?m=habit", "retention-bands": "/accounts/acme-001?m=kept", "retention-pool": "/accounts/acme-000?m=kept",
		"funnel-exact": "/accounts/acme-000?m=sending", "adoption-shares": "/accounts/acme-002?m=parts", "seats-bands": "/accounts/acme-001?m=seats", "first": "/accounts/acme-001?m=first_sent",
		"transitions-exact": "/accounts/acme-007?m=next", "sufficient": "/accounts/acme-000?m=test_by_site", "change": "/accounts/acme-000?m=moved", "environment": "/accounts/acme-000?m=stage",
		"lifecycle-two": "/accounts/acme-003?m=flow", "lifecycle-withheld": "/accounts/acme-004?m=flow",
	} {
		t.Run(name, func(t *testing.T) {
			_, body, _ := get(t, c, s.URL+a)
			_, rest, found := strings.Cut(body, `<section class="card" id="kind">`)
			part, _, closed := strings.Cut(rest, "</section>")
			if !found || !closed {
				t.Fatalf("%s has no drawing", a)
			}
			part = regexp.MustCompile(`(?s)<svg class="(wide|mid)".*?</svg>`).ReplaceAllString(part, "")
			part = strings.NewReplacer("<tr>", "\n<tr>", "<svg", "\n<svg", "<rect", "\n<rect", "<div", "\n<div").Replace(part)
			file := filepath.Join("testdata", "kinds", name+".golden")
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(part), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if part != string(want) {
				t.Errorf("%s differs from %s; `go tool dev golden` rewrites it after a look", a, file)
			}
		})
	}
}

package pages

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
)

// addresses are one of each page, with a fleet of the seed behind it.
func addresses() []string {
	return []string{"/", "/?env=pilot", "/accounts", "/accounts?f=region%3DDACH&f=seats%3E%3D50&sort=figure&desc=1&pin=acme-003&col=owner", "/accounts?word=silent", "/accounts?q=nobody-is-called-this",
		"/accounts/" + seed.Key(0), "/accounts/" + seed.Key(1), "/accounts/" + seed.Key(3) + "?m=active_authors", "/accounts/" + seed.Key(4), "/accounts/" + seed.Key(5), "/accounts/" + seed.Key(8), "/accounts/" + seed.Key(9),
		"/fleet", "/fleet?silent=14&sort=last_report&desc=1", "/fleet/" + seed.Key(0) + "/main", "/fleet/" + seed.Key(8) + "/main", "/measures", "/measures/people", "/measures/web", "/measures/latency", "/quarantine", "/quarantine?account=" + seed.Key(4), "/settings", "/start"}
}

// shown are those that look different from one another.
func shown() []string {
	return []string{"/", addresses()[3], addresses()[5], "/accounts/" + seed.Key(0), "/accounts/" + seed.Key(3), "/accounts/" + seed.Key(4), "/accounts/" + seed.Key(9), "/fleet", "/fleet/" + seed.Key(4) + "/main",
		"/measures", "/measures/people", "/measures/latency", "/quarantine", "/settings", "/start"}
}

func TestEachPageRendersForAnAdministrator(t *testing.T) {
	s := newSite(t, &seed.Config{})
	c := s.user(t, "root", access.Admin)
	for _, a := range addresses() {
		status, body, h := get(t, c, s.URL+a)
		if status != http.StatusOK {
			t.Errorf("%s: %d\n%s", a, status, body)
			continue
		}
		if !strings.HasSuffix(strings.TrimSpace(body), "</html>") || strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "<no value>") {
			t.Errorf("%s is not whole", a)
		}
		if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: policy %q", a, h.Get("Content-Security-Policy"))
		}
		if strings.Contains(body, " style=") || strings.Contains(body, "<style") || strings.Contains(body, "onclick") {
			t.Errorf("%s has inline style or script", a)
		}
	}
}

// TestServe stays up for looking: FIELDPOST_LOOK=1 go test -run TestServe -timeout 0.
func TestServe(t *testing.T) {
	if os.Getenv("FIELDPOST_LOOK") == "" {
		t.Skip("only with FIELDPOST_LOOK=1")
	}
	s := newSite(t, &seed.Config{})
	if os.Getenv("FIELDPOST_LOOK") == "kinds" {
		s = newKinds(t, seed.Config{})
	}
	if err := s.access.PutUser(t.Context(), "test", "admin", access.Admin, false); err != nil {
		t.Fatal(err)
	}
	path, err := s.access.LoginLink(t.Context(), "test", "admin")
	if err != nil {
		t.Fatal(err)
	}
	os.Stderr.WriteString(s.URL + path + "\n")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	<-ctx.Done()
}

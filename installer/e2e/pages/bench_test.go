package pages

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
)

// BenchmarkPages serves each page of a fleet of 1,000 installations × 1 year over TLS and
// reports percentiles. EXPERIENCE asks for p95 ≤ 200 ms.
//
//	go test -run '^$' -bench Pages -benchtime 200x ./installer/e2e/pages
func BenchmarkPages(b *testing.B) {
	begin := time.Now()
	s := newSite(b, &seed.Config{Accounts: 910, Weeks: 52})
	b.Logf("seeded in %v", time.Since(begin).Round(time.Second))
	c := s.user(b, "root", access.Admin)
	for _, p := range []struct{ name, path string }{
		{"account", "/accounts/%s"}, {"overview", "/"}, {"accounts", "/accounts?sort=figure&desc=1"}, {"fleet", "/fleet?page=%d"}, {"installation", "/fleet/%s/main"},
		{"measures", "/measures"}, {"measure", "/measures/people"}, {"quarantine", "/quarantine"}, {"api-measurements", "/api/v1/measurements?account=%s&limit=1000"}, {"api-accounts", "/api/v1/accounts?m=people"},
	} {
		b.Run(p.name, func(b *testing.B) {
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				path := p.path
				switch p.name {
				case "account", "installation", "api-measurements":
					path = fmt.Sprintf(path, seed.Key(i*7%910))
				case "fleet":
					path = fmt.Sprintf(path, i%20+1)
				}
				// The site's clock moves on, so that every hundredth reader finds the sum over all
				// accounts too old.
				s.clock = func() time.Time { return now().Add(time.Duration(i/100) * time.Minute) }
				at := time.Now()
				status, body, _ := get(b, c, s.URL+path)
				took = append(took, time.Since(at))
				if status != 200 {
					b.Fatalf("%s: %d %s", path, status, body)
				}
			}
			slices.Sort(took)
			for _, q := range []int{50, 95, 100} {
				b.ReportMetric(float64(took[(len(took)-1)*q/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", q))
			}
		})
	}
}

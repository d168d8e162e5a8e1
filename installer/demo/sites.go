package demo

import (
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// site is one installation of the demo and what its customer decided.
type site struct {
	account, installation string
	environment           string
	levels                map[string]exchange.Level // nil: nothing was decided, nothing leaves
	people                int                       // the number the customer named; 0: none
	offline               [2]time.Time              // cut off in between; zero: never
	checked               bool                      // a simulated check watches its web front end
}

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err) // only constants of this file
	}
	return t
}

// sites are sixteen of the bundled installations: large and tiny ones, one that died in 2018, three
// of one account, two that decided nothing.
func sites() []site {
	all := func(usage exchange.Level) map[string]exchange.Level {
		return map[string]exchange.Level{catalog.Inventory: exchange.Aggregate, catalog.SLA: exchange.Aggregate, catalog.Usage: usage}
	}
	return []site{
		{"prometheus", "prometheus", "production", all(exchange.Totals), 0, [2]time.Time{}, true},
		{"VictoriaMetrics", "VictoriaMetrics", "production", all(exchange.Aggregate), 40, [2]time.Time{}, true},
		{"tailscale", "tailscale", "production", all(exchange.Aggregate), 0, [2]time.Time{day("2024-02-01"), day("2025-03-01")}, true},
		{"open-telemetry", "opentelemetry-collector", "production", all(exchange.Aggregate), 120, [2]time.Time{}, true},
		{"open-telemetry", "otel-arrow", "pilot", all(exchange.Totals), 0, [2]time.Time{}, false},
		{"open-telemetry", "opamp-spec", "trial", all(exchange.Aggregate), 0, [2]time.Time{}, false},
		{"nats-io", "nats-server", "production", all(exchange.Totals), 0, [2]time.Time{}, true},
		{"nats-io", "nats.docs", "production", all(exchange.Aggregate), 0, [2]time.Time{}, false},
		{"redpanda-data", "connect", "production", all(exchange.Aggregate), 60, [2]time.Time{}, true},
		{"growthbook", "growthbook", "production", all(exchange.Totals), 0, [2]time.Time{}, true},
		{"OWASP", "ASVS", "production", all(exchange.Aggregate), 0, [2]time.Time{}, false},
		{"fluent", "fluent-bit-docs", "production", all(exchange.Aggregate), 0, [2]time.Time{}, false},
		{"replicatedhq", "troubleshoot", "pilot", all(exchange.Aggregate), 0, [2]time.Time{}, true},
		{"oklog", "oklog", "production", all(exchange.Totals), 0, [2]time.Time{}, false},
		{"KDE", "kuserfeedback", "trial", nil, 0, [2]time.Time{}, false},
		{"golang", "telemetry", "trial", nil, 0, [2]time.Time{}, false},
	}
}

// The simulated check: results every five minutes over the last weeks of the demo. There is no
// recorded service level in the bundled data, so this is made up and every batch says simulated.
const (
	checkWeeks = 13
	checkEvery = 5 * time.Minute
)

// probed gives the results of a simulated web front end, one a record. The same installation
// always has the same incidents: about one in two months, minutes to an hour long; announced
// maintenance on the first Sunday of a month; once the agent itself was down for six hours.
func probed(s site, index uint16, end time.Time) iter.Seq[*record.Record] {
	h := fnv.New64a()
	h.Write([]byte(s.account + "/" + s.installation))
	seed := h.Sum64()
	begin := end.Add(-checkWeeks * 7 * 24 * time.Hour).Truncate(time.Hour)
	return func(yield func(*record.Record) bool) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		silent := begin.Add(time.Duration(rnd.IntN(checkWeeks*7*24)) * time.Hour)
		var downUntil time.Time
		for t := begin; t.Before(end); t = t.Add(checkEvery) {
			if !t.Before(silent) && t.Before(silent.Add(6*time.Hour)) {
				continue
			}
			if rnd.IntN(60*24*12) == 0 {
				downUntil = t.Add(time.Duration(5+rnd.ExpFloat64()*25) * time.Minute)
			}
			maintenance := t.Weekday() == time.Sunday && t.Day() <= 7 && t.Hour() >= 2 && t.Hour() < 4
			r := &record.Record{Kind: record.Probed, Received: t.Add(time.Second).UnixNano(), Results: []record.Result{{Probe: index, Time: t.UnixNano(),
				Interval: int64(checkEvery), Up: !t.Before(downUntil) && !maintenance, Maintenance: maintenance, Duration: int64(time.Duration(20+rnd.IntN(80)) * time.Millisecond)}}}
			if !yield(r) {
				return
			}
		}
	}
}

package run

import (
	"math"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// BurnMost is how long the slots of a budget are kept, in seconds: the longest window of a rate.
const BurnMost = int64(3 * 24 * 3600)

// Burning is the burn rate of the run now; false when it is no slo, has a person as subject, promises
// nothing or is followed by a newer definition. Each window is the five-minute slots that lie in it,
// the one being filled included.
func (r *Run) Burning(f *World) (series.Burn, bool) {
	if r.M.Kind != catalog.SLO || r.Traffic == nil || r.M.Target <= 0 || r.M.Target >= 1 || r.Spans[report.FiveMinutes].Until != math.MaxInt64 {
		return series.Burn{}, false
	}
	out := series.Burn{Measure: r.M.ID, Target: r.M.Target, MinValid: max(1, r.M.MinValid)}
	slot := f.Cal.Start(report.FiveMinutes, f.Now)
	for i, w := range [3][2]time.Duration{{5 * time.Minute, time.Hour}, {30 * time.Minute, 6 * time.Hour}, {6 * time.Hour, 72 * time.Hour}} {
		p := series.BurnPair{Short: w[0], Long: w[1]}
		p.ShortRate, p.ShortValid = r.burnRate(slot, w[0])
		p.LongRate, p.LongValid = r.burnRate(slot, w[1])
		p.Known = p.ShortValid >= out.MinValid && p.LongValid >= out.MinValid
		out.Pairs[i] = p
	}
	return out, true
}

// burnRate is the share of bad ones over the share the target allows.
func (r *Run) burnRate(slot int64, w time.Duration) (rate float64, valid int64) {
	var good, all uint64
	for start, n := range r.Traffic.Burn {
		if start <= slot && start > slot-int64(w/time.Second) {
			good += n[0]
			all += n[1]
		}
	}
	if all == 0 {
		return 0, 0
	}
	bad := 1 - float64(good)/float64(all)
	return max(0, bad) / (1 - r.M.Target), int64(all)
}

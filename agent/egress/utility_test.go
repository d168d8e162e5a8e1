package egress

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func TestUtilityTable(t *testing.T) {
	sizes := []int{8, 15, 25, 80, 300}
	if v := os.Getenv("SIZES"); v != "" {
		sizes = nil
		for _, x := range strings.Split(v, ",") {
			n, _ := strconv.Atoi(x)
			sizes = append(sizes, n)
		}
	}
	c := simulated(t)
	type tally [7]int
	for _, n := range sizes {
		all, by := tally{}, map[string]*tally{}
		why := map[string]map[Reason]int{}
		start := time.Now()
		for _, active := range []float64{0.3, 0.6, 0.95} {
			for seed := range uint64(3) {
				s := newStaff(n, active, rand.New(rand.NewPCG(seed, uint64(n))))
				s.live(0, 40)
				x := newTells(t, c, s, exchange.Aggregate)
				x.out = func(w Window, cells []Ruled) {
					for _, r := range cells {
						if isPublic(r.Field) || r.Reason == StaysByKind || r.Reason == RoleMerged || r.Reason == OneRole {
							continue
						}
						id := fmt.Sprintf("%s %s %d", c.Measures[w.Measure].ID, w.Grain, r.Breakdown)
						if by[id] == nil {
							by[id], why[id] = &tally{}, map[Reason]int{}
						}
						by[id][r.Form]++
						all[r.Form]++
						if r.Form == report.Suppressed {
							why[id][r.Reason]++
						}
					}
				}
				for w := range 36 {
					x.week(w)
					if w%4 == 3 {
						x.block(w / 4)
					}
					if w == 23 {
						x.cohort(0)
					}
				}
			}
		}
		share := func(x tally) string {
			sum := 0
			for _, k := range x {
				sum += k
			}
			return fmt.Sprintf("exact %3d%% band %3d%% share %3d%% implied %3d%% suppressed %3d%%", x[1]*100/sum, x[2]*100/sum, x[3]*100/sum, x[4]*100/sum, x[6]*100/sum)
		}
		t.Logf("%3d people: %s (%v)", n, share(all), time.Since(start).Round(time.Millisecond))
		for id, x := range by {
			t.Logf("      %-20s %s %v", id, share(*x), why[id])
		}
	}
}

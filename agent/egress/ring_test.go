package egress

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/egress/egresstest"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// personWeeks is what somebody with pencil and paper concludes from the weeks of a block and on how many days people
// came: who came on 8 days was there in two weeks at least, who came on 21 in three, and the weeks have room for so many.
type personWeeks struct {
	weeks [4][2]int
	total [2]int
	bins  [6][2]int
}

// conclude tries every way in which the bins could be filled; false: none fits. The bins of up to seven days, which all take a
// week at least, are tried as one sum.
func (x *personWeeks) conclude() (total [2]int, bins [6][2]int, ok bool) {
	least, room, busiest := 0, 0, 0
	for _, w := range x.weeks {
		least, room, busiest = least+w[0], room+w[1], max(busiest, w[0])
	}
	none := [2]int{many, -1}
	total, bins = none, [6][2]int{none, none, none, none, none, none}
	seen := func(of *[2]int, lo, hi int) { *of = [2]int{min(of[0], lo), max(of[1], hi)} }
	short := x.bins[:3]
	var n [6]int
	for n[3] = x.bins[3][0]; n[3] <= x.bins[3][1]; n[3]++ {
		for n[4] = x.bins[4][0]; n[4] <= x.bins[4][1]; n[4]++ {
			for n[5] = x.bins[5][0]; n[5] <= x.bins[5][1]; n[5]++ {
				long := n[3] + n[4] + n[5]
				from := max(short[0][0]+short[1][0]+short[2][0], max(x.total[0], busiest)-long)
				to := min(short[0][1]+short[1][1]+short[2][1], x.total[1]-long, room-2*n[3]-2*n[4]-3*n[5])
				// The short ones fill the weeks best when as many as can be came on 4–7 days, then on 2–3.
				for ; from <= to; from++ {
					c := min(short[2][1], from-short[0][0]-short[1][0])
					b := min(short[1][1], from-short[0][0]-c)
					if from-b-c+3*b+4*c+4*long >= least {
						break
					}
				}
				if from > to {
					continue
				}
				ok = true
				seen(&total, from+long, to+long)
				for i := range 3 {
					others := [2]int{-short[i][0], -short[i][1]}
					for _, o := range short {
						others = [2]int{others[0] + o[0], others[1] + o[1]}
					}
					seen(&bins[i], max(short[i][0], from-others[1]), min(short[i][1], to-others[0]))
				}
				for i := 3; i < 6; i++ {
					seen(&bins[i], n[i], n[i])
				}
			}
		}
	}
	return total, bins, ok
}

// visits is how many people of a site were active in each week of a block, in all, and by bin of days.
type visits struct {
	people int
	weeks  [4]float64
	total  float64
	bins   [6]float64
}

// chanceVisits lets chance decide who comes.
func chanceVisits(r *rand.Rand) visits {
	x := visits{people: 12 + r.IntN(16)}
	active := 0.05 + 0.45*r.Float64()
	for range x.people {
		days := 0
		for w := range x.weeks {
			if r.Float64() < active {
				x.weeks[w]++
				days += 1 + r.IntN(7)
			}
		}
		if days > 0 {
			x.total++
			x.bins[egresstest.Bin(days)]++
		}
	}
	return x
}

// TestAttackPersonWeeks: weeks, the block and its days are told of the same people, and their relations go round: 16 people at
// most in four weeks, five of whom came on 4–7 days, leave room for three who came on 21 days or more. No single relation says so, only
// all of them assumed together.
func TestAttackPersonWeeks(t *testing.T) {
	t.Parallel()
	c, err := egresstest.Parse([]string{"a"}, "id: people\n    kind: active_users\n    events: [a]", "id: sticky\n    kind: stickiness\n    events: [a]")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	sites := []visits{ // of which single bounds said too little
		{people: 25, weeks: [4]float64{4, 7, 7, 4}, total: 16, bins: [6]float64{3, 3, 5, 5}},
		{people: 27, weeks: [4]float64{4, 9, 6, 9}, total: 18, bins: [6]float64{1, 1, 10, 6}},
	}
	for range 240 {
		sites = append(sites, chanceVisits(r))
	}
	bad := 0
	for _, site := range sites {
		x := site.tell(t, c)
		total, bins, ok := x.conclude()
		if !ok {
			t.Fatalf("%+v: what was told contradicts itself: %+v", site, x)
		}
		for n, in := range append(bins[:], total) {
			what, least := fmt.Sprintf("in the bin of days %d", n), leastTold
			if n == len(bins) {
				what, least = "active in the block", leastTotal
			}
			public, known := in[0] == 0 && in[1] >= site.people, in[0] == in[1] && in[0] >= least && site.people-in[0] >= least
			if in[1]-in[0]+1 < 5 && !public && !known {
				if bad++; bad < 4 {
					t.Errorf("%+v, told %+v: %v are %s", site, x, in, what)
				}
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d counts are known too well", bad)
	}
}

// tell is what a gate tells of a site.
func (v visits) tell(t *testing.T, c *catalog.Catalog) (x personWeeks) {
	t.Helper()
	zero := report.CivilStart(report.Block12w, 20000)
	p := policy(c, exchange.Aggregate, v.people)
	g := New(Config{Zone: inUTC, Catalog: func([8]byte) *catalog.Catalog { return c }})
	g.Begin(time.Unix(zero*86400, 0), p, fixed{v.people, v.people})
	d := &driven{t: t, c: c, gate: g, p: p, about: map[report.Series]map[int64]answer{}}
	in := func(id string, grain report.Grain, start int64, breakdown uint8, v1 int) [2]int {
		lo, hi, _ := d.in(id, grain, start, report.Value, breakdown, v1)
		return [2]int{lo, min(hi, v.people)}
	}
	for w, n := range v.weeks {
		start := zero + int64(w)*7
		d.close(egresstest.Window{Measure: "people", Grain: report.Week, Start: start, Cells: map[report.Series]float64{value: n}})
		x.weeks[w] = in("people", report.Week, start, 0, 0)
	}
	cells := map[report.Series]float64{value: v.total}
	d.close(egresstest.Window{Measure: "people", Grain: report.Block4w, Start: zero, Cells: cells})
	for n, k := range v.bins {
		cells[report.Series{Field: report.Value, Breakdown: 1, V1: uint16(n)}] = k
	}
	d.close(egresstest.Window{Measure: "sticky", Grain: report.Rolling28, Start: zero + 27, Cells: cells})
	x.total = in("people", report.Block4w, zero, 0, 0)
	for n := range x.bins {
		x.bins[n] = in("sticky", report.Rolling28, zero+27, 1, n)
	}
	return x
}

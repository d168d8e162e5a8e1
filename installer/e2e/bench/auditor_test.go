package bench

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/measure/measuretest"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// sizes are the gate's questions about a fold's people.
type sizes struct {
	fold *measure.Fold
	now  int64
}

func (s sizes) Known() int   { return s.fold.Known(s.now) }
func (s sizes) Users28() int { return s.fold.Seen(s.now, 28*24*time.Hour) }
func (s sizes) Users84() int { return s.fold.Seen(s.now, 84*24*time.Hour) }
func (s sizes) Holders(trait string) map[string]int {
	return s.fold.Holders(s.now, measure.DefaultRemember, trait)
}

// BenchmarkAuditor lets a site of 400 people and 60 measures tell all it may for two years, which is 26 blocks of
// four weeks, and another 12 weeks, and reports what the rules cost then: s/week is the median of all a
// week releases, its days and what ends with it; s/block the dearest week of those with which a block of four or twelve ends; ms/window the dearest window.
// BENCH_WEEKS makes it shorter.
func BenchmarkAuditor(b *testing.B) {
	weeks, watched := int64(26*4+12), int64(12)
	if n, err := strconv.Atoi(os.Getenv("BENCH_WEEKS")); err == nil {
		weeks = int64(n)
	}
	cat, err := measuretest.Catalog()
	if err != nil {
		b.Fatal(err)
	}
	policy := egress.Policy{Accepted: cat, Statement: &exchange.Statement{Catalog: exchange.Hash(cat.Hash),
		Categories: []exchange.Decision{{Category: catalog.Usage, Level: exchange.Aggregate}}}}
	for b.Loop() {
		gate := egress.New(egress.Config{Zone: func(int64) *time.Location { return time.UTC }, Catalog: func([8]byte) *catalog.Catalog { return cat }})
		site := measuretest.Site{Users: 400, PerUser: 4, Begin: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}
		cost, blocks := map[int64]time.Duration{}, map[int64]bool{}
		var dearest time.Duration
		left := 0
		week := func(at int64) int64 { return (at - site.Begin.UnixNano()) / int64(7*24*time.Hour) }
		fold := measure.New(measure.Config{SimpleLocal: true, Catalog: func([8]byte) *catalog.Catalog { return cat }, Closed: func(w *measure.Window) {
			begin := time.Now()
			cells, leave, err := gate.Judge(egress.Window{Catalog: w.Catalog, Measure: w.Measure, Grain: w.Grain, Start: w.Start, Cells: w.Cells}, policy)
			took := time.Since(begin)
			if err != nil {
				b.Fatal(err)
			}
			if leave {
				left += len(cells)
			}
			cost[week(w.Closed)] += took
			blocks[week(w.Closed)] = blocks[week(w.Closed)] || (leave && w.Grain == report.Block4w)
			if week(w.Closed) >= weeks-watched {
				dearest = max(dearest, took)
			}
		}})
		no := uint64(0)
		for day := range int(weeks) * 7 {
			if err := site.Day(cat, day, func(r *record.Record) error {
				no++
				if t := time.Unix(0, r.Received); !gate.Fixed(t) {
					gate.Begin(t, policy, sizes{fold, r.Received})
				}
				return fold.Apply(no, r)
			}); err != nil {
				b.Fatal(err)
			}
		}
		var plain, ending []time.Duration
		for w := weeks - watched; w < weeks; w++ {
			if blocks[w] {
				ending = append(ending, cost[w])
			} else {
				plain = append(plain, cost[w])
			}
		}
		if left == 0 || len(ending) == 0 || len(plain) == 0 {
			b.Fatalf("%d cells left; weeks %v, ends of blocks %v: nothing was measured", left, plain, ending)
		}
		slices.Sort(plain)
		slices.Sort(ending)
		b.ReportMetric(plain[len(plain)/2].Seconds(), "s/week")
		b.ReportMetric(ending[len(ending)-1].Seconds(), "s/block")
		b.ReportMetric(dearest.Seconds()*1000, "ms/window")
		b.ReportMetric(float64(left)/float64(weeks), "cells/week")
	}
}

package collector

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// BenchmarkBatches is DELIVERY's row 7: HTTPS → synced stream → store, batches of 300 cells,
// load and collector in one process on one machine. An operation is a batch; it ends when
// the store has all of them. ack is the time to the signed receipt. At "most" sixteen agents send one
// batch after the other; at "300" they send as many a second, which is what the row asks of ack.
func BenchmarkBatches(b *testing.B) {
	b.Run("most", func(b *testing.B) { sendBatches(b, 0) })
	b.Run("300", func(b *testing.B) { sendBatches(b, 300) })
}

// sendBatches sends so many a second; 0: as fast as it goes.
func sendBatches(b *testing.B, rate int) {
	const sites, senders = 256, 16
	h := start(b, filepath.Join(b.TempDir(), "data"), nil)
	agents := make([]*agent, sites)
	for i := range agents {
		agents[i] = h.enrol(fmt.Sprintf("account%d", i), "main", store.Production)
		agents[i].client = agents[0].client
		agents[i].consent(exchange.Aggregate, longAgo)
	}
	wires := make([][][]byte, sites) // frozen beforehand: freezing is the agent's work
	for n := range b.N {
		a := agents[n%sites]
		var cells []report.Cell
		first := n / sites * 300
		for c := range 300 {
			cells = append(cells, cell(requests, report.Hour, hour(first+c), report.Exact, float64(c), float64(c)))
		}
		a.created = time.Unix(hour(first+301), 0)
		if a.created.Before(time.Now()) {
			a.created = time.Now()
		}
		wires[n%sites] = append(wires[n%sites], a.freeze(cells...))
	}
	b.ResetTimer()
	var mu sync.Mutex
	var acks []time.Duration
	var wg sync.WaitGroup
	begin, every := time.Now(), time.Duration(0)
	if rate > 0 {
		every = senders * time.Second / time.Duration(rate)
	}
	for s := range senders {
		wg.Go(func() {
			var mine []time.Duration
			next := begin.Add(every * time.Duration(s) / senders)
			for round := 0; ; round++ {
				sent := false
				for i := s; i < sites; i += senders {
					if round >= len(wires[i]) {
						continue
					}
					sent = true
					time.Sleep(time.Until(next))
					next = next.Add(every)
					t := time.Now()
					if r := agents[i].send(wires[i][round]); r.Outcome != exchange.Accepted {
						b.Errorf("%+v", r)
						return
					}
					mine = append(mine, time.Since(t))
				}
				if !sent {
					break
				}
			}
			mu.Lock()
			acks = append(acks, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	for i, a := range agents {
		a.stored(uint64(len(wires[i])))
	}
	b.StopTimer()
	slices.Sort(acks)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "batches/s")
	b.ReportMetric(float64(b.N*300)/b.Elapsed().Seconds(), "cells/s")
	b.ReportMetric(float64(acks[len(acks)/2].Microseconds())/1000, "ack-p50-ms")
	b.ReportMetric(float64(acks[len(acks)*99/100].Microseconds())/1000, "ack-p99-ms")
}

package oracle_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/installer/e2e/oracle"
	"github.com/fieldpost/fieldpost/installer/examples"
)

// BenchmarkFold folds the whole history of a busy installation with the forge catalog, and then as
// much again of a synthetic rush: 200,000 events of 2,000 users within one day.
func BenchmarkFold(b *testing.B) {
	cat := parse(b, examples.ForgeCatalog())
	b.Run("history", func(b *testing.B) {
		rc, err := examples.Open("prometheus", "prometheus")
		if err != nil {
			b.Fatal(err)
		}
		rs := records(b, rc, cat, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
		fold(b, rs, func() *measure.Fold { return newFold(cat, oracle.Settings{Zone: time.UTC}) })
	})
	b.Run("rush", func(b *testing.B) {
		var rs []*record.Record
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
		for i := range 2000 {
			r := &record.Record{Kind: record.Request, Received: at + int64(i)*int64(40*time.Second), Catalog: [8]byte(cat.Hash[:8])}
			for j := range 100 {
				n := i*100 + j
				r.Events = append(r.Events, record.Event{Type: record.Track, Def: uint16(n % 3), Time: r.Received, User: users[n*7919%2000], HasID: true,
					MessageID: [16]byte{byte(n), byte(n >> 8), byte(n >> 16)}, Properties: []record.Value{{Property: 0, Index: uint16(n % 8)}, {Property: 1, Number: record.Decimal{Mantissa: int64(n % 500)}}}[:2-n%3%2]})
			}
			rs = append(rs, r)
		}
		fold(b, rs, func() *measure.Fold { return newFold(cat, oracle.Settings{Zone: time.UTC}) })
	})
}

var users = func() (u [2000]string) {
	for i := range u {
		u[i] = "user-" + string(rune('a'+i%26)) + time.Duration(i).String()
	}
	return u
}()

func fold(b *testing.B, rs []*record.Record, start func() *measure.Fold) {
	events := 0
	for _, r := range rs {
		events += len(r.Events)
	}
	var f *measure.Fold
	b.ReportAllocs()
	for b.Loop() {
		f = start()
		for i, r := range rs {
			if err := f.Apply(uint64(i+1), r); err != nil {
				b.Fatal(err)
			}
		}
	}
	var with, without runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&with)
	known := f.Known(f.Now())
	f = nil
	runtime.GC()
	runtime.ReadMemStats(&without)
	b.ReportMetric(float64(known), "users")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
	b.ReportMetric(float64(int64(with.HeapAlloc)-int64(without.HeapAlloc))/1e6, "MB-held")
	runtime.KeepAlive(rs)
}

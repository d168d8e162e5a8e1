package durable_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/durable"
)

// benchDir is in $DURABLE_BENCH_DIR if that is set: the temporary folder is
// memory on many machines, and a sync there is free.
func benchDir(b *testing.B) string {
	d, err := os.MkdirTemp(os.Getenv("DURABLE_BENCH_DIR"), "durable-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(d) })
	return d
}

// BenchmarkAppend has concurrent appenders that each wait for their
// acknowledgement. disk-syncs/s is what the disk does alone, on blocks of the
// same size.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{2 << 10, 20 << 10} {
		for _, appenders := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("payload=%dKiB/appenders=%d", size>>10, appenders), func(b *testing.B) {
				benchAppend(b, size, appenders)
			})
		}
	}
}

func benchAppend(b *testing.B, size, appenders int) {
	d := benchDir(b)
	rate := syncRate(b, d, size)
	l, err := durable.Open(filepath.Join(d, "log"), durable.Options{MaxBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for w := range appenders {
		wg.Go(func() {
			p := payload(w, size)
			for left.Add(-1) >= 0 {
				no, err := l.Append(context.Background(), p)
				if err != nil {
					b.Error(err)
					return
				}
				if no%10000 == 0 {
					if err := l.TrimBefore(no); err != nil {
						b.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	s := l.Stats()
	sec := b.Elapsed().Seconds()
	b.ReportMetric(float64(s.Records)/sec, "records/s")
	b.ReportMetric(float64(s.Commits)/sec, "commits/s")
	b.ReportMetric(float64(s.Records)/float64(s.Commits), "records/commit")
	b.ReportMetric(rate, "disk-syncs/s")
}

func syncRate(b *testing.B, d string, size int) float64 {
	f, err := durable.OS().OpenFile(filepath.Join(d, "probe"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const n = 200
	if err := f.Preallocate(int64(n * size)); err != nil {
		b.Fatal(err)
	}
	p := payload(0, size)
	start := time.Now()
	for i := range n {
		if _, err := f.WriteAt(p, int64(i*size)); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return n / time.Since(start).Seconds()
}

// BenchmarkRead streams a log of 256 MiB.
func BenchmarkRead(b *testing.B) {
	l, err := durable.Open(benchDir(b), durable.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	const size, n = 20 << 10, 12800
	group := make([][]byte, 32)
	for i := range group {
		group[i] = payload(i, size)
	}
	for range n / len(group) {
		if _, err := l.Append(context.Background(), group...); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(size * n)
	for b.Loop() {
		got := 0
		if err := l.Read(1, func(uint64, []byte) error { got++; return nil }); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
}

// BenchmarkOpen20GB opens a log of 1,280 segments, all but the newest sparse:
// Open must not depend on what is in them.
func BenchmarkOpen20GB(b *testing.B) {
	d := benchDir(b)
	const seg, count, per = 16 << 20, 1280, 800
	for i := range count - 1 {
		f, err := os.Create(filepath.Join(d, fmt.Sprintf("%020d.seg", 1+i*per)))
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Truncate(seg); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
	o := durable.Options{MaxBytes: 32 << 30, MinNext: 1 + (count-1)*per}
	// The newest is real and nearly full.
	if err := os.Remove(filepath.Join(d, fmt.Sprintf("%020d.seg", 1+(count-2)*per))); err != nil {
		b.Fatal(err)
	}
	newest := filepath.Join(d, "newest")
	l, err := durable.Open(newest, durable.Options{MinNext: o.MinNext})
	if err != nil {
		b.Fatal(err)
	}
	for range per {
		if _, err := l.Append(context.Background(), payload(0, 20<<10)); err != nil {
			b.Fatal(err)
		}
	}
	l.Close()
	name := fmt.Sprintf("%020d.seg", o.MinNext)
	if err := os.Rename(filepath.Join(newest, name), filepath.Join(d, name)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		l, err := durable.Open(d, o)
		if err != nil {
			b.Fatal(err)
		}
		if l.Next() != o.MinNext+per {
			b.Fatalf("next %d", l.Next())
		}
		l.Close()
	}
}

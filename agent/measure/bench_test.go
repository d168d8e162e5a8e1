package measure_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/measure/history"
	"github.com/fieldpost/fieldpost/agent/measure/measuretest"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

func large(b *testing.B) (*catalog.Catalog, measure.Config) {
	cat, err := measuretest.Catalog()
	if err != nil {
		b.Fatal(err)
	}
	if len(cat.Measures) != 60 {
		b.Fatalf("%d measures", len(cat.Measures))
	}
	return cat, measure.Config{SimpleLocal: true, Catalog: func([8]byte) *catalog.Catalog { return cat }, Closed: func(*measure.Window) {}}
}

// BenchmarkEvents folds a day of 60 measures on one core; the windows of the day stay open.
func BenchmarkEvents(b *testing.B) {
	cat, cfg := large(b)
	site := measuretest.Site{Users: 100_000, Begin: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), PerUser: 10}
	var rs []*record.Record
	events := 0
	for day := range 1 {
		if err := site.Day(cat, day, func(r *record.Record) error {
			c := *r
			c.Events = slices.Clone(r.Events)
			rs = append(rs, &c)
			events += len(r.Events)
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	b.ResetTimer()
	before := cpu()
	for b.Loop() {
		f := measure.New(cfg)
		for i, r := range rs {
			if err := f.Apply(uint64(i+1), r); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*float64(events)/b.Elapsed().Seconds(), "events/s")
	if used := cpu() - before; used > 0 {
		b.ReportMetric(float64(b.N)*float64(events)/used.Seconds(), "events/cpu-s")
	}
}

// cpu is the processor time of this process, where /proc tells it: on a busy machine it says more than the clock.
// Linux counts in hundredths of a second.
func cpu() (used time.Duration) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, f := range fields[11:13] { // utime and stime, fields 14 and 15 of proc(5)
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0
		}
		used += time.Duration(n) * 10 * time.Millisecond
	}
	return used
}

func env(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// BenchmarkState lets a site of 100,000 users and 60 measures live for 190 days with a checkpoint every
// day, and reports what the last fortnight costs. BENCH_USERS, BENCH_DAYS and BENCH_EVENTS (of a
// user on a day) make it smaller; BENCH_KEEP is where the state and a heap profile are left.
func BenchmarkState(b *testing.B) {
	cat, cfg := large(b)
	users, days := env("BENCH_USERS", 100_000), env("BENCH_DAYS", 190)
	for b.Loop() {
		dir := b.TempDir()
		hc := history.Config{Measure: cfg}
		s, err := history.Restore(dir, hc)
		if err != nil {
			b.Fatal(err)
		}
		site := measuretest.Site{Users: users, Begin: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), PerUser: env("BENCH_EVENTS", 5)}
		no := uint64(0)
		var closing, slice, saving []time.Duration
		for day := range days {
			quarter := int64(0)
			if err := site.Day(cat, day, func(r *record.Record) error {
				no++
				begin := time.Now()
				longest := time.Duration(0)
				n := 0
				for more := true; more; n++ {
					at := time.Now()
					more = s.Fold().Step(r.Received)
					longest = max(longest, time.Since(at))
				}
				if n > 20 && day > days-14 {
					closing, slice = append(closing, time.Since(begin)), append(slice, longest)
				}
				if err := s.Fold().Apply(no, r); err != nil {
					return err
				}
				if q := r.Received / int64(24*time.Hour); q != quarter && (day%7 == 0 || day > days-14) {
					quarter = q
					begin := time.Now()
					if err := s.Checkpoint(no, nil); err != nil {
						return err
					}
					if day > days-14 {
						saving = append(saving, time.Since(begin))
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Checkpoint(no, nil); err != nil {
			b.Fatal(err)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		if keep := os.Getenv("BENCH_KEEP"); keep != "" {
			f, err := os.Create(keep + ".heap")
			if err = errors.Join(err, pprof.WriteHeapProfile(f), f.Close()); err != nil {
				b.Fatal(err)
			}
			if err := os.CopyFS(keep, os.DirFS(dir)); err != nil {
				b.Fatal(err)
			}
		}
		runtime.KeepAlive(s)
		b.ReportMetric(float64(m.HeapAlloc)/1e6, "MB-held")
		b.ReportMetric(float64(size(b, dir))/1e6, "MB-disk")
		b.ReportMetric(ms(closing), "ms/day-closed")
		b.ReportMetric(float64(slices.Max(append(slice, 0)))/1e6, "ms/longest-slice")
		b.ReportMetric(ms(saving), "ms/checkpoint")
		s = nil
		runtime.GC()
		var restores []time.Duration
		for range 3 {
			begin := time.Now()
			if s, err = history.Restore(dir, hc); err != nil || s.Position() != no {
				b.Fatal(err)
			}
			restores = append(restores, time.Since(begin))
		}
		b.ReportMetric(ms(restores), "ms/restore")
	}
}

func ms(d []time.Duration) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[len(d)/2]) / 1e6
}

func size(b *testing.B, dir string) (n int64) {
	if err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if i, err := d.Info(); err == nil {
				n += i.Size()
			}
		}
		return err
	}); err != nil {
		b.Fatal(err)
	}
	return n
}

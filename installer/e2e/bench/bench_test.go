// Package bench measures the shipped programs as whole processes, for the rows of `go tool dev bench`
// that no room can measure alone: what the agent accepts, what it costs and holds while it does and
// while it idles, and how long the recorded histories take. There is no state on disk outside the
// benchmarks' temporary folders.
package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

func TestMain(m *testing.M) { os.Exit(harness.MainPlain(m, "fieldpost-agent")) }

// site is a running agent, enrolled, with a catalog, that measures locally; config is added to its settings.
func site(b *testing.B, config string) *harness.Agent {
	b.Helper()
	f := protocoltest.NewFakeCollector(b, protocoltest.FakeConfig{Catalog: examples.ForgeCatalog()})
	a := harness.NewAgent(b, harness.Options{Config: "zone: UTC\n" + config})
	a.Enrol(f)
	a.Must("consent", "set", "usage=local", "sla=local", "inventory=local", "--by", "the benchmark")
	a.Start()
	return a
}

// BenchmarkIdle is the memory a running agent holds ten seconds after its start: resident, and of that what
// is its own and not the program's file.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		a := site(b, "")
		time.Sleep(10 * time.Second)
		b.ReportMetric(megabytes(b, a, "VmRSS"), "MB")
		b.ReportMetric(megabytes(b, a, "RssAnon"), "anonymous-MB")
		a.Stop()
	}
}

// replays is how many recorded histories are replayed at once, as somebody with two cores would.
const replays = 2

// BenchmarkReplay replays the 35 recorded histories, each a process of its own, two at a time.
func BenchmarkReplay(b *testing.B) {
	forge, err := filepath.Abs("../../examples/forge")
	if err != nil {
		b.Fatal(err)
	}
	sites := examples.Installations()
	events := 0
	for b.Loop() {
		b.StopTimer()
		agents := make([]*harness.Agent, len(sites))
		for i := range sites {
			agents[i] = harness.NewAgent(b, harness.Options{})
			events += sites[i].Events
		}
		b.StartTimer()
		var next atomic.Int64
		var wg sync.WaitGroup
		for range replays {
			wg.Go(func() {
				for i := next.Add(1) - 1; int(i) < len(sites); i = next.Add(1) - 1 {
					r := agents[i].Do("replay", "--catalog", filepath.Join(forge, "catalog.yaml"), "--until", "2026-11-01", "--remember", "forever", "-o", "json",
						filepath.Join(forge, "installations", sites[i].Account+"--"+sites[i].Installation+".jsonl.gz"))
					if r.Code != 0 {
						b.Errorf("replaying %s: exit %d\n%s", sites[i].Installation, r.Code, r.Stderr)
					}
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s")
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

// proc reads a file of the process in /proc.
func proc(b *testing.B, a *harness.Agent, name string) []byte {
	b.Helper()
	if runtime.GOOS != "linux" {
		b.Skip("what a process holds is read from /proc, which only Linux has")
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", a.Pid(), name))
	if err != nil {
		b.Fatal(err)
	}
	return text
}

func megabytes(b *testing.B, a *harness.Agent, field string) float64 {
	b.Helper()
	for line := range bytes.Lines(proc(b, a, "status")) {
		if rest, ok := bytes.CutPrefix(line, []byte(field+":")); ok {
			kib, err := strconv.ParseFloat(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib * 1024 / 1e6
		}
	}
	b.Fatalf("the process has no %s", field)
	return 0
}

// cpu is the processor time the process has used. Linux counts in hundredths of a second.
func cpu(b *testing.B, a *harness.Agent) time.Duration {
	b.Helper()
	stat := proc(b, a, "stat")
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int
	for _, f := range fields[11:13] { // utime and stime, fields 14 and 15 of proc(5)
		n, err := strconv.Atoi(string(f))
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

package oracle_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/installer/e2e/oracle"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func parse(t testing.TB, raw []byte) *catalog.Catalog {
	t.Helper()
	cat, err := catalog.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

// load reads one of the catalogs in testdata.
func load(t testing.TB, name string) *catalog.Catalog {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, raw)
}

func newFold(cat *catalog.Catalog, s oracle.Settings) *measure.Fold {
	remember := s.Remember
	if remember == 0 {
		remember = -1
	}
	return measure.New(measure.Config{
		Zone: s.Zone, Remember: remember, SimpleLocal: true,
		Catalog: func(p [8]byte) *catalog.Catalog {
			if p == [8]byte(cat.Hash[:8]) {
				return cat
			}
			return nil
		},
	})
}

// lines are the answers to a query as they are printed.
func lines(t testing.TB, f *measure.Fold, id string, g report.Grain, by ...string) (out []string) {
	t.Helper()
	ls, err := f.Query(measure.Query{Measure: id, Grain: g, By: by})
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, l := range ls {
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

// tally counts what was compared, by kind.
type tally struct {
	mu    sync.Mutex // guards all
	lines map[string]int
	wrong map[string]int
	told  int // how many answers that differ were shown
}

// enough says whether the first few that differ were shown: the rest is only counted.
func (y *tally) enough() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.told++
	return y.told > 30
}

func (y *tally) add(kind string, lines, wrong int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.lines == nil {
		y.lines, y.wrong = map[string]int{}, map[string]int{}
	}
	y.lines[kind] += lines
	y.wrong[kind] += wrong
}

func (y *tally) print(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(y.lines)) {
		t.Logf("%-13s %8d lines, %d differ", kind, y.lines[kind], y.wrong[kind])
	}
}

// compare holds the fold's answers against the oracle's, line by line.
func compare(t testing.TB, f *measure.Fold, site *oracle.Site, measures []oracle.Measure, y *tally) {
	t.Helper()
	for _, m := range measures {
		for _, grain := range m.Grains() {
			g := grainOf(t, grain)
			for _, by := range append([][]string{nil}, m.Breakdowns()...) {
				want, got := site.Lines(m, grain, by...), lines(t, f, m.ID, g, by...)
				wrong, first := differing(want, got)
				if y.add(m.Kind, len(want), wrong); wrong == 0 {
					continue
				}
				if t.Fail(); !y.enough() {
					t.Logf("%s (%s) by %s %v: %d of %d lines differ, the first:\n%s", m.ID, m.Kind, grain, by, wrong, len(want), first)
				}
			}
		}
	}
	acc := f.Accounting()
	got := map[string]int{}
	for r := record.Malformed; r <= record.Measured; r++ {
		if acc.Events[r] > 0 {
			got[r.String()] = int(acc.Events[r])
		}
	}
	if d := cmp.Diff(site.Reasons, got); d != "" {
		t.Errorf("accounting (-oracle +fold):\n%s", d)
	}
	if acc.Events.Total() != uint64(site.Received) || acc.Skewed != uint64(site.Skewed) || acc.ClockBack != uint64(site.Back) {
		t.Errorf("received %d, skewed %d, clock_back %d; the oracle has %d, %d, %d", acc.Events.Total(), acc.Skewed, acc.ClockBack, site.Received, site.Skewed, site.Back)
	}
}

// differing counts the lines that are not the same, and shows the first.
func differing(want, got []string) (n int, first string) {
	for i := range max(len(want), len(got)) {
		w, g := "nothing", "nothing"
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if oracle.Same(w, g) {
			continue
		}
		if n++; n == 1 {
			first = fmt.Sprintf("line %d\noracle %s\nfold   %s", i+1, w, g)
		}
	}
	return n, first
}

func head(s string) string {
	if len(s) > 3000 {
		return s[:3000] + "…"
	}
	return s
}

// folded reads a history twice: as the oracle, and through the fold.
func folded(t testing.TB, raw []byte, cat *catalog.Catalog, voc oracle.Vocabulary, s oracle.Settings) (*measure.Fold, *oracle.Site) {
	t.Helper()
	site, err := oracle.Read(bytes.NewReader(raw), voc, s)
	if err != nil {
		t.Fatal(err)
	}
	f := newFold(cat, s)
	for i, r := range records(t, bytes.NewReader(raw), cat, s.Until) {
		if err := f.Apply(uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
	}
	f.Advance(s.Until.UnixNano())
	return f, site
}

// The recorded installations in another zone than that of their query test, with people who are
// forgotten, while much is still open.
func TestOracleFoldOfInstallations(t *testing.T) {
	cat, zone := load(t, "kinds.yaml"), location(t, "Europe/Berlin")
	var y tally
	t.Cleanup(func() { y.print(t) })
	for i, in := range examples.Installations() {
		if in.Events > 6000 || (i%3 != 0 && os.Getenv("FIELDPOST_ALL") == "") {
			continue
		}
		t.Run(in.Account+"/"+in.Installation, func(t *testing.T) {
			t.Parallel()
			rc, err := examples.Open(in.Account, in.Installation)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := io.ReadAll(rc)
			if err != nil {
				t.Fatal(err)
			}
			until, err := time.ParseInLocation(time.DateOnly, in.Last[:10], zone)
			if err != nil {
				t.Fatal(err)
			}
			f, site := folded(t, raw, cat, oracle.Forge(), oracle.Settings{Zone: zone, Until: until, Remember: measure.DefaultRemember})
			compare(t, f, site, only(oracle.ForgeMeasures()), &y)
		})
	}
}

func grainOf(t testing.TB, name string) report.Grain {
	t.Helper()
	g, err := report.ParseGrain(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// only is the measures of the kinds in FIELDPOST_KINDS, for a closer look at them; all by default.
func only(ms []oracle.Measure) []oracle.Measure {
	kinds := os.Getenv("FIELDPOST_KINDS")
	if kinds == "" {
		return ms
	}
	return slices.DeleteFunc(ms, func(m oracle.Measure) bool { return !slices.Contains(strings.Split(kinds, ","), m.Kind) })
}

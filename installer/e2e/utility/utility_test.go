// Package utility measures what the audited statements about real people are still good for: how many of the figures of the 35 recorded
// installations leave in which form, by kind and by size of site.
package utility

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/settings"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// tally is how many figures left in which form.
type tally struct{ exact, band, share, implied, wide, none int }

func (y *tally) add(f figure) {
	switch f.Form {
	case report.Exact:
		y.exact++
	case report.Band:
		y.band++
	case report.Share:
		y.share++
	case report.Implied:
		if 2*(min(f.Hi, float64(f.of))-f.Lo) < float64(f.of) {
			y.implied++
		} else {
			y.wide++ // it says little more than how many people there are
		}
	default:
		y.none++
	}
}

func (y *tally) all() int { return y.exact + y.band + y.share + y.implied + y.wide + y.none }

// usable is the share of figures that say something, as PRIVACY counts them.
func (y *tally) usable() float64 { return float64(y.all()-y.none) / float64(max(1, y.all())) * 100 }

// strict leaves those out that say little more than how many people there are.
func (y *tally) strict() float64 {
	return float64(y.all()-y.none-y.wide) / float64(max(1, y.all())) * 100
}

func (y *tally) String() string {
	n := max(1, y.all())
	return fmt.Sprintf("%8d %6d%% %6d%% %6d%% %6d%% %6d%% %6d%% %9.1f%% %7.1f%%", y.all(), y.exact*100/n, y.band*100/n, y.share*100/n, y.implied*100/n, y.wide*100/n, y.none*100/n, y.usable(), y.strict())
}

const head = " figures   exact    band   share implied    wide    none     usable  strict"

// figure is one that the gate ruled, and how many people it is out of.
type figure struct {
	control.Line
	of int
}

// counted reports whether a figure is a count of people that might leave: not one that stays because of its kind or because its role counts
// under another, nor a sum, nor contracts and calendars.
func counted(c *catalog.Catalog, f control.Line) bool {
	switch f.Reason {
	case "kind", "role_merged", "one_role", "cross":
		return false
	}
	m, _ := c.Measure(f.Measure)
	if m == nil || m.Subject != catalog.Person || f.Field == report.Purchased || f.Field == report.Assigned || f.Field == report.Workdays {
		return false
	}
	switch m.Kind {
	case catalog.ActiveUsers, catalog.Lifecycle, catalog.Stickiness, catalog.Retention, catalog.Funnel, catalog.Adoption, catalog.Seats:
		return true
	}
	return false
}

// site replays a recorded installation, with consent to everything from its first event on, and gives the figures that leave, by
// the group size of their twelve weeks.
func site(t *testing.T, c *catalog.Catalog, in examples.Installation) map[int][]figure {
	t.Helper()
	set, err := settings.Load(settings.Source{Getenv: func(string) string { return "" }, Flags: map[string]string{"state": t.TempDir(), "zone": "UTC"}})
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[int64]int{} // by start of twelve weeks, as the answers about the site's total say it
	var left []figure
	ag, err := agent.Open(agent.Config{Settings: set, Version: "0.0.0", Simulated: true, Judge: true, CatalogFile: c.Raw, Watch: func(fs []agent.Watched, leave bool) {
		for _, w := range fs {
			if !leave || !counted(c, w.Line) {
				continue
			}
			f := figure{Line: w.Line}
			if _, err := fmt.Sscanf(w.Explain, "out of %d people", &f.of); err == nil && f.Measure == "people" && len(f.Dims) == 0 {
				sizes[report.CivilStart(report.Block12w, f.Start)] = f.of
			}
			left = append(left, f)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	levels := map[string]exchange.Level{}
	for i := range c.Measures {
		levels[c.Measures[i].Category] = exchange.Aggregate
	}
	always := time.Unix(0, 0)
	_, err = ag.Replay(t.Context(), agent.ReplayOptions{Consent: &control.Decision{Levels: levels, From: &always},
		Open: func() (string, io.ReadCloser, error) {
			b, err := newest(in)
			return in.Installation, io.NopCloser(bytes.NewReader(b)), err
		}})
	if err := ag.Close(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := map[int][]figure{}
	for _, f := range left {
		n := sizes[report.CivilStart(report.Block12w, f.Start)]
		out[n] = append(out[n], f)
	}
	return out
}

// weeks of a history that are looked at, its newest: long enough for four times twelve weeks, short enough to be tried often.
const weeks = 50

// newest is the end of a recorded history.
func newest(in examples.Installation) ([]byte, error) {
	rc, err := examples.Open(in.Account, in.Installation)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rc.Close() }() // only read
	last, err := time.Parse(time.DateOnly, in.Last[:10])
	if err != nil {
		return nil, fmt.Errorf("reading when %s ends: %w", in.Installation, err)
	}
	from := last.AddDate(0, 0, -7*weeks).Format(time.DateOnly)
	var out []byte
	lines := bufio.NewScanner(rc)
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		var line struct{ ReceivedAt string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("reading a line of %s: %w", in.Installation, err)
		}
		if line.ReceivedAt >= from {
			out = append(append(out, lines.Bytes()...), '\n')
		}
	}
	return out, lines.Err()
}

// classes are the sizes that PRIVACY names, and the share of figures it wants usable.
var classes = []struct {
	name string
	from int
	goal float64
}{{"in use only (below 12)", 0, 0}, {"10–19", 10, 60}, {"20–49", 20, 85}, {"from 50", 50, 92}}

func classOf(people int) int {
	i := 0
	for i+1 < len(classes) && classes[i+1].from <= people {
		i++
	}
	return i
}

// TestExactUtilityOfRealSites replays the 35 recorded installations through the agent at the level aggregate.
func TestExactUtilityOfRealSites(t *testing.T) {
	t.Parallel()
	c, err := catalog.Parse(examples.ForgeCatalog())
	if err != nil {
		t.Fatal(err)
	}
	all := make([]tally, len(classes))
	kinds := make([]map[string]*tally, len(classes))
	for i := range kinds {
		kinds[i] = map[string]*tally{}
	}
	var mu sync.Mutex
	t.Run("sites", func(t *testing.T) {
		for _, in := range examples.Installations() {
			t.Run(in.Account+"/"+in.Installation, func(t *testing.T) {
				t.Parallel()
				blocks := site(t, c, in)
				mu.Lock()
				defer mu.Unlock()
				for people, figures := range blocks {
					i := classOf(people)
					for _, f := range figures {
						m, _ := c.Measure(f.Measure)
						by := strings.Join(slices.Sorted(maps.Keys(f.Dims)), ", ")
						id := fmt.Sprintf("%s %s %s", m.Kind, f.Grain, by)
						if kinds[i][id] == nil {
							kinds[i][id] = &tally{}
						}
						kinds[i][id].add(f)
						all[i].add(f)
					}
				}
			})
		}
	})
	for i, class := range classes {
		t.Logf("%-36s %s", class.name+" people", head)
		t.Logf("%-36s %s", "all", &all[i])
		for _, id := range slices.SortedFunc(maps.Keys(kinds[i]), cmp.Compare[string]) {
			t.Logf("%-36s %s", id, kinds[i][id])
		}
		switch y := &all[i]; {
		case y.all() == 0:
			t.Errorf("no figure of sites of %s people: nothing was measured", class.name)
		case y.usable() < class.goal:
			t.Errorf("%s people: %.1f %% of the figures are usable, the goal is %.0f", class.name, y.usable(), class.goal)
		case class.from == 0 && (y.exact+y.share+y.implied+y.wide > 0 || y.band*5 > y.all()): // "in use: yes" is a band
			t.Errorf("%s: %s", class.name, y)
		}
	}
}

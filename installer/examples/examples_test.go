package examples

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/settings"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/lint"
)

func parse(t *testing.T, raw []byte) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCatalogsParseAndShowEveryKind: product/ is what vendors copy from, so it has every kind there is.
func TestCatalogsParseAndShowEveryKind(t *testing.T) {
	forge := []catalog.Kind{
		catalog.Count, catalog.Distribution, catalog.ActiveUsers, catalog.Lifecycle, catalog.Gauge,
		catalog.Counter, catalog.Histogram, catalog.Fact, catalog.Availability, catalog.SLO,
	}
	for name, x := range map[string]struct {
		raw   []byte
		kinds []catalog.Kind
	}{"forge": {ForgeCatalog(), forge}, "product": {ProductCatalog(), catalog.Kinds()}} {
		c := parse(t, x.raw)
		for _, k := range x.kinds {
			if !slices.ContainsFunc(c.Measures, func(m catalog.Measure) bool { return m.Kind == k }) {
				t.Errorf("%s has no measure of kind %s", name, k)
			}
		}
		for _, m := range c.Measures {
			if m.Expires == "" || m.Retention == 0 || len(m.ConsumedIn) == 0 {
				t.Errorf("%s: %s does not say until when, how long or where it is used", name, m.ID)
			}
		}
	}
}

// TestCatalogsHaveNothingToMend: who copies an example should not copy a fault. That sums about
// people stay at the site or leave as bands is known.
func TestCatalogsHaveNothingToMend(t *testing.T) {
	before := time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC)
	for name, raw := range map[string][]byte{"forge": ForgeCatalog(), "product": ProductCatalog()} {
		for _, f := range lint.CheckAt(parse(t, raw), before) {
			if f.Code != "sum_stays" && f.Code != "sum_told" {
				t.Errorf("%s: %s", name, f)
			}
		}
	}
}

// TestWhatStoodInTheFirstVersionIsTheSame: the measures of the product's first version go on, they
// are no new series.
func TestWhatStoodInTheFirstVersionIsTheSame(t *testing.T) {
	c := parse(t, ProductCatalog())
	for id, hash := range map[string]string{
		"people":          "967d894114b54923",
		"builders":        "b49564357a204982",
		"flow":            "6cacf685e020a262",
		"sign_ups":        "2c2bb6fb69589fcb",
		"invitations":     "1edc6a8ed509f716",
		"invitation_wait": "1d4dfb27bb0b9802",
		"log_ins":         "94264029609e243f",
		"workflows":       "ac21eaed4b2d5e97",
		"published":       "b99e54444ea618c7",
		"steps":           "34cbcd5f62a9ac41",
		"web":             "b13a11a4557ce0a0",
		"api":             "24262dd739dcd128",
		"errors":          "3610145eb1fdf913",
		"speed":           "fcdd00112acaf9e8",
		"latency":         "1efda8f1df800056",
		"running":         "de3b6a453075d297",
		"runs":            "246ae6f958da58d4",
		"plan":            "f66030b0f805b755",
		"platform":        "ce4131d2c09393a3",
		"agent_version":   "e9291e1a0f933060",
		"os_family":       "bab76a4864e5eb7e",
	} {
		if m, _ := c.Measure(id); m == nil || m.HashString() != hash {
			t.Errorf("%s has begun anew", id)
		}
	}
}

// TestForgeHasTheMeasuresOthersCountOn names what the demo and the end-to-end
// tests compute independently.
func TestForgeHasTheMeasuresOthersCountOn(t *testing.T) {
	c := parse(t, ForgeCatalog())
	for id, kind := range map[string]catalog.Kind{
		"people": catalog.ActiveUsers, "active_authors": catalog.ActiveUsers, "active_reviewers": catalog.ActiveUsers,
		"changes": catalog.Count, "accepted": catalog.Count, "merged": catalog.Count, "releases": catalog.Count,
		"code_changes": catalog.Count, "docs_changes": catalog.Count,
		"flow": catalog.Lifecycle, "files": catalog.Distribution, "wait": catalog.Distribution,
		"web": catalog.Availability, "requests": catalog.SLO, "latency": catalog.Histogram,
		"queue_depth": catalog.Gauge, "jobs": catalog.Counter, "agent_version": catalog.Fact, "os_family": catalog.Fact,
		"habit": catalog.Stickiness, "kept": catalog.Retention, "areas": catalog.Adoption, "into_review": catalog.Funnel, "next": catalog.Transitions,
	} {
		if m, _ := c.Measure(id); m == nil || m.Kind != kind {
			t.Errorf("%s should be there and of kind %s", id, kind)
		}
	}
}

// TestSampleConfigIsAccepted: the agent takes the sample as it stands, and its
// probes are those of the catalog.
func TestSampleConfigIsAccepted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(file, ProductAgentConfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := settings.Load(settings.Source{File: file, Must: true, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, ProductCatalog())
	if len(cfg.Probes) != len(c.Probes) {
		t.Errorf("%d probes configured, %d in the catalog", len(cfg.Probes), len(c.Probes))
	}
	for _, p := range cfg.Probes {
		if c.Probe(p.ID) < 0 {
			t.Errorf("the probe %q is not in the catalog", p.ID)
		}
	}
}

type line struct {
	Type       string         `json:"type"`
	Event      string         `json:"event"`
	UserID     string         `json:"userId"`
	ReceivedAt time.Time      `json:"receivedAt"`
	Properties map[string]any `json:"properties"`
	Traits     map[string]any `json:"traits"`
}

// each calls do for every line of one installation.
func each(t *testing.T, i Installation, do func(line)) {
	t.Helper()
	r, err := Open(i.Account, i.Installation)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := bufio.NewScanner(r)
	for s.Scan() {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("%s/%s: %v", i.Account, i.Installation, err)
		}
		do(l)
	}
	if err := s.Err(); err != nil {
		t.Fatalf("%s/%s: %v", i.Account, i.Installation, err)
	}
}

func TestIndexEqualsTheFiles(t *testing.T) {
	list := Installations()
	if len(list) != 35 {
		t.Errorf("%d installations, want 35", len(list))
	}
	total := 0
	for _, want := range list {
		got := Installation{Account: want.Account, Installation: want.Installation}
		users := map[string]bool{}
		var last time.Time
		each(t, want, func(l line) {
			if l.ReceivedAt.Before(last) {
				t.Errorf("%s/%s: not in order of receivedAt at %s", want.Account, want.Installation, l.ReceivedAt)
			}
			last = l.ReceivedAt
			if got.Events == 0 {
				got.First = l.ReceivedAt.UTC().Format(time.DateOnly)
			}
			got.Events++
			if l.Type == "identify" {
				users[l.UserID] = true
			}
		})
		got.Users, got.Last = len(users), last.UTC().Format(time.DateOnly)
		if got != want {
			t.Errorf("the file says %+v, the index %+v", got, want)
		}
		total += got.Events
	}
	if total != 136_406 {
		t.Errorf("%d events in all, the description says 136,406", total)
	}
}

// TestForgeCatalogCoversTheRealData: every event, area and role of 35 real
// installations is declared, and every number lies in its bounds, so that no
// real event is malformed, unknown or over a limit.
func TestForgeCatalogCoversTheRealData(t *testing.T) {
	c := parse(t, ForgeCatalog())
	events := map[string]*catalog.Event{}
	for i := range c.Events {
		events[c.Events[i].Type+" "+c.Events[i].Match] = &c.Events[i]
	}
	role, _ := catalog.Find(c.Traits, "role")
	seen := map[string]int{}
	for _, i := range Installations() {
		each(t, i, func(l line) {
			seen[l.Type+" "+l.Event]++
			if l.Type == "identify" {
				if r, _ := l.Traits["role"].(string); role.Index(r) == role.OtherIndex() {
					t.Errorf("the role %q is not declared", r)
				}
			}
			if l.Type != "track" {
				return
			}
			e := events["track "+l.Event]
			if e == nil {
				t.Fatalf("the event %q is not declared", l.Event)
			}
			for _, p := range e.Properties {
				covered(t, l, p)
			}
		})
	}
	for e := range events {
		if seen[e] == 0 {
			t.Errorf("%s is declared and never happens", e)
		}
	}
}

func covered(t *testing.T, l line, p catalog.Property) {
	switch v := l.Properties[p.Match].(type) {
	case string:
		if p.IsNumber || p.Index(v) == p.OtherIndex() {
			t.Errorf("%s of %s: %q is not a listed value", p.Name, l.Event, v)
		}
	case float64:
		if !p.IsNumber || v < p.Min || v > p.Max {
			t.Errorf("%s of %s: %v is not within [%v, %v]", p.Name, l.Event, v, p.Min, p.Max)
		}
	default:
		t.Errorf("%s of %s is %v", p.Name, l.Event, v)
	}
}

func TestOpenNamesWhatIsMissing(t *testing.T) {
	for _, name := range []string{"nobody", "../../forge/index.json\x00", ""} {
		if _, err := Open(name, "nothing"); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Open(%q) gave %v", name, err)
		}
	}
}

func TestCallersMayChangeWhatTheyGet(t *testing.T) {
	ForgeCatalog()[0] = 'X'
	if ForgeCatalog()[0] == 'X' {
		t.Error("a caller changed the embedded catalog")
	}
}

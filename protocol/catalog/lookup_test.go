package catalog_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// What a file leaves out is filled in, so that no reader has to know the defaults.
func TestDefaults(t *testing.T) {
	c := forge(t)
	e, _ := c.Event("change_merged")
	if e.Type != "track" || e.Grace != 48*time.Hour {
		t.Errorf("%+v", e)
	}
	if p, _ := catalog.Find(c.GroupTraits, "plan"); p.Match != "planName" {
		t.Errorf("%+v", p)
	}
	if e, _ := c.Event("release"); e.Properties[0].Match != "channel" {
		t.Errorf("%+v", e)
	}
	for id, want := range map[string]struct {
		subject catalog.Subject
		leaves  report.Grain
	}{
		"people": {catalog.Person, report.Block4w}, "flow": {catalog.Person, report.Block4w}, "files": {catalog.Person, report.Block4w},
		"accepted_in_time": {catalog.Person, report.Block4w}, "requests_by_status": {catalog.Traffic, report.Hour},
		"queued": {catalog.Machine, report.FiveMinutes}, "web_up": {catalog.Machine, report.Hour}, "version": {catalog.Machine, report.Day},
		"environment": {catalog.Machine, report.Change}, "has_maintainer": {catalog.Person, report.Day},
	} {
		m, _ := measure(t, c, id)
		if m.Subject != want.subject || m.Leaves != want.leaves {
			t.Errorf("%s: %s leaves per %s, want %s per %s", id, m.Subject, m.Leaves, want.subject, want.leaves)
		}
	}
	if m, _ := measure(t, c, "accepted_in_time"); m.Window != 28*24*time.Hour || m.MinValid != 1 || m.Question != "Are changes looked at within two days?" {
		t.Errorf("%+v", m)
	}
	if m, _ := measure(t, c, "plan"); m.Retention != 0 || cmp.Diff([]string{"team", "business"}, m.Values) != "" {
		t.Errorf("%+v", m)
	}
}

// A value is what is written, whatever YAML would make of it.
func TestValuesKeepTheirSpelling(t *testing.T) {
	c := edited(t, "[1.0.0, 1.10, 2.0.0]", "[1.10, yes, no, on, 0x10, 1_000, 2028-01-01, true, 1e3, .5, y]")
	m, _ := measure(t, c, "version")
	if d := cmp.Diff([]string{"1.10", "yes", "no", "on", "0x10", "1_000", "2028-01-01", "true", "1e3", ".5", "y"}, m.Values); d != "" {
		t.Error(d)
	}
}

func TestFactsOfTheAgentsOwnLists(t *testing.T) {
	for was, want := range map[string][]string{
		"from: agent.os":   {"linux", "windows", "darwin"},
		"from: agent.arch": {"amd64", "arm64"},
		"from: agent.os\n    values: [darwin, linux]": {"darwin", "linux"},
	} {
		m, _ := measure(t, edited(t, "from: agent.os", was), "os")
		if d := cmp.Diff(want, m.Values); d != "" {
			t.Errorf("%s: %s", was, d)
		}
	}
}

func TestOrderOfTheFileIsKept(t *testing.T) {
	raw := string(read(t, "forge-like.yaml"))
	c := forge(t)
	at := -1
	for _, e := range c.Events {
		i := strings.Index(raw, "\n  "+e.ID+":")
		if i <= at {
			t.Errorf("%s is out of order", e.ID)
		}
		at = i
	}
	at = -1
	for _, m := range c.Measures {
		i := strings.Index(raw, "- id: "+m.ID+"\n")
		if i <= at {
			t.Errorf("%s is out of order", m.ID)
		}
		at = i
	}
	if string(c.Raw) != raw {
		t.Error("the bytes are not those that were read")
	}
}

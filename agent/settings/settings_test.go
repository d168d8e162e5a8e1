package settings

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite golden files")

func none(string) string { return "" }

func TestDefaultsLoadAndEachSettingHasOneRow(t *testing.T) {
	c, err := Load(Source{Getenv: none})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:4318" || c.Console != "127.0.0.1:4380" || c.Remember != 190*24*time.Hour || c.JournalMax != 256<<20 || c.StatsD != "" ||
		c.WorkingDays != [7]bool{false, true, true, true, true, true, false} {
		t.Errorf("defaults: %+v", c)
	}
	seen := map[string]bool{}
	for _, s := range All() {
		if seen[s.Key] || s.Help == "" {
			t.Errorf("%s: twice or without help", s.Key)
		}
		seen[s.Key] = true
	}
}

func TestFlagsWinOverEnvironmentOverFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	os.WriteFile(path, []byte("listen: 127.0.0.1:1\nconsole: 127.0.0.1:2\nzone: Europe/Berlin\n"), 0o600)
	env := map[string]string{"FIELDPOST_CONSOLE": "127.0.0.1:3", "FIELDPOST_ZONE": "Asia/Tokyo", "DO_NOT_TRACK": "1"}
	c, err := Load(Source{File: path, Must: true, Getenv: func(k string) string { return env[k] }, Flags: map[string]string{"zone": "America/Lima"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:1" || c.Console != "127.0.0.1:3" || c.Zone != "America/Lima" || !c.DoNotTrack {
		t.Errorf("%+v", c)
	}
}

// Golden: every *.bad.yaml has the message its author will read beside it.
func TestGoldenBadFiles(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*.bad.yaml")
	if len(paths) < 8 {
		t.Fatalf("only %d files", len(paths))
	}
	for _, path := range paths {
		_, err := Load(Source{File: path, Must: true, Getenv: none})
		if err == nil {
			t.Errorf("%s is accepted", path)
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Code == "" {
			t.Errorf("%s: no code in %v", path, err)
		}
		golden := strings.TrimSuffix(path, ".yaml") + ".golden"
		got := fmt.Sprintln(err)
		if *update {
			os.WriteFile(golden, []byte(got), 0o644)
		}
		want, _ := os.ReadFile(golden)
		if got != string(want) {
			t.Errorf("%s:\n%swant\n%s", path, got, want)
		}
	}
}

func TestGoodFile(t *testing.T) {
	c, err := Load(Source{File: "testdata/good.yaml", Must: true, Getenv: none})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Probes) != 2 || c.Probes[0].Interval != 15*time.Second || c.Probes[1].TCP != "127.0.0.1:5432" || len(c.Maintenance) != 1 || c.Remember >= 0 {
		t.Errorf("%+v", c)
	}
	want := []Target{
		{Name: "shop", URL: "http://127.0.0.1:9464/metrics", Interval: time.Minute, Timeout: 10 * time.Second},
		{Name: "db", URL: "https://db.internal:9187/metrics?target=main", Interval: 5 * time.Second, Timeout: 5 * time.Second, TokenFile: "/etc/fieldpost/db.token"},
	}
	if c.StatsD != "127.0.0.1:8125" || !slices.Equal(c.Scrape, want) {
		t.Errorf("%q %+v", c.StatsD, c.Scrape)
	}
	if c.WorkingDays != [7]bool{time.Sunday: true, time.Monday: true, time.Thursday: true} {
		t.Errorf("%v", c.WorkingDays)
	}
}

package badinput

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// A site whose own clock stood in 1970, is right, and then stands in 2106 measures what it is given, and a century of
// silence is not told window by window.
func TestClocks_OfTheSiteItself(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "events.jsonl")
	var b strings.Builder
	for _, at := range []string{"1970-01-01T00:00:01Z", "2026-11-01T12:00:00Z", "2026-11-01T12:00:00Z", "2106-02-07T06:28:16Z"} {
		b.WriteString(`{"type":"track","userId":"ann","event":"Change Authored","properties":{"area":"code","files":1},"timestamp":"` + at + `","receivedAt":"` + at + `"}` + "\n")
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	catalog, err := filepath.Abs("../../examples/forge/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a := harness.NewAgent(t, harness.Options{})
	begin := time.Now()
	a.Must("replay", "--catalog", catalog, "--remember", "forever", "-o", "json", file)
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("took %s", took)
	}
	if st := a.Status(); st.Events.Reasons["measured"] != 4 || st.Events.Received != 4 {
		t.Errorf("%v", st.Events)
	}
	got := map[string]string{}
	for _, l := range a.Exact("changes", "day") {
		if string(l.Value) != "0" {
			got[l.Start] = string(l.Value)
		}
	}
	if len(got) != 3 || got["1970-01-01"] != "1" || got["2026-11-01"] != "2" || got["2106-02-07"] != "1" {
		t.Errorf("%v", got)
	}
	size := int64(0)
	err = filepath.Walk(a.State, func(_ string, info os.FileInfo, err error) error {
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil || size > 4<<20 {
		t.Errorf("the state takes %d bytes, %v", size, err)
	}
}

// A site that is moved from zone to zone loses and doubles nothing, and says so in its ledger.
func TestZones_ChangedAgainAndAgain(t *testing.T) {
	a := site(t, harness.Options{})
	want := uint64(0)
	for i, zone := range []string{"Pacific/Kiritimati", "Pacific/Honolulu", "Asia/Kathmandu", "UTC", "Pacific/Honolulu"} {
		for range 10 {
			if code, answer, _ := a.Post("/v1/batch", batchOf(good)); code != 200 {
				t.Fatalf("%d %s", code, answer)
			}
			want++
		}
		if i%2 == 0 {
			a.Stop()
		} else {
			a.Kill()
		}
		a = harness.NewAgent(t, harness.Options{State: a.State, Config: "local_exact: true\nzone: " + zone})
		a.Start()
	}
	if e, _ := a.Received(want, 0); e.Reasons["measured"] != want {
		t.Errorf("%v", e.Reasons)
	}
	sum := 0
	for _, l := range a.Exact("workflows", "day") {
		n := 0
		for _, c := range l.Value {
			n = n*10 + int(c-'0')
		}
		sum += n
	}
	if sum != int(want) {
		t.Errorf("%d of %d events stand in days", sum, want)
	}
	if text := a.Must("ledger"); !strings.Contains(text, "the time zone is Pacific/Honolulu from next month on") {
		t.Errorf("the ledger does not tell of the zone:\n%s", text)
	}
	refused(t, harness.NewAgent(t, harness.Options{State: a.State, Config: "zone: Mars/Olympus"}).Do("run"), 2, "config_value", "zone")
}

package badinput

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// memory is what the service's unit allows the agent.
const memory = 256 << 20

// bounded demands that the agent never held more than it may. The race detector takes several times as much.
func bounded(t *testing.T, a *harness.Agent) {
	t.Helper()
	info, err := buildinfo.ReadFile(harness.Binary(t, "fieldpost-agent"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			return
		}
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest + " 0")[0])
	if err != nil || kib == 0 || kib<<10 > memory {
		t.Errorf("the agent held %d KiB, at most %d may be (%v)", kib, memory>>10, err)
	}
	t.Logf("%s: at most %d MB", t.Name(), kib<<10/1_000_000)
}

// flood sends n events, as many in a request as go into one.
func flood(t *testing.T, a *harness.Agent, n int, event func(i int) string) {
	t.Helper()
	for i := 0; i < n; {
		var b strings.Builder
		b.WriteString(`{"batch":[`)
		for b.Len() < 480<<10 && i < n {
			if b.Len() > 10 {
				b.WriteByte(',')
			}
			b.WriteString(event(i))
			i++
		}
		b.WriteString("]}")
		if code, answer, _ := a.Post("/v1/batch", b.String()); code != 200 {
			t.Fatalf("%d %.300s", code, answer)
		}
	}
}

// accounted waits until everything sent is accounted for, which takes a while where there is much, and demands that
// it adds up.
func accounted(t *testing.T, a *harness.Agent, want map[string]uint64) control.Status {
	t.Helper()
	before := uint64(0)
	for {
		st, err := a.Site().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st.Events.Received == sum(want) {
			if !same(st.Events.Reasons, want) {
				t.Errorf("%v, want %v", st.Events.Reasons, want)
			}
			return st
		}
		if st.Events.Received > sum(want) {
			t.Fatalf("%d events were received, %d sent", st.Events.Received, sum(want))
		}
		if before = st.Events.Received; before < sum(want) {
			harness.Eventually(t, func() error { // it goes on
				if st, err := a.Site().Status(t.Context()); err != nil || st.Events.Received <= before {
					return fmt.Errorf("%d of %d events are accounted for: %v", before, sum(want), err)
				}
				return nil
			})
		}
	}
}

// total is the sum of a measure's days. It is asked for while they are open, perhaps over a midnight.
func total(t *testing.T, a *harness.Agent, measure string, args ...string) map[string]uint64 {
	t.Helper()
	out := map[string]uint64{}
	for _, l := range a.Exact(measure, "day", args...) {
		var n uint64
		if err := json.Unmarshal(l.Value, &n); err != nil {
			t.Fatal(err)
		}
		dim := ""
		for _, v := range l.Dims {
			dim = v
		}
		out[dim] += n
	}
	return out
}

// What a product may send that is too much of everything, one after the other at one agent: a million values of
// one property, users with 100,000 events in a day, a storm of identifies, aliases in circles. All of it is counted,
// none of it makes the agent larger than it may be, and a good event is measured afterwards.
func TestLoad_TooMuchOfEverything(t *testing.T) {
	a := site(t, harness.Options{Config: "local_exact: true"})
	const million, busy, storm, circles = 1_000_000, 300_000, 100_000, 2100
	want := map[string]uint64{}

	flood(t, a, million, func(i int) string {
		return fmt.Sprintf(`{"type":"track","userId":"u%d","event":"Workflow Created","properties":{"template":"value %d"}}`, i%500, i)
	})
	want["measured"] += million
	accounted(t, a, want)
	if got := total(t, a, "workflows", "--by", "template"); got["(other)"] != million || len(got) != 1 {
		t.Errorf("a million values became %d: %.300v", len(got), got)
	}

	flood(t, a, busy, func(i int) string {
		return fmt.Sprintf(`{"type":"track","userId":"busy %d","event":"Workflow Saved","properties":{"state":"published","workflowId":%d,"steps":%d}}`, i%3, i, i%10_000)
	})
	want["measured"] += busy
	accounted(t, a, want)
	if got := total(t, a, "published"); got[""] != busy {
		t.Errorf("%v of %d saved", got, busy)
	}
	if got := total(t, a, "builders"); got[""] < 503 || got[""] > 2*503 { // twice over a midnight
		t.Errorf("%v people", got)
	}

	flood(t, a, storm, func(i int) string {
		return fmt.Sprintf(`{"type":"identify","userId":"storm %d","traits":{"role":"%s","email":"x%d@example.com"}}`, i%(storm/2), []string{"owner", "guest"}[i/(storm/2)], i)
	})
	want["measured"] += storm
	accounted(t, a, want)

	flood(t, a, circles, func(i int) string {
		id, next := i/3%7, (i/3+1)%7
		switch i % 3 {
		case 0:
			return fmt.Sprintf(`{"type":"track","userId":"ring %d","event":"Logged In","properties":{"method":"sso"}}`, id)
		case 1:
			return fmt.Sprintf(`{"type":"alias","userId":"ring %d","previousId":"ring %d"}`, id, next)
		}
		return fmt.Sprintf(`{"type":"alias","userId":"ring %d","previousId":"ring %d"}`, id, id)
	})
	want["measured"] += circles
	accounted(t, a, want)
	if got := total(t, a, "log_ins"); got[""] != circles/3 {
		t.Errorf("%v of %d log-ins", got, circles/3)
	}
	if people := total(t, a, "people"); people[""] != total(t, a, "builders")[""]+1 {
		t.Errorf("seven names of one person, in a circle, are %v people", people)
	}
	bounded(t, a)
	a.Kill()
	a.Start() // what was too much is in the journal, and is read again
	accounted(t, a, want)
	bounded(t, a)
}

// An id of a megabyte costs its event, at every door, and nothing else.
func TestLoad_IDsOfAMegabyte(t *testing.T) {
	a := site(t, harness.Options{})
	id := strings.Repeat("u", 1_000_000)
	now := time.Now().UTC().Format(time.RFC3339)
	want := map[string]uint64{}
	for _, r := range []struct {
		path, body, kind string
		status           int
		reason           string // "": the request is refused as a whole, and holds no event that was read
	}{
		{"/v1/track", `{"type":"track","event":"Workflow Created","userId":"` + id + `"}`, "application/json", 413, ""},
		{"/v1/batch", batchOf(`{"type":"track","event":"Workflow Created","userId":"ann","messageId":"` + id + `"}`), "application/json", 413, ""},
		{"/batch", `{"api_key":"k","batch":[{"event":"Workflow Created","distinct_id":"` + id + `"}]}`, "application/json", 200, "over_limit_size"},
		{"/cloudevents", `{"specversion":"1.0","id":"1","source":"/x","type":"Workflow Created","time":"` + now + `","authid":"` + id + `"}`, "application/cloudevents+json", 413, "over_limit_size"},
		{"/v1/logs", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"Workflow Created","attributes":[{"key":"user.id","value":{"stringValue":"` + id + `"}}]}]}]}]}`, "application/json", 200, "over_limit_size"},
	} {
		code, answer, _ := a.Post(r.path, r.body, "Content-Type", r.kind)
		if code != r.status {
			t.Errorf("%s: %d %.200s, want %d", r.path, code, answer, r.status)
		}
		if r.reason != "" {
			want[r.reason]++
		} else if !strings.Contains(answer, "too_large") {
			t.Errorf("%s: %.200s", r.path, answer)
		}
		if code, answer, _ := a.Post("/v1/batch", batchOf(good)); code != 200 {
			t.Fatalf("after %s: %d %s", r.path, code, answer)
		}
		want["measured"]++
	}
	accounted(t, a, want)
	bounded(t, a)
}

// Clocks of 1970 and 2106: a client whose clock is merely wrong is put right by its sentAt; an event that says so of
// itself is late, or skewed and taken as received.
func TestClocks_Of1970And2106(t *testing.T) {
	a := site(t, harness.Options{Config: "local_exact: true"})
	for _, at := range []string{"1970-01-01T00:00:00Z", "2106-02-07T06:28:16Z"} {
		for _, sent := range []string{"", `,"sentAt":"` + at + `"`} {
			body := `{"batch":[{"type":"track","userId":"ann","event":"Workflow Created","timestamp":"` + at + `","properties":{"template":"blank"}}]` + sent + `}`
			if code, answer, _ := a.Post("/v1/batch", body); code != 200 {
				t.Errorf("%d %s", code, answer)
			}
		}
	}
	st := accounted(t, a, map[string]uint64{"measured": 3, "late": 1})
	if st.Skewed != 1 {
		t.Errorf("%d skewed", st.Skewed)
	}
	if got := total(t, a, "workflows"); got[""] != 3 {
		t.Errorf("%v", got)
	}
	bounded(t, a)
}

package agent

import (
	"crypto/ed25519"
	"encoding/json"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// TestAZoneThatIsChangedCountsFromTheNextMonth: it once was never told to the measures, and batches named it at once.
func TestAZoneThatIsChangedCountsFromTheNextMonth(t *testing.T) {
	s := enrolled(t)
	o := ReplayOptions{Files: []string{events(t, 30, 20)}, Consent: decide(exchange.Aggregate, 100)} // Monday to Friday, at 9 UTC
	o.Until = time.Date(2024, 1, 20, 0, 0, 0, 0, time.UTC)
	s.replay(t, o)
	s.cfg.Settings.Zone = "Pacific/Honolulu" // then it is 23 o'clock, Sunday to Thursday
	o.Until = time.Time{}
	res := s.replay(t, o)
	if res.Events.Reasons["measured"] != 30*5*20+1 {
		t.Errorf("%+v", res.Events)
	}
	a, err := Open(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	lines, err := a.Query(t.Context(), control.Query{Measure: "active_authors", Grain: "day", Exact: true})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, l := range lines {
		var line struct {
			Start string
			Value json.RawMessage
		}
		if err := json.Unmarshal(l, &line); err != nil {
			t.Fatal(err)
		}
		got[line.Start] = string(line.Value)
	}
	for day, want := range map[string]string{
		"2024-01-26": "30", "2024-01-28": "0", "2024-01-31": "30", // Friday, Sunday, Wednesday in UTC
		"2024-02-01": "30",                                                           // Thursday: what was received on the 31st in Honolulu belongs to it too
		"2024-02-02": "0", "2024-02-04": "30", "2024-02-08": "30", "2024-02-09": "0", // Friday, Sunday, Thursday, Friday there
	} {
		if got[day] != want {
			t.Errorf("%s: %s people, want %s", day, got[day], want)
		}
	}
	zones := map[string]bool{}
	known, _ := s.fake.Agent(a.id.Enrolment.Agent)
	for _, wire := range known.Accepted {
		b, err := batch.Open(wire, a.id.Key.Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		zones[b.Header.Zone] = true
	}
	if !zones["UTC"] || !zones["Pacific/Honolulu"] || len(zones) != 2 {
		t.Errorf("batches name the zones %v", zones)
	}
}

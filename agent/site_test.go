package agent

import (
	"testing"

	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Every closed window moved all that is remembered of what stays, which took nine tenths of a replay's time.
func TestWhatStaysIsTheNewestAndMovedSeldom(t *testing.T) {
	cat, err := catalog.Parse(forgeFile(t))
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{}
	ruled := func(day int64) []egress.Ruled {
		return []egress.Ruled{{Cell: report.Cell{Series: report.Series{Field: report.Value, Grain: report.Day}, Start: day, Form: report.Exact, Lo: 1, Hi: 1}, Reason: egress.NotConsented}}
	}
	moves := 0
	const days = 3 * maxStays
	for day := range int64(days) {
		before := len(a.stays)
		a.remember(egress.Window{Catalog: cat, Grain: report.Day, Start: day}, ruled(day), false)
		if len(a.stays) <= before {
			moves++
		}
		if n := len(a.staying()); n != min(int(day)+1, maxStays) {
			t.Fatalf("after %d windows %d figures stay", day+1, n)
		}
		if newest := a.staying()[len(a.staying())-1]; newest.Start != day {
			t.Fatalf("day %d is the newest after day %d", newest.Start, day)
		}
	}
	if first := a.staying()[0]; first.Start != days-maxStays {
		t.Errorf("the oldest is day %d", first.Start)
	}
	if moves == 0 || moves > 4*days/maxStays {
		t.Errorf("%d figures were moved %d times", maxStays, moves)
	}
}

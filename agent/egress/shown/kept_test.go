package shown

import (
	"testing"

	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const catalogFile = `
catalog: shown
version: 1
vendor: Example Ltd
events:
  saved: {match: "Edit Saved"}
measures:
  - {id: edits, kind: count, events: [saved], category: usage, purpose: p, question: q, owner: o@example.com, retention: 400d}
`

// Every closed window moved all that is remembered of what stays, which took nine tenths of a replay's time.
func TestWhatStaysIsTheNewestAndMovedSeldom(t *testing.T) {
	cat, err := catalog.Parse([]byte(catalogFile))
	if err != nil {
		t.Fatal(err)
	}
	k := &Kept{}
	ruled := func(day int64) []egress.Ruled {
		return []egress.Ruled{{Cell: report.Cell{Series: report.Series{Field: report.Value, Grain: report.Day}, Start: day, Form: report.Exact, Lo: 1, Hi: 1}, Reason: egress.NotConsented}}
	}
	moves := 0
	const days = 3 * most
	for day := range int64(days) {
		before := len(k.stays)
		k.Add(egress.Window{Catalog: cat, Grain: report.Day, Start: day}, ruled(day), false)
		if len(k.stays) <= before {
			moves++
		}
		if n := len(k.newest()); n != min(int(day)+1, most) {
			t.Fatalf("after %d windows %d figures stay", day+1, n)
		}
		if newest := k.newest()[len(k.newest())-1]; newest.Start != day {
			t.Fatalf("day %d is the newest after day %d", newest.Start, day)
		}
	}
	if first := k.newest()[0]; first.Start != days-most {
		t.Errorf("the oldest is day %d", first.Start)
	}
	if moves == 0 || moves > 4*days/most {
		t.Errorf("%d figures were moved %d times", most, moves)
	}
}

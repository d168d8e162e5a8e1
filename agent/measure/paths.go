package measure

import (
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// opensPath is the open windows of a measure that package path computes, as far as they have begun.
func (f *Fold) opensPath(r *run.Run, g report.Grain) (starts []int64) {
	last := f.w.Cal.Start(g, f.now)
	if g != report.Rolling28 { // a window is named by a day that has come; its events may be minutes ahead
		last = f.w.Cal.Start(g, f.now+5*int64(time.Minute))
	}
	for s := r.Spans[g].Next; s <= last && !r.Spans[g].Done; s = calendar.Next(g, s) {
		if r.Spans[g].Covers(g, s) {
			starts = append(starts, s)
		}
	}
	return starts
}

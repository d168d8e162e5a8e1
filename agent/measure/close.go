package measure

import (
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/answer"
	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/pack"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/agent/measure/sums"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// close closes a window that is due and enters the next of its chain.
func (f *Fold) close(r *run.Run, d due) {
	s := &r.Spans[d.grain]
	switch {
	case r.M.Kind == catalog.Retention:
		f.cohorts(r, d)
	case s.Covers(d.grain, d.start):
		cells, zero := f.w.Cells(r, d.grain, d.start)
		if d.grain == report.Rolling28 && answer.Filled(r.M) {
			zero = f.w.Quiet(r, d.start) // its range is that of the days
		}
		f.emit(r, d, cells, zero)
	}
	if r.Traffic != nil {
		delete(r.Traffic.Open[d.grain], d.start)
	}
	needed := int64(math.MinInt64)
	if r.Path != nil {
		needed = r.Needs()
	}
	if slices.Contains(r.Chains(), d.grain) {
		f.chain(r, d)
	}
	if r.Path == nil || r.Path.Sums != nil || r.Needs() != needed { // looking at every user's matches is worth it only then
		f.tidy(r, d)
	}
	if s.Until != math.MaxInt64 {
		f.finished(r)
	}
}

// chain enters the window after the one that was closed.
func (f *Fold) chain(r *run.Run, d due) {
	s := &r.Spans[d.grain]
	s.Next = f.leap(d.grain, calendar.Next(d.grain, d.start))
	end := calendar.FirstOf(d.grain, s.Next) >= s.Until
	if r.M.Kind == catalog.Retention {
		end = r.CohortsEnd(s.Next)
	}
	if end {
		s.Done = true
		return
	}
	_, over := f.w.Cal.Span(d.grain, s.Next)
	f.push(due{at: over + r.Grace, mi: r.Mi, run: r.ID, grain: d.grain, start: s.Next})
}

// tidy drops what no open window needs.
func (f *Fold) tidy(r *run.Run, d due) {
	switch {
	case r.People != nil:
		r.Prune(&f.w)
	case r.Traffic == nil:
	case d.grain == report.FiveMinutes && r.Traffic.Burn != nil:
		for start := range r.Traffic.Burn {
			if start <= d.start-run.BurnMost {
				delete(r.Traffic.Burn, start)
			}
		}
	case d.grain == report.Day:
		oldest := f.w.Cal.Begin(f.w.Cal.Day(f.now - r.Grace))
		if r.Traffic.Gauge != nil {
			r.Traffic.Gauge.Prune(oldest)
		}
		if r.Traffic.Avail != nil {
			r.Traffic.Avail.Prune(oldest / 1e9)
		}
	}
}

// emit hands a closed window on.
func (f *Fold) emit(r *run.Run, d due, cells []report.Cell, zero bool) {
	if !zero {
		r.Spans[d.grain].Nonzero(d.start)
	}
	if len(cells) == 0 || !r.Measures(&f.w, d.grain, d.start) {
		return
	}
	if r.Fact != nil || !answer.AllZero(cells) { // the first of a list is no zero
		f.keep(&Stored{Run: r.ID, Measure: r.M.ID, Catalog: prefixOf(r.Cat), Grain: d.grain, Start: d.start, Closed: d.at, Cells: cells})
	} else if _, end := f.w.Cal.Span(d.grain, d.start); end <= r.Created {
		return // it ended before anybody measured
	}
	if f.cfg.Closed != nil {
		f.cfg.Closed(&Window{Catalog: r.Cat, Measure: r.Mi, Grain: d.grain, Start: d.start, Closed: d.at, Cells: slices.Clone(cells), Sum: sums.Of(&f.w, r, d.grain, d.start)})
	}
}

// learn takes a value received now.
func (f *Fold) learn(r *run.Run, v string) {
	s := r.Fact
	if s.Known && s.Value == v {
		return
	}
	sec := calendar.FloorDiv(f.now, 1e9)
	start := sec
	if s.Known {
		start = max(start, s.Changed+1)
	}
	s.Known, s.Value, s.Since, s.Changed = true, v, sec, start
	f.emit(r, due{at: f.now, grain: report.Change, start: start}, r.FactCells(report.Change, start), false)
}

// userFacts looks at the facts about whether there is such a user.
func (f *Fold) userFacts() {
	for _, r := range f.runs {
		if r.Fact == nil {
			continue
		}
		trait, value, ok := run.UserFactOf(r.M)
		if !ok {
			continue
		}
		u := &r.Fact.Users
		if !u.On {
			u.On, u.Slot = true, f.w.People.Slot(trait)
			u.Code = f.w.People.Code(u.Slot, value)
		}
		answer := "no"
		if f.w.People.Holders(u.Slot)[u.Code] > 0 {
			answer = "yes"
		}
		f.learn(r, answer)
	}
}

// programFacts looks at the facts the program knows of itself.
func (f *Fold) programFacts() {
	for _, r := range f.runs {
		if r.Fact == nil {
			continue
		}
		if v, ok := f.cfg.Facts[r.M.From]; ok {
			f.learn(r, v)
		}
	}
}

// keep adds a closed window to those the fold still holds.
func (f *Fold) keep(s *Stored) {
	k := packKey{s.Measure, s.Grain}
	p := f.closed[k]
	if p == nil {
		p = &Pack{Measure: s.Measure, Grain: s.Grain}
		f.closed[k] = p
	}
	p.Add(s)
}

type packKey struct {
	measure string
	grain   report.Grain
}

// Closed is the closed windows the fold still holds, by measure and grain. Not to be changed.
func (f *Fold) Closed() []*Pack {
	packs := make([]*Pack, 0, len(f.closed))
	for _, p := range f.closed {
		packs = append(packs, p)
	}
	slices.SortFunc(packs, pack.Compare)
	return packs
}

// DropClosed forgets the closed windows the fold holds: from now on they are Past's.
func (f *Fold) DropClosed() { clear(f.closed) }

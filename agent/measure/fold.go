package measure

import (
	"container/heap"
	"encoding/json"
	"math"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/dedupe"
	"github.com/fieldpost/fieldpost/agent/measure/outcome"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const (
	dayNs = int64(24 * time.Hour)
	// graceMost is the longest grace an event may have, and how long numbers of people are
	// kept beyond what is remembered, for events that come late.
	graceMost   = 7 * dayNs
	graceSample = 2 * dayNs
)

// Fold computes measures from journal records. Not safe for concurrent use.
type Fold struct {
	w        run.World
	cfg      Config
	seen     dedupe.Set
	acc      Accounting
	position uint64
	now      int64
	adopted  *catalog.Catalog
	consent  *exchange.Statement
	runs     []*run.Run // by measure of the adopted catalog, older runs of a measure first
	nextRun  uint32
	due      dueHeap
	streams  map[series.StreamKey]*series.Stream
	closed   map[packKey]*Pack
	ended    []rangeOf // spans of runs that are no more

	plans      map[[8]byte]*plan
	target     int64  // where Step is going
	latest     int64  // unix ns: when something was received last
	forgot     uint64 // how many users were forgotten since New or Load
	needPeople bool
	told       []uint32 // of whom the record being applied told something
	loaded     bool     // from a checkpoint, perhaps by a newer program: its facts are looked at again
}

// rangeOf is where a run that is no more had figures; zero lines are made from it.
type rangeOf struct {
	run     uint32
	measure string
	catalog [8]byte
	spans   [run.Grains]run.Span
}

// due is a window to be closed, or a day at whose beginning the dictionary is swept (run 0).
type due struct {
	at    int64
	mi    int
	run   uint32
	grain report.Grain
	start int64
}

type dueHeap []due

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	a, b := &h[i], &h[j]
	switch {
	case a.at != b.at:
		return a.at < b.at
	case a.mi != b.mi:
		return a.mi < b.mi
	case a.run != b.run:
		return a.run < b.run
	case a.grain != b.grain:
		return a.grain < b.grain
	}
	return a.start < b.start
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)   { *h = append(*h, x.(due)) }
func (h *dueHeap) Pop() any     { *h = (*h)[:len(*h)-1]; return nil } // who pops has looked at the first

// New returns an empty fold.
func New(cfg Config) *Fold {
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	if cfg.Remember == 0 {
		cfg.Remember = DefaultRemember
	}
	if cfg.Workdays == [7]bool{} {
		cfg.Workdays = [7]bool{time.Monday: true, time.Tuesday: true, time.Wednesday: true, time.Thursday: true, time.Friday: true}
	}
	return &Fold{
		w: run.World{Workdays: cfg.Workdays, Cal: calendar.New(cfg.Zone), People: people.New(), Bins: series.NewBins(), Started: run.NoDay}, cfg: cfg,
		acc: outcome.New(), now: math.MinInt64, nextRun: 1,
		streams: map[series.StreamKey]*series.Stream{}, closed: map[packKey]*Pack{}, plans: map[[8]byte]*plan{},
	}
}

// remember is how long a user is remembered, in ns; negative: for ever.
func (f *Fold) remember() int64 { return int64(f.cfg.Remember) }

func (f *Fold) catalog(prefix [8]byte) *catalog.Catalog {
	if f.cfg.Catalog == nil {
		return nil
	}
	return f.cfg.Catalog(prefix)
}

func prefixOf(c *catalog.Catalog) [8]byte { return [8]byte(c.Hash[:8]) }

// Calendar is how days are counted. Not to be changed.
func (f *Fold) Calendar() *calendar.Calendar { return f.w.Cal }

// Position is the number of the last record applied.
func (f *Fold) Position() uint64 { return f.position }

// Now is how far the fold has advanced, in unix ns; 0 before the first record.
func (f *Fold) Now() int64 {
	if f.now == math.MinInt64 {
		return 0
	}
	return f.now
}

// Apply folds in the journal record with number no; first it advances to r.Received. The
// record is not kept. A record that cannot be read through its catalog is accounted for as
// unknown_event, one whose consent or zone cannot be read changes nothing: an error would
// only stop what comes after it. The error is nil unless no is not later than Position.
func (f *Fold) Apply(no uint64, r *record.Record) error {
	if no <= f.position {
		return errOrder
	}
	f.position = no
	if f.acc.Since == 0 {
		f.acc.Since = r.Received
	}
	f.Advance(r.Received)
	if f.loaded {
		f.loaded = false
		f.programFacts()
	}
	if f.cfg.SimpleLocal && f.adopted == nil && (r.Kind == record.Request || r.Kind == record.Probed) {
		f.adopt(f.catalog(r.Catalog))
	}
	switch r.Kind {
	case record.Request:
		f.latest = r.Received
		f.request(r)
	case record.Probed:
		f.latest = r.Received
		if p := f.plan(r.Catalog); p != nil {
			for i := range r.Results {
				f.result(p, &r.Results[i])
			}
		}
	case record.Consent:
		if st := readStatement(r.Data); st != nil {
			f.consent = st
			f.rerun()
		}
	case record.Adopted:
		var prefix [8]byte
		copy(prefix[:], r.Data)
		if cat := f.catalog(prefix); cat != nil && len(r.Data) == 32 {
			f.adopt(cat)
		}
	case record.Forget:
		f.Forget(string(r.Data))
	case record.Zone:
		if zone, err := time.LoadLocation(string(r.Data)); err == nil && len(r.Data) > 0 {
			f.changeZone(zone)
		}
	}
	return nil
}

// readStatement reads a signed statement, or one without its signature.
func readStatement(data []byte) *exchange.Statement {
	var signed exchange.SignedStatement
	if json.Unmarshal(data, &signed) == nil && len(signed.Raw) > 0 {
		if st, err := signed.Parse(); err == nil {
			return st
		}
		return nil
	}
	var st exchange.Statement
	if json.Unmarshal(data, &st) != nil || st.Number < 1 {
		return nil
	}
	return &st
}

func (f *Fold) request(r *record.Record) {
	for i, n := range r.RefusedEvents {
		f.acc.Events[i] += n
	}
	for i, n := range r.RefusedSamples {
		f.acc.Samples[i] += n
	}
	f.acc.Skewed += r.Skewed
	f.acc.ClockBack += r.ClockBack
	p := f.plan(r.Catalog)
	if p == nil {
		f.acc.Events[record.UnknownEvent] += uint64(len(r.Events))
		f.acc.Samples[record.UnknownEvent] += uint64(len(r.Samples))
		return
	}
	if f.w.Started == run.NoDay && p.anyOn && (len(r.Events) > 0 || r.RefusedEvents.Total() > r.RefusedEvents[record.Off]) {
		f.w.Started, f.w.Began = f.w.Cal.Day(r.Received), r.Received
	}
	for i := range r.Events {
		f.acc.Events[f.event(p, &r.Events[i])]++
	}
	f.firsts()
	for i := range r.Samples {
		f.acc.Samples[f.sample(p, &r.Samples[i])]++
	}
	for i := range r.Facts {
		for _, ff := range p.facts {
			if ff.pos == r.Facts[i].Property {
				f.learn(ff.r, text(ff.p, &r.Facts[i]))
			}
		}
	}
}

// Advance closes what is due at now (unix ns). Going back does nothing.
func (f *Fold) Advance(now int64) {
	for f.Step(now) {
	}
}

// Step is one slice of Advance: it closes at most one window and reports whether there may be more. Who
// shares the fold under a lock lets go of it between two; nothing may be applied before the last.
func (f *Fold) Step(now int64) bool {
	if now < f.now {
		return false
	}
	f.target = now
	if len(f.due) == 0 || f.due[0].at > now {
		f.now, f.w.Now = now, now
		return false
	}
	d := f.due[0]
	heap.Pop(&f.due)
	f.now = max(f.now, d.at)
	f.w.Now = f.now
	if d.run == 0 {
		f.sweep(d)
	} else if r := f.run(d.run); r != nil {
		f.close(r, d)
	}
	return true
}

func (f *Fold) run(id uint32) *run.Run {
	for _, r := range f.runs {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func (f *Fold) push(d due) { heap.Push(&f.due, d) }

// changeZone puts a zone in force with the next month and gives every window still to close
// its new end.
func (f *Fold) changeZone(zone *time.Location) {
	f.w.Cal.Change(zone, f.now)
	for i := range f.due {
		d := &f.due[i]
		if d.run == 0 {
			d.at = f.w.Cal.Begin(d.start)
		} else if r := f.run(d.run); r != nil {
			_, end := f.w.Cal.Span(d.grain, d.start)
			d.at = end + r.Grace
		}
	}
	heap.Init(&f.due)
}

// sweep begins a local day: numbers of people nobody remembers and no window holds are given up.
func (f *Fold) sweep(d due) {
	held := f.w.Cal.Begin(d.start) - graceMost
	for _, r := range f.runs {
		if r.People != nil {
			held = min(held, f.w.Cal.Begin(r.Needs()))
		}
	}
	remembered := int64(math.MinInt64)
	if f.remember() >= 0 {
		remembered = d.at - f.remember() - graceMost
	}
	for _, id := range f.w.People.Sweep(remembered, held) {
		for _, r := range f.runs {
			r.Unfirst(id)
		}
	}
	for s := range f.streams {
		if f.streams[s].Time < d.at-graceMost {
			delete(f.streams, s)
		}
	}
	f.userFacts()
	next := f.leap(report.Day, d.start+1)
	f.push(due{at: f.w.Cal.Begin(next), start: next})
}

// holdMost is how long after an event some window still to close may tell of it: a cohort of 12 weeks
// waits for its last week's 26th, and everything for its grace and a funnel's end.
const holdMost = 400 * dayNs

// leapMost is how long a silence may be of which every window is told. A clock that was at 1970 or
// stands in 2106 makes a silence of a century, 100,000 windows of each measure; of such a one the
// last year is told.
const leapMost = 3 * 365 * dayNs

// leap is the window of the grain to go on with, start or one long after it.
func (f *Fold) leap(g report.Grain, start int64) int64 {
	if begin, _ := f.w.Cal.Span(g, start); begin > f.latest+holdMost && begin < f.target-leapMost {
		return max(start, f.w.Cal.Start(g, f.target-leapMost/3))
	}
	return start
}

// Accounting says what became of everything received.
func (f *Fold) Accounting() Accounting {
	a := f.acc.Clone()
	for _, r := range f.runs {
		if r.Path != nil {
			a.MatchesRefused += r.Path.Refused
		}
	}
	return a
}

// Known is the number of users known at now (unix ns) who are not under not_people.
func (f *Fold) Known(now int64) int {
	if f.remember() < 0 {
		return f.knownSince(math.MinInt64)
	}
	return f.knownSince(now - f.remember())
}

// Seen is the number of users who are not under not_people and were active, or first heard
// of, within the time before now.
func (f *Fold) Seen(now int64, within time.Duration) int { return f.knownSince(now - int64(within)) }

func (f *Fold) knownSince(since int64) (n int) {
	f.people(since, func(uint32) { n++ })
	return n
}

// people calls fn for everybody known since then who is not under not_people.
func (f *Fold) people(since int64, fn func(id uint32)) {
	var of *run.Run // any: they all leave out the same people
	for _, r := range f.runs {
		if r.Cat == f.adopted {
			of = r
			break
		}
	}
	f.w.People.Known(since, func(id uint32) {
		if of == nil || !of.Excluded(f.w.People, id) {
			fn(id)
		}
	})
}

// Forget takes the user's names out of the dictionary. Open windows keep counting somebody without
// a name: a number that is given to nobody before the last of them has closed. Applying a record of
// kind Forget does the same; the caller writes a checkpoint at once and trims the journal.
func (f *Fold) Forget(user string) bool {
	ok := f.w.People.Forget(user)
	if ok {
		f.forgot++
	}
	f.userFacts()
	return ok
}

// Forgotten is how many users were forgotten since New or Load.
func (f *Fold) Forgotten() uint64 { return f.forgot }

// Started is the civil day from which knowledge of users is counted; false before the first event.
func (f *Fold) Started() (day int64, ok bool) { return f.w.Started, f.w.Started != run.NoDay }

package run

import (
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/path"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// stepFeed is what an event may be to a funnel or to transitions.
type stepFeed struct {
	step  int // -1: before
	where []valueCond
}

// following is where the value comes from that a funnel follows.
type following struct {
	pos    int
	number bool
	table  []uint16 // record's index → run's index
}

// BindSteps finds what an event of the record's catalog may be to the run; false: nothing.
func (fd *Feed) BindSteps(r *Run, id string, theirs, own []catalog.Property) bool {
	fd.Bind(r, theirs, own, nil)
	if name := r.M.Correlate; name != "" {
		p, pos := catalog.Find(theirs, name)
		to, _ := catalog.Find(own, name)
		fd.follow = &following{pos: -1}
		if p != nil && to != nil && p.IsNumber == to.IsNumber {
			fd.follow.pos, fd.follow.number = pos, p.IsNumber
			for i := uint16(0); !p.IsNumber && i <= p.NoneIndex(); i++ {
				fd.follow.table = append(fd.follow.table, ValueIndex(to, p.ValueName(i)))
			}
		}
	}
	add := func(n int, s *catalog.Step) {
		if s.Event != id {
			return
		}
		if where, ok := conditions(theirs, s.Where); ok {
			fd.steps = append(fd.steps, stepFeed{n, where})
		}
	}
	for i := range r.M.Steps {
		add(i, &r.M.Steps[i])
	}
	if r.M.Before != nil {
		add(-1, r.M.Before)
	}
	return len(fd.steps) > 0
}

func (s *stepFeed) takes(values []record.Value) bool {
	for i := range s.where {
		if !s.where[i].Holds(Find(values, s.where[i].pos)) {
			return false
		}
	}
	return true
}

// told are the breakdowns the run finds the values of: those of the catalog, a funnel's split, an
// experiment's arm.
func told(m *catalog.Measure) [][]string {
	switch {
	case m.Kind == catalog.Funnel && m.Split != "":
		return [][]string{{m.Split}}
	case m.Kind == catalog.Sufficient:
		return [][]string{{m.Arm}}
	}
	return m.By
}

// addPath adds an event to a measure that package path computes.
func (f *World) addPath(fd *Feed, e *record.Event, id uint32, dayNo int64, combo uint32) {
	s := fd.R.Path
	ok := true
	switch {
	case s.Sums != nil:
		x := Find(e.Properties, int(fd.Number))
		y := &record.Value{}
		if fd.R.M.Y != "" {
			y = Find(e.Properties, int(fd.Second))
		}
		if x != nil && y != nil {
			s.Sums.Add(dayNo, id, combo, x.Number, y.Number)
		}
	case id == people.Nobody:
	case s.Flow != nil:
		for i := range fd.steps {
			if fd.steps[i].takes(e.Properties) {
				ok = s.Flow.Add(f.Cal, id, e.Time, fd.steps[i].step, f.Now)
				break
			}
		}
	case s.Funnel != nil:
		if m := fd.match(e); m.Steps != 0 || m.Before {
			m.User, m.Time = id, e.Time
			if m.Steps&1 != 0 && len(fd.R.Breaks) > 1 && !fd.R.Breaks[1].hasTraits() {
				m.Split = fd.R.Key(1, combo, f.People, id).V1
			}
			ok = s.Funnel.Add(m, f.Now)
		}
	}
	if !ok {
		s.Refused++
	}
}

// match is what an event is to a funnel.
func (fd *Feed) match(e *record.Event) (m path.Match) {
	for i := range fd.steps {
		switch s := &fd.steps[i]; {
		case !s.takes(e.Properties):
		case s.step < 0:
			m.Before = true
		default:
			m.Steps |= 1 << s.step
		}
	}
	if w := fd.follow; w != nil && m.Steps != 0 {
		v := Find(e.Properties, w.pos)
		switch {
		case v == nil:
			m.Steps = 0
		case w.number:
			m.Key = path.Hash(v, 0, true)
		case int(v.Index)+1 < len(w.table): // the last is (none): no value to follow
			m.Key = path.Hash(v, w.table[v.Index], false)
		default:
			m.Steps = 0
		}
	}
	return m
}

// paths makes the cells of a window of a measure that package path computes.
func (f *World) paths(r *Run, g report.Grain, first, last int64) (cells []report.Cell, zero bool) {
	begin, end := f.Cal.Begin(first), f.Cal.Begin(last+1)
	switch {
	case r.Path.Funnel != nil:
		return f.funnel(r, g, begin, end)
	case r.Path.Flow != nil:
		total, pairs := uint64(0), map[Group]uint64{}
		r.Path.Flow.Between(first, last, begin, end, func(user uint32, from, to int, n uint64) {
			if r.Counts(f.People, f.People.Now(user)) {
				total += n
				pairs[Group{1, uint16(from), uint16(to)}] += n
			}
		})
		cells = append(cells, Exact(r.series(Group{}, g, report.Value), float64(total)))
		for k, n := range pairs {
			cells = append(cells, Exact(r.series(k, g, report.Value), float64(n)))
		}
		return cells, total == 0
	}
	sums := map[Group]*path.Sums{{}: {}}
	r.Path.Sums.Between(first, last, func(user, combo uint32, s *path.Sums) {
		user = f.People.Now(user)
		if !r.Counts(f.People, user) {
			return
		}
		for b := range r.Breaks {
			k := r.Key(b, combo, f.People, user)
			if sums[k] == nil {
				sums[k] = &path.Sums{}
			}
			sums[k].Merge(s)
		}
	})
	for k, s := range sums {
		for i, v := range []float64{float64(s.N), s.X.Float(), s.XX.Float(), s.Y.Float(), s.YY.Float(), s.XY.Float()} {
			cells = append(cells, Exact(r.series(k, g, r.M.Fields()[i]), v))
		}
	}
	return cells, sums[Group{}].N == 0
}

// funnelTally is how far the entries of one value of the split came.
type funnelTally struct {
	steps [path.StepsMost]uint64
	bands [6]uint64 // as catalog.TimeBands
}

func (t *funnelTally) add(e path.Entry, steps int) {
	for i := range e.Reached {
		t.steps[i]++
	}
	const hour = int64(3600e9)
	band := 5
	if e.Reached == steps {
		for band = 0; band < 4 && e.Took > [...]int64{hour, 24 * hour, 72 * hour, 168 * hour}[band]; band++ {
		}
	}
	t.bands[band]++
}

// funnel: breakdowns 1 {step}, 2 {band} and with a split 3 {SPLIT, step}, 4 {SPLIT, band}.
func (f *World) funnel(r *Run, g report.Grain, begin, end int64) (cells []report.Cell, zero bool) {
	var all funnelTally
	by, split := map[uint16]*funnelTally{}, len(r.Breaks) > 1
	r.Path.Funnel.Entries(begin, end, f.Now, func(e path.Entry) {
		if !r.Counts(f.People, e.User) {
			return
		}
		all.add(e, len(r.M.Steps))
		if !split {
			return
		}
		v := e.Split
		if r.Breaks[1].hasTraits() {
			v = r.Key(1, 0, f.People, e.User).V1
		}
		if by[v] == nil {
			by[v] = &funnelTally{}
		}
		by[v].add(e, len(r.M.Steps))
	})
	put := func(k Group, n uint64) {
		if n > 0 || k.B == 0 {
			cells = append(cells, Exact(r.series(k, g, report.Value), float64(n)))
		}
	}
	put(Group{}, all.steps[0])
	for i, n := range all.steps {
		put(Group{B: 1, V1: uint16(i)}, n)
	}
	for i, n := range all.bands {
		put(Group{B: 2, V1: uint16(i)}, n)
	}
	for v, t := range by {
		for i, n := range t.steps {
			put(Group{3, v, uint16(i)}, n)
		}
		for i, n := range t.bands {
			put(Group{4, v, uint16(i)}, n)
		}
	}
	return cells, all.steps[0] == 0
}

// tail is how long after a window's end what began in it may go on.
func tail(m *catalog.Measure) int64 {
	if m.Kind == catalog.Funnel {
		return int64(m.Window)
	}
	return 0
}

// TakesOver makes a new run know what the one before knew.
func (r *Run) TakesOver(before *Run) {
	r.People.First = slices.Clone(before.People.First)
	if r.People.Seats != nil && before.People.Seats != nil {
		*r.People.Seats = Seats{slices.Clone(before.People.Seats.Purchased), slices.Clone(before.People.Seats.Assigned)}
	}
	if r.Path != nil {
		r.Path.TakeOver(before.Path, r.M, before.M)
	}
}

package path

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

const (
	hour = int64(time.Hour)
	day  = 24 * hour
)

// event is one of a random stream.
type event struct {
	Match
	seen  int64 // received
	order int   // in the journal
	step  int   // transitions
}

// stream is events of users 0…users-1 over days, each received within grace of its time.
func stream(r *rand.Rand, users, n, days int, grace int64, keys int) []event {
	var es []event
	for range n {
		// Few different moments: many events share one.
		t := r.Int64N(int64(days)*24*2) * hour / 2
		e := event{Match: Match{User: uint32(r.IntN(users)), Time: t, Steps: uint16(r.IntN(8)), Before: r.IntN(6) == 0, Split: uint16(r.IntN(3))}, step: r.IntN(3)}
		e.seen = t
		if r.IntN(3) > 0 {
			e.seen += r.Int64N(grace + 1)
		}
		if keys > 0 {
			e.Key = uint64(r.IntN(keys))
		}
		es = append(es, e)
	}
	slices.SortStableFunc(es, func(a, b event) int { return cmp.Compare(a.seen, b.seen) })
	for i := range es {
		es[i].order = i
	}
	return es
}

func inOrder(a, b event) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.order, b.order))
}

// site runs a state as the fold does: windows close at their end plus what may still belong to them, and
// then what no window needs is dropped.
type site struct {
	t     *testing.T
	r     *rand.Rand
	cal   *calendar.Calendar
	s     *State
	cfg   Config
	is    []uint32 // who somebody is now
	past  []event  // received, never dropped
	fixed map[uint32]map[uint64]int64
	made  int

	written map[string]written
}

func (x *site) reload() {
	parts := x.saved(x.s)
	n := &State{}
	switch {
	case x.s.Funnel != nil:
		n.Funnel = newFunnel(x.cfg)
	case x.s.Flow != nil:
		n.Flow = newFlow(x.cfg)
	case x.s.Sums != nil:
		n.Sums = newMoments()
	}
	r := wire.NewReader(parts[""])
	n.Load(r, "x/", len(x.is), 1, func(key string) *wire.Reader { return wire.NewReader(parts[key]) })
	if r.End() != nil {
		x.t.Fatal(r.Err())
	}
	x.written = nil
	if again := x.saved(n); !maps.EqualFunc(parts, again, slices.Equal) {
		x.t.Fatalf("written as %x, then %x", parts, again)
	}
	x.s = n
	x.sound()
}

type written struct {
	version uint64
	b       []byte
}

// saved is all parts by key. A part that says it has not changed has not.
func (x *site) saved(s *State) map[string][]byte {
	w := &wire.Writer{}
	s.Save(w)
	parts, now := map[string][]byte{"": w.B}, map[string]written{}
	for _, sec := range s.Sections("x/") {
		p := &wire.Writer{}
		sec.Write(p)
		if old, ok := x.written[sec.Key]; ok && old.version == sec.Version && !slices.Equal(old.b, p.B) {
			x.t.Fatalf("%s is version %d with %x and with %x", sec.Key, sec.Version, old.b, p.B)
		}
		parts[sec.Key], now[sec.Key] = p.B, written{sec.Version, p.B}
	}
	for key, old := range x.written {
		if _, there := now[key]; !there {
			now[key] = old
		}
	}
	x.written = now
	return parts
}

// sound holds the count of matches against the matches.
func (x *site) sound() {
	b := &book{}
	if x.s.Funnel != nil {
		b = &x.s.Funnel.book
	} else if x.s.Flow != nil {
		b = &x.s.Flow.book
	}
	n := 0
	for user, h := range b.users {
		if n += len(h.m); len(h.m) == 0 || (x.cfg.Correlate && len(h.keys) != len(h.m)) {
			x.t.Fatalf("user %d has %d matches with %d keys", user, len(h.m), len(h.keys))
		}
	}
	if n != b.total {
		x.t.Fatalf("%d matches are counted as %d", n, b.total)
	}
}

// of is everything somebody did, in order.
func (x *site) of(user uint32) (es []event) {
	for _, e := range x.past {
		if x.is[e.User] == user {
			es = append(es, e)
		}
	}
	slices.SortFunc(es, inOrder)
	return es
}

// naive is the entries of somebody in [begin, end), in the words of MEASURES and as slowly.
func (x *site) naive(user uint32, begin, end int64) (out []string) {
	es := x.of(user)
	var before *event
	for i := range es {
		if es[i].Before {
			before = &es[i]
			break
		}
	}
	keys := map[uint64]bool{}
	for _, e := range es {
		keys[e.Key] = true
	}
	for key := range keys {
		same := es
		if x.cfg.Correlate {
			same = nil
			for _, e := range es {
				if e.Key == key {
					same = append(same, e)
				}
			}
		}
		for _, e := range x.entries(user, key, same) {
			if e.Time < begin || e.Time >= end {
				continue
			}
			last, reached := e, 1
			for n := 1; n < x.cfg.Steps; n++ {
				i := slices.IndexFunc(same, func(o event) bool { return inOrder(o, last) > 0 && o.Steps>>n&1 != 0 })
				if i < 0 || same[i].Time-e.Time > x.cfg.Window {
					break
				}
				last = same[i]
				reached++
			}
			if x.cfg.Before && reached == x.cfg.Steps && (before == nil || inOrder(*before, last) >= 0) {
				reached--
			}
			took := int64(-1)
			if reached == x.cfg.Steps {
				took = last.Time - e.Time
			}
			out = append(out, fmt.Sprint(user, e.Time/hour, reached, took, e.Split))
		}
		if !x.cfg.Correlate {
			break
		}
	}
	return out
}

func (x *site) entries(user uint32, key uint64, es []event) (out []event) {
	last, ok := x.fixed[user][key]
	for _, e := range es {
		switch {
		case e.Steps&1 == 0:
		case !x.cfg.Each && len(out) == 0, x.cfg.Each && (!ok || e.Time > last+x.cfg.Window):
			out, last, ok = append(out, e), e.Time, true
		}
	}
	return out
}

// fix notes which entries stand when their windows have closed.
func (x *site) fix(open int64) {
	if !x.cfg.Each {
		return
	}
	for user := range uint32(len(x.is)) {
		for key := uint64(0); key < 4; key++ {
			es := x.of(user)
			if x.cfg.Correlate {
				es = slices.DeleteFunc(es, func(e event) bool { return e.Key != key })
			}
			for _, e := range x.entries(user, key, es) {
				if e.Time < open {
					x.fixes(user, key, e.Time)
				}
			}
			if !x.cfg.Correlate {
				break
			}
		}
	}
}

func (x *site) fixes(user uint32, key uint64, at int64) {
	if x.fixed[user] == nil {
		x.fixed[user] = map[uint64]int64{}
	}
	if old, ok := x.fixed[user][key]; !ok || at > old {
		x.fixed[user][key] = at
	}
}

// join makes b be a from now on.
func (x *site) join(a, b uint32) {
	for i := range x.is {
		if x.is[i] == b {
			x.is[i] = a
		}
	}
	for key, at := range x.fixed[b] {
		x.fixes(a, key, at)
	}
	delete(x.fixed, b)
	x.s.Merge(b, a)
}

func (x *site) compare(begin, end, now int64) {
	var got, want []string
	x.s.Funnel.Entries(begin, end, now, func(e Entry) {
		took := int64(-1)
		if e.Reached == x.cfg.Steps {
			took = e.Took
		}
		got = append(got, fmt.Sprint(e.User, e.Time/hour, e.Reached, took, e.Split))
	})
	for user := range uint32(len(x.is)) {
		want = append(want, x.naive(user, begin, min(end, now-x.cfg.Window+1))...)
	}
	slices.Sort(got)
	slices.Sort(want)
	x.made += len(want)
	if !slices.Equal(got, want) {
		x.t.Fatalf("%+v: entries of days %d to %d at %d h:\n got %q\nwant %q", x.cfg, begin/day, end/day, now/hour, got, want)
	}
}

// run feeds a stream, with aliases and restarts at random points, and holds every window against the
// naive computation.
func (x *site) run(es []event, aliases bool) {
	week := int64(0)
	for _, e := range es {
		for end := (week + 7) * day; end+x.cfg.Window+x.cfg.Grace <= e.seen; end = (week + 7) * day {
			due := end + x.cfg.Window + x.cfg.Grace
			x.compare(week*day, end, due)
			x.fix(min(end, due-x.cfg.Grace))
			week += 7
			x.s.Prune(x.cal, week, due)
		}
		switch x.r.IntN(60) {
		case 0:
			x.reload()
		case 3, 4, 5:
			x.saved(x.s)
		case 1:
			if a, b := x.is[x.r.IntN(len(x.is))], x.is[x.r.IntN(len(x.is))]; aliases && a != b {
				x.join(a, b)
			}
		case 2:
			x.compare(week*day, week*day+28*day, e.seen) // an open window
		}
		x.past = append(x.past, e)
		e.User = x.is[e.User]
		if !x.s.Funnel.Add(e.Match, e.seen) {
			x.t.Fatal("refused")
		}
	}
	x.compare(week*day, math.MaxInt64/4, math.MaxInt64/2)
	x.sound()
}

func TestExactFunnelsAsMEASURESSaysThem(t *testing.T) {
	made := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		cfg := Config{Steps: 2 + r.IntN(2), Window: []int64{hour, 2*day + hour/2, 9 * day}[r.IntN(3)], Each: r.IntN(2) == 0,
			Correlate: r.IntN(2) == 0, Before: r.IntN(2) == 0, Grace: []int64{0, 2 * day, 7 * day}[r.IntN(3)], Keep: 4}
		aliases := seed%2 == 0
		if aliases {
			cfg.Keep = 1 << 20 // what was thinned is not there for whom alias joins
		}
		keys := 0
		if cfg.Correlate {
			keys = 1 + r.IntN(4)
		}
		users := 1 + r.IntN(5)
		x := &site{t: t, r: r, cal: calendar.New(time.UTC), cfg: cfg, s: &State{Funnel: newFunnel(cfg)}, fixed: map[uint32]map[uint64]int64{}}
		for u := range users {
			x.is = append(x.is, uint32(u))
		}
		es := stream(r, users, 20+r.IntN(400), 20+r.IntN(60), cfg.Grace, keys)
		for i := range es {
			es[i].Steps &= 1<<cfg.Steps - 1
		}
		x.run(es, aliases)
		made += x.made
	}
	if made < 5000 {
		t.Errorf("only %d entries were compared", made)
	}
}

func TestExactTransitionsAsMEASURESSaysThem(t *testing.T) {
	made := 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		cfg := Config{Steps: 3, Grace: []int64{0, 2 * day, 7 * day}[r.IntN(3)], Keep: 4}
		aliases := seed%2 == 0
		if aliases {
			cfg.Keep = 1 << 20
		}
		x := &site{t: t, r: r, cal: calendar.New(time.UTC), cfg: cfg, s: &State{Flow: newFlow(cfg)}, is: []uint32{0, 1, 2}}
		check := func(first, last int64) {
			t.Helper()
			got, want := map[string]uint64{}, map[string]uint64{}
			x.s.Flow.Between(first, last, first*day, (last+1)*day, func(user uint32, from, to int, n uint64) { got[fmt.Sprint(x.is[user], from, to)] += n })
			for user := range uint32(3) {
				es := x.of(user)
				for i := 1; i < len(es); i++ {
					if b := es[i]; b.Time >= first*day && b.Time < (last+1)*day && b.Time-es[i-1].Time <= Gap {
						want[fmt.Sprint(user, es[i-1].step, b.step)]++
						made++
					}
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("seed %d: days %d to %d:\n got %v\nwant %v", seed, first, last, got, want)
			}
		}
		d, w := int64(0), int64(0)
		for _, e := range stream(r, 3, 50+r.IntN(1000), 10+r.IntN(20), cfg.Grace, 0) {
			for ; (d+1)*day+cfg.Grace <= e.seen; d++ {
				check(d, d)
				if (w+7)*day+cfg.Grace <= (d+1)*day+cfg.Grace {
					check(w, w+6)
					w += 7
				}
				x.s.Prune(x.cal, min(d+1, w), (d+1)*day+cfg.Grace)
			}
			switch r.IntN(60) {
			case 0:
				x.reload()
			case 1:
				if a, b := x.is[r.IntN(3)], x.is[r.IntN(3)]; aliases && a != b {
					x.join(a, b)
				}
			}
			x.past = append(x.past, e)
			if !x.s.Flow.Add(x.cal, x.is[e.User], e.Time, e.step, e.seen) {
				t.Fatal("refused")
			}
		}
		check(w, w+100)
		x.sound()
	}
	if made < 5000 {
		t.Errorf("only %d transitions were compared", made)
	}
}

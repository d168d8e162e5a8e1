package oracle_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/installer/e2e/oracle"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// zones have days of 23, 24 and 25 hours, days that begin at one o'clock (São Paulo), a day that never
// was (Apia, 2011-12-30), and half hours.
func zones() []string {
	return []string{"UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe"}
}

func begins(zone *time.Location) time.Time {
	if zone.String() == "Pacific/Apia" {
		return time.Date(2011, 9, 20, 3, 0, 0, 0, zone)
	}
	return time.Date(2017, 8, 20, 3, 0, 0, 0, zone)
}

func TestOracleSyntheticHistories(t *testing.T) {
	cat := load(t, "rich.yaml")
	var y tally
	t.Cleanup(func() { y.print(t) })
	for i, name := range zones() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone := location(t, name)
			begin := begins(zone)
			days := 150 + i%2*120
			raw := oracle.Synthetic(uint64(i), begin, days, 1500)
			y0, m0, d0 := begin.Date()
			until := time.Date(y0, m0, d0+days-10, 0, 0, 0, 0, zone)
			f, site := folded(t, raw, cat, oracle.Rich(), oracle.Settings{Zone: zone, Until: until, Remember: measure.DefaultRemember})
			compare(t, f, site, only(oracle.RichMeasures()), &y)
			for _, reason := range []string{"unknown_event", "over_limit_value", "duplicate", "late", "measured"} {
				if site.Reasons[reason] == 0 {
					t.Errorf("the fixture has no event that is %s", reason)
				}
			}
			if a := f.Accounting(); a.AliasRefused == 0 || a.AliasIgnored == 0 || a.Skewed == 0 || a.ClockBack == 0 {
				t.Errorf("the fixture lacks something: %+v", a)
			}
		})
	}
}

// Random histories, each in a random zone, whose calls arrive in another order than they were made,
// twice or late, with aliases; the fold is saved and loaded at random moments, and told the time at
// others. Its windows are the oracle's.
func TestOracleRandomHistories(t *testing.T) {
	cat := load(t, "rich.yaml")
	var y tally
	t.Cleanup(func() { y.print(t) })
	const histories, workers = 240, 4
	for w := range workers {
		t.Run(fmt.Sprint(w), func(t *testing.T) {
			t.Parallel()
			for n := w; n < histories; n += workers {
				randomHistory(t, uint64(n), cat, &y)
			}
		})
	}
}

func randomHistory(t *testing.T, seed uint64, cat *catalog.Catalog, y *tally) {
	rng := rand.New(rand.NewPCG(seed, 1))
	zone := location(t, zones()[rng.IntN(len(zones()))])
	begin := begins(zone).AddDate(0, 0, rng.IntN(60)).Add(time.Duration(rng.IntN(86400)) * time.Second)
	days := 5 + rng.IntN(100)
	if seed%8 == 0 {
		days += 190
	}
	raw := permuted(t, rng, oracle.Synthetic(seed, begin, days, 10+rng.IntN(150)))
	until := begin.AddDate(0, 0, 1+rng.IntN(days+60))
	s := oracle.Settings{Zone: zone, Until: until, Remember: []time.Duration{0, measure.DefaultRemember}[rng.IntN(2)]}
	site, err := oracle.Read(bytes.NewReader(raw), oracle.Rich(), s)
	if err != nil {
		t.Fatal(err)
	}
	f, rs := newFold(cat, s), records(t, bytes.NewReader(raw), cat, until)
	for i, r := range rs {
		switch rng.IntN(25) {
		case 0:
			f = restarted(t, f, newFold(cat, s))
		case 1:
			if i > 0 {
				f.Advance((rs[i-1].Received + r.Received) / 2)
			}
		}
		if err := f.Apply(uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
	}
	f.Advance(until.UnixNano())
	before := t.Failed()
	if compare(t, restarted(t, f, newFold(cat, s)), site, only(oracle.RichMeasures()), y); t.Failed() && !before {
		t.Logf("that was history %d: zone %s, begin %s, until %s, remember %s", seed, zone, begin, until, s.Remember)
	}
}

// restarted is the fold after it was saved and loaded.
func restarted(t testing.TB, f, next *measure.Fold) *measure.Fold {
	var b bytes.Buffer
	if err := f.Save(&b); err != nil {
		t.Fatal(err)
	}
	if err := next.Load(bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	return next
}

// permuted lets a part of the calls arrive later than they did, up to an hour or up to two days, and others
// together.
func permuted(t testing.TB, rng *rand.Rand, raw []byte) []byte {
	type call struct {
		rec  time.Time
		text map[string]any
	}
	var calls []call
	for l := range bytes.Lines(raw) {
		var c call
		if err := json.Unmarshal(l, &c.text); err != nil {
			t.Fatal(err)
		}
		c.rec, _ = time.Parse(time.RFC3339Nano, c.text["receivedAt"].(string))
		if rng.IntN(3) == 0 {
			c.rec = c.rec.Add(time.Duration(rng.IntN(3600*[]int{1, 48}[rng.IntN(2)])) * time.Second)
			c.text["receivedAt"] = c.rec.Format(time.RFC3339Nano)
		}
		calls = append(calls, c)
	}
	slices.SortStableFunc(calls, func(a, b call) int { return a.rec.Compare(b.rec) })
	for i := range calls[:max(0, len(calls)-1)] { // a batch arrives when its last call was made
		if last := calls[len(calls)-1-i]; rng.IntN(3) == 0 {
			if c := &calls[len(calls)-2-i]; last.rec.Sub(c.rec) < time.Hour {
				c.rec = last.rec
				c.text["receivedAt"] = last.text["receivedAt"]
			}
		}
	}
	var out []byte
	for _, c := range calls {
		b, err := json.Marshal(c.text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, b...), '\n')
	}
	return out
}

// everything is all answers of a fold as text.
func everything(t testing.TB, f *measure.Fold, cat *catalog.Catalog) (out []string) {
	for i := range cat.Measures {
		m := &cat.Measures[i]
		for _, g := range m.Grains() {
			out = append(out, lines(t, f, m.ID, g)...)
			for _, by := range m.By {
				out = append(out, lines(t, f, m.ID, g, by...)...)
			}
		}
	}
	return out
}

// A fold that is saved and loaded at any moments, and told the time at any moments between, closes
// the same windows and saves the same bytes.
func TestRestartsAtRandomPoints(t *testing.T) {
	cat := load(t, "rich.yaml")
	begin := time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		raw := oracle.Synthetic(seed, begin, 45, 60)
		rs := records(t, bytes.NewReader(raw), cat, begin.AddDate(1, 0, 0))
		stops := rapid.SliceOfN(rapid.IntRange(0, len(rs)-1), 0, 6).Draw(rt, "stops")
		s := oracle.Settings{Zone: time.UTC}
		plain, broken := newFold(cat, s), newFold(cat, s)
		for i, r := range rs {
			if slices.Contains(stops, i) {
				var b, c bytes.Buffer
				if err := broken.Save(&b); err != nil {
					rt.Fatal(err)
				}
				next := newFold(cat, s)
				if err := next.Load(bytes.NewReader(b.Bytes())); err != nil {
					rt.Fatal(err)
				}
				if err := next.Save(&c); err != nil {
					rt.Fatal(err)
				}
				if !bytes.Equal(b.Bytes(), c.Bytes()) {
					rt.Fatal("a loaded fold saves other bytes")
				}
				broken = next
			}
			if i > 0 && i%7 == 0 {
				broken.Advance((rs[i-1].Received + r.Received) / 2)
			}
			for _, f := range []*measure.Fold{plain, broken} {
				if err := f.Apply(uint64(i+1), r); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if d := cmp.Diff(everything(t, plain, cat), everything(t, broken, cat)); d != "" {
			rt.Fatal(head(d))
		}
		var b, c bytes.Buffer
		if plain.Save(&b) != nil || broken.Save(&c) != nil || !bytes.Equal(b.Bytes(), c.Bytes()) {
			rt.Fatal("the checkpoints differ")
		}
	})
}

// Within grace the order of arrival does not matter to measures about people.
func TestArrivalInAnyOrderWithinGrace(t *testing.T) {
	cat := load(t, "kinds.yaml")
	begin := time.Date(2024, 2, 1, 12, 0, 0, 0, time.UTC)
	type arrival struct{ at, rec time.Time }
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 80).Draw(rt, "n")
		var folds [2]*measure.Fold
		var events []arrival
		for i := range n { // no two at the same time: their order would be that of arrival
			at := begin.Add(time.Duration(rapid.IntRange(0, 80*24*60).Draw(rt, "minute"))*time.Minute + time.Duration(i))
			events = append(events, arrival{at, at.Add(time.Duration(rapid.IntRange(0, 48*60).Draw(rt, "late")) * time.Minute)})
		}
		for k := range folds {
			f := newFold(cat, oracle.Settings{Zone: time.UTC})
			order := make([]int, n)
			for i := range order {
				order[i] = i
			}
			rec := func(i int) time.Time {
				if k == 0 {
					return events[i].at
				}
				return events[i].rec
			}
			slices.SortStableFunc(order, func(a, b int) int { return rec(a).Compare(rec(b)) })
			first := &record.Record{Kind: record.Request, Received: begin.UnixNano(), Catalog: [8]byte(cat.Hash[:8]), RefusedEvents: record.Counts{1}}
			if err := f.Apply(1, first); err != nil {
				rt.Fatal(err)
			}
			for no, i := range order {
				r := &record.Record{Kind: record.Request, Received: rec(i).UnixNano(), Catalog: first.Catalog, Events: []record.Event{{
					Type: record.Track, Def: uint16(i / 9 % 3), Time: events[i].at.UnixNano(), User: fmt.Sprint("u", i%9),
				}}}
				if i/9%3 == 0 {
					r.Events[0].Properties = []record.Value{{Property: 0, Index: uint16(i % 8)}, {Property: 1, Number: record.Decimal{Mantissa: int64(i), Exponent: uint8(i % 10)}}}
				}
				if err := f.Apply(uint64(no+2), r); err != nil {
					rt.Fatal(err)
				}
			}
			f.Advance(begin.AddDate(0, 14, 0).UnixNano())
			folds[k] = f
		}
		people := slices.DeleteFunc(slices.Clone(cat.Measures), func(m catalog.Measure) bool { return m.Kind == catalog.FirstTime }) // known by receipt
		some := &catalog.Catalog{Measures: people}
		if d := cmp.Diff(everything(t, folds[0], some), everything(t, folds[1], some)); d != "" {
			rt.Fatal(head(d))
		}
	})
}

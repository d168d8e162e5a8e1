package oracle_test

import (
	"bytes"
	"fmt"
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

// Days of 23, 24 and 25 hours, days that begin at one o'clock (São Paulo), a day that never was
// (Apia, 2011-12-30), and half hours.
func TestSyntheticHistoriesAgree(t *testing.T) {
	cat := forge(t)
	for i, name := range []string{"UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Date(2017, 8, 20, 3, 0, 0, 0, time.UTC)
			if name == "Pacific/Apia" {
				begin = time.Date(2011, 9, 20, 3, 0, 0, 0, time.UTC)
			}
			raw := oracle.Synthetic(uint64(i), begin, 150, 4000)
			until := begin.Add(140 * 24 * time.Hour)
			site, err := oracle.Read(bytes.NewReader(raw), oracle.Forge(), zone, until)
			if err != nil {
				t.Fatal(err)
			}
			f := newFold(cat, zone)
			for i, r := range records(t, bytes.NewReader(raw), cat, until) {
				if err := f.Apply(uint64(i+1), r); err != nil {
					t.Fatal(err)
				}
			}
			f.Advance(until.UnixNano())
			compare(t, f, site)
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
	cat := forge(t)
	begin := time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		raw := oracle.Synthetic(seed, begin, 45, 120)
		rs := records(t, bytes.NewReader(raw), cat, begin.AddDate(1, 0, 0))
		stops := rapid.SliceOfN(rapid.IntRange(0, len(rs)-1), 0, 6).Draw(rt, "stops")
		plain, broken := newFold(cat, time.UTC), newFold(cat, time.UTC)
		for i, r := range rs {
			if slices.Contains(stops, i) {
				var b, c bytes.Buffer
				if err := broken.Save(&b); err != nil {
					rt.Fatal(err)
				}
				next := newFold(cat, time.UTC)
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
	cat := forge(t)
	begin := time.Date(2024, 2, 1, 12, 0, 0, 0, time.UTC)
	type arrival struct{ at, rec time.Time }
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 80).Draw(rt, "n")
		var folds [2]*measure.Fold
		var events []arrival
		for range n {
			at := begin.Add(time.Duration(rapid.IntRange(0, 80*24*60).Draw(rt, "minute")) * time.Minute)
			events = append(events, arrival{at, at.Add(time.Duration(rapid.IntRange(0, 48*60).Draw(rt, "late")) * time.Minute)})
		}
		for k := range folds {
			f := newFold(cat, time.UTC)
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
					Type: record.Track, Time: events[i].at.UnixNano(), User: fmt.Sprint("u", i%9),
					Properties: []record.Value{{Property: 0, Index: uint16(i % 8)}, {Property: 1, Number: record.Decimal{Mantissa: int64(i), Exponent: uint8(i % 10)}}},
				}}}
				if err := f.Apply(uint64(no+2), r); err != nil {
					rt.Fatal(err)
				}
			}
			f.Advance(begin.AddDate(0, 7, 0).UnixNano())
			folds[k] = f
		}
		people := slices.DeleteFunc(slices.Clone(cat.Measures), func(m catalog.Measure) bool { return m.Subject != catalog.Person || m.Kind == catalog.Fact })
		some := &catalog.Catalog{Measures: people}
		if d := cmp.Diff(everything(t, folds[0], some), everything(t, folds[1], some)); d != "" {
			rt.Fatal(head(d))
		}
	})
}

package path

import (
	"cmp"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/agent/record"
)

func TestExactProductsOfDecimals(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	dec := func() record.Decimal {
		d := record.Decimal{Mantissa: int64(r.Uint64()) >> r.IntN(64), Exponent: uint8(r.IntN(10))}
		if r.IntN(20) == 0 {
			d.Mantissa = math.MinInt64
		}
		return d
	}
	units := func(d record.Decimal) *big.Int {
		n := big.NewInt(d.Mantissa)
		return n.Mul(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(9-d.Exponent)), nil))
	}
	var sum Wide
	want := new(big.Int)
	for range 20_000 {
		a, b := dec(), dec()
		p := Product(a, b)
		sum.Add(&p)
		want.Add(want, new(big.Int).Mul(units(a), units(b)))
		if f, _ := new(big.Rat).SetFrac(new(big.Int).Mul(units(a), units(b)), big.NewInt(1e18)).Float64(); p.Float() != f {
			t.Fatalf("%v × %v is %v, not %v", a, b, p.Float(), f)
		}
	}
	if f, _ := new(big.Rat).SetFrac(want, big.NewInt(1e18)).Float64(); sum.Float() != f {
		t.Errorf("the sum is %v, not %v", sum.Float(), f)
	}
}

func TestAMergeCountsNothingTwice(t *testing.T) {
	f, cal := newFlow(Config{Steps: 2, Grace: day, Keep: 5}), calendar.New(time.UTC)
	minute := hour / 60
	for i := range int64(4) {
		f.Add(cal, 1, 10*minute*i, 0, 10*minute*i)
	}
	f.Add(cal, 1, 5*day, 0, 5*day) // thinned: three transitions are counted
	f.Add(cal, 2, 25*minute, 1, 5*day)
	f.join(2, 1)
	n := uint64(0)
	f.Between(0, 100, 0, 100*day, func(_ uint32, _, _ int, k uint64) { n += k })
	if n != 3 || f.total != len(f.users[1].m) {
		t.Errorf("%d transitions of %d matches", n, f.total)
	}
}

func TestWhatMayStillChangeIsNotPruned(t *testing.T) {
	f := newFunnel(Config{Steps: 2, Window: 2 * day, Each: true, Grace: 7 * day})
	f.Add(Match{Time: 10 * day, Steps: 1}, 10*day)
	f.prune(30*day, 5*day) // a new definition's windows lie ahead
	f.Add(Match{Time: 9 * day, Steps: 1}, 12*day)
	f.Add(Match{Time: 12 * day, Steps: 1}, 12*day)
	var got []int64
	f.Entries(0, 100*day, 100*day, func(e Entry) { got = append(got, e.Time/day) })
	if !slices.Equal(got, []int64{9, 12}) {
		t.Errorf("entries on days %v", got)
	}
}

func TestTooManyMatchesOfAUserAreRefused(t *testing.T) {
	f := newFunnel(Config{Steps: 2, Window: hour, Grace: day})
	for i := range int64(Most) {
		if !f.Add(Match{Steps: 1, Time: i}, i) {
			t.Fatalf("match %d is refused", i)
		}
	}
	if f.Add(Match{Steps: 1, Time: Most}, Most) || !f.Add(Match{User: 1, Steps: 1, Time: Most}, Most) {
		t.Error("one too many is taken, or the limit is not the user's own")
	}
}

func TestHashTellsValuesApartNotSpellings(t *testing.T) {
	n := func(m int64, e uint8) uint64 {
		return Hash(&record.Value{Number: record.Decimal{Mantissa: m, Exponent: e}}, 0, true)
	}
	if n(80, 1) != n(8, 0) || n(0, 9) != n(0, 0) || n(-5, 0) == n(5, 0) || n(8, 1) == n(8, 0) {
		t.Error("numbers are not told apart, or by how they are written")
	}
	if Hash(nil, 3, false) == Hash(nil, 4, false) || Hash(nil, 3, false) == 3 {
		t.Error("indexes")
	}
}

func TestSumsByDayAreSealedAndRead(t *testing.T) {
	m, r := newMoments(), rand.New(rand.NewPCG(9, 9))
	x := &site{t: t, r: r, s: &State{Sums: m}, is: make([]uint32, 3), cal: calendar.New(time.UTC)}
	plain := map[sumKey]*Sums{}
	for i := range int64(3000) {
		now := i / 50
		d := max(0, now-r.Int64N(5))
		k := sumKey{uint32(r.IntN(4)) - 1, 0} // nobody, too
		a, b := record.Decimal{Mantissa: r.Int64N(1000) - 500, Exponent: uint8(r.IntN(3))}, record.Decimal{Mantissa: r.Int64()}
		x.s.Sums.Add(d, k.user, k.combo, a, b)
		if plain[k] == nil {
			plain[k] = &Sums{}
		}
		plain[k].Merge(&Sums{1, series.FromDecimal(a), series.FromDecimal(b), Product(a, a), Product(b, b), Product(a, b)})
		switch r.IntN(30) {
		case 0:
			x.reload()
		case 1:
			x.saved(x.s)
		case 2:
			x.s.Prune(x.cal, 0, now*day) // without a grace: a late one opens its day again
		}
	}
	got := map[sumKey]*Sums{}
	x.s.Sums.Between(0, 100, func(user, combo uint32, s *Sums) {
		k := sumKey{user, combo}
		if got[k] == nil {
			got[k] = &Sums{}
		}
		got[k].Merge(s)
	})
	if !maps.EqualFunc(got, plain, func(a, b *Sums) bool { return *a == *b }) {
		t.Errorf("%v, not %v", got, plain)
	}
	x.s.Prune(x.cal, 1000, 1000*day)
	if len(x.s.Sums.days) > 0 {
		t.Error("days no window needs are kept")
	}
}

// FuzzLoad: what cannot be read is an error, and what can is written back as the same bytes.
func FuzzLoad(f *testing.F) {
	states := func() []*State {
		c := Config{Steps: 3, Window: day, Correlate: true, Grace: day}
		return []*State{{Funnel: newFunnel(c)}, {Flow: newFlow(Config{Steps: 3, Grace: day, Keep: 2})}, {Sums: newMoments()}}
	}
	pack := func(s *State) []byte { // the parts, with their lengths
		w := &wire.Writer{}
		s.Save(w)
		out := &wire.Writer{}
		out.Bytes(w.B)
		for _, sec := range s.Sections("") {
			p := &wire.Writer{}
			sec.Write(p)
			out.String(sec.Key)
			out.Bytes(p.B)
		}
		return out.B
	}
	unpack := func(s *State, b []byte) error {
		r := wire.NewReader(b)
		main, parts := wire.NewReader(r.Bytes()), map[string][]byte{}
		for r.Left() > 0 {
			key := r.String()
			parts[key] = r.Bytes()
		}
		s.Load(main, "", 3, 2, func(key string) *wire.Reader { return wire.NewReader(parts[key]) })
		return cmp.Or(main.End(), r.Err())
	}
	for i, s := range states() {
		for j := range int64(3) {
			switch {
			case s.Funnel != nil:
				s.Funnel.Add(Match{User: uint32(j % 2), Time: j * day, Steps: 1 << j, Before: true, Key: 7}, j*day)
			case s.Flow != nil:
				s.Flow.Add(calendar.New(time.UTC), 0, j*hour/4, int(j), j*day)
			default:
				s.Sums.Add(j, uint32(j), 0, record.Decimal{Mantissa: -j}, record.Decimal{Mantissa: 5})
			}
		}
		f.Add(i, pack(s))
	}
	f.Fuzz(func(t *testing.T, kind int, b []byte) {
		if kind < 0 || kind > 2 {
			return
		}
		s, again := states()[kind], states()[kind]
		if unpack(s, b) != nil {
			return
		}
		if err := unpack(again, pack(s)); err != nil || !slices.Equal(pack(s), pack(again)) {
			t.Fatalf("%x: %v", b, err)
		}
		if s.Funnel != nil {
			s.Funnel.Entries(0, math.MaxInt64/2, math.MaxInt64/2, func(Entry) {})
		}
		s.Merge(1, 0)
		s.Prune(calendar.New(time.UTC), 3, 9*day)
	})
}

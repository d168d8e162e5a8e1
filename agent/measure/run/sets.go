package run

import (
	"maps"
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// SaveSpans writes spans.
func SaveSpans(w *wire.Writer, spans *[Grains]Span) {
	for _, s := range spans {
		w.Bool(s != Everything())
		if s != Everything() {
			for _, v := range []int64{s.From, s.Until, s.Next, s.Lo, s.Hi} {
				w.Int(v)
			}
			w.Bool(s.Done)
		}
	}
}

// LoadSpans reads what SaveSpans wrote.
func LoadSpans(r *wire.Reader) (spans [Grains]Span) {
	for g := range spans {
		spans[g] = Everything()
		if r.Bool() {
			spans[g] = Span{From: r.Int(), Until: r.Int(), Next: r.Int(), Lo: r.Int(), Hi: r.Int(), Done: r.Bool()}
		}
	}
	return spans
}

// LoadUints reads numbers with their count.
func LoadUints(r *wire.Reader) (out []uint64) {
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		out = append(out, r.Uint())
	}
	return out
}

func saveTally(w *wire.Writer, t *Tally) {
	w.Uint(t.N[0])
	w.Uint(t.N[1])
	w.Uint(t.Dist.Count)
	t.Dist.Sum.Save(w)
	w.Uint(uint64(len(t.Dist.Bins)))
	for _, bin := range slices.Sorted(maps.Keys(t.Dist.Bins)) {
		w.Int(int64(bin))
		w.Uint(t.Dist.Bins[bin])
	}
	t.Sum.Save(w)
	w.Uint(t.Count)
	w.Uint(uint64(len(t.Buckets)))
	for _, n := range t.Buckets {
		w.Uint(n)
	}
}

func loadTally(r *wire.Reader) *Tally {
	t := &Tally{N: [2]uint64{r.Uint(), r.Uint()}}
	t.Dist.Count = r.Uint()
	t.Dist.Sum = series.LoadFixed(r)
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		if t.Dist.Bins == nil {
			t.Dist.Bins = map[int32]uint64{}
		}
		bin := int32(r.Int())
		t.Dist.Bins[bin] = r.Uint()
	}
	t.Sum = series.LoadFixed(r)
	t.Count = r.Uint()
	t.Buckets = LoadUints(r)
	return t
}

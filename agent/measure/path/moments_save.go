package path

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"

	"github.com/fieldpost/fieldpost/agent/measure/dense"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// A day of sums is written in columns (package dense), and kept so when nothing is expected for it any more: how
// many there are, and for each dense.Most of them, in order, the gaps between users (nobody comes last), the
// combinations, the numbers of observations, the sums of x and y, and of those with more than one observation, which
// are not the product of their sums, the sums of squares and products.

// bytes is the day as it is saved.
func (d *sumDay) bytes() []byte {
	if d.open == nil {
		return d.raw
	}
	keys := slices.SortedFunc(maps.Keys(d.open), func(a, b sumKey) int {
		return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.combo, b.combo))
	})
	w := &wire.Writer{}
	w.Uint(uint64(len(keys)))
	last := uint32(0)
	for some := range slices.Chunk(keys, dense.Most) {
		users, combos, counts := make([]uint64, len(some)), make([]uint64, len(some)), make([]uint64, len(some))
		xs, ys := make([]series.Fixed, len(some)), make([]series.Fixed, len(some))
		var wide [3][]Wide
		for i, k := range some {
			s := d.open[k]
			users[i], combos[i], counts[i], xs[i], ys[i] = uint64(k.user-last), uint64(k.combo), s.N, s.X, s.Y
			if last = k.user; s.N > 1 {
				wide[0], wide[1], wide[2] = append(wide[0], s.XX), append(wide[1], s.YY), append(wide[2], s.XY)
			}
		}
		dense.Append(w, users)
		dense.Append(w, combos)
		dense.Append(w, counts)
		series.AppendColumn(w, xs)
		series.AppendColumn(w, ys)
		for _, of := range wide {
			appendWide(w, of)
		}
	}
	return slices.Clip(slices.Clone(w.B))
}

// readSums reads what bytes wrote, in order.
func readSums(r *wire.Reader, fn func(user, combo uint32, s *Sums)) {
	last, combo := uint64(0), int64(-1)
	for left := r.Uint(); left > 0 && r.Err() == nil; {
		n := int(min(left, dense.Most))
		left -= uint64(n)
		users, combos, counts := make([]uint64, n), make([]uint64, n), make([]uint64, n)
		dense.Read(r, users)
		dense.Read(r, combos)
		dense.Read(r, counts)
		xs := series.ReadColumn(r, make([]series.Fixed, 0, n), n)
		ys := series.ReadColumn(r, make([]series.Fixed, 0, n), n)
		many := 0
		for _, c := range counts {
			if c > 1 {
				many++
			}
		}
		var wide [3][]Wide
		for i := range wide {
			wide[i] = readWide(r, many)
		}
		for i, at := 0, 0; i < n && r.Err() == nil; i++ {
			if users[i] > 0 {
				combo = -1
			}
			if last += users[i]; max(last, users[i], combos[i]) >= 1<<32 || int64(combos[i]) <= combo || counts[i] == 0 {
				r.Fail("the sums of a day")
				return
			}
			combo = int64(combos[i])
			s := &Sums{N: counts[i], X: xs[i], Y: ys[i]}
			if s.N > 1 {
				s.XX, s.YY, s.XY = wide[0][at], wide[1][at], wide[2][at]
				at++
			} else {
				s.XX, s.YY, s.XY = product(s.X, s.X), product(s.Y, s.Y), product(s.X, s.Y)
			}
			fn(uint32(last), uint32(combos[i]), s)
		}
	}
}

// noUnit: the numbers of a column stand as they are.
const noUnit = 255

// appendWide writes a column as series.AppendColumn does.
func appendWide(w *wire.Writer, of []Wide) {
	unit := 18
	for i := range of {
		for ; unit > 0; unit-- {
			if _, rest := of[i].over(unit); rest == 0 {
				break
			}
		}
	}
	vs := make([]uint64, len(of))
	for i := range of {
		q, _ := of[i].over(unit)
		if q[3] != 0 || q[2] != 0 || q[1] != 0 || q[0] >= 1<<63 {
			w.Raw([]byte{noUnit})
			for j := range of {
				of[j].save(w)
			}
			return
		}
		if vs[i] = q[0] << 1; int64(of[i][3]) < 0 {
			vs[i] |= 1
		}
	}
	w.Raw([]byte{byte(unit)})
	dense.Append(w, vs)
}

func readWide(r *wire.Reader, n int) (out []Wide) {
	var unit [1]byte
	if r.Raw(unit[:]); unit[0] == noUnit {
		for ; n > 0 && r.Err() == nil; n-- {
			out = append(out, loadWide(r))
		}
		return out
	}
	if unit[0] > 18 {
		r.Fail("a unit")
		return nil
	}
	vs := make([]uint64, n)
	if dense.Read(r, vs); r.Err() != nil {
		return nil
	}
	for _, v := range vs {
		var x Wide
		x[1], x[0] = bits.Mul64(v>>1, power(int(unit[0])))
		if v&1 != 0 {
			x.negate()
		}
		out = append(out, x)
	}
	return out
}

// over is how many times 10^unit goes into the amount of w, and what is left.
func (w Wide) over(unit int) (q Wide, rest uint64) {
	if int64(w[3]) < 0 {
		w.negate()
	}
	by := power(unit)
	for i := 3; i >= 0; i-- {
		q[i], rest = bits.Div64(rest, w[i], by)
	}
	return q, rest
}

func power(of int) uint64 {
	p := uint64(1)
	for range of {
		p *= 10
	}
	return p
}

func (w *Wide) save(to *wire.Writer) {
	for _, x := range w[:3] {
		to.Uint(x)
	}
	to.Int(int64(w[3]))
}

func loadWide(r *wire.Reader) Wide {
	return Wide{r.Uint(), r.Uint(), r.Uint(), uint64(r.Int())}
}

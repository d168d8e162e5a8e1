package audit

import (
	"math/bits"
	"slices"
)

// Template is how finely a book tries to tell a number.
type Template uint8

const (
	Withheld Template = iota // no book: nothing is told
	Singles                  // single values
	Fives                    // 0–4 5–9 10–14 …
	Bands                    // 0–4 5–9 10–19 20–49 50–99 100–199 …
	Thirds                   // of the group: low, middle, high
)

func (t Template) String() string {
	return [...]string{"withheld", "single values", "fives", "bands", "thirds of the group"}[t]
}

// Book is the answers that could be given, in rising order; together they cover all numbers that
// were possible. The last is open: it also stands for what is above its Hi.
type Book struct {
	Template Template
	Answers  []Interval
	Before   Interval // what was known before
}

// Answer is the answer for the number n; false when n is below everything that was possible.
func (b *Book) Answer(n int64) (Interval, bool) {
	if len(b.Answers) == 0 || n < b.Answers[0].Lo {
		return Interval{}, false
	}
	i, _ := slices.BinarySearchFunc(b.Answers, n, func(a Interval, n int64) int {
		if a.Hi < n {
			return -1
		}
		return 1
	})
	return b.Answers[min(i, len(b.Answers)-1)], true
}

// Worlds are the same numbers and relations under several assumptions (the group as named and a
// fifth smaller). They are built in step: a Var means the same in each.
type Worlds []*System

// Cut makes the book for v. Nothing is told yet.
func (w Worlds) Cut(v Var) Book {
	b := Book{Before: w[0].Known(v)}
	// Only what every world allows is told apart: what lies beyond joins the first or the last answer,
	// because the true group may be of any size between the worlds.
	all := b.Before
	for _, s := range w[1:] {
		all.Lo, all.Hi = max(all.Lo, s.dom[v].Lo), min(all.Hi, s.dom[v].Hi)
	}
	for t := Singles; t <= Thirds && all.Len() > 1; t++ {
		if t == Singles && all.Len() > 1<<20 { // nobody counts that closely
			continue
		}
		if a := w.answers(v, all, t); len(a) >= 2 {
			b.Template, b.Answers = t, a
			a[0].Lo, a[len(a)-1].Hi = b.Before.Lo, b.Before.Hi
			return b
		}
	}
	return b
}

// Tell adds an answer for good. A world that it contradicts is given up, unless it is the last: a group
// that cannot be smaller than named is known not to be.
func (w Worlds) Tell(v Var, a Interval) (Worlds, bool) {
	var left Worlds
	for _, s := range w {
		if s.Tell(v, a.Lo, a.Hi) {
			left = append(left, s)
		}
	}
	if len(left) == 0 {
		return w, false
	}
	return left, true
}

// answers cuts known into the finest answers of the template that all keep the principle.
func (w Worlds) answers(v Var, known Interval, t Template) (out []Interval) {
	if t == Singles {
		return w.singles(v, known)
	}
	cuts := segments(t, known, w[0].public[v])
	from := known.Lo
	for _, c := range cuts {
		if a := (Interval{from, c}); w.keep(v, a) {
			out = append(out, a)
			from = c + 1
		}
	}
	return w.rest(v, known, out, from)
}

// rest joins what is left over at the top to the answers before it.
func (w Worlds) rest(v Var, known Interval, out []Interval, from int64) []Interval {
	for from <= known.Hi {
		if len(out) == 0 {
			return nil
		}
		from = out[len(out)-1].Lo
		out = out[:len(out)-1]
		if a := (Interval{from, known.Hi}); w.keep(v, a) {
			return append(out, a)
		}
	}
	return out
}

// singles is answers for single values. Where both ends of a stretch of single values keep the principle and leave the
// same numbers exact, so does every value between: what follows for another number from v = n is an interval whose
// lower end is convex and whose upper end is concave in n, so it is nowhere narrower than at the ends
// of the stretch, and only an exact one may be narrower than Width.
func (w Worlds) singles(v Var, known Interval) (out []Interval) {
	from := known.Lo
	for n := known.Lo; n <= known.Hi; n++ {
		a := Interval{from, n}
		if !w.keep(v, a) {
			continue
		}
		out = append(out, a)
		from = n + 1
		if a.Len() > 1 || known.Hi-n < 8 {
			continue
		}
		for end := w.stretch(v, n, known.Hi); n < end; {
			n++
			out = append(out, Interval{n, n})
			from = n + 1
		}
	}
	return w.rest(v, known, out, from)
}

// stretch is how far single values from n on, which was just found to, surely keep the principle.
func (w Worlds) stretch(v Var, n, most int64) int64 {
	same, bends, ok := w.exact()
	if !ok {
		return n
	}
	end := n
	for step := int64(1) << bits.Len64(uint64(most-n)); step > 0; step /= 2 {
		to := end + step
		if to > most || !w.keep(v, Interval{to, to}) {
			continue
		}
		exact, bent, ok := w.exact()
		if ok && slices.Equal(exact, same) && (!bends && !bent || w.straight(v, end+1, to-1)) {
			end, bends = to, bent
		}
	}
	return end
}

// exact is the numbers that the last answer that was found to keep the principle makes known, in all worlds; bends says
// that it changed numbers that are not convex for sure. false: it could not be given in one of the worlds.
func (w Worlds) exact() (out []Var, bends, ok bool) {
	ok = true
	for _, s := range w {
		slices.Sort(s.exact)
		out = append(append(out, s.exact...), None)
		bends, ok = bends || s.bends, ok && !s.void
	}
	return out, bends, ok
}

// straight reports whether every single value from one to another keeps the principle as far as propagation sees it.
func (w Worlds) straight(v Var, from, to int64) bool {
	for n := from; n <= to; n++ {
		for _, s := range w {
			m := s.mark()
			ok := s.assume(v, n, n)
			for _, t := range s.touched(m) {
				ok = ok && s.holds(t, s.dom[t])
			}
			s.back(m)
			if !ok {
				return false
			}
		}
	}
	return true
}

// keep reports whether the principle is kept in every world after the answer a. The world that spoilt an
// answer is asked first the next time: it most likely spoils that too.
func (w Worlds) keep(v Var, a Interval) bool {
	first := max(0, slices.IndexFunc(w, func(s *System) bool { return s.spoils }))
	for i := range w {
		s := w[(first+i)%len(w)]
		if s.spoils = !s.keep(v, a); s.spoils {
			return false
		}
	}
	return true
}

// keep reports whether after v is known to lie in a, every protected number keeps the principle. An
// answer that cannot be given in this world says nothing about it.
func (s *System) keep(v Var, a Interval) bool {
	m := s.mark()
	defer func() { s.back(m) }()
	s.exact, s.bends, s.void = s.exact[:0], false, false
	if !s.assume(v, a.Lo, a.Hi) {
		s.void = true
		return s.work <= maxWork
	}
	touched := s.touched(m)
	for _, t := range touched {
		if !s.holds(t, s.dom[t]) {
			return false
		}
		if s.least[t] > 0 && s.dom[t].Len() == 1 {
			s.exact = append(s.exact, t)
		}
		s.bends = s.bends || s.bent[t]
	}
	return s.probed(s.near(touched))
}

// touched is the numbers that changed since a mark, each once; valid until the next call.
func (s *System) touched(m mark) []Var {
	out := s.changed[:0]
	for _, c := range s.trail[m:] {
		if !s.isNew[c.v] {
			s.isNew[c.v] = true
			out = append(out, c.v)
		}
	}
	for _, v := range out {
		s.isNew[v] = false
	}
	s.changed = out
	return out
}

// doubt is a number in a ring, which propagation may leave wider than it is.
type doubt struct {
	v         Var
	d         Interval // what propagation leaves it
	low, high bool     // some values in the lower end are possible, in the upper end
}

// ends are the values of which some have to be possible for v to have Width of them for sure.
func (d *doubt) ends() (low, high Interval) {
	x := (d.d.Len() - Width) / 2
	return Interval{d.d.Lo, d.d.Lo + x}, Interval{d.d.Hi - x, d.d.Hi}
}

// probed reports whether probing finds that each of the numbers keeps the principle. It begins with the one that
// spoilt the last answer; the order changes nothing but the time.
func (s *System) probed(vs []Var) bool {
	if i, ok := slices.BinarySearch(vs, s.culprit); ok {
		vs[0], vs[i] = vs[i], vs[0]
	}
	ds := s.doubts[:0]
	for _, v := range vs {
		ds = append(ds, doubt{v: v, d: s.dom[v]})
	}
	s.doubts = ds
	for i := range ds {
		if !s.open(ds[i:]) && !s.keeps(ds[i].v) {
			s.culprit = ds[i].v
			return false
		}
	}
	return true
}

// open reports whether the first of the numbers surely has Width values left: some in the lower end of what
// propagation leaves it are possible, and some in the upper end. It is the cheaper question than where the bounds are, and
// what an assumption leaves of the other numbers answers it for some of them too.
func (s *System) open(ds []doubt) bool {
	d := &ds[0]
	if d.d.Len() < Width {
		return false
	}
	low, high := d.ends()
	return (d.low || s.shows(d.v, low, ds)) && (d.high || s.shows(d.v, high, ds))
}

// shows is possible, and notes of which other numbers it shows the same: what an assumption leaves them fits every
// relation, so propagation finds nothing against them lying in there.
func (s *System) shows(v Var, i Interval, ds []doubt) bool {
	m := s.mark()
	ok := s.assume(v, i.Lo, i.Hi)
	if ok {
		for n := range ds {
			d := &ds[n]
			if is := s.dom[d.v]; is != d.d && d.d.Len() >= Width {
				low, high := d.ends()
				d.low = d.low || is.Hi <= low.Hi
				d.high = d.high || is.Lo >= high.Lo
			}
		}
	}
	s.back(m)
	return ok || s.work > maxWork // else not shown to be impossible
}

// keeps reports whether what follows for v keeps the principle. It is s.holds(v, s.Bounds(v)) with fewer questions:
// once the lower bound is known, one tells whether there are Width values.
func (s *System) keeps(v Var) bool {
	d := s.dom[v]
	if d.Len() == 1 {
		return s.holds(v, d)
	}
	d.Lo = s.probe(v, d, true)
	if top := d.Lo + Width - 1; top <= d.Hi {
		if s.possible(v, top, d.Hi) {
			return true
		}
		d.Hi = top - 1
	}
	if d.Hi = s.probe(v, d, false); d.Len() == 1 {
		s.exact = append(s.exact, v)
	}
	return s.holds(v, d)
}

// near is the protected numbers in rings that share a relation with one that was touched, and those that share one with
// them: what follows only from several relations at once reaches further than propagation shows.
func (s *System) near(touched []Var) []Var { return s.ringed(s.ringed(touched)) }

// ringed is the protected numbers in rings that share a relation with one of vs.
func (s *System) ringed(vs []Var) (out []Var) {
	for _, t := range vs {
		for _, c := range s.uses[t] {
			for _, x := range s.cons[c].terms {
				if s.least[x.Var] > 0 && s.rings[x.Var] {
					out = append(out, x.Var)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Holds reports whether the principle allows that v is known to lie in i.
func (s *System) Holds(v Var, i Interval) bool { return s.holds(v, i) }

// holds reports whether v may be known to lie in i.
func (s *System) holds(v Var, i Interval) bool {
	if s.least[v] == 0 || i.Len() >= Width || i == s.public[v] {
		return true
	}
	if i.Lo != i.Hi || i.Lo < int64(s.least[v]) {
		return false
	}
	g := s.group[v]
	return g == None || s.dom[g].Lo-i.Lo >= int64(s.least[v])
}

// segments is where a template may cut.
func segments(t Template, known, public Interval) (cuts []int64) {
	add := func(c int64) bool {
		if c >= known.Lo && c < known.Hi {
			cuts = append(cuts, c)
		}
		return c < known.Hi
	}
	switch t {
	case Fives:
		for c := known.Lo - known.Lo%5 + 4; add(c); c += 5 {
		}
	case Bands:
		for unit := int64(1); ; unit *= 10 {
			steps := []int64{5, 10, 20, 50}[1:]
			if unit == 1 {
				steps = []int64{5, 10, 20, 50}
			}
			for _, f := range steps {
				if !add(f*unit - 1) {
					return append(cuts, known.Hi)
				}
			}
		}
	case Thirds:
		add(public.Hi/3 - 1)
		add(2*public.Hi/3 - 1)
	}
	return append(cuts, known.Hi)
}

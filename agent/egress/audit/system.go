package audit

import (
	"math"
	"slices"
)

// Var is one number of a System.
type Var int32

// None is no Var.
const None Var = -1

// Term is a number times a factor.
type Term struct {
	Var    Var
	Factor int32
}

// Interval is what is known of a number: it is at least Lo and at most Hi.
type Interval struct{ Lo, Hi int64 }

// Len is how many values the interval holds.
func (i Interval) Len() int64 { return i.Hi - i.Lo + 1 }

// System is a set of numbers and the relations between them. The zero value is empty and ready.
// Not safe for concurrent use.
type System struct {
	dom    []Interval
	public []Interval
	least  []int32 // for protected numbers: the least a known one may be; 0: not protected
	group  []Var   // the number it is a part of; None: none
	uses   [][]int32
	wakes  [2][][]int32 // relations from which something may follow when its Lo rises, when its Hi falls
	rings  []bool       // its relations go round in a ring: propagation alone may see too little

	cons    []constraint
	settled int // relations before it were looked at
	queue   []int32
	in      []bool

	trail   []change
	work    int
	changed []Var // scratch of touched
	isNew   []bool
	doubts  []doubt // scratch of probed
	culprit Var     // the number that spoilt the last answer
	spoils  bool    // this world spoilt the last answer
	exact   []Var   // the protected numbers that the last answer makes known, if it keeps the principle
	void    bool    // the last answer cannot be given in this world
	bends   bool    // the last answer changed a number that is bent
	bent    []bool  // in a relation with factors or of the largest: a bound need not be convex in another number
}

// constraint says lo ≤ Σ factor·number ≤ hi; or, with best, that the first number is at most the largest
// of the others. plus and minus are the terms of factor 1 and −1 when there are no others.
type constraint struct {
	terms       []Term
	plus, minus []Var
	lo, hi      int64
	best        bool
}

const unbounded = math.MinInt64 / 4

type change struct {
	v   Var
	was Interval
}

// maxWork bounds the relations looked at for one assumption. What needs more is taken for contradictory
// when a book is cut (the answer is not used) and never for settled.
const maxWork = 200_000

// Number adds a number that was publicly known to lie in [lo, hi].
func (s *System) Number(lo, hi int64) Var {
	v := Var(len(s.dom))
	s.dom = append(s.dom, Interval{lo, hi})
	s.public = append(s.public, Interval{lo, hi})
	s.least = append(s.least, 0)
	s.group = append(s.group, None)
	s.uses = append(s.uses, nil)
	s.wakes[0], s.wakes[1] = append(s.wakes[0], nil), append(s.wakes[1], nil)
	s.rings = append(s.rings, false)
	s.isNew = append(s.isNew, false)
	s.bent = append(s.bent, false)
	return v
}

// Protect says that v counts people out of group (None: out of whom nobody knows): once known, it and the rest
// of the group must each be at least least.
func (s *System) Protect(v, group Var, least int) {
	s.least[v] = max(s.least[v], int32(least))
	s.group[v] = group
}

// Ring says that relations between these numbers go round in rings, so that what follows for them has to be found by
// probing. Where relations form a tree, propagation is exact (Freuder, A Sufficient Condition for
// Backtrack-Free Search, 1982).
func (s *System) Ring(vs ...Var) {
	for _, v := range vs {
		s.rings[v] = true
	}
}

// Protected reports whether v is protected.
func (s *System) Protected(v Var) bool { return s.least[v] > 0 }

// Len is how many numbers there are.
func (s *System) Len() int { return len(s.dom) }

// Known is what is known of v so far.
func (s *System) Known(v Var) Interval { return s.dom[v] }

// Public is what was known of v before anything was told.
func (s *System) Public(v Var) Interval { return s.public[v] }

// Sum relates a total to its parts: they are a partition of it.
func (s *System) Sum(total Var, parts ...Var) {
	terms := []Term{{total, -1}}
	for _, p := range parts {
		terms = append(terms, Term{p, 1})
	}
	s.relate(terms, 0, 0)
}

// AtMost relates numbers: Σ factor·number ≤ 0.
func (s *System) AtMost(terms ...Term) { s.relate(terms, unbounded, 0) }

// Equal relates numbers: Σ factor·number = 0.
func (s *System) Equal(terms ...Term) { s.relate(slices.Clone(terms), 0, 0) }

// Part says that part is a subset of whole; the rest is a protected number of its own.
func (s *System) Part(whole, part Var) (rest Var) {
	rest = s.Number(0, s.public[whole].Hi)
	s.Sum(whole, part, rest)
	return rest
}

// Union says that whole is the union of parts, which may overlap: max ≤ whole ≤ Σ.
func (s *System) Union(whole Var, parts ...Var) {
	terms := []Term{{whole, 1}}
	for _, p := range parts {
		terms = append(terms, Term{p, -1})
		s.AtMost(Term{p, 1}, Term{whole, -1})
	}
	s.AtMost(terms...)
}

// AtMostOne says that v is at most the largest of others.
func (s *System) AtMostOne(v Var, others ...Var) {
	terms := []Term{{v, 1}}
	for _, o := range others {
		terms = append(terms, Term{o, 1})
	}
	s.enter(constraint{terms: terms, best: true})
}

func (s *System) relate(terms []Term, lo, hi int64) {
	c := constraint{terms: terms, lo: lo, hi: hi}
	for _, t := range terms {
		switch t.Factor {
		case 1:
			c.plus = append(c.plus, t.Var)
		case -1:
			c.minus = append(c.minus, t.Var)
		default:
			c.plus, c.minus = nil, nil
			s.enter(c)
			return
		}
	}
	s.enter(c)
}

func (s *System) enter(c constraint) {
	n := int32(len(s.cons))
	s.cons = append(s.cons, c)
	s.in = append(s.in, false)
	for i, t := range c.terms {
		s.bent[t.Var] = s.bent[t.Var] || c.plus == nil && c.minus == nil
		s.uses[t.Var] = append(s.uses[t.Var], n)
		low, high := true, true
		switch {
		case c.best:
			low, high = i == 0, i > 0
		case c.lo == unbounded:
			low, high = t.Factor > 0, t.Factor < 0
		}
		for b, wake := range [2]bool{low, high} {
			if wake {
				s.wakes[b][t.Var] = append(s.wakes[b][t.Var], n)
			}
		}
	}
}

// mark is a place to go back to.
type mark int

func (s *System) mark() mark { return mark(len(s.trail)) }

func (s *System) back(m mark) {
	for i := len(s.trail) - 1; i >= int(m); i-- {
		s.dom[s.trail[i].v] = s.trail[i].was
	}
	s.trail = s.trail[:m]
}

// Tell adds for good that v lies in [lo, hi]. false: that contradicts what is known; nothing was changed.
func (s *System) Tell(v Var, lo, hi int64) bool {
	m := s.mark()
	if !s.assume(v, lo, hi) {
		s.back(m)
		return false
	}
	s.trail = s.trail[:0]
	return true
}

// Settle draws the conclusions of the relations that were added since the last time; false: they contradict
// what is known.
func (s *System) Settle() bool {
	m := s.mark()
	for ; s.settled < len(s.cons); s.settled++ {
		s.push(int32(s.settled))
	}
	if !s.run() {
		s.back(m)
		return false
	}
	s.trail = s.trail[:0]
	return true
}

// assume cuts v to [lo, hi] and draws the conclusions; false: a contradiction, or too much work.
func (s *System) assume(v Var, lo, hi int64) bool {
	if !s.cut(v, lo, hi) {
		return false
	}
	return s.run()
}

func (s *System) cut(v Var, lo, hi int64) bool {
	d := s.dom[v]
	n := Interval{max(d.Lo, lo), min(d.Hi, hi)}
	if n == d {
		return true
	}
	if n.Lo > n.Hi {
		return false
	}
	s.trail = append(s.trail, change{v, d})
	s.dom[v] = n
	if n.Lo > d.Lo {
		for _, c := range s.wakes[0][v] {
			s.push(c)
		}
	}
	if n.Hi < d.Hi {
		for _, c := range s.wakes[1][v] {
			s.push(c)
		}
	}
	return true
}

func (s *System) push(c int32) {
	if !s.in[c] {
		s.in[c] = true
		s.queue = append(s.queue, c)
	}
}

func (s *System) run() bool {
	s.work = 0
	ok := true
	for at := 0; at < len(s.queue); at++ {
		c := s.queue[at]
		if ok { // else only empty the queue
			s.work++
			ok = s.work <= maxWork && s.narrow(&s.cons[c])
		}
		s.in[c] = false
		if at > 4096 && at*2 > len(s.queue) { // keep the queue short
			s.queue = slices.Delete(s.queue, 0, at+1)
			at = -1
		}
	}
	s.queue = s.queue[:0]
	return ok
}

// narrow cuts the numbers of one relation to what it leaves them, until nothing of them changes any more.
func (s *System) narrow(c *constraint) bool {
	if c.plus != nil || c.minus != nil {
		return s.narrowUnits(c)
	}
	for {
		before := len(s.trail)
		if !s.narrowOnce(c) {
			return false
		}
		if len(s.trail) == before {
			return true
		}
	}
}

func (s *System) narrowOnce(c *constraint) bool {
	if c.best {
		return s.narrowBest(c)
	}
	var least, most int64
	for _, t := range c.terms {
		d, f := s.dom[t.Var], int64(t.Factor)
		if f > 0 {
			least, most = least+f*d.Lo, most+f*d.Hi
		} else {
			least, most = least+f*d.Hi, most+f*d.Lo
		}
	}
	if least > c.hi || most < c.lo {
		return false
	}
	if most <= c.hi && least >= c.lo {
		return true
	}
	for _, t := range c.terms {
		d, f := s.dom[t.Var], int64(t.Factor)
		var own0, own1 int64 // the term's least and most
		if f > 0 {
			own0, own1 = f*d.Lo, f*d.Hi
		} else {
			own0, own1 = f*d.Hi, f*d.Lo
		}
		top := c.hi - (least - own0) // factor·number ≤ top
		bottom := c.lo - (most - own1)
		lo, hi := d.Lo, d.Hi
		switch {
		case f == 1:
			lo, hi = max(lo, bottom), min(hi, top)
		case f == -1:
			lo, hi = max(lo, -top), min(hi, -bottom)
		case f > 0:
			hi, lo = min(hi, floorDiv(top, f)), max(lo, -floorDiv(-bottom, f))
		default:
			lo, hi = max(lo, -floorDiv(top, -f)), min(hi, floorDiv(-bottom, -f))
		}
		if lo == d.Lo && hi == d.Hi {
			continue
		}
		if !s.cut(t.Var, lo, hi) {
			return false
		}
		n := s.dom[t.Var]
		if f > 0 {
			least, most = least+f*(n.Lo-d.Lo), most+f*(n.Hi-d.Hi)
		} else {
			least, most = least+f*(n.Hi-d.Hi), most+f*(n.Lo-d.Lo)
		}
	}
	return true
}

// narrowUnits is narrow where every factor is 1 or −1, as nearly all are.
func (s *System) narrowUnits(c *constraint) bool {
	for {
		var least, most, widest int64
		for _, v := range c.plus {
			d := s.dom[v]
			least, most, widest = least+d.Lo, most+d.Hi, max(widest, d.Hi-d.Lo)
		}
		for _, v := range c.minus {
			d := s.dom[v]
			least, most, widest = least-d.Hi, most-d.Lo, max(widest, d.Hi-d.Lo)
		}
		if least > c.hi || most < c.lo {
			return false
		}
		up, down := c.hi-least, most-c.lo // by how much a term may rise above its least, fall below its most
		if widest <= up && widest <= down {
			return true
		}
		before := len(s.trail)
		for _, v := range c.plus {
			if d := s.dom[v]; d.Hi-d.Lo > min(up, down) && !s.cut(v, d.Hi-down, d.Lo+up) {
				return false
			}
		}
		for _, v := range c.minus {
			if d := s.dom[v]; d.Hi-d.Lo > min(up, down) && !s.cut(v, d.Hi-up, d.Lo+down) {
				return false
			}
		}
		if len(s.trail) == before || c.lo == unbounded {
			return true
		}
	}
}

func (s *System) narrowBest(c *constraint) bool {
	v, others := c.terms[0].Var, c.terms[1:]
	most, could := int64(math.MinInt64), None
	for _, t := range others {
		hi := s.dom[t.Var].Hi
		most = max(most, hi)
		if hi >= s.dom[v].Lo {
			if could != None {
				could = v // several
			} else {
				could = t.Var
			}
		}
	}
	if !s.cut(v, s.dom[v].Lo, most) {
		return false
	}
	if could == None || could == v {
		return could == v
	}
	return s.cut(could, s.dom[v].Lo, s.dom[could].Hi)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// Bounds is what follows for v from everything told: propagation and probing.
func (s *System) Bounds(v Var) Interval {
	d := s.dom[v]
	d.Lo = s.probe(v, d, true)
	d.Hi = s.probe(v, Interval{d.Lo, d.Hi}, false)
	return d
}

// possible reports whether propagation finds nothing against v lying in [lo, hi].
func (s *System) possible(v Var, lo, hi int64) bool {
	m := s.mark()
	ok := s.assume(v, lo, hi)
	if !ok && s.work > maxWork { // not shown to be impossible
		ok = true
	}
	s.back(m)
	return ok
}

// probe moves one bound of v inward as long as assuming the numbers beyond it is contradictory.
func (s *System) probe(v Var, d Interval, low bool) int64 {
	possible := func(lo, hi int64) bool { return s.possible(v, lo, hi) }
	if low {
		lo, hi := d.Lo, d.Hi // some number ≤ hi is possible; find the least
		if possible(lo, lo) {
			return lo
		}
		for lo++; lo < hi; {
			mid := lo + (hi-lo)/2
			if possible(d.Lo, mid) {
				hi = mid
			} else {
				lo = mid + 1
			}
		}
		return lo
	}
	lo, hi := d.Lo, d.Hi
	if possible(hi, hi) {
		return hi
	}
	for hi--; lo < hi; {
		mid := lo + (hi-lo+1)/2
		if possible(mid, d.Hi) {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

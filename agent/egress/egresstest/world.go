// Package egresstest makes sites up: people with roles and habits, who join and leave, and the windows that the
// fold would close for them. The tests of the gate attack it with these.
//
// It knows nothing of the gate and computes every figure in its own plain way from who did what on which day; so it is also
// a second opinion. There is no state on disk.
package egresstest

import (
	"math/rand/v2"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// Features is how many features the product has.
const Features = 8

// Roles are the values of the trait role, the most frequent first.
func Roles() []string { return []string{"member", "manager", "admin"} }

// Person is somebody on the staff list.
type Person struct {
	Role     int
	From, To int     // weeks in which the person works there: [From, To)
	Weekly   float64 // chance to be active in a week of these
	likes    [Features]float64
	days     []uint16 // by day: bit 0 logged in, bit 1+n used feature n
	first    int      // day of the first activity; -1: none
}

// Site is a site's people and what they do.
type Site struct {
	People []Person
	Places int   // how many people work there at a time
	Weeks  int   // how many have passed
	Zero   int64 // the civil day of week 0, which begins a block of twelve weeks
	rng    *rand.Rand
}

// Options of a Site.
type Options struct {
	Places int
	Active float64 // chance of an average person to be active in a week
	Churn  float64 // chance of a person to leave within twelve weeks; somebody else of the same role takes the place
	Weeks  int
	Seed   uint64
}

// New makes a site up and lets its weeks pass.
func New(o Options) *Site {
	s := &Site{Places: o.Places, Weeks: o.Weeks, Zero: report.CivilStart(report.Block12w, 20000), rng: rand.New(rand.NewPCG(o.Seed, uint64(o.Places)))}
	for n := range o.Places {
		// Every site has people of each role in the same proportion, so that small ones can be compared.
		role := 0
		if x := n % 20; x == 7 {
			role = 2
		} else if x%7 == 3 {
			role = 1
		}
		for from := 0; from < o.Weeks; {
			to := from
			for to++; to < o.Weeks && s.rng.Float64() >= o.Churn/12; to++ {
			}
			s.People = append(s.People, s.person(role, from, to, o.Active))
			from = to + s.rng.IntN(3) // the place may be empty for a while
		}
	}
	for i := range s.People {
		s.live(&s.People[i])
	}
	return s
}

func (s *Site) person(role, from, to int, active float64) Person {
	p := Person{Role: role, From: from, To: to, first: -1}
	p.Weekly = min(0.99, max(0.02, active+(s.rng.Float64()-0.5)*0.3))
	for f := range p.likes {
		p.likes[f] = s.rng.Float64() * 0.8 / float64(1+f/2)
	}
	return p
}

func (s *Site) live(p *Person) {
	p.days = make([]uint16, s.Weeks*7)
	on := s.rng.Float64() < p.Weekly
	for w := p.From; w < p.To; w++ {
		on = p.next(s.rng, on)
		if on {
			p.week(s.rng, p.days[w*7:w*7+7])
		}
	}
	for d, bits := range p.days {
		if bits != 0 {
			p.first = d
			break
		}
	}
}

// Persist is how often a week is like the one before: whoever was active is again. Otherwise chance decides anew.
const Persist = 0.5

// next reports whether a person is active in a week after one in which it was so or not.
func (p *Person) next(r *rand.Rand, on bool) bool {
	if r.Float64() < Persist {
		return on
	}
	return r.Float64() < p.Weekly
}

// week lets a person work for a week.
func (p *Person) week(r *rand.Rand, days []uint16) {
	for range 1 + r.IntN(5) {
		bits := uint16(1)
		for f, l := range p.likes {
			if r.Float64() < l {
				bits |= 2 << f
			}
		}
		days[r.IntN(5)] |= bits
	}
}

const anything = uint16(0xffff)

// did reports whether the person did one of mask on the days from…to.
func (p *Person) did(from, to int, mask uint16) bool {
	for d := max(from, 0); d <= to && d < len(p.days); d++ {
		if p.days[d]&mask != 0 {
			return true
		}
	}
	return false
}

// Active reports whether the person was active in a week.
func (p *Person) Active(week int) bool { return p.did(week*7, week*7+6, anything) }

// ActiveBlock reports whether the person was active in a block of four weeks.
func (p *Person) ActiveBlock(block int) bool { return p.did(block*28, block*28+27, anything) }

// Works reports whether the person works there in any of the weeks from…to.
func (p *Person) Works(from, to int) bool { return p.From <= to && p.To > from }

// On is how many people are on the staff list in any of the weeks from…to.
func (s *Site) On(from, to int) (n int) {
	for i := range s.People {
		if s.People[i].Works(from, to) {
			n++
		}
	}
	return n
}

// Toggle changes whether a person was active in a week: what was done is taken away, or one log-in put in. It gives
// what was there, for Restore.
func (s *Site) Toggle(i, week int) (was []uint16) {
	p := &s.People[i]
	days := p.days[week*7 : week*7+7]
	was = append(was, days...)
	if p.Active(week) {
		clear(days)
	} else {
		days[1] = 1
	}
	return was
}

// Restore undoes Toggle.
func (s *Site) Restore(i, week int, was []uint16) { copy(s.People[i].days[week*7:], was) }

// Sizes is what the gate asks about the people it knows, in a week: those who were ever active before, and all who
// work there as the directory tells.
type Sizes struct {
	Site *Site
	Week int
}

func (z Sizes) count(in func(p *Person) bool) (n int) {
	for i := range z.Site.People {
		if in(&z.Site.People[i]) {
			n++
		}
	}
	return n
}

// Known is how many people were ever heard of.
func (z Sizes) Known() int { return z.count(func(p *Person) bool { return p.From <= z.Week }) }

// Users28 is how many of them are likely users: at these sites all.
func (z Sizes) Users28() int { return z.Known() }

// Users84 is how many of them worked there in the last twelve weeks.
func (z Sizes) Users84() int {
	return z.count(func(p *Person) bool { return p.From <= z.Week && p.To > z.Week-12 })
}

// Holders is how many who work there have each role.
func (z Sizes) Holders(string) map[string]int {
	out := map[string]int{}
	for i := range z.Site.People {
		if p := &z.Site.People[i]; p.Works(z.Week, z.Week) {
			out[Roles()[p.Role]]++
		}
	}
	return out
}

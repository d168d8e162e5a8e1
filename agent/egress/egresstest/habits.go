package egresstest

import "math/rand/v2"

// Habit is what an attacker knows of a person who only knows how the person always was: how often somebody like this
// is what in a block of four weeks in which the person works there throughout. It is sampled.
type Habit struct {
	Week  float64    // active in a week
	Block float64    // active in a block
	Bins  [6]float64 // so many active days (Bin)
	Rungs [Features][4]float64
}

// Habit samples what a person is like.
func (p *Person) Habit(samples int, seed uint64) Habit {
	r := rand.New(rand.NewPCG(seed, 99))
	h := Habit{Week: p.Weekly}
	q := Person{Weekly: p.Weekly, likes: p.likes, days: make([]uint16, 28)}
	one := 1 / float64(samples)
	for range samples {
		clear(q.days)
		days := 0
		on := r.Float64() < p.Weekly
		for w := range 4 {
			if on = q.next(r, on); on {
				q.week(r, q.days[w*7:w*7+7])
			}
		}
		for _, bits := range q.days {
			if bits != 0 {
				days++
			}
		}
		if days > 0 {
			h.Block += one
			h.Bins[Bin(days)] += one
		}
		for f := range Features {
			h.Rungs[f][q.Rung(f, 0, 27)] += one
		}
	}
	return h
}

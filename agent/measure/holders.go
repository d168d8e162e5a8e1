package measure

import "time"

// Holders is how many of the people Seen counts have each value of a trait, now; "" are those of whom it was never
// received.
func (f *Fold) Holders(now int64, within time.Duration, trait string) map[string]int {
	out := map[string]int{}
	s := f.w.People.Slot(trait)
	values := f.w.People.Values(s)
	f.people(now-int64(within), func(id uint32) { out[values[f.w.People.Trait(id, s)]]++ })
	return out
}

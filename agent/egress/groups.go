package egress

// minGroup: smaller sites send no figure about people below the level totals.
const minGroup = 9

// groupSteps are what a group size that nobody named is rounded down to, within each power of ten.
var groupSteps = [...]int{9, 14, 20, 25, 32, 40, 50, 63, 80, 100}

// roundGroup rounds a number of people down to a step: the answers must not tell it, because it depends on who
// is known at the site.
func roundGroup(n int) int {
	if n == 12 || n == 13 { // from twelve on a fifth fewer still leaves two answers
		return 12
	}
	scale := 1
	for n >= 100*scale*10 {
		scale *= 10
	}
	best := 0
	for s := 1; s <= scale*10; s *= 10 {
		for _, g := range groupSteps {
			if g >= 10 || s == 1 {
				if v := g * s; v <= n && v > best {
					best = v
				}
			}
		}
	}
	return best
}

// share cuts people into parts in proportion to weights, by largest remainder; of equal remainders the
// first wins.
func share(people int, weights []int) []int {
	total := 0
	for _, w := range weights {
		total += w
	}
	out := make([]int, len(weights))
	if total == 0 {
		return nil
	}
	left := people
	for i, w := range weights {
		out[i] = people * w / total
		left -= out[i]
	}
	for ; left > 0; left-- {
		best := -1
		for i, w := range weights {
			if r := people*w - out[i]*total; r > 0 && (best < 0 || r > people*weights[best]-out[best]*total) {
				best = i
			}
		}
		out[best]++
	}
	return out
}

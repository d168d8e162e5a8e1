package say

import (
	m "github.com/fieldpost/fieldpost/agent/console/markup"
)

// NoisyExample is what figures with noise look like: a wrong one is below zero now and then.
func NoisyExample(kind string) m.Node {
	part := func(word string, v float64) m.Node {
		return m.Group(m.Text(word), Noised(v), m.Text(" "))
	}
	switch kind {
	case "funnel":
		return m.Group(part("entered ", 9), part("came to the end ", 3))
	case "adoption":
		return m.Group(part("tried ", 6), part("adopted ", 2), part("habitual ", -1))
	case "lifecycle":
		return m.Group(part("new ", 1), part("retained ", 8), part("resurrected ", -1), part("dormant ", 2))
	case "retention":
		return m.Group(part("began ", 5), part("in week 4 ", 3))
	}
	return Noised(8)
}

// Noisy says that figures of the kind leave at the level strict.
func Noisy(kind string) bool {
	switch kind {
	case "active_users", "lifecycle", "retention", "funnel", "adoption", "stickiness", "seats":
		return true
	}
	return false
}

// ExampleOf is what a figure of the kind looks like.
func ExampleOf(kind string) string {
	switch kind {
	case "fact":
		return "one value of the catalog's list"
	case "availability":
		return "up 23 h 58 min, down 2 min"
	case "slo":
		return "9,950 good of 10,000"
	case "gauge":
		return "last 12, mean 9, 2 to 31"
	case "histogram", "distribution":
		return "1,204 values, counts per bucket"
	}
	return "1,204"
}

package strict

import "strings"

// Nearest is the word among those given that was most likely meant, or "" when none is
// near. Distance counts inserted, removed, changed and swapped letters (Damerau 1964,
// in the restricted form), without regard to case; up to a third of the word may differ.
// Of equally near words the first wins.
func Nearest(word string, among []string) string {
	const longest = 64 // ids are not longer; keeps hostile input cheap
	if word == "" || len(word) > longest {
		return ""
	}
	w := []rune(strings.ToLower(word))
	best, bestAt := "", max(1, len(w)/3)+1
	for _, a := range among {
		if len(a) > longest {
			continue
		}
		if d := distance(w, []rune(strings.ToLower(a))); d < bestAt {
			best, bestAt = a, d
		}
	}
	return best
}

func distance(a, b []rune) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

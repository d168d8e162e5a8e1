package batch

import (
	"time"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// mondays is the civil day number of Monday 1970-01-05, from which weeks are counted.
const mondays = 4

// step is the distance between the starts of neighbouring windows; 0 for months.
func step(g report.Grain) (size, base int64) {
	switch g {
	case report.FiveMinutes:
		return 300, 0
	case report.Hour:
		return 3600, 0
	case report.Week:
		return 7, mondays
	case report.Block4w:
		return 28, mondays
	case report.Block12w:
		return 84, mondays
	case report.Month:
		return 0, 0
	}
	return 1, 0
}

// ordinal numbers a grain's windows so that neighbours differ by one; ok is false where no
// window of the grain starts.
func ordinal(g report.Grain, start int64) (n int64, ok bool) {
	if start < 0 || start >= maxCreated {
		return 0, false
	}
	size, base := step(g)
	switch size {
	case 0:
		if start >= maxCreated/86400 {
			return 0, false
		}
		y, m, d := time.Unix(start*86400, 0).UTC().Date()
		return int64(y-1970)*12 + int64(m) - 1, d == 1
	case 1:
		return start, true
	}
	n = (start - base) / size
	return n, start >= base && n*size+base == start
}

// startOf is the inverse of ordinal.
func startOf(g report.Grain, n int64) int64 {
	size, base := step(g)
	if size == 0 {
		return time.Date(1970, time.Month(1+n), 1, 0, 0, 0, 0, time.UTC).Unix() / 86400
	}
	return n*size + base
}

// maxOrdinal bounds what startOf is asked for.
func maxOrdinal(g report.Grain) int64 {
	end := int64(maxCreated)
	if g.Civil() {
		end /= 86400
	}
	n, _ := step(g)
	if n == 0 {
		return 230 * 12
	}
	return end / n
}

// ahead is how far a window's start may lie behind the freeze in time: civil windows begin
// up to 14 hours earlier or 12 later than in UTC, and a site's clock may have been set back
// by a day between closing and freezing.
const ahead = 48 * 3600

// plausible reports whether a window can have been measured before created.
func plausible(g report.Grain, start, created int64) bool {
	if g.Civil() {
		start *= 86400
	}
	return start <= created+ahead
}

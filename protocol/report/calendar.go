package report

import "time"

// firstMonday is the civil day number of Monday 1970-01-05, from which blocks are counted.
const firstMonday = 4

// CivilDay is the civil day number (days since 1970-01-01) of t in zone.
func CivilDay(t time.Time, zone *time.Location) int64 {
	y, m, d := t.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// WindowStart is the start of the window of grain g that holds t, in the form Cell.Start
// uses. For Rolling28 it is the last day, for Change t itself in seconds.
func WindowStart(g Grain, t time.Time, zone *time.Location) int64 {
	switch g {
	case FiveMinutes:
		return floorTo(t.Unix(), 300)
	case Hour:
		return floorTo(t.Unix(), 3600)
	case Change:
		return t.Unix()
	}
	return CivilStart(g, CivilDay(t, zone))
}

// CivilStart is the start of the window of civil grain g that holds the civil day.
func CivilStart(g Grain, day int64) int64 {
	switch g {
	case Week:
		return floorTo(day-firstMonday, 7) + firstMonday
	case Block4w:
		return floorTo(day-firstMonday, 28) + firstMonday
	case Block12w:
		return floorTo(day-firstMonday, 84) + firstMonday
	case Month:
		y, m, _ := time.Unix(day*86400, 0).UTC().Date()
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).Unix() / 86400
	}
	return day
}

// CivilDays is the first and the last civil day of a window of a civil grain.
func CivilDays(g Grain, start int64) (first, last int64) {
	switch g {
	case Week:
		return start, start + 6
	case Block4w:
		return start, start + 27
	case Block12w:
		return start, start + 83
	case Month:
		y, m, _ := time.Unix(start*86400, 0).UTC().Date()
		return start, time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Unix() / 86400
	case Rolling28:
		return start - 27, start
	}
	return start, start
}

// WindowTimes is the real time a window covers, [begin, end). A Change window is one second.
func WindowTimes(g Grain, start int64, zone *time.Location) (begin, end time.Time) {
	switch g {
	case FiveMinutes:
		return time.Unix(start, 0), time.Unix(start+300, 0)
	case Hour:
		return time.Unix(start, 0), time.Unix(start+3600, 0)
	case Change:
		return time.Unix(start, 0), time.Unix(start+1, 0)
	}
	first, last := CivilDays(g, start)
	return Midnight(first, zone), Midnight(last+1, zone)
}

// Midnight is the first moment of a civil day in zone. Where a change of the clock skips
// midnight it is the first moment that exists.
func Midnight(day int64, zone *time.Location) time.Time {
	y, m, d := time.Unix(day*86400, 0).UTC().Date()
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if CivilDay(t, zone) == day {
		return t
	}
	// Midnight fell into a gap: the day begins where the gap ends. A gap can be a whole day (Samoa, 2011-12-30).
	lo, hi := t.Add(-27*time.Hour), t.Add(27*time.Hour)
	for hi.Sub(lo) > time.Second {
		mid := lo.Add(hi.Sub(lo) / 2)
		if CivilDay(mid, zone) >= day {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi.Truncate(time.Second)
}

func floorTo(n, size int64) int64 {
	r := n % size
	if r < 0 {
		r += size
	}
	return n - r
}

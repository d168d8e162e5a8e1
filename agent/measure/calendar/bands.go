package calendar

import "time"

// DayBin is which bin of L28 a number of days belongs to.
func DayBin(days int) int {
	for i, most := range [...]int{1, 3, 7, 12, 20} {
		if days <= most {
			return i
		}
	}
	return 5
}

// FirstBand is the band of first_time a time since the beginning belongs to.
func FirstBand(took time.Duration) int {
	const day = 24 * time.Hour
	for i, most := range [...]time.Duration{time.Hour, day, 3 * day, 7 * day, 30 * day, 90 * day} {
		if took <= most {
			return i
		}
	}
	return 6
}

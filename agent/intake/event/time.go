package event

import (
	"math"
	"time"
)

// Times a client sends are cut to these: what lies outside is late or skewed by any measure,
// and differences between them fit 64 bits.
const (
	earliest = math.MinInt64 / 4 // 1897
	latest   = math.MaxInt64 / 2 // 2116
)

// parseTime reads RFC 3339 with any number of digits of a second, as unix nanoseconds. As real
// SDKs send them it also takes a date alone (midnight UTC), a
// blank for the T, and an offset without its colon. A leap second is the second before it.
func parseTime(b []byte) (ns int64, ok bool) {
	p := timeText{b: b, ok: true}
	year, month, day := p.digits(4), p.after('-', 2), p.after('-', 2)
	if !p.ok || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	seconds := daysSinceEpoch(year, month, day) * 86400
	if len(p.b) == 0 {
		return clampTime(seconds, 0), true
	}
	if c := p.b[0]; c != 'T' && c != 't' && c != ' ' {
		return 0, false
	}
	p.b = p.b[1:]
	hour, minute, second := p.digits(2), p.after(':', 2), p.after(':', 2)
	fraction := p.fraction()
	offset := p.offset()
	if !p.ok || len(p.b) != 0 || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	seconds += int64(hour*3600+minute*60+min(second, 59)) - int64(offset)
	return clampTime(seconds, fraction), true
}

func clampTime(seconds, fraction int64) int64 {
	switch {
	case seconds < earliest/int64(time.Second):
		return earliest
	case seconds > latest/int64(time.Second):
		return latest
	}
	return seconds*int64(time.Second) + fraction
}

// timeText takes pieces from the front of a time; ok turns false at the first that is missing.
type timeText struct {
	b  []byte
	ok bool
}

func (p *timeText) digits(n int) (v int) {
	if len(p.b) < n {
		p.ok = false
		return 0
	}
	for _, c := range p.b[:n] {
		if c -= '0'; c > 9 {
			p.ok = false
			return 0
		}
		v = v*10 + int(c)
	}
	p.b = p.b[n:]
	return v
}

func (p *timeText) after(c byte, n int) int {
	if len(p.b) == 0 || p.b[0] != c {
		p.ok = false
		return 0
	}
	p.b = p.b[1:]
	return p.digits(n)
}

// fraction is the part of a second in nanoseconds, further digits cut off.
func (p *timeText) fraction() (ns int64) {
	if len(p.b) == 0 || p.b[0] != '.' && p.b[0] != ',' {
		return 0
	}
	n := 1
	scale := int64(time.Second)
	for ; n < len(p.b) && p.b[n] >= '0' && p.b[n] <= '9'; n++ {
		scale /= 10
		ns += int64(p.b[n]-'0') * scale
	}
	p.ok = p.ok && n > 1
	p.b = p.b[n:]
	return ns
}

// offset is the distance from UTC in seconds.
func (p *timeText) offset() int {
	if len(p.b) == 0 {
		p.ok = false
		return 0
	}
	sign := p.b[0]
	p.b = p.b[1:]
	if sign == 'Z' || sign == 'z' {
		return 0
	}
	if sign != '+' && sign != '-' {
		p.ok = false
		return 0
	}
	hours := p.digits(2)
	if len(p.b) > 0 && p.b[0] == ':' {
		p.b = p.b[1:]
	}
	minutes := p.digits(2)
	if hours > 23 || minutes > 59 {
		p.ok = false
	}
	if sign == '-' {
		return -(hours*3600 + minutes*60)
	}
	return hours*3600 + minutes*60
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSinceEpoch counts days from 1970-01-01 in the proleptic Gregorian calendar
// (Howard Hinnant, "chrono-compatible low-level date algorithms").
func daysSinceEpoch(year, month, day int) int64 {
	y, m := int64(year), int64(month)
	if m <= 2 {
		y--
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	doy := (153*((m+9)%12)+2)/5 + int64(day) - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

const tolerance = int64(5 * time.Minute)

// eventTime is when an event happened, by MEASURES: the client's clock is corrected where it is
// more than five minutes off, and nothing happens later than it was received.
// stamped and sent say which of the times the client gave.
func eventTime(timestamp int64, stamped bool, sentAt int64, sent bool, received int64) (t int64, skewed bool) {
	if !stamped {
		return received, false
	}
	t = timestamp
	if off := received - sentAt; sent && (off > tolerance || off < -tolerance) {
		t += off
	}
	if t > received+tolerance {
		return received, true
	}
	return max(t, 0), false
}

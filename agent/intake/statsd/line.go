package statsd

import (
	"bytes"
	"unicode/utf8"
)

// line is one line taken apart. It points into the datagram.
type line struct {
	name, values, tags, container []byte
	kind                          kind
	rate                          rate
	at                            int64 // unix s; 0: not said
}

// kind is what a line's type means.
type kind uint8

const (
	counter kind = iota + 1
	gauge
	timer        // ms
	distribution // h, d
	set
)

func kindOf(b []byte) kind {
	switch string(b) {
	case "c":
		return counter
	case "g":
		return gauge
	case "ms":
		return timer
	case "h", "d":
		return distribution
	case "s":
		return set
	}
	return 0
}

// latest is the last second that a time in nanoseconds can say.
const latest = 9_223_372_036

// read takes b apart; false means that it is not a line.
func (l *line) read(b []byte) bool {
	*l = line{}
	i := bytes.IndexByte(b, ':')
	if i <= 0 || !utf8.Valid(b) {
		return false
	}
	l.name, b = b[:i], b[i+1:]
	var more bool
	l.values, b, more = cut(b, '|')
	if !more || len(l.values) == 0 {
		return false
	}
	var part []byte
	part, b, more = cut(b, '|')
	if l.kind = kindOf(part); l.kind == 0 {
		return false
	}
	for more {
		part, b, more = cut(b, '|')
		if len(part) == 0 {
			return false
		}
		switch part[0] {
		case '@':
			if !l.rate.read(part[1:]) {
				return false
			}
		case '#':
			l.tags = part[1:]
		case 'T':
			if !l.time(part[1:]) {
				return false
			}
		case 'c':
			if len(part) > 2 && part[1] == ':' {
				l.container = part[2:]
			}
		} // others are the protocol's later additions, none of which says anything about the value
	}
	return true
}

func (l *line) time(b []byte) bool {
	if len(b) == 0 || len(b) > 10 {
		return false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
		l.at = l.at*10 + int64(c-'0')
	}
	return l.at <= latest
}

// cut is bytes.Cut for one byte.
func cut(b []byte, sep byte) (before, after []byte, found bool) {
	if i := bytes.IndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

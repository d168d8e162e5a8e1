package posthog

import (
	"bytes"
	"encoding/base64"
	"strings"
)

const form = "application/x-www-form-urlencoded"

// unwrap takes the JSON out of the older forms of a body: data=…, of a form or alone, and base64. It may
// change b.
func unwrap(b []byte, contentType, query string) (text []byte, ok bool) {
	if isJSON(b) {
		return b, true
	}
	encoded := parameter(query, "compression") == "base64"
	if strings.HasPrefix(contentType, form) || bytes.HasPrefix(b, []byte("data=")) {
		var field []byte
		for part := range bytes.SplitSeq(b, []byte("&")) {
			if v, is := bytes.CutPrefix(part, []byte("data=")); is {
				field = v
			}
		}
		if b, ok = unescape(field); !ok {
			return nil, false
		}
		encoded = true
	}
	if isJSON(b) {
		return b, true
	}
	if !encoded {
		return b, len(bytes.TrimSpace(b)) > 0
	}
	return decode(b)
}

func isJSON(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	return len(b) > 0 && (b[0] == '{' || b[0] == '[')
}

// decode reads base64 of either alphabet, padded or not. A blank is a plus that a form has lost.
func decode(b []byte) ([]byte, bool) {
	b = bytes.TrimRight(bytes.TrimSpace(b), "=")
	for i, c := range b {
		switch c {
		case '-', ' ':
			b[i] = '+'
		case '_':
			b[i] = '/'
		}
	}
	text := make([]byte, base64.RawStdEncoding.DecodedLen(len(b)))
	n, err := base64.RawStdEncoding.Decode(text, b)
	return text[:n], err == nil && isJSON(text[:n])
}

// unescape undoes a form's escapes, in place.
func unescape(b []byte) ([]byte, bool) {
	to := b[:0]
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(b) {
				return nil, false
			}
			high, low := nibble(b[i+1]), nibble(b[i+2])
			if high > 15 || low > 15 {
				return nil, false
			}
			c = high<<4 | low
			i += 2
		}
		to = append(to, c)
	}
	return to, true
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// parameter is a query's value as it stands there; those looked for here need no escapes.
func parameter(query, name string) string {
	for part := range strings.SplitSeq(query, "&") {
		if k, v, ok := strings.Cut(part, "="); ok && k == name {
			return v
		}
	}
	return ""
}

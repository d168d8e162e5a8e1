// Package jsontext walks over JSON text for the doors: one pass, no copies, no reflection, no
// recursion.
//
// Invariants: it accepts exactly what encoding/json's Valid accepts, and reads strings and repeated
// members as encoding/json does (a lone surrogate is U+FFFD; which of several members of one name
// counts is for the caller), except that bytes which are not UTF-8 are kept: callers check that.
// What it returns is part of the text, or of a buffer that is good until Reset.
//
// There is no state on disk.
package jsontext

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Scanner walks over one text. The first thing that is not JSON makes it Bad; from then on every
// method returns at once and Cur is 0. The zero value scans nothing; it can be used again.
type Scanner struct {
	b   []byte
	i   int
	bad bool

	// Deep is the deepest nesting Skip and Value have met since it was last set to 0.
	Deep int

	open []uint64 // of Skip: one bit per open container, 1 for an object
	text []byte   // strings that had escapes
}

// Kind is what a Value is.
type Kind byte

// The kinds of values.
const (
	Absent  Kind = iota // not there, or null
	Text                // a string
	Number              // any number
	Boolean             // true or false
	Other               // an object or array
)

// Value is a value that was read: for Text the string, for Number and Boolean the JSON itself, for
// Other its text, to be read by another scanner.
type Value struct {
	Kind  Kind
	Bytes []byte
}

// Reset makes s scan b. What it returned before may be overwritten.
func (s *Scanner) Reset(b []byte) {
	s.b, s.i, s.bad, s.Deep, s.text = b, 0, false, 0, s.text[:0]
}

// Bad says that the text is not JSON.
func (s *Scanner) Bad() bool { return s.bad }

// Pos is where s stands in the text.
func (s *Scanner) Pos() int { return s.i }

// End says whether nothing but white space is left and all before it was JSON.
func (s *Scanner) End() bool { return s.Cur() == 0 && !s.bad && s.i == len(s.b) }

// Value reads any value. A container is passed over.
func (s *Scanner) Value() Value {
	switch c := s.Cur(); c {
	case '"':
		return Value{Text, s.str()}
	case '{', '[':
		from := s.i
		s.Skip()
		return Value{Other, s.b[from:s.i]}
	case 'n':
		s.literal("null")
		return Value{}
	case 't', 'f':
		from := s.i
		s.scalar(c)
		return Value{Boolean, s.b[from:s.i]}
	default:
		return Value{Number, s.number()}
	}
}

func (s *Scanner) fail() {
	s.bad, s.i = true, len(s.b)
}

// Cur is the byte to look at next after white space; 0 at the end.
func (s *Scanner) Cur() byte {
	for s.i < len(s.b) {
		c := s.b[s.i]
		if c > ' ' {
			return c
		}
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			s.fail()
			return 0
		}
		s.i++
	}
	return 0
}

// Enter steps into an object ('{') or array ('['). more is false when it is empty, and then
// it has been left already.
func (s *Scanner) Enter(c byte) (more bool) {
	if s.Cur() != c {
		s.fail()
		return false
	}
	s.i++
	if s.Cur() == c+2 { // '}' is '{'+2, ']' is '['+2
		s.i++
		return false
	}
	return !s.bad
}

// Next steps over the comma to the next member or out of the container that c opens.
func (s *Scanner) Next(c byte) (more bool) {
	switch s.Cur() {
	case ',':
		s.i++
		return true
	case c + 2:
		s.i++
		return false
	}
	s.fail()
	return false
}

// Key reads a member's name and the colon behind it. The bytes are good until the scanner is reset.
func (s *Scanner) Key() []byte {
	if s.Cur() != '"' {
		s.fail()
		return nil
	}
	k := s.str()
	if s.Cur() != ':' {
		s.fail()
		return nil
	}
	s.i++
	return k
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// str reads the string that begins here. Without escapes it is a part of the text, otherwise it is
// unescaped as encoding/json does it: a lone surrogate becomes U+FFFD. Bytes that are not
// UTF-8 are kept.
func (s *Scanner) str() []byte {
	start := s.i + 1
	i := start
	for {
		// Eight bytes at a time until one is a quote, a backslash or a control character.
		for i+8 <= len(s.b) {
			x := binary.LittleEndian.Uint64(s.b[i:])
			q, e := x^('"'*ones), x^('\\'*ones)
			hit := ((q - ones) &^ q) | ((e - ones) &^ e) | ((x - 0x20*ones) &^ x)
			if hit &= highs; hit != 0 {
				i += bits.TrailingZeros64(hit) / 8
				break
			}
			i += 8
		}
		if i >= len(s.b) {
			s.fail()
			return nil
		}
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			return s.b[start:i]
		case c == '\\':
			return s.escaped(start, i)
		case c < 0x20:
			s.fail()
			return nil
		}
		i++
	}
}

// escaped reads the rest of a string from its first escape on.
func (s *Scanner) escaped(start, i int) []byte {
	from := len(s.text)
	s.text = append(s.text, s.b[start:i]...)
	for i < len(s.b) {
		c := s.b[i]
		switch {
		case c == '"':
			s.i = i + 1
			return s.text[from:len(s.text):len(s.text)]
		case c < 0x20:
			s.fail()
			return nil
		case c != '\\':
			s.text = append(s.text, c)
			i++
			continue
		}
		if i+1 >= len(s.b) {
			break
		}
		n := s.escape(s.b[i+1:])
		if n == 0 {
			break
		}
		i += 1 + n
	}
	s.fail()
	return nil
}

// escape appends what the escape after a backslash stands for and returns its length; 0 when it
// is none.
func (s *Scanner) escape(b []byte) int {
	c := b[0]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r, ok := hex4(b[1:])
		if !ok {
			return 0
		}
		if !utf16.IsSurrogate(r) {
			s.text = utf8.AppendRune(s.text, r)
			return 5
		}
		if len(b) >= 7 && b[5] == '\\' && b[6] == 'u' {
			if low, ok := hex4(b[7:]); ok {
				if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
					s.text = utf8.AppendRune(s.text, both)
					return 11
				}
			}
		}
		s.text = utf8.AppendRune(s.text, utf8.RuneError)
		return 5
	default:
		return 0
	}
	s.text = append(s.text, c)
	return 1
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads the number that begins here.
func (s *Scanner) number() []byte {
	start, i, b := s.i, s.i, s.b
	digits := func() bool {
		from := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		return i > from
	}
	if i < len(b) && b[i] == '-' {
		i++
	}
	ok := true
	if i < len(b) && b[i] == '0' {
		i++
	} else {
		ok = digits()
	}
	if ok && i < len(b) && b[i] == '.' {
		i++
		ok = digits()
	}
	if ok && i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		ok = digits()
	}
	if !ok {
		s.fail()
		return nil
	}
	s.i = i
	return b[start:i]
}

func (s *Scanner) literal(word string) {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		s.fail()
		return
	}
	s.i += len(word)
}

// scalar passes over a value that is no container.
func (s *Scanner) scalar(c byte) {
	switch c {
	case '"':
		from := len(s.text)
		s.str()
		s.text = s.text[:from]
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

// Skip passes over any value, however deep, without recursion, and notes how deep it was.
func (s *Scanner) Skip() {
	depth := 0
	for {
		if c := s.Cur(); c == '{' || c == '[' {
			s.push(depth, c == '{')
			depth++
			s.Deep = max(s.Deep, depth)
			if s.Enter(c) {
				if c == '{' {
					s.passKey()
				}
				continue
			}
			depth--
		} else {
			s.scalar(c)
		}
		for { // a value has ended
			if s.bad || depth == 0 {
				return
			}
			top := byte('[')
			if s.open[(depth-1)/64]>>((depth-1)%64)&1 != 0 {
				top = '{'
			}
			if s.Next(top) {
				if top == '{' {
					s.passKey()
				}
				break
			}
			depth--
		}
	}
}

func (s *Scanner) passKey() {
	from := len(s.text)
	s.Key()
	s.text = s.text[:from]
}

func (s *Scanner) push(depth int, object bool) {
	for depth/64 >= len(s.open) {
		s.open = append(s.open, 0)
	}
	if object {
		s.open[depth/64] |= 1 << (depth % 64)
	} else {
		s.open[depth/64] &^= 1 << (depth % 64)
	}
}

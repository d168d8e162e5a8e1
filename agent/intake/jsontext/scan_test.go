package jsontext

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// document builds any JSON text, with white space where it may stand.
func document(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		space := rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r "}).Draw(t, "space")
		most := 6
		if depth == 0 {
			most = 4
		}
		switch rapid.IntRange(0, most).Draw(t, "kind") {
		case 0:
			return space + rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "literal") + space
		case 1:
			return space + rapid.StringMatching(`-?(0|[1-9][0-9]{0,5})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "number") + space
		case 2, 3, 4:
			return space + anyText().Draw(t, "text") + space
		case 5:
			return space + "[" + strings.Join(rapid.SliceOfN(document(depth-1), 0, 3).Draw(t, "list"), ",") + "]" + space
		}
		var members []string
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			members = append(members, space+anyText().Draw(t, "key")+space+":"+document(depth-1).Draw(t, "member"))
		}
		return space + "{" + strings.Join(members, ",") + space + "}"
	})
}

func anyText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{"type", "userId", `\"`, `\\`, `\/`, `\b\f\n\r\t`, `\u00e9`, `\ud83d\ude00`, `\ud83d`, `\ude00x`, `\ud83d\u0041`, "é😀", "12345678"}),
			rapid.StringMatching(`[a-z ]{0,20}`)), 0, 4).Draw(t, "parts")
		return `"` + strings.Join(parts, "") + `"`
	})
}

// spoiled is a document with a byte changed, dropped or added: mostly not JSON any more.
func spoiled() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		b := []byte(document(3).Draw(t, "document"))
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			if len(b) == 0 {
				break
			}
			at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			c := rapid.OneOf(rapid.SampledFrom([]byte("{}[]\",:\\ 0-.eutfnN\x00\x1f\x7f\xff")), rapid.Byte()).Draw(t, "byte")
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 0:
				b[at] = c
			case 1:
				b = append(b[:at], b[at+1:]...)
			case 2:
				b = append(b[:at], append([]byte{c}, b[at:]...)...)
			}
		}
		return b
	})
}

func accepts(b []byte) bool {
	var s Scanner
	s.Reset(b)
	if s.Cur() == 0 {
		return false
	}
	s.Skip()
	return s.Cur() == 0 && !s.bad && s.i == len(b)
}

// tree reads a document with the scanner into what encoding/json makes of it.
func (s *Scanner) tree() any {
	switch s.Cur() {
	case '{':
		m := map[string]any{}
		for more := s.Enter('{'); more; more = s.Next('{') {
			k := string(s.Key())
			m[k] = s.tree()
		}
		return m
	case '[':
		list := []any{}
		for more := s.Enter('['); more; more = s.Next('[') {
			list = append(list, s.tree())
		}
		return list
	}
	switch v := s.Value(); v.Kind {
	case Text:
		return string(v.Bytes)
	case Number:
		return json.Number(v.Bytes)
	case Boolean:
		return string(v.Bytes) == "true"
	}
	return nil
}

func same(t interface{ Fatalf(string, ...any) }, b []byte) {
	valid := json.Valid(b)
	if got := accepts(b); got != valid {
		t.Fatalf("%q: accepted %v, encoding/json says %v", b, got, valid)
	}
	if !valid || !utf8.Valid(b) {
		return
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var want any
	if err := d.Decode(&want); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	var s Scanner
	s.Reset(b)
	if got := s.tree(); s.bad || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		t.Fatalf("%q:\n got %#v\nwant %#v", b, got, want)
	}
}

func TestScannerReadsWhatEncodingJSONReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { same(t, spoiled().Draw(t, "text")) })
}

func FuzzScanner(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,true,null,"x\u00e9"]}`, `[[[[]]],{}]`, `{"a":1,}`, `NaN`, `-`, `01`, `"\x"`, `"` + "\x00" + `"`,
		`{"batch":[{"type":"track"}]}`, `{"a" 1}`, "\xef\xbb\xbf{}", `"\ud800\"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { same(t, b) })
}

func TestScannerTakesDepthWithoutRecursion(t *testing.T) {
	const n = 250_000
	if !accepts([]byte(strings.Repeat("[", n) + strings.Repeat("]", n))) {
		t.Error("a deep list was refused")
	}
	if accepts([]byte(strings.Repeat("[", n) + strings.Repeat("]", n-1) + "}")) {
		t.Error("a list closed as an object was accepted")
	}
}

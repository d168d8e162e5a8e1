// Package strict reads YAML that somebody will rely on: no unknown or repeated keys, no
// anchors, aliases or tags, no surprising types, bounded size, depth and number of parts.
// Everything wrong is collected, each with a stable code, its line, its path and what was
// probably meant, so that a reader mends a file in one go.
//
// It keeps no state on disk. No input makes it panic.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits of the file. A catalog of 1,000 measures with 20 listed values each stays below all.
const (
	MaxBytes = 1 << 20
	maxDepth = 16 // the grammar needs 8
	maxNodes = 100_000
	MaxList  = 1_000 // entries of any list or mapping: values, events, measures
	MaxID    = 64
	maxValue = 100 // bytes of a listed value
	maxProse = 1_000
)

// Reader reads nodes and collects what is wrong with them. The zero value is ready.
type Reader struct {
	list []Error
	more int
}

// Fail notes that something is wrong with a node.
func (p *Reader) Fail(n *yaml.Node, path, code, hint, format string, args ...any) {
	if len(p.list) >= maxErrors {
		p.more++
		return
	}
	e := Error{Code: code, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint}
	if n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
	p.list = append(p.list, e)
}

// Err is everything noted, as *Errors in the order of lines, or nil.
func (p *Reader) Err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return &Errors{List: p.list, More: p.more}
}

// Document is the root mapping of the one YAML document in raw, or nil with errors noted.
func (p *Reader) Document(raw []byte) *yaml.Node {
	if len(raw) > MaxBytes {
		p.Fail(nil, "", CodeTooLarge, "", "the file has %d bytes; a catalog has at most %d", len(raw), MaxBytes)
		return nil
	}
	if !utf8.Valid(raw) {
		p.Fail(nil, "", CodeNotUTF8, "save the file as UTF-8", "the file is not UTF-8 text")
		return nil
	}
	if crowded(raw) {
		p.Fail(nil, "", CodeTooLarge, "", "the file has more than %d parts", maxNodes)
		return nil
	}
	doc, err := decode(raw)
	if err != nil {
		p.syntax(err)
		return nil
	}
	root := doc.Content[0]
	count := 0
	if !p.tame(root, 1, &count) {
		return nil
	}
	return root
}

// crowded reports whether raw could hold more nodes than are read, before memory is spent
// on them: every node but the first follows one of these bytes.
func crowded(raw []byte) bool {
	n := 0
	for _, b := range raw {
		switch b {
		case ',', ':', '[', '{', '-', '?', '\n':
			n++
		}
	}
	return n > 2*maxNodes
}

func decode(raw []byte) (doc *yaml.Node, err error) {
	// The YAML reader recovers from its own errors only; a bug in it must not take the
	// agent down with a file from outside.
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, fmt.Errorf("yaml: the reader gave up: %v", r)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(raw))
	doc = new(yaml.Node)
	if err := d.Decode(doc); errors.Is(err, io.EOF) {
		return nil, errors.New("yaml: the file is empty")
	} else if err != nil {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, errors.New("yaml: the file is empty")
	}
	var second yaml.Node
	if err := d.Decode(&second); err == nil {
		return nil, fmt.Errorf("yaml: line %d: a second document begins; a catalog is one", second.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return doc, nil
}

func (p *Reader) syntax(err error) {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	at := &yaml.Node{Line: 1, Column: 1}
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		if num, what, ok := strings.Cut(rest, ": "); ok {
			if l, err := strconv.Atoi(num); err == nil {
				at.Line, msg = max(l, 1), what
			}
		}
	}
	p.Fail(at, "", CodeSyntax, "", "not readable as YAML: %s", clean(msg, 160))
}

// tame refuses what a strict file has no use for and attackers have: aliases, anchors,
// tags, depth and sheer number.
func (p *Reader) tame(n *yaml.Node, depth int, count *int) bool {
	*count++
	switch {
	case *count > maxNodes:
		p.Fail(n, "", CodeTooLarge, "", "the file has more than %d parts", maxNodes)
		return false
	case depth > maxDepth:
		p.Fail(n, "", CodeTooLarge, "", "nested deeper than %d levels", maxDepth)
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.Tag == "!!merge":
		p.Fail(n, "", CodeYAMLFeature, "write the values out", "anchors, aliases, merges and tags are not read")
		return false
	}
	for _, c := range n.Content {
		if !p.tame(c, depth+1, count) {
			return false
		}
	}
	return true
}

// Entry is one key of a mapping with its value.
type Entry struct {
	Name string
	Key  *yaml.Node
	Val  *yaml.Node
}

// Mapping are the entries of a mapping in file order. A repeated key is an error and left out.
func (p *Reader) Mapping(n *yaml.Node, path string) []Entry {
	if n.Kind != yaml.MappingNode {
		p.Fail(n, path, CodeWrongType, "", "should be a mapping of keys to values, not %s", What(n))
		return nil
	}
	if len(n.Content)/2 > MaxList {
		p.Fail(n, path, CodeTooLarge, "", "has more than %d entries", MaxList)
		return nil
	}
	out := make([]Entry, 0, len(n.Content)/2)
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!null" {
			p.Fail(k, path, CodeWrongType, "", "a key should be a word, not %s", What(k))
			continue
		}
		if seen[k.Value] {
			p.Fail(k, path, CodeDuplicateKey, "", "the key %q is here twice", Clip(k.Value))
			continue
		}
		seen[k.Value] = true
		out = append(out, Entry{k.Value, k, v})
	}
	return out
}

// Object is a mapping that may have the known keys only.
func (p *Reader) Object(n *yaml.Node, path string, known ...string) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	for _, e := range p.Mapping(n, path) {
		if !slices.Contains(known, e.Name) {
			p.Fail(e.Key, path, CodeUnknownKey, Nearest(e.Name, known), "unknown key %q", Clip(e.Name))
			continue
		}
		out[e.Name] = e.Val
	}
	return out
}

// Require notes a missing key and reports whether all are there.
func (p *Reader) Require(n *yaml.Node, path string, have map[string]*yaml.Node, keys ...string) {
	for _, k := range keys {
		if have[k] == nil {
			p.Fail(n, path, CodeMissingKey, "", "the key %q is missing", k)
		}
	}
}

// Items are the entries of a list that may not be empty.
func (p *Reader) Items(n *yaml.Node, path string) []*yaml.Node {
	switch {
	case n.Kind != yaml.SequenceNode:
		p.Fail(n, path, CodeWrongType, "[a, b]", "should be a list, not %s", What(n))
		return nil
	case len(n.Content) == 0:
		p.Fail(n, path, CodeEmptyList, "leave the key out", "the list is empty")
		return nil
	case len(n.Content) > MaxList:
		p.Fail(n, path, CodeTooLarge, "", "has more than %d entries", MaxList)
		return nil
	}
	return n.Content
}

// Text is a text of at most limit bytes without invisible characters.
func (p *Reader) Text(n *yaml.Node, path string, limit int) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		hint := ""
		if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
			hint = strconv.Quote(Clip(n.Value))
		}
		p.Fail(n, path, CodeWrongType, hint, "should be a text, not %s", What(n))
		return "", false
	}
	return n.Value, p.clean(n, path, n.Value, limit)
}

// Word is a listed value: the text as it is written, whatever YAML would make of it, so that
// 1.10, yes and on stay what they look like.
func (p *Reader) Word(n *yaml.Node, path string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		p.Fail(n, path, CodeWrongType, "", "should be a text, not %s", What(n))
		return "", false
	}
	return n.Value, p.clean(n, path, n.Value, maxValue)
}

// Prose is text for people: line breaks and runs of spaces become one space.
func (p *Reader) Prose(n *yaml.Node, path string) string {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.Value = strings.Join(strings.Fields(n.Value), " ")
	}
	s, _ := p.Text(n, path, maxProse)
	return s
}

func (p *Reader) clean(n *yaml.Node, path, s string, limit int) bool {
	switch {
	case strings.TrimSpace(s) == "":
		p.Fail(n, path, CodeBadText, "", "should not be empty")
	case len(s) > limit:
		p.Fail(n, path, CodeBadText, "", "has %d bytes; at most %d are allowed", len(s), limit)
	case strings.TrimSpace(s) != s:
		p.Fail(n, path, CodeBadText, strconv.Quote(strings.TrimSpace(s)), "should not begin or end with a space")
	case strings.ContainsFunc(s, invisible):
		p.Fail(n, path, CodeBadText, "", "has invisible or control characters: %s", strconv.QuoteToASCII(short(s, 40)))
	default:
		return true
	}
	return false
}

// invisible are control, format (bidi, zero width) and unassigned characters, and spaces
// other than the plain one: they could forge what a screen or terminal shows.
func invisible(r rune) bool { return !unicode.IsPrint(r) }

// Words is a list of distinct words.
func (p *Reader) Words(n *yaml.Node, path string) []string {
	var out []string
	for i, c := range p.Items(n, path) {
		at := fmt.Sprintf("%s[%d]", path, i)
		s, ok := p.Word(c, at)
		if !ok {
			continue
		}
		if slices.Contains(out, s) {
			p.Fail(c, at, CodeRepeated, "", "%q is here twice", s)
			continue
		}
		out = append(out, s)
	}
	return out
}

// OneOf is one of a few words.
func (p *Reader) OneOf(n *yaml.Node, path string, words ...string) string {
	s, ok := p.Text(n, path, MaxID)
	if ok && !slices.Contains(words, s) {
		p.Fail(n, path, CodeUnknownWord, Nearest(s, words), "%q is not one of %s", Clip(s), strings.Join(words, ", "))
	}
	return s
}

// Number is a finite number.
func (p *Reader) Number(n *yaml.Node, path string) (float64, bool) {
	var f float64
	if n.Kind != yaml.ScalarNode || (n.Tag != "!!int" && n.Tag != "!!float") || n.Decode(&f) != nil {
		p.Fail(n, path, CodeWrongType, "", "should be a number, not %s", What(n))
		return 0, false
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		p.Fail(n, path, CodeBadNumber, "", "should be a finite number")
		return 0, false
	}
	return f, true
}

// Whole is a whole number from least to 2³¹−1.
func (p *Reader) Whole(n *yaml.Node, path string, least int64) int64 {
	return p.WholeTo(n, path, least, math.MaxInt32)
}

// WholeTo is a whole number from least to most.
func (p *Reader) WholeTo(n *yaml.Node, path string, least, most int64) int64 {
	var i int64
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || n.Decode(&i) != nil {
		p.Fail(n, path, CodeWrongType, "", "should be a whole number, not %s", What(n))
		return least
	}
	if i < least || i > most {
		p.Fail(n, path, CodeBadNumber, "", "should lie between %d and %d", least, most)
		return least
	}
	return i
}

// Truth is true or false.
func (p *Reader) Truth(n *yaml.Node, path string) bool {
	var b bool
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Decode(&b) != nil {
		p.Fail(n, path, CodeWrongType, "true", "should be true or false, not %s", What(n))
	}
	return b
}

// Duration reads 90s, 15m, 48h, 7d or 4w: real seconds.
func (p *Reader) Duration(n *yaml.Node, path string, least, most time.Duration) time.Duration {
	s := n.Value
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if n.Kind == yaml.ScalarNode && len(s) > 1 && unit[s[len(s)-1]] > 0 && s[0] >= '0' && s[0] <= '9' {
		u := unit[s[len(s)-1]]
		if v, err := strconv.ParseInt(s[:len(s)-1], 10, 64); err == nil {
			if v > int64(most/u) || time.Duration(v)*u < least {
				p.Fail(n, path, CodeBadDuration, "", "should be at least %ds and at most %s", least/time.Second, Span(most))
				return least
			}
			return time.Duration(v) * u
		}
	}
	p.Fail(n, path, CodeBadDuration, "48h or 7d", "should be a duration such as 90s, 15m, 48h, 7d or 4w, not %s", What(n))
	return least
}

// Span writes a duration the way a catalog does: 48h, 7d; forever for 0.
func Span(d time.Duration) string {
	switch {
	case d == 0:
		return "forever"
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// ValidID reports whether s can be the id of an event, metric, probe, measure or catalog.
func ValidID(s string) bool {
	if s == "" || len(s) > MaxID || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return false
		}
	}
	return true
}

// ValidName is for properties, traits and attributes, which often keep their client's name.
func ValidName(s string) bool {
	ok := s != "" && len(s) <= MaxID && s[len(s)-1] != '.'
	for i, r := range s {
		letter := (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
		ok = ok && (letter || i > 0 && (r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.'))
	}
	return ok
}

// What a node is, for messages.
func What(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!int" || n.Tag == "!!float":
		return "the number " + Clip(n.Value)
	case n.Tag == "!!bool":
		return "the truth value " + Clip(n.Value)
	case n.Tag == "!!timestamp":
		return "the date " + Clip(n.Value)
	}
	return strconv.Quote(Clip(n.Value))
}

// Clip keeps what a message quotes short and printable.
func Clip(s string) string { return clean(s, 40) }

func clean(s string, most int) string {
	return strings.Map(func(r rune) rune {
		if invisible(r) {
			return '\uFFFD'
		}
		return r
	}, short(s, most))
}

func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

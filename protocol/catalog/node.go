package catalog

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
	maxBytes = 1 << 20
	maxDepth = 16 // the grammar needs 8
	maxNodes = 100_000
	maxList  = 1_000 // entries of any list or mapping: values, events, measures
	maxID    = 64
	maxValue = 100 // bytes of a listed value
	maxProse = 1_000
)

// parser reads nodes and collects what is wrong with them.
type parser struct {
	list []Error
	more int
	cat  *Catalog
}

func (p *parser) fail(n *yaml.Node, path, code, hint, format string, args ...any) {
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

func (p *parser) err() error {
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

// document is the root mapping of the one YAML document in raw, or nil with errors noted.
func (p *parser) document(raw []byte) *yaml.Node {
	if len(raw) > maxBytes {
		p.fail(nil, "", CodeTooLarge, "", "the file has %d bytes; a catalog has at most %d", len(raw), maxBytes)
		return nil
	}
	if !utf8.Valid(raw) {
		p.fail(nil, "", CodeNotUTF8, "save the file as UTF-8", "the file is not UTF-8 text")
		return nil
	}
	if crowded(raw) {
		p.fail(nil, "", CodeTooLarge, "", "the file has more than %d parts", maxNodes)
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

func (p *parser) syntax(err error) {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	at := &yaml.Node{Line: 1, Column: 1}
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		if num, what, ok := strings.Cut(rest, ": "); ok {
			if l, err := strconv.Atoi(num); err == nil {
				at.Line, msg = max(l, 1), what
			}
		}
	}
	p.fail(at, "", CodeSyntax, "", "not readable as YAML: %s", clip(msg))
}

// tame refuses what a strict file has no use for and attackers have: aliases, anchors,
// tags, depth and sheer number.
func (p *parser) tame(n *yaml.Node, depth int, count *int) bool {
	*count++
	switch {
	case *count > maxNodes:
		p.fail(n, "", CodeTooLarge, "", "the file has more than %d parts", maxNodes)
		return false
	case depth > maxDepth:
		p.fail(n, "", CodeTooLarge, "", "nested deeper than %d levels", maxDepth)
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.Tag == "!!merge":
		p.fail(n, "", CodeYAMLFeature, "write the values out", "anchors, aliases, merges and tags are not read")
		return false
	}
	for _, c := range n.Content {
		if !p.tame(c, depth+1, count) {
			return false
		}
	}
	return true
}

// entry is one key of a mapping with its value.
type entry struct {
	name string
	key  *yaml.Node
	val  *yaml.Node
}

// mapping are the entries of a mapping in file order. A repeated key is an error and left out.
func (p *parser) mapping(n *yaml.Node, path string) []entry {
	if n.Kind != yaml.MappingNode {
		p.fail(n, path, CodeWrongType, "", "should be a mapping of keys to values, not %s", what(n))
		return nil
	}
	if len(n.Content)/2 > maxList {
		p.fail(n, path, CodeTooLarge, "", "has more than %d entries", maxList)
		return nil
	}
	out := make([]entry, 0, len(n.Content)/2)
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!null" {
			p.fail(k, path, CodeWrongType, "", "a key should be a word, not %s", what(k))
			continue
		}
		if seen[k.Value] {
			p.fail(k, path, CodeDuplicateKey, "", "the key %q is here twice", clip(k.Value))
			continue
		}
		seen[k.Value] = true
		out = append(out, entry{k.Value, k, v})
	}
	return out
}

// object is a mapping that may have the known keys only.
func (p *parser) object(n *yaml.Node, path string, known ...string) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	for _, e := range p.mapping(n, path) {
		if !slices.Contains(known, e.name) {
			p.fail(e.key, path, CodeUnknownKey, Nearest(e.name, known), "unknown key %q", clip(e.name))
			continue
		}
		out[e.name] = e.val
	}
	return out
}

// require notes a missing key and reports whether all are there.
func (p *parser) require(n *yaml.Node, path string, have map[string]*yaml.Node, keys ...string) {
	for _, k := range keys {
		if have[k] == nil {
			p.fail(n, path, CodeMissingKey, "", "the key %q is missing", k)
		}
	}
}

// items are the entries of a list that may not be empty.
func (p *parser) items(n *yaml.Node, path string) []*yaml.Node {
	switch {
	case n.Kind != yaml.SequenceNode:
		p.fail(n, path, CodeWrongType, "[a, b]", "should be a list, not %s", what(n))
		return nil
	case len(n.Content) == 0:
		p.fail(n, path, CodeEmptyList, "leave the key out", "the list is empty")
		return nil
	case len(n.Content) > maxList:
		p.fail(n, path, CodeTooLarge, "", "has more than %d entries", maxList)
		return nil
	}
	return n.Content
}

// text is a text of at most limit bytes without invisible characters.
func (p *parser) text(n *yaml.Node, path string, limit int) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		hint := ""
		if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
			hint = strconv.Quote(clip(n.Value))
		}
		p.fail(n, path, CodeWrongType, hint, "should be a text, not %s", what(n))
		return "", false
	}
	return n.Value, p.clean(n, path, n.Value, limit)
}

// word is a listed value: the text as it is written, whatever YAML would make of it, so that
// 1.10, yes and on stay what they look like.
func (p *parser) word(n *yaml.Node, path string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		p.fail(n, path, CodeWrongType, "", "should be a text, not %s", what(n))
		return "", false
	}
	return n.Value, p.clean(n, path, n.Value, maxValue)
}

// prose is text for people: line breaks and runs of spaces become one space.
func (p *parser) prose(n *yaml.Node, path string) string {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.Value = strings.Join(strings.Fields(n.Value), " ")
	}
	s, _ := p.text(n, path, maxProse)
	return s
}

func (p *parser) clean(n *yaml.Node, path, s string, limit int) bool {
	switch {
	case strings.TrimSpace(s) == "":
		p.fail(n, path, CodeBadText, "", "should not be empty")
	case len(s) > limit:
		p.fail(n, path, CodeBadText, "", "has %d bytes; at most %d are allowed", len(s), limit)
	case strings.TrimSpace(s) != s:
		p.fail(n, path, CodeBadText, strconv.Quote(strings.TrimSpace(s)), "should not begin or end with a space")
	case strings.ContainsFunc(s, invisible):
		p.fail(n, path, CodeBadText, "", "has invisible or control characters: %s", strconv.QuoteToASCII(clip(s)))
	default:
		return true
	}
	return false
}

// invisible are control, format (bidi, zero width) and unassigned characters, and spaces
// other than the plain one: they could forge what a screen or terminal shows.
func invisible(r rune) bool { return !unicode.IsPrint(r) }

// words is a list of distinct words.
func (p *parser) words(n *yaml.Node, path string) []string {
	var out []string
	for i, c := range p.items(n, path) {
		at := fmt.Sprintf("%s[%d]", path, i)
		s, ok := p.word(c, at)
		if !ok {
			continue
		}
		if slices.Contains(out, s) {
			p.fail(c, at, CodeRepeated, "", "%q is here twice", s)
			continue
		}
		out = append(out, s)
	}
	return out
}

func (p *parser) number(n *yaml.Node, path string) (float64, bool) {
	var f float64
	if n.Kind != yaml.ScalarNode || (n.Tag != "!!int" && n.Tag != "!!float") || n.Decode(&f) != nil {
		p.fail(n, path, CodeWrongType, "", "should be a number, not %s", what(n))
		return 0, false
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		p.fail(n, path, CodeBadNumber, "", "should be a finite number")
		return 0, false
	}
	return f, true
}

func (p *parser) whole(n *yaml.Node, path string, least int64) int64 {
	var i int64
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || n.Decode(&i) != nil {
		p.fail(n, path, CodeWrongType, "", "should be a whole number, not %s", what(n))
		return least
	}
	if i < least || i > math.MaxInt32 {
		p.fail(n, path, CodeBadNumber, "", "should lie between %d and %d", least, math.MaxInt32)
		return least
	}
	return i
}

// duration reads 90s, 15m, 48h, 7d or 4w: real seconds.
func (p *parser) duration(n *yaml.Node, path string, least, most time.Duration) time.Duration {
	s := n.Value
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if n.Kind == yaml.ScalarNode && len(s) > 1 && unit[s[len(s)-1]] > 0 && s[0] >= '0' && s[0] <= '9' {
		u := unit[s[len(s)-1]]
		if v, err := strconv.ParseInt(s[:len(s)-1], 10, 64); err == nil {
			if v < int64(least/u) || v > int64(most/u) || time.Duration(v)*u < least {
				p.fail(n, path, CodeBadDuration, "", "should lie between %s and %s", Span(least), Span(most))
				return least
			}
			return time.Duration(v) * u
		}
	}
	p.fail(n, path, CodeBadDuration, "48h or 7d", "should be a duration such as 90s, 15m, 48h, 7d or 4w, not %s", what(n))
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

func validID(s string) bool {
	if s == "" || len(s) > maxID || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return false
		}
	}
	return true
}

// validName is for properties, traits and attributes, which often keep their client's name.
func validName(s string) bool {
	ok := s != "" && len(s) <= maxID && s[len(s)-1] != '.'
	for i, r := range s {
		letter := (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
		ok = ok && (letter || i > 0 && (r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.'))
	}
	return ok
}

// what a node is, for messages.
func what(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!int" || n.Tag == "!!float":
		return "the number " + clip(n.Value)
	case n.Tag == "!!bool":
		return "the truth value " + clip(n.Value)
	case n.Tag == "!!timestamp":
		return "the date " + clip(n.Value)
	}
	return strconv.Quote(clip(n.Value))
}

// clip keeps what a message quotes short and printable.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return strings.Map(func(r rune) rune {
		if invisible(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// Package markup builds HTML and SVG that cannot be misused: html/template costs the agent
// four megabytes, and string joining costs it its safety.
//
// Invariants: every string that is not a literal of this program passes through exactly one of
// Text (character data), Attr (quoted attribute value) and URL (path segment or query value),
// and each escapes for its own context. Names of elements and attributes and class names have
// the type literal, which a caller cannot name: only an untyped constant converts to it.
// Elements with content that is not HTML (script, style), handlers (on…), style attributes
// and addresses of other hosts cannot be written at all. A name that is not allowed is a
// mistake of the program and panics.
//
// The package keeps no state on disk.
package markup

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// literal is a string that stands in the source. Callers cannot convert to it.
type literal string

// Item is what an element holds: a Node or an Attribute. A nil Item is nothing.
type Item interface{ item() }

// Node is a piece of a document.
type Node interface {
	Item
	write(b *[]byte)
}

// Attribute is an attribute of an element.
type Attribute struct {
	name, value string
	bare        bool // written without a value
}

func (Attribute) item() {}

// Text is character data.
type Text string

func (Text) item() {}

func (t Text) write(b *[]byte) { *b = escape(*b, string(t)) }

type element struct {
	tag   string
	items []Item
}

func (element) item() {}

// El is an element with its attributes and children, in any order.
func El(tag literal, items ...Item) Node {
	if !knownTag(string(tag)) {
		panic("markup: element " + string(tag) + " is not allowed")
	}
	return element{string(tag), items}
}

func (e element) write(b *[]byte) {
	*b = append(append(*b, '<'), e.tag...)
	for _, i := range e.items {
		if a, ok := i.(Attribute); ok && a.name != "" {
			*b = append(append(*b, ' '), a.name...)
			if !a.bare {
				*b = append(*b, '=', '"')
				*b = escape(*b, a.value)
				*b = append(*b, '"')
			}
		}
	}
	*b = append(*b, '>')
	if isVoid(e.tag) {
		return
	}
	for _, i := range e.items {
		if n, ok := i.(Node); ok && n != nil {
			n.write(b)
		}
	}
	*b = append(append(append(*b, '<', '/'), e.tag...), '>')
}

type group []Node

func (group) item() {}

func (g group) write(b *[]byte) {
	for _, n := range g {
		if n != nil {
			n.write(b)
		}
	}
}

// Group is several nodes in a row.
func Group(nodes ...Node) Node { return group(nodes) }

// When is the node if the condition holds, else nothing.
func When(condition bool, n Node) Node {
	if !condition {
		return group(nil)
	}
	return n
}

// Textf is literal text with values put in at each %; the values are character data.
func Textf(format literal, values ...string) Node {
	var s strings.Builder
	for _, r := range string(format) {
		if r == '%' && len(values) > 0 {
			s.WriteString(values[0])
			values = values[1:]
			continue
		}
		s.WriteRune(r)
	}
	return Text(s.String())
}

// Attr is an attribute whose value no browser runs or follows.
func Attr(name literal, value string) Attribute {
	if !inertAttribute(string(name)) {
		panic("markup: attribute " + string(name) + " is not allowed")
	}
	return Attribute{name: string(name), value: value}
}

// Flag is an attribute without a value, present if the condition holds.
func Flag(name literal, present bool) Attribute {
	if !present {
		return Attribute{}
	}
	a := Attr(name, "")
	a.bare = true
	return a
}

// Class is the class attribute.
func Class(names ...literal) Attribute {
	s := make([]string, 0, len(names))
	for _, n := range names {
		if n != "" {
			s = append(s, string(n))
		}
	}
	if len(s) == 0 {
		return Attribute{}
	}
	return Attribute{name: "class", value: strings.Join(s, " ")}
}

// Num is an attribute with a number of at most three decimals; what is no number is 0.
func Num(name literal, v float64) Attribute { return Attr(name, Number(v)) }

// Percent is an attribute with a share of the width.
func Percent(name literal, v float64) Attribute { return Attr(name, Number(v)+"%") }

// Number writes v with at most three decimals; what is no number is 0.
func Number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	s := strconv.FormatFloat(v, 'f', 3, 64)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "-0" {
		return "0"
	}
	return s
}

// Href is a link.
func Href(u URL) Attribute { return Attribute{name: "href", value: u.String()} }

// Anchor is a link to a place on the same page.
func Anchor(id literal) Attribute { return Attribute{name: "href", value: "#" + string(id)} }

// Action is where a form goes.
func Action(u URL) Attribute { return Attribute{name: "action", value: u.String()} }

// SubmitTo is where a button sends its form, instead of the form's own address.
func SubmitTo(u URL) Attribute { return Attribute{name: "formaction", value: u.String()} }

// Script loads a script of our own.
func Script(u URL) Node {
	return element{"script", []Item{Attribute{name: "src", value: u.String()}, Attribute{name: "defer", bare: true}}}
}

// Stylesheet loads a style sheet of our own.
func Stylesheet(u URL) Node {
	return element{"link", []Item{Attribute{name: "rel", value: "stylesheet"}, Href(u)}}
}

// Icon names the page's icon.
func Icon(u URL) Node {
	return element{"link", []Item{Attribute{name: "rel", value: "icon"}, Href(u)}}
}

// Reload asks a browser that runs no script to load the page again after so many seconds.
func Reload(seconds int) Node {
	return element{"noscript", []Item{element{"meta", []Item{
		Attribute{name: "http-equiv", value: "refresh"}, Attribute{name: "content", value: strconv.Itoa(seconds)}}}}}
}

// Document is a whole page.
func Document(title string, head, body Node) []byte {
	b := make([]byte, 0, 32<<10)
	b = append(b, "<!doctype html>\n"...)
	El("html", Attr("lang", "en"),
		El("head",
			El("meta", Attr("charset", "utf-8")),
			El("meta", Attr("name", "viewport"), Attr("content", "width=device-width, initial-scale=1")),
			El("meta", Attr("name", "color-scheme"), Attr("content", "light dark")),
			El("title", Text(title)), head),
		El("body", body)).write(&b)
	return append(b, '\n')
}

// Render is a node alone.
func Render(n Node) []byte {
	var b []byte
	if n != nil {
		n.write(&b)
	}
	return b
}

// escape appends s so that it is character data and a double-quoted value alike. What is no
// character, controls and marks that turn the direction of text become U+FFFD.
func escape(b []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '"':
			b = append(b, "&#34;"...)
		case r == '\'':
			b = append(b, "&#39;"...)
		case r == '`':
			b = append(b, "&#96;"...)
		case forbidden(r):
			b = utf8.AppendRune(b, utf8.RuneError)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// forbidden are controls (but tab and newline), what is no character, and marks that turn
// the direction of the text around them: a name must not rearrange the page that shows it.
func forbidden(r rune) bool {
	switch {
	case r == '\t' || r == '\n':
		return false
	case r < 0x20 || r >= 0x7f && r <= 0x9f:
		return true
	case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c:
		return true
	case r == 0x2028 || r == 0x2029 || r == 0xfeff:
		return true
	case r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe:
		return true
	}
	return false
}

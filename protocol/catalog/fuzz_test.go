package catalog_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/diff"
	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 100 {
		f.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		f.Add(read(f, filepath.Base(name)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		c, err := catalog.Parse(raw)
		if !bytes.Equal(raw, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			var es *catalog.Errors
			if c != nil || !errors.As(err, &es) || len(es.List) == 0 || len(es.List) > 50 {
				t.Fatalf("%v, %v", c, err)
			}
			for _, e := range es.List {
				if e.Code == "" || e.Message == "" || strings.ContainsFunc(e.Error(), unicode.IsControl) {
					t.Fatalf("%q", e.Error())
				}
			}
			return
		}
		sound(t, c)
	})
}

// sound is what every catalog that was accepted can be relied upon for.
func sound(t *testing.T, c *catalog.Catalog) {
	again, err := catalog.Parse(c.Raw)
	if err != nil || again.Hash != c.Hash {
		t.Fatalf("the same bytes a second time: %v", err)
	}
	if changes := diff.Between(c, again); len(changes) != 0 {
		t.Fatalf("differs from itself: %+v", changes)
	}
	for i := range c.Measures {
		m := &c.Measures[i]
		if len(m.Fields()) == 0 || len(m.Grains()) == 0 || m.Category == "" || m.Leaves == 0 || m.Retention < 0 || diff.Describe(c, m) == "" {
			t.Fatalf("%+v", m)
		}
		about := m.Kind == catalog.ActiveUsers || m.Kind == catalog.Lifecycle || len(m.WhereUser) > 0
		for _, b := range c.Breakdowns(m) {
			for j, p := range b.Props {
				if p == nil || p.IsNumber || len(p.Values) == 0 {
					t.Fatalf("%s by %s: %+v", m.ID, b.Dims[j], p)
				}
				if _, isTrait := c.Dimension(m, b.Dims[j]); isTrait {
					about = true
				}
			}
		}
		if about && m.Subject != catalog.Person {
			t.Fatalf("%s looks at users and is about %s", m.ID, m.Subject)
		}
		if m.Kind == catalog.Fact && len(m.Values) == 0 {
			t.Fatalf("%s is a fact without a list", m.ID)
		}
		if m.Kind == catalog.SLO && (m.Valid == nil || m.Good == nil || m.Target <= 0 || m.Target >= 1 || m.Window <= 0) {
			t.Fatalf("%+v", m)
		}
		g := m.Grains()[0]
		n := 0
		for s := range c.Cells(i, m.Fields()[0], g) {
			f, err := c.Resolve(report.Cell{Series: s, Start: start(g), Form: report.Suppressed})
			if err != nil {
				t.Fatalf("%s %+v: %v", m.ID, s, err)
			}
			for dim, v := range f.Dims {
				if v == "" || strings.ContainsFunc(dim+v, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Fatalf("%q is %q", dim, v)
				}
			}
			if n++; n > 500 {
				break
			}
		}
	}
}

// A file from outside may cost some time and memory, not all of it.
func TestHostileFilesAreCheap(t *testing.T) {
	const size = 1 << 20
	fill := func(head, body, tail string) string {
		return head + strings.Repeat(body, (size-len(head)-len(tail))/len(body)) + tail
	}
	for name, file := range map[string]string{
		"too large":       strings.Repeat("#", size+1),
		"brackets":        fill("", "[", ""),
		"braces":          fill("", "{", ""),
		"many entries":    fill("a: [", "a,", "]"),
		"many keys":       fill("", "a: b\n", ""),
		"questions":       fill("", "? ", ""),
		"dashes":          fill("", "- ", ""),
		"colons":          fill("", "a: ", ""),
		"comments":        fill("", "#\n", ""),
		"indents":         fill("", " ", "a: b"),
		"tabs":            fill("", "\t", ""),
		"quotes":          fill("", "\"", ""),
		"one long text":   fill("catalog: \"", "x", "\""),
		"escapes":         fill("catalog: \"", `\u0041`, "\""),
		"tags":            fill("", "!!str ", "a"),
		"anchors":         fill("", "&a ", "a"),
		"aliases":         fill("a: &a [b]\nc: [", "*a,", "]"),
		"billion laughs":  "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\ncatalog: *c\n",
		"documents":       fill("", "---\n", ""),
		"directives":      fill("", "%YAML 1.1\n", ""),
		"NUL":             fill("", "\x00", ""),
		"byte order mark": "\ufeff\ufeffcatalog: a",
		"UTF-16":          "\xff\xfec\x00a\x00",
		"a long key":      fill("", "k", ": 1"),
		"folded":          fill("a: >\n", "  x\n", ""),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			c, err := catalog.Parse([]byte(file))
			var es *catalog.Errors
			if c != nil || !errors.As(err, &es) {
				t.Fatalf("%v, %v", c, err)
			}
			if len(es.Error()) > 20_000 {
				t.Errorf("%d bytes of errors", len(es.Error()))
			}
			t.Logf("%v: %.100s", time.Since(began).Round(time.Millisecond), err)
		})
	}
	if _, err := catalog.Parse([]byte(strings.Repeat("#", size+1))); code(err) != strict.CodeTooLarge {
		t.Error(err)
	}
}

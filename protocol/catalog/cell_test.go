package catalog_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Cells come from the wire: each of these is refused with a code.
func TestCellsTheCatalogDoesNotHave(t *testing.T) {
	c := forge(t)
	_, people := measure(t, c, "people")
	_, changes := measure(t, c, "changes")
	_, files := measure(t, c, "files")
	_, version := measure(t, c, "version")
	_, queued := measure(t, c, "queued")
	_, up := measure(t, c, "web_up")
	good := report.Cell{Series: report.Series{Measure: people, Field: report.Value, Grain: report.Block4w}, Start: start(report.Block4w), Form: report.Exact, Lo: 9, Hi: 9}
	for _, x := range []struct {
		name string
		edit func(*report.Cell)
		want string
	}{
		{"nothing wrong", func(*report.Cell) {}, ""},
		{"measure", func(c *report.Cell) { c.Measure = 900 }, "measure 900"},
		{"last measure and one", func(x *report.Cell) { x.Measure = uint16(len(c.Measures)) }, "the catalog has"},
		{"field of another kind", func(c *report.Cell) { c.Field = report.Mean }, "has no mean"},
		{"no such field", func(c *report.Cell) { c.Field = 200 }, "invariant"},
		{"grain of another subject", func(c *report.Cell) { c.Grain, c.Start = report.Hour, 0 }, "no windows of a hour"},
		{"no such grain", func(c *report.Cell) { c.Grain = 0 }, "invariant"},
		{"no such form", func(c *report.Cell) { c.Form = 99 }, "invariant"},
		{"suppressed with a number", func(c *report.Cell) { c.Form = report.Suppressed }, "invariant"},
		{"crooked start", func(c *report.Cell) { c.Start++ }, "no 4w begins"},
		{"start out of time", func(c *report.Cell) { c.Start = math.MaxInt64 - 1 }, "no 4w begins"},
		{"start before time", func(c *report.Cell) { c.Start = math.MinInt64 }, "no 4w begins"},
		{"breakdown", func(c *report.Cell) { c.Breakdown = 4 }, "breakdown 4"},
		{"value of the total", func(c *report.Cell) { c.V1 = 1 }, "does not have"},
		{"second value of one dimension", func(c *report.Cell) { c.Breakdown, c.V2 = 1, 1 }, "does not have"},
		{"value beyond (none)", func(c *report.Cell) { c.Breakdown, c.V1 = 1, 5 }, "value 5 of role, which has 5"},
		{"second value beyond (none)", func(c *report.Cell) { c.Breakdown, c.V2 = 3, 10 }, "value 10 of area"},
		{"half a person", func(c *report.Cell) { c.Lo, c.Hi = 2.5, 2.5 }, "whole number"},
		{"half a person in a band", func(c *report.Cell) { c.Form, c.Lo, c.Hi = report.Band, 2, 4.5 }, "whole number"},
		{"fewer than none", func(c *report.Cell) { c.Lo, c.Hi = -1, -1 }, "cannot be -1"},
		{"more than can be counted", func(c *report.Cell) { c.Lo, c.Hi = 1e300, 1e300 }, "whole number"},
		{"not a number", func(c *report.Cell) { c.Lo, c.Hi = math.NaN(), math.NaN() }, "invariant"},
		{"open top of an exact figure", func(c *report.Cell) { c.Hi = math.Inf(1) }, "invariant"},
		{"blob on a number", func(c *report.Cell) { c.Blob = []byte{1} }, "invariant"},
		{"sketch with numbers", func(c *report.Cell) { c.Measure, c.Field, c.Lo = files, report.Sketch, 1 }, "invariant"},
		{"hour of machine as a band of -1", func(c *report.Cell) {
			c.Measure, c.Field, c.Grain, c.Start, c.Form, c.Lo, c.Hi = up, report.Up, report.Hour, 3600, report.Band, -1, 1
		}, "cannot be -1"},
		{"crooked hour", func(c *report.Cell) { c.Measure, c.Field, c.Grain, c.Start = up, report.Up, report.Hour, 3601 }, "no hour begins"},
		{"crooked five minutes", func(c *report.Cell) {
			c.Measure, c.Field, c.Grain, c.Start = queued, report.Last, report.FiveMinutes, 299
		}, "no 5m begins"},
		{"fact beyond its list", func(c *report.Cell) { c.Measure, c.Grain, c.Lo, c.Hi = version, report.Day, 5, 5 }, "has no value 5"},
		{"fact between its values", func(c *report.Cell) { c.Measure, c.Grain, c.Lo, c.Hi = version, report.Day, 1.5, 1.5 }, "whole number"},
		{"fact as a band", func(c *report.Cell) { c.Measure, c.Grain, c.Form, c.Lo, c.Hi = version, report.Day, report.Band, 0, 2 }, "told exactly"},
		{"open top", func(c *report.Cell) { c.Form, c.Hi = report.Band, math.Inf(1) }, ""},
		{"noise below nought", func(c *report.Cell) { c.Form, c.Lo, c.Hi = report.Noised, -3, -3 }, ""},
		{"negative sum", func(c *report.Cell) { c.Measure, c.Field, c.Lo, c.Hi = files, report.Sum, -3.25, -3.25 }, ""},
		{"count by area", func(c *report.Cell) { c.Measure, c.Breakdown, c.V1 = changes, 1, 9 }, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			cell := good
			x.edit(&cell)
			_, err := c.Resolve(cell)
			if x.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || code(err) != strict.CodeBadCell || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
			if _, err := c.ResolveAll([]report.Cell{good, cell}); err == nil || !strings.Contains(err.Error(), "cell 1: ") {
				t.Errorf("among others: %v", err)
			}
		})
	}
}

func TestFiguresTheCatalogDoesNotHave(t *testing.T) {
	c := forge(t)
	m, i := measure(t, c, "people")
	v, _ := measure(t, c, "version")
	good := report.Figure{Measure: m.ID, Hash: m.HashString(), Field: report.Value, Grain: report.Week, Start: start(report.Week),
		Dims: map[string]string{"area": "docs", "role": catalog.None}, Form: report.Band, Lo: 5, Hi: 9}
	want := report.Cell{Series: report.Series{Measure: i, Field: report.Value, Grain: report.Week, Breakdown: 3, V1: 4, V2: 1}, Start: good.Start,
		Form: report.Band, Lo: 5, Hi: 9}
	if got, err := c.Cell(good); err != nil || cmp.Diff(want, got) != "" {
		t.Fatalf("%v %s", err, cmp.Diff(want, got))
	}
	for _, x := range []struct {
		name string
		edit func(*report.Figure)
	}{
		{"measure", func(f *report.Figure) { f.Measure = "nobody" }},
		{"definition", func(f *report.Figure) { f.Hash = "0123456789abcdef" }},
		{"no definition", func(f *report.Figure) { f.Hash = "" }},
		{"dimension", func(f *report.Figure) { f.Dims = map[string]string{"team": "docs"} }},
		{"half a cross of nothing", func(f *report.Figure) { f.Dims = map[string]string{"area": "docs", "team": "x"} }},
		{"value", func(f *report.Figure) { f.Dims = map[string]string{"area": "prose"} }},
		{"empty value", func(f *report.Figure) { f.Dims = map[string]string{"area": ""} }},
		{"text", func(f *report.Figure) { f.Text = "1.0.0" }},
		{"crooked start", func(f *report.Figure) { f.Start++ }},
		{"field", func(f *report.Figure) { f.Field = report.Up }},
		{"fact without a text", func(f *report.Figure) {
			*f = report.Figure{Measure: v.ID, Hash: v.HashString(), Field: report.Value, Grain: report.Day, Form: report.Exact}
		}},
		{"fact of another list", func(f *report.Figure) {
			*f = report.Figure{Measure: v.ID, Hash: v.HashString(), Field: report.Value, Grain: report.Day, Form: report.Exact, Text: "9.9.9"}
		}},
	} {
		f := good
		x.edit(&f)
		if cell, err := c.Cell(f); err == nil || code(err) != strict.CodeBadCell {
			t.Errorf("%s: %+v, %v", x.name, cell, err)
		}
	}
}

func TestFacts(t *testing.T) {
	c := forge(t)
	m, i := measure(t, c, "version")
	for at, text := range []string{"1.0.0", "1.10", "2.0.0", catalog.Other, catalog.None} {
		cell := report.Cell{Series: report.Series{Measure: i, Field: report.Value, Grain: report.Change}, Start: 1_700_000_001,
			Form: report.Exact, Lo: float64(at), Hi: float64(at)}
		f, err := c.Resolve(cell)
		if err != nil || f.Text != text {
			t.Errorf("%d: %q, %v, want %q", at, f.Text, err, text)
		}
		if got := m.ValueIndex(text); int(got) != at {
			t.Errorf("%q: %d, want %d", text, got, at)
		}
	}
	if got := m.ValueIndex("0.0.1-dev"); got != 3 {
		t.Errorf("an unlisted version is %d, want (other)", got)
	}
	for id, want := range map[string]catalog.Source{
		"version":        {Of: "agent", Name: "version"},
		"os":             {Of: "agent", Name: "os"},
		"plan":           {Of: "group", Name: "plan"},
		"environment":    {Of: "resource", Name: "deployment.environment"},
		"has_maintainer": {Of: "user", Name: "role", Value: "maintainer"},
		"channel":        {Of: "event", Name: "channel", Event: "release"},
	} {
		m, _ := measure(t, c, id)
		got, ok := c.Source(m)
		if named := got.Of != "agent"; named != (got.Property != nil) {
			t.Errorf("%s: property %+v", id, got.Property)
		}
		got.Property = nil
		if !ok || cmp.Diff(want, got) != "" {
			t.Errorf("%s: %v %s", id, ok, cmp.Diff(want, got))
		}
	}
	if m, _ := measure(t, c, "has_maintainer"); cmp.Diff([]string{"yes", "no"}, m.Values) != "" {
		t.Errorf("%q", m.Values)
	}
}

// Whatever the wire says, a cell is refused or all of it has names and comes back as it was.
func TestHostileCells(t *testing.T) {
	both := []*catalog.Catalog{forge(t), ways(t)}
	resolved := map[catalog.Kind]int{}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(both).Draw(t, "catalog")
		number := rapid.OneOf(rapid.Float64(), rapid.Map(rapid.IntRange(-2, 12), func(i int) float64 { return float64(i) }), rapid.Just(math.Inf(1)))
		day := rapid.Int64Range(0, 40_000).Draw(t, "day")
		g := report.Grain(rapid.Uint8Range(0, 10).Draw(t, "grain"))
		at := rapid.OneOf(rapid.Int64(), rapid.Just(report.CivilStart(g, day)), rapid.Just(day*86400)).Draw(t, "start")
		cell := report.Cell{
			Series: report.Series{
				Measure: rapid.Uint16Range(0, 18).Draw(t, "measure"), Field: report.Field(rapid.Uint8Range(0, 50).Draw(t, "field")), Grain: g,
				Breakdown: rapid.Uint8Range(0, 4).Draw(t, "breakdown"), V1: rapid.Uint16Range(0, 11).Draw(t, "v1"), V2: rapid.Uint16Range(0, 11).Draw(t, "v2"),
			},
			Start: at, Form: report.Form(rapid.Uint8Range(0, 7).Draw(t, "form")), Lo: number.Draw(t, "lo"), Hi: number.Draw(t, "hi"),
			Blob: rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "blob"),
		}
		if rapid.Bool().Draw(t, "tame") { // else hardly any cell holds together
			cell.Measure %= uint16(len(c.Measures))
			m := &c.Measures[cell.Measure]
			cell.Breakdown = min(cell.Breakdown, uint8(len(c.Breakdowns(m))))
			cell.Field, cell.Grain = m.FieldsOf(int(cell.Breakdown))[0], m.Grains()[0]
			cell.Start, cell.Blob, cell.Hi, cell.V1, cell.V2 = start(cell.Grain), nil, cell.Lo, cell.V1%2, 0
			if cell.Breakdown == 0 {
				cell.V1 = 0
			}
			if rapid.Bool().Draw(t, "exact") {
				cell.Form, cell.Lo = report.Exact, float64(rapid.IntRange(0, 3).Draw(t, "whole"))
				cell.Hi = cell.Lo
			}
		}
		f, err := c.Resolve(cell)
		if err != nil {
			if code(err) != strict.CodeBadCell {
				t.Fatalf("%+v: an error without a code: %v", cell, err)
			}
			return
		}
		resolved[c.Measures[cell.Measure].Kind]++
		m := &c.Measures[cell.Measure]
		want := 0
		if cell.Breakdown > 0 {
			want = len(c.Breakdowns(m)[cell.Breakdown-1].Dims)
		}
		if len(f.Dims) != want || f.Measure != m.ID || f.Hash != m.HashString() {
			t.Fatalf("%+v became %+v", cell, f)
		}
		back, err := c.Cell(f)
		if err != nil {
			t.Fatalf("%+v became %+v: %v", cell, f, err)
		}
		if len(back.Blob) == 0 && len(cell.Blob) == 0 {
			back.Blob, cell.Blob = nil, nil
		}
		if d := cmp.Diff(cell, back); d != "" {
			t.Fatal(d)
		}
	})
	if len(resolved) < 5 {
		t.Errorf("hardly any cell was resolved: %v", resolved)
	}
}

func BenchmarkResolve(b *testing.B) {
	c := forge(b)
	_, i := measure(b, c, "people")
	cell := report.Cell{Series: report.Series{Measure: i, Field: report.Value, Grain: report.Week, Breakdown: 3, V1: 1, V2: 1}, Start: start(report.Week), Form: report.Exact, Lo: 9, Hi: 9}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Resolve(cell); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	raw := read(b, "forge-like.yaml")
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := catalog.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

// Dims and Resolve name every series of a catalog alike.
func TestSeriesAndCellsHaveTheSameNames(t *testing.T) {
	c, named := forge(t), map[int]int{}
	for i := range c.Measures {
		m := &c.Measures[i]
		for n := range len(c.Breakdowns(m)) + 1 {
			for _, field := range m.FieldsOf(n) {
				for s := range c.Cells(i, field, report.Block4w) {
					if int(s.Breakdown) != n || !m.HasGrain(s.Grain) {
						continue
					}
					f, err := c.Resolve(report.Cell{Series: s, Start: start(report.Block4w), Form: report.Suppressed})
					if err != nil {
						t.Fatal(err)
					}
					if d := cmp.Diff(f.Dims, c.Dims(m, s)); d != "" {
						t.Fatalf("%s %+v (-resolved +named):\n%s", m.ID, s, d)
					}
					named[len(f.Dims)]++
				}
			}
		}
	}
	for dims := range 3 {
		if named[dims] == 0 {
			t.Errorf("no series of %d dimensions was named", dims)
		}
	}
}

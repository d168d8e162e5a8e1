package catalog_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func forge(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse(read(t, "forge-like.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func measure(t testing.TB, c *catalog.Catalog, id string) (*catalog.Measure, uint16) {
	t.Helper()
	m, i := c.Measure(id)
	if m == nil {
		t.Fatalf("no measure %s", id)
	}
	return m, uint16(i)
}

func TestEveryPossibleCellResolvesAndComesBack(t *testing.T) {
	c := forge(t)
	n := 0
	for i := range c.Measures {
		m := &c.Measures[i]
		for _, f := range m.Fields() {
			for _, g := range m.Grains() {
				var last report.Series
				for s := range c.Cells(i, f, g) {
					if n > 0 && last.Measure == s.Measure && last.Field == f && last.Grain == g && last.Compare(s) >= 0 {
						t.Fatalf("%+v does not come after %+v", s, last)
					}
					last = s
					n++
					cell := report.Cell{Series: s, Start: start(g), Form: report.Suppressed}
					if !f.IsBlob() {
						cell.Form, cell.Lo, cell.Hi = report.Exact, 2, 2
					}
					fig, err := c.Resolve(cell)
					if err != nil {
						t.Fatalf("%s %+v: %v", m.ID, cell, err)
					}
					for dim, name := range fig.Dims {
						if name == "" {
							t.Fatalf("%s %+v: %s has no name", m.ID, cell, dim)
						}
					}
					back, err := c.Cell(fig)
					if err != nil {
						t.Fatalf("%s %+v: %v", m.ID, fig, err)
					}
					if d := cmp.Diff(cell, back); d != "" {
						t.Fatalf("%s: %s", m.ID, d)
					}
				}
			}
		}
	}
	if n < 800 {
		t.Errorf("%d cells were tried, fewer than the example has", n)
	}
}

// start is some start of a window of the grain.
func start(g report.Grain) int64 {
	if g.Civil() {
		return report.CivilStart(g, 20_000)
	}
	return 20_000 * 86400
}

func code(err error) string {
	var e catalog.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

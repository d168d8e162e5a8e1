package canon_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/protocol/catalog/canon"
)

func TestRender(t *testing.T) {
	var w canon.Writer
	w.Text("id", "people")
	w.Text("absent", "")
	w.Whole("version", 3)
	w.Whole("absent", 0)
	w.Float("target", 0.995)
	w.Float("absent", 0)
	w.Texts("by", []string{"a", ""})
	w.Floats("bounds", []float64{-0.0, 1e21})
	want := "h/v1\nid 6 people\nversion 1 3\ntarget 5 0.995\nby.0 1 a\nby.1 0 \nbounds.0 1 0\nbounds.1 5 1e+21\n"
	if got := string(canon.Render("h/v1", w.Leaves)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Two definitions have one rendering only if they are the same: a value cannot pass for
// a line of its own.
func TestRenderIsUnambiguous(t *testing.T) {
	leaves := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) canon.Leaf {
		return canon.Leaf{
			Path:  rapid.StringMatching(`[a-c](\.[0-2]){0,1}`).Draw(t, "path"),
			Value: rapid.StringMatching("[a-b0-2 \n]{0,8}").Draw(t, "value"),
		}
	}), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := leaves.Draw(t, "a"), leaves.Draw(t, "b")
		if same := string(canon.Render("h", a)) == string(canon.Render("h", b)); same != slices.Equal(a, b) {
			t.Fatalf("%q and %q", a, b)
		}
	})
	forged := []canon.Leaf{{Path: "a", Value: "x\nb 1 y"}}
	honest := []canon.Leaf{{Path: "a", Value: "x"}, {Path: "b", Value: "y"}}
	if string(canon.Render("h", forged)) == string(canon.Render("h", honest)) {
		t.Error("a value passed for a line")
	}
}

func TestDifferences(t *testing.T) {
	one := func(path, v string) []canon.Leaf { return []canon.Leaf{{Path: path, Value: v}} }
	for _, c := range []struct {
		old, now []canon.Leaf
		want     string
	}{
		{one("kind", "count"), one("kind", "fact"), "kind is fact, was count"},
		{one("target", "0.9"), nil, "target is not given, was 0.9"},
		{nil, one("retention", "86400"), "is kept 1d, was forever"},
		{one("by.0.0", "a"), append(one("by.0.0", "a"), canon.Leaf{Path: "by.0.1", Value: "b"}), "is also told apart by a and b; is no longer told apart by a"},
		{one("traits.role.match", "r"), one("traits.role.match", "s"), "the client's name of the trait role is s, was r"},
		{one("where.files.min", "1"), one("where.files.min", "2"), "the least files is 2, was 1"},
		{one("metric.busy.type", "gauge"), nil, "the type of the metric busy is not given, was gauge"},
		{one("same", "x"), one("same", "x"), ""},
	} {
		if got := canon.Differences(c.old, c.now); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

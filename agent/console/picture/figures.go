package picture

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/fieldpost/fieldpost/agent/console/chart"
	m "github.com/fieldpost/fieldpost/agent/console/markup"
	"github.com/fieldpost/fieldpost/agent/console/say"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// figure is one figure as it is drawn; the zero value is unknown.
type figure struct {
	form   chart.Form
	lo, hi float64
	text   string // of a closed list, instead of a number
	why    string // it is withheld
}

func (f figure) value(tip string) chart.Value {
	return chart.Value{Form: f.form, Lo: f.lo, Hi: f.hi, Tip: tip}
}

// mostFigure bounds what is drawn: sums of larger numbers lose their units, and no site has so many of anything.
const mostFigure = 1e15

func exactly(v float64) figure { return figure{form: chart.Exact, lo: v, hi: v}.sound() }

// sound is the figure, or unknown where its ends make no sense.
func (f figure) sound() figure {
	if math.Abs(f.lo) > mostFigure || !math.IsInf(f.hi, 1) && (f.hi < f.lo || f.hi > mostFigure) || math.IsNaN(f.lo+f.hi) {
		return figure{}
	}
	return f
}

// several says that lines of the kind hold several figures, each with a form of its own.
func several(kind string) bool {
	switch catalog.Kind(kind) {
	case catalog.Lifecycle, catalog.Stickiness, catalog.Retention, catalog.Funnel, catalog.Adoption, catalog.Seats, catalog.Sufficient, catalog.Shift, catalog.Environment:
		return true
	}
	return false
}

// formed reads a form with its ends; what this version does not know counts as unknown.
func formed(form string, lo, hi *float64, why string) figure {
	f := figure{why: why}
	switch form {
	case "exact":
		f.form = chart.Exact
	case "noised":
		f.form = chart.Noised
	case "band":
		f.form = chart.Band
	case "share":
		f.form = chart.Share
	case "implied":
		f.form = chart.Implied
	case "suppressed":
		f.form = chart.Withheld
	}
	if !f.form.Told() {
		return f
	}
	if lo != nil {
		f.lo = *lo
	}
	switch {
	case hi != nil:
		f.hi = *hi
	case f.form.Range():
		f.hi = math.Inf(1)
	default:
		f.hi = f.lo
	}
	return f.sound()
}

func key(field string, dims map[string]string) string { return field + "|" + say.DimsText(dims) }

// at names a figure of a breakdown that belongs to the kind.
func at(field, dim, value string) string { return key(field, map[string]string{dim: value}) }

// bare names a figure of the total.
func bare(field string) string { return field + "|" }

// figuresOf are a line's figures by field and dims; a value that is told as it is becomes exact ones.
func figuresOf(kind string, def *catalog.Measure, l Line) map[string]figure {
	out := map[string]figure{}
	for _, f := range l.Figures {
		x := formed(f.Form, f.Lo, f.Hi, f.Why)
		if def != nil && x.form == chart.Exact {
			x.text = listed(def, f.Field, len(f.Dims), x.lo)
		}
		out[key(f.Field, f.Dims)] = x
	}
	if l.Form != "" && l.Form != "exact" {
		return out
	}
	dec := json.NewDecoder(bytes.NewReader(l.Value))
	var v map[string]any
	if dec.Decode(&v) != nil {
		return out
	}
	for name, x := range v {
		switch x := x.(type) {
		case float64:
			out[bare(field(kind, name))] = exactly(x)
		case string:
			out[bare(name)] = figure{form: chart.Exact, text: x}
		case []any:
			parted(out, kind, def, x)
		case map[string]any:
			nested(out, kind, x)
		}
	}
	return out
}

// field is the name that a value's main number has among the figures.
func field(kind, name string) string {
	switch {
	case kind == "sufficient" && name == "n":
		return "count"
	case slices.Contains([]string{"active", "size", "entered", "eligible"}, name):
		return "value"
	}
	return name
}

// parted reads a cohort's weeks and a funnel's steps.
func parted(out map[string]figure, kind string, def *catalog.Measure, xs []any) {
	for i, x := range xs {
		n, ok := x.(float64)
		switch {
		case !ok:
		case kind == "retention" && i > 0:
			out[at("value", "offset", strconv.Itoa(i))] = exactly(n)
		case kind == "funnel" && def != nil && i < len(def.Steps):
			out[at("value", "step", def.Steps[i].ID)] = exactly(n)
		}
	}
}

// nested reads the bins of L28, the bands of a funnel and the features of an adoption.
func nested(out map[string]figure, kind string, xs map[string]any) {
	dim := map[string]string{"stickiness": "days", "funnel": "band"}[kind]
	for name, x := range xs {
		switch x := x.(type) {
		case float64:
			if dim != "" {
				out[at("value", dim, name)] = exactly(x)
			}
		case map[string]any:
			for f, n := range x {
				if n, ok := n.(float64); ok {
					out[at(f, "feature", name)] = exactly(n)
				}
			}
		}
	}
}

// listed is the text a field's number stands for; "" where numbers are numbers.
func listed(def *catalog.Measure, name string, b int, v float64) string {
	for _, f := range def.FieldsOf(b) {
		if f.String() == name {
			if l := def.Listed(f, b); l != nil && v >= 0 && v < float64(len(l)) {
				return l[int(v)]
			}
		}
	}
	return ""
}

// word names a form beside its range.
func word(f chart.Form) string {
	switch f {
	case chart.Share:
		return "share"
	case chart.Implied:
		return "implied"
	case chart.Noised:
		return "with noise"
	}
	return "band"
}

// node is a figure in words.
func (f figure) node(write func(float64) string) m.Node {
	switch {
	case f.form == chart.Withheld:
		return say.Withheld(f.why)
	case f.form == chart.NotYet:
		return m.El("span", m.Class("faint"), m.Text("not closed"))
	case f.text != "":
		return m.Text(f.text)
	case f.form == chart.Exact:
		return m.Text(write(f.lo))
	case f.form == chart.Noised:
		return m.El("span", m.Class("int"), m.Text("≈ "+write(f.lo)), m.El("em", m.Text(word(f.form))))
	case f.form.Range():
		return say.Interval(f.lo, f.hi, write, word(f.form))
	}
	return m.El("span", m.Class("unknown"), m.Text("unknown"))
}

// words is a figure as plain text, for what is no markup.
func (f figure) words(write func(float64) string) string {
	switch {
	case f.form == chart.Withheld:
		if f.why != "" {
			return "withheld: " + f.why
		}
		return "withheld"
	case f.form == chart.NotYet:
		return "not closed yet"
	case f.text != "":
		return f.text
	case f.form == chart.Noised:
		return "about " + write(f.lo) + ", with noise"
	case f.form == chart.Exact:
		return write(f.lo)
	case f.form.Range():
		return say.RangeText(f.lo, f.hi, write) + " (" + word(f.form) + ")"
	}
	return "unknown"
}

// of is the share that f is of the whole, as far as both are told: interval arithmetic, never more than 1.
func (f figure) of(whole figure) (lo, hi float64, ok bool) {
	if !f.form.Told() || !whole.form.Told() || whole.hi <= 0 {
		return 0, 0, false
	}
	lo, hi = 0, 1
	if !math.IsInf(whole.hi, 1) {
		lo = min(max(f.lo/whole.hi, 0), 1)
	}
	if whole.lo > 0 && !math.IsInf(f.hi, 1) {
		hi = min(max(f.hi/whole.lo, 0), 1)
	}
	return lo, hi, true
}

// minus is the difference as far as both are told, at least 0.
func (f figure) minus(g figure) figure {
	if !f.form.Told() || !g.form.Told() || math.IsInf(g.lo, 1) {
		return figure{}
	}
	out := figure{form: chart.Implied, lo: max(f.lo-g.hi, 0), hi: max(f.hi-g.lo, 0)}
	if f.form == chart.Exact && g.form == chart.Exact {
		out.form = chart.Exact
	}
	return out
}

// shareText is that share in words; "" where too little is told.
func (f figure) shareText(whole figure) string {
	lo, hi, ok := f.of(whole)
	if !ok {
		return ""
	}
	if f.form == chart.Noised || whole.form == chart.Noised {
		return "≈ " + percent(lo, hi)
	}
	return percent(lo, hi)
}

// percent writes a share that lies between two ends in whole per cents, never more narrowly than it is.
func percent(lo, hi float64) string {
	a, b := math.Floor(lo*100+1e-9), math.Ceil(hi*100-1e-9)
	switch {
	case lo == hi:
		return say.Amount(math.Round(lo*100)) + " %"
	case a <= 0 && b >= 100:
		return "0–100 %"
	case b >= 100:
		return "≥ " + say.Amount(a) + " %"
	case a <= 0:
		return "≤ " + say.Amount(b) + " %"
	}
	if a == b {
		b++
	}
	return say.Amount(a) + "–" + say.Amount(b) + " %"
}

// reasons says once for each reason why figures are withheld, and how many.
func reasons(fs map[string]figure) m.Node {
	count := map[string]int{}
	var order []string
	for _, k := range sortedKeys(fs) {
		if f := fs[k]; f.form == chart.Withheld && f.why != "" {
			if count[f.why] == 0 {
				order = append(order, f.why)
			}
			count[f.why]++
		}
	}
	if len(order) == 0 {
		return nil
	}
	items := make([]m.Item, 0, len(order)+1)
	items = append(items, m.Class("reasons"))
	for _, w := range order {
		items = append(items, m.El("li", say.Hatched(say.Plural(count[w], "figure", "figures")+" withheld"), m.Text(" "+say.Sentence(w))))
	}
	return m.El("ul", items...)
}

func sortedKeys(fs map[string]figure) []string {
	out := make([]string, 0, len(fs))
	for k := range fs {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

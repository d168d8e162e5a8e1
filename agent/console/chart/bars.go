package chart

import (
	"math"

	m "github.com/fieldpost/fieldpost/agent/console/markup"
)

const barHeight = 14.0

// rangeClass tells the three kinds of ranges apart: a band is filled, a share lighter, what is implied only outlined.
func rangeClass(f Form) m.Attribute {
	switch f {
	case Share:
		return m.Class("band", "share")
	case Implied:
		return m.Class("band", "implied")
	}
	return m.Class("band")
}

func edgeClass(f Form) m.Attribute {
	switch f {
	case Share:
		return m.Class("bandedge", "share")
	case Implied:
		return m.Class("bandedge", "implied")
	}
	return m.Class("bandedge")
}

// Tone is the fill of the k-th part of a stack.
func Tone(k int) m.Attribute {
	switch k {
	case 0:
		return m.Class("t0")
	case 1:
		return m.Class("t1")
	case 2:
		return m.Class("t2")
	case 3:
		return m.Class("t3")
	case 4:
		return m.Class("t4")
	}
	return m.Class("t5")
}

// Most is the end of a scale that has room for all figures; an open top gets a quarter more than what is known of it.
func Most(vs ...Value) float64 {
	most := 0.0
	for _, v := range vs {
		switch {
		case !v.Form.Told():
		case math.IsInf(v.Hi, 1):
			most = max(most, v.Lo*1.25)
		default:
			most = max(most, v.Hi)
		}
	}
	if most <= 0 || math.IsInf(most, 1) || math.IsNaN(most) {
		return 1
	}
	return most
}

// Bar is one figure as a bar on a scale from 0 to most: solid as far as it reaches for sure, then its range with
// a whisker. An open top has no end. The words beside it are the caller's.
func Bar(v Value, most float64) m.Node {
	at := func(x float64) float64 { return 100 * min(max(x/most, 0), 1) }
	items := []m.Item{m.Class("meter"), m.Attr("aria-hidden", "true"), m.Attr("focusable", "false"), m.Attr("width", "100%"), m.Num("height", barHeight)}
	block := func(class m.Attribute, from, to float64) {
		items = append(items, m.El("rect", class, m.Percent("x", from), m.Percent("width", max(to-from, 0)), m.Num("y", 1), m.Num("height", barHeight-2)))
	}
	switch {
	case v.Form == Withheld:
		items = append(items, m.El("rect", m.Attr("fill", "url(#hatch)"), m.Num("x", 0), m.Attr("width", "100%"), m.Num("y", 1), m.Num("height", barHeight-2)))
	case v.Form == Unknown:
		block(m.Class("gap"), 0, 100)
	case v.Form == NotYet:
	case v.Form == Exact:
		block(m.Class("t0"), 0, at(v.Lo))
	case v.Form == Noised:
		block(m.Class("noisy"), 0, at(v.Lo))
	default:
		lo, hi := at(v.Lo), at(v.Hi)
		if math.IsInf(v.Hi, 1) {
			hi = 100
		}
		block(m.Class("t0"), 0, lo)
		block(rangeClass(v.Form), lo, hi)
		items = append(items, m.El("line", m.Class("whisker"), m.Percent("x1", lo), m.Percent("x2", hi), m.Num("y1", barHeight/2), m.Num("y2", barHeight/2)))
		ends := []float64{lo}
		if !math.IsInf(v.Hi, 1) {
			ends = append(ends, hi)
		}
		for _, x := range ends {
			items = append(items, m.El("line", m.Class("whisker"), m.Percent("x1", x), m.Percent("x2", x), m.Num("y1", 3), m.Num("y2", barHeight-3)))
		}
	}
	return m.El("svg", items...)
}

// Stack is figures side by side, each as wide as the middle of its range. What is withheld is hatched and takes an
// equal part of what the others leave of the whole.
func Stack(label string, vs []Value, whole Value) m.Node {
	sum, hidden := 0.0, 0
	for _, v := range vs {
		switch {
		case v.Form.Told():
			sum += middle(v)
		case v.Form == Withheld:
			hidden++
		}
	}
	all := sum
	if whole.Form.Told() {
		all = max(all, middle(whole))
	}
	if hidden > 0 && all <= sum {
		all = sum * 1.25
	}
	if all <= 0 {
		all = 1
	}
	rest := all - sum
	items := []m.Item{m.Class("meter", "stacked"), m.Attr("role", "img"), m.Attr("aria-label", label), m.Attr("width", "100%"), m.Num("height", 20)}
	x := 0.0
	for k, v := range vs {
		w, fill := 0.0, Tone(k)
		switch {
		case v.Form.Told():
			w = 100 * middle(v) / all
		case v.Form == Withheld:
			w, fill = 100*rest/all/float64(hidden), m.Attr("fill", "url(#hatch)")
		}
		if w > 0 {
			items = append(items, m.El("rect", fill, m.Percent("x", x), m.Percent("width", w), m.Num("y", 0), m.Num("height", 20), m.When(v.Tip != "", m.El("title", m.Text(v.Tip)))))
			x += w
			items = append(items, m.El("line", m.Class("cut"), m.Percent("x1", x), m.Percent("x2", x), m.Num("y1", 0), m.Num("y2", 20)))
		}
	}
	return m.El("svg", items...)
}

// middle of a range; of an open one where it begins.
func middle(v Value) float64 {
	if math.IsInf(v.Hi, 1) {
		return v.Lo
	}
	return (v.Lo + v.Hi) / 2
}

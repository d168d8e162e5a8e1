package say

import (
	"strconv"

	m "github.com/fieldpost/fieldpost/agent/console/markup"
)

// State is a condition: colour, shape and word.
func State(kind string, word string) m.Node {
	class := m.Class("st", "unknown")
	switch kind {
	case "good":
		class = m.Class("st", "good")
	case "warn":
		class = m.Class("st", "warn")
	case "bad":
		class = m.Class("st", "bad")
	}
	return m.El("span", class, m.El("i", m.Attr("aria-hidden", "true")), m.El("span", m.Text(word)))
}

func OrNothing(n m.Node) m.Node {
	if n == nil {
		return m.Group()
	}
	return n
}

func Current(is bool) m.Attribute {
	if !is {
		return m.Attribute{}
	}
	return m.Attr("aria-current", "page")
}

// Card is a part of a page.
func Card(title string, side m.Node, body ...m.Node) m.Node {
	return m.El("section", m.Class("card"), m.El("header", m.El("h2", m.Text(title)), OrNothing(side)), m.Group(body...))
}

// Pages links to the other pages of a long list.
func Pages(at m.URL, key string, page, size, all int) m.Node {
	last := (all + size - 1) / size
	if last <= 1 {
		return m.Group()
	}
	page = min(max(page, 1), last)
	to := func(n int, word string, there bool) m.Node {
		if !there {
			return m.El("span", m.Class("faint"), m.Text(word))
		}
		u := at
		if key == "p" {
			u = u.With("p", strconv.Itoa(n))
		} else {
			u = u.With("s", strconv.Itoa(n))
		}
		return m.El("a", m.Href(u), m.Text(word))
	}
	return m.El("p", m.Class("pages"),
		to(page-1, "← Newer", page > 1),
		m.El("span", m.Textf("%–% of %", Whole(uint64((page-1)*size+1)), Whole(uint64(min(page*size, all))), Whole(uint64(all)))),
		to(page+1, "Older →", page < last))
}

// Cut is the part of n items that is on a page, as indexes.
func Cut(page, size, n int) (from, to int) {
	from = min((page-1)*size, n)
	return from, min(from+size, n)
}

func Letter() m.Node {
	return m.El("svg", m.Class("mark"), m.Attr("viewBox", "0 0 16 16"), m.Num("width", 16), m.Num("height", 16), m.Attr("aria-hidden", "true"), m.Attr("focusable", "false"),
		m.El("path", m.Attr("d", "M1 3h14v10H1z M1 3l7 6 7-6")))
}

func Fact(name string, value m.Node, detail m.Node) m.Node {
	return m.El("div", m.Class("fact"), m.El("span", m.Class("k"), m.Text(name)), m.El("span", m.Class("v"), value), m.El("div", m.Class("d"), OrNothing(detail)))
}

func Pair(name string, value m.Node) m.Node {
	return m.El("div", m.El("dt", m.Text(name)), m.El("dd", value))
}

package chart

import (
	m "github.com/fieldpost/fieldpost/agent/console/markup"
)

// Legend says what the marks of a chart mean; only those it has.
func Legend(words []string) m.Node {
	if len(words) == 0 {
		return m.Group()
	}
	items := []m.Item{m.Class("legend")}
	for _, w := range words {
		class, text := m.Class("k-exact"), "exact"
		switch w {
		case "band":
			class, text = m.Class("k-band"), "band: the figure lies in it"
		case "share":
			class, text = m.Class("k-band", "k-share"), "share: low, middle or high"
		case "implied":
			class, text = m.Class("k-band", "k-implied"), "implied: follows from other answers"
		case "with noise":
			class, text = m.Class("k-noised"), "with noise, drawn once"
		case "closing":
			class, text = m.Class("k-open"), "empty: not closed yet"
		case "whisker":
			class, text = m.Class("k-whisker"), "where it may end; the height is the middle"
		case "open":
			class, text = m.Class("k-open"), "no end: the top is open"
		case "part retained":
			class, text = m.Class("t0"), "retained"
		case "part resurrected":
			class, text = m.Class("t1"), "resurrected"
		case "part new":
			class, text = m.Class("t2"), "new"
		case "part dormant":
			class, text = m.Class("t5"), "dormant"
		case "shades":
			class, text = m.Class("k-shades"), "darker: a larger share, by the middle of its range"
		case "bucket":
			class, text = m.Class("k-band"), "the 95th percentile lies in it"
		case "withheld":
			class, text = m.Class("k-supp"), "withheld"
		case "unknown":
			class, text = m.Class("k-gap"), "not observed"
		case "range":
			class, text = m.Class("k-range"), "lowest to highest"
		case "target":
			class, text = m.Class("k-target"), "target"
		case "up":
			class, text = m.Class("k-up"), "up"
		case "down":
			class, text = m.Class("k-down"), "down"
		case "maintenance":
			class, text = m.Class("k-maint"), "maintenance"
		}
		items = append(items, m.El("span", m.El("i", class, m.Attr("aria-hidden", "true")), m.Text(text)))
	}
	return m.El("p", items...)
}

// Shade is the colour of a share, in six steps, with the mark of its form.
func Shade(v float64, form Form) m.Attribute {
	step := min(int(v*6), 5)
	if form != Share && form != Implied {
		switch step {
		case 0:
			return m.Class("cell", "s0")
		case 1:
			return m.Class("cell", "s1")
		case 2:
			return m.Class("cell", "s2")
		case 3:
			return m.Class("cell", "s3")
		case 4:
			return m.Class("cell", "s4")
		}
		return m.Class("cell", "s5")
	}
	switch {
	case form == Share && step < 2:
		return m.Class("cell", "s1", "of-share")
	case form == Share && step < 4:
		return m.Class("cell", "s3", "of-share")
	case form == Share:
		return m.Class("cell", "s5", "of-share")
	case step < 2:
		return m.Class("cell", "s1", "of-implied")
	case step < 4:
		return m.Class("cell", "s3", "of-implied")
	}
	return m.Class("cell", "s5", "of-implied")
}

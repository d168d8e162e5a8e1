// Package canon is the canonical form of a definition: an ordered list of leaves, each a
// path and a value, rendered unambiguously so that two readers of one catalog hash the
// same bytes; and the differences of two such lists in words.
//
// It keeps no state on disk.
package canon

import "strconv"

// Leaf is one line of the canonical form.
type Leaf struct{ Path, Value string }

// Writer collects leaves. The zero value is ready.
type Writer struct{ Leaves []Leaf }

// Line writes a leaf, empty or not.
func (w *Writer) Line(path, v string) { w.Leaves = append(w.Leaves, Leaf{path, v}) }

// Text writes a text that is not empty.
func (w *Writer) Text(path, v string) {
	if v != "" {
		w.Line(path, v)
	}
}

// Whole writes a whole number that is not 0.
func (w *Writer) Whole(path string, v int64) {
	if v != 0 {
		w.Line(path, strconv.FormatInt(v, 10))
	}
}

// Decimal is the shortest decimal that reads back as the same number.
func Decimal(f float64) string {
	if f == 0 {
		return "0" // also for -0
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// Float writes a number that is not 0.
func (w *Writer) Float(path string, v float64) {
	if v != 0 {
		w.Line(path, Decimal(v))
	}
}

// Texts writes a list, numbered from 0.
func (w *Writer) Texts(path string, vs []string) {
	for i, v := range vs {
		w.Line(path+"."+strconv.Itoa(i), v)
	}
}

// Floats writes a list of numbers, numbered from 0.
func (w *Writer) Floats(path string, vs []float64) {
	for i, v := range vs {
		w.Line(path+"."+strconv.Itoa(i), Decimal(v))
	}
}

// Render writes the header and one line per leaf: its path, a space, the length of its value
// in bytes, a space, the value, a line feed.
func Render(header string, leaves []Leaf) []byte {
	b := append([]byte(header), '\n')
	for _, l := range leaves {
		b = append(append(b, l.Path...), ' ')
		b = append(strconv.AppendInt(b, int64(len(l.Value)), 10), ' ')
		b = append(append(b, l.Value...), '\n')
	}
	return b
}

package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// text reads the text formats. Comments and blank lines are let pass in both; what is no sample
// refuses the page.
type text struct {
	p      *page
	open   bool // OpenMetrics
	family []byte
	kind   kind
	ended  bool
	labels []label
}

func (t *text) read(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("the page is not UTF-8")
	}
	for no := 1; len(b) > 0; no++ {
		one := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			one, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		one = bytes.Trim(one, " \t\r")
		if len(one) == 0 {
			continue
		}
		if t.ended {
			return fmt.Errorf("line %d stands behind # EOF", no)
		}
		var err error
		if one[0] == '#' {
			t.comment(one[1:])
		} else {
			err = t.sample(one)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", no, err)
		}
	}
	if t.open && !t.ended {
		return errors.New("the page ends without # EOF")
	}
	return nil
}

// comment looks for TYPE and EOF.
func (t *text) comment(b []byte) {
	word, rest := token(b)
	switch string(word) {
	case "EOF":
		t.ended = t.open
	case "TYPE":
		rest = bytes.TrimLeft(rest, " \t")
		name, rest, err := name(rest)
		if err != nil {
			return
		}
		word, _ = token(rest)
		t.family, t.kind = name, kindOf(word)
	}
}

func kindOf(b []byte) kind {
	switch string(b) {
	case "counter":
		return counter
	case "gauge":
		return gauge
	case "summary":
		return summary
	case "histogram":
		return histogram
	case "gaugehistogram":
		return gaugeHistogram
	case "info":
		return info
	case "stateset":
		return stateSet
	}
	return untyped
}

// token is the next word.
func token(b []byte) (word, rest []byte) {
	b = bytes.TrimLeft(b, " \t")
	if i := bytes.IndexAny(b, " \t"); i >= 0 {
		return b[:i], b[i:]
	}
	return b, nil
}

var errName = errors.New("no name of a metric where one should stand")

// name reads a name, plain or in quotes.
func name(b []byte) (name, rest []byte, err error) {
	if len(b) > 0 && b[0] == '"' {
		return quoted(b)
	}
	i := 0
	for i < len(b) && (b[i] == '_' || b[i] == ':' || b[i] >= 'a' && b[i] <= 'z' || b[i] >= 'A' && b[i] <= 'Z' || i > 0 && b[i] >= '0' && b[i] <= '9') {
		i++
	}
	if i == 0 {
		return nil, nil, errName
	}
	return b[:i], b[i:], nil
}

// quoted reads a text in quotes.
func quoted(b []byte) (value, rest []byte, err error) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, errors.New("a value that is not in quotes")
	}
	b = b[1:]
	end := bytes.IndexAny(b, `"\`)
	if end >= 0 && b[end] == '"' {
		return b[:end], b[end+1:], nil
	}
	var out []byte
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '"':
			return out, b[i+1:], nil
		case b[i] != '\\' || i+1 == len(b):
			out = append(out, b[i])
			continue
		}
		switch i++; b[i] {
		case 'n':
			out = append(out, '\n')
		case '\\', '"':
			out = append(out, b[i])
		default:
			out = append(out, '\\', b[i])
		}
	}
	return nil, nil, errors.New("a text whose quotes do not end")
}

// sample reads a line with a value.
func (t *text) sample(b []byte) (err error) {
	var r reading
	t.labels = t.labels[:0]
	if b[0] != '{' {
		if r.name, b, err = name(b); err != nil {
			return err
		}
		b = bytes.TrimLeft(b, " \t")
	}
	if len(b) > 0 && b[0] == '{' {
		if b, err = t.braces(b[1:], &r); err != nil {
			return err
		}
	}
	if len(r.name) == 0 {
		return errName
	}
	word, b := token(b)
	if r.value, err = number(word); err != nil {
		return err
	}
	if word, b = token(b); len(word) > 0 && word[0] != '#' {
		if r.at, err = t.time(word); err != nil {
			return err
		}
		word, b = token(b)
	}
	if len(word) > 0 && (!t.open || word[0] != '#') { // an exemplar is not read
		return errors.New("more than a value and a time")
	}
	r.labels = t.labels
	if err := t.classify(&r); err != nil {
		return err
	}
	return t.p.add(&r)
}

// braces reads labels, and a name where it stands among them.
func (t *text) braces(b []byte, r *reading) (rest []byte, err error) {
	for first := true; ; first = false {
		if b = bytes.TrimLeft(b, " \t"); len(b) == 0 {
			return nil, errors.New("labels that do not end")
		}
		if b[0] == '}' {
			return b[1:], nil
		}
		var l label
		named := b[0] == '"'
		if l.name, b, err = name(b); err != nil {
			return nil, err
		}
		b = bytes.TrimLeft(b, " \t")
		if len(b) > 0 && b[0] == '=' {
			if l.value, b, err = quoted(bytes.TrimLeft(b[1:], " \t")); err != nil {
				return nil, err
			}
			if err := t.label(l); err != nil {
				return nil, err
			}
		} else if first && named && len(r.name) == 0 {
			r.name = l.name
		} else {
			return nil, errors.New("a label without a value")
		}
		b = bytes.TrimLeft(b, " \t")
		switch {
		case len(b) > 0 && b[0] == ',':
			b = b[1:]
		case len(b) == 0 || b[0] != '}':
			return nil, errors.New("labels that do not end")
		}
	}
}

// label keeps a label, up to one more than is allowed.
func (t *text) label(l label) error {
	for i := range t.labels {
		if bytes.Equal(t.labels[i].name, l.name) {
			return errors.New("a label that stands there twice")
		}
	}
	if len(t.labels) <= maxLabels {
		t.labels = append(t.labels, l)
	}
	return nil
}

func number(b []byte) (float64, error) {
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || bytes.ContainsAny(b, "xXpP_") {
		return 0, errors.New("no number where a value should stand")
	}
	return v, nil
}

var errTime = errors.New("no time where one should stand")

// time reads a timestamp: seconds with decimals in OpenMetrics, milliseconds elsewhere.
func (t *text) time(b []byte) (int64, error) {
	if t.open {
		v, err := number(b)
		if err != nil || !(math.Abs(v) < float64(math.MaxInt64)/1e9) {
			return 0, errTime
		}
		return int64(math.Round(v*1e3)) * int64(time.Millisecond), nil
	}
	ms, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || ms > farthest || ms < -farthest {
		return 0, errTime
	}
	return ms * 1e6, nil
}

// classify says what a line is of the family it stands in.
func (t *text) classify(r *reading) error {
	suffix, ok := bytes.CutPrefix(r.name, t.family)
	if !ok || len(t.family) == 0 {
		return nil // of no family: untyped
	}
	hist := t.kind == histogram || t.kind == gaugeHistogram
	switch s := string(suffix); {
	case s == "":
		if r.kind = t.kind; hist || t.kind == summary {
			r.part = aside // a quantile
		}
		return nil
	case s == "_bucket" && hist:
		r.part = bucket
		if err := t.bound(r); err != nil {
			return err
		}
	case (s == "_count" || s == "_gcount") && hist, s == "_count" && t.kind == summary:
		r.part = count
	case (s == "_sum" || s == "_gsum") && hist, s == "_sum" && t.kind == summary:
		r.part = sum
	case s == "_created" && t.open && (t.kind == counter || t.kind == histogram || t.kind == summary):
		r.part = created
	case s == "_total" && t.open && t.kind == counter, s == "_info" && t.open && t.kind == info:
		r.kind = t.kind
		return nil
	default:
		return nil
	}
	r.kind, r.name = t.kind, t.family
	return nil
}

// bound takes le out of the labels.
func (t *text) bound(r *reading) (err error) {
	for i, l := range r.labels {
		if string(l.name) == "le" {
			if r.upper, err = number(l.value); err != nil {
				return err
			}
			r.labels = append(r.labels[:i], r.labels[i+1:]...)
			return nil
		}
	}
	return errors.New("a bucket without le")
}

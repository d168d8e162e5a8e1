package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/agent/control"
)

// view is one answer in every form it can be printed in.
type view struct {
	data   any      // json and yaml
	lines  []any    // when given: json prints one object a line instead of data
	header []string // table and csv
	rows   [][]string
	human  func(io.Writer) // default: the table
}

func (a *app) print(v view) error {
	switch a.output {
	case "json":
		return a.printJSON(v)
	case "yaml":
		data := v.data
		if v.lines != nil {
			data = v.lines
		}
		return a.printYAML(data)
	case "csv":
		w := csv.NewWriter(a.Stdout)
		w.Write(v.header)
		for _, row := range v.rows {
			w.Write(safeCells(row))
		}
		w.Flush()
		return w.Error()
	case "table":
		return a.printTable(v)
	case "human":
		if v.human == nil {
			return a.printTable(v)
		}
		v.human(a.Stdout)
		return nil
	}
	return &control.Error{Code: "usage", Message: fmt.Sprintf("there is no output form %q", a.output), Hint: "-o human, json, yaml, table or csv", Exit: 2}
}

func (a *app) printJSON(v view) error {
	if v.lines == nil {
		e := json.NewEncoder(a.Stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(v.data)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, l := range v.lines {
		if raw, ok := l.(json.RawMessage); ok { // already in its fixed form
			b.Write(raw)
			b.WriteByte('\n')
			continue
		}
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	_, err := a.Stdout.Write(b.Bytes())
	return err
}

// printYAML goes through JSON, so that both forms have the same names and order of keys.
func (a *app) printYAML(data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil { // JSON is YAML
		return err
	}
	plainStyle(&n)
	e := yaml.NewEncoder(a.Stdout)
	e.SetIndent(2)
	defer e.Close()
	return e.Encode(&n)
}

func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plainStyle(c)
	}
}

func (a *app) printTable(v view) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.Join(v.header, "\t")))
	for _, row := range v.rows {
		out := make([]string, len(row))
		for i, c := range row {
			out[i] = clean(c)
		}
		fmt.Fprintln(w, strings.Join(out, "\t"))
	}
	return w.Flush()
}

// safeCells keeps spreadsheets from taking a cell for a formula (OWASP, CSV injection).
func safeCells(row []string) []string {
	out := make([]string, len(row))
	for i, c := range row {
		if c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) && !isNumber(c) {
			c = "'" + c
		}
		out[i] = c
	}
	return out
}

func isNumber(s string) bool {
	var n json.Number
	return json.Unmarshal([]byte(s), &n) == nil
}

// scalar prints a JSON value in a cell: words without quotes, everything else as JSON.
func scalar(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

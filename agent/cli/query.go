package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/control"
)

// maxQuestions bounds a file of questions; 1 MiB holds some 8,000.
const maxQuestions = 1 << 20

func (a *app) queryCmd() *cobra.Command {
	var q control.Query
	var by, file string
	c := &cobra.Command{Use: "query", Short: "The site's own figures", Args: args(cobra.NoArgs),
		Long: `The site's own figures. They obey the forms of what may leave, so that this is no monitor of
people; --exact shows the exact ones where the site allows it (local_exact), and each use is
recorded in the ledger.

With --file many questions are answered at once, in their order; the file has one a line:
  {"measure":"people","grain":"week","by":["role"],"from":"2026-01-01"}`,
		Example: "  fieldpost-agent query --measure people --grain week --from 2026-01-01\n  fieldpost-agent query --measure changes --grain month --by area -o csv\n  fieldpost-agent query --file questions.jsonl -o json > figures.jsonl",
		RunE: func(c *cobra.Command, _ []string) error {
			if by != "" {
				q.By = strings.Split(by, ",")
			}
			if file == "" && (q.Measure == "" || q.Grain == "") {
				return &control.Error{Code: "usage", Message: "a question names its measure and its grain", Hint: "query --measure ID --grain week; fieldpost-agent catalog lists the measures", Exit: 2}
			}
			questions := []control.Query{q}
			if file != "" {
				var err error
				if questions, err = a.questions(file, q); err != nil {
					return err
				}
			}
			return a.answer(c, questions)
		}}
	f := c.Flags()
	f.StringVar(&q.Measure, "measure", "", "id of the measure")
	f.StringVar(&q.Grain, "grain", "", "5m, hour, day, week, month, rolling28, 4w or 12w")
	f.StringVar(&by, "by", "", "a dimension, or two with a comma for their cross")
	f.StringVar(&q.From, "from", "", "first start, inclusive (2026-01-31)")
	f.StringVar(&q.To, "to", "", "last start, inclusive")
	f.BoolVar(&q.Exact, "exact", false, "exact figures, where the site allows it; recorded")
	f.StringVar(&file, "file", "", "file with one question a line, as JSON; - is standard input")
	return c
}

// answer prints the lines of all questions, in their order.
func (a *app) answer(c *cobra.Command, questions []control.Query) error {
	site, done, err := a.open(c)
	if err != nil {
		return err
	}
	defer done()
	v := view{header: []string{"measure", "grain", "start", "dims", "value", "closed"}, lines: []any{}}
	for i, q := range questions {
		lines, err := site.Query(c.Context(), q)
		if err != nil {
			return ofQuestion(err, i, len(questions))
		}
		for _, l := range lines {
			row, err := figureRow(l)
			if err != nil {
				return err
			}
			v.lines, v.rows = append(v.lines, l), append(v.rows, row)
		}
	}
	if len(v.lines) == 0 && a.output == "human" {
		fmt.Fprintln(a.Stderr, "no windows of that measure and grain in that time")
		return nil
	}
	return a.print(v)
}

// ofQuestion says which of several questions was refused.
func ofQuestion(err error, i, of int) error {
	var e *control.Error
	if of == 1 || !errors.As(err, &e) {
		return err
	}
	numbered := *e
	numbered.Message = fmt.Sprintf("question %d of %d: %s", i+1, of, e.Message)
	return &numbered
}

// figureRow is a line of figures as a row of a table.
func figureRow(l json.RawMessage) ([]string, error) {
	var f struct {
		Measure, Grain, Start string
		Dims, Value           json.RawMessage
		Closed                bool
		Form                  string
		Lo, Hi                *float64
	}
	if err := json.Unmarshal(l, &f); err != nil {
		return nil, fmt.Errorf("reading a line of figures: %w", err)
	}
	value := scalar(f.Value)
	switch {
	case f.Form != "" && f.Lo != nil && f.Hi != nil:
		value = fmt.Sprintf("%v–%v", *f.Lo, *f.Hi)
	case f.Form != "" && f.Lo != nil:
		value = fmt.Sprintf("≥ %v", *f.Lo)
	case f.Form != "":
		value = "withheld"
	}
	return []string{f.Measure, f.Grain, f.Start, dims(f.Dims), value, fmt.Sprint(f.Closed)}, nil
}

// questions reads a file of them. What a question leaves out of its time is what the flags say, and --exact
// is said of all.
func (a *app) questions(file string, flags control.Query) (out []control.Query, err error) {
	unreadable := func(what string) error {
		return &control.Error{Code: "questions_unreadable", Message: "the questions cannot be read: " + what, Hint: `one a line: {"measure":"ID","grain":"week","by":["DIM"]}`, Exit: 2}
	}
	if flags.Measure != "" || flags.Grain != "" || len(flags.By) > 0 {
		return nil, &control.Error{Code: "usage", Message: "with --file each question names its measure, grain and dimensions", Hint: "leave out --measure, --grain and --by", Exit: 2}
	}
	b, err := a.readFile(file, maxQuestions)
	if err != nil {
		return nil, unreadable(err.Error())
	}
	number := 0
	for line := range bytes.Lines(b) {
		if number++; len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		q := control.Query{From: flags.From, To: flags.To}
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&q); err != nil {
			return nil, unreadable(fmt.Sprintf("line %d: %s", number, strings.TrimPrefix(err.Error(), "json: ")))
		}
		if d.More() {
			return nil, unreadable(fmt.Sprintf("line %d: more than one question", number))
		}
		q.Exact = q.Exact || flags.Exact
		out = append(out, q)
	}
	if len(out) == 0 {
		return nil, unreadable("there is none")
	}
	return out, nil
}

// readFile reads a small file, or standard input for -. A mark that Windows puts in front is left out.
func (a *app) readFile(file string, most int64) ([]byte, error) {
	in := a.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, errors.Unwrap(err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("more than %d MiB", most>>20)
	}
	return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), nil
}

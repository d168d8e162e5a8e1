package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Env is what a row may use.
type Env struct {
	Root  string // of the module
	Dir   string // on the disk that is measured; rows clean up after themselves
	Count int    // repetitions, of which the median counts

	printed map[goBench]string // what Go benchmarks printed that several rows look at; may be nil
}

// Row is one line of the table. At most one of AtLeast and AtMost is set. A
// target is printed beside the figure; it never fails the run.
type Row struct {
	Name    string
	Unit    string
	AtLeast float64
	AtMost  float64
	Run     func(context.Context, Env) (Result, error)
}

// Result is what a row measured, in the row's unit.
type Result struct {
	Figure float64
	Note   string // e.g. the benchmark's own other metrics
}

func bench(ctx context.Context, root string, args []string, stdout, stderr io.Writer) int {
	set := flag.NewFlagSet("dev bench", flag.ContinueOnError)
	set.SetOutput(stderr)
	dir := set.String("dir", "", "folder on the disk to measure (default: a new one in the system's temporary folder)")
	only := set.String("only", "", "run the rows whose name matches this regular expression")
	count := set.Int("count", 3, "repetitions of each row; the median counts")
	list := set.Bool("list", false, "print the rows' names and targets, run nothing")
	if err := set.Parse(args); err != nil {
		return 2
	}
	pattern, err := regexp.Compile(*only)
	if err != nil || *count < 1 || set.NArg() > 0 {
		fmt.Fprintln(stderr, "bench: -only is a regular expression, -count at least 1, and nothing follows the flags")
		return 2
	}
	chosen := slices.DeleteFunc(rows(), func(r Row) bool { return !pattern.MatchString(r.Name) })
	if *list {
		table(stdout, chosen, nil)
		return 0
	}
	work, err := os.MkdirTemp(*dir, "dev-bench-")
	if err != nil {
		fmt.Fprintln(stderr, "bench: making a folder to work in:", err)
		return 1
	}
	defer os.RemoveAll(work)
	return measure(ctx, Env{Root: root, Dir: work, Count: *count, printed: map[goBench]string{}}, chosen, stdout, stderr)
}

func measure(ctx context.Context, env Env, chosen []Row, stdout, stderr io.Writer) int {
	fmt.Fprintln(stdout, "machine:", machine())
	rate, err := syncRate(ctx, env.Dir, 2*time.Second)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	fmt.Fprintln(stdout, "disk:   ", rate)
	fmt.Fprintln(stdout)
	code := 0
	results := make([]outcome, len(chosen))
	for i, r := range chosen {
		fmt.Fprintf(stderr, "%d/%d %s …\n", i+1, len(chosen), r.Name)
		results[i].Result, results[i].err = r.Run(ctx, env)
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "bench: stopped")
			chosen, results, code = chosen[:i], results[:i], 1 // what was measured is not lost
			break
		}
		if results[i].err != nil {
			code = 1
			continue
		}
		fmt.Fprintf(stderr, "    %s %s\n", number(results[i].Figure), r.Unit)
	}
	table(stdout, chosen, results)
	for i, o := range results {
		if o.err != nil {
			fmt.Fprintf(stderr, "\n%s: %v\n", chosen[i].Name, o.err)
		}
	}
	return code
}

type outcome struct {
	Result
	err error
}

// table prints the rows; without results only their targets.
func table(w io.Writer, chosen []Row, results []outcome) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\ttarget\tfigure\tunit\treached\tnote")
	for i, r := range chosen {
		figure, reached, note := "", "", ""
		switch {
		case results == nil:
		case results[i].err != nil:
			figure, reached, note = "-", "no figure", "see below"
		default:
			figure, note = number(results[i].Figure), results[i].Note
			reached = r.reached(results[i].Figure)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.target(), figure, r.Unit, reached, note)
	}
	t.Flush()
}

func (r Row) target() string {
	switch {
	case r.AtMost > 0:
		return "≤ " + number(r.AtMost)
	case r.AtLeast > 0:
		return "≥ " + number(r.AtLeast)
	}
	return "-"
}

func (r Row) reached(figure float64) string {
	switch {
	case r.AtMost == 0 && r.AtLeast == 0:
		return "-"
	case r.AtMost > 0 && figure > r.AtMost, figure < r.AtLeast:
		return "no"
	}
	return "yes"
}

// number prints three significant digits and thousands separators.
func number(f float64) string {
	if f < 1000 {
		return strconv.FormatFloat(f, 'g', 3, 64)
	}
	digits := strconv.FormatFloat(f, 'f', 0, 64)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

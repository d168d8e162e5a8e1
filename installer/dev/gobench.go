package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// goBench is one Go benchmark, e.g. {"./agent/journal", "BenchmarkAppend/batch=100", ""}. The
// benchmark's state goes into Env.Dir by TMPDIR, so that it meets the disk that is measured.
type goBench struct {
	pkg, name string
	time      string // as -benchtime; default 2s
}

// metric returns a row's Run that takes one metric of the benchmark: the median of Env.Count runs is
// the figure, the range and the medians of the metrics in also are the note. Rows of one
// benchmark share its runs.
func (g goBench) metric(name string, also ...string) func(context.Context, Env) (Result, error) {
	return func(ctx context.Context, env Env) (Result, error) {
		text, err := g.run(ctx, env)
		if err != nil {
			return Result{}, err
		}
		values := metrics(text, name)
		if len(values) == 0 {
			return Result{}, fmt.Errorf("reading %s of %s in %s: no such benchmark or metric in\n%s", name, g.name, g.pkg, text)
		}
		note := fmt.Sprintf("%s … %s in %d runs", number(values[0]), number(values[len(values)-1]), len(values))
		for _, other := range also {
			if v := metrics(text, other); len(v) > 0 {
				note += fmt.Sprintf("; %s %s", number(v[len(v)/2]), other)
			}
		}
		return Result{Figure: values[len(values)/2], Note: note}, nil
	}
}

// run runs the benchmark, unless env remembers what it printed.
func (g goBench) run(ctx context.Context, env Env) (string, error) {
	if text, ok := env.printed[g]; ok {
		return text, nil
	}
	parts := strings.Split(g.name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	span := g.time
	if span == "" {
		span = "2s"
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", strings.Join(parts, "/"),
		"-benchtime", span, "-count", strconv.Itoa(env.Count), "-timeout", "2h", g.pkg)
	cmd.Dir = env.Root
	cmd.Env = append(os.Environ(), "TMPDIR="+env.Dir)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("running %s of %s: %w\n%s", g.name, g.pkg, err, text)
	}
	if env.printed != nil {
		env.printed[g] = string(text)
	}
	return string(text), nil
}

// metrics returns the values of one metric in go test's output, in ascending order, whose lines are
// "BenchmarkX-2  100  123 ns/op  456 events/s".
func metrics(text, metric string) []float64 {
	var values []float64
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if fields[i+1] != metric {
				continue
			}
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				values = append(values, v)
			}
		}
	}
	slices.Sort(values)
	return values
}

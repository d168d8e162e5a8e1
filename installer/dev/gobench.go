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

// goBench returns a row's Run that takes one metric of one Go benchmark, e.g.
// goBench("./agent/journal", "BenchmarkAppend/batch=100", "events/s"). The
// benchmark's state goes into Env.Dir by TMPDIR, so that it meets the disk that
// is measured. The median of Env.Count runs is the figure, the range the note.
func goBench(pkg, name, metric string) func(context.Context, Env) (Result, error) {
	return func(ctx context.Context, env Env) (Result, error) {
		parts := strings.Split(name, "/")
		for i, p := range parts {
			parts[i] = "^" + regexp.QuoteMeta(p) + "$"
		}
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", strings.Join(parts, "/"),
			"-benchtime", "2s", "-count", strconv.Itoa(env.Count), pkg)
		cmd.Dir = env.Root
		cmd.Env = append(os.Environ(), "TMPDIR="+env.Dir)
		text, err := cmd.CombinedOutput()
		if err != nil {
			return Result{}, fmt.Errorf("running %s of %s: %w\n%s", name, pkg, err, text)
		}
		values := metrics(string(text), metric)
		if len(values) == 0 {
			return Result{}, fmt.Errorf("reading %s of %s in %s: no such benchmark or metric in\n%s", metric, name, pkg, text)
		}
		slices.Sort(values)
		return Result{
			Figure: values[len(values)/2],
			Note:   fmt.Sprintf("%s … %s in %d runs", number(values[0]), number(values[len(values)-1]), len(values)),
		}, nil
	}
}

// metrics returns the values of one metric in go test's output, whose lines are
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
	return values
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// rows are DELIVERY's table in first form. A new row is five lines: its name,
// unit, target and a Run, mostly a goBench.
func rows() []Row {
	return []Row{
		{
			Name: "durable append, batches of 100", Unit: "records/s", AtLeast: 100_000,
			Run: durableAppend(100),
		},
		{
			Name: "durable append, batches of 10", Unit: "records/s", AtLeast: 40_000,
			Run: durableAppend(10),
		},
		{
			Name: "agent program, linux/amd64, stripped", Unit: "bytes", AtMost: 15_000_000,
			Run: stripped("./installer/cmd/fieldpost-agent"),
		},
	}
}

// stripped returns a Run that builds a program as it is shipped and takes its size.
func stripped(pkg string) func(context.Context, Env) (Result, error) {
	return func(ctx context.Context, env Env) (Result, error) {
		file := filepath.Join(env.Dir, "stripped")
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, pkg)
		cmd.Dir = env.Root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
		if out, err := cmd.CombinedOutput(); err != nil {
			return Result{}, fmt.Errorf("building %s: %w\n%s", pkg, err, out)
		}
		info, err := os.Stat(file)
		if err != nil {
			return Result{}, fmt.Errorf("measuring %s: %w", pkg, err)
		}
		return Result{Figure: float64(info.Size())}, os.Remove(file)
	}
}

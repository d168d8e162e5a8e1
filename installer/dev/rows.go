package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// rows are DELIVERY's table and the targets of speed and size that the rooms have set themselves since. A new row is
// a few lines: its name, unit, target and a Run, mostly a goBench's. Each can be run by itself (-only).
func rows() []Row {
	accept100 := goBench{"./installer/e2e/bench", "BenchmarkAccept/batch=100", "3s"}
	accept10 := goBench{"./installer/e2e/bench", "BenchmarkAccept/batch=10", "3s"}
	door := func(name string) goBench {
		return goBench{"./installer/e2e/bench", "BenchmarkDoors/" + name, "3s"}
	}
	statsd := goBench{"./installer/e2e/bench", "BenchmarkStatsD", "3s"}
	steady := goBench{"./installer/e2e/bench", "BenchmarkSteady", "1x"}
	idle := goBench{"./installer/e2e/bench", "BenchmarkIdle", "1x"}
	replay := goBench{"./installer/e2e/bench", "BenchmarkReplay", "1x"}
	freeze := goBench{"./protocol/batch", "BenchmarkFreeze/hourly", ""}
	most := goBench{"./collector", "BenchmarkBatches/most", ""}
	paced := goBench{"./collector", "BenchmarkBatches/300", ""}
	account := goBench{"./installer/e2e/pages", "BenchmarkPages/account", "200x"}
	fold := goBench{"./installer/e2e/oracle", "BenchmarkFold/rush", ""}
	events := goBench{"./agent/measure", "BenchmarkEvents", "3x"}
	state := goBench{"./agent/measure", "BenchmarkState", "1x"}
	auditor := goBench{"./installer/e2e/bench", "BenchmarkAuditor", "1x"}
	return []Row{
		{Name: "durable append, batches of 100", Unit: "records/s", AtLeast: 100_000, Run: durableAppend(100)},
		{Name: "durable append, batches of 10", Unit: "records/s", AtLeast: 40_000, Run: durableAppend(10)},
		{Name: "durable accept, batches of 100", Unit: "events/s", AtLeast: 100_000, Run: accept100.metric("events/s")},
		{Name: "durable accept, batches of 10", Unit: "events/s", AtLeast: 40_000, Run: accept10.metric("events/s", "agent-us/event")},
		{Name: "durable accept through PostHog's door", Unit: "events/s", Run: door("posthog").metric("events/s", "agent-us/event")},
		{Name: "durable accept through CloudEvents' door", Unit: "events/s", Run: door("cloudevents").metric("events/s", "agent-us/event")},
		{Name: "durable accept through OTLP's door for logs", Unit: "events/s", Run: door("logs").metric("events/s", "agent-us/event")},
		{Name: "durable accept through OTLP's door for metrics", Unit: "data points/s", Run: door("metrics").metric("events/s", "agent-us/event")},
		{Name: "StatsD's door, one client as fast as it can", Unit: "values/s", Run: statsd.metric("values/s", "agent-us/value", "%lost")},
		{Name: "agent's processor time an event, in → measured → on disk", Unit: "µs", AtMost: 2.5, Run: accept100.metric("agent-us/event")},
		{Name: "agent's memory at 50,000 events/s", Unit: "MB", AtMost: 60, Run: steady.metric("MB", "peak-MB", "events/s")},
		{Name: "agent's memory, idle", Unit: "MB", AtMost: 15, Run: idle.metric("MB", "anonymous-MB")},
		{Name: "agent program, linux/amd64, stripped", Unit: "bytes", AtMost: 15_000_000, Run: stripped("./installer/cmd/fieldpost-agent")},
		{Name: "bytes on the wire a cell, hourly batches", Unit: "bytes", AtMost: 4, Run: freeze.metric("bytes/cell", "cells/batch", "ns/cell")},
		{Name: "collector, batches of 300 cells: HTTPS → synced stream → store", Unit: "batches/s", AtLeast: 300, Run: most.metric("batches/s", "cells/s", "ack-p50-ms", "ack-p99-ms")},
		{Name: "collector, acknowledgement at 300 batches/s, p99", Unit: "ms", AtMost: 50, Run: paced.metric("ack-p99-ms", "ack-p50-ms", "batches/s")},
		{Name: "account page, 1,000 installations × 1 year, p95", Unit: "ms", AtMost: 200, Run: account.metric("p95-ms", "p50-ms")},
		{Name: "fold, an event", Unit: "ns", Run: fold.metric("ns/event", "MB-held")},
		{Name: "fold, 60 measures, 100,000 users, one core", Unit: "events/s", AtLeast: 250_000, Run: events.metric("events/s", "events/cpu-s")},
		{Name: "state of 60 measures, 100,000 users, 190 days: memory", Unit: "MB", AtMost: 200, Run: state.metric("MB-held")},
		{Name: "the same: on disk", Unit: "MB", AtMost: 60, Run: state.metric("MB-disk")},
		{Name: "the same: closing a day", Unit: "ms", AtMost: 1000, Run: state.metric("ms/day-closed", "ms/longest-slice")},
		{Name: "the same: restart", Unit: "ms", AtMost: 1000, Run: state.metric("ms/restore", "ms/checkpoint")},
		{Name: "auditor, a week at 60 measures after two years", Unit: "s", AtMost: 1, Run: auditor.metric("s/week", "cells/week")},
		{Name: "auditor, a week with which a block of four ends", Unit: "s", AtMost: 1, Run: auditor.metric("s/block", "ms/window")},
		{Name: "replay of the 35 recorded installations, two at a time", Unit: "s", AtMost: 5, Run: replay.metric("s", "events/s")},
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

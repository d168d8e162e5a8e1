package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fieldpost/fieldpost/protocol/durable"
)

const (
	appendWriters = 64  // requests under way at a time, as from a busy product
	appendBytes   = 300 // a record: a small event with its context
	appendSpan    = 2 * time.Second
)

// durableAppend returns a Run that appends batches to a log as the journal does:
// each append returns when its records are on disk. It bounds what intake can
// accept on this disk.
func durableAppend(batch int) func(context.Context, Env) (Result, error) {
	return func(ctx context.Context, env Env) (Result, error) {
		var rates []float64
		var note string
		for range env.Count {
			rate, grouping, err := appendOnce(ctx, env.Dir, batch)
			if err != nil {
				return Result{}, err
			}
			rates = append(rates, rate)
			note = fmt.Sprintf("%d writers of %d-byte records, %.0f records a sync", appendWriters, appendBytes, grouping)
		}
		slices.Sort(rates)
		return Result{Figure: rates[len(rates)/2], Note: note}, nil
	}
}

// appendOnce returns records a second and records per synced write.
func appendOnce(ctx context.Context, dir string, batch int) (rate, grouping float64, err error) {
	folder := filepath.Join(dir, "append")
	log, err := durable.Open(folder, durable.Options{MaxBytes: 16 << 30, SegmentBytes: 64 << 20})
	if err != nil {
		return 0, 0, fmt.Errorf("opening a log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close(), os.RemoveAll(folder)) }()
	records := make([][]byte, batch)
	for i := range records {
		records[i] = make([]byte, appendBytes)
		for j := range records[i] {
			records[i][j] = byte(i*31 + j*7)
		}
	}
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for range appendWriters {
		group.Go(func() error {
			for time.Since(start) < appendSpan {
				if _, err := log.Append(ctx, records...); err != nil {
					return fmt.Errorf("appending: %w", err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, 0, err
	}
	stats := log.Stats()
	return float64(stats.Records) / time.Since(start).Seconds(), float64(stats.Records) / float64(stats.Commits), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// machine says where the figures are from.
func machine() string {
	model, memory := "unknown processor", ""
	if v := procField("/proc/cpuinfo", "model name"); v != "" {
		model = v
	}
	if v := procField("/proc/meminfo", "MemTotal"); v != "" {
		var kib int64
		if _, err := fmt.Sscanf(v, "%d kB", &kib); err == nil {
			memory = fmt.Sprintf(", %.1f GB memory", float64(kib)*1024/1e9)
		}
	}
	return fmt.Sprintf("%s, %d cores%s, %s/%s, %s", model, runtime.NumCPU(), memory, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// procField is the first value of a key in a file of "key : value" lines, "" if
// there is none (or no /proc).
func procField(file, key string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for _, l := range strings.Split(string(text), "\n") {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// syncRate appends 4 KiB and makes it durable, again and again for a while: the
// most that any design without group commit could accept on this disk.
func syncRate(ctx context.Context, dir string, span time.Duration) (_ string, err error) {
	name := filepath.Join(dir, "syncrate")
	f, err := os.Create(name)
	if err != nil {
		return "", fmt.Errorf("measuring the disk: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(name)) }()
	block := make([]byte, 4096)
	var took []time.Duration
	for begin := time.Now(); time.Since(begin) < span; {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("measuring the disk: %w", err)
		}
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return "", fmt.Errorf("measuring the disk: %w", err)
		}
		if err := dataSync(f); err != nil {
			return "", fmt.Errorf("measuring the disk: %w", err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	median, p99 := took[len(took)/2], took[len(took)*99/100]
	return fmt.Sprintf("%s appends of 4 KiB with fdatasync a second, median %v, p99 %v",
		number(float64(len(took))/span.Seconds()), median.Round(time.Microsecond), p99.Round(time.Microsecond)), nil
}

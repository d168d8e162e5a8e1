package harness

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Collector is the real collector on a data directory of its own, with a signed catalog.
type Collector struct {
	Data   string
	Listen string
	Log    *Log

	tb   testing.TB
	dir  string // for keys and files beside the data
	cmd  *exec.Cmd
	done chan error
}

// NewCollector signs and adds the catalog and serves. Its TestMain has to build fieldpost-collector.
func NewCollector(tb testing.TB, catalog []byte) *Collector {
	tb.Helper()
	dir := tb.TempDir()
	c := &Collector{tb: tb, dir: dir, Data: filepath.Join(dir, "data"), Listen: freePort(tb), Log: &Log{}, done: make(chan error, 1)}
	file, key := filepath.Join(dir, "catalog.yaml"), filepath.Join(dir, "vendor.key")
	if err := os.WriteFile(file, catalog, 0o600); err != nil {
		tb.Fatal(err)
	}
	c.Must("catalog", "keygen", "--key", key)
	c.Must("catalog", "sign", "--key", key, file)
	c.Must("catalog", "add", "--pub", key+".pub", file)
	c.cmd = exec.Command(Binary(tb, "fieldpost-collector"), "serve", "--data", c.Data, "--listen", c.Listen, "--url", "https://"+c.Listen)
	c.cmd.Env, c.cmd.Dir = environment(dir, nil), dir
	c.cmd.Stdout, c.cmd.Stderr = c.Log, c.Log
	if err := c.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() { c.done <- c.cmd.Wait() }()
	tb.Cleanup(func() {
		if c.cmd != nil {
			_ = c.cmd.Process.Kill()
			<-c.done
		}
		if tb.Failed() {
			tb.Logf("the collector wrote:\n%s", c.Log)
		}
	})
	deadline := time.After(patience)
	for {
		ok, news := c.Log.has("https://")
		if ok {
			return c
		}
		select {
		case <-news:
		case <-deadline:
			tb.Fatalf("the collector does not say that it serves\n%s", c.Log)
		}
	}
}

// Do runs a command of the collector's to its end, on its data unless args say otherwise.
func (c *Collector) Do(args ...string) Result {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary(c.tb, "fieldpost-collector"), append([]string{"--data", c.Data}, args...)...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Dir = environment(c.dir, nil), c.dir
	cmd.Stdout, cmd.Stderr = &out, &errs
	code := ended(c.tb, cmd.Run())
	return Result{Code: code, Stdout: out.String(), Stderr: errs.String()}
}

// Must runs a command of the collector's that has to succeed.
func (c *Collector) Must(args ...string) string {
	c.tb.Helper()
	r := c.Do(args...)
	if r.Code != 0 {
		c.tb.Fatalf("%s: exit %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Enrol lets an agent join.
func (c *Collector) Enrol(a *Agent) {
	c.tb.Helper()
	file := filepath.Join(c.dir, "token")
	c.Must("token", "create", "--account", "acme", "--installation", "berlin", "--environment", "test", "--out", file)
	a.Must("enroll", "--token-file", file)
}

// Stop ends the collector in order.
func (c *Collector) Stop() {
	c.tb.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.tb.Fatal(err)
	}
	select {
	case err := <-c.done:
		if code := ended(c.tb, err); code != 0 {
			c.tb.Errorf("the collector ended with %d\n%s", code, c.Log)
		}
		c.cmd = nil
	case <-time.After(patience):
		c.tb.Fatal("the collector does not end")
	}
}

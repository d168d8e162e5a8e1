package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Node runs a script of installer/e2e/node with input as JSON on its standard input. It needs Node
// (Debian: nodejs, npm) and the packages of its lock file: npm ci in that folder.
func Node(tb testing.TB, script string, input any, env ...string) Result {
	tb.Helper()
	node := Need(tb, "node", "apt-get install nodejs npm")
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("where is this file?")
	}
	dir := filepath.Join(filepath.Dir(here), "..", "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@segment", "analytics-node")); err != nil {
		Missing(tb, "the Node packages are not installed: npm ci in installer/e2e/node")
	}
	in, err := json.Marshal(input)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, script)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Env = dir, environment(tb.TempDir(), env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	code := ended(tb, cmd.Run())
	return Result{Code: code, Stdout: out.String(), Stderr: errs.String()}
}

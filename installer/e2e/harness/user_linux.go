package harness

import (
	"bytes"
	"context"
	"os/exec"
	"syscall"
	"testing"
)

// RunAs runs a program to its end as another user, which only root can.
func RunAs(tb testing.TB, user uint32, program string, args ...string) Result {
	tb.Helper()
	NeedRoot(tb, "running as another user")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary(tb, program), args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Env = "/", environment("/", nil)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	code := ended(tb, cmd.Run())
	return Result{Code: code, Stdout: out.String(), Stderr: errs.String()}
}

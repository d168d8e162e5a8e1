package kill

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// patience is how long a thing may take that takes a moment; only a hang takes so long.
const patience = 60 * time.Second

// environment of every program: nothing of the tester's own changes its mind.
func environment(home string) []string {
	return []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + home, "USER=test", "FIELDPOST_CONFIG="}
}

// process is one run of a program that may be killed.
type process struct {
	cmd  *exec.Cmd
	out  bytes.Buffer // standard output; to be read after the end
	log  *harness.Log // standard error
	done chan struct{}
	err  error // of the wait; valid when done is closed
}

func launch(t *testing.T, dir, program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(harness.Binary(t, program), args...), log: &harness.Log{}, done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, environment(dir)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the process without a chance to write anything. It may have ended before.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// code is the exit code of a process that has ended: -1 when it was killed.
func (p *process) code() int { return p.cmd.ProcessState.ExitCode() }

// must runs a command to its end, which has to be good, and gives what it printed.
func must(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	out, code := command(t, dir, program, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit %d", program, strings.Join(args, " "), code)
	}
	return out
}

func command(t *testing.T, dir, program string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, harness.Binary(t, program), args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, environment(dir), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err != nil {
		t.Logf("%s %s: %v\n%s", program, strings.Join(args, " "), err, errs.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// freePort is a loopback address nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

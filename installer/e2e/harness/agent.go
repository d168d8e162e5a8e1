package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

// Options of an Agent. The zero value: a state of its own, free ports, nothing else set.
type Options struct {
	State  string   // default: a new folder of the test
	Config string   // lines added to its configuration file
	Env    []string // added to its environment
	Net    *Network // it lives in that network; default: the test's own
	Args   []string // added to every command
}

// Agent is a site: a state directory with its settings, and the process that runs on it while
// it is started.
type Agent struct {
	State   string
	Listen  string // host:port where the product sends
	Console string // host:port of the console
	Log     *Log   // what the running agent writes

	tb     testing.TB
	o      Options
	config string // path
	binary string
	cmd    *exec.Cmd
	done   chan error
	client *Client // one, so that its connections are used again
}

// NewAgent prepares a site; nothing runs yet.
func NewAgent(tb testing.TB, o Options) *Agent {
	tb.Helper()
	dir := tb.TempDir()
	a := &Agent{tb: tb, o: o, State: o.State, config: filepath.Join(dir, "agent.yaml"), binary: Binary(tb, "fieldpost-agent"), Log: &Log{}, client: NewClient(tb, o.Net)}
	if a.State == "" {
		a.State = filepath.Join(dir, "state")
	}
	a.Listen, a.Console = freePort(tb), freePort(tb)
	text := fmt.Sprintf("state: %s\nlisten: %s\nconsole: %s\n%s\n", a.State, a.Listen, a.Console, o.Config)
	if err := os.WriteFile(a.config, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if a.cmd != nil {
			a.Kill()
		}
		if tb.Failed() {
			tb.Logf("the agent wrote:\n%s", a.Log)
		}
	})
	return a
}

// freePort is a loopback address nobody listens on.
func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (a *Agent) command(ctx context.Context, args ...string) *exec.Cmd {
	all := append(append([]string{}, args...), "--config", a.config)
	all = append(all, a.o.Args...)
	name := a.binary
	if a.o.Net != nil {
		name, all = a.o.Net.wrap(name, all)
	}
	cmd := exec.CommandContext(ctx, name, all...)
	cmd.Dir = filepath.Dir(a.config)
	cmd.Env = environment(filepath.Dir(a.config), a.o.Env)
	return cmd
}

// Do runs a command of the agent's to its end.
func (a *Agent) Do(args ...string) Result {
	a.tb.Helper()
	return a.DoWith("", args...)
}

// DoWith runs a command with a standard input.
func (a *Agent) DoWith(stdin string, args ...string) Result {
	a.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := a.command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	code := ended(a.tb, cmd.Run())
	return Result{Code: code, Stdout: out.String(), Stderr: errs.String()}
}

// Must runs a command that has to succeed and gives what it printed.
func (a *Agent) Must(args ...string) string {
	a.tb.Helper()
	r := a.Do(args...)
	if r.Code != 0 {
		a.tb.Fatalf("%s: exit %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Enrol joins the collector and takes its catalog.
func (a *Agent) Enrol(f *protocoltest.FakeCollector) {
	a.tb.Helper()
	t := f.Token(a.tb, protocoltest.TokenSpec{Account: "acme", Installation: "berlin"})
	if r := a.DoWith(t.String(), "enroll"); r.Code != 0 {
		a.tb.Fatalf("enroll: exit %d\n%s", r.Code, r.Stderr)
	}
}

// Start runs the agent and waits until it listens.
func (a *Agent) Start() {
	a.tb.Helper()
	a.Launch()
	if err := a.say("agent is running"); err != nil {
		a.tb.Fatalf("%v\n%s", err, a.Log)
	}
	Eventually(a.tb, func() error {
		cl, err := control.Dial(a.State)
		if err != nil {
			return err
		}
		_, err = cl.Status(context.Background())
		return err
	})
}

// say waits until the agent has written text.
func (a *Agent) say(text string) error {
	for {
		ok, news := a.Log.has(text)
		if ok {
			return nil
		}
		select {
		case <-news:
		case err := <-a.done:
			a.done <- err
			return fmt.Errorf("the agent ended: %w", err)
		case <-time.After(patience):
			return fmt.Errorf("the agent does not write %q", text)
		}
	}
}

// Launch runs the agent and does not wait.
func (a *Agent) Launch() {
	a.tb.Helper()
	if a.cmd != nil {
		a.tb.Fatal("the agent was started already")
	}
	a.Log.reset()
	a.cmd = a.command(context.Background(), "run")
	a.cmd.Stdout, a.cmd.Stderr = a.Log, a.Log
	if err := a.cmd.Start(); err != nil {
		a.tb.Fatal(err)
	}
	a.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(a.cmd, a.done)
}

// Wait waits until the agent has ended by itself and gives its exit code.
func (a *Agent) Wait() int {
	a.tb.Helper()
	select {
	case err := <-a.done:
		a.cmd = nil
		return ended(a.tb, err)
	case <-time.After(patience):
		a.tb.Fatalf("the agent does not end\n%s", a.Log)
		return -1
	}
}

// Stop asks the agent to end, as a service manager does, and gives its exit code.
func (a *Agent) Stop() int {
	a.tb.Helper()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		a.tb.Fatal(err)
	}
	return a.Wait()
}

// Kill ends the agent without a chance to write anything.
func (a *Agent) Kill() {
	a.tb.Helper()
	_ = a.cmd.Process.Kill() // it may have ended
	<-a.done
	a.cmd = nil
}

// Pid is the running process'.
func (a *Agent) Pid() int { return a.cmd.Process.Pid }

// Site asks the running agent through its control socket.
func (a *Agent) Site() *control.Client {
	a.tb.Helper()
	cl, err := control.Dial(a.State)
	if err != nil {
		a.tb.Fatal(err)
	}
	return cl
}

// Status is `status -o json`. Its exit code says healthy or not and is not looked at.
func (a *Agent) Status() control.Status {
	a.tb.Helper()
	r := a.Do("status", "-o", "json")
	var s control.Status
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		a.tb.Fatalf("status: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	return s
}

// Received waits until the fold has accounted for as many events and samples, and gives the accounts.
func (a *Agent) Received(events, samples uint64) (e, s control.Counts) {
	a.tb.Helper()
	Eventually(a.tb, func() error {
		st, err := a.Site().Status(context.Background())
		if err != nil {
			return err
		}
		if e, s = st.Events, st.Samples; e.Received != events || s.Received != samples {
			return fmt.Errorf("%d events and %d samples were received, %d and %d sent", e.Received, s.Received, events, samples)
		}
		return nil
	})
	return e, s
}

// Line is one line of `query -o json`.
type Line struct {
	Start  string            `json:"start"`
	Dims   map[string]string `json:"dims"`
	Value  json.RawMessage   `json:"value"`
	Closed bool              `json:"closed"`
}

// Exact is `query --exact` with further flags, decoded. A running agent is asked directly, which is what the
// command does, without a process for each question.
func (a *Agent) Exact(measure, grain string, args ...string) []Line {
	a.tb.Helper()
	var rows []string
	if len(args)%2 == 0 && a.cmd != nil {
		q := control.Query{Measure: measure, Grain: grain, Exact: true}
		for i := 0; i < len(args); i += 2 {
			switch args[i] {
			case "--by":
				q.By = strings.Split(args[i+1], ",")
			case "--from":
				q.From = args[i+1]
			case "--to":
				q.To = args[i+1]
			default:
				a.tb.Fatalf("query has no %s here", args[i])
			}
		}
		all, err := a.Site().Query(context.Background(), q)
		if err != nil {
			a.tb.Fatalf("query %s: %v", measure, err)
		}
		for _, l := range all {
			rows = append(rows, string(l))
		}
	} else {
		rows = slices.Collect(strings.Lines(a.Must(append([]string{"query", "--measure", measure, "--grain", grain, "--exact", "-o", "json"}, args...)...)))
	}
	lines := make([]Line, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal([]byte(row), &lines[i]); err != nil {
			a.tb.Fatalf("query %s: %v\n%s", measure, err, row)
		}
	}
	return lines
}

// Post sends a body to the intake; headers come in pairs. It gives status, answer and headers.
func (a *Agent) Post(path, body string, headers ...string) (int, string, http.Header) {
	a.tb.Helper()
	return a.client.Post(a.tb, "http://"+a.Listen+path, body, headers...)
}

// Get fetches a page of the console.
func (a *Agent) Get(url string) (int, string) {
	a.tb.Helper()
	return a.client.Get(a.tb, url)
}

// Log is what a process writes, readable while it does.
type Log struct {
	mu   sync.Mutex // guards all
	text []byte
	news chan struct{} // closed at the next write; nil: nobody waits
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
	return len(p), nil
}

// String is everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func (l *Log) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = nil
}

// has says whether text was written; if not, news is closed when something more is.
func (l *Log) has(text string) (ok bool, news <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.news == nil {
		l.news = make(chan struct{})
	}
	return bytes.Contains(l.text, []byte(text)), l.news
}

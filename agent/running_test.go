package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
)

// running runs a until the returned function has waited for its end and closed it.
func running(t *testing.T, a *Agent) (ask *control.Client, end func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- a.Run(t.Context()) }()
	for {
		c, err := control.Dial(a.cfg.Settings.State)
		if err == nil {
			return c, func() error { return errors.Join(<-done, a.Close()) }
		}
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond): // the socket is there a moment after Run begins
		}
	}
}

func TestForgetAndWipeThroughTheSocketOfARunningAgent(t *testing.T) {
	cfg := lived(t, nil)
	a := opened(t, cfg)
	ask, end := running(t, a)
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() { // others go on working meanwhile
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				active(t, a, time.Now().AddDate(0, 0, 21), "canary-5")
			}
		}
	}()
	f, err := ask.Forget(t.Context(), control.ForgetOrder{Users: []string{"canary-0"}})
	if err != nil || f.Known != 1 {
		t.Fatalf("%+v %v", f, err)
	}
	close(stop)
	<-stopped
	copied := cfg
	copied.Settings.State = t.TempDir()
	copyState(t, cfg.Settings.State, copied.Settings.State)
	in := inside(t, copied)
	if got := named(in, "canary-0", "alias-0"); len(got) > 0 {
		t.Errorf("still there: %v", got)
	}
	if got := named(in, "canary-5"); len(got) == 0 {
		t.Error("nobody is known any more")
	}

	w, err := ask.Wipe(t.Context(), control.WipeOrder{KeepEnrolment: true})
	if err != nil || !w.Pending || !strings.Contains(strings.Join(w.Gone, " "), "site key") {
		t.Fatalf("%+v %v", w, err)
	}
	if err := end(); err != nil {
		t.Fatalf("the agent did not stop cleanly: %v", err)
	}
	if Wiping(cfg.Settings.State) {
		t.Error("the wipe is not finished")
	}
	all := files(t, cfg)
	for name := range all {
		if strings.HasPrefix(name, "journal/") || strings.HasPrefix(name, "measure/") || strings.HasPrefix(name, "outbox/") {
			t.Errorf("%s is left", name)
		}
	}
	a = opened(t, cfg)
	defer a.Close()
	if l, err := a.Ledger(t.Context(), control.LedgerQuery{Kind: "wiped", Verify: true}); err != nil || len(l.Entries) != 1 || !*l.Verified {
		t.Errorf("the ledger says %+v %v", l, err)
	}
	if a.accounting().events.Received != 0 || a.id.Enrolment == nil {
		t.Error("something is known still, or the enrolment is gone")
	}
}

// copyState copies what lies in a state, but for its socket.
func copyState(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		name, _ := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

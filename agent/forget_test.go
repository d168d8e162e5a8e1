package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
)

func TestForgettingOneNameForgetsThePersonDownToTheLastByte(t *testing.T) {
	cfg := lived(t, nil)
	for _, aside := range []string{"measure/closed/0000000000000001.win.damaged", "journal/00000000000000000001-4096.bad"} {
		if err := os.WriteFile(filepath.Join(cfg.Settings.State, aside), []byte("canary-0 in a file that was set aside"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := named(inside(t, cfg), "canary-0", "alias-0"); len(got) < 3 {
		t.Fatalf("canary-0 stands only in %v", got)
	}
	a := opened(t, cfg)
	before := figures(t, a)
	f, err := a.Forget(t.Context(), control.ForgetOrder{Users: []string{"alias-0", "canary-8", "canary-8", "nobody"}})
	if err != nil || f.Asked != 4 || f.Known != 2 {
		t.Fatalf("%+v %v", f, err)
	}
	if after := figures(t, a); after != before {
		t.Errorf("figures of the past changed:\n%s\nwere\n%s", after, before)
	}
	die(a) // what follows is there without any further checkpoint
	all := inside(t, cfg)
	if got := named(all, "canary-0", "alias-0", "canary-8", "nobody"); len(got) > 0 {
		t.Errorf("still there: %v", got)
	}
	if got := named(all, "canary-1"); len(got) == 0 {
		t.Error("others were forgotten too")
	}
	a = opened(t, cfg)
	if after := figures(t, a); after != before {
		t.Errorf("figures of the past changed with the next start:\n%s\nwere\n%s", after, before)
	}
	// Somebody who comes back is somebody new.
	active(t, a, time.Now().AddDate(0, 0, 21), "canary-0")
	caughtUp(t, a)
	if f, err := a.Forget(t.Context(), control.ForgetOrder{Users: []string{"alias-0"}}); err != nil || f.Known != 0 {
		t.Errorf("the forgotten name still leads to them: %+v %v", f, err)
	}
	if f, err := a.Forget(t.Context(), control.ForgetOrder{Users: []string{"canary-0"}}); err != nil || f.Known != 1 {
		t.Errorf("%+v %v", f, err)
	}
	l, err := a.Ledger(t.Context(), control.LedgerQuery{Kind: "forgotten", Verify: true})
	if err != nil || len(l.Entries) != 3 || !*l.Verified || !strings.Contains(l.Entries[2].Text, "4 names") {
		t.Errorf("the ledger says %+v %v", l, err)
	}
	closed(t, a)
	if got := named(files(t, cfg), "canary", "alias-0", "nobody"); len(got) > 0 {
		t.Errorf("names lie open: %v", got)
	}
}

// Killed at every single step, forget is done whole by the next start or was never begun; repeated, it is done.
func TestForgetSurvivesBeingKilledAnywhere(t *testing.T) {
	fsys := durabletest.New()
	cfg := lived(t, fsys)
	fsys = fsys.Clone()
	cfg.FS = fsys
	a := opened(t, cfg)
	before := figures(t, a)
	from := fsys.Ops()
	if _, err := a.Forget(t.Context(), control.ForgetOrder{Users: []string{"canary-0", "canary-8"}}); err != nil {
		t.Fatal(err)
	}
	to := fsys.Ops()
	die(a)
	gone := 0
	for n := from; n <= to; n++ {
		cfg.FS = fsys.Killed(n)
		a, err := Open(cfg)
		if err != nil {
			t.Fatalf("killed after %d operations: %v", n-from, err)
		}
		if got := figures(t, a); got != before {
			t.Fatalf("killed after %d operations:\n%s\nwere\n%s", n-from, got, before)
		}
		known := map[string]bool{}
		for _, who := range []string{"canary-0", "canary-8"} {
			known[who] = a.store.Fold().Forget(who) // in memory only: it dies now
		}
		die(a)
		left := named(inside(t, cfg), "canary-0", "alias-0", "canary-8")
		if n == to && len(left) > 0 {
			t.Fatalf("it is done and leaves %v", left)
		}
		for who, known := range known { // who is forgotten is so everywhere
			if !known {
				gone++
			}
			if !known && strings.Contains(strings.Join(left, " "), who) {
				t.Errorf("killed after %d operations: the dictionary has forgotten %s, and they stand in %v", n-from, who, left)
			}
		}
		a = opened(t, cfg)
		if _, err := a.Forget(t.Context(), control.ForgetOrder{Users: []string{"canary-0", "canary-8"}}); err != nil {
			t.Fatal(err)
		}
		die(a)
		if left := named(inside(t, cfg), "canary-0", "alias-0", "canary-8"); len(left) > 0 {
			t.Fatalf("killed after %d operations and repeated, it leaves %v", n-from, left)
		}
	}
	if to-from < 15 || gone < 10 || gone == 2*(to-from+1) {
		t.Errorf("%d steps, %d times somebody was forgotten: that does not look at both sides", to-from, gone)
	}
}

func TestForgetRefusesWhatIsNoName(t *testing.T) {
	cfg := real(t, nil)
	a := opened(t, cfg)
	defer a.Close()
	for name, users := range map[string][]string{"forget_count": nil, "forget_name": {"a", ""}} {
		var e *control.Error
		if _, err := a.Forget(t.Context(), control.ForgetOrder{Users: users}); !errors.As(err, &e) || e.Code != name || e.Exit != 2 {
			t.Errorf("%v", err)
		}
	}
	for _, bad := range []string{strings.Repeat("x", maxName+1), "\xff"} {
		_, err := a.Forget(t.Context(), control.ForgetOrder{Users: []string{bad}})
		var e *control.Error
		if !errors.As(err, &e) || e.Code != "forget_name" || strings.Contains(err.Error(), bad) {
			t.Errorf("%v", err)
		}
	}
	if l, err := a.Ledger(t.Context(), control.LedgerQuery{Kind: "forgotten"}); err != nil || len(l.Entries) != 0 {
		t.Errorf("the ledger notes what was refused: %+v %v", l.Entries, err)
	}
}

func TestWipeDestroysTheKeyFirstAndLeavesWhatItSays(t *testing.T) {
	for name, o := range map[string]control.WipeOrder{"all of the site": {}, "enrolment kept": {KeepEnrolment: true}, "ledger too": {Ledger: true}} {
		fsys := durabletest.New()
		cfg := lived(t, fsys)
		fsys = fsys.Clone()
		cfg.FS = fsys
		if _, err := Wipe(t.Context(), cfg, o); err != nil {
			t.Fatal(err)
		}
		log := strings.Join(fsys.Log(), "\n")
		key, rest := strings.Index(log, "remove "+filepath.Join(cfg.Settings.State, "site.key")), strings.Index(log, "remove "+filepath.Join(cfg.Settings.State, "measure"))
		if key < 0 || key > rest {
			t.Errorf("%s: the key does not go first:\n%s", name, log)
		}
		old := files(t, onDisk(cfg, fsys.Killed(0)))["site.key"]
		step := max(1, fsys.Ops()/40)
		for n := 1; n <= fsys.Ops(); n += step {
			wiped(t, onDisk(cfg, fsys.Killed(n)), old, o, fmt.Sprintf("%s, killed after %d operations", name, n), strings.Contains(strings.Join(fsys.Log()[:n], "\n"), "to "+filepath.Join(cfg.Settings.State, "wiping.json")))
		}
		wiped(t, onDisk(cfg, fsys.Clone()), old, o, name, true)
	}
}

// onDisk is cfg with the disk as it is found.
func onDisk(cfg Config, fsys durable.FS) Config {
	cfg.FS = fsys
	return cfg
}

// wiped opens a state whose wipe was begun and looks at what is there then.
func wiped(t *testing.T, cfg Config, key []byte, o control.WipeOrder, name string, begun bool) {
	t.Helper()
	a, err := Open(cfg)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}()
	if !begun {
		if a.applied == 0 || a.id.Enrolment == nil {
			t.Errorf("%s: it was not begun and something is gone", name)
		}
		return
	}
	if n := a.accounting().events.Received; n != 0 || a.applied > 1 { // a kept decision is journalled anew
		t.Errorf("%s: %d events and %d records are still known", name, n, a.applied)
	}
	all := files(t, cfg)
	if got := named(all, "canary", "alias-0"); len(got) > 0 || all["wiping.json"] != nil {
		t.Errorf("%s: left: %v", name, got)
	}
	if len(all["site.key"]) == 0 || string(all["site.key"]) == string(key) {
		t.Errorf("%s: the same key is in use", name)
	}
	if (a.id.Enrolment != nil) != o.KeepEnrolment {
		t.Errorf("%s: enrolled: %v", name, a.id.Enrolment != nil)
	}
	if _, decided := a.consent.Current(); decided != o.KeepEnrolment {
		t.Errorf("%s: decided: %v", name, decided)
	}
	l, err := a.Ledger(t.Context(), control.LedgerQuery{Verify: true, Limit: 1000})
	if err != nil || !*l.Verified {
		t.Fatalf("%s: %v %s", name, err, l.Problem)
	}
	noted, older := 0, 0
	for _, e := range l.Entries {
		switch e.Kind {
		case "wiped":
			noted++
		case "check_in":
			older++
		}
	}
	if want := map[bool]int{false: 1, true: 0}[o.Ledger]; noted != want || (older > 0) == o.Ledger {
		t.Errorf("%s: the ledger notes it %d times and keeps %d check-ins", name, noted, older)
	}
}

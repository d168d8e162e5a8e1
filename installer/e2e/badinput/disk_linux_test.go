package badinput

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// disk mounts a small file system in memory; it goes with the test.
func disk(t *testing.T, options string) string {
	t.Helper()
	harness.NeedRoot(t, "a small disk")
	dir := t.TempDir()
	if err := unix.Mount("fieldpost-e2e", dir, "tmpfs", 0, options); err != nil {
		harness.Missing(t, "no file system can be mounted here: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes what room there is and leaves some bytes.
func fill(t *testing.T, dir string, leave int64) (filler string) {
	t.Helper()
	filler = filepath.Join(dir, "filler")
	f, err := os.OpenFile(filler, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(f, zeros{})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Truncate(max(info.Size()-leave, 0))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return filler
}

// With a full disk the intake says so; every event that got a 200 before, meanwhile and afterwards is
// measured, also after a kill.
func TestDiskFull(t *testing.T) {
	dir := disk(t, "size=64m")
	a := site(t, harness.Options{State: filepath.Join(dir, "state")})
	const size = 1000
	body := batchOf(strings.Repeat(good+",", size-1) + good)
	accepted, refusals := uint64(0), 0
	post := func() (int, string) {
		code, answer, h := a.Post("/v1/batch", body)
		switch {
		case code == 200:
			accepted += size
		case code == 503 && strings.Contains(answer, `"code":"journal_full"`) && h.Get("Retry-After") != "":
			refusals++
		default:
			t.Errorf("%d %s", code, answer)
		}
		return code, answer
	}
	for range 20 {
		post()
	}
	filler := fill(t, dir, 64<<10)
	for range 2000 { // what the journal has reserved takes some
		if post(); refusals == 20 {
			break
		}
	}
	if refusals == 0 {
		t.Fatalf("the disk is full and all of %d events were accepted", accepted)
	}
	a.Received(accepted, 0)
	if !warns(a, "log_full") {
		t.Errorf("status does not warn: %v", a.Status().Warnings)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, func() error {
		if code, answer := post(); code != 200 {
			return fmt.Errorf("there is room again, and the intake says %d %s", code, answer)
		}
		return nil
	})
	a.Received(accepted, 0)
	a.Kill()
	a.Start()
	if e, _ := a.Received(accepted, 0); e.Reasons["measured"] != accepted {
		t.Errorf("%d were accepted, %v measured", accepted, e.Reasons)
	}
}

func warns(a *harness.Agent, code string) bool {
	return slices.ContainsFunc(a.Status().Warnings, func(w control.Warning) bool { return w.Code == code })
}

// The agent once ended when a checkpoint, written every minute, found no room. It goes on, says so, and
// loses nothing.
func TestDiskFull_ACheckpointFindsNoRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	t.Parallel()
	dir := disk(t, "size=64m")
	a := site(t, harness.Options{State: filepath.Join(dir, "state"), Config: "send_every: 24h"})
	harness.Eventually(t, func() error { // the first beat saves too; the next is far away
		if next := a.Status().Delivery.Next; next.Before(time.Now().Add(time.Hour)) {
			return fmt.Errorf("the next beat is at %s", next)
		}
		return nil
	})
	fill(t, dir, 0)
	accepted := uint64(0)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for !warns(a, "state_not_saved") {
		<-tick.C
		if code, answer, _ := a.Post("/v1/batch", batchOf(good)); code != 200 {
			t.Fatalf("%d %s", code, answer)
		}
		if accepted++; accepted > 150 {
			t.Fatal("two minutes and a half, and no checkpoint failed")
		}
	}
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	a.Post("/v1/batch", batchOf(good))
	a.Received(accepted+1, 0)
	if code := a.Stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	a.Start()
	a.Received(accepted+1, 0)
}

// A start on a full disk ends with its code; with room again it starts.
func TestDiskFull_AtStart(t *testing.T) {
	dir := disk(t, "size=1m")
	a := harness.NewAgent(t, harness.Options{State: filepath.Join(dir, "state")})
	filler := fill(t, dir, 0)
	r := a.Do("run")
	refused(t, r, 1, "disk_full", "")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if st := a.Do("status"); st.Code == 3 || strings.Contains(st.Stderr, "panic") {
		t.Errorf("%d %s", st.Code, st.Stderr)
	}
}

// A state directory that cannot be written, because it is another user's or the disk is read-only.
func TestStateNotWritable(t *testing.T) {
	t.Run("another user's", func(t *testing.T) {
		harness.NeedRoot(t, "running as another user")
		root := harness.NewAgent(t, harness.Options{})
		root.Enrol(product(t))
		before := picture(t, root.State)
		// The folder above is open, so that only the state's own mode stands in the way.
		state := filepath.Join(disk(t, "mode=755,size=64m"), "state")
		if err := os.CopyFS(state, os.DirFS(root.State)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(state, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"run"}, {"status"}, {"consent", "set", "usage=off"}} {
			r := harness.RunAs(t, 65534, "fieldpost-agent", append(args, "--state", state, "--listen", "127.0.0.1:0", "--console", "off")...)
			refused(t, r, 1, "state_permission", state)
		}
		sameFiles(t, before, picture(t, root.State))
	})
	t.Run("a folder that cannot be made", func(t *testing.T) {
		harness.NeedRoot(t, "running as another user")
		state := filepath.Join(disk(t, "mode=755,size=1m"), "state")
		r := harness.RunAs(t, 65534, "fieldpost-agent", "run", "--state", state, "--listen", "127.0.0.1:0", "--console", "off")
		refused(t, r, 1, "state_permission", state)
	})
	t.Run("read-only", func(t *testing.T) {
		dir := disk(t, "size=64m")
		a := harness.NewAgent(t, harness.Options{State: filepath.Join(dir, "state")})
		a.Enrol(product(t))
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "size=64m"); err != nil {
			t.Fatal(err)
		}
		refused(t, a.Do("run"), 1, "state_permission", "read-only")
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=64m"); err != nil {
			t.Fatal(err)
		}
		a.Start()
	})
}

package durabletest_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/durable/durabletest"
)

func TestConformance(t *testing.T) {
	t.Run("real", func(t *testing.T) { durabletest.TestFS(t, durable.OS(), t.TempDir()) })
	t.Run("memory", func(t *testing.T) { durabletest.TestFS(t, durabletest.New(), "/") })
	t.Run("killed", func(t *testing.T) { durabletest.TestFS(t, durabletest.New().Killed(0), "/") })
}

// states collects what /f can contain after a crash at the end.
func states(t *testing.T, fsys *durabletest.FS) map[string]bool {
	out := map[string]bool{}
	err := fsys.Crashes(durabletest.CrashOptions{From: fsys.Ops(), PerPrefix: 256}, func(c durabletest.Crash) error {
		b, err := durable.ReadFile(c.FS, "/f", 1<<20)
		if err != nil {
			b = []byte("gone")
		}
		out[string(b)] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The model has to be mean, or the tests over it prove nothing.
func TestWhatIsNotSyncedCanBeLostAndCanBeKept(t *testing.T) {
	fsys := durabletest.New()
	f, err := fsys.OpenFile("/f", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	step := func(what string, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
		got := states(t, fsys)
		for _, w := range want {
			if !got[w] {
				t.Errorf("after %s: %q is missing", what, w)
			}
			delete(got, w)
		}
		if len(got) > 0 {
			t.Errorf("after %s: also %q", what, fmt.Sprint(got))
		}
	}
	write := func(s string) error { _, err := f.WriteAt([]byte(s), 0); return err }
	step("create", nil, "gone", "")
	step("write", write("one"), "gone", "", "one")
	step("sync", f.Sync(), "gone", "one")
	step("syncdir", fsys.SyncDir("/"), "one")
	step("second write", write("two"), "one", "two")
	fsys.Fail(1, false, nil)
	if f.Sync() == nil {
		t.Fatal("the fault did not happen")
	}
	step("a failed sync", nil, "one", "two")
	step("a sync after it", f.Sync(), "one", "two") // it brings nothing back
	step("writing again", write("two"), "one", "two")
	step("and syncing", f.Sync(), "two")
	step("remove", fsys.Remove("/f"), "two", "gone")
	step("syncdir", fsys.SyncDir("/"), "gone")
}

func TestAWriteCanBeTornBySectors(t *testing.T) {
	fsys := durabletest.New()
	f, err := fsys.OpenFile("/f", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Preallocate(1536); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := fsys.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 1536)
	for i := range data {
		data[i] = 'x'
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	middle, kinds := false, states(t, fsys)
	for s := range kinds {
		if len(s) != len(data) {
			t.Fatalf("%d bytes", len(s))
		}
		middle = middle || s[0] == 0 && s[600] == 'x' && s[1500] == 0
	}
	if len(kinds) < 4 || !middle {
		t.Errorf("%d kinds, only the middle sector: %v", len(kinds), middle)
	}
}

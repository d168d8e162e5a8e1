package badinput

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// picture is every file of a folder with its content and mode, sockets and the lock left out.
func picture(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "lock" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		info, err := d.Info()
		if err != nil {
			return err
		}
		out[path] = info.Mode().String() + " " + hex.EncodeToString(sum[:])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sameFiles(t *testing.T, before, after map[string]string) {
	t.Helper()
	for path, was := range before {
		if after[path] != was {
			t.Errorf("%s was changed", path)
		}
	}
	for path := range after {
		if before[path] == "" {
			t.Errorf("%s was made", path)
		}
	}
}

// A second agent on the same state is refused, and the first goes on.
func TestState_SecondAgent(t *testing.T) {
	a := site(t, harness.Options{})
	b := harness.NewAgent(t, harness.Options{State: a.State})
	refused(t, b.Do("run"), 1, "state_locked", a.State)
	events := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(events, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, b.Do("replay", events, "-o", "json"), 1, "state_locked", a.State)
	if code, _, _ := a.Post("/v1/batch", batchOf(good)); code != 200 {
		t.Errorf("the first agent answers %d", code)
	}
	a.Received(1, 0)
	if code := a.Stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	b.Start()
	b.Received(1, 0)
}

// A binary that is older than the state says so and touches nothing.
func TestState_NewerThanTheBinary(t *testing.T) {
	a := site(t, harness.Options{})
	a.Post("/v1/batch", batchOf(good))
	a.Received(1, 0)
	a.Stop()
	path := filepath.Join(a.State, "state.json")
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(was, &state); err != nil {
		t.Fatal(err)
	}
	state["layout"] = state["layout"].(float64) + 1
	newer, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, newer, 0o600); err != nil {
		t.Fatal(err)
	}
	before := picture(t, a.State)
	for _, args := range [][]string{{"run"}, {"status"}, {"preview"}, {"ledger"}, {"consent", "set", "usage=off"}} {
		refused(t, a.Do(args...), 1, "state_newer", "layout")
	}
	sameFiles(t, before, picture(t, a.State))
	if err := os.WriteFile(path, was, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Start()
	a.Received(1, 0)
}

// A state file that is no state stops the agent by name and is not thrown away.
func TestState_Damaged(t *testing.T) {
	a := site(t, harness.Options{})
	a.Stop()
	path := filepath.Join(a.State, "state.json")
	if err := os.WriteFile(path, []byte(`{"layout":`), 0o600); err != nil {
		t.Fatal(err)
	}
	before := picture(t, a.State)
	r := a.Do("run")
	if r.Code == 0 || !strings.Contains(r.Stderr, "state.json") || strings.Contains(r.Stderr, "panic") {
		t.Errorf("%d %s", r.Code, r.Stderr)
	}
	sameFiles(t, before, picture(t, a.State))
}

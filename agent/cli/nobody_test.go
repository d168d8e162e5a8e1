package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// Rows and triggers per person are for a build of their own: the program as it is shipped has no level for
// them, no flag, no text and no code.
func TestTheProgramHasNoRowsPerPerson(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "fieldpost-agent")
	run := func(name string, args ...string) []byte {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return out
	}
	run("go", "build", "-trimpath", "-o", bin, "../../installer/cmd/fieldpost-agent")
	content, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	never := regexp.MustCompile(`(?i)pseudonym`)
	if !bytes.Contains(content, []byte("FIELDPOST_")) || never.Match(content) {
		t.Errorf("in the program: %q", never.Find(content))
	}
	symbols := run("go", "tool", "nm", bin)
	if !bytes.Contains(symbols, []byte("fieldpost/agent/consent.")) {
		t.Fatal("no symbols were read")
	}
	if found := regexp.MustCompile(`(?i)fieldpost/agent/\S*(pseudonym|per_?user|user_?rows|user_?trigger)\S*`).FindAll(symbols, -1); len(found) > 0 {
		t.Errorf("symbols: %q", found)
	}
	// The level is not there to be set.
	out, err := exec.Command(bin, "consent", "set", "usage=pseudonymous", "--state", t.TempDir()).CombinedOutput()
	if err == nil {
		t.Errorf("the level was taken: %s", out)
	}
	help := run(bin, "consent", "set", "--help")
	if never.Match(help) {
		t.Errorf("help: %s", help)
	}
}

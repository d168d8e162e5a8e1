package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	neverText   = regexp.MustCompile(`(?i)pseudonym|fieldpost_rows|fieldpost_triggers|rows_allow|triggers_allow`)
	neverSymbol = regexp.MustCompile(`(?i)fieldpost/agent/\S*(pseudonym|persons|per_?user|user_?rows|user_?trigger)\S*`)
)

// built is a program, its symbols, and what of rows and triggers per person is in either.
func built(t *testing.T, tags string) (bin string, traces []string) {
	t.Helper()
	bin = filepath.Join(t.TempDir(), "fieldpost-agent")
	run(t, "go", "build", "-trimpath", "-tags", tags, "-o", bin, "../../installer/cmd/fieldpost-agent")
	content, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	symbols := run(t, "go", "tool", "nm", bin)
	if !bytes.Contains(content, []byte("FIELDPOST_")) || !bytes.Contains(symbols, []byte("fieldpost/agent/consent.")) {
		t.Fatal("nothing was read")
	}
	seen := map[string]bool{}
	for _, found := range append(neverText.FindAll(content, -1), neverSymbol.FindAll(symbols, -1)...) {
		if s := strings.ToLower(string(found)); !seen[s] {
			seen[s] = true
			traces = append(traces, s)
		}
	}
	return bin, traces
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// Rows and triggers per person are for a build of their own: the program as it is shipped has no level for
// them, no command, no flag, no text and no code.
func TestTheProgramHasNoRowsPerPerson(t *testing.T) {
	bin, traces := built(t, "")
	if len(traces) > 0 {
		t.Errorf("in the program: %q", traces)
	}
	for _, command := range []string{"rows", "triggers"} {
		out, err := exec.Command(bin, command, "--state", t.TempDir()).CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("unknown command")) {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	// The level is not there to be set.
	out, err := exec.Command(bin, "consent", "set", "usage=pseudonymous", "--state", t.TempDir()).CombinedOutput()
	if err == nil {
		t.Errorf("the level was taken: %s", out)
	}
	help := run(t, bin, "consent", "set", "--help")
	if neverText.Match(help) {
		t.Errorf("help: %s", help)
	}
}

// The search above can fail: in the build with the tag it finds texts and symbols of both.
func TestTheSearchFindsThemInTheBuildThatHasThem(t *testing.T) {
	bin, traces := built(t, "pseudonymous")
	all := strings.Join(traces, "\n")
	for _, want := range []string{"pseudonym", "fieldpost_rows", "fieldpost_triggers", "rows_allow", "triggers_allow", "fieldpost/agent/measure/persons.", "fieldpost/agent/pseudonymous."} {
		if !strings.Contains(all, want) {
			t.Errorf("%s was not found", want)
		}
	}
	for _, command := range []string{"rows", "triggers"} {
		run(t, bin, command, "--help")
	}
	out, err := exec.Command(bin, "consent", "set", "usage=pseudonymous", "--state", t.TempDir()).CombinedOutput()
	if err == nil { // rows have a decision of their own and no level of a category
		t.Errorf("the level was taken: %s", out)
	}
}

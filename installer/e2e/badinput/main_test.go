// Package badinput gives the real agent process everything that can be wrong with what it is given, by
// the product, the vendor, the administrator and the machine. Each gets its coded error and its exit
// code or status, and loses nothing else: what was good before and beside it is measured to the event.
// There is no state on disk outside the tests' temporary folders.
package badinput

import (
	"os"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, "fieldpost-agent", "fieldpost-collector")) }

// refused demands a command's coded error, with a remedy, and its exit code.
func refused(t *testing.T, r harness.Result, exit int, code, says string) {
	t.Helper()
	if r.Code != exit || !strings.Contains(r.Stderr, "("+code+")") || !strings.Contains(r.Stderr, says) || !strings.Contains(r.Stderr, "Try: ") {
		t.Errorf("exit %d and %q; want exit %d, the code %s, %q and a remedy", r.Code, r.Stderr, exit, code, says)
	}
	if r.Stdout != "" {
		t.Errorf("a refusal printed %q", r.Stdout)
	}
}

func product(t *testing.T) *protocoltest.FakeCollector {
	t.Helper()
	return protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: examples.ProductCatalog()})
}

// site is a running, enrolled agent that measures locally.
func site(t *testing.T, o harness.Options) *harness.Agent {
	t.Helper()
	a := harness.NewAgent(t, o)
	a.Enrol(product(t))
	a.Must("consent", "set", "usage=local", "sla=local", "inventory=local")
	a.Start()
	return a
}

const (
	writeKey = "right"
	good     = `{"type":"track","userId":"ann","event":"Workflow Created","properties":{"template":"blank"}}`
)

func batchOf(events ...string) string {
	return `{"writeKey":"` + writeKey + `","batch":[` + strings.Join(events, ",") + `]}`
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryCommandHasAPage(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	for page, want := range map[string]string{"fieldpost-agent.1": "FIELDPOST_STATE", "fieldpost-agent-run.1": "FIELDPOST_LISTEN",
		"fieldpost-agent-consent-set.1": "aggregate", "fieldpost-collector-serve.1": "FIELDPOST_COLLECTOR", "fieldpost-collector-token-create.1": "environment"} {
		b, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %v, or it does not mention %s", page, err, want)
		}
	}
}

package badinput

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
)

// What an administrator of the collector can get wrong, while one that is right goes on.
func TestCollector(t *testing.T) {
	c := harness.NewCollector(t, examples.ProductCatalog())
	says := func(r harness.Result, exit int, words ...string) {
		t.Helper()
		if r.Code != exit {
			t.Errorf("exit %d, want %d: %s", r.Code, exit, r.Stderr)
		}
		for _, w := range append(words, "Try: ") {
			if !strings.Contains(r.Stderr, w) {
				t.Errorf("%q does not say %q", r.Stderr, w)
			}
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "catalog.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := string(examples.ProductCatalog())
	key := filepath.Join(dir, "other.key")
	c.Must("catalog", "keygen", "--key", key)

	write(strings.Replace(good, "    category: usage", "    categori: usage", 1))
	says(c.Do("catalog", "sign", "--key", key, file), 1, "catalog_unknown_key", "line ", "categori", "category")
	write(good)
	c.Must("catalog", "sign", "--key", key, file) // a key that nobody trusts here
	says(c.Do("catalog", "add", file), 1, "catalog_bad_signature")

	says(c.Do("serve", "--listen", "127.0.0.1:0"), 1, "data_in_use", c.Data)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other := []string{"--data", filepath.Join(dir, "data")}
	says(c.Do(append(other, "serve", "--listen", taken.Addr().String())...), 1, "port_in_use", taken.Addr().String())
	r := c.Do("token", "create", "--account", "a/b", "--installation", "x", "--environment", "test", "--out", filepath.Join(dir, "token"))
	if r.Code != 2 || !strings.Contains(r.Stderr, "(bad_input)") || !strings.Contains(r.Stderr, `"a/b"`) {
		t.Errorf("%d %s", r.Code, r.Stderr)
	}

	a := harness.NewAgent(t, harness.Options{})
	c.Enrol(a) // after all that it lets agents in
	c.Stop()
}

func TestCollector_DataNotWritable(t *testing.T) {
	harness.NeedRoot(t, "running as another user")
	r := harness.RunAs(t, 65534, "fieldpost-collector", "serve", "--data", filepath.Join(t.TempDir(), "data"), "--listen", "127.0.0.1:0")
	refused(t, r, 1, "data_not_writable", "data")
}

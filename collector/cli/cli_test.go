package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

const catalogFile = `
catalog: shop
version: 1
vendor: Shop Ltd
events:
  used: {match: "Used"}
measures:
  - {id: people, kind: active_users, events: [used], category: usage, question: "Who?", purpose: "p", owner: o, retention: 730d}
`

// call runs a command and checks its exit code.
func call(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	got := Run(t.Context(), args, Deps{Version: "test", Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }})
	if got != want {
		t.Fatalf("%v: exit %d, want %d\n%s%s", args, got, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// ready gives a data directory with a trusted key and a catalog.
func ready(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	key, cat := filepath.Join(t.TempDir(), "vendor.key"), file(t, "catalog.yaml", catalogFile)
	call(t, 0, "catalog", "keygen", "--key", key)
	call(t, 0, "catalog", "sign", "--key", key, cat)
	call(t, 0, "catalog", "add", "--data", dir, "--pub", key+".pub", cat)
	return dir
}

func TestOperatorsFirstTenMinutes(t *testing.T) {
	dir := ready(t)
	out := filepath.Join(t.TempDir(), "t.token")
	call(t, 0, "token", "create", "--data", dir, "--account", "acme", "--installation", "eu", "--environment", "production", "--url", "https://example.com:8443", "--out", out)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := exchange.ParseToken(string(b))
	if err != nil || tok.Account != "acme" || len(tok.CA) == 0 || tok.MaxUses != 1 {
		t.Fatalf("token %+v: %v", tok, err)
	}
	if st, err := os.Stat(out); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("the token's file has mode %v: %v", st.Mode(), err)
	}
	list, _ := call(t, 0, "token", "list", "--data", dir)
	if !strings.Contains(list, "live") || strings.Contains(list, string(tok.Secret)) {
		t.Fatal(list)
	}
	call(t, 0, "token", "revoke", "--data", dir, tok.ID.String())
	if list, _ = call(t, 0, "token", "list", "--data", dir, "-o", "json"); !strings.Contains(list, `"state":"revoked"`) {
		t.Fatal(list)
	}
	if show, _ := call(t, 0, "catalog", "show", "--data", dir); show != catalogFile {
		t.Fatalf("the catalog is not the one that was signed: %q", show)
	}
	if a, _ := call(t, 0, "audit", "--data", dir); !strings.Contains(a, "token_created") || !strings.Contains(a, "catalog_added") {
		t.Fatal(a)
	}
}

func TestErrorsHaveCodesAndHints(t *testing.T) {
	dir := ready(t)
	file1 := file(t, "plain", "")
	for _, c := range []struct {
		exit int
		code string
		args []string
	}{
		{1, "data_missing", []string{"token", "list", "--data", t.TempDir()}},
		{1, "data_not_writable", []string{"token", "create", "--data", filepath.Join(file1, "x"), "--account", "a", "--installation", "b", "--environment", "test", "--out", "-"}},
		{2, "bad_input", []string{"token", "create", "--data", dir, "--account", "a/b", "--installation", "b", "--environment", "test", "--out", "-"}},
		{2, "bad_input", []string{"token", "create", "--data", dir, "--account", "a", "--installation", "b", "--environment", "prod", "--out", "-"}},
		{1, "catalog_key_missing", []string{"token", "create", "--data", filepath.Join(t.TempDir(), "new"), "--account", "a", "--installation", "b", "--environment", "test", "--out", "-"}},
		{2, "", []string{"token", "create", "--data", dir}},
		{2, "", []string{"token", "lisst"}},
		{2, "", []string{"serve", "--nonsense"}},
		{2, "", []string{"query", "--data", dir, "--grain", "fortnight"}},
		{2, "", []string{"query", "--data", dir, "-o", "xml"}},
		{2, "bad_input", []string{"account", "import", "--data", dir, file(t, "a.csv", "key,name\nok,Fine\nnot ok,Bad\n")}},
		{2, "bad_input", []string{"serve", "--data", dir, "--url", "http://plain"}},
		{1, "port_in_use", []string{"serve", "--data", dir, "--listen", "256.0.0.1:1"}},
		{1, "catalog_", []string{"catalog", "sign", "--key", file1, file(t, "bad.yaml", strings.Replace(catalogFile, "vendor", "vendr", 1))}},
		{1, "not_found", []string{"account", "close", "nobody", "--data", dir}},
	} {
		_, stderr := call(t, c.exit, c.args...)
		if !strings.Contains(stderr, c.code) || !strings.HasPrefix(stderr, "error: ") {
			t.Errorf("%v: %s", c.args, stderr)
		}
	}
	if _, stderr := call(t, 2, "account", "import", "--data", dir, file(t, "b.csv", "key,name\nok,Fine\nok,Twice\n")); !strings.Contains(stderr, "line 3") || !strings.Contains(stderr, "line 2") {
		t.Errorf("the line is not named: %s", stderr)
	}
}

func TestAccountsGoInAndOut(t *testing.T) {
	dir := ready(t)
	crm := "\uFEFFKey;Name;Industry;Seats;Renewal date\nacme;Acme;steel;90;2027-01-01\nbolt;\"=HYPERLINK(\"\"x\"\")\";;-5;\n"
	if out, _ := call(t, 0, "account", "import", "--data", dir, file(t, "crm.csv", crm)); out != "2 accounts created, 0 updated\n" {
		t.Fatal(out)
	}
	out, _ := call(t, 0, "export", "csv", "accounts", "--data", dir)
	want := "key,name,installations,reporting,last_report,industry,renewal date,seats\nacme,Acme,0,0,-,steel,2027-01-01,90\nbolt,\"'=HYPERLINK(\"\"x\"\")\",0,0,-,,,-5\n" // S61
	if out != want {
		t.Fatalf("TestS61: %q", out)
	}
}

func TestS60_terminalEscapesAreTakenOut(t *testing.T) {
	dir := ready(t)
	call(t, 0, "account", "import", "--data", dir, file(t, "crm.csv", "key,name\nacme,\"\x1b[31mred\u202e\"\n"))
	out, _ := call(t, 0, "account", "list", "--data", dir)
	if strings.ContainsAny(out, "\x1b\u202e") || !strings.Contains(out, "red") {
		t.Fatalf("%q", out)
	}
}

func TestEnvironmentFillsFlags(t *testing.T) {
	dir := ready(t)
	var out, errs bytes.Buffer
	code := Run(t.Context(), []string{"catalog", "list"}, Deps{Stdout: &out, Stderr: &errs, Getenv: func(k string) string {
		return map[string]string{"FIELDPOST_COLLECTOR_DATA": dir, "FIELDPOST_COLLECTOR_OUTPUT": "json"}[k]
	}})
	if code != 0 || !strings.Contains(out.String(), `"catalog":"shop"`) {
		t.Fatalf("%d: %s%s", code, out.String(), errs.String())
	}
	if help, _ := call(t, 0, "serve", "--help"); !strings.Contains(help, "[$FIELDPOST_COLLECTOR_LISTEN]") {
		t.Fatalf("the help does not show the environment:\n%s", help)
	}
}

func TestServeAndTheCommandsBesideIt(t *testing.T) {
	dir := ready(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		done <- Run(ctx, []string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, Deps{Version: "test", Stdout: w, Stderr: &errs, Getenv: func(string) string { return "" }})
	}()
	buf := make([]byte, 4096)
	n := 0
	for !strings.Contains(string(buf[:n]), "/login/") {
		m, err := r.Read(buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	_, after, _ := strings.Cut(string(buf[:n]), "(127.0.0.1:")
	port, _, _ := strings.Cut(after, ")")
	// A second serve, and commands that write beside the first.
	if _, stderr := call(t, 1, "serve", "--data", dir, "--listen", "127.0.0.1:0"); !strings.Contains(stderr, "data_in_use") {
		t.Error(stderr)
	}
	if _, stderr := call(t, 1, "serve", "--data", filepath.Join(t.TempDir(), "other"), "--listen", "127.0.0.1:"+port); !strings.Contains(stderr, "port_in_use") {
		t.Error(stderr)
	}
	call(t, 0, "token", "create", "--data", dir, "--account", "acme", "--installation", "eu", "--environment", "test", "--out", filepath.Join(t.TempDir(), "t"))
	if out, _ := call(t, 0, "doctor", "--data", dir); !strings.Contains(out, "sound") || !strings.Contains(out, "answers at") {
		t.Error(out)
	}
	// S19: nothing below TLS 1.2, nothing in plain text that looks like an answer.
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil {
		_ = conn.Close()
		t.Error("TestS19: TLS 1.1 was accepted")
	}
	res, err := (&http.Client{Timeout: 5 * time.Second}).Get("http://127.0.0.1:" + port + "/agent/v1/challenge?token=00000000000000000000000000000000")
	if err == nil {
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("TestS19: plain HTTP was answered with %d", res.StatusCode)
		}
	}
	cancel()
	if code := <-done; code != 0 {
		t.Fatalf("serve ended with %d: %s", code, errs.String())
	}
	if out, _ := call(t, 1, "doctor", "--data", dir); !strings.Contains(out, "start fieldpost-collector serve") {
		t.Error(out)
	}
}

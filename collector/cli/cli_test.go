package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
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
	call(t, 0, "token", "revoke", "--yes", "--data", dir, tok.ID.String())
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
	file1, zero := file(t, "plain", ""), exchange.ID{}.String()
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
		{1, "not_found", []string{"token", "revoke", zero, "--data", dir}},
		{1, "not_found", []string{"agent", "revoke", zero, "--data", dir}},
		{1, "not_found", []string{"quarantine", "show", "7", "--data", dir}},
		{1, "not_found", []string{"quarantine", "export", "7", filepath.Join(t.TempDir(), "x"), "--data", dir}},
		{1, "not_found", []string{"user", "login", "nobody", "--data", dir}},
		{1, "not_found", []string{"apitoken", "revoke", "--yes", zero + zero, "--data", dir}},
		{1, "not_found", []string{"catalog", "show", "nothing", "--data", dir}},
		{1, "not_found", []string{"catalog", "show", "shop", "9", "--data", dir}},
		{2, "usage", []string{"nonsense"}},
		{2, "usage", []string{"account", "list", "--sort", "luck", "--data", dir}},
		{2, "usage", []string{"quarantine", "list", "--limit", "-5", "--data", dir}},
		{2, "usage", []string{"quarantine", "show", "x", "--data", dir}},
		{2, "usage", []string{"audit", "--limit", "5000", "--data", dir}},
		{2, "usage", []string{"token", "create", "--data", dir, "--account", "a", "--installation", "b", "--environment", "test", "--out", "-", "--uses", "0"}},
		{2, "label_invalid", []string{"apitoken", "create", "--data", dir}},
		{2, "role_unknown", []string{"user", "set", "ann", "--role", "boss", "--data", dir}},
		{2, "file_unreadable", []string{"account", "import", "--data", dir, "nowhere.csv"}},
		{2, "file_unreadable", []string{"catalog", "sign", "--key", "nowhere.key", file(t, "c.yaml", catalogFile)}},
		{1, "catalog_bad_key", []string{"catalog", "trust", "--data", dir, file1}},
		{1, "file_not_writable", []string{"token", "create", "--data", dir, "--account", "a", "--installation", "b", "--environment", "test", "--out", filepath.Join(t.TempDir(), "no", "t")}},
		{1, "conflict", []string{"token", "create", "--data", dir, "--account", "a", "--installation", "b", "--environment", "test", "--out", file1}},
	} {
		_, stderr := call(t, c.exit, c.args...)
		if !strings.Contains(stderr, c.code) || !strings.HasPrefix(stderr, "error: ") || strings.Contains(stderr, "internal") || strings.Contains(stderr, "no such row") {
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
	if out, _ := call(t, 3, "doctor", "--data", dir); !strings.Contains(out, "start fieldpost-collector serve") {
		t.Error(out)
	}
}

// What a new user does in the wrong order says what comes first.
func TestHintsLeadThroughTheFirstSteps(t *testing.T) {
	dir, key, cat := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "vendor.key"), file(t, "catalog.yaml", catalogFile)
	out := func(n string) string { return filepath.Join(t.TempDir(), n) }
	create := []string{"token", "create", "--data", dir, "--account", "acme", "--installation", "eu", "--environment", "test", "--out"}
	says := func(stderr string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(stderr, w) {
				t.Errorf("no %q in %s", w, stderr)
			}
		}
	}
	_, stderr := call(t, 1, append(create, out("a"))...)
	says(stderr, "catalog_key_missing", "catalog keygen", "catalog trust", "catalog sign", "catalog add")
	call(t, 0, "catalog", "keygen", "--key", key)
	_, stderr = call(t, 1, "catalog", "add", "--data", dir, cat)
	says(stderr, "catalog sign --key")
	call(t, 0, "catalog", "sign", "--key", key, cat)
	_, stderr = call(t, 1, "catalog", "add", "--data", dir, cat)
	says(stderr, "catalog_key_missing", "catalog trust")
	call(t, 0, "catalog", "trust", "--data", dir, key+".pub")
	_, stderr = call(t, 0, append(create, out("b"))...)
	says(stderr, "no catalog yet", "catalog add")
	call(t, 0, "catalog", "add", "--data", dir, cat)
	if _, stderr = call(t, 0, append(create, out("c"))...); stderr != "" {
		t.Errorf("all is well, and it says %s", stderr)
	}
}

// What cannot be taken back is asked for on a terminal, and needs --yes elsewhere.
func TestDestructiveCommandsAsk(t *testing.T) {
	dir := told(t)
	list, _ := call(t, 0, "agent", "list", "--data", dir, "-o", "json")
	var agent, token, api map[string]string
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(json.Unmarshal([]byte(list), &agent))
	list, _ = call(t, 0, "token", "list", "--data", dir, "-o", "json")
	check(json.Unmarshal([]byte(list), &token))
	call(t, 0, "user", "set", "ann", "--data", dir)
	call(t, 0, "apitoken", "create", "--user", "ann", "--label", "x", "--data", dir)
	list, _ = call(t, 0, "apitoken", "list", "--data", dir, "-o", "json")
	check(json.Unmarshal([]byte(list), &api))
	answer := func(want int, say string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		d := Deps{Stdin: strings.NewReader(say), Terminal: func() bool { return true }, Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
		if got := Run(t.Context(), append(args, "--data", dir), d); got != want {
			t.Fatalf("%v answered %q: exit %d, want %d\n%s%s", args, say, got, want, out.String(), errs.String())
		}
		return errs.String()
	}
	for _, c := range []struct {
		args  []string
		state []string // a command that shows it
		after string
	}{
		{[]string{"token", "revoke", token["id"]}, []string{"token", "list"}, "revoked"},
		{[]string{"account", "close", "acme"}, []string{"account", "list"}, "true"},
		{[]string{"agent", "revoke", agent["id"]}, []string{"agent", "list"}, "revoked"},
		{[]string{"apitoken", "revoke", api["id"]}, []string{"audit"}, "api_token_revoked"},
	} {
		if _, stderr := call(t, 2, append(c.args, "--data", dir)...); !strings.Contains(stderr, "--yes") {
			t.Errorf("%v where nobody can be asked: %s", c.args, stderr)
		}
		for _, no := range []string{"", "\n", "n\n", "nonsense\n"} {
			if said := answer(1, no, c.args...); !strings.Contains(said, "[y/N]") || !strings.Contains(said, "nothing was changed") {
				t.Errorf("%v: %s", c.args, said)
			}
		}
		if out, _ := call(t, 0, append(c.state, "--data", dir)...); strings.Contains(out, c.after) {
			t.Fatalf("%v was done without a yes:\n%s", c.args, out)
		}
		answer(0, "y\n", c.args...)
		if out, _ := call(t, 0, append(c.state, "--data", dir)...); !strings.Contains(out, c.after) {
			t.Errorf("%v was not done:\n%s", c.args, out)
		}
	}
	call(t, 0, "account", "close", "acme", "--yes", "--data", dir)
	call(t, 0, "account", "open", "acme", "--data", dir)
}

func TestQuarantineShow(t *testing.T) {
	dir := told(t)
	out, _ := call(t, 0, "quarantine", "show", "1", "--data", dir)
	for _, want := range []string{"consent_not_covered", "usage is at level local", "acme", "not readable"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	to := filepath.Join(t.TempDir(), "batch")
	call(t, 0, "quarantine", "export", "1", to, "--data", dir)
	if b, err := os.ReadFile(to); err != nil || string(b) != "its bytes" {
		t.Fatalf("%q, %v", b, err)
	}
	call(t, 1, "quarantine", "export", "1", to, "--data", dir) // nothing is overwritten
}

// A list of accounts has bounds, and each one names its line.
func TestImportIsBounded(t *testing.T) {
	dir := ready(t)
	wide := "key"
	for i := range maxColumns {
		wide += fmt.Sprintf(",c%d", i)
	}
	for name, c := range map[string]struct{ text, want string }{
		"no column key":         {"name\nAcme\n", "no column named key"},
		"empty":                 {"", "line 1"},
		"a column twice":        {"key,Plan,plan\na,b,c\n", "two columns"},
		"a column without name": {"key,,x\na,b,c\n", "column 2"},
		"too many columns":      {wide + "\n", "more than 200"},
		"a long column name":    {"key," + strings.Repeat("n", 65) + "\n", "column 2"},
		"a line too short":      {"key,name\na\n", "line 2"},
		"an open quote":         {"key,name\na,\"x\n", "line"},
		"a long value":          {"key,name,x\na,b," + strings.Repeat("v", maxValue+1) + "\n", "line 2"},
		"a long key":            {"key\n" + strings.Repeat("k", 129) + "\n", "line 2"},
		"a key with a line":     {"key\n\"a\nb\"\n", "line 2"},
		"a key with an escape":  {"key\n\x1b[31m\n", "line 2"},
		"an empty key":          {"key,name\nok,x\n,y\n", "line 3"},
		"a key that is a path":  {"key\n../x\n", "line 2"},
		"not UTF-8":             {"key,name\na,\xff\n", "UTF-8"},
	} {
		_, stderr := call(t, 2, "account", "import", "--data", dir, file(t, "x.csv", c.text))
		if !strings.Contains(stderr, c.want) || !strings.Contains(stderr, "bad_input") || strings.Contains(stderr, "\x1b") {
			t.Errorf("%s: %s", name, stderr)
		}
	}
	if out, _ := call(t, 0, "account", "list", "--data", dir, "-o", "json"); out != "" {
		t.Errorf("something was imported: %s", out)
	}
	// What is just within.
	text := "key,name,x\n" + strings.Repeat("k", 128) + ",b," + strings.Repeat("v", maxValue) + "\n"
	call(t, 0, "account", "import", "--data", dir, file(t, "y.csv", text))
}

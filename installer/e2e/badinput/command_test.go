package badinput

import (
	"crypto/ed25519"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

// Whatever was wrong with an enrolment, the state is as it was: a good token then joins.
func TestEnrolment(t *testing.T) {
	token := func(t *testing.T, f *protocoltest.FakeCollector, s protocoltest.TokenSpec) exchange.Token {
		t.Helper()
		s.Account, s.Installation = "acme", "berlin"
		return f.Token(t, s)
	}
	for name, c := range map[string]struct {
		text func(t *testing.T, f *protocoltest.FakeCollector) string
		exit int
		code string
		says string
	}{
		"nothing":     {func(*testing.T, *protocoltest.FakeCollector) string { return " \n" }, 2, "token_unreadable", "empty"},
		"not a token": {func(*testing.T, *protocoltest.FakeCollector) string { return "fp2.AAAA" }, 2, "token_invalid", ""},
		"cut short": {func(t *testing.T, f *protocoltest.FakeCollector) string {
			text := token(t, f, protocoltest.TokenSpec{}).String()
			return text[:len(text)-10]
		}, 2, "token_invalid", ""},
		"expired": {func(t *testing.T, f *protocoltest.FakeCollector) string {
			return token(t, f, protocoltest.TokenSpec{Expires: -time.Hour}).String()
		}, 1, "token_expired", "expired"},
		"used up": {func(t *testing.T, f *protocoltest.FakeCollector) string {
			used := token(t, f, protocoltest.TokenSpec{})
			if r := harness.NewAgent(t, harness.Options{}).DoWith(used.String(), "enroll"); r.Code != 0 {
				t.Fatal(r.Stderr)
			}
			return used.String()
		}, 1, "collector_pause", "token_used"},
		"revoked": {func(t *testing.T, f *protocoltest.FakeCollector) string {
			x := token(t, f, protocoltest.TokenSpec{})
			f.RevokeToken(x.ID)
			return x.String()
		}, 1, "collector_pause", "token_revoked"},
		"another account's": {func(t *testing.T, f *protocoltest.FakeCollector) string {
			x := token(t, f, protocoltest.TokenSpec{})
			x.Account = "other"
			return x.String()
		}, 1, "collector_pause", ""},
		"a wrong secret": {func(t *testing.T, f *protocoltest.FakeCollector) string {
			x := token(t, f, protocoltest.TokenSpec{})
			x.Secret[0] ^= 1
			return x.String()
		}, 1, "collector_pause", ""},
		"an impostor's answers": {func(t *testing.T, f *protocoltest.FakeCollector) string {
			_, key, err := ed25519.GenerateKey(nil)
			if err != nil {
				t.Fatal(err)
			}
			f.Inject(protocoltest.Fault{Do: protocoltest.SignedBy(key)})
			return token(t, f, protocoltest.TokenSpec{}).String()
		}, 3, "collector_unreachable", ""},
		"nobody there": {func(t *testing.T, f *protocoltest.FakeCollector) string {
			x := token(t, f, protocoltest.TokenSpec{})
			x.URL = "https://127.0.0.1:1"
			return x.String()
		}, 3, "collector_unreachable", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := product(t)
			a := harness.NewAgent(t, harness.Options{})
			r := a.DoWith(c.text(t, f), "enroll")
			refused(t, r, c.exit, c.code, c.says)
			if strings.Contains(a.Do("status", "-o", "json").Stdout, f.URL) {
				t.Error("it is enrolled all the same")
			}
			f.Heal()
			a.Enrol(f)
		})
	}
}

// The token is never taken from the command line, where every user of the machine can read it.
func TestEnrolment_TokenOnTheCommandLine(t *testing.T) {
	f := product(t)
	a := harness.NewAgent(t, harness.Options{})
	text := f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "berlin"}).String()
	r := a.Do("enroll", text)
	refused(t, r, 2, "usage", "--token-file")
	if strings.Contains(r.Stderr, text[4:]) {
		t.Error("the token is printed")
	}
	if f.Calls(exchange.PathJoin) != 0 {
		t.Error("it joined")
	}
}

// A catalog that the key in the token did not sign does not come into force, and nothing else stops.
func TestCatalog_SignedByAnotherKey(t *testing.T) {
	f := product(t)
	x := f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "berlin"})
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	x.CatalogKey = other
	a := harness.NewAgent(t, harness.Options{})
	if r := a.DoWith(x.String(), "enroll"); r.Code != 0 || !strings.Contains(r.Stderr, "catalog_refused") {
		t.Errorf("%d %s", r.Code, r.Stderr)
	}
	refused(t, a.Do("catalog"), 1, "catalog_missing", "")
	a.Start()
	if code, answer, _ := a.Post("/v1/batch", batchOf(good)); code != 200 {
		t.Errorf("%d %s", code, answer)
	}
	if e, _ := a.Received(1, 0); e.Reasons["off"] != 1 {
		t.Errorf("without a catalog an event was %v", e.Reasons)
	}
	if _, err := a.Site().Send(t.Context()); err == nil || !strings.Contains(err.Error(), "catalog_refused") {
		t.Errorf("sending says %v", err)
	}
}

func TestCatalog_OfAReplay(t *testing.T) {
	good := string(examples.ProductCatalog())
	events := filepath.Join(t.TempDir(), "events.jsonl")
	line := `{"type":"track","userId":"ann","event":"Workflow Created","messageId":"1","receivedAt":"2024-01-01T00:00:00Z","timestamp":"2024-01-01T00:00:00Z"}` + "\n"
	if err := os.WriteFile(events, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	a := harness.NewAgent(t, harness.Options{})
	for _, c := range []struct {
		name, text, code string
		says             []string
	}{
		{"an unknown key", strings.Replace(good, "    category: usage", "    categori: usage", 1), "catalog_invalid", []string{"categori", "category", "line"}},
		{"a tab", strings.Replace(good, "  - id: people", "\t- id: people", 1), "catalog_invalid", nil},
		{"no measures", "catalog: x\nversion: 1\n", "catalog_invalid", nil},
		{"bytes", "\x00\xff\xfe", "catalog_invalid", nil},
	} {
		file := filepath.Join(t.TempDir(), "catalog.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := a.Do("replay", "--catalog", file, events, "-o", "json")
		refused(t, r, 2, c.code, "")
		for _, word := range c.says {
			if !strings.Contains(r.Stderr, word) {
				t.Errorf("%s: %q does not say %q", c.name, r.Stderr, word)
			}
		}
	}
	refused(t, a.Do("replay", "--catalog", filepath.Join(t.TempDir(), "none"), events, "-o", "json"), 2, "catalog_unreadable", "")
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, a.Do("replay", "--catalog", file, filepath.Join(t.TempDir(), "none"), "-o", "json"), 2, "events_unreadable", "")
	a.Must("replay", "--catalog", file, events, "-o", "json")
	if st := a.Status(); st.Events.Reasons["measured"] != 1 {
		t.Errorf("after all that the good replay measured %v", st.Events.Reasons)
	}
	if r := a.Do("run"); r.Code != 2 || !strings.Contains(r.Stderr, "(state_simulated)") {
		t.Errorf("running on a replay's state: %d %s", r.Code, r.Stderr)
	}
}

func TestConfiguration(t *testing.T) {
	for config, want := range map[string][]string{
		"lisen: 127.0.0.1:1":                     {"config_unknown_key", "agent.yaml:4", "lisen", "listen"},
		"send_every: never":                      {"config_value", "agent.yaml:4", "send_every"},
		"journal_max: 1KiB":                      {"config_value", "journal_max", "32 MiB"},
		"zone: Mars/Olympus":                     {"config_value", "zone"},
		"probes: {web: {http: http://10.1.1.1}}": {"config_value", "probes", "probe_allow"},
		"send_every: 1h\nsend_every: 2h":         {"config_value", "twice"},
		"  broken: [":                            {"config_file"},
	} {
		a := harness.NewAgent(t, harness.Options{Config: config})
		for _, command := range []string{"run", "status"} {
			r := a.Do(command)
			if r.Code != 2 {
				t.Errorf("%q: %s: exit %d", config, command, r.Code)
			}
			for _, w := range append(want, "Try: ") {
				if !strings.Contains(r.Stderr, w) {
					t.Errorf("%q: %s: %q does not say %q", config, command, r.Stderr, w)
				}
			}
		}
		if _, err := os.Stat(a.State); err == nil {
			t.Errorf("%q: a state was made all the same", config)
		}
	}
	a := harness.NewAgent(t, harness.Options{})
	refused(t, a.Do("stauts"), 2, "usage", "stauts")
	refused(t, a.Do("version", "-o", "xml"), 2, "usage", "xml")
	refused(t, a.Do("status", "--stat", "x"), 2, "usage", "stat")
}

// A port that is taken is said by its name, and the state is left in order.
func TestPortInUse(t *testing.T) {
	a := harness.NewAgent(t, harness.Options{})
	for what, addr := range map[string]string{"intake": a.Listen, "console": a.Console} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		r := a.Do("run")
		refused(t, r, 1, "port_in_use", what)
		if !strings.Contains(r.Stderr, addr) {
			t.Errorf("%q does not say %s", r.Stderr, addr)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	a.Start()
}

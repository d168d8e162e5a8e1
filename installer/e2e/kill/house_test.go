package kill

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// vendor is a collector's data directory and the process that serves it.
type vendor struct {
	t      *testing.T
	dir    string // its commands run here
	listen string
	p      *process
	kills  int
	token  string // for the API
	http   *http.Client
}

func newVendor(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{t: t, dir: t.TempDir(), listen: freePort(t)}
	if err := os.WriteFile(filepath.Join(v.dir, "catalog.yaml"), examples.ForgeCatalog(), 0o600); err != nil {
		t.Fatal(err)
	}
	v.must("catalog", "keygen", "--key", "vendor.key")
	v.must("catalog", "sign", "--key", "vendor.key", "catalog.yaml")
	v.must("catalog", "add", "--pub", "vendor.key.pub", "catalog.yaml")
	v.start()
	v.ready()
	v.token = strings.TrimSpace(v.must("apitoken", "create", "--label", "test"))
	ca, err := os.ReadFile(filepath.Join(v.dir, "data", "tls", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	v.http = &http.Client{Timeout: patience, Transport: transport}
	return v
}

func (v *vendor) must(args ...string) string {
	v.t.Helper()
	return must(v.t, v.dir, "fieldpost-collector", append(args, "--data", "data")...)
}

func (v *vendor) running() bool { return v.p != nil && v.p.running() }

func (v *vendor) start() {
	v.t.Helper()
	if v.p != nil && v.p.code() != -1 {
		v.t.Fatalf("the collector ended by itself: exit %d\n%s", v.p.code(), v.p.log)
	}
	v.p = launch(v.t, v.dir, "fieldpost-collector", "serve", "--data", "data", "--listen", v.listen, "--url", "https://"+v.listen)
}

// ready waits until it answers.
func (v *vendor) ready() {
	v.t.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if !v.p.running() {
			v.t.Fatalf("the collector ended by itself: exit %d\n%s", v.p.code(), v.p.log)
		}
		if r, err := client.Get("https://" + v.listen + "/api/openapi.json"); err == nil {
			r.Body.Close()
			return
		}
	}
	v.t.Fatalf("the collector does not answer\n%s", v.p.log)
}

func (v *vendor) kill() {
	v.p.kill()
	v.kills++
}

// get reads one page of the API as a stranger does, over HTTPS and with a token.
func (v *vendor) get(path string, query url.Values, into any) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, "https://"+v.listen+path+"?"+query.Encode(), nil)
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+v.token)
	resp, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		v.t.Fatalf("GET %s: %s", path, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		v.t.Fatalf("GET %s: %v", path, err)
	}
}

// stored is every figure that the API returns for an installation; one that comes twice is counted.
func (v *vendor) stored(account, installation string) (figures map[string]report.Figure, doubled int) {
	v.t.Helper()
	figures = map[string]report.Figure{}
	for after := ""; ; {
		var page struct {
			Rows []report.Figure
			Next string
		}
		q := url.Values{"account": {account}, "installation": {installation}, "limit": {"10000"}}
		if after != "" {
			q.Set("after", after)
		}
		v.get("/api/v1/measurements", q, &page)
		for _, f := range page.Rows {
			if _, twice := figures[f.Key()]; twice {
				doubled++
			}
			figures[f.Key()] = f
		}
		if after = page.Next; after == "" {
			return figures, doubled
		}
	}
}

// site is an installation that is replayed into the collector.
type site struct {
	t       *testing.T
	dir     string
	account string // of the collector: two installations of the same history do not share one
	in      examples.Installation
	level   string // of usage
	p       *process
	kills   int
	starts  int
	outage  int // replays that ended because the collector was out of reach
	done    bool
}

const forge = "../../examples/forge"

// join makes a site and enrols it.
func join(t *testing.T, v *vendor, in examples.Installation, suffix, level string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), account: in.Account + suffix, in: in, level: level}
	token := filepath.Join(s.dir, "token")
	v.must("token", "create", "--account", s.account, "--installation", in.Installation, "--environment", "test", "--out", token)
	must(t, s.dir, "fieldpost-agent", "enroll", "--simulated", "--token-file", token, "--state", "state")
	return s
}

// start starts the replay, or goes on with it.
func (s *site) start() {
	s.t.Helper()
	file, err := filepath.Abs(filepath.Join(forge, "installations", s.in.Account+"--"+s.in.Installation+".jsonl.gz"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.starts++
	s.p = launch(s.t, s.dir, "fieldpost-agent", "replay", "--state", "state", "--remember", "forever",
		"--consent", "usage="+s.level, "--consent", "sla=aggregate", "--consent", "inventory=aggregate", "-o", "json", file)
}

// ended looks whether the replay has ended by itself, and that it did so for a good reason.
func (s *site) ended() bool {
	s.t.Helper()
	if s.p == nil || s.p.running() {
		return false
	}
	switch code := s.p.code(); code {
	case 0:
		s.done = true
	case 3:
		s.outage++
	case -1:
	default:
		s.t.Fatalf("the replay of %s ended by itself: exit %d\n%s", s.name(), code, s.p.log)
	}
	return true
}

func (s *site) name() string { return s.account + "/" + s.in.Installation }

func (s *site) kill() {
	s.p.kill()
	s.kills++
}

// status is what `status` says, whose identities have to hold after every fault.
func (s *site) status() control.Status {
	s.t.Helper()
	out, code := command(s.t, s.dir, "fieldpost-agent", "status", "--state", "state", "-o", "json")
	var st control.Status
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		s.t.Fatalf("status of %s: exit %d, %v\n%s", s.name(), code, err, out)
	}
	if d := st.Delivery; d.Frozen != d.Acknowledged+d.Outbox+d.Quarantined+d.Withdrawn {
		s.t.Errorf("%s: %d frozen is not %d acknowledged + %d waiting + %d quarantined + %d withdrawn", s.name(), d.Frozen, d.Acknowledged, d.Outbox, d.Quarantined, d.Withdrawn)
	}
	sum := uint64(0)
	for _, n := range st.Events.Reasons {
		sum += n
	}
	if sum != st.Events.Received {
		s.t.Errorf("%s: %d events received, the reasons add up to %d", s.name(), st.Events.Received, sum)
	}
	return st
}

// sent is every figure that the site's ledger says left; one that left twice is counted.
func (s *site) sent() (figures map[string]report.Figure, batches, doubled int) {
	s.t.Helper()
	out := must(s.t, s.dir, "fieldpost-agent", "ledger", "--state", "state", "--kind", "batch", "--figures", "--limit", fmt.Sprint(1<<30), "--verify", "-o", "json")
	var l control.Ledger
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		s.t.Fatal(err)
	}
	if l.Verified == nil || !*l.Verified {
		s.t.Errorf("%s: the ledger does not verify: %s", s.name(), l.Problem)
	}
	figures = map[string]report.Figure{}
	last := map[string]uint64{} // number of the newest batch by epoch; entries come newest first
	for _, e := range l.Entries {
		if len(e.Figures) != e.Cells {
			s.t.Errorf("%s: batch %d of %d figures shows %d", s.name(), e.Seq, e.Cells, len(e.Figures))
		}
		epoch := e.Epoch.String()
		if n := last[epoch]; n != 0 && e.Seq != n-1 {
			s.t.Errorf("%s: in epoch %s batch %d follows %d", s.name(), epoch, n, e.Seq)
		}
		last[epoch] = e.Seq
		for _, f := range e.Figures {
			if _, twice := figures[f.Key()]; twice {
				doubled++
			}
			figures[f.Key()] = f
		}
	}
	for epoch, n := range last {
		if n != 1 {
			s.t.Errorf("%s: epoch %s begins with batch %d", s.name(), epoch, n)
		}
	}
	return figures, len(l.Entries), doubled
}

package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"text/tabwriter"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Summary is what Check found.
type Summary struct {
	Accounts      int           `json:"accounts"`
	Installations int           `json:"installations"`
	Batches       int           `json:"batches"`
	Cells         int           `json:"cells"`
	Lost          int           `json:"lost"`      // in a ledger, not at the collector
	Doubled       int           `json:"doubled"`   // in two batches, or twice at the collector, or there and in no ledger
	Differing     int           `json:"differing"` // at both, with another figure
	Counts        int           `json:"counts"`    // of people, bounded by every site's audit of its ledger
	Breaches      int           `json:"breaches"`  // of them, those that follow more narrowly than allowed
	Took          time.Duration `json:"took"`
	First         string        `json:"first,omitempty"` // the first thing that is wrong
}

// OK says that nothing was lost, doubled or changed, and that no site told too much.
func (s *Summary) OK() bool {
	return s.Breaches == 0 && s.Lost == 0 && s.Doubled == 0 && s.Differing == 0 && s.Cells > 0
}

// Print writes the summary for people.
func (s *Summary) Print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, r := range []struct {
		k string
		v any
	}{{"accounts", s.Accounts}, {"installations", s.Installations}, {"batches", s.Batches}, {"cells", s.Cells}, {"lost", s.Lost},
		{"doubled", s.Doubled}, {"differing", s.Differing}, {"counts audited", s.Counts}, {"breaches", s.Breaches}, {"took", s.Took.Round(time.Second)}} {
		fmt.Fprintf(t, "%s\t%v\t\n", r.k, r.v)
	}
	t.Flush()
	if s.First != "" {
		fmt.Fprintln(w, "first:", s.First)
	}
}

// check compares what every site's ledger says was sent with what the API returns, cell by cell.
func (d *demo) check(ctx context.Context) (*Summary, error) {
	if err := d.drained(ctx); err != nil {
		return nil, err
	}
	client, err := d.api(ctx)
	if err != nil {
		return nil, err
	}
	sum := &Summary{}
	accounts := map[string]bool{}
	for _, m := range d.agents {
		accounts[m.account] = true
		sum.Installations++
		sent, batches, err := ledgerOf(ctx, m, sum)
		if err != nil {
			return nil, err
		}
		sum.Batches += batches
		sum.Cells += len(sent)
		a, err := m.agent.Audit(ctx, control.AuditOrder{Most: 1})
		if err != nil {
			return nil, fmt.Errorf("auditing %s/%s: %w", m.account, m.installation, err)
		}
		sum.Counts += a.Counts
		if sum.Breaches += a.Breaches; a.Breaches > 0 {
			sum.first(m, "more narrowly than allowed", fmt.Sprintf("%+v", a.Narrow[0]))
		}
		err = client.figures(ctx, m.account, m.installation, func(f report.Figure) { sum.compare(m, sent, f) })
		if err != nil {
			return nil, err
		}
		for key := range sent {
			sum.Lost++
			sum.first(m, "lost", key)
		}
	}
	sum.Accounts = len(accounts)
	sum.Took = time.Since(d.began)
	return sum, nil
}

func (s *Summary) first(m *member, what, key string) {
	if s.First == "" {
		s.First = fmt.Sprintf("%s/%s: %s: %s", m.account, m.installation, what, key)
	}
}

// compare strikes a returned figure off the list of sent ones.
func (s *Summary) compare(m *member, sent map[string]report.Figure, got report.Figure) {
	key := got.Key()
	want, ok := sent[key]
	switch {
	case !ok:
		s.Doubled++
		s.first(m, "returned twice or never sent", key)
		return
	case want.Form != got.Form || want.Lo != got.Lo || want.Hi != got.Hi || want.Text != got.Text || !reflect.DeepEqual(append([]byte{}, want.Blob...), append([]byte{}, got.Blob...)):
		s.Differing++
		s.first(m, fmt.Sprintf("sent %+v, returned %+v", want, got), key)
	}
	delete(sent, key)
}

// ledgerOf is every figure the site's ledger says left.
func ledgerOf(ctx context.Context, m *member, sum *Summary) (map[string]report.Figure, int, error) {
	l, err := m.agent.Ledger(ctx, control.LedgerQuery{Kind: "batch", Figures: true, Limit: 1 << 30, Verify: true})
	if err == nil && !*l.Verified {
		err = fmt.Errorf("the ledger does not verify: %s", l.Problem)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the ledger of %s/%s: %w", m.account, m.installation, err)
	}
	sent := map[string]report.Figure{}
	for _, e := range l.Entries {
		if len(e.Figures) != e.Cells {
			return nil, 0, fmt.Errorf("reading the ledger of %s/%s: batch %d of %d cells shows %d", m.account, m.installation, e.Seq, e.Cells, len(e.Figures))
		}
		for _, f := range e.Figures {
			if _, twice := sent[f.Key()]; twice {
				sum.Doubled++
				sum.first(m, "in two batches", f.Key())
			}
			sent[f.Key()] = f
		}
	}
	return sent, len(l.Entries), nil
}

// drained waits until everything on the stream is in the store.
func (d *demo) drained(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		n, err := d.collector.Queued(ctx)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the store: %d batches are still queued: %w", n, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// apiClient asks the collector's API as a stranger would: over HTTPS, with a token.
type apiClient struct {
	base, token string
	http        *http.Client
}

func (d *demo) api(ctx context.Context) (*apiClient, error) {
	token, err := d.collector.Data().Access().NewToken(ctx, "demo", "admin", "demo check", time.Hour)
	if err != nil {
		return nil, fmt.Errorf("making an API token: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(d.Dir, "collector", "tls", "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("reading the collector's CA: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &apiClient{base: d.collector.URL(), token: token, http: &http.Client{Timeout: time.Minute,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}}, nil
}

// figures pages through all measurements of an installation.
func (c *apiClient) figures(ctx context.Context, account, installation string, fn func(report.Figure)) error {
	after := ""
	for {
		q := url.Values{"account": {account}, "installation": {installation}, "limit": {"10000"}}
		if after != "" {
			q.Set("after", after)
		}
		var page struct {
			Rows []report.Figure `json:"rows"`
			Next string          `json:"next"`
		}
		if err := c.get(ctx, "/api/v1/measurements?"+q.Encode(), &page); err != nil {
			return err
		}
		for _, f := range page.Rows {
			fn(f)
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}

func (c *apiClient) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return fmt.Errorf("asking the API: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the API: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("asking the API for %s: %s: %s", path, resp.Status, b)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("reading the API's answer: %w", err)
	}
	return nil
}

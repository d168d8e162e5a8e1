package collector

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// raw opens a TLS connection that speaks HTTP/1.1 as badly as the test wants.
func (h *house) raw() net.Conn {
	h.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(must[*x509.Certificate](h.t)(x509.ParseCertificate(must[[]byte](h.t)(h.c.Data().caDER()))))
	d := &tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"http/1.1"}}}
	c := must[net.Conn](h.t)(d.DialContext(h.t.Context(), "tcp", h.c.Addr()))
	h.t.Cleanup(func() { _ = c.Close() })
	check(h.t, c.SetDeadline(time.Now().Add(30*time.Second)))
	return c
}

// exchangeRaw sends text and reads until the collector closes the connection.
func (h *house) exchangeRaw(text string) string {
	h.t.Helper()
	c := h.raw()
	_, err := io.WriteString(c, text)
	check(h.t, err)
	b, err := io.ReadAll(c)
	if ne := net.Error(nil); err != nil && asNet(err, &ne) && ne.Timeout() {
		h.t.Fatalf("the connection stays open after %q; answered %q", text, b)
	}
	return string(b)
}

func asNet(err error, to *net.Error) bool {
	ne, ok := err.(net.Error)
	*to = ne
	return ok
}

// watched serves a page at /smuggled and counts who asks for it.
func watched(n *atomic.Int64) func(*Config) {
	return func(c *Config) {
		c.Routes = func(*Collector) ([]Route, error) {
			return []Route{{"/smuggled", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.Add(1) })}}, nil
		}
	}
}

func TestS20_requestSmuggling(t *testing.T) {
	var smuggled atomic.Int64
	h := start(t, filepath.Join(t.TempDir(), "data"), watched(&smuggled))
	const hidden = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
	post := func(headers, body string) string {
		return "POST " + exchange.PathJoin + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n" + body
	}
	cl := fmt.Sprintf("Content-Length: %d\r\n", len(hidden))
	chunks := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(s), s) }
	for name, text := range map[string]string{
		// Refused as what is no HTTP.
		"two lengths":               post("Content-Length: 0\r\n"+cl, hidden),
		"two lengths, the other":    post(cl+"Content-Length: 0\r\n", hidden),
		"a list of lengths":         post(fmt.Sprintf("Content-Length: 0, %d\r\n", len(hidden)), hidden),
		"a signed length":           post("Content-Length: +0\r\n", hidden),
		"a negative length":         post("Content-Length: -1\r\n", hidden),
		"a length in hex":           post("Content-Length: 0x0\r\n", hidden),
		"a folded length":           post("Content-Length: 0\r\n 1\r\n", hidden),
		"a space before the colon":  post("Content-Length : 0\r\n"+cl, hidden),
		"a line without a colon":    post("Content-Length 0\r\n"+cl, hidden),
		"a fold before any header":  "POST " + exchange.PathJoin + " HTTP/1.1\r\n Content-Length: 0\r\nHost: localhost\r\n\r\n" + hidden,
		"an unknown coding":         post("Transfer-Encoding: xchunked\r\n"+cl, chunks(hidden)),
		"stacked codings":           post("Transfer-Encoding: gzip, chunked\r\n", chunks(hidden)),
		"two codings":               post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunks(hidden)),
		"a coding behind a tab":     post("Transfer-Encoding:\tchunked\v\r\n"+cl, chunks(hidden)),
		"two hosts":                 "POST " + exchange.PathJoin + " HTTP/1.1\r\nHost: localhost\r\nHost: other\r\nContent-Length: 0\r\n\r\n" + hidden,
		"no host":                   "POST " + exchange.PathJoin + " HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + hidden,
		"two spaces in the request": "POST  " + exchange.PathJoin + " HTTP/1.1\r\nHost: localhost\r\n\r\n" + hidden,
		"a version that is none":    "POST " + exchange.PathJoin + " HTTP/1.1 x\r\nHost: localhost\r\n\r\n" + hidden,
		// Read as chunks, and the connection ends: what follows by another reading is nobody's request.
		"length and chunks, hidden in the chunk":      post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", chunks(hidden)),
		"length and chunks, hidden behind the chunks": post(fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", 5+len(hidden)), "0\r\n\r\n"+hidden),
		"a folded coding":                             post("Transfer-Encoding:\r\n chunked\r\n"+cl, "0\r\n\r\n"+hidden),
		"chunks that end in bare LF":                  post("Transfer-Encoding: chunked\r\n", "0\n\n"+hidden),
		"an extension that ends in bare LF":           post("Transfer-Encoding: chunked\r\n", "2;\nxx\r\n10\r\n"+hidden+"\r\n0\r\n\r\n"),
		"a chunk longer than an integer":              post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n"+hidden),
		"a chunk that is longer than it says":         post("Transfer-Encoding: chunked\r\n", "1\r\nxx\r\n0\r\n\r\n"+hidden),
	} {
		got := h.exchangeRaw(text)
		if !strings.HasPrefix(got, "HTTP/1.1 4") && !strings.HasPrefix(got, "HTTP/1.1 501") && !strings.HasPrefix(got, "HTTP/1.1 505") {
			t.Errorf("%s: answered %.60q", name, got)
		}
		if n := strings.Count(got, "HTTP/1.1 "); n != 1 {
			t.Errorf("%s: %d answers to one request: %q", name, n, got)
		}
		if smuggled.Load() != 0 {
			t.Fatalf("%s: the hidden request was served", name)
		}
	}
	// The same hidden request in the open is served: the watch works.
	h.exchangeRaw(strings.Replace(hidden, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
	if smuggled.Load() != 1 {
		t.Fatal("the page cannot be reached at all")
	}
}

// ended waits until the collector closes the connection.
func ended(t *testing.T, name string, c net.Conn) {
	t.Helper()
	check(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	_, err := io.Copy(io.Discard, c)
	if ne := net.Error(nil); err != nil && asNet(err, &ne) && ne.Timeout() {
		t.Errorf("%s: holds its connection", name)
	}
}

func TestS21_slowHeadersAndBodies(t *testing.T) {
	const slots = 6
	h := start(t, filepath.Join(t.TempDir(), "data"), func(c *Config) {
		c.HeaderTimeout, c.RequestTimeout, c.MaxConnections = 500*time.Millisecond, time.Second, slots
	})
	a := h.enrol("acme", "eu", store.Production)
	a.consent(exchange.Aggregate, longAgo)
	a.client.CloseIdleConnections()
	head := "POST " + exchange.PathBatches + " HTTP/1.1\r\nHost: localhost\r\nFieldpost-Nonce: 00000000000000000000000000000000\r\nFieldpost-Agent: " +
		a.id.String() + "\r\nContent-Length: 200000\r\n\r\n"
	silent := must[net.Conn](t)((&net.Dialer{}).DialContext(t.Context(), "tcp", h.c.Addr())) // not even a handshake
	defer silent.Close()
	slow := map[string]net.Conn{"no handshake": silent}
	for name, text := range map[string]string{
		"nothing": "", "half a header": head[:40], "a header that drips": "GET / HTTP/1.1\r\n",
		"no body": head, "a body that drips": head + strings.Repeat("x", 10_000),
	} {
		c := h.raw()
		_, err := io.WriteString(c, text)
		check(t, err)
		slow[name] = c
	}
	if len(slow) != slots {
		t.Fatalf("%d connections for %d slots", len(slow), slots)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for name, drop := range map[string]string{"a header that drips": "X: y\r\n", "a body that drips": "x"} {
		go func() {
			for ctx.Err() == nil {
				if _, err := io.WriteString(slow[name], drop); err != nil {
					return
				}
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		}()
	}
	// All slots are taken by them; an honest agent gets one as they are cut.
	if r := a.send(a.freeze()); r.Outcome != exchange.Accepted {
		t.Fatalf("%+v", r)
	}
	for name, c := range slow {
		ended(t, name, c)
	}
	// Over HTTP/2 a stream that drips is cut, not its connection's neighbours.
	two := a.client.Transport.(*http.Transport).Clone()
	two.ForceAttemptHTTP2 = true
	defer two.CloseIdleConnections()
	body, w := io.Pipe()
	defer w.Close()
	go func() { _, _ = w.Write(make([]byte, 10)) }()
	r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), "POST", h.c.URL()+exchange.PathBatches, body))
	r.Header.Set(exchange.HeaderNonce, exchange.NewNonce().String())
	r.Header.Set(exchange.HeaderAgent, a.id.String())
	res, err := (&http.Client{Transport: two, Timeout: 30 * time.Second}).Do(r)
	if err == nil {
		if check(t, res.Body.Close()); res.ProtoMajor != 2 || res.StatusCode != http.StatusBadRequest {
			t.Fatalf("a stream that drips: %s %s", res.Proto, res.Status)
		}
	} else if ne := net.Error(nil); asNet(err, &ne) && ne.Timeout() {
		t.Fatalf("a stream that drips is not cut: %v", err)
	}
}

func TestS32_lineBreaksInHeaders(t *testing.T) {
	h := start(t, filepath.Join(t.TempDir(), "data"), nil)
	a := h.enrol("acme", "eu", store.Production)
	for name, value := range map[string]string{
		"CR": "a\rX-Evil: 1", "NUL": "a\x00b", "CR CR LF": "a\r\r\nX-Evil: 1", "vertical tab": "a\vb", "DEL": "a\x7fb", "escape": "a\x1b[31m",
	} {
		for _, header := range []string{exchange.HeaderNonce, exchange.HeaderAgent, "X-Other"} {
			got := h.exchangeRaw("GET " + exchange.PathChallenge + "?token=" + exchange.ID{}.String() + " HTTP/1.1\r\nHost: localhost\r\n" + header + ": " + value + "\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Contains(strings.ToLower(got), "evil") || strings.Count(got, "HTTP/1.1") != 1 {
				t.Errorf("%s in %s: %q", name, header, got)
			}
		}
	}
	// A real line break makes another header, and it comes back nowhere.
	r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), "GET", h.c.URL()+exchange.PathChallenge+"?token=%0d%0aX-Evil:%201", nil))
	c := h.raw()
	check(t, r.Write(c))
	res := must[*http.Response](t)(http.ReadResponse(bufio.NewReader(c), r))
	body := must[[]byte](t)(io.ReadAll(res.Body))
	if check(t, res.Body.Close()); res.StatusCode != http.StatusBadRequest || code(t, body) != store.CodeJoinUnreadable || res.Header.Get("X-Evil") != "" {
		t.Errorf("a line break in the query: %d %s", res.StatusCode, body)
	}
	for _, name := range []string{"a\r\nX-Evil: 1", "a\nb", "a\x00b", "a\x1b[31m", "a b", "a/b", "..", "", strings.Repeat("a", 129), "a\u202eb"} {
		for _, q := range []TokenRequest{{Account: name, Installation: "eu"}, {Account: "acme", Installation: name}} {
			q.Environment, q.By = store.Test, "test"
			if _, err := h.c.Data().NewToken(t.Context(), q, ""); err == nil || store.ProblemOf(err).Code != store.CodeBadInput {
				t.Errorf("a token for %q/%q: %v", q.Account, q.Installation, err)
			}
		}
	}
	for _, row := range must[[]store.AuditRow](t)(h.c.Data().Store.Audit(t.Context(), store.TroubleQuery{Limit: 100})) {
		if strings.ContainsAny(row.Subject+row.Detail, "\r\n\x00\x1b") && row.Action != "catalog_key_trusted" {
			t.Errorf("the audit log has %q %q", row.Subject, row.Detail)
		}
	}
	a.consent(exchange.Aggregate, longAgo) // the collector still works
}

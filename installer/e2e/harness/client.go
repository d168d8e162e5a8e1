package harness

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// Client is the product: HTTP from within a network.
type Client struct{ http *http.Client }

// NewClient is a client inside n; nil: the test's own network.
func NewClient(tb testing.TB, n *Network) *Client {
	tb.Helper()
	tr := &http.Transport{}
	if n != nil {
		tr.DialContext = func(ctx context.Context, network, addr string) (c net.Conn, err error) {
			inside := n.Inside(func() { c, err = new(net.Dialer).DialContext(ctx, network, addr) })
			if inside != nil {
				err = inside
			}
			return c, err
		}
	}
	tb.Cleanup(tr.CloseIdleConnections)
	return &Client{&http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Post sends a body; headers come in pairs.
func (c *Client) Post(tb testing.TB, url, body string, headers ...string) (int, string, http.Header) {
	tb.Helper()
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return c.do(tb, r)
}

// Get fetches a page.
func (c *Client) Get(tb testing.TB, url string) (int, string) {
	tb.Helper()
	return c.GetWith(tb, url)
}

// GetWith fetches a page; headers come in pairs.
func (c *Client) GetWith(tb testing.TB, url string, headers ...string) (int, string) {
	tb.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	code, body, _ := c.do(tb, r)
	return code, body
}

func (c *Client) do(tb testing.TB, r *http.Request) (int, string, http.Header) {
	tb.Helper()
	resp, err := c.http.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

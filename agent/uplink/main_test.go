package uplink

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// No test of this package may reach beyond this machine, by any road.
	for _, v := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		os.Unsetenv(v)
	}
	goleak.VerifyTestMain(m)
}

// guard makes a client refuse to dial anything but loopback, and counts its dials.
func guard(t *testing.T, c *Client) *int {
	t.Helper()
	dials := new(int)
	c.tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		*dials++
		host, _, err := net.SplitHostPort(addr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			t.Errorf("dialling %s, which is not loopback", addr)
			return nil, fmt.Errorf("refused to dial %s", addr)
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	return dials
}

func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

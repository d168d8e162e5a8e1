package scrape

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
)

// form is the format of a page.
type form uint8

const (
	plainText form = iota + 1
	openMetrics
	protobuf
)

// accept is Prometheus' own, with protobuf first: it and OpenMetrics say when a series began.
const accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," +
	"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
	"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"

// getter fetches pages.
type getter struct{ client *http.Client }

var errForbidden = errors.New("the address is neither loopback nor private")

func newGetter() *getter {
	dial := &net.Dialer{ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return allowed(address) // the name has become what is dialled: what it means later does not matter
	}}
	return &getter{&http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // what a proxy reaches is not what was allowed
			DialContext:            dial.DialContext,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 64 << 10,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// allowed refuses every address but loopback and private ones.
func allowed(address string) error {
	a, err := netip.ParseAddrPort(address)
	if ip := a.Addr().Unmap(); err != nil || !ip.IsLoopback() && !ip.IsPrivate() {
		return errForbidden
	}
	return nil
}

// page fetches t's page into buf.
func (g *getter) page(ctx context.Context, t Target, token string, buf *buffer) (form, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		return 0, fail(Unreachable, "the URL cannot be asked for")
	}
	q.Header.Set("User-Agent", "fieldpost-agent-scrape")
	q.Header.Set("Accept", accept)
	q.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(t.Timeout.Seconds(), 'g', -1, 64))
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := g.client.Do(q)
	if err != nil {
		return 0, plain(err)
	}
	defer a.Body.Close()
	switch {
	case a.StatusCode >= 300 && a.StatusCode < 400:
		return 0, fail(Redirected, "status %d: redirects are not followed", a.StatusCode)
	case a.StatusCode != http.StatusOK:
		return 0, fail(BadStatus, "status %d", a.StatusCode)
	case a.Header.Get("Content-Encoding") != "": // gzip was asked for and taken off by the client
		return 0, fail(BadType, "an encoding that was not asked for")
	}
	f := formOf(a.Header.Get("Content-Type"))
	if f == 0 {
		return 0, fail(BadType, "the content type is none of Prometheus' formats")
	}
	if a.ContentLength > maxPage {
		return 0, fail(TooLarge, "the page is over 16 MiB")
	}
	if err := buf.fill(a.Body); err != nil {
		return 0, plain(err)
	}
	return f, nil
}

// formOf is the format that a content type names, 0 for none.
func formOf(contentType string) form {
	media, with, err := mime.ParseMediaType(contentType)
	if err != nil {
		return 0
	}
	switch v := with["version"]; {
	case media == "text/plain" && (v == "" || v == "0.0.4" || v == "1.0.0"):
		return plainText
	case media == "application/openmetrics-text" && (v == "" || v == "0.0.1" || v == "1.0.0"):
		return openMetrics
	case media == "application/vnd.google.protobuf" && with["proto"] == "io.prometheus.client.MetricFamily" && with["encoding"] == "delimited":
		return protobuf
	}
	return 0
}

// plain gives a network error its reason and drops addresses and URLs: the state shows the target
// beside it.
func plain(err error) error {
	var f *failure
	var op *net.OpError
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, errForbidden):
		return &failure{Forbidden, errForbidden}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fail(Slow, "no answer in time")
	case errors.As(err, &op) && op.Err != nil:
		return &failure{Unreachable, op.Err}
	}
	return fail(Unreachable, "the answer could not be read")
}

// buffer is a page in memory. It takes its room from what all targets share.
type buffer struct {
	b    []byte
	room *atomic.Int64
}

// fill reads all of r.
func (p *buffer) fill(r io.Reader) error {
	for {
		if len(p.b) == cap(p.b) {
			if err := p.grow(); err != nil {
				return err
			}
		}
		n, err := r.Read(p.b[len(p.b):cap(p.b)])
		if p.b = p.b[:len(p.b)+n]; errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(p.b) > maxPage {
			return fail(TooLarge, "the page is over 16 MiB")
		}
	}
}

func (p *buffer) grow() error {
	size := max(64<<10, min(2*cap(p.b), maxPage+1))
	more := int64(size - cap(p.b))
	if p.room.Add(more) > maxPages {
		p.room.Add(-more)
		return fail(Busy, "the pages of other targets take all the room there is")
	}
	b := make([]byte, len(p.b), size)
	copy(b, p.b)
	p.b = b
	return nil
}

func (p *buffer) free() {
	p.room.Add(-int64(cap(p.b)))
	p.b = nil
}

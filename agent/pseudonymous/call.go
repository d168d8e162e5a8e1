//go:build pseudonymous

package pseudonymous

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

const (
	callTimeout = 5 * time.Second
	// tries is how often a call is made that was not answered with a 2xx; between two lie a second, then four.
	tries = 3
	// answerMost is how much of an answer is read, and thrown away.
	answerMost = 4 << 10
)

// loopback checks a webhook's address: this machine by number, so that no name service decides where people's ids go.
func loopback(raw string) (*url.URL, error) {
	bad := refuse("webhook_address", fmt.Sprintf("%q is not an http or https address of this machine", raw), "--webhook http://127.0.0.1:PORT/PATH or http://[::1]:PORT/PATH", 2)
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" {
		return nil, bad
	}
	if h := u.Hostname(); h != "127.0.0.1" && h != "::1" {
		return nil, bad
	}
	return u, nil
}

// client reaches this machine and nothing else: no proxy, no redirects, no address but those two.
func client() *http.Client {
	d := &net.Dialer{Timeout: callTimeout}
	return &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			a, err := netip.ParseAddrPort(address)
			if err != nil || a.Addr() != netip.IPv6Loopback() && a.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
				return nil, fmt.Errorf("calling %s: %w", address, errElsewhere)
			}
			return d.DialContext(ctx, network, address)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

var errElsewhere = errors.New("it is not on this machine")

// Serve makes calls until ctx ends, each after a checkpoint that remembers it.
func (r *Room) Serve(ctx context.Context, h Host) error {
	mu, wake, web := h.Mu, make(chan struct{}, 1), client()
	mu.Lock()
	r.triggers.wake = wake
	mu.Unlock()
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		r.triggers.wake = nil
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		}
		mu.Lock()
		r.triggers.keep()
		mu.Unlock()
		if h.Commit() != nil { // not remembered, so not called; the root says why it could not be saved
			mu.Lock()
			r.triggers.drop()
			mu.Unlock()
			continue
		}
		for r.next(ctx, mu, web) {
		}
	}
}

// next makes one call; false when none waits.
func (r *Room) next(ctx context.Context, mu sync.Locker, web *http.Client) bool {
	mu.Lock()
	t := &r.triggers
	c, ok := t.take()
	if !ok || ctx.Err() != nil {
		mu.Unlock()
		return false
	}
	to := t.Decision.Webhook
	mu.Unlock()
	err := post(ctx, web, to, c)
	mu.Lock()
	defer mu.Unlock()
	t.pending = 0
	if err != nil {
		t.Failed++
	} else {
		t.Called++
	}
	return true
}

// post tells the program on this machine.
func post(ctx context.Context, web *http.Client, to string, c call) error {
	body, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("writing a call: %w", err)
	}
	for n := 1; ; n++ {
		err = once(ctx, web, to, body)
		if err == nil || n == tries || ctx.Err() != nil || errors.Is(err, errElsewhere) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second << (2 * (n - 1))):
		}
	}
}

func once(ctx context.Context, web *http.Client, to string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("calling: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := web.Do(req)
	if err != nil {
		return fmt.Errorf("calling: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, answerMost) // the status says all
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("calling: the answer is %s", resp.Status)
	}
	return nil
}

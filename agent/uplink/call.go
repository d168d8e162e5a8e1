package uplink

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Error is why a call did not succeed: what to do about it and, for people, why.
type Error struct {
	Verdict Verdict
	Err     error // the network's own, if it was the network
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("reaching the collector: %s: %v", e.Verdict.Cause, e.Err)
	}
	return fmt.Sprintf("reaching the collector: %s (%s)", e.Verdict.Cause, e.Verdict.Code)
}

func (e *Error) Unwrap() error { return e.Err }

// Hint says what a person can do.
func (e *Error) Hint() string { return remedy(e.Verdict) }

// CheckIn tells who we are and what was consented to.
func (c *Client) CheckIn(ctx context.Context, in exchange.CheckIn) (exchange.CheckInAnswer, error) {
	var out exchange.CheckInAnswer
	body, err := json.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("writing a check-in: %w", err)
	}
	v, err := c.call(ctx, request{method: http.MethodPost, path: exchange.PathCheckIn, body: body, signed: true, limit: maxCheckInAnswer})
	if err != nil {
		return out, err
	}
	if v.Action != Acknowledge {
		return out, &Error{Verdict: v}
	}
	if err := json.Unmarshal(v.Answer.Body, &out); err != nil {
		return out, fmt.Errorf("reading the answer to a check-in: %w", err)
	}
	return out, nil
}

// Send sends one frozen batch and says what to do with it. The error is only ever about
// calling it wrongly or about ctx; a network that fails is a Verdict.
func (c *Client) Send(ctx context.Context, wire []byte) (Verdict, error) {
	h, err := batch.Peek(wire)
	if err != nil {
		return Verdict{}, fmt.Errorf("sending a batch: %w", err)
	}
	v, err := c.call(ctx, request{
		method: http.MethodPost, path: exchange.PathBatches, body: wire, signed: true, limit: maxAnswer,
		batch: &Identity{Agent: h.Agent, Epoch: h.Epoch, Seq: h.Seq, Hash: batch.Hash(wire)},
	})
	if unreachable := (*Error)(nil); errors.As(err, &unreachable) {
		return unreachable.Verdict, nil
	}
	return v, err
}

type request struct {
	method, path, query string
	body                []byte
	signed              bool
	limit               int64
	batch               *Identity
}

// call makes up to quickTries tries. Each try has a nonce of its own.
func (c *Client) call(ctx context.Context, q request) (Verdict, error) {
	u := *c.base
	u.Path += q.path
	u.RawQuery = q.query
	if q.signed && len(c.cfg.Key) != ed25519.PrivateKeySize {
		return Verdict{}, errors.New("signing a request: the agent has no key")
	}
	r, err := retryablehttp.NewRequestWithContext(ctx, q.method, u.String(), q.body)
	if err != nil {
		return Verdict{}, fmt.Errorf("building a request: %w", err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "fieldpost-agent")
	if q.body != nil {
		r.Header.Set("Content-Type", contentType(q))
	}
	c.prepare(r.Request, q)
	var v *Verdict
	handle := func(resp *http.Response) error {
		got, err := c.judge(resp, q)
		if err == nil {
			v = &got
		}
		return err
	}
	// The handler runs inside the try, so that a body cut in the middle is tried again.
	r.SetResponseHandler(handle)
	resp, err := c.retrying(func(r *http.Request) { v = nil; c.prepare(r, q) }).Do(r)
	if resp != nil {
		if v == nil && err == nil { // the last try ended with a status that is tried again
			err = handle(resp)
		}
		_ = resp.Body.Close()
	}
	if ctx.Err() != nil {
		return Verdict{}, ctx.Err()
	}
	if v == nil {
		return Verdict{}, &Error{Verdict: explain(err), Err: err}
	}
	return *v, nil
}

// retrying makes the quick tries of one call.
func (c *Client) retrying(again func(*http.Request)) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient:   c.http,
		Logger:       leveled{c.cfg.Logger},
		RetryWaitMin: c.cfg.QuickWait,
		RetryWaitMax: quickWaitMax,
		RetryMax:     quickTries - 1,
		CheckRetry:   checkRetry,
		Backoff:      c.quickBackoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
		PrepareRetry: func(r *http.Request) error {
			r.Header = r.Header.Clone()
			again(r)
			return nil
		},
	}
}

// judge reads one answer, bounded, and decides.
func (c *Client) judge(resp *http.Response, q request) (Verdict, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, q.limit+1))
	if err != nil {
		return Verdict{}, err
	}
	if int64(len(body)) > q.limit {
		return middlebox(resp.StatusCode, resp.Header), nil
	}
	return Decide(resp.StatusCode, resp.Header, body, Asked{
		Path: q.path, Nonce: resp.Request.Header.Get(exchange.HeaderNonce),
		Collector: c.cfg.Collector, Now: c.cfg.Now(), Batch: q.batch,
	}), nil
}

func contentType(q request) string {
	if q.batch != nil {
		return "application/vnd.fieldpost.batch"
	}
	return "application/json"
}

func (c *Client) prepare(r *http.Request, q request) {
	nonce := exchange.NewNonce()
	if q.signed {
		exchange.SignRequest(r, q.body, c.cfg.Key, nonce, c.cfg.Now())
		return
	}
	r.Header.Set(exchange.HeaderNonce, nonce.String())
}

// checkRetry is asked after each try, first about the network, then about the handler. What
// is tried again at once: a network that failed and 502, 503, 504 of a proxy or a collector
// that is just starting. A Retry-After is obeyed by who waits for RetryIn, not by hammering.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return !final(err), nil
	}
	s := resp.StatusCode
	return (s >= 502 && s <= 504) && resp.Header.Get("Retry-After") == "", nil
}

// final tells errors that no second try will cure.
func final(err error) bool {
	var cert *tls.CertificateVerificationError
	return errors.As(err, &cert) || handshake(err)
}

// handshake tells that TLS itself was refused: crypto/tls reports an alert, its own or the
// other side's, as an operation of that name, and plain HTTP as a wrong record.
func handshake(err error) bool {
	var op *net.OpError
	var record tls.RecordHeaderError
	return errors.As(err, &record) || errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}

func (c *Client) quickBackoff(minWait, maxWait time.Duration, attempt int, _ *http.Response) time.Duration {
	d := min(minWait<<attempt, maxWait)
	return time.Duration(float64(d) * (0.75 + c.cfg.Rand()/2))
}

// explain puts a network error into words and a stable code.
func explain(err error) Verdict {
	v := Verdict{Action: Unreachable}
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		v.Code, v.Cause = "name_not_found", "its name cannot be looked up"
	case errors.As(err, &unknown):
		v.Code, v.Cause = "tls_not_trusted", "its TLS certificate was issued by an authority that is not trusted here (a TLS-inspecting proxy?)"
	case errors.As(err, &cert):
		v.Code, v.Cause = "tls_not_trusted", "its TLS certificate is not valid for it"
	case handshake(err):
		v.Code, v.Cause = "tls_failed", "TLS could not be agreed on"
	case errors.As(err, &timeout) && timeout.Timeout():
		v.Code, v.Cause = "timeout", "it did not answer in time"
	default:
		v.Code, v.Cause = "unreachable", "no connection"
	}
	return v
}

func remedy(v Verdict) string {
	switch v.Code {
	case "name_not_found":
		return "check the DNS of this host, or set a proxy."
	case "tls_not_trusted":
		return "enrol again with a token made for this collector; behind a TLS-inspecting proxy, exempt the collector's host."
	case "unsigned_answer":
		return "open the collector's address from this host; a proxy or captive portal answers in its place."
	case "collector_busy":
		return "nothing here; the agent goes on by itself. Ask the vendor if it lasts."
	case "receipt_mismatch":
		return "ask the vendor to look at the collector's log; nothing is lost."
	}
	switch v.Action {
	case Pause:
		return "ask the vendor whether this agent was revoked; then enrol again with a new token."
	case Quarantine:
		return "look at the batch with `fieldpost-agent ledger`, and tell the vendor the code."
	}
	return "check the network between this host and the collector; the agent goes on by itself."
}

func problem(body []byte) (p exchange.Problem) {
	if json.Unmarshal(body, &p) != nil {
		return exchange.Problem{}
	}
	p.Code, p.Message = printable(p.Code), printableText(p.Message)
	return p
}

func printableText(s string) string {
	b := []rune{}
	for _, r := range s {
		if len(b) == 300 {
			break
		}
		if r >= 0x20 && r != 0x7f && (r < 0x80 || r > 0x9f) {
			b = append(b, r)
		}
	}
	return string(b)
}

package protocoltest

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Behave answers a request in place of the collector, or lets the collector answer.
type Behave func(w http.ResponseWriter, r *http.Request, collector http.Handler)

// Fault makes the next Times requests to Path go wrong.
type Fault struct {
	Path  string // "": any
	Times int    // 0: for ever
	Do    Behave
}

// Inject adds faults; each serves until it is used up.
func (f *FakeCollector) Inject(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

// Heal ends all faults.
func (f *FakeCollector) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// fault is what happens to a request; nil for nothing. f.mu is held.
func (f *FakeCollector) fault(path string) Behave {
	for i := range f.faults {
		x := &f.faults[i]
		if x.Path != "" && x.Path != path {
			continue
		}
		do := x.Do
		if x.Times == 1 {
			f.faults = append(f.faults[:i:i], f.faults[i+1:]...)
		} else if x.Times > 1 {
			x.Times--
		}
		return do
	}
	return nil
}

// HTML is a captive portal: status with a page, unsigned.
func HTML(status int) Behave {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<html><body>Please log in</body></html>"))
	}
}

// Busy answers 503 or 429 with a Retry-After; "" for none.
func Busy(status int, retryAfter string) Behave {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
	}
}

// Redirect sends the agent elsewhere.
func Redirect(to string) Behave {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	}
}

// LoseAnswer lets the collector do its work and cuts the connection before the answer.
func LoseAnswer() Behave { return cut(0) }

// CutAnswer cuts the connection after n bytes of the answer's body.
func CutAnswer(n int) Behave { return cut(n) }

func cut(n int) Behave {
	return func(w http.ResponseWriter, r *http.Request, collector http.Handler) {
		rec := httptest.NewRecorder()
		collector.ServeHTTP(rec, r)
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		if n == 0 {
			return
		}
		body := rec.Body.Bytes()
		fmt.Fprintf(buf, "HTTP/1.1 %d x\r\nContent-Length: %d\r\n%s: %s\r\n\r\n", rec.Code, len(body), exchange.HeaderSignature, rec.Header().Get(exchange.HeaderSignature))
		_, _ = buf.Write(body[:min(n, len(body))])
		_ = buf.Flush()
	}
}

// Drop cuts the connection before the collector sees the request.
func Drop() Behave {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	}
}

// Hold waits until release is closed, or the client gives up.
func Hold(release <-chan struct{}) Behave {
	return func(w http.ResponseWriter, r *http.Request, collector http.Handler) {
		select {
		case <-release:
			collector.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}
}

// SignedBy lets the collector answer and signs with another key.
func SignedBy(key ed25519.PrivateKey) Behave {
	return func(w http.ResponseWriter, r *http.Request, collector http.Handler) {
		rec := httptest.NewRecorder()
		collector.ServeHTTP(rec, r)
		w.Header().Set(exchange.HeaderSignature, exchange.SignAnswer(rec.Code, r.URL.Path, r.Header.Get(exchange.HeaderNonce), rec.Body.Bytes(), key))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}
}

// Huge answers with more than any answer may have.
func Huge(n int) Behave {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Length", strconv.Itoa(n))
		chunk := make([]byte, 32<<10)
		for left := n; left > 0; { // of this answer: others may be under way
			k, err := w.Write(chunk[:min(left, len(chunk))])
			if err != nil {
				return
			}
			left -= k
		}
	}
}

// Refuse makes the collector refuse the next batch for good with a signed receipt that
// consumes its seq, or, for NotKnown and Forbidden, refuse the agent.
func (f *FakeCollector) Refuse(o exchange.Outcome, code string) Behave {
	return func(w http.ResponseWriter, r *http.Request, collector http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.mu.Lock()
		h, err := batch.Peek(body)
		nonce, nerr := exchange.ParseID(r.Header.Get(exchange.HeaderNonce))
		a := f.agents[h.Agent]
		if err != nil || nerr != nil || a == nil {
			f.mu.Unlock()
			collector.ServeHTTP(w, r)
			return
		}
		rc := exchange.Receipt{Agent: h.Agent, Epoch: h.Epoch, Seq: h.Seq, Hash: batch.Hash(body), Nonce: nonce, Outcome: o, Code: code, Message: "as the test wants"}
		if o == exchange.Refused || o == exchange.TooLarge {
			e := a.epochs[h.Epoch]
			if e == nil {
				e = &fakeEpoch{}
				a.epochs[h.Epoch] = e
				a.order = append(a.order, h.Epoch)
			}
			e.batches = append(e.batches, fakeBatch{wire: body, hash: rc.Hash, outcome: o, code: code})
			rc.Queued, rc.Stored = h.Seq, h.Seq
		}
		f.mu.Unlock()
		f.send(w, r, receipt(rc, o, code))
	}
}

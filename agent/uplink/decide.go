package uplink

import (
	"crypto/ed25519"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Action is what an answer makes the agent do.
type Action int

const (
	// Unreachable: whoever answered was not the collector, or nobody did. Wait and retry.
	Unreachable Action = iota
	// Wait: the collector, or something before it, asks for time. Nothing else happened.
	Wait
	// Acknowledge: the batch is on the synced stream; it may go to the ledger. For a join
	// or a check-in: the answer may be read.
	Acknowledge
	// Resync: another seq is due; the queue goes on from there.
	Resync
	// Quarantine: this batch is refused for good and its seq is consumed; the epoch goes on.
	Quarantine
	// Pause: the agent is not known or not allowed. Nothing is sent until somebody acts.
	Pause
)

var actionNames = [...]string{"unreachable", "wait", "acknowledge", "resync", "quarantine", "pause"}

func (a Action) String() string { return actionNames[a] }

// Verdict is what Decide says.
type Verdict struct {
	Action  Action
	Receipt exchange.Receipt // batches, when signed
	Answer  exchange.Answer  // the proof, when signed
	After   time.Duration    // Wait: what was asked for; 0 when nothing was
	Code    string           // stable, for humans and counters
	Cause   string           // plain words
}

// Asked is what Decide must know of the request.
type Asked struct {
	Path      string
	Nonce     string
	Collector ed25519.PublicKey
	Now       time.Time
	Batch     *Identity // nil: not a batch
}

// Identity names the batch that was sent.
type Identity struct {
	Agent, Epoch exchange.ID
	Seq          uint64
	Hash         exchange.Hash
}

// Decide is the one place where an answer becomes a decision (DELIVERY, "Uplink"):
//
//	status        signed                             not signed
//	200           acknowledge                        unreachable (a middlebox)
//	409           resync (batches)                   unreachable
//	413, 422      quarantine (batches)               unreachable
//	401, 403      pause                              unreachable
//	429, 5xx      wait, Retry-After first            wait, Retry-After first
//	anything else unreachable                        unreachable
//
// A receipt must also name the very batch, agent and nonce; one that does not is not an
// answer to this request and counts as unreachable.
func Decide(status int, h http.Header, body []byte, q Asked) Verdict {
	if status == http.StatusTooManyRequests || status >= 500 && status <= 599 {
		return Verdict{Action: Wait, After: retryAfter(h, q.Now), Code: "collector_busy", Cause: fmt.Sprintf("the collector is busy or down (status %d)", status)}
	}
	a := exchange.Answer{Status: status, Path: q.Path, Nonce: q.Nonce, Body: body, Sig: h.Get(exchange.HeaderSignature)}
	if err := a.Verify(q.Collector); err != nil {
		return middlebox(status, h)
	}
	v := Verdict{Answer: a}
	if q.Batch == nil {
		return decidePlain(v, status)
	}
	r, err := a.Receipt()
	if err != nil || r.Agent != q.Batch.Agent || r.Epoch != q.Batch.Epoch || r.Seq != q.Batch.Seq || r.Hash != q.Batch.Hash {
		return Verdict{Action: Unreachable, Code: "receipt_mismatch", Cause: "the collector's answer belongs to another batch"}
	}
	v.Receipt, v.Code, v.Cause = r, r.Code, r.Message
	switch r.Outcome {
	case exchange.Accepted:
		v.Action = Acknowledge
	case exchange.OutOfTurn:
		v.Action = Resync
		if r.Expected == 0 || r.Expected == r.Seq && r.Code != exchange.CodeFork {
			return Verdict{Action: Unreachable, Code: "receipt_mismatch", Cause: "the collector asks for the batch it just refused"}
		}
	case exchange.TooLarge, exchange.Refused:
		v.Action = Quarantine
	case exchange.NotKnown, exchange.Forbidden:
		v.Action = Pause
	}
	if v.Code == "" {
		v.Code = string(r.Outcome)
	}
	return v
}

func decidePlain(v Verdict, status int) Verdict {
	switch status {
	case http.StatusOK:
		v.Action, v.Code = Acknowledge, "ok"
	case http.StatusUnauthorized, http.StatusForbidden:
		v.Action = Pause
	default:
		v.Action = Unreachable
	}
	if v.Action != Acknowledge {
		p := problem(v.Answer.Body)
		v.Code, v.Cause = p.Code, p.Message
		if v.Code == "" {
			v.Code, v.Cause = "refused", fmt.Sprintf("the collector refused (status %d)", status)
		}
	}
	return v
}

func middlebox(status int, h http.Header) Verdict {
	return Verdict{
		Action: Unreachable, Code: "unsigned_answer",
		Cause: fmt.Sprintf("something on the way answered with status %d and content type %q, unsigned by the collector", status, printable(h.Get("Content-Type"))),
	}
}

// retryAfter reads both forms of the header (RFC 9110, section 10.2.3).
func retryAfter(h http.Header, now time.Time) time.Duration {
	s := h.Get("Retry-After")
	if s == "" {
		return 0
	}
	d := time.Duration(0)
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(s); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// printable keeps a foreign header from writing to a terminal.
func printable(s string) string {
	b := make([]byte, 0, 64)
	for i := 0; i < len(s) && len(b) < 64; i++ {
		if s[i] >= 0x20 && s[i] < 0x7f {
			b = append(b, s[i])
		}
	}
	return string(b)
}

package uplink

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

type decideFixture struct {
	key   ed25519.PrivateKey
	asked Asked
}

func newDecideFixture(t *testing.T) decideFixture {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return decideFixture{key: key, asked: Asked{
		Path: exchange.PathBatches, Nonce: exchange.NewNonce().String(), Collector: pub, Now: time.Unix(1_800_000_000, 0),
		Batch: &Identity{Agent: exchange.ID{1}, Epoch: exchange.ID{2}, Seq: 5, Hash: exchange.Hash{3}},
	}}
}

func (f decideFixture) receipt(o exchange.Outcome) exchange.Receipt {
	n, _ := exchange.ParseID(f.asked.Nonce)
	r := exchange.Receipt{Outcome: o, Agent: f.asked.Batch.Agent, Epoch: f.asked.Batch.Epoch, Seq: 5, Hash: f.asked.Batch.Hash, Nonce: n}
	if o == exchange.OutOfTurn {
		r.Expected = 3
	}
	return r
}

func (f decideFixture) decide(t *testing.T, status int, body any, sign bool, h http.Header) Verdict {
	t.Helper()
	b, ok := body.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	if h == nil {
		h = http.Header{}
	}
	if sign {
		h.Set(exchange.HeaderSignature, exchange.SignAnswer(status, f.asked.Path, f.asked.Nonce, b, f.key))
	}
	return Decide(status, h, b, f.asked)
}

// Every status there is, with every receipt there is, signed and not: only what the table
// of Decide names moves a batch.
func TestDecideTable(t *testing.T) {
	f := newDecideFixture(t)
	signed := map[int]map[exchange.Outcome]Action{
		200: {exchange.Accepted: Acknowledge},
		409: {exchange.OutOfTurn: Resync},
		413: {exchange.TooLarge: Quarantine},
		422: {exchange.Refused: Quarantine},
		401: {exchange.NotKnown: Pause},
		403: {exchange.Forbidden: Pause},
	}
	outcomes := []exchange.Outcome{exchange.Accepted, exchange.OutOfTurn, exchange.TooLarge, exchange.Refused, exchange.NotKnown, exchange.Forbidden, "", "new"}
	for status := 100; status <= 599; status++ {
		busy := status == 429 || status >= 500
		for _, o := range outcomes {
			for _, sign := range []bool{true, false} {
				want := Unreachable
				if busy {
					want = Wait
				} else if sign {
					want = signed[status][o]
				}
				v := f.decide(t, status, f.receipt(o), sign, nil)
				if v.Action != want {
					t.Fatalf("status %d, outcome %q, signed %v: %s, want %s", status, o, sign, v.Action, want)
				}
				if moves := want >= Acknowledge; moves != (v.Receipt.Outcome != "") {
					t.Fatalf("status %d, outcome %q: receipt %+v", status, o, v.Receipt)
				}
				if v.Code == "" {
					t.Fatalf("status %d, outcome %q: no code", status, o)
				}
			}
		}
	}
}

func TestDecideMiddleboxIsUnreachable(t *testing.T) {
	f := newDecideFixture(t)
	for _, status := range []int{200, 301, 302, 307, 401, 403, 407, 409, 413, 422, 451} {
		h := http.Header{"Content-Type": {"text/html\r\nSet-Cookie: x\x1b[2J"}}
		v := f.decide(t, status, []byte("<html>Please log in</html>"), false, h)
		if v.Action != Unreachable || v.Code != "unsigned_answer" {
			t.Errorf("status %d: %s (%s)", status, v.Action, v.Code)
		}
		for _, r := range v.Cause {
			if r < 0x20 {
				t.Errorf("status %d: a foreign control character %q in %q", status, r, v.Cause)
			}
		}
	}
}

// A genuine receipt, replayed by somebody on the road for another batch, agent, request, path
// or status, is not an answer.
func TestDecideReceiptOfAnotherBatch(t *testing.T) {
	f := newDecideFixture(t)
	for name, spoil := range map[string]func(*exchange.Receipt){
		"agent": func(r *exchange.Receipt) { r.Agent[0]++ },
		"epoch": func(r *exchange.Receipt) { r.Epoch[0]++ },
		"seq":   func(r *exchange.Receipt) { r.Seq++ },
		"hash":  func(r *exchange.Receipt) { r.Hash[0]++ },
		"nonce": func(r *exchange.Receipt) { r.Nonce[0]++ },
	} {
		r := f.receipt(exchange.Accepted)
		spoil(&r)
		if v := f.decide(t, 200, r, true, nil); v.Action != Unreachable || v.Code != "receipt_mismatch" {
			t.Errorf("receipt with another %s: %s", name, v.Action)
		}
	}
	good := f.receipt(exchange.Accepted)
	b, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	sig := func(status int, path, nonce string) http.Header {
		return http.Header{http.CanonicalHeaderKey(exchange.HeaderSignature): {exchange.SignAnswer(status, path, nonce, b, f.key)}}
	}
	for name, h := range map[string]http.Header{
		"status": sig(201, f.asked.Path, f.asked.Nonce),
		"path":   sig(200, exchange.PathCheckIn, f.asked.Nonce),
		"nonce":  sig(200, f.asked.Path, exchange.NewNonce().String()),
	} {
		if v := Decide(200, h, b, f.asked); v.Action != Unreachable {
			t.Errorf("signature over another %s: %s", name, v.Action)
		}
	}
	if v := Decide(200, sig(200, f.asked.Path, f.asked.Nonce), append(b, ' '), f.asked); v.Action != Unreachable {
		t.Errorf("a body changed by one byte: %s", v.Action)
	}
	if v := Decide(200, sig(200, f.asked.Path, f.asked.Nonce), b, f.asked); v.Action != Acknowledge {
		t.Errorf("the untouched answer: %s (%s)", v.Action, v.Cause)
	}
}

func TestDecideQuarrelAboutOneSeqIsNotARewind(t *testing.T) {
	f := newDecideFixture(t)
	r := f.receipt(exchange.OutOfTurn)
	r.Expected = r.Seq
	if v := f.decide(t, 409, r, true, nil); v.Action != Unreachable {
		t.Errorf("asked for the batch it refuses: %s", v.Action)
	}
	r.Code = exchange.CodeFork // but this one does not follow the one before
	if v := f.decide(t, 409, r, true, nil); v.Action != Resync {
		t.Errorf("forked: %s", v.Action)
	}
}

func TestDecideRetryAfter(t *testing.T) {
	f := newDecideFixture(t)
	for in, want := range map[string]time.Duration{
		"":       0,
		"0":      0,
		"120":    2 * time.Minute,
		"-5":     0,
		"soon":   0,
		"999999": time.Hour, // nobody silences an agent for longer
		f.asked.Now.Add(90 * time.Second).UTC().Format(http.TimeFormat): 90 * time.Second,
		f.asked.Now.Add(-time.Hour).UTC().Format(http.TimeFormat):       0,
		f.asked.Now.Add(9999 * time.Hour).UTC().Format(http.TimeFormat): time.Hour,
	} {
		for _, status := range []int{429, 503} {
			if v := f.decide(t, status, []byte("x"), false, http.Header{"Retry-After": {in}}); v.Action != Wait || v.After != want {
				t.Errorf("%d with Retry-After %q: %s for %s, want %s", status, in, v.Action, v.After, want)
			}
		}
	}
}

// Answers to joins and check-ins go through the same function.
func TestDecideWithoutBatch(t *testing.T) {
	f := newDecideFixture(t)
	f.asked.Batch, f.asked.Path = nil, exchange.PathCheckIn
	for status, want := range map[int]Action{200: Acknowledge, 401: Pause, 403: Pause, 409: Unreachable, 413: Unreachable, 422: Unreachable, 404: Unreachable, 302: Unreachable, 503: Wait} {
		v := f.decide(t, status, exchange.Problem{Code: "some_code", Message: "some\x1b[31m words"}, true, nil)
		if v.Action != want {
			t.Errorf("signed %d: %s, want %s", status, v.Action, want)
		}
		if want == Pause && (v.Code != "some_code" || v.Cause != "some[31m words") {
			t.Errorf("signed %d: code %q, cause %q", status, v.Code, v.Cause)
		}
		if v := f.decide(t, status, exchange.Problem{}, false, nil); v.Action != Unreachable && v.Action != Wait {
			t.Errorf("unsigned %d: %s", status, v.Action)
		}
	}
}

func FuzzDecide(f *testing.F) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(200, []byte(`{"outcome":"accepted"}`), "1", true)
	f.Add(409, []byte(`{"outcome":"out_of_seq","expected":1}`), "x", true)
	f.Add(503, []byte("<html>"), "Fri, 31 Dec 1999 23:59:59 GMT", false)
	f.Fuzz(func(t *testing.T, status int, body []byte, retry string, sign bool) {
		q := Asked{Path: exchange.PathBatches, Nonce: exchange.NewNonce().String(), Collector: pub, Now: time.Unix(0, 0),
			Batch: &Identity{Agent: exchange.ID{1}, Epoch: exchange.ID{2}, Seq: 5, Hash: exchange.Hash{3}}}
		h := http.Header{"Retry-After": {retry}}
		if sign {
			h.Set(exchange.HeaderSignature, exchange.SignAnswer(status, q.Path, q.Nonce, body, key))
		}
		v := Decide(status, h, body, q)
		if v.Action >= Acknowledge && !sign {
			t.Fatalf("an unsigned answer made the agent %s", v.Action)
		}
		if v.After < 0 || v.After > time.Hour {
			t.Fatalf("wait of %s", v.After)
		}
		if v.Action >= Acknowledge && v.Receipt.Hash != q.Batch.Hash {
			t.Fatal(fmt.Sprint("acted on another batch's receipt: ", v))
		}
	})
}

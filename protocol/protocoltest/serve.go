package protocoltest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/signing"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const (
	maxBody        = 64 << 10
	challengeLives = 5 * time.Minute
)

func (f *FakeCollector) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, batch.MaxWire+1))
	if err != nil {
		return
	}
	f.mu.Lock()
	f.calls[r.URL.Path]++
	f.note(r, body)
	fault := f.fault(r.URL.Path)
	f.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	if fault != nil {
		fault(w, r, http.HandlerFunc(f.answer))
		return
	}
	f.answer(w, r)
}

// note keeps what came in; f.mu is held.
func (f *FakeCollector) note(r *http.Request, body []byte) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	_ = r.Header.Write(&b)
	f.seen = append(append(f.seen, b.Bytes()...), body...)
}

// reply is an answer before it is signed.
type reply struct {
	status int
	body   any
	plain  bool // not signed
}

func refuse(status int, code, message string) reply {
	return reply{status: status, body: exchange.Problem{Code: code, Message: message}}
}

func (f *FakeCollector) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var a reply
	switch enc := r.Header.Get("Content-Encoding"); {
	case enc != "" && enc != "identity":
		a = reply{415, exchange.Problem{Code: "encoding", Message: "send it as it is"}, true}
	case r.Method == http.MethodGet && r.URL.Path == exchange.PathChallenge:
		n := exchange.NewNonce()
		f.nonces[n] = f.cfg.Now().Add(challengeLives)
		a = reply{status: 200, body: exchange.Challenge{Nonce: n, Expires: f.nonces[n].Unix()}}
	case r.Method != http.MethodPost:
		a = reply{405, exchange.Problem{Code: "method"}, true}
	case r.URL.Path == exchange.PathJoin && len(body) <= maxBody:
		a = f.join(body)
	case r.URL.Path == exchange.PathCheckIn && len(body) <= maxBody:
		a = f.checkIn(r, body)
	case r.URL.Path == exchange.PathBatches && len(body) <= batch.MaxWire:
		a = f.batch(r, body)
	case r.URL.Path == exchange.PathJoin || r.URL.Path == exchange.PathCheckIn || r.URL.Path == exchange.PathBatches:
		a = reply{413, exchange.Problem{Code: "body_too_large"}, true}
	default:
		a = reply{404, exchange.Problem{Code: "not_found"}, true}
	}
	f.send(w, r, a)
}

// send writes a reply, signed unless it is plain.
func (f *FakeCollector) send(w http.ResponseWriter, r *http.Request, a reply) {
	b, err := json.Marshal(a.body)
	if err != nil {
		w.WriteHeader(500)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if !a.plain {
		w.Header().Set(exchange.HeaderSignature, exchange.SignAnswer(a.status, r.URL.Path, r.Header.Get(exchange.HeaderNonce), b, f.key))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(b)
}

func (f *FakeCollector) join(body []byte) reply {
	var j exchange.JoinRequest
	if json.Unmarshal(body, &j) != nil {
		return refuse(400, "join_unreadable", "the join cannot be read")
	}
	until, open := f.nonces[j.Nonce]
	delete(f.nonces, j.Nonce)
	if !open || f.cfg.Now().After(until) {
		return refuse(401, "challenge_unknown", "ask for a challenge first")
	}
	t, ok := f.tokens[j.Token]
	if !ok || j.Verify(t.pub) != nil || !bytes.Equal(j.Collector, f.Key()) || j.Account != t.Account || j.Installation != t.Installation {
		return refuse(401, "join_signature", "the token is not known or does not fit")
	}
	id := exchange.AgentID(j.AgentKey)
	if again, ok := t.joined[id]; ok {
		return reply{status: 200, body: again}
	}
	switch {
	case t.revoked:
		return refuse(403, "token_revoked", "the token was revoked")
	case f.cfg.Now().Unix() > t.Expires:
		return refuse(403, "token_expired", "the token has expired")
	case len(t.joined) >= t.MaxUses:
		return refuse(403, "token_used_up", "the token was used")
	}
	a := exchange.JoinAnswer{Agent: id, Account: t.Account, Installation: t.Installation, Environment: t.Environment, Time: f.cfg.Now().Unix()}
	t.joined[id] = a
	if f.agents[id] == nil {
		f.agents[id] = &fakeAgent{
			key: ed25519.PublicKey(j.AgentKey), account: t.Account, inst: t.Installation,
			statements: map[exchange.Hash]*exchange.Statement{}, epochs: map[exchange.ID]*fakeEpoch{}, windows: map[string]report.Cell{},
		}
	}
	return reply{status: 200, body: a}
}

// who checks a signed request; nil when it is nobody's.
func (f *FakeCollector) who(r *http.Request, body []byte) (*fakeAgent, string) {
	id, err := exchange.ParseID(r.Header.Get(exchange.HeaderAgent))
	if err != nil {
		return nil, "agent_unknown"
	}
	a := f.agents[id]
	if a == nil {
		return nil, "agent_unknown"
	}
	if exchange.VerifyRequest(r, body, a.key) != nil {
		return nil, "request_signature"
	}
	return a, ""
}

func (f *FakeCollector) checkIn(r *http.Request, body []byte) reply {
	a, code := f.who(r, body)
	switch {
	case a == nil:
		return refuse(401, code, "this collector does not know the agent")
	case a.revoked:
		return refuse(403, "agent_revoked", "the agent was revoked")
	}
	var in exchange.CheckIn
	if json.Unmarshal(body, &in) != nil {
		return refuse(400, "checkin_unreadable", "the check-in cannot be read")
	}
	st, err := in.Statement.Verify(a.key)
	if err != nil {
		return refuse(422, "statement_invalid", "the consent statement does not verify")
	}
	a.statements[in.Statement.Hash()] = st
	a.checkIns = append(a.checkIns, in)
	out := exchange.CheckInAnswer{Time: f.cfg.Now().Unix()}
	if f.catalogHash() != in.Catalog {
		out.Catalog = &exchange.SignedCatalog{Raw: f.cfg.Catalog, Sig: signing.Sign(f.cfg.Catalog, f.cfg.CatalogKey)}
	}
	for i := len(a.order) - 1; i >= 0 && len(out.Through) < 4; i-- {
		n := uint64(len(a.epochs[a.order[i]].batches))
		out.Through = append(out.Through, exchange.Through{Epoch: a.order[i], Queued: n, Stored: n})
	}
	return reply{status: 200, body: out}
}

func (f *FakeCollector) batch(r *http.Request, wire []byte) reply {
	h, err := batch.Peek(wire)
	if err != nil {
		return reply{400, exchange.Problem{Code: "batch_unreadable"}, true}
	}
	rc := exchange.Receipt{Agent: h.Agent, Epoch: h.Epoch, Seq: h.Seq, Hash: batch.Hash(wire), Time: f.cfg.Now().Unix()}
	nonce, err := exchange.ParseID(r.Header.Get(exchange.HeaderNonce))
	if err != nil {
		return reply{400, exchange.Problem{Code: "nonce"}, true}
	}
	rc.Nonce = nonce
	a, code := f.who(r, wire)
	switch {
	case a == nil:
		return receipt(rc, exchange.NotKnown, code)
	case a.revoked:
		return receipt(rc, exchange.Forbidden, "agent_revoked")
	case exchange.AgentID(a.key) != exchange.ID(h.Agent):
		return receipt(rc, exchange.Forbidden, "agent_mismatch")
	}
	return f.judge(a, h, wire, rc)
}

func receipt(r exchange.Receipt, o exchange.Outcome, code string) reply {
	r.Outcome, r.Code = o, code
	return reply{status: o.Status(), body: r}
}

func (f *FakeCollector) judge(a *fakeAgent, h batch.Header, wire []byte, rc exchange.Receipt) reply {
	e := a.epochs[h.Epoch]
	if e == nil {
		e = &fakeEpoch{}
	}
	mark := uint64(len(e.batches))
	rc.Queued, rc.Stored = mark, mark
	switch {
	case h.Seq <= mark:
		was := e.batches[h.Seq-1]
		if was.hash == rc.Hash {
			return receipt(rc, was.outcome, was.code)
		}
		rc.Expected = mark + 1
		return receipt(rc, exchange.OutOfTurn, exchange.CodeFork)
	case h.Seq > mark+1:
		rc.Expected = mark + 1
		return receipt(rc, exchange.OutOfTurn, string(exchange.OutOfTurn))
	case mark > 0 && e.batches[mark-1].hash != exchange.Hash(h.Prev):
		rc.Expected = h.Seq
		return receipt(rc, exchange.OutOfTurn, exchange.CodeFork)
	}
	outcome, code := f.content(a, wire)
	if a.epochs[h.Epoch] == nil {
		a.epochs[h.Epoch] = e
		a.order = append(a.order, h.Epoch)
	}
	e.batches = append(e.batches, fakeBatch{wire: wire, hash: rc.Hash, outcome: outcome, code: code})
	if outcome == exchange.Accepted {
		a.count(wire)
	}
	rc.Queued, rc.Stored = mark+1, mark+1
	return receipt(rc, outcome, code)
}

// content judges what is in a batch.
func (f *FakeCollector) content(a *fakeAgent, wire []byte) (exchange.Outcome, string) {
	b, err := batch.Open(wire, a.key)
	if code := batch.CodeOf(err); err != nil {
		if code == batch.ErrTooLarge {
			return exchange.TooLarge, string(code)
		}
		return exchange.Refused, string(code)
	}
	st := a.statements[b.Header.Consent]
	if st == nil {
		return exchange.Refused, "consent_unknown"
	}
	c, err := catalog.Parse(f.cfg.Catalog)
	if err != nil || exchange.Hash(b.Header.Catalog) != exchange.Hash(c.Hash) {
		return exchange.Refused, "catalog_unknown"
	}
	for _, cell := range b.Cells {
		if _, err := c.Resolve(cell); err != nil {
			return exchange.Refused, "cell_unknown"
		}
		m := &c.Measures[cell.Measure]
		pooled := cell.Grain == report.Block12w && st.EffectivePool(m, c).Level.Leaves()
		if !st.Effective(m, c).Level.Leaves() && !pooled {
			return exchange.Refused, "consent_not_covered"
		}
	}
	return exchange.Accepted, ""
}

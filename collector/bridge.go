package collector

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/ingest"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/stream"
	"github.com/fieldpost/fieldpost/collector/writer"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// answers signs what agents are told.
type answers struct{ key ed25519.PrivateKey }

// Answer signs v's JSON over status, path and the request's nonce and writes it.
func (a answers) Answer(w http.ResponseWriter, r *http.Request, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // cannot happen: only our own types
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(exchange.HeaderSignature, exchange.SignAnswer(status, r.URL.Path, r.Header.Get(exchange.HeaderNonce), body, a.key))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller is gone; it will ask again
}

// agentRoute is one of the agents' paths.
type agentRoute struct {
	method  string
	handler http.Handler
}

// agentRoutes takes everything below /agent before the pages can: what is answered there is
// signed JSON, also for a path that is none. Paths are compared as they came; nothing is
// cleaned, since a redirect would not be signed.
func agentRoutes(ans answers, routes map[string]agentRoute, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
			// Beside the chunks there may have been a length (net/http has dropped it). What comes
			// behind the last chunk could then be, to a proxy before us, a part of this body.
			w.Header().Set("Connection", "close")
		}
		if r.URL.Path != "/agent" && !strings.HasPrefix(r.URL.Path, "/agent/") {
			others.ServeHTTP(w, r)
			return
		}
		to, ok := routes[r.URL.Path]
		if ok && r.Method == to.method {
			to.handler.ServeHTTP(w, r)
			return
		}
		p := &store.Problem{Code: store.CodeNotFound, Message: "agents have no such path", Hint: "upgrade the older of agent and collector", Status: http.StatusNotFound}
		if ok {
			p.Code, p.Message, p.Status = store.CodeMethod, "the method of this path is "+to.method, http.StatusMethodNotAllowed
			w.Header().Set("Allow", to.method)
		}
		ans.Answer(w, r, p.Status, p.Wire())
	})
}

// toStream is the stream as ingest sees it.
type toStream struct{ s *stream.Stream }

func (t toStream) Publish(ctx context.Context, m ingest.Message, after uint64) (uint64, error) {
	at, err := t.s.Publish(ctx, stream.Message{Agent: m.Agent, Epoch: m.Epoch, Seq: m.Seq, Hash: m.Hash, Received: m.Received,
		Refused: m.Refused, Why: m.Why, Wire: m.Wire}, after)
	switch {
	case errors.Is(err, stream.ErrOrder):
		err = errors.Join(ingest.ErrOrder, err)
	case errors.Is(err, stream.ErrFull):
		err = errors.Join(ingest.ErrFull, err)
	}
	return at, err
}

func (t toStream) Last(ctx context.Context, agent, epoch exchange.ID) (ingest.Mark, error) {
	m, err := t.s.Last(ctx, agent, epoch)
	return ingest.Mark{Seq: m.Seq, Hash: m.Hash, Refused: m.Refused, At: m.At}, err
}

// fromStream is the stream as the writer sees it.
type fromStream struct{ s *stream.Stream }

func (f fromStream) Fetch(ctx context.Context, most int, wait time.Duration) ([]writer.Delivery, error) {
	ds, err := f.s.Fetch(ctx, most, wait)
	out := make([]writer.Delivery, len(ds))
	for i, d := range ds {
		out[i] = delivery{d}
	}
	return out, err
}

type delivery struct{ d *stream.Delivery }

func (d delivery) Message() (writer.Message, error) {
	m := d.d.Message
	return writer.Message{Agent: m.Agent, Epoch: m.Epoch, Seq: m.Seq, Hash: m.Hash, Received: m.Received, Refused: m.Refused, Why: m.Why,
		Wire: m.Wire, Tries: d.d.Tries}, d.d.Err
}

func (d delivery) Follows(ctx context.Context) (bool, error) { return d.d.Follows(ctx) }
func (d delivery) Ack() error                                { return d.d.Ack() }
func (d delivery) Again(after time.Duration) error           { return d.d.Again(after) }

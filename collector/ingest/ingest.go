// Package ingest takes batches from agents: limits first, then who, then order, then
// whether consent and catalog cover them; publishes them on the synced stream and answers
// with signed receipts. protocol/SPEC.md, section "Delivery", is normative.
//
// Invariants:
//
//   - Nothing is inflated before the request's and the batch's signatures hold.
//   - The mark of an epoch (the highest seq accepted or refused for good) moves by one, and
//     only after the stream has synced the batch, or its refusal. A receipt goes out after
//     that.
//   - The same batch again gets the same outcome again and nothing is kept twice; another
//     batch under a taken seq is a fork, recorded and answered with 409.
//   - A refusal consumes its seq: it travels the stream like a batch and ends in quarantine.
//   - Bounded: bodies in memory, batches that are opened at once (one for each processor), and
//     what one agent may have in hand and send a second. What is beyond is answered with 429 or
//     503 and Retry-After before anything was decided about it.
//
// It keeps nothing on disk: after a restart an epoch's place is found from stream and store.
package ingest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Message is a batch for the stream.
type Message struct {
	Agent, Epoch exchange.ID
	Seq          uint64
	Hash         exchange.Hash
	Received     time.Time
	Refused, Why string
	Wire         []byte
}

// Mark is an epoch's last message on the stream.
type Mark struct {
	Seq     uint64
	Hash    exchange.Hash
	Refused string // as in its Message
	At      uint64
}

var (
	// ErrOrder is returned by Stream.Publish when the epoch's last message is another one.
	ErrOrder = errors.New("the epoch's last message is another one")
	// ErrFull is returned by Stream.Publish when there is no room now.
	ErrFull = errors.New("the stream is full")
)

// Stream takes messages. Publish returns when m is synced to disk, and publishes only if the
// epoch's last message stands at after (0: there is none). m.Wire is not kept after the return.
type Stream interface {
	Publish(ctx context.Context, m Message, after uint64) (at uint64, err error)
	Last(ctx context.Context, agent, epoch exchange.ID) (Mark, error)
}

// Answers writes signed answers.
type Answers interface {
	// Answer signs v's JSON over status, path and the request's nonce and writes it.
	Answer(w http.ResponseWriter, r *http.Request, status int, v any)
}

// Config of ingest.
type Config struct {
	Stream     Stream
	Answers    Answers
	Agents     store.Agents
	Statements store.Statements
	Catalogs   store.Catalogs
	Marks      store.Writer
	Arrivals   store.Arrivals
	Logger     *slog.Logger
	// Now is the real clock. Default time.Now.
	Now func() time.Time
	// Clock is the virtual clock that simulated agents are judged by.
	Clock func(context.Context) (time.Time, error)
	// Demo lets every installation be simulated, not only those of environment test.
	Demo bool
	// Timeout of judging and publishing one batch. Default 20 s; after it the agent gets 503.
	Timeout time.Duration
	// CellsPerSecond is what one agent may send, each batch counting as 100 cells more; five
	// seconds' worth may come at once. Default 100,000: a year of hourly batches of 300 cells in
	// half a minute, while the slowest batch there is takes a twentieth of a processor. Negative: no limit.
	CellsPerSecond int
}

// Handler takes POST exchange.PathBatches.
type Handler struct {
	c     Config
	judge *judge
	order *order
	bound *bounds
	dec   sync.Pool // *batch.Decoder
}

// ContentType of a batch.
const ContentType = "application/vnd.fieldpost.batch"

// New makes the handler.
func New(c Config) *Handler {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Timeout <= 0 {
		c.Timeout = 20 * time.Second
	}
	if c.CellsPerSecond == 0 {
		c.CellsPerSecond = 100_000
	}
	h := &Handler{c: c, bound: newBounds(c.CellsPerSecond), judge: newJudge(c), order: newOrder(c)}
	h.dec.New = func() any { return new(batch.Decoder) }
	return h
}

// arrival is one request on its way through.
type arrival struct {
	body  []byte
	head  batch.Header
	hash  exchange.Hash
	agent store.Agent
	key   epochKey
	nonce exchange.ID
	room  int // bytes of the bounds' room that body holds
}

// ServeHTTP answers with a signed receipt, or with a Problem where there is none to give.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.c.Timeout)
	defer cancel()
	a := &arrival{}
	defer func() { h.bound.shrink(a.room) }()
	if p := h.read(w, r, a); p != nil {
		h.problem(w, r, p)
		return
	}
	receipt, err := h.take(ctx, r, a)
	if err != nil {
		p := store.ProblemOf(err)
		if l := (*limited)(nil); errors.As(err, &l) {
			w.Header().Set("Retry-After", strconv.Itoa(1+int(l.wait/time.Second)))
		}
		if p.Status >= 500 {
			h.c.Logger.Error("taking a batch", "agent", a.key.agent, "epoch", a.key.epoch, "seq", a.head.Seq, "error", err)
			p = &store.Problem{Code: store.CodeBusy, Message: "the collector cannot take batches now", Hint: "send it again later", Status: http.StatusServiceUnavailable}
		}
		h.problem(w, r, p)
		return
	}
	receipt.Agent, receipt.Epoch, receipt.Seq, receipt.Hash, receipt.Nonce = a.key.agent, a.key.epoch, a.head.Seq, a.hash, a.nonce
	receipt.Time = h.c.Now().Unix()
	h.c.Answers.Answer(w, r, receipt.Outcome.Status(), receipt)
}

func (h *Handler) problem(w http.ResponseWriter, r *http.Request, p *store.Problem) {
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	h.c.Answers.Answer(w, r, p.Status, p.Wire())
}

// read holds the request against the limits and reads who claims to have sent what.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, a *arrival) *store.Problem {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return &store.Problem{Code: store.CodeEncoding, Message: "a batch is compressed inside; the body takes no encoding", Status: http.StatusUnsupportedMediaType}
	}
	if ct := r.Header.Get("Content-Type"); ct != "" {
		if mt, _, err := mime.ParseMediaType(ct); err != nil || mt != ContentType && mt != "application/octet-stream" {
			return &store.Problem{Code: store.CodeEncoding, Message: "a batch's content type is " + ContentType, Status: http.StatusUnsupportedMediaType}
		}
	}
	var err error
	if a.nonce, err = exchange.ParseID(r.Header.Get(exchange.HeaderNonce)); err != nil {
		return unreadable("the " + exchange.HeaderNonce + " header is not 32 hex digits")
	}
	if a.key.agent, err = exchange.ParseID(r.Header.Get(exchange.HeaderAgent)); err != nil {
		return unreadable("the " + exchange.HeaderAgent + " header is not 32 hex digits")
	}
	tooLarge := &store.Problem{Code: store.CodeTooLarge, Message: "a batch has at most 256 KiB", Status: http.StatusRequestEntityTooLarge}
	if r.ContentLength > batch.MaxWire {
		return tooLarge
	}
	if err := h.body(http.MaxBytesReader(w, r.Body, batch.MaxWire), r.ContentLength, a); err != nil {
		if limit := (*http.MaxBytesError)(nil); errors.As(err, &limit) {
			return tooLarge
		}
		if errors.Is(err, errNoRoom) {
			return &store.Problem{Code: store.CodeBusy, Message: "the collector takes other batches now", Hint: "send it again later", Status: http.StatusServiceUnavailable}
		}
		return unreadable("the body broke off")
	}
	if a.head, err = batch.Peek(a.body); err != nil {
		return unreadable("the body does not begin with the header of a batch")
	}
	a.key.epoch, a.hash = a.head.Epoch, batch.Hash(a.body)
	return nil
}

func unreadable(message string) *store.Problem {
	return &store.Problem{Code: store.CodeUnreadable, Message: message, Hint: "upgrade the older of agent and collector", Status: http.StatusBadRequest}
}

var errNoRoom = errors.New("the bodies of other batches fill the room")

// body reads into a buffer that grows with what has really come: who only announces much takes
// no room.
func (h *Handler) body(r io.Reader, announced int64, a *arrival) error {
	n := int64(free)
	if announced >= 0 {
		n = min(announced+1, free)
	}
	a.body = make([]byte, 0, n)
	for {
		if len(a.body) == cap(a.body) {
			more := cap(a.body)
			if !h.bound.grow(more) {
				return errNoRoom
			}
			a.room += more
			a.body = append(make([]byte, 0, cap(a.body)+more), a.body...)
		}
		n, err := r.Read(a.body[len(a.body):cap(a.body)])
		a.body = a.body[:len(a.body)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// take judges the batch in SPEC's order and returns the receipt's own part. An error means
// that nothing was decided.
func (h *Handler) take(ctx context.Context, r *http.Request, a *arrival) (exchange.Receipt, error) {
	var err error
	if a.agent, err = h.c.Agents.Agent(ctx, a.key.agent); errors.Is(err, store.ErrNotFound) {
		return exchange.Receipt{Outcome: exchange.NotKnown, Code: store.CodeAgentUnknown, Message: "no agent of that id joined here"}, nil
	} else if err != nil {
		return exchange.Receipt{}, err
	}
	if err := exchange.VerifyRequest(r, a.body, a.agent.Key); err != nil {
		return exchange.Receipt{Outcome: exchange.NotKnown, Code: store.CodeSignature, Message: "the request is not signed by the agent it names"}, nil
	}
	switch {
	case !a.agent.Revoked.IsZero():
		return exchange.Receipt{Outcome: exchange.Forbidden, Code: store.CodeAgentRevoked, Message: "the vendor revoked this agent"}, nil
	case a.agent.Closed:
		return exchange.Receipt{Outcome: exchange.Forbidden, Code: store.CodeAccountClosed, Message: "the vendor closed this account"}, nil
	case exchange.ID(a.head.Agent) != a.key.agent:
		return exchange.Receipt{Outcome: exchange.Forbidden, Code: store.CodeAgentMismatch, Message: "the batch names another agent than the request"}, nil
	}
	leave, wait := h.bound.enter(a.key.agent, int(a.head.Cells), h.c.Now())
	if leave == nil {
		return exchange.Receipt{}, tooMany(wait)
	}
	defer leave()
	s, err := h.order.lock(ctx, a.key.agent)
	if err != nil {
		return exchange.Receipt{}, err
	}
	defer s.unlock()
	p, err := h.order.place(ctx, s, a.key)
	if err != nil {
		return exchange.Receipt{}, err
	}
	rec, err := h.inOrder(ctx, p, a)
	if err != nil {
		delete(s.places, a.key) // whatever happened, stream and store know better
		return rec, err
	}
	rec.Queued = p.seq
	if rec.Stored, _, err = h.c.Marks.Mark(ctx, a.key.agent, a.key.epoch); err != nil {
		return rec, err
	}
	return rec, nil
}

// inOrder is SPEC's steps 3 to 7, under the agent's lock.
func (h *Handler) inOrder(ctx context.Context, p *place, a *arrival) (exchange.Receipt, error) {
	seq := a.head.Seq
	switch {
	case seq <= p.seq:
		return h.again(ctx, p, a)
	case seq > p.seq+1:
		return exchange.Receipt{Outcome: exchange.OutOfTurn, Expected: p.seq + 1, Code: store.CodeOutOfSeq, Message: "batches before this one have not arrived"}, nil
	case seq > 1 && exchange.Hash(a.head.Prev) != p.hash:
		return h.fork(ctx, a, seq, "its previous hash is not that of the batch before")
	}
	now, err := h.clock(ctx, a)
	if err != nil {
		return exchange.Receipt{}, err
	}
	rec := exchange.Receipt{Outcome: exchange.Accepted}
	refused, err := h.open(ctx, a, now)
	if err != nil {
		return rec, err
	}
	m := Message{Agent: a.key.agent, Epoch: a.key.epoch, Seq: seq, Hash: a.hash, Received: now, Wire: a.body}
	if refused != nil {
		rec.Outcome, rec.Code, rec.Message = exchange.Refused, refused.code, refused.message
		if refused.code == string(batch.ErrTooLarge) {
			rec.Outcome = exchange.TooLarge
		}
		m.Refused, m.Why = refused.code, refused.message
	}
	return rec, h.publish(ctx, p, a, m)
}

// clock is the one the agent is judged by: the real one, for simulated agents the highest
// time any of them has shown, this batch's freeze included.
func (h *Handler) clock(ctx context.Context, a *arrival) (time.Time, error) {
	if !a.head.Simulated {
		return h.c.Now(), nil
	}
	now := time.Unix(a.head.Created, 0).UTC()
	v, err := h.c.Clock(ctx)
	if err != nil || v.Before(now) {
		return now, err
	}
	return v, nil
}

// open verifies, inflates and judges.
func (h *Handler) open(ctx context.Context, a *arrival, now time.Time) (*refusal, error) {
	done, err := h.bound.open(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	d := h.dec.Get().(*batch.Decoder)
	defer h.dec.Put(d)
	b, err := d.Open(a.body, a.agent.Key)
	if code := batch.CodeOf(err); code != "" {
		return refuse(string(code), "%v", err), nil
	} else if err != nil {
		return nil, err
	}
	return h.judge.batch(ctx, &a.agent, b, now)
}

func (h *Handler) publish(ctx context.Context, p *place, a *arrival, m Message) error {
	for try := 0; ; try++ {
		at, err := h.c.Stream.Publish(ctx, m, p.at)
		switch {
		case err == nil:
			return h.order.moved(ctx, p, a.key, m.Seq, at, judged{m.Hash, m.Refused})
		case errors.Is(err, ErrFull):
			return &store.Problem{Code: store.CodeBusy, Message: "the queue is full", Status: http.StatusServiceUnavailable, Err: err}
		case !errors.Is(err, ErrOrder) || try == 3:
			return err
		}
		// The last message has left the stream for the store since; or another collector
		// was faster, and then the mark shows it.
		if err := h.order.load(ctx, p, a.key); err != nil {
			return err
		}
		if p.seq != m.Seq-1 {
			return &store.Problem{Code: store.CodeBusy, Message: "another batch of this epoch came in between", Status: http.StatusServiceUnavailable, Err: err}
		}
	}
}

// again answers for a seq that was judged before.
func (h *Handler) again(ctx context.Context, p *place, a *arrival) (exchange.Receipt, error) {
	j, unsettled, err := h.order.judgement(ctx, p, a.key, a.head.Seq)
	switch {
	case err != nil:
		return exchange.Receipt{}, err
	case unsettled:
		return exchange.Receipt{}, &store.Problem{Code: store.CodeBusy, Message: "the batch is on its way to the store", Status: http.StatusServiceUnavailable}
	case j.hash != a.hash:
		return h.fork(ctx, a, p.seq+1, "another batch holds this seq")
	case j.code == string(batch.ErrTooLarge):
		return exchange.Receipt{Outcome: exchange.TooLarge, Code: j.code}, nil
	case j.code != "" && j.code != store.CodePoison:
		return exchange.Receipt{Outcome: exchange.Refused, Code: j.code, Message: "refused before; it is in the collector's quarantine"}, nil
	}
	return exchange.Receipt{Outcome: exchange.Accepted}, nil
}

// fork records the batch and tells the agent to open a new epoch.
func (h *Handler) fork(ctx context.Context, a *arrival, expected uint64, why string) (exchange.Receipt, error) {
	q := store.Quarantined{At: h.c.Now(), Agent: a.key.agent, Epoch: a.key.epoch, Seq: a.head.Seq, Hash: a.hash, Code: exchange.CodeFork, Message: why, Bytes: len(a.body)}
	if err := h.c.Marks.Incident(ctx, q, a.body); err != nil {
		return exchange.Receipt{}, err
	}
	h.c.Logger.Warn("a batch does not continue its epoch", "agent", a.key.agent, "epoch", a.key.epoch, "seq", a.head.Seq, "reason", why)
	return exchange.Receipt{Outcome: exchange.OutOfTurn, Expected: expected, Code: exchange.CodeFork, Message: why}, nil
}

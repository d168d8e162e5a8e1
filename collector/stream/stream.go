// Package stream is the synced queue between ingest and the store: an embedded
// nats-server with one JetStream stream of whole batches. It is the one importer of NATS.
//
// Invariants:
//
//   - Publish returns nil only when the batch is on disk (file store, every write synced).
//   - Messages of one (agent, epoch) are in the order of their publishing: each publish says
//     which message of its subject must be the last, so that two publishers cannot
//     interleave; the loser gets ErrOrder.
//   - A message leaves the stream only when the consumer has acknowledged it. One that is not
//     acknowledged in AckWait comes again, and one whose process died right at the next start.
//   - Nothing listens: publisher and consumer are connected inside the process.
//
// States on disk: Config.Dir belongs to nats-server. A crash at any point leaves what was
// synced; nats-server rebuilds its indexes at the next start.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Config of the stream.
type Config struct {
	// Dir holds nats-server's files. Required.
	Dir string
	// MaxBytes bounds the queue. Default 1 GiB: at 2 KB a batch half a million batches, half
	// an hour of 300 a second while the store stands still. Full: Publish fails.
	MaxBytes int64
	// AckWait is how long the consumer may take for a message. Default one minute.
	AckWait time.Duration
	// Logger gets nats-server's warnings and errors. Default: none.
	Logger *slog.Logger
}

var (
	// ErrOrder says that another message of the epoch came in between; look again.
	ErrOrder = errors.New("the epoch's last message is another one")
	// ErrFull says that the queue has no room.
	ErrFull = errors.New("the queue is full")
)

// Message is one batch on its way.
type Message struct {
	Agent, Epoch exchange.ID
	Seq          uint64
	Hash         exchange.Hash
	Received     time.Time
	Refused      string // code; the batch only consumes its seq
	Why          string // message of the refusal
	Wire         []byte // the batch as it came
}

// Mark is the last message of an epoch that is still on the stream.
type Mark struct {
	Seq     uint64
	Hash    exchange.Hash
	Refused string
	At      uint64 // place in the stream; 0: none is there
}

// Stream is the running queue.
type Stream struct {
	ns   *server.Server
	nc   *nats.Conn
	js   jetstream.JetStream
	cons jetstream.Consumer
	st   jetstream.Stream
}

const (
	streamName   = "BATCHES"
	consumerName = "writer"
	subjectRoot  = "batch"

	headSeq, headHash, headAt, headRefused, headWhy = "Fp-Seq", "Fp-Hash", "Fp-At", "Fp-Refused", "Fp-Why"

	// maxPending bounds what is in the consumer's hands: 2,000 batches of at most 256 KiB, of
	// 2 KB as a rule.
	maxPending = 2000
	// maxPayload is a batch at its limit and the headers.
	maxPayload = 256<<10 + 8<<10
)

// subject spreads agents over sixteen partitions, so that later several consumers can
// share the work without breaking an agent's order.
func subject(agent, epoch exchange.ID) string {
	a := agent.String()
	return subjectRoot + "." + a[:1] + "." + a + "." + epoch.String()
}

// Open starts the server and finds or makes the stream and its consumer.
func Open(ctx context.Context, c Config) (*Stream, error) {
	if c.MaxBytes <= 0 {
		c.MaxBytes = 1 << 30
	}
	if c.AckWait <= 0 {
		c.AckWait = time.Minute
	}
	ns, err := server.NewServer(&server.Options{
		ServerName: "fieldpost", DontListen: true, NoSigs: true, NoLog: c.Logger == nil, MaxPayload: maxPayload,
		JetStream: true, StoreDir: c.Dir, SyncAlways: true, JetStreamMaxMemory: 8 << 20, JetStreamMaxStore: c.MaxBytes + 256<<20,
	})
	if err != nil {
		return nil, fmt.Errorf("configuring the stream: %w", err)
	}
	if c.Logger != nil {
		ns.SetLogger(&quiet{c.Logger}, false, false)
	}
	go ns.Start()
	s := &Stream{ns: ns}
	if !ns.ReadyForConnections(20 * time.Second) {
		return nil, errors.Join(errors.New("starting the stream: nats-server was not ready in 20 s"), s.Close())
	}
	if err := s.connect(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the stream: %w", err), s.Close())
	}
	return s, nil
}

func (s *Stream) connect(ctx context.Context, c Config) (err error) {
	if s.nc, err = nats.Connect("", nats.InProcessServer(s.ns), nats.Name("fieldpost"), nats.MaxReconnects(-1)); err != nil {
		return err
	}
	if s.js, err = jetstream.New(s.nc); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	s.st, err = s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{subjectRoot + ".>"}, Storage: jetstream.FileStorage,
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxBytes: c.MaxBytes,
		MaxMsgSize: maxPayload, Duplicates: time.Second, AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("making the stream: %w", err)
	}
	// What a killed process held would come only after AckWait, behind younger batches of its epoch.
	// The stream has this one consumer, so it begins anew: all that is on the stream is due.
	if err = s.st.DeleteConsumer(ctx, consumerName); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("taking over from the last consumer: %w", err)
	}
	s.cons, err = s.st.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.AckWait, MaxAckPending: maxPending,
	})
	if err != nil {
		return fmt.Errorf("making the consumer: %w", err)
	}
	return nil
}

// Close stops the server and waits for it. What was published stays.
func (s *Stream) Close() error {
	if s.nc != nil {
		s.nc.Close()
	}
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
	return nil
}

// Publish puts m on the synced stream behind the message at place after (0: none of the
// epoch is there). It returns m's own place.
func (s *Stream) Publish(ctx context.Context, m Message, after uint64) (at uint64, err error) {
	msg := &nats.Msg{Subject: subject(m.Agent, m.Epoch), Data: m.Wire, Header: nats.Header{}}
	msg.Header.Set(headSeq, strconv.FormatUint(m.Seq, 10))
	msg.Header.Set(headHash, m.Hash.String())
	msg.Header.Set(headAt, strconv.FormatInt(m.Received.UnixNano(), 10))
	if m.Refused != "" {
		msg.Header.Set(headRefused, m.Refused)
		msg.Header.Set(headWhy, strconv.Quote(m.Why))
	}
	ack, err := s.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(after), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, fmt.Errorf("publishing batch %d of epoch %s: %w", m.Seq, m.Epoch, known(err))
	}
	return ack.Sequence, nil
}

func known(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence, 10164: // 10164: the constant form of the same
		return ErrOrder
	case 10077, 10023, 10047: // maximum bytes or messages reached, insufficient resources
		return fmt.Errorf("%w: %s", ErrFull, api.Description)
	}
	return err
}

// Last is the newest message of the epoch that has not been consumed.
func (s *Stream) Last(ctx context.Context, agent, epoch exchange.ID) (Mark, error) {
	raw, err := s.st.GetLastMsgForSubject(ctx, subject(agent, epoch))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Mark{}, nil
	}
	if err != nil {
		return Mark{}, fmt.Errorf("looking for the last batch of epoch %s: %w", epoch, err)
	}
	m := Mark{At: raw.Sequence, Refused: raw.Header.Get(headRefused)}
	if m.Seq, err = strconv.ParseUint(raw.Header.Get(headSeq), 10, 64); err == nil {
		err = m.Hash.UnmarshalText([]byte(raw.Header.Get(headHash)))
	}
	if err != nil {
		return Mark{}, fmt.Errorf("reading the last batch of epoch %s: %w", epoch, err)
	}
	return m, nil
}

// Depth is how many batches wait.
func (s *Stream) Depth(ctx context.Context) (uint64, error) {
	info, err := s.st.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking the stream: %w", err)
	}
	return info.State.Msgs, nil
}

// Delivery is a message in the consumer's hands.
type Delivery struct {
	Message
	msg jetstream.Msg
	st  jetstream.Stream
	at  uint64 // place in the stream
	// Tries counts deliveries of this message, this one included.
	Tries uint64
	// Err says that the message is not one of ours; Wire holds its bytes.
	Err error
}

// Done takes the message off the stream for good, and waits until that is known.
func (d *Delivery) Done(ctx context.Context) error { return d.msg.DoubleAck(ctx) }

// Ack takes the message off the stream without waiting: should the process die before the
// stream knows, it comes again.
func (d *Delivery) Ack() error { return d.msg.Ack() }

// Follows says whether an earlier message of the same epoch is still on the stream.
func (d *Delivery) Follows(ctx context.Context) (bool, error) {
	first, err := d.st.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(d.msg.Subject()))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the batches before %d of epoch %s: %w", d.Seq, d.Epoch, err)
	}
	return first.Sequence < d.at, nil
}

// Again gives the message back, to be delivered after a while.
func (d *Delivery) Again(after time.Duration) error { return d.msg.NakWithDelay(after) }

// Fetch waits for at least one message, at most wait, and returns up to most that are
// there, in the order of the stream. None in time is no error.
func (s *Stream) Fetch(ctx context.Context, most int, wait time.Duration) ([]*Delivery, error) {
	batch, err := s.cons.FetchNoWait(most)
	if err != nil {
		return nil, fmt.Errorf("fetching batches: %w", err)
	}
	out := s.collect(batch)
	if len(out) > 0 || batch.Error() != nil {
		return out, wrapFetch(batch.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if batch, err = s.cons.Fetch(1, jetstream.FetchContext(ctx)); err != nil {
		return nil, wrapFetch(err)
	}
	out = s.collect(batch)
	return out, wrapFetch(batch.Error())
}

func wrapFetch(err error) error {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, nats.ErrTimeout) {
		return nil
	}
	return fmt.Errorf("fetching batches: %w", err)
}

func (s *Stream) collect(b jetstream.MessageBatch) (out []*Delivery) {
	for msg := range b.Messages() {
		d := &Delivery{msg: msg, st: s.st, Tries: 1}
		if meta, err := msg.Metadata(); err == nil {
			d.Tries, d.at = meta.NumDelivered, meta.Sequence.Stream
		}
		d.Message, d.Err = read(msg)
		out = append(out, d)
	}
	return out
}

func read(msg jetstream.Msg) (m Message, err error) {
	m.Wire = msg.Data()
	h := msg.Headers()
	var agent, epoch string
	if n := len(msg.Subject()); n < 2*32+1 {
		return m, fmt.Errorf("reading a message on %q: not a batch's subject", msg.Subject())
	} else {
		agent, epoch = msg.Subject()[n-65:n-33], msg.Subject()[n-32:]
	}
	if m.Agent, err = exchange.ParseID(agent); err != nil {
		return m, err
	}
	if m.Epoch, err = exchange.ParseID(epoch); err != nil {
		return m, err
	}
	if m.Seq, err = strconv.ParseUint(h.Get(headSeq), 10, 64); err != nil {
		return m, fmt.Errorf("reading a message's seq: %w", err)
	}
	if err = m.Hash.UnmarshalText([]byte(h.Get(headHash))); err != nil {
		return m, err
	}
	at, err := strconv.ParseInt(h.Get(headAt), 10, 64)
	if err != nil {
		return m, fmt.Errorf("reading a message's time: %w", err)
	}
	m.Received = time.Unix(0, at).UTC()
	if m.Refused = h.Get(headRefused); m.Refused != "" {
		m.Why, err = strconv.Unquote(h.Get(headWhy))
	}
	return m, err
}

// quiet passes on what an operator must know.
type quiet struct{ l *slog.Logger }

func (q *quiet) Noticef(string, ...any) {}
func (q *quiet) Debugf(string, ...any)  {}
func (q *quiet) Tracef(string, ...any)  {}
func (q *quiet) Warnf(format string, v ...any) {
	q.l.Warn("stream", "detail", fmt.Sprintf(format, v...))
}
func (q *quiet) Errorf(format string, v ...any) {
	q.l.Error("stream", "detail", fmt.Sprintf(format, v...))
}
func (q *quiet) Fatalf(format string, v ...any) {
	q.l.Error("stream", "detail", fmt.Sprintf(format, v...))
}

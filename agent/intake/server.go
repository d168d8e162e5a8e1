package intake

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// Config of a Server. Vocabulary, Journal and Doors must be given; the zero value of each other
// field means its default.
type Config struct {
	// Vocabulary is asked once per request.
	Vocabulary func() *Vocabulary
	Journal    Appender
	Clock      *Clock // default: a new one from zero
	Doors      []Door
	// MaxInFlight bounds the bytes of bodies being read or processed. Default 64 MiB: 128 of the
	// largest Segment batches at once.
	MaxInFlight int64
	// MaxConnections is the number of open connections. A further one takes the place of the one that
	// has been idle longest; where none is idle it waits. Default 1024: 16 KiB of buffers each.
	MaxConnections int
	// BodyTimeout is how long header and body of one request may take to arrive. Default 15 s.
	BodyTimeout time.Duration
	// StopTimeout is how long Serve lets requests under way finish. Default 5 s.
	StopTimeout time.Duration
	Logger      *slog.Logger // default: silent
}

const (
	maxHeaderBytes    = 16 << 10 // an SDK sends less than 2 KiB
	readHeaderBytes   = 64 << 10 // read at most, so that whoever sends too much hears why; beyond it only the status says so
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
)

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = NewClock(nil, 0)
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = 64 << 20
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 1024
	}
	if c.BodyTimeout == 0 {
		c.BodyTimeout = 15 * time.Second
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Server takes requests, lets the door of their path read them, and answers when the journal has
// them.
type Server struct {
	c        Config
	doors    map[string]Door // by path
	below    map[string]Door // by what a path begins with
	inFlight atomic.Int64
	requests sync.Pool // *work
	stats    counters
}

// New builds a server; nothing listens yet.
func New(c Config) *Server {
	s := &Server{c: c.withDefaults(), doors: map[string]Door{}, below: map[string]Door{}}
	for _, d := range c.Doors {
		for _, p := range d.Paths() {
			if prefix, ok := strings.CutSuffix(p, "*"); ok {
				s.below[prefix] = d
			} else {
				s.doors[p] = d
			}
		}
	}
	s.requests.New = func() any { return new(work) }
	s.stats.refused = map[string]uint64{}
	return s
}

// work is what one request needs and a later one uses again.
type work struct {
	q    Request
	rec  record.Record
	body []byte
	raw  []byte
	zip  inflater
}

// keepBody is the largest body buffer kept for later requests: the pool must not hold on to
// the few largest ones.
const keepBody = 1 << 20

// Handler is the server as an http.Handler.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Serve answers on l until ctx ends, then lets requests under way finish. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	guests := newCrowd(l, s.c.MaxConnections)
	srv := &http.Server{
		ConnState:         guests.state,
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       s.c.BodyTimeout,
		WriteTimeout:      s.c.BodyTimeout + 30*time.Second, // the disk's time in between
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    readHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.c.Logger.Handler(), slog.LevelDebug), // clients that hang up
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.c.StopTimeout)
		defer cancel()
		err := srv.Shutdown(grace)
		if err != nil {
			err = errors.Join(err, srv.Close())
		}
		stopped <- err
	})
	err := srv.Serve(guests)
	if stop() { // it was not the context that ended it
		return errors.Join(err, srv.Close())
	}
	if err = <-stopped; errors.Is(err, context.DeadlineExceeded) {
		s.c.Logger.Warn("requests were cut off at shutdown", "waited", s.c.StopTimeout)
		return nil
	}
	return err
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.stats.requests.Add(1)
	d := s.door(r.URL.Path)
	cors(w.Header(), r.Header)
	switch {
	case headerBytes(r) > maxHeaderBytes:
		s.refuse(w, r, plain{}, &Refusal{Status: http.StatusRequestHeaderFieldsTooLarge, Code: CodeHeaders, Message: "the headers are over 16 KiB", Hint: "Try: without cookies; they say nothing here"})
	case d == nil:
		s.refuse(w, r, plain{}, &Refusal{Status: 404, Code: CodeNotFound, Message: "nothing answers at this path", Hint: "Try: /v1/batch, /batch, /cloudevents, /v1/metrics or /v1/logs"})
	case r.Method == http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && get(w, r, d):
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST, OPTIONS")
		s.refuse(w, r, d, &Refusal{Status: 405, Code: CodeMethod, Message: "only POST is taken here", Hint: "Try: POST"})
	default:
		s.post(w, r, d)
	}
}

// door is who answers at a path, or nil.
func (s *Server) door(path string) Door {
	if d := s.doors[path]; d != nil {
		return d
	}
	for prefix, d := range s.below {
		if strings.HasPrefix(path, prefix) {
			return d
		}
	}
	return nil
}

// get answers a GET, where the door has something to say.
func get(w http.ResponseWriter, r *http.Request, d Door) (answered bool) {
	g, ok := d.(Getter)
	if !ok {
		return false
	}
	a, ok := g.Get(r.URL.Path)
	if ok {
		write(w, a)
	}
	return ok
}

// headerBytes is about what the request line and the headers took on the wire.
func headerBytes(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for k, vs := range r.Header {
		for _, v := range vs {
			n += len(k) + len(v) + 4
		}
	}
	return n
}

// cors lets pages of any origin send events: browser SDKs run in the product's pages, whose address
// the agent does not know. Nothing can be read here.
func cors(h, asked http.Header) {
	if asked.Get("Origin") == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", "*")
	if asked.Get("Access-Control-Request-Method") == "" {
		return
	}
	h.Set("Access-Control-Allow-Methods", "POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Content-Encoding, *") // *: ce- headers
	h.Set("Access-Control-Max-Age", "86400")
	if asked.Get("Access-Control-Request-Private-Network") != "" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
}

func (s *Server) post(w http.ResponseWriter, r *http.Request, d Door) {
	f := d.Accepts(r.Header)
	if f != nil {
		s.refuse(w, r, d, f)
		return
	}
	zipped, f := encoding(r, d)
	if f != nil {
		s.refuse(w, r, d, f)
		return
	}
	size, f := reserve(r, zipped, d.Limit())
	if f != nil {
		s.refuse(w, r, d, f)
		return
	}
	if s.inFlight.Add(size) > s.c.MaxInFlight {
		s.inFlight.Add(-size)
		s.refuse(w, r, d, &Refusal{Status: 503, Code: CodeBusy, Message: "too many requests at once", Hint: "Try: again in a second", RetryAfter: 1})
		return
	}
	defer s.inFlight.Add(-size)
	k := s.requests.Get().(*work)
	defer s.release(k)
	if f = k.read(r, zipped, d.Limit()); f != nil {
		s.refuse(w, r, d, f)
		return
	}
	answer, f := s.take(r, d, k)
	if f != nil {
		s.refuse(w, r, d, f)
		return
	}
	write(w, answer)
}

// take reads the body and journals what is in it.
func (s *Server) take(r *http.Request, d Door, k *work) (Answer, *Refusal) {
	v := s.c.Vocabulary()
	received, back := s.c.Clock.Received()
	k.rec.Kind, k.rec.Received, k.rec.Catalog = record.Request, received, v.Hash()
	if back {
		k.rec.ClockBack = 1
	}
	q := &k.q
	q.Path, q.Query, q.Header, q.Body, q.Vocabulary, q.Record = r.URL.Path, r.URL.RawQuery, r.Header, k.body, v, &k.rec
	answer, f := d.Read(q)
	if f != nil {
		return answer, f
	}
	// A batch without events leaves nothing to keep.
	if k.rec.RefusedEvents == (record.Counts{}) && k.rec.RefusedSamples == (record.Counts{}) &&
		len(k.rec.Events) == 0 && len(k.rec.Samples) == 0 && !k.carries() {
		return answer, nil
	}
	// What a client that hung up had sent is kept all the same: it may have been counted there.
	if _, err := s.c.Journal.Append(context.WithoutCancel(r.Context()), &k.rec); err != nil {
		return answer, journalRefusal(err)
	}
	s.stats.taken(&k.rec)
	return answer, nil
}

// carries says whether the record holds something besides events and samples.
func (k *work) carries() bool { return k.rec.ClockBack != 0 || len(k.rec.Facts) > 0 }

func journalRefusal(err error) *Refusal {
	switch {
	case errors.Is(err, durable.ErrFull):
		return &Refusal{Status: 503, Code: CodeJournalFull, Message: "the journal is full", Hint: "Try: fieldpost-agent status", RetryAfter: 30}
	case errors.Is(err, durable.ErrTooLarge):
		return &Refusal{Status: 413, Code: CodeTooLarge, Message: "the request is too large to keep", Hint: "Try: smaller batches"}
	case errors.Is(err, durable.ErrBusy):
		return &Refusal{Status: 503, Code: CodeBusy, Message: "the disk is behind", Hint: "Try: again in a second", RetryAfter: 1}
	case errors.Is(err, durable.ErrClosed):
		return &Refusal{Status: 503, Code: CodeStopping, Message: "the agent is stopping", Hint: "Try: again when it runs", RetryAfter: 5}
	}
	return &Refusal{Status: 503, Code: CodeJournalUnhealthy, Message: "the journal cannot be written", Hint: "Try: fieldpost-agent status", RetryAfter: 30}
}

// refuser is the part of Door that a refusal needs.
type refuser interface {
	Refuse(h http.Header, f *Refusal) Answer
}

// plain refuses where no door stands.
type plain struct{}

func (plain) Refuse(_ http.Header, f *Refusal) Answer {
	return Answer{Status: f.Status, ContentType: "text/plain; charset=utf-8", Body: []byte(f.Message + " (" + f.Code + "). " + f.Hint + "\n")}
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, d refuser, f *Refusal) {
	s.stats.refuse(f.Code)
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", itoa(f.RetryAfter))
	}
	if f.Status == 401 {
		w.Header().Set("WWW-Authenticate", `Basic realm="write key"`)
	}
	write(w, d.Refuse(r.Header, f))
}

func write(w http.ResponseWriter, a Answer) {
	h := w.Header()
	if h["Content-Type"] = nil; a.ContentType != "" { // nil: net/http does not guess either
		h["Content-Type"] = []string{a.ContentType}
	}
	h["Content-Length"] = []string{itoa(len(a.Body))}
	w.WriteHeader(a.Status)
	// An error here is the client's hanging up; what it sent is kept.
	_, _ = w.Write(a.Body)
}

func (s *Server) release(k *work) {
	if cap(k.body) > keepBody || cap(k.raw) > keepBody || cap(k.rec.Samples) > 1<<14 {
		return
	}
	rec := record.Record{Events: k.rec.Events[:0], Samples: k.rec.Samples[:0], Results: k.rec.Results[:0], Facts: k.rec.Facts[:0], Data: k.rec.Data[:0]}
	k.q = Request{Values: k.q.Values[:0], Attributes: k.q.Attributes[:0], Buckets: k.q.Buckets[:0], Out: k.q.Out[:0]}
	k.rec, k.body, k.raw = rec, k.body[:0], k.raw[:0]
	s.requests.Put(k)
}

package intake

import (
	"context"
	"net/http"

	"github.com/fieldpost/fieldpost/agent/record"
)

// Appender is the journal. Append returns when the record is on disk; it may raise
// r.Received so that records are in order of it, and keeps nothing of r.
type Appender interface {
	Append(ctx context.Context, r *record.Record) (no uint64, err error)
}

// Door reads one protocol. All methods are called from many goroutines at once.
type Door interface {
	// Paths are the exact URL paths it answers POST on; one that ends in * stands for all that begin
	// with what is before it.
	Paths() []string
	// Limit is the most bytes a body may have, before and after inflating.
	Limit() int
	// Accepts refuses, before the body is read, what the header lines already tell.
	Accepts(h http.Header) *Refusal
	// Read puts what the body holds into q.Record and says what to answer once that is on
	// disk, or refuses the whole request. q and all it refers to are the server's again
	// when the answer is written.
	Read(q *Request) (Answer, *Refusal)
	// Refuse says no in the words of the protocol.
	Refuse(h http.Header, f *Refusal) Answer
}

// Zipper is a Door some of whose clients say in the query, not in a header, that the body is gzip.
type Zipper interface {
	Zipped(query string) bool
}

// Getter is a Door that answers GET on some of its paths, without looking at anything but the path.
type Getter interface {
	Get(path string) (a Answer, ok bool)
}

// Request is one request whose body has arrived.
type Request struct {
	Path       string
	Query      string // raw
	Header     http.Header
	Body       []byte // inflated
	Vocabulary *Vocabulary
	// Record is empty but for Kind, Received, Catalog and ClockBack.
	Record *record.Record
	// Values, Attributes and Buckets are room to grow slices of the record in; Out is room for
	// the answer. They are used again for later requests.
	Values     []record.Value
	Attributes []uint16
	Buckets    []uint64
	Out        []byte
}

// Answer is what the client gets when the record is on disk.
type Answer struct {
	Status      int
	ContentType string // may be empty where Body is
	Body        []byte
}

// Refusal is a request that is not taken. Codes are append-only and listed in codes.go.
type Refusal struct {
	Status     int
	Code       string
	Message    string // what is wrong
	Hint       string // "Try: …"
	RetryAfter int    // seconds; 0: not worth retrying
}

// Error makes a refusal usable as an error in the doors.
func (f *Refusal) Error() string { return f.Code + ": " + f.Message }

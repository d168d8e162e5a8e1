// Package intaketest helps the tests of the doors: a journal in memory and a server around one
// door.
//
// Invariants: what the journal keeps went through the real encoding and back, so nothing in it
// refers to the buffers of a request.
package intaketest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Journal keeps records in memory. The zero value is ready.
type Journal struct {
	mu      sync.Mutex // guards all of it
	records []*record.Record
	raw     []byte
	fail    error
}

var _ intake.Appender = (*Journal)(nil)

// Append keeps a copy of r.
func (j *Journal) Append(_ context.Context, r *record.Record) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		return 0, j.fail
	}
	b := record.Append(nil, r)
	j.raw = append(j.raw, b...)
	var kept record.Record
	if err := record.Decode(b, &kept); err != nil {
		return 0, err
	}
	j.records = append(j.records, &kept)
	return uint64(len(j.records)), nil
}

// FailWith makes every further Append fail.
func (j *Journal) FailWith(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail = err
}

// Records are those kept so far.
func (j *Journal) Records() []*record.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]*record.Record(nil), j.records...)
}

// Raw is every byte that was journaled.
func (j *Journal) Raw() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(j.raw)
}

// Received adds up everything that is accounted for.
func (j *Journal) Received() (events, samples record.Counts) {
	for _, r := range j.Records() {
		for i := range events {
			events[i] += r.RefusedEvents[i]
			samples[i] += r.RefusedSamples[i]
		}
		events[record.Measured] += uint64(len(r.Events))
		samples[record.Measured] += uint64(len(r.Samples))
	}
	return events, samples
}

// Now is the moment at which the servers of Start receive everything.
func Now() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }

// Vocabulary is that of a catalog with all measures on.
func Vocabulary(c *catalog.Catalog) *intake.Vocabulary {
	return intake.NewVocabulary(c, func(*catalog.Measure) bool { return true })
}

// Start runs a server with one door. Now is the time.
func Start(t testing.TB, v *intake.Vocabulary, j *Journal, d intake.Door) (*httptest.Server, *intake.Server) {
	s := intake.New(intake.Config{Vocabulary: func() *intake.Vocabulary { return v }, Journal: j,
		Clock: intake.NewClock(Now, 0), Doors: []intake.Door{d}})
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	return h, s
}

// Post sends a body with pairs of header names and values.
func Post(t testing.TB, url, body string, header ...string) (status int, answer string, h http.Header) {
	t.Helper()
	q, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(b), a.Header
}

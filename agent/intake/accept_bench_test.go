package intake_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/segment"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// durableLog is the journal in its shortest form (stages do not import each other, tests
// included).
type durableLog struct {
	log  *durable.Log
	bufs sync.Pool
}

func (d *durableLog) Append(ctx context.Context, r *record.Record) (uint64, error) {
	b, _ := d.bufs.Get().(*[]byte)
	if b == nil {
		b = new([]byte)
	}
	defer d.bufs.Put(b)
	*b = record.Append((*b)[:0], r)
	return d.log.Append(ctx, *b)
}

// BenchmarkAccept100 is DELIVERY's row 1, BenchmarkAccept10 its row 2: requests over loopback
// HTTP/1.1, every event with a messageId of its own, 200 after fdatasync. The client shares the
// machine: it sends prepared bodies and changes only the messageIds.
func BenchmarkAccept100(b *testing.B) { accept(b, 100) }

func BenchmarkAccept10(b *testing.B) { accept(b, 10) }

func accept(b *testing.B, batch int) {
	log, err := durable.Open(b.TempDir(), durable.Options{MaxBytes: 16 << 30})
	if err != nil {
		b.Fatal(err)
	}
	v := intake.NewVocabulary(benchCatalog(), func(*catalog.Measure) bool { return true })
	s := intake.New(intake.Config{Vocabulary: func() *intake.Vocabulary { return v }, Journal: &durableLog{log: log},
		Doors: []intake.Door{segment.New(segment.Config{})}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	const clients = 32
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	start := time.Now()
	for i := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := load(l.Addr().String(), i, batch, &left); err != nil {
				b.Error(err)
			}
		}()
	}
	wg.Wait()
	b.ReportMetric(float64(b.N*batch)/time.Since(start).Seconds(), "events/s")
	b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(b.N*batch), "ns/event")
	b.StopTimer()
	stats := s.Stats()
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
	if err := log.Close(); err != nil {
		b.Error(err)
	}
	if stats.PassedEvents != uint64(b.N*batch) {
		b.Errorf("%d of %d events were taken, refused %v", stats.PassedEvents, b.N*batch, stats.RefusedEvents)
	}
}

// load sends until nothing is left, one request after the other on one connection.
func load(addr string, client, batch int, left *atomic.Int64) error {
	request, ids := prepared(client, batch)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for n := uint64(0); left.Add(-1) >= 0; n++ {
		for _, at := range ids {
			for i := range 8 {
				request[at+i] = "0123456789abcdef"[n>>(4*(7-i))&15]
			}
		}
		if _, err := c.Write(request); err != nil {
			return err
		}
		if err := answered(in); err != nil {
			return err
		}
	}
	return nil
}

// answered reads one answer; its body is short and its length known.
func answered(in *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch {
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")):
			return fmt.Errorf("answered %q", line)
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			length, _ = strconv.Atoi(string(bytes.TrimSpace(line[16:])))
		case len(line) <= 2:
			_, err := io.CopyN(io.Discard, in, int64(length))
			return err
		}
	}
}

// prepared is a request as an SDK sends it, and where the changing part of each messageId stands.
func prepared(client, batch int) (request []byte, ids []int) {
	var body bytes.Buffer
	body.WriteString(`{"batch":[`)
	for i := range batch {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"type":"track","messageId":"%08x-%04x-4000-8000-`, client, i)
		ids = append(ids, body.Len())
		fmt.Fprintf(&body, `00000000","userId":"user-%06d","event":"Workflow Saved","timestamp":"%s",`+
			`"context":{"library":{"name":"analytics-go","version":"3.3.0"}},`+
			`"properties":{"area":"editor","steps":%d,"title":"a title that is dropped"}}`,
			i*7+client*1000, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), i)
	}
	fmt.Fprintf(&body, `],"sentAt":"%s"}`, time.Now().UTC().Format(time.RFC3339Nano))
	head := fmt.Sprintf("POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", body.Len())
	for i := range ids {
		ids[i] += len(head)
	}
	return append([]byte(head), body.Bytes()...), ids
}

func benchCatalog() *catalog.Catalog {
	return &catalog.Catalog{
		Name: "bench", Version: 1,
		Events: []catalog.Event{{ID: "saved", Match: "Workflow Saved", Type: "track", Properties: []catalog.Property{
			{Name: "area", Values: []string{"list", "editor", "runs"}}, {Name: "steps", IsNumber: true, Max: 1e6}}}},
		Traits:   []catalog.Property{{Name: "role", Values: []string{"admin", "member"}}},
		Measures: []catalog.Measure{{ID: "saves", Kind: catalog.Count, Events: []string{"saved"}, By: [][]string{{"area"}}, Property: "steps"}},
	}
}

package intake_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/cloudevents"
	"github.com/fieldpost/fieldpost/agent/intake/otlp"
	"github.com/fieldpost/fieldpost/agent/intake/posthog"
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
func BenchmarkAccept100(b *testing.B) { accept(b, 100, segmentRequests()) }

func BenchmarkAccept10(b *testing.B) { accept(b, 10, segmentRequests()) }

// BenchmarkDoors is the same through every door, 100 events a request.
func BenchmarkDoors(b *testing.B) {
	b.Run("segment", func(b *testing.B) { accept(b, 100, segmentRequests()) })
	b.Run("posthog", func(b *testing.B) { accept(b, 100, posthogRequests()) })
	b.Run("cloudevents", func(b *testing.B) { accept(b, 100, cloudEventsRequests()) })
	b.Run("logs", func(b *testing.B) { accept(b, 100, logsRequests()) })
}

// requests are those of one door: a path, a content type, and what stands before, between and behind the
// events of a body. In an event, the last place that reads as changing is the part of its id that changes.
type requests struct {
	door                    intake.Door
	path, kind              string
	before, between, behind string
	event                   func(client, i int) string
}

const changing = "00000000"

func stamp() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

func segmentRequests() requests {
	return requests{segment.New(segment.Config{}), "/v1/batch", "application/json", `{"batch":[`, ",", `],"sentAt":"` + stamp() + `"}`, func(client, i int) string {
		return fmt.Sprintf(`{"type":"track","messageId":"%08x-%04x-4000-8000-`+changing+`","userId":"user-%06d","event":"Workflow Saved","timestamp":"%s",`+
			`"context":{"library":{"name":"analytics-go","version":"3.3.0"}},`+
			`"properties":{"area":"editor","steps":%d,"title":"a title that is dropped"}}`, client, i, i*7+client*1000, stamp(), i)
	}}
}

func posthogRequests() requests {
	return requests{posthog.New(posthog.Config{}), "/batch/", "application/json", `{"api_key":"phc_x","batch":[`, ",", `],"sent_at":"` + stamp() + `"}`, func(client, i int) string {
		return fmt.Sprintf(`{"distinct_id":"user-%06d","event":"Workflow Saved","properties":{"area":"editor","steps":%d,"title":"a title that is dropped",`+
			`"$lib":"posthog-node","$lib_version":"5.70.0","$geoip_disable":true,"$is_server":true},"type":"capture","library":"posthog-node","library_version":"5.70.0",`+
			`"timestamp":"%s","uuid":"%08x-%04x-7000-8000-`+changing+`"}`, i*7+client*1000, i, stamp(), client, i)
	}}
}

func cloudEventsRequests() requests {
	return requests{cloudevents.New(), "/cloudevents", "application/cloudevents-batch+json", "[", ",", "]", func(client, i int) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":"%08x-%04x-`+changing+`","source":"/shop/editor","type":"Workflow Saved","time":"%s","authid":"user-%06d",`+
			`"datacontenttype":"application/json","data":{"area":"editor","steps":%d,"title":"a title that is dropped"}}`, client, i, stamp(), i*7+client*1000, i)
	}}
}

// logsRequests are protobuf, where messages written one after the other are one message: each log record comes
// with a resource and a scope of its own.
func logsRequests() requests {
	field := func(n protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
	}
	text := func(key, value string) []byte {
		return field(6, append(field(1, []byte(key)), field(2, field(1, []byte(value)))...))
	}
	return requests{otlp.NewLogs(), "/v1/logs", "application/x-protobuf", "", "", "", func(client, i int) string {
		l := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), uint64(time.Now().UnixNano()))
		l = append(l, field(5, field(1, []byte("a body that is dropped")))...)
		l = append(l, text("user.id", fmt.Sprintf("user-%06d", i*7+client*1000))...)
		l = append(l, text("area", "editor")...)
		l = append(l, text("log.record.uid", fmt.Sprintf("%08x-%04x-", client, i)+changing)...)
		l = append(l, field(12, []byte("Workflow Saved"))...)
		return string(field(1, field(2, field(2, l))))
	}}
}

func accept(b *testing.B, batch int, of requests) {
	log, err := durable.Open(b.TempDir(), durable.Options{MaxBytes: 16 << 30})
	if err != nil {
		b.Fatal(err)
	}
	v := intake.NewVocabulary(benchCatalog(), func(*catalog.Measure) bool { return true })
	s := intake.New(intake.Config{Vocabulary: func() *intake.Vocabulary { return v }, Journal: &durableLog{log: log},
		Doors: []intake.Door{of.door}})
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
			if err := load(l.Addr().String(), i, batch, of, &left); err != nil {
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
func load(addr string, client, batch int, of requests, left *atomic.Int64) error {
	request, ids := of.prepared(client, batch)
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
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 20")):
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
func (of requests) prepared(client, batch int) (request []byte, ids []int) {
	var body bytes.Buffer
	body.WriteString(of.before)
	for i := range batch {
		if i > 0 {
			body.WriteString(of.between)
		}
		event := of.event(client, i)
		ids = append(ids, body.Len()+strings.LastIndex(event, changing))
		body.WriteString(event)
	}
	body.WriteString(of.behind)
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", of.path, of.kind, body.Len())
	for i := range ids {
		ids[i] += len(head)
	}
	return append([]byte(head), body.Bytes()...), ids
}

func benchCatalog() *catalog.Catalog {
	return &catalog.Catalog{
		Name: "bench", Version: 1, Doors: catalog.Doors{CloudEvents: "authid", Logs: "user.id"},
		Events: []catalog.Event{{ID: "saved", Match: "Workflow Saved", Type: "track", Properties: []catalog.Property{
			{Name: "area", Values: []string{"list", "editor", "runs"}}, {Name: "steps", IsNumber: true, Max: 1e6}}}},
		Traits:   []catalog.Property{{Name: "role", Values: []string{"admin", "member"}}},
		Measures: []catalog.Measure{{ID: "saves", Kind: catalog.Count, Events: []string{"saved"}, By: [][]string{{"area"}}, Property: "steps"}},
	}
}

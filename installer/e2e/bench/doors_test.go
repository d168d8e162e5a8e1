package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// BenchmarkDoors is BenchmarkAccept with 100 events a request through every other door that answers for what it
// takes: PostHog's, CloudEvents', OTLP's for logs, and, with 100 data points a request, that for metrics.
func BenchmarkDoors(b *testing.B) {
	b.Run("posthog", func(b *testing.B) { accept(b, 100, posthog()) })
	b.Run("cloudevents", func(b *testing.B) { accept(b, 100, cloudevents()) })
	b.Run("logs", func(b *testing.B) { accept(b, 100, logs()) })
	b.Run("metrics", func(b *testing.B) { accept(b, 100, metrics()) })
}

// BenchmarkStatsD sends datagrams of about 1,400 bytes as fast as one client can. values/s are those that were
// added up, which the agent has on disk when it has stopped; %lost is what the system dropped because the client was
// faster: StatsD's clients are not told.
func BenchmarkStatsD(b *testing.B) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	listen := socket.LocalAddr().String()
	socket.Close()
	a := site(b, "statsd: "+listen)
	client, err := net.Dial("udp", listen)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	const lines = 28
	datagram := []byte(strings.Repeat("forge.http.requests:1|c|#outcome:ok,pod:web-7d9f\n", lines))
	before, begin := cpu(b, a), time.Now()
	sent := uint64(0)
	for b.Loop() {
		if _, err := client.Write(datagram); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	var s *control.StatsD
	harness.Eventually(b, func() error {
		st, err := a.Site().Status(context.Background())
		if err != nil {
			return err
		}
		if s = st.StatsD; s == nil || s.Datagrams+s.Dropped < sent {
			return fmt.Errorf("%+v, sent %d datagrams", s, sent)
		}
		return nil
	})
	took := time.Since(begin)
	b.ReportMetric(float64(s.Values)/took.Seconds(), "values/s")
	b.ReportMetric(100*float64(s.Dropped)/float64(sent), "%lost")
	b.ReportMetric(float64((cpu(b, a)-before).Nanoseconds())/1000/float64(s.Values), "agent-us/value")
	if s.Values != s.Datagrams*lines || s.Journaled+s.Pending != s.Values || s.Lost > 0 {
		b.Errorf("%+v does not add up", s)
	}
	a.Stop()
	if st := a.Status(); st.Samples.Received == 0 || st.Samples.Received != st.Samples.Reasons["measured"] {
		b.Errorf("%+v", st.Samples)
	}
}

// door is how a client sends: a path, a content type, and what stands before, between and behind the events of a
// body. In an event, the last place that reads as changing is the part of its id that changes, if it has one.
type door struct {
	path, kind              string
	before, between, behind string
	samples                 bool // data points, not events
	event                   func(client, i int) string
}

const changing = "00000000"

// received waits until so many events, or samples, were accounted for.
func (d door) received(a *harness.Agent, n uint64) control.Counts {
	if d.samples {
		_, counts := a.Received(0, n)
		return counts
	}
	counts, _ := a.Received(n, 0)
	return counts
}

// prepared is a request as an SDK sends it, and where the changing part of each id stands.
func (d door) prepared(client, size int) (request []byte, ids []int) {
	var body bytes.Buffer
	body.WriteString(d.before)
	for i := range size {
		if i > 0 {
			body.WriteString(d.between)
		}
		e := d.event(client, i)
		if at := strings.LastIndex(e, changing); at >= 0 {
			ids = append(ids, body.Len()+at)
		}
		body.WriteString(e)
	}
	body.WriteString(d.behind)
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", d.path, d.kind, body.Len())
	for i := range ids {
		ids[i] += len(head)
	}
	return append([]byte(head), body.Bytes()...), ids
}

func stamp() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

func segment() door {
	return door{path: "/v1/batch", kind: "application/json", before: `{"batch":[`, between: ",", behind: `],"sentAt":"` + stamp() + `"}`, event: func(client, i int) string {
		return fmt.Sprintf(`{"type":"track","messageId":"%08x-%04x-4000-8000-`+changing+`","userId":"user-%06d","event":"Change Authored","timestamp":"%s",`+
			`"context":{"library":{"name":"analytics-go","version":"3.3.0"}},`+
			`"properties":{"area":"code","files":%d,"title":"a title that is dropped"}}`, client, i, i*7+client*1000, stamp(), i)
	}}
}

func posthog() door {
	return door{path: "/batch/", kind: "application/json", before: `{"api_key":"phc_x","batch":[`, between: ",", behind: `],"sent_at":"` + stamp() + `"}`, event: func(client, i int) string {
		return fmt.Sprintf(`{"distinct_id":"user-%06d","event":"Change Authored","properties":{"area":"code","files":%d,"title":"a title that is dropped",`+
			`"$lib":"posthog-node","$lib_version":"5.70.0","$geoip_disable":true,"$is_server":true},"type":"capture","library":"posthog-node","library_version":"5.70.0",`+
			`"timestamp":"%s","uuid":"%08x-%04x-7000-8000-`+changing+`"}`, i*7+client*1000, i, stamp(), client, i)
	}}
}

func cloudevents() door {
	return door{path: "/cloudevents", kind: "application/cloudevents-batch+json", before: "[", between: ",", behind: "]", event: func(client, i int) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":"%08x-%04x-`+changing+`","source":"/shop/editor","type":"Change Authored","time":"%s","authid":"user-%06d",`+
			`"datacontenttype":"application/json","data":{"area":"code","files":%d,"title":"a title that is dropped"}}`, client, i, stamp(), i*7+client*1000, i)
	}}
}

// field is a length-delimited field of protobuf. Messages written one after the other are one message, so that each log
// record or metric comes with a resource and a scope of its own.
func field(n protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
}

func attribute(n protowire.Number, key, value string) []byte {
	return field(n, append(field(1, []byte(key)), field(2, field(1, []byte(value)))...))
}

func fixed(n protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, n, protowire.Fixed64Type), v)
}

func logs() door {
	return door{path: "/v1/logs", kind: "application/x-protobuf", event: func(client, i int) string {
		l := fixed(1, uint64(time.Now().UnixNano()))
		l = append(l, field(5, field(1, []byte("a body that is dropped")))...)
		l = append(l, attribute(6, "user.id", fmt.Sprintf("user-%06d", i*7+client*1000))...)
		l = append(l, attribute(6, "area", "code")...)
		l = append(l, attribute(6, "log.record.uid", fmt.Sprintf("%08x-%04x-", client, i)+changing)...)
		l = append(l, field(12, []byte("Change Authored"))...)
		return string(field(1, field(2, field(2, l))))
	}}
}

// metrics are gauges, one data point each: they have no id, and what is sent again is another sample.
func metrics() door {
	return door{path: "/v1/metrics", kind: "application/x-protobuf", samples: true, event: func(client, i int) string {
		point := append(fixed(3, uint64(time.Now().UnixNano())), fixed(6, uint64(client*100+i))...) // as_int
		point = append(point, attribute(7, "queue", fmt.Sprintf("queue-%d", i%10))...)
		m := append(field(1, []byte("forge.queue.depth")), field(5, field(1, point))...)
		return string(field(1, field(2, field(2, m))))
	}}
}

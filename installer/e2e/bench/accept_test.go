package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clients are the connections of the load; a client waits for its answer before it sends again.
const clients = 32

// BenchmarkAccept is DELIVERY's rows 1 to 3 on the whole agent: requests over HTTP/1.1 on loopback, every event
// with a messageId of its own, 200 after fdatasync. An operation is a request. events/s is what
// was accepted; agent-us/event the processor time of the agent until all of it is measured and
// on disk; MB what it holds then. The load shares the machine: it sends prepared bodies in which only
// the messageIds change.
func BenchmarkAccept(b *testing.B) {
	for _, size := range []int{100, 10} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) { accept(b, size, segment()) })
	}
}

func accept(b *testing.B, size int, through door) {
	a := site(b, "")
	before := cpu(b, a)
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range clients {
		wg.Go(func() {
			if err := load(a.Listen, i, size, through, &left, 0); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	events := b.N * size
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	counts := through.received(a, uint64(events))
	if n := counts.Reasons["measured"]; n != uint64(events) {
		b.Errorf("%d of %d events were measured: %+v", n, events, counts)
	}
	b.ReportMetric(float64((cpu(b, a)-before).Nanoseconds())/1000/float64(events), "agent-us/event")
	b.ReportMetric(megabytes(b, a, "VmRSS"), "MB")
	a.Stop()
}

// BenchmarkSteady is DELIVERY's row 4: what the agent holds after ten seconds of 50,000 events/s.
func BenchmarkSteady(b *testing.B) {
	const rate, size, seconds = 50_000, 100, 10
	for b.Loop() {
		a := site(b, "")
		var left atomic.Int64
		left.Store(rate / size * seconds)
		var wg sync.WaitGroup
		begin := time.Now()
		for i := range clients {
			wg.Go(func() {
				if err := load(a.Listen, i, size, segment(), &left, clients*size*time.Second/rate); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		b.ReportMetric(rate*seconds/time.Since(begin).Seconds(), "events/s")
		b.ReportMetric(megabytes(b, a, "VmRSS"), "MB")
		b.ReportMetric(megabytes(b, a, "VmHWM"), "peak-MB")
		a.Received(rate*seconds, 0)
		a.Stop()
	}
}

// load sends until nothing is left, one request after the other on one connection, each no sooner than
// every after the one before.
func load(addr string, client, size int, through door, left *atomic.Int64, every time.Duration) error {
	request, ids := through.prepared(client, size)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	begin := time.Now()
	for n := uint64(0); left.Add(-1) >= 0; n++ {
		time.Sleep(time.Until(begin.Add(time.Duration(n) * every)))
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
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[16:]))); err != nil {
				return err
			}
		case len(line) <= 2:
			_, err := io.CopyN(io.Discard, in, int64(length))
			return err
		}
	}
}

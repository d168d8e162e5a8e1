package statsd

import (
	"context"
	"math"
	"net"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
)

func FuzzDatagram(f *testing.F) {
	for _, s := range []string{
		"shop.orders:1|c|@0.1|#outcome:ok,user:x|T1772452800|c:abc\nshop.took:12.5:3|ms", "shop.waiting:+1|g\nshop.waiting:-2|g|#a",
		"_e{1,1}:a|b", "_sc|a|0", "a:b|s", "shop.size:1e308|h|@1e-9", "shop.orders:.5|c|@.5", "\n\r\n:|", "shop.took:-0.0001|ms|@0.000000001",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDoor(t)
		d.send(string(b))
		samples := d.flushed(t)
		s := d.Stats()
		if addsUp(t, s); s.Pending != 0 || s.Lost != 0 {
			t.Errorf("%+v", s)
		}
		for i := range samples {
			x := &samples[i]
			if math.IsNaN(x.Value) || math.IsInf(x.Value, 0) || math.IsNaN(x.Sum) || math.IsInf(x.Sum, 0) || x.Time <= 0 || x.Metric > size {
				t.Errorf("%+v", x)
			}
			n := uint64(0)
			for _, c := range x.Buckets {
				n += c
			}
			if n != x.Count {
				t.Errorf("%+v", x)
			}
		}
	})
}

// BenchmarkLines is lines read and added up on one core: datagrams of 1,432 bytes, as clients send them.
func BenchmarkLines(b *testing.B) {
	d := newDoor(b)
	var datagrams [][]byte
	lines := 0
	for len(datagrams) < 64 {
		var buf []byte
		for i := 0; ; i++ {
			one := [...]string{"shop.orders:1|c|#outcome:ok,region:eu-west,version:1.2.3", "shop.took:12.5|ms|@0.5|#route:cart,pod:web-7d9f", "shop.waiting:42|g|#pod:web-7d9f", "shop.size:512|d"}[i%4]
			if len(buf)+len(one) > 1432 {
				break
			}
			buf = append(append(buf, one...), '\n')
			lines++
		}
		datagrams = append(datagrams, buf)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		d.take(datagrams[n%64])
		n++
	}
	b.ReportMetric(float64(n)*float64(lines)/64/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkSocket is the same over a real socket, client and server on one machine: what arrived, and
// what the kernel dropped because the client was faster.
func BenchmarkSocket(b *testing.B) {
	v := vocabulary(b)
	s := New(Config{Vocabulary: func() *intake.Vocabulary { return v }, Journal: &intaketest.Journal{}})
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	client, err := net.Dial("udp", conn.LocalAddr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, conn) }()
	const lines = 24
	datagram := []byte(strings.Repeat("shop.took:12.5|ms|@0.5|#route:cart,pod:web-7d9f\n", lines))
	sent := 0
	for b.Loop() {
		if _, err := client.Write(datagram); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	st := s.Stats()
	took := b.Elapsed()
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(st.Values)/took.Seconds(), "lines/s")
	b.ReportMetric(100*float64(st.Dropped)/float64(sent), "%dropped")
	addsUp(b, s.Stats())
}

package statsd

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
)

// What the kernel had no room for is told.
func TestKernelDropsAreCounted(t *testing.T) {
	if text, err := os.ReadFile("/proc/self/net/udp"); err != nil || !strings.Contains(string(text), "drops") {
		t.Skip("this kernel does not tell drops in /proc/self/net/udp")
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("udp", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 1000 { // nobody reads
		if _, err := client.Write([]byte("shop.orders:1|c")); err != nil {
			t.Fatal(err)
		}
	}
	d := dropped(conn)
	if d == 0 || d >= 1000 {
		t.Fatalf("%d of 1000 datagrams to a full socket were dropped", d)
	}
	s := New(Config{Vocabulary: func() *intake.Vocabulary { return vocabulary(t) }, Journal: &intaketest.Journal{}})
	s.conn = conn
	if s.Stats().Dropped != d {
		t.Error("status does not tell the drops")
	}
}

package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Network is a network namespace of which loopback is all, default route included: whatever
// would leave the machine is a packet there that a capture sees and nobody answers.
type Network struct{ name string }

// NewNetwork makes one; it goes with the test. It needs root and the Debian package iproute2.
func NewNetwork(tb testing.TB) *Network {
	tb.Helper()
	NeedRoot(tb, "a network of its own")
	ip := Need(tb, "ip", "apt-get install iproute2")
	n := &Network{name: fmt.Sprintf("fp%d-%d", os.Getpid(), time.Now().UnixNano()%1_000_000)}
	if out, err := exec.Command(ip, "netns", "add", n.name).CombinedOutput(); err != nil {
		Missing(tb, "no network namespaces here: "+string(out))
	}
	tb.Cleanup(func() {
		if out, err := exec.Command(ip, "netns", "del", n.name).CombinedOutput(); err != nil {
			tb.Errorf("removing the network: %v %s", err, out)
		}
	})
	for _, args := range []string{
		"link set lo up", "addr add 192.0.2.2/32 dev lo", "route add default dev lo src 192.0.2.2", // RFC 5737: nobody's
	} {
		if out, err := exec.Command(ip, append([]string{"-n", n.name}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			tb.Fatalf("ip %s: %v %s", args, err, out)
		}
	}
	return n
}

func (n *Network) wrap(name string, args []string) (string, []string) {
	return "ip", append([]string{"netns", "exec", n.name, name}, args...)
}

// Inside calls fn on a thread inside the network: what it listens on or dials belongs there.
func (n *Network) Inside(fn func()) error {
	done := make(chan error, 1)
	go func() {
		// Not unlocked: the thread ends with the goroutine and no other code ever runs on it.
		runtime.LockOSThread()
		done <- n.enter(fn)
	}()
	return <-done
}

func (n *Network) enter(fn func()) error {
	f, err := os.Open(filepath.Join("/run/netns", n.name))
	if err != nil {
		return fmt.Errorf("opening the network: %w", err)
	}
	err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("entering the network: %w", err)
	}
	fn()
	return nil
}

// Packet is one packet of a capture, as tcpdump -nq prints it: "192.0.2.2.40000 > 192.0.2.1.53".
type Packet struct{ From, To, Text string }

// Capture records every packet of a network, loopback included, until Packets is called.
type Capture struct {
	tb   testing.TB
	n    *Network
	cmd  *exec.Cmd
	log  *Log
	done chan error
}

// Capture starts a capture and waits until it listens. It needs the Debian package tcpdump. What the
// kernel says by itself (ARP, neighbour discovery, multicast membership) is left out: no program
// causes it.
func (n *Network) Capture(tb testing.TB) *Capture {
	tb.Helper()
	tcpdump := Need(tb, "tcpdump", "apt-get install tcpdump")
	c := &Capture{tb: tb, n: n, log: &Log{}, done: make(chan error, 1)}
	name, args := n.wrap(tcpdump, []string{"-i", "any", "-n", "-q", "-l", "--immediate-mode", "-Z", "root", "not arp and not icmp6 and not igmp"})
	c.cmd = exec.Command(name, args...)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	if err := c.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() { c.done <- c.cmd.Wait() }()
	tb.Cleanup(func() { _ = c.cmd.Process.Kill() })
	c.until("listening on")
	return c
}

func (c *Capture) until(text string) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		ok, news := c.log.has(text)
		if ok {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			c.tb.Fatalf("the capture does not say %q:\n%s", text, c.log)
		}
	}
}

// Packets ends the capture and gives what it saw. First it sends a packet to a place nobody else
// would and waits for it: a capture that does not see that one proves nothing.
func (c *Capture) Packets() []Packet {
	c.tb.Helper()
	const marker = "192.0.2.77.9"
	c.n.send(c.tb, "192.0.2.77:9")
	c.until("> " + marker)
	if err := c.cmd.Process.Signal(unix.SIGINT); err != nil {
		c.tb.Fatal(err)
	}
	<-c.done
	var out []Packet
	for row := range strings.Lines(c.log.String()) {
		// 21:50:01.123456 lo    In  IP 127.0.0.1.4318 > 127.0.0.1.40000: tcp 12
		f := strings.Fields(row)
		for i := 1; i+1 < len(f); i++ {
			if f[i] != ">" {
				continue
			}
			p := Packet{From: f[i-1], To: strings.TrimSuffix(f[i+1], ":"), Text: strings.TrimSpace(row)}
			if p.To != marker {
				out = append(out, p)
			}
			break
		}
	}
	return out
}

// send sends one UDP packet from inside.
func (n *Network) send(tb testing.TB, addr string) {
	tb.Helper()
	var err error
	inside := n.Inside(func() {
		var c net.Conn
		if c, err = net.Dial("udp", addr); err == nil {
			_, err = c.Write([]byte("seen?"))
			err = errors.Join(err, c.Close())
		}
	})
	if err := errors.Join(inside, err); err != nil {
		tb.Fatal("sending the marker: ", err)
	}
}

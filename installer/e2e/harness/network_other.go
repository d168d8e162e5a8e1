//go:build !linux

package harness

import "testing"

// Network is a network namespace; only Linux has them.
type Network struct{}

// NewNetwork skips the test.
func NewNetwork(tb testing.TB) *Network {
	tb.Helper()
	Missing(tb, "network namespaces are Linux")
	return nil
}

func (n *Network) wrap(name string, args []string) (string, []string) { return name, args }

// Inside calls fn.
func (n *Network) Inside(fn func()) error { fn(); return nil }

// Packet is one packet of a capture.
type Packet struct{ From, To, Text string }

// Capture records packets; only on Linux.
type Capture struct{}

// Capture skips the test.
func (n *Network) Capture(tb testing.TB) *Capture {
	tb.Helper()
	Missing(tb, "network namespaces are Linux")
	return nil
}

// Packets gives nothing.
func (c *Capture) Packets() []Packet { return nil }

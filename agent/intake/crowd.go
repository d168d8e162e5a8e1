package intake

import (
	"net"
	"net/http"
	"slices"
	"sync"
)

// crowd is a listener with at most max connections open at a time. At the limit the one that has been
// idle longest makes room: a product that keeps connections for later must not keep its own other
// processes waiting. Only where all are busy does the next one wait to be accepted.
type crowd struct {
	net.Listener
	max int

	mu     sync.Mutex // guards all below
	room   *sync.Cond // a connection was closed or became idle, or the listener was closed
	open   int
	idle   []*guest // longest first
	closed bool
}

// guest is a connection of a crowd.
type guest struct {
	net.Conn
	of   *crowd
	gone bool // guarded by of.mu: counted no more
}

func newCrowd(l net.Listener, max int) *crowd {
	c := &crowd{Listener: l, max: max}
	c.room = sync.NewCond(&c.mu)
	return c
}

func (c *crowd) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !c.admit() {
		conn.Close()
		return nil, net.ErrClosed
	}
	return &guest{Conn: conn, of: c}, nil
}

// admit counts one more, once there is room. It says false when the listener was closed meanwhile.
func (c *crowd) admit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.max && !c.closed {
		if len(c.idle) == 0 {
			c.room.Wait()
			continue
		}
		g := c.idle[0]
		c.leave(g)
		g.Conn.Close() // what waits for its next request reads an end
	}
	if c.closed {
		return false
	}
	c.open++
	return true
}

// leave stops counting g. mu is held.
func (c *crowd) leave(g *guest) {
	c.busy(g)
	if !g.gone {
		g.gone = true
		c.open--
		c.room.Signal()
	}
}

// busy takes g off the list of the idle. mu is held.
func (c *crowd) busy(g *guest) {
	if i := slices.Index(c.idle, g); i >= 0 {
		c.idle = slices.Delete(c.idle, i, i+1)
	}
}

// state is the server's ConnState.
func (c *crowd) state(conn net.Conn, s http.ConnState) {
	g, ok := conn.(*guest)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy(g)
	if s == http.StateIdle && !g.gone {
		c.idle = append(c.idle, g)
		c.room.Signal()
	}
}

// Close stops accepting; the connections stay.
func (c *crowd) Close() error {
	c.mu.Lock()
	c.closed = true
	c.room.Broadcast()
	c.mu.Unlock()
	return c.Listener.Close()
}

func (g *guest) Close() error {
	g.of.mu.Lock()
	g.of.leave(g)
	g.of.mu.Unlock()
	return g.Conn.Close()
}

// CloseWrite lets the server end its half first, so that a client that still sends reads the answer
// and no reset.
func (g *guest) CloseWrite() error {
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

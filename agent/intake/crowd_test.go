package intake_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
)

// visit sends a whole request and reads the answer, connection left open.
func visit(t *testing.T, c net.Conn, r *bufio.Reader) {
	t.Helper()
	if _, err := io.WriteString(c, head(len(good))+good); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != 200 {
		t.Fatalf("%s %v", res.Status, err)
	}
}

// A product that kept as many connections for later as are allowed once held up all its other
// processes until one of them was idle for two minutes.
func TestAnIdleConnectionMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop, _ := serve(t, &intaketest.Journal{}, intake.Config{MaxConnections: 2})
		var conns []net.Conn
		var readers []*bufio.Reader
		begun := time.Now()
		for range 5 {
			c := l.dial()
			r := bufio.NewReader(c)
			visit(t, c, r)
			synctest.Wait() // the server knows that it is idle
			conns, readers = append(conns, c), append(readers, r)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("the newcomers waited %s", took)
		}
		for i, r := range readers[:3] {
			if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("connection %d, idle for longest, is still there: %v", i, err)
			}
		}
		for i, c := range conns[3:] {
			visit(t, c, readers[3+i])
		}
		for _, c := range conns {
			c.Close()
		}
		stop()
	})
}

// Where all connections are busy the next one waits for the first that is done.
func TestABusyConnectionIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop, _ := serve(t, &intaketest.Journal{}, intake.Config{MaxConnections: 1})
		busy := l.dial()
		if _, err := io.WriteString(busy, head(len(good))+good[:5]); err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			next := l.dial()
			visit(t, next, bufio.NewReader(next))
			next.Close()
		}()
		synctest.Wait()
		select {
		case <-served:
			t.Error("one connection is allowed, and two were served")
		default:
		}
		if _, err := io.WriteString(busy, good[5:]); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(busy), nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("the busy one was cut off: %v %v", res, err)
		}
		<-served
		busy.Close()
		stop()
	})
}

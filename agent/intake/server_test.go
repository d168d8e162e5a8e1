package intake_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/intake/segment"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const good = `{"userId":"u","event":"Workflow Saved"}`

// listener serves connections of net.Pipe, so that time in a synctest bubble can pass.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *listener) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}

// serve runs a server in the bubble and returns what ends it.
func serve(t *testing.T, j intake.Appender, c intake.Config) (l *listener, stop func(), s *intake.Server) {
	v := intaketest.Vocabulary(benchCatalog())
	c.Vocabulary, c.Journal, c.Doors = func() *intake.Vocabulary { return v }, j, []intake.Door{segment.New(segment.Config{})}
	s = intake.New(c)
	l = &listener{make(chan net.Conn), make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	return l, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving ended with %v", err)
		}
	}, s
}

func head(length int) string {
	return fmt.Sprintf("POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", length)
}

func TestSlowClientsAreCutOff(t *testing.T) {
	for name, c := range map[string]struct {
		sends  string
		after  time.Duration
		answer string
	}{
		"nothing":      {"", 16 * time.Second, ""},
		"half a line":  {"POST /v1/tr", 6 * time.Second, ""},
		"half a body":  {head(1000) + "{", 16 * time.Second, "408"},
		"chunked body": {"POST /v1/track HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", 16 * time.Second, "408"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j intaketest.Journal
				l, stop, s := serve(t, &j, intake.Config{})
				conn := l.dial()
				begin := time.Now()
				if _, err := io.WriteString(conn, c.sends); err != nil {
					t.Fatal(err)
				}
				answer, _ := io.ReadAll(conn)
				if took := time.Since(begin); took > c.after {
					t.Errorf("cut off after %s", took)
				}
				if !strings.Contains(string(answer), c.answer) {
					t.Errorf("answer %q, want %s", answer, c.answer)
				}
				_ = conn.Close()
				stop()
				if n := s.Stats().InFlight; n != 0 || len(j.Records()) != 0 {
					t.Errorf("%d bytes in flight, %d records", n, len(j.Records()))
				}
			})
		})
	}
}

// A slow client holds its own bytes and no one else's.
func TestBytesInFlightAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j intaketest.Journal
		l, stop, s := serve(t, &j, intake.Config{MaxInFlight: 1000})
		slow := l.dial()
		if _, err := io.WriteString(slow, head(900)+"{"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := s.Stats().InFlight; n != 900 {
			t.Errorf("%d bytes in flight", n)
		}
		other := l.dial()
		if status, header := ask(t, other, head(200)+strings.Repeat(" ", 200)); status != 503 || header.Get("Retry-After") != "1" {
			t.Errorf("got %d %v, want to be told to come back", status, header)
		}
		if status, _ := ask(t, other, head(len(good))+good); status != 200 {
			t.Errorf("a small request beside the slow one got %d", status)
		}
		_ = slow.Close()
		synctest.Wait()
		if status, _ := ask(t, other, head(200)+strings.Repeat(" ", 200-len(good))+good); status != 200 {
			t.Errorf("got %d after the slow one had gone", status)
		}
		_ = other.Close()
		stop()
	})
}

func ask(t *testing.T, c net.Conn, request string) (int, http.Header) {
	t.Helper()
	go func() { _, _ = io.WriteString(c, request) }()
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, a.Body)
	_ = a.Body.Close()
	return a.StatusCode, a.Header
}

// slowDisk appends when it is told to.
type slowDisk struct {
	intaketest.Journal
	begun, release chan struct{}
}

func (d *slowDisk) Append(ctx context.Context, r *record.Record) (uint64, error) {
	d.begun <- struct{}{}
	<-d.release
	return d.Journal.Append(ctx, r)
}

func TestAnswerWaitsForTheDiskAlsoWhenStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slowDisk{begun: make(chan struct{}), release: make(chan struct{})}
		l, stop, _ := serve(t, d, intake.Config{})
		c := l.dial()
		status := make(chan int, 1)
		go func() {
			s, _ := ask(t, c, head(len(good))+good)
			status <- s
		}()
		<-d.begun
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		synctest.Wait()
		select {
		case s := <-status:
			t.Errorf("answered %d before the disk", s)
		default:
		}
		close(d.release)
		if s := <-status; s != 200 || len(d.Records()) != 1 {
			t.Errorf("answered %d", s)
		}
		<-stopped
		_ = c.Close()
	})
}

func TestHeadersMethodsAndOrigins(t *testing.T) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(benchCatalog()), &j, segment.New(segment.Config{}))
	defer http.DefaultClient.CloseIdleConnections()
	do := func(method, path string, header ...string) *http.Response {
		q, err := http.NewRequest(method, h.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			q.Header.Set(header[i], header[i+1])
		}
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		return a
	}
	if a := do("GET", "/v1/batch"); a.StatusCode != 405 || a.Header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("GET got %d %v", a.StatusCode, a.Header)
	}
	if a := do("GET", "/"); a.StatusCode != 404 {
		t.Errorf("/ got %d", a.StatusCode)
	}
	a := do("OPTIONS", "/v1/t", "Origin", "https://shop.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	if a.StatusCode != 204 || a.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "Content-Type") {
		t.Errorf("preflight got %d %v", a.StatusCode, a.Header)
	}
	status, _, header := intaketest.Post(t, h.URL+"/v1/t", good, "Origin", "https://shop.example", "Content-Type", "text/plain")
	if status != 200 || header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a page's call got %d %v", status, header)
	}
}

func TestOversizedHeaderIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j intaketest.Journal
		l, stop, _ := serve(t, &j, intake.Config{})
		c := l.dial()
		status, _ := ask(t, c, "POST /v1/track HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("y", 64<<10)+"\r\n\r\n")
		if status != 431 {
			t.Errorf("got %d", status)
		}
		_ = c.Close()
		stop()
	})
}

func TestClockNeverGoesBack(t *testing.T) {
	wall := time.Unix(100, 0)
	c := intake.NewClock(func() time.Time { return wall }, time.Unix(50, 0).UnixNano())
	at := func(seconds int64, wantSeconds int64, wantBack bool) {
		t.Helper()
		wall = time.Unix(seconds, 0)
		if ns, back := c.Received(); ns != wantSeconds*1e9 || back != wantBack {
			t.Errorf("at %d: received %d, back %v", seconds, ns, back)
		}
	}
	at(100, 100, false)
	at(90, 100, true)
	at(100, 100, false)
	at(101, 101, false)
	if c.Back() != 1 {
		t.Errorf("counted %d", c.Back())
	}
	restarted := intake.NewClock(func() time.Time { return wall }, time.Unix(200, 0).UnixNano())
	if ns, back := restarted.Received(); ns != 200e9 || !back {
		t.Errorf("after a restart: %d %v", ns, back)
	}
}

func TestClockBackIsOnTheRecord(t *testing.T) {
	var j intaketest.Journal
	v := intaketest.Vocabulary(benchCatalog())
	s := intake.New(intake.Config{Vocabulary: func() *intake.Vocabulary { return v }, Journal: &j,
		Clock: intake.NewClock(intaketest.Now, intaketest.Now().Add(time.Hour).UnixNano()), Doors: []intake.Door{segment.New(segment.Config{})}})
	q, err := http.NewRequest("POST", "/v1/track", strings.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	s.Handler().ServeHTTP(discard{}, q)
	r := j.Records()[0]
	if r.ClockBack != 1 || r.Received != intaketest.Now().Add(time.Hour).UnixNano() || r.Events[0].Time != r.Received {
		t.Errorf("record %+v", r)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// Only what a measure that is on reads is kept.
func TestVocabularyKeepsWhatMeasuresRead(t *testing.T) {
	c := &catalog.Catalog{
		Events: []catalog.Event{
			{ID: "saved", Match: "Saved", Properties: []catalog.Property{{Name: "by"}, {Name: "where"}, {Name: "sum", IsNumber: true}, {Name: "fact"}, {Name: "other"}, {Name: "valid"}}},
			{ID: "opened", Match: "Opened"}, {ID: "asked", Match: "Asked", Type: "page"}},
		Traits:      []catalog.Property{{Name: "role"}, {Name: "team"}, {Name: "bot", NotPeople: []string{"yes"}}, {Name: "plan"}, {Name: "other"}},
		GroupTraits: []catalog.Property{{Name: "plan"}},
		Metrics:     []catalog.Metric{{ID: "m", Match: "m"}, {ID: "n", Match: "n"}},
	}
	kept := func(v *intake.Vocabulary, w *intake.Words, names ...string) string {
		var on []string
		for _, n := range names {
			if w.Find([]byte(n)).Keep {
				on = append(on, n)
			}
		}
		return strings.Join(on, " ")
	}
	properties := []string{"by", "where", "sum", "fact", "other", "valid"}
	traits := []string{"role", "team", "bot", "plan", "other"}
	for name, x := range map[string]struct {
		m              catalog.Measure
		properties     string
		traits         string
		people, groups bool
	}{
		"count":   {catalog.Measure{Subject: catalog.Person, Events: []string{"saved"}, By: [][]string{{"by", "role"}}, Where: []catalog.Clause{{Property: "where"}}, WhereUser: []catalog.Clause{{Property: "team"}}}, "by where", "role team bot", true, true},
		"traffic": {catalog.Measure{Subject: catalog.Traffic, Events: []string{"saved"}, Property: "sum"}, "sum", "", false, true},
		"slo":     {catalog.Measure{Subject: catalog.Traffic, Valid: &catalog.Selector{Event: "saved", Where: []catalog.Clause{{Property: "valid"}}}, Good: &catalog.Selector{Metric: "n"}}, "valid", "", false, true},
		"fact":    {catalog.Measure{Kind: catalog.Fact, Subject: catalog.Machine, From: "event.saved.fact"}, "fact", "", false, true},
		"user":    {catalog.Measure{Kind: catalog.Fact, Subject: catalog.Machine, From: "user.plan=gold"}, "", "bot plan", true, false},
		"group":   {catalog.Measure{Kind: catalog.Fact, Subject: catalog.Machine, From: "group.plan"}, "", "", false, true},
		"metric":  {catalog.Measure{Kind: catalog.Gauge, Subject: catalog.Machine, Metric: "m"}, "", "", false, false},
	} {
		c.Measures = []catalog.Measure{x.m, {ID: "off", Events: []string{"opened"}, Metric: "never"}}
		v := intake.NewVocabulary(c, func(m *catalog.Measure) bool { return m.ID != "off" })
		e := v.Event(record.Track, []byte("Saved"))
		if got := kept(v, e.Words, properties...); got != x.properties || e.On != (x.properties != "") {
			t.Errorf("%s keeps properties %q, want %q; on %v", name, got, x.properties, e.On)
		}
		if got := kept(v, v.Traits, traits...); got != x.traits || v.People != x.people || v.Groups != x.groups {
			t.Errorf("%s keeps traits %q, want %q; people %v, groups %v", name, got, x.traits, v.People, v.Groups)
		}
		if v.Event(record.Track, []byte("Opened")).On || v.Event(record.Page, []byte("Saved")) != nil || v.Metric([]byte("m")).On != (name == "metric") || v.Metric([]byte("n")).On != (name == "slo") {
			t.Errorf("%s: events or metrics", name)
		}
	}
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	s := intake.New(intake.Config{})
	l := &listener{make(chan net.Conn), make(chan struct{})}
	_ = l.Close()
	if err := s.Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

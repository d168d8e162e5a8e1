package segment_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/intake/segment"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// forge is the catalog bundled with the data.
func forge(t *testing.T) *catalog.Catalog {
	raw, err := os.ReadFile("../../../installer/examples/forge/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every line of the bundled data becomes an event with the user, kind and time that encoding/json
// and time.Parse see in it.
func TestReplayOfTheBundledDataLosesNothing(t *testing.T) {
	dir := "../../../installer/examples/forge/installations"
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl.gz"))
	if err != nil || len(files) != 35 {
		t.Fatal(len(files), err)
	}
	if testing.Short() {
		files = files[:3]
	}
	v := intaketest.Vocabulary(forge(t))
	for _, name := range files {
		plain := lines(t, name)
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := segment.NewReplay(f, func() *intake.Vocabulary { return v }, 0)
		if err != nil {
			t.Fatal(err)
		}
		at, last := 0, int64(0)
		for {
			r, err := p.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.RefusedEvents != (record.Counts{}) || r.Received < last || r.ClockBack != 0 {
				t.Fatalf("%s line %d: refused %v, received %d after %d", name, p.Lines(), r.RefusedEvents, r.Received, last)
			}
			last = r.Received
			for i := range r.Events {
				compare(t, plain[at], r, &r.Events[i])
				at++
			}
			if p.Lines() != at {
				t.Fatalf("%s: %d lines are said to be in %d events", name, p.Lines(), at)
			}
		}
		_ = f.Close()
		if at != len(plain) || p.Lines() != at {
			t.Errorf("%s: %d of %d lines", name, at, len(plain))
		}
	}
}

type line struct {
	Type, Event, UserID   string
	Timestamp, ReceivedAt time.Time
	Traits                struct{ CreatedAt time.Time }
}

func lines(t *testing.T, name string) (all []line) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(z); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

func compare(t *testing.T, l line, r *record.Record, e *record.Event) {
	t.Helper()
	at := l.Timestamp.UnixNano()
	if at > l.ReceivedAt.Add(5*time.Minute).UnixNano() {
		at = l.ReceivedAt.UnixNano()
	}
	user := l.UserID
	if l.Type == "group" {
		user = ""
	}
	created := int64(0)
	if l.Type == "identify" && !l.Traits.CreatedAt.IsZero() {
		created = l.Traits.CreatedAt.UnixNano()
	}
	kind := map[string]record.Type{"track": record.Track, "identify": record.Identify, "group": record.Group}[l.Type]
	if e.Type != kind || e.User != user || e.Time != at || r.Received != l.ReceivedAt.UnixNano() || e.CreatedAt != created || !e.HasID {
		t.Fatalf("%+v became %+v, received %d", l, e, r.Received)
	}
}

func TestReplayCountsWhatItCannotRead(t *testing.T) {
	good := `{"type":"track","userId":"u","event":"Change Merged","receivedAt":"2026-01-01T00:00:00Z"}`
	later := strings.Replace(good, "2026", "2027", 1)
	text := strings.Join([]string{"not JSON", good, "", good, `{"type":"track","userId":"u","event":"Change Merged"}`, later, "[1]", good,
		`{"x":"` + strings.Repeat("y", 2<<20) + `"}`, later + "{}", later}, "\n")
	v := intaketest.Vocabulary(forge(t))
	p, err := segment.NewReplay(strings.NewReader(text), func() *intake.Vocabulary { return v }, 0)
	if err != nil {
		t.Fatal(err)
	}
	var malformed, taken, back uint64
	for {
		r, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		malformed += r.RefusedEvents[record.Malformed]
		taken += uint64(len(r.Events))
		back += r.ClockBack
	}
	if malformed != 5 || taken != 5 || back != 1 || p.Lines() != 10 {
		t.Errorf("malformed %d, taken %d, clock_back %d, lines %d", malformed, taken, back, p.Lines())
	}
}

func TestReplayOfTornGzipSaysSo(t *testing.T) {
	b, err := os.ReadFile("../../../installer/examples/forge/installations/oklog--oklog.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	v := intaketest.Vocabulary(forge(t))
	p, err := segment.NewReplay(strings.NewReader(string(b[:len(b)/2])), func() *intake.Vocabulary { return v }, 0)
	for err == nil {
		_, err = p.Next()
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

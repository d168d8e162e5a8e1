package oracle_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

type rawEvent struct {
	Type, Event, Name, MessageID, UserID, AnonymousID, PreviousID string
	Timestamp, SentAt, ReceivedAt                                 string
	Properties, Traits                                            map[string]any
}

// records reads lines as a door would: one record for all events received in the same moment before until.
func records(t testing.TB, in io.Reader, cat *catalog.Catalog, until time.Time) (out []*record.Record) {
	t.Helper()
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 1<<20)
	var clock int64
	for sc.Scan() {
		var e rawEvent
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		rec := moment(t, e.ReceivedAt)
		if rec >= until.UnixNano() {
			continue
		}
		r := &record.Record{Kind: record.Request, Received: rec, Catalog: [8]byte(cat.Hash[:8])}
		if rec < clock {
			r.Received = clock
			r.ClockBack = 1
		}
		clock = r.Received
		convert(t, &e, cat, r)
		out = append(out, r)
	}
	if sc.Err() != nil {
		t.Fatal(sc.Err())
	}
	return batched(out)
}

// batched makes one request of all calls that arrived in the same moment.
func batched(rs []*record.Record) (out []*record.Record) {
	for _, r := range rs {
		if n := len(out); n > 0 && out[n-1].Received == r.Received {
			b := out[n-1]
			b.Events = append(b.Events, r.Events...)
			b.Skewed += r.Skewed
			b.ClockBack += r.ClockBack
			for i, refused := range r.RefusedEvents {
				b.RefusedEvents[i] += refused
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

func moment(t testing.TB, s string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixNano()
}

func convert(t testing.TB, e *rawEvent, cat *catalog.Catalog, r *record.Record) {
	out := record.Event{Time: r.Received, User: e.UserID, Previous: e.PreviousID}
	if e.Timestamp != "" {
		out.Time = moment(t, e.Timestamp)
		if e.SentAt != "" {
			if d := r.Received - moment(t, e.SentAt); d > int64(5*time.Minute) || d < -int64(5*time.Minute) {
				out.Time += d
			}
		}
		if out.Time > r.Received+int64(5*time.Minute) {
			out.Time = r.Received
			r.Skewed = 1
		}
	}
	if e.MessageID != "" {
		sum := sha256.Sum256([]byte(e.MessageID))
		out.HasID, out.MessageID = true, [16]byte(sum[:16])
	}
	ok := true
	switch e.Type {
	case "identify":
		out.Type = record.Identify
		out.Properties, ok = values(cat.Traits, e.Traits)
		if c, is := e.Traits["createdAt"].(string); is {
			out.CreatedAt = moment(t, c)
		}
	case "group":
		out.Type = record.Group
		out.Properties, ok = values(cat.GroupTraits, e.Traits)
	case "alias":
		out.Type = record.Alias
	default:
		out.Type = map[string]record.Type{"track": record.Track, "page": record.Page, "screen": record.Screen}[e.Type]
		def, name := -1, e.Event
		if e.Type != "track" {
			name = e.Name
		}
		for i := range cat.Events {
			if cat.Events[i].Match == name && cat.Events[i].Type == e.Type {
				def = i
			}
		}
		if def < 0 {
			r.RefusedEvents[record.UnknownEvent]++
			r.Skewed = 0
			return
		}
		out.Def = uint16(def)
		out.Properties, ok = values(cat.Events[def].Properties, e.Properties)
	}
	if !ok {
		r.RefusedEvents[record.OverValue]++
		r.Skewed = 0
		return
	}
	r.Events = append(r.Events, out)
}

func values(ps []catalog.Property, raw map[string]any) (out []record.Value, ok bool) {
	for i := range ps {
		p := &ps[i]
		name := p.Name
		if p.Match != "" {
			name = p.Match
		}
		switch v := raw[name].(type) {
		case nil:
		case string:
			if p.IsNumber {
				return nil, false
			}
			out = append(out, record.Value{Property: uint16(i), Index: p.Index(v)})
		case float64:
			if !p.IsNumber || v < p.Min || v > p.Max {
				return nil, false
			}
			out = append(out, record.Value{Property: uint16(i), Number: decimal(v)})
		default:
			return nil, false
		}
	}
	return out, true
}

func decimal(v float64) record.Decimal {
	for e := 0; e <= 9; e++ {
		n := math.Round(v * math.Pow10(e))
		if f, _ := strconv.ParseFloat(strconv.FormatFloat(n/math.Pow10(e), 'g', -1, 64), 64); f == v || e == 9 {
			return record.Decimal{Mantissa: int64(n), Exponent: uint8(e)}
		}
	}
	return record.Decimal{}
}

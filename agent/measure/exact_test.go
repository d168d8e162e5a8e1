package measure_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

const sets = `events:
  edit: {match: Edit, properties: {area: {values: [code, docs]}}}
  open: {match: Open}
traits:
  role: {values: [dev, boss, bot], not_people: [bot]}
group_traits:
  desks: {number: {min: 0, max: 100}}
measures:
  - {id: habit, kind: stickiness, events: [edit, open]` + rest + `
  - {id: kept, kind: retention, events: [edit, open]` + rest + `
  - {id: kept_docs, kind: retention, events: [edit], where: {area: docs}, where_user: {role: [dev]}` + rest + `
  - {id: taken, kind: adoption, events: [edit, open], features: {docs: {events: [edit], where: {area: docs}}, look: {events: [open]}}, uses: 4, eligible: {role: [dev, boss]}` + rest + `
  - {id: desks, kind: seats, events: [edit, open], purchased: desks` + rest + `
  - {id: flow, kind: lifecycle, events: [edit, open], by: [role]` + rest + `
  - {id: who, kind: active_users, events: [edit, open], by: [role, area]` + rest + `
  - {id: much, kind: count, events: [edit, open], by: [[role, area]]` + rest

// happened is one thing that is sent, and when it is received.
type happened struct {
	record.Event
	at   int64 // received
	zone string
}

var monday = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// life is half a year of a few people: a burst of events each day, all received a little later, and
// between the bursts who they are, what they are called and where they live.
func life(seed uint64) (out []happened) {
	rng := rand.New(rand.NewPCG(seed, 1))
	name := func() string { return fmt.Sprint("u", rng.IntN(14)) }
	for day := range 150 {
		at := monday.AddDate(0, 0, day).Add(12 * time.Hour).UnixNano()
		for range rng.IntN(7) {
			t := at - rng.Int64N(int64(40*time.Hour))
			e := record.Event{Type: record.Track, Def: uint16(rng.IntN(2)), User: name(), Time: t, HasID: true}
			e.MessageID = [16]byte{byte(len(out)), byte(len(out) >> 8), 1}
			if e.Def == 0 {
				e.Properties = []record.Value{{Index: uint16(rng.IntN(3))}}
			}
			out = append(out, happened{Event: e, at: at})
		}
		after := at + int64(time.Hour)
		switch rng.IntN(12) {
		case 0, 1:
			out = append(out, happened{at: after, Event: record.Event{Type: record.Identify, User: name(), Properties: []record.Value{{Index: uint16(rng.IntN(3))}}}})
		case 2:
			out = append(out, happened{at: after, Event: record.Event{Type: record.Alias, User: name(), Previous: name()}})
		case 3:
			out = append(out, happened{at: after, Event: record.Event{Type: record.Group, Properties: []record.Value{{Number: record.Decimal{Mantissa: int64(rng.IntN(4))}}}}})
		}
		if day == 60 {
			out = append(out, happened{at: after, zone: []string{"Asia/Kolkata", "America/New_York", "Europe/Berlin"}[rng.IntN(3)]})
		}
	}
	return out
}

// shuffled is the same in another order of arrival: each day's burst, and each event twice.
func shuffled(in []happened, seed uint64) (out []happened) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for i := 0; i < len(in); {
		j := i
		for j < len(in) && in[j].at == in[i].at && in[j].Type == record.Track {
			j++
		}
		if j == i {
			out = append(out, in[i])
			i++
			continue
		}
		burst := append(slices.Clone(in[i:j]), in[i:j]...)
		rng.Shuffle(len(burst), func(a, b int) { burst[a], burst[b] = burst[b], burst[a] })
		late := burst[0] // and once more, too late
		late.Time, late.MessageID[2] = late.at-int64(49*time.Hour), 2
		out = append(append(out, burst...), late)
		i = j
	}
	return out
}

func text(w *measure.Window) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %d+%d %d", w.Catalog.Measures[w.Measure].ID, w.Grain, w.Start, w.Offset, w.Closed)
	for _, c := range w.Cells {
		fmt.Fprintf(&b, " %s/%d.%d.%d=%v", c.Field, c.Breakdown, c.V1, c.V2, c.Lo)
	}
	return b.String()
}

// lived is the windows that close, with a restart wherever breaks says.
func lived(t *rapid.T, cat *catalog.Catalog, all []happened, breaks func(i int) bool) (out []string, f *measure.Fold) {
	cfg := measure.Config{SimpleLocal: true, Catalog: func([8]byte) *catalog.Catalog { return cat },
		Closed: func(w *measure.Window) { out = append(out, text(w)) }}
	f = measure.New(cfg)
	for i, h := range all {
		r := &record.Record{Kind: record.Request, Received: h.at, Catalog: [8]byte(cat.Hash[:8]), Events: []record.Event{h.Event}}
		if h.zone != "" {
			r = &record.Record{Kind: record.Zone, Received: h.at, Data: []byte(h.zone)}
		}
		if err := f.Apply(uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
		if breaks != nil && breaks(i) {
			f.Step(h.at + int64(20*time.Minute))
			var b, again bytes.Buffer
			next := measure.New(cfg)
			if err := f.Save(&b); err != nil {
				t.Fatal(err)
			}
			if err := next.Load(bytes.NewReader(b.Bytes())); err != nil {
				t.Fatal(err)
			}
			if err := next.Save(&again); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
				t.Fatal("a loaded fold saves other bytes", err)
			}
			f = next
		}
	}
	f.Advance(all[len(all)-1].at + int64(130*24*time.Hour))
	return out, f
}

// some draws only so many: each is half a year, twice.
func some(t *testing.T, n int, fn func(*rapid.T)) {
	t.Helper()
	checks := flag.Lookup("rapid.checks").Value
	was := checks.String()
	if was == "100" { // nobody asked for another number
		if err := checks.Set(strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
		defer checks.Set(was)
	}
	rapid.Check(t, fn)
}

// Whatever order events arrive in within their grace, how often they are sent, who is joined to whom and how
// often the agent was restarted: the windows are the same, byte for byte.
func TestExactWhateverTheOrder(t *testing.T) {
	cat := parse(t, sets)
	some(t, 12, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		all := life(seed)
		want, f := lived(t, cat, all, nil)
		if len(want) < 1000 {
			t.Fatalf("only %d windows", len(want))
		}
		rng := rand.New(rand.NewPCG(seed, 3))
		got, g := lived(t, cat, shuffled(all, seed), func(int) bool { return rng.IntN(60) == 0 })
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		if a, b := f.Accounting(), g.Accounting(); b.Events[record.Duplicate] == 0 || b.Events[record.Late] == 0 || a.Events[record.Measured] != b.Events[record.Measured] {
			t.Fatal(a.Events, b.Events)
		}
	})
}

// Who is forgotten leaves no name behind, and the figures stay what they were: nobody gets the number
// while a window holds it.
func TestExactAfterSomebodyIsForgotten(t *testing.T) {
	cat := parse(t, sets)
	some(t, 12, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		all := life(seed)
		rng := rand.New(rand.NewPCG(seed, 4))
		gone := rng.IntN(len(all)/2) + len(all)/4
		name := ""
		for i := range all {
			h := &all[i]
			if i < gone && h.User != "" && name == "" && h.Type == record.Track && i > gone/2 {
				name = h.User
			}
		}
		for i := range all { // no aliases: the person has one name; afterwards somebody else comes
			h := &all[i]
			if h.Type == record.Alias {
				h.Type, h.Previous = record.Identify, ""
			}
			if i >= gone && h.User == name {
				h.User = "somebody else"
			}
		}
		want, _ := lived(t, cat, all, nil)
		cfg := measure.Config{SimpleLocal: true, Catalog: func([8]byte) *catalog.Catalog { return cat }}
		var got []string
		cfg.Closed = func(w *measure.Window) { got = append(got, text(w)) }
		f := measure.New(cfg)
		no := uint64(0)
		apply := func(r *record.Record) {
			no++
			if err := f.Apply(no, r); err != nil {
				t.Fatal(err)
			}
		}
		for i, h := range all {
			if i == gone {
				apply(&record.Record{Kind: record.Forget, Received: h.at, Data: []byte(name)})
				var b bytes.Buffer
				if err := f.Save(&b); err != nil || f.Forgotten() != 1 || bytes.Contains(b.Bytes(), append([]byte{byte(len(name))}, name...)) {
					t.Fatal("the name is still there", err, f.Forgotten())
				}
			}
			r := &record.Record{Kind: record.Request, Received: h.at, Catalog: [8]byte(cat.Hash[:8]), Events: []record.Event{h.Event}}
			if h.zone != "" {
				r = &record.Record{Kind: record.Zone, Received: h.at, Data: []byte(h.zone)}
			}
			apply(r)
		}
		f.Advance(all[len(all)-1].at + int64(130*24*time.Hour))
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

// A user with 100,000 events in a day, aliases in circles, a storm of identifies, and clocks that stood in
// 1970 and stand in 2106.
func TestBadInputStaysBounded(t *testing.T) {
	s := newSite(t, sets)
	s.windows = nil
	begin := time.Now()
	s.track(0, "u", "1970-01-01 00:00")
	day := at("2026-01-05 10:00")
	events := make([]record.Event, 500)
	for i := range 200 {
		for j := range events {
			events[j] = record.Event{Type: record.Track, Def: uint16(j % 2), User: "busy", Time: day.UnixNano(), Properties: []record.Value{{Index: uint16(j % 3)}}[:1-j%2]}
		}
		s.apply(&record.Record{Received: day.UnixNano() + int64(i), Events: events})
	}
	for i := range 2000 {
		a, b := fmt.Sprint("c", i%7), fmt.Sprint("c", (i+1)%7)
		s.apply(&record.Record{Received: day.UnixNano() + 1000, Events: []record.Event{{Type: record.Track, User: a, Time: day.UnixNano()}, {Type: record.Alias, User: a, Previous: b}}})
	}
	for i := range 100 {
		for j := range events {
			events[j] = record.Event{Type: record.Identify, User: fmt.Sprint("storm ", i*500+j), Properties: []record.Value{{Index: uint16(j % 2)}}}
		}
		s.apply(&record.Record{Received: day.UnixNano() + 2000, Events: events})
	}
	var b bytes.Buffer
	if err := s.f.Save(&b); err != nil || b.Len() > 4<<20 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	s.until("2106-02-07 00:00")
	if len(s.windows) > 100_000 {
		t.Errorf("%d windows of a century of silence", len(s.windows))
	}
	if a := s.f.Accounting(); a.AliasRefused == 0 || a.Events.Total() != 1+100_000+4000+50_000 {
		t.Errorf("%+v", a)
	}
	if d := time.Since(begin); d > time.Minute {
		t.Errorf("took %v", d)
	}
}

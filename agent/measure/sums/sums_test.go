package sums_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/measure/sums"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const rest = ", category: usage, question: q, purpose: p, owner: o, retention: 730d}\n"

const catalogText = `catalog: c
version: 1
vendor: v
events:
  edit: {match: Edit, properties: {area: {values: [code, docs]}}}
  open: {match: Open, grace: 5d}
traits:
  role: {values: [dev, boss, bot], not_people: [bot]}
measures:
  - {id: edits, kind: count, events: [edit], by: [role, area], cap: 5` + rest + `
  - {id: docs, kind: count, events: [edit], where: {area: docs}` + rest + `
  - {id: of_devs, kind: count, events: [edit, open], where_user: {role: dev}, cap: 7` + rest + `
  - {id: all, kind: count, events: [edit, open], cap: 9` + rest + `
  - {id: who, kind: active_users, events: [edit, open]` + rest + `
  - {id: busy, kind: count, subject: traffic, events: [edit]` + rest

var (
	monday = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	day    = int64(24 * time.Hour)
)

// sent is one event and when it was received.
type sent struct {
	record.Event
	at int64
}

// history is half a year of a few people who come and go, change roles, turn out to be one another, and whose events come
// twice, late or without a user.
func history(seed uint64) (out []sent) {
	rng := rand.New(rand.NewPCG(seed, 7))
	name := func() string { return fmt.Sprint("u", rng.IntN(12)) }
	for d := range int64(170) {
		for range rng.IntN(9) {
			e := record.Event{Type: record.Track, Def: uint16(rng.IntN(2)), User: name(), HasID: true, MessageID: [16]byte{byte(len(out)), byte(len(out) >> 8), 1}}
			if rng.IntN(10) == 0 {
				e.User = ""
			}
			if e.Def == 0 {
				e.Properties = []record.Value{{Index: uint16(rng.IntN(4))}}
			}
			at := monday.UnixNano() + d*day + rng.Int64N(day)
			e.Time = at - rng.Int64N(6*day)
			if rng.IntN(3) > 0 {
				e.Time = at - rng.Int64N(day/8)
			}
			for range 1 + rng.IntN(2)*rng.IntN(3) {
				out = append(out, sent{e, at})
				at += rng.Int64N(day)
			}
		}
		at := monday.UnixNano() + d*day + rng.Int64N(day)
		switch rng.IntN(9) {
		case 0, 1:
			out = append(out, sent{record.Event{Type: record.Identify, User: name(), Properties: []record.Value{{Index: uint16(rng.IntN(3))}}}, at})
		case 2:
			out = append(out, sent{record.Event{Type: record.Alias, User: name(), Previous: name()}, at})
		}
	}
	slices.SortStableFunc(out, func(a, b sent) int { return int(max(-1, min(1, a.at-b.at))) })
	return out
}

// plain is the same sums by counting.
type plain struct {
	person map[string]int
	role   map[int]uint16 // by person; 3: never said
	order  map[int]int
	seen   map[[16]byte]bool
	events []counted
}

type counted struct {
	def    uint16
	area   uint16 // 3: none
	person int    // -1: nobody
	day    int64
}

func (p *plain) of(name string) int {
	if name == "" {
		return -1
	}
	if _, ok := p.person[name]; !ok {
		n := len(p.person) + 1000*len(p.events)
		p.person[name], p.role[n] = n, 3
	}
	return p.person[name]
}

func (p *plain) take(no int, s sent) {
	if s.Type == record.Track {
		if p.seen[s.MessageID] {
			return
		}
		p.seen[s.MessageID] = true
		if s.at-s.Time > []int64{2 * day, 5 * day}[s.Def] {
			return
		}
		c := counted{def: s.Def, area: 3, person: p.of(s.User), day: s.Time / day}
		if s.Def == 0 {
			c.area = s.Properties[0].Index
		}
		p.events = append(p.events, c)
		return
	}
	if s.Type == record.Identify {
		n := p.of(s.User)
		p.role[n], p.order[n] = s.Properties[0].Index, no
		return
	}
	to, known := p.person[s.Previous]
	from, was := p.person[s.User]
	switch {
	case !known || was && from == to:
		return
	case !was:
		p.person[s.User] = to
		return
	}
	for n, x := range p.person {
		if x == from {
			p.person[n] = to
		}
	}
	for i := range p.events {
		if p.events[i].person == from {
			p.events[i].person = to
		}
	}
	if p.order[from] > p.order[to] {
		p.role[to], p.order[to] = p.role[from], p.order[from]
	}
}

// block is the line of each measure for a block that closes now.
func (p *plain) block(start int64, grace int) (out []string) {
	for _, m := range []struct {
		id    string
		most  int64
		grace int
		fits  func(c counted) bool
	}{
		{"edits", 5, 2, func(c counted) bool { return c.def == 0 }},
		{"docs", 5600, 2, func(c counted) bool { return c.def == 0 && c.area == 1 }},
		{"of_devs", 7, 5, func(c counted) bool { return c.person >= 0 && p.role[c.person] == 0 }},
		{"all", 9, 5, func(counted) bool { return true }},
	} {
		if m.grace != grace {
			continue
		}
		each := map[int]int64{}
		for _, c := range p.events {
			if c.day >= start && c.day < start+28 && c.person >= 0 && p.role[c.person] != 2 && m.fits(c) {
				each[c.person]++
			}
		}
		var s sums.Sum
		var all []int64
		for _, n := range each {
			all = append(all, min(n, m.most))
		}
		slices.Sort(all)
		for _, n := range all {
			s.Bounded, s.Users = s.Bounded+n, s.Users+1
			third := int64(0)
			if len(all) > 2 {
				third = all[len(all)-3]
			}
			s.Even += min(n, third)
		}
		out = append(out, fmt.Sprint(m.id, start, s))
	}
	return out
}

// Whatever happens, in whatever order, and however often the agent was started anew: the sums are those that counting gives.
func TestSumsAreWhatCountingGives(t *testing.T) {
	cat, err := catalog.Parse([]byte(catalogText))
	if err != nil {
		t.Fatal(err)
	}
	people, cut := 0, 0
	for seed := range uint64(16) {
		all := history(seed)
		var got, want []string
		cfg := measure.Config{SimpleLocal: true, Remember: -1, Catalog: func([8]byte) *catalog.Catalog { return cat }, Closed: func(w *measure.Window) {
			m := cat.Measures[w.Measure]
			if has := m.Kind == catalog.Count && m.Subject == catalog.Person && w.Grain == report.Block4w; has != (w.Sum != nil) {
				t.Fatalf("%s %s: %v", m.ID, w.Grain, w.Sum)
			}
			if w.Sum != nil && w.Start >= monday.Unix()/86400 {
				got = append(got, fmt.Sprint(m.ID, w.Start, *w.Sum))
				if people += int(w.Sum.Users); w.Cells[0].Lo > float64(w.Sum.Bounded) {
					cut++
				}
			}
		}}
		f, p := measure.New(cfg), plain{person: map[string]int{}, role: map[int]uint16{}, order: map[int]int{}, seen: map[[16]byte]bool{}}
		rng := rand.New(rand.NewPCG(seed, 8))
		block := report.CivilStart(report.Block4w, monday.Unix()/86400)
		next := map[int]int64{2: block, 5: block}
		close := func(now int64) {
			for grace := range 6 {
				for next[grace] > 0 && (next[grace]+28+int64(grace))*day <= now {
					if next[grace] >= monday.Unix()/86400 {
						want = append(want, p.block(next[grace], grace)...)
					}
					next[grace] += 28
				}
			}
		}
		for i, s := range all {
			close(s.at)
			p.take(i+1, s)
			if err := f.Apply(uint64(i+1), &record.Record{Kind: record.Request, Received: s.at, Catalog: [8]byte(cat.Hash[:8]), Events: []record.Event{s.Event}}); err != nil {
				t.Fatal(err)
			}
			if rng.IntN(80) == 0 {
				var b bytes.Buffer
				if err := f.Save(&b); err != nil {
					t.Fatal(err)
				}
				f = measure.New(cfg)
				if err := f.Load(&b); err != nil {
					t.Fatal(err)
				}
			}
		}
		end := all[len(all)-1].at + 30*day
		close(end)
		f.Advance(end)
		slices.Sort(got)
		slices.Sort(want)
		// A window in which nothing happened before anybody measured is not told of.
		want = slices.DeleteFunc(want, func(s string) bool { return strings.HasSuffix(s, "{0 0 0}") && !slices.Contains(got, s) })
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
	}
	if people < 600 || cut < 50 {
		t.Errorf("%d people counted, %d sums cut: this test proves little", people, cut)
	}
}

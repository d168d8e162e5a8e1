// Package measuretest invents a large site for benchmarks and tests: a catalog of 60 measures over all
// kinds, and what its users do day by day.
//
// Invariants: the same Site gives the same records; a day's records can be made without those of the
// days before; memory does not grow with days.
package measuretest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Events is how many kinds of event there are; the first are the most frequent.
const Events = 12

// Site is an invented installation. A tenth of the users come on 6 days of 10, a fifth on 3, the others
// on one of 8: about a fifth of all on a day.
type Site struct {
	Users   int
	PerUser int       // events of a user on a day they come; default 6
	Begin   time.Time // the first day, midnight UTC
	Seed    uint64
}

const tail = ", category: usage, question: q, purpose: p, owner: o, retention: 730d}\n"

// Catalog is 60 measures: 14 active_users, 8 count, 3 distribution, 5 lifecycle, 4 stickiness, 4 retention,
// 4 funnel, 4 adoption, 3 first_time, 2 transitions, 2 seats, 2 sufficient, 1 fact, and of traffic and
// machines 2 count and 2 slo.
func Catalog() (*catalog.Catalog, error) {
	var b strings.Builder
	b.WriteString("catalog: large\nversion: 1\nvendor: V\nevents:\n")
	for i := range Events {
		fmt.Fprintf(&b, "  e%d: {match: E%d, properties: {area: {values: [a, b, c, d, e, f]}, files: {number: {min: 0, max: 1000}}, arm: {values: [old, new]}}}\n", i, i)
	}
	b.WriteString("traits:\n  role: {values: [dev, lead, boss, robot], not_people: [robot]}\n  site: {values: [north, south, east]}\n")
	b.WriteString("group_traits:\n  seats: {number: {min: 0, max: 1000000}}\nmeasures:\n")
	all := make([]string, Events)
	for i := range all {
		all[i] = fmt.Sprintf("e%d", i)
	}
	list := func(ids ...string) string { return "[" + strings.Join(ids, ", ") + "]" }
	n := 0
	add := func(format string, args ...any) {
		n++
		fmt.Fprintf(&b, "  - {id: m%d, "+format+tail, append([]any{n}, args...)...)
	}
	add("kind: active_users, events: %s, by: [role, [role, site]]", list(all...))
	add("kind: active_users, events: %s, by: [area]", list(all[:4]...))
	for i := range Events {
		add("kind: active_users, events: [e%d]", i)
	}
	for i := range 6 {
		add("kind: count, events: [e%d], by: [role]", i)
	}
	add("kind: count, events: %s", list(all[4:]...))
	add("kind: count, events: [e1], by: [area], where_user: {role: [dev, lead]}")
	for i := range 3 {
		add("kind: distribution, events: [e%d], property: files", 3*i)
	}
	for i := range 5 {
		add("kind: lifecycle, events: %s, by: [role]", list(all[2*i:2*i+2]...))
	}
	for i := range 4 {
		add("kind: stickiness, events: %s", list(all[2*i:2*i+2]...))
		add("kind: retention, events: %s", list(all[2*i:2*i+2]...))
		add("kind: adoption, events: %s, features: {f: {events: [e%d]}, g: {events: [e%d], where: {area: a}}}, uses: %d", list(all...), i, i+4, i+1)
		add("kind: funnel, window: 7d, steps: [{id: s1, event: e%d}, {id: s2, event: e%d}, {id: s3, event: e%d}]", 4+i, 5+i, 6+i)
	}
	for i := range 3 {
		add("kind: first_time, events: [e%d], where: {area: f}", i)
	}
	for i := range 2 {
		add("kind: transitions, steps: [{id: s1, event: e%d}, {id: s2, event: e%d}]", 6+i, 8+i)
		add("kind: seats, events: %s, purchased: seats", list(all[i*6:i*6+6]...))
		add("kind: sufficient, events: [e%d], arm: arm, x: files", 8+i)
		add("kind: count, subject: traffic, events: [e%d]", i)
		add("kind: slo, subject: traffic, valid: {event: e%d}, good: {event: e%d, where: {area: a}}, target: 0.9", i, i)
	}
	add("kind: fact, from: user.role=boss")
	return catalog.Parse([]byte(b.String()))
}

// name of a user: as long as the ids of an identity provider.
func name(u int) string { return fmt.Sprintf("00u%09x-5d0c-4b1e-a7f2-%09x", u*7919, u) }

// Day calls fn with the records of day n, in order; first, on day 0, everybody is introduced. The record is
// fn's until it returns.
func (s *Site) Day(cat *catalog.Catalog, n int, fn func(*record.Record) error) error {
	begin := s.Begin.AddDate(0, 0, n).UnixNano()
	rng := rand.New(rand.NewPCG(s.Seed, uint64(n)))
	r := &record.Record{Kind: record.Request, Catalog: [8]byte(cat.Hash[:8])}
	if n == 0 {
		r.Received = begin
		for u := range s.Users {
			r.Events = append(r.Events, record.Event{Type: record.Identify, User: name(u), Time: begin,
				Properties: []record.Value{{Property: 0, Index: uint16(u % 97 % 3)}, {Property: 1, Index: uint16(u % 3)}}})
			if len(r.Events) == 500 || u == s.Users-1 {
				if err := fn(r); err != nil {
					return err
				}
				r.Events = r.Events[:0]
			}
		}
		r.Events = append(r.Events, record.Event{Type: record.Group, Time: begin, Properties: []record.Value{{Number: record.Decimal{Mantissa: int64(s.Users / 20)}}}})
	}
	come := make([]int32, 0, s.Users/4)
	for u := range s.Users {
		often := 12
		switch {
		case u%10 == 0:
			often = 60
		case u%10 < 3:
			often = 30
		}
		if rng.IntN(100) < often {
			come = append(come, int32(u))
		}
	}
	per := s.PerUser
	if per == 0 {
		per = 6
	}
	total := per * len(come)
	for i := range total {
		at := begin + int64(i)*int64(24*time.Hour)/int64(total+1)
		if r.Received = at; len(r.Events) == 0 {
			r.Events = r.Events[:0]
		}
		def := min(rng.IntN(Events), rng.IntN(Events))
		e := record.Event{Type: record.Track, Def: uint16(def), Time: at, User: name(int(come[rng.IntN(len(come))])), HasID: true,
			Properties: []record.Value{{Property: 0, Index: uint16(rng.IntN(6))}, {Property: 1, Number: record.Decimal{Mantissa: int64(rng.IntN(1000))}}, {Property: 2, Index: uint16(rng.IntN(2))}}}
		var id [16]byte
		binary.LittleEndian.PutUint64(id[:], uint64(n)<<32|uint64(i))
		sum := sha256.Sum256(id[:])
		e.MessageID = [16]byte(sum[:16])
		r.Events = append(r.Events, e)
		if len(r.Events) == 50 || i == total-1 {
			if err := fn(r); err != nil {
				return err
			}
			r.Events = r.Events[:0]
		}
	}
	return nil
}

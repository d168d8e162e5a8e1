package oracle

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Synthetic is an invented history with what the real ones lack: duplicates, role changes,
// aliases of every sort, late events up to and beyond the edge of grace, wrong clocks of clients
// and of the site, groups, anonymous activity, unlisted values. The same seed gives the same
// lines, in order of receipt.
func Synthetic(seed uint64, begin time.Time, days, events int) []byte {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 0x5eed)), begin: begin, span: time.Duration(days) * 24 * time.Hour}
	g.add(begin, map[string]any{"type": "group", "groupId": "g", "userId": "installer", "traits": map[string]any{"name": "G"}})
	for range events {
		g.one()
	}
	g.edges()
	slices.SortStableFunc(g.out, func(a, b generated) int { return a.rec.Compare(b.rec) })
	var b []byte
	for i, e := range g.out {
		if i%97 == 96 { // the site's clock steps back
			e.line["receivedAt"] = e.rec.Add(-3 * time.Minute).Format(time.RFC3339Nano)
		}
		l, err := json.Marshal(e.line)
		if err != nil {
			panic("oracle: " + err.Error()) // strings and numbers only
		}
		b = append(append(b, l...), '\n')
	}
	return b
}

type generated struct {
	rec  time.Time
	line map[string]any
}

type generator struct {
	rng   *rand.Rand
	begin time.Time
	span  time.Duration
	n     int
	out   []generated
}

func (g *generator) add(rec time.Time, line map[string]any) {
	g.n++
	line["receivedAt"] = rec.Format(time.RFC3339Nano)
	if _, ok := line["messageId"]; !ok {
		line["messageId"] = fmt.Sprintf("m%06d", g.n)
	}
	g.out = append(g.out, generated{rec, line})
}

func (g *generator) pick(from ...string) string { return from[g.rng.IntN(len(from))] }

// edges are cases that chance seldom makes: what decides lies on the last of the first 28 days, or
// is received in the very second in which windows close.
func (g *generator) edges() {
	day := func(n, hour int) time.Time {
		y, m, d := g.begin.Date()
		return time.Date(y, m, d+n, hour, 0, 0, 0, time.UTC)
	}
	track := func(at time.Time, user, event string) {
		g.add(at, map[string]any{"type": "track", "event": event, "userId": user, "timestamp": at.Format(time.RFC3339)})
	}
	for n := 26; n <= 29; n++ { // seen first by another event than the measure's
		user := fmt.Sprintf("edge %d", n)
		track(day(n, 12), user, "Release Published")
		track(day(n+16, 12), user, "Change Merged")
	}
	for i := range 3 { // known from the first days, but not under this name
		old, later := fmt.Sprintf("early %d", i), fmt.Sprintf("later %d", i)
		track(day(3, 12), old, "Release Published")
		track(day(50+i, 10), later, "Change Authored")
		if i > 0 {
			g.add(day(50+i, 11), map[string]any{"type": "alias", "userId": old, "previousId": later})
		}
	}
	for n := 60; n < 90; n++ {
		user := fmt.Sprintf("second %d", n)
		track(day(n, 12), user, "Change Accepted")
		g.add(day(n+3, 0).Add(time.Duration(n%3-1)*time.Second), map[string]any{"type": "identify", "userId": user, "traits": map[string]any{"role": "maintainer"}})
	}
}

// user: some come early, some late, some seldom.
func (g *generator) user(at time.Time) string {
	most := 4 + int(40*at.Sub(g.begin)/g.span)
	return fmt.Sprintf("user %02d", g.rng.IntN(most))
}

func (g *generator) one() {
	at := g.begin.Add(time.Duration(g.rng.Int64N(int64(g.span)))).Truncate(time.Second)
	switch n := g.rng.IntN(100); {
	case n < 6:
		g.identify(at)
	case n < 9:
		g.alias(at)
	default:
		g.activity(at)
	}
}

func (g *generator) identify(at time.Time) {
	traits := map[string]any{}
	if g.rng.IntN(4) > 0 {
		traits["role"] = g.pick("contributor", "contributor", "maintainer", "admin", "automation", "visitor")
	}
	if g.rng.IntN(3) == 0 {
		traits["createdAt"] = at.Add(-time.Duration(g.rng.IntN(200)) * 24 * time.Hour).Format(time.RFC3339)
	}
	g.add(at, map[string]any{"type": "identify", "userId": g.user(at), "traits": traits})
}

func (g *generator) alias(at time.Time) {
	user := g.user(at)
	previous := g.user(at)
	switch g.rng.IntN(6) {
	case 0:
		previous = "nobody knows"
	case 1:
		previous = fmt.Sprintf("anonymous %d", g.rng.IntN(5))
	case 2:
		user = fmt.Sprintf("renamed %d", g.rng.IntN(8))
	case 3:
		previous = user
	}
	g.add(at, map[string]any{"type": "alias", "userId": user, "previousId": previous})
}

func (g *generator) activity(at time.Time) {
	line := map[string]any{"type": "track", "event": g.pick("Change Authored", "Change Authored", "Change Accepted", "Change Merged", "Release Published", "Unheard Of")}
	if g.rng.IntN(12) == 0 {
		line["anonymousId"] = fmt.Sprintf("anonymous %d", g.rng.IntN(5))
	} else {
		line["userId"] = g.user(at)
	}
	properties := map[string]any{}
	if g.rng.IntN(8) > 0 {
		properties["area"] = g.pick("code", "docs", "testing", "none", "gardening")
	}
	if g.rng.IntN(3) == 0 {
		properties["files"] = g.rng.IntN(2000) - 20
	}
	line["properties"] = properties
	rec := at
	switch g.rng.IntN(12) {
	case 0: // late, sometimes too late
		rec = at.Add(time.Duration(g.rng.IntN(60)) * time.Hour)
	case 1: // to the second at the edge of grace, or just beyond
		rec = at.Add(48*time.Hour + time.Duration(g.rng.IntN(2))*time.Second)
	case 2: // at the end of a day, received as its windows close
		at = time.Date(at.Year(), at.Month(), at.Day(), 23, 59, 59, 0, time.UTC)
		rec = at.Add(48 * time.Hour)
	case 3: // a clock that runs ahead
		at = at.Add(time.Duration(g.rng.IntN(20)) * time.Minute)
	case 4: // a client that says when it sent it, and is wrong about the time
		off := time.Duration(g.rng.IntN(7200)-3600) * time.Second
		at = at.Add(off)
		line["sentAt"] = rec.Add(off).Format(time.RFC3339)
	}
	if g.rng.IntN(20) > 0 {
		line["timestamp"] = at.Format(time.RFC3339)
	}
	if g.rng.IntN(30) == 0 {
		line["messageId"] = ""
	}
	g.add(rec, line)
	if g.rng.IntN(10) == 0 { // sent again, soon or after more than a week
		again := make(map[string]any, len(line))
		for k, v := range line {
			again[k] = v
		}
		g.add(rec.Add(time.Duration(g.rng.IntN(9*24))*time.Hour), again)
	}
}

package oracle

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Synthetic is an invented history over the rich vocabulary with what the real ones lack: orders that are
// opened, checked and sent, visits, several at work in one hour, duplicates, storms of identify,
// changes of role, aliases of every sort, late events up to and beyond the edge of each grace, wrong
// clocks of clients and of the site, groups with seats, anonymous activity, unlisted values, and people
// who stay away for more than half a year. Days are those of begin's zone. The same arguments give the
// same lines, in order of receipt.
func Synthetic(seed uint64, begin time.Time, days, moments int) []byte {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 0x5eed)), begin: begin, days: days, span: time.Duration(days) * day}
	g.add(begin, line{Type: "group", UserID: "installer", Traits: map[string]any{"name": "G"}})
	for range moments {
		g.one()
	}
	g.edges()
	slices.SortStableFunc(g.out, func(a, b generated) int { return a.rec.Compare(b.rec) })
	var b []byte
	for i, e := range g.out {
		if i%97 == 96 { // the site's clock steps back
			e.line.ReceivedAt = e.rec.Add(-3 * time.Minute).Format(time.RFC3339Nano)
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
	line line
}

type generator struct {
	rng   *rand.Rand
	begin time.Time
	days  int
	span  time.Duration
	n     int
	out   []generated
}

func (g *generator) add(rec time.Time, l line) {
	g.n++
	l.ReceivedAt = rec.Format(time.RFC3339Nano)
	if l.MessageID == "" {
		l.MessageID = fmt.Sprintf("m%06d", g.n)
	}
	if l.MessageID == "none" {
		l.MessageID = ""
	}
	g.out = append(g.out, generated{rec, l})
}

func (g *generator) pick(from ...string) string { return from[g.rng.IntN(len(from))] }

func (g *generator) minutes(most int) time.Duration {
	return time.Duration(g.rng.IntN(most)) * time.Minute
}

// at is an hour of a day in the history's zone.
func (g *generator) at(n, hour int) time.Time {
	y, m, d := g.begin.Date()
	return time.Date(y, m, d+n, hour, 0, 0, 0, g.begin.Location())
}

// user: some come early, some late, some seldom.
func (g *generator) user(at time.Time) string {
	most := 4 + int(30*at.Sub(g.begin)/g.span)
	return fmt.Sprintf("user %02d", g.rng.IntN(most))
}

// one is a moment in which something happens.
func (g *generator) one() {
	at := g.begin.Add(time.Duration(g.rng.Int64N(int64(g.span)))).Truncate(time.Second)
	if g.rng.IntN(3) == 0 { // many things happen in the same minute
		at = at.Truncate(30 * time.Minute)
	}
	switch n := g.rng.IntN(100); {
	case n < 8:
		g.identify(at, g.user(at))
	case n < 11:
		g.alias(at)
	case n < 13:
		g.seats(at)
	case n < 30:
		g.order(at)
	case n < 42:
		g.visit(at)
	case n < 46: // several at work in one hour
		for range 2 + g.rng.IntN(6) {
			g.activity(at.Add(g.minutes(50)), g.user(at), g.event())
		}
	case n < 47:
		user := g.user(at)
		for range 12 { // a storm
			g.identify(at, user)
		}
	default:
		g.activity(at, g.user(at), g.event())
	}
}

func (g *generator) identify(at time.Time, user string) {
	traits := map[string]any{}
	if g.rng.IntN(4) > 0 {
		traits["role"] = g.pick("clerk", "clerk", "clerk", "manager", "boss", "robot", "visitor")
	}
	if g.rng.IntN(3) > 0 {
		traits["site"] = g.pick("north", "south", "moon")
	}
	if g.rng.IntN(3) > 0 {
		traits["level"] = g.rng.IntN(40)/4 + 1 - g.rng.IntN(2)/2 // seldom out of bounds
	}
	if g.rng.IntN(4) == 0 {
		traits["createdAt"] = at.Add(-time.Duration(g.rng.IntN(100)) * day).Format(time.RFC3339)
	}
	g.add(at, line{Type: "identify", UserID: user, Traits: traits})
}

func (g *generator) alias(at time.Time) {
	user, previous := g.user(at), g.user(at)
	switch g.rng.IntN(6) {
	case 0:
		previous = "nobody knows"
	case 1:
		previous = fmt.Sprintf("anonymous %d", g.rng.IntN(5))
	case 2, 3:
		user = fmt.Sprintf("renamed %d", g.rng.IntN(8))
	case 4:
		previous = user
	}
	g.add(at, line{Type: "alias", UserID: user, PreviousID: previous})
}

func (g *generator) seats(at time.Time) {
	traits := map[string]any{"plan": "gold"}
	if at.Sub(g.begin) > 20*day && g.rng.IntN(4) > 0 {
		traits["seats"] = g.rng.IntN(9)
	}
	if g.rng.IntN(3) == 0 {
		traits["assignedSeats"] = g.rng.IntN(7)
	}
	if g.rng.IntN(20) == 0 {
		traits["seats"] = -1
	}
	g.add(at, line{Type: "group", UserID: "installer", Traits: traits})
}

func (g *generator) event() string {
	return g.pick("opened", "opened", "checked", "sent", "sent", "report", "home", "unheard of")
}

// order follows one order through its life, or a part of it.
func (g *generator) order(at time.Time) {
	n := g.rng.IntN(60)
	first, user := g.user(at), ""
	for _, event := range []string{"report", "opened", "checked", "sent", "sent"} {
		if user = first; g.rng.IntN(9) == 0 {
			user = g.user(at)
		}
		if g.rng.IntN(7) > 0 {
			g.activityOf(at, user, event, n)
		}
		switch g.rng.IntN(6) {
		case 0: // in the same second
		case 1:
			at = at.Add(g.minutes(60))
		case 2:
			at = at.Add(time.Hour * time.Duration(g.rng.IntN(3))) // to the second at the edge of a band
		case 3:
			at = at.Add(g.minutes(24 * 60))
		case 4:
			at = at.Add(g.minutes(7 * 24 * 60))
		case 5:
			at = at.Add(day * time.Duration(g.rng.IntN(20)))
		}
	}
}

func (g *generator) visit(at time.Time) {
	user := g.user(at)
	for _, event := range []string{"home", "report", g.event(), "opened", g.event()} {
		if g.rng.IntN(5) > 0 {
			g.activity(at, user, event)
		}
		at = at.Add([]time.Duration{0, 30 * time.Minute, g.minutes(30), g.minutes(60)}[g.rng.IntN(4)])
	}
}

func (g *generator) activity(at time.Time, user, event string) {
	g.activityOf(at, user, event, g.rng.IntN(60))
}

func (g *generator) activityOf(at time.Time, user, event string, order int) {
	l := line{Type: "track", UserID: user, Properties: map[string]any{"note": "free text", "order": order}}
	if g.rng.IntN(14) == 0 {
		l.UserID, l.AnonymousID = "", fmt.Sprintf("anonymous %d", g.rng.IntN(5))
	}
	if g.rng.IntN(10) == 0 {
		delete(l.Properties, "order")
	}
	if g.rng.IntN(4) > 0 {
		l.Properties["amount"] = json.Number(fmt.Sprintf("%.2f", float64(g.rng.IntN(200_000))/100-51)) // seldom out of bounds
	}
	if g.rng.IntN(8) > 0 {
		l.Properties["channel"] = g.pick("web", "desk", "counter", "telephone")
		l.Properties["variant"] = g.pick("a", "b")
		l.Properties["report"] = g.pick("stock", "sales", "weather")
		l.Properties["took.minutes"] = g.rng.IntN(120)
	}
	grace := 48 * time.Hour
	switch event {
	case "opened":
		l.Event = "Order Opened"
	case "checked":
		l.Event = "Order Checked"
	case "sent":
		l.Event, grace = "Order Sent", 7*day
	case "report":
		l.Type, l.Name = "page", "Report"
	case "home":
		l.Type, l.Name, grace = "screen", "Home", time.Hour
	default:
		l.Type, l.Name, l.Event = g.pick("page", "track"), "Order Opened", "Unheard Of"
	}
	g.send(at, l, grace)
}

// send lets an event arrive in time, late, twice, or with a wrong clock.
func (g *generator) send(at time.Time, l line, grace time.Duration) {
	rec := at
	switch g.rng.IntN(14) {
	case 0: // late, sometimes too late
		rec = at.Add(time.Duration(g.rng.Int64N(int64(grace) * 5 / 4)).Truncate(time.Second))
	case 1: // to the second at the edge of grace, or just beyond
		rec = at.Add(grace + time.Duration(g.rng.IntN(2))*time.Second)
	case 2: // at the end of a day, received as its windows close
		at = time.Date(at.Year(), at.Month(), at.Day(), 23, 59, 59, 0, at.Location())
		rec = at.Add(grace)
	case 3: // a clock that runs ahead
		at = at.Add(g.minutes(20))
	case 4: // a client that says when it sent it, and is wrong about the time
		off := time.Duration(g.rng.IntN(7200)-3600) * time.Second
		at = at.Add(off)
		l.SentAt = rec.Add(off).Format(time.RFC3339)
	}
	if g.rng.IntN(20) > 0 {
		l.Timestamp = at.Format(time.RFC3339)
	}
	if g.rng.IntN(30) == 0 {
		l.MessageID = "none"
	}
	g.add(rec, l)
	if g.rng.IntN(12) == 0 && l.MessageID == "" { // sent again, soon or after more than a week
		l.MessageID = fmt.Sprintf("m%06d", g.n)
		g.add(rec.Add(time.Duration(g.rng.IntN(9*24))*time.Hour), l)
	}
}

// edges are cases that chance seldom makes: what decides lies on the last of the first 28 days, or
// is received in the very second in which windows close, or nobody was there for half a year.
func (g *generator) edges() {
	event := func(at time.Time, user, event string) {
		l := line{Type: "track", Event: event, UserID: user, Timestamp: at.Format(time.RFC3339), Properties: map[string]any{"order": g.rng.IntN(60)}}
		if event == "Report" {
			l.Type, l.Event, l.Name = "page", "", event
		}
		g.add(at, l)
	}
	within := func(n int) bool { return n < g.days }
	for n := 26; n <= 29; n++ { // seen first by another event than the measure's
		if user := fmt.Sprintf("edge %d", n); within(n + 16) {
			event(g.at(n, 12), user, "Report")
			event(g.at(n+16, 12), user, "Order Sent")
		}
	}
	for i := range 3 { // known from the first days, but not under this name
		old, later := fmt.Sprintf("early %d", i), fmt.Sprintf("later %d", i)
		if !within(50 + i) {
			continue
		}
		event(g.at(3, 12), old, "Report")
		event(g.at(50+i, 10), later, "Order Opened")
		if i > 0 {
			g.add(g.at(50+i, 11), line{Type: "alias", UserID: old, PreviousID: later})
		}
	}
	for n := 60; n < 90 && within(n+3); n++ {
		user := fmt.Sprintf("second %d", n)
		event(g.at(n, 12), user, "Order Checked")
		g.add(g.at(n+3, 0).Add(time.Duration(n%3-1)*time.Second), line{Type: "identify", UserID: user, Traits: map[string]any{"role": "manager", "site": "north"}})
	}
	for i := range 8 { // away for about 190 days, known by another name or trait before
		user := fmt.Sprintf("away %d", i)
		back := g.at(30+i, 12).Add(190*day + time.Duration(i%3-1)*time.Second)
		if !within(230) {
			break
		}
		g.add(g.at(29+i, 12), line{Type: "identify", UserID: user, Traits: map[string]any{"role": "manager", "site": "south", "createdAt": g.at(-9, 0).Format(time.RFC3339)}})
		event(g.at(30+i, 12), user, "Order Opened")
		if i%2 == 1 {
			g.add(g.at(30+i, 13), line{Type: "alias", UserID: user + " too", PreviousID: user})
			event(back, user+" too", "Order Sent")
		}
		if i%4 == 2 {
			g.add(back, line{Type: "identify", UserID: user, Traits: map[string]any{"site": "north"}})
		}
		event(back.Add(time.Minute), user, "Order Checked")
		event(back.Add(time.Hour), user, "Order Sent")
	}
}

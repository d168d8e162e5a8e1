package privacy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/installer/examples"
)

// A happening is what one event says once everybody in it is a number.
type happening struct {
	at         time.Time
	kind, name string
	user       int // -1: anonymous
	other      int // alias: whom the user was before
	message    int // two of the same number are one message sent twice
	role, plan string
	seats      int // bought; 0: it is not said
	properties map[string]any
	unlisted   string // a declared property that holds free text
}

// site says how a history is made; small, so that a failing one shrinks.
type site struct {
	seed            uint64
	users, weeks    int
	activity        float64  // chance of a user to work on a day
	measures        []bool   // of the product's catalog, which are asked for
	traffic         bool     // counts of events are asked for as traffic, not about people
	usage, sla, inv string   // levels
	pool            string   // off or strict
	pooled          []string // at most two measures that can join the pool; nil: the catalog's own
	early           bool     // the decision holds from the beginning of the history
	people          int      // how many the customer names; 0: none
}

func drawSite(r *rapid.T) site {
	level := rapid.SampledFrom([]string{"off", "local", "strict", "aggregate", "totals"})
	return site{
		seed: rapid.Uint64().Draw(r, "seed"), users: rapid.IntRange(1, 60).Draw(r, "users"), weeks: rapid.IntRange(2, 18).Draw(r, "weeks"),
		activity: rapid.SampledFrom([]float64{0.03, 0.1, 0.3}).Draw(r, "activity"),
		measures: rapid.SliceOfN(rapid.Bool(), 34, 34).Draw(r, "measures"), traffic: rapid.Bool().Draw(r, "traffic"),
		usage: level.Draw(r, "usage"), sla: level.Draw(r, "sla"), inv: level.Draw(r, "inventory"),
		people: rapid.SampledFrom([]int{0, 0, 8, 12, 60}).Draw(r, "people"),
		pool:   rapid.SampledFrom([]string{"off", "strict"}).Draw(r, "pool"),
		pooled: rapid.SampledFrom([][]string{nil, {"people", "kept"}, {"flow", "activation"}, {"features", "kept"}, {"flow"}}).Draw(r, "pooled"),
	}
}

// catalog is the product's with a part of its measures. Three always stay, so that there is
// something about people, about traffic and about machines; and those that are to join the pool.
func (s site) catalog() []byte {
	parts := strings.Split(string(examples.ProductCatalog()), "\n  - id: ")
	out := parts[0]
	for i, p := range parts[1:] {
		id, _, _ := strings.Cut(p, "\n")
		joins := slices.Contains(s.pooled, id)
		if i < len(s.measures) && s.measures[i] && !joins && !slices.Contains([]string{"people", "log_ins", "plan"}, id) {
			continue
		}
		if s.pooled != nil {
			p = strings.Replace(p, "\n    pool: true", "", 1)
		}
		if joins {
			p = strings.Replace(p, "\n", "\n    pool: true\n", 1)
		}
		if joins && id == "features" { // of more than three features nothing is pooled
			p = regexp.MustCompile(`\n      (dashboards|mobile):.*`).ReplaceAllString(p, "")
		}
		if s.traffic && strings.Contains(p, "kind: count\n") {
			p = strings.Replace(p, "kind: count\n", "kind: count\n    subject: traffic\n", 1)
		}
		out += "\n  - id: " + p
	}
	return []byte(out)
}

// without leaves the measures from the first to before the last out.
func without(first, last int) []bool {
	out := make([]bool, last)
	for i := first; i < last; i++ {
		out[i] = true
	}
	return out
}

var begin = time.Date(2024, 1, 22, 0, 0, 0, 0, time.UTC) // the first Monday of a block of 12 weeks

// until is when everything of the history has closed that closes soon: the funnel of a pooled block has its
// two weeks and the grace.
func (s site) until() time.Time { return begin.AddDate(0, 0, s.weeks*7+18) }

// happenings is the history, in the order of receipt.
func (s site) happenings() []happening {
	rng := rand.New(rand.NewPCG(s.seed, 1))
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	out := []happening{{at: begin, kind: "group", user: 0, plan: "team", seats: 40, message: -1}}
	n := 0
	add := func(h happening) {
		if n++; rng.IntN(50) == 0 && n > 1 {
			h.message = rng.IntN(n)
		} else {
			h.message = n
		}
		out = append(out, h)
	}
	for d := range s.weeks * 7 {
		for u := range s.users {
			if rng.Float64() > s.activity || u%2 == 1 && d*s.users < u*s.weeks*7 { // every other one joins on the way
				continue
			}
			at := begin.AddDate(0, 0, d).Add(time.Duration(rng.IntN(86400)) * time.Second)
			switch rng.IntN(16) {
			case 0:
				add(happening{at: at, kind: "identify", user: u, role: pick("owner", "admin", "member", "guest", "service", "administrator", "")})
			case 1:
				add(happening{at: at, kind: "alias", user: u, other: rng.IntN(s.users)})
			case 2:
				add(happening{at: at, kind: "page", name: "Dashboard", user: u})
			case 3:
				add(happening{at: at, kind: "track", name: "Signed Up", user: -1 - rng.IntN(2)*u, properties: map[string]any{"via": pick("sso", "invitation")}})
			case 4:
				add(happening{at: at, kind: "track", name: "Signed Up", user: u, unlisted: "via"})
			case 5:
				add(happening{at: at, kind: "track", name: "Workflow Saved", user: u, properties: map[string]any{
					"steps": rng.IntN(12000), "state": pick("draft", "published"), "guide": pick("shown", "hidden"), "minutes": rng.IntN(90), "workflowId": rng.IntN(3)}})
			case 6:
				add(happening{at: at, kind: "track", user: u}) // a name of its own
			case 7:
				add(happening{at: at, kind: "group", user: u, plan: pick("team", "business"), seats: 30 + rng.IntN(20)})
			case 8, 9:
				add(happening{at: at, kind: "track", name: "Workflow Created", user: u, properties: map[string]any{"template": pick("blank", "report"), "workflowId": rng.IntN(3)}})
			case 10:
				add(happening{at: at, kind: "track", name: "Invitation Sent", user: u, properties: map[string]any{"role": pick("admin", "guest")}})
			case 11:
				add(happening{at: at, kind: "track", name: "Invitation Accepted", user: u, properties: map[string]any{"wait_hours": rng.IntN(99)}})
			case 12:
				add(happening{at: at, kind: "screen", name: "Home", user: u})
			default:
				add(happening{at: at, kind: "track", name: "Logged In", user: u, properties: map[string]any{"method": pick("sso", "password")}})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b happening) int { return a.at.Compare(b.at) })
	return out
}

// people is who everybody is: the same history with other people has other words in all these places
// and in no others.
type people struct {
	canaries *canaries // not nil: their words are canaries
	seed     uint64
	words    map[string]string
	rng      *rand.Rand
}

func peopleOf(seed uint64) *people {
	return &people{seed: seed, words: map[string]string{}, rng: rand.New(rand.NewPCG(seed, 2))}
}

// word is what the thing is called here; another thing is never called the same.
func (p *people) word(kind string, i int) string {
	key := fmt.Sprint(kind, " ", i)
	if w, ok := p.words[key]; ok {
		return w
	}
	letters := []rune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@ äöüßжλ漢")
	b := make([]rune, 1+p.rng.IntN(40))
	for k := range b {
		b[k] = letters[p.rng.IntN(len(letters))]
	}
	w := fmt.Sprintf("%s%d/%d", string(b), p.seed, len(p.words))
	if p.canaries != nil {
		place := key
		if kind == "user" {
			place = "user: " + key
		}
		w = p.canaries.in(place)
	}
	p.words[key] = w
	return w
}

func (p *people) address() string {
	return fmt.Sprintf("%d.%d.%d.%d", 1+p.rng.IntN(220), p.rng.IntN(256), p.rng.IntN(256), p.rng.IntN(256))
}

// line is the event as the product would send it.
func (p *people) line(h happening) map[string]any {
	at := h.at.Format(time.RFC3339Nano)
	e := map[string]any{
		"type": h.kind, "timestamp": at, "receivedAt": at,
		"context": map[string]any{
			"ip": p.address(), "userAgent": p.word("agent", p.rng.IntN(9)), "locale": p.word("locale", p.rng.IntN(9)),
			"page": map[string]any{"url": "https://" + p.word("url", p.rng.IntN(99)), "title": p.word("title", p.rng.IntN(99))},
		},
	}
	if h.message >= 0 {
		e["messageId"] = p.word("message", h.message)
	}
	if h.user >= 0 {
		e["userId"] = p.word("user", h.user)
	} else {
		e["anonymousId"] = p.word("anonymous", -h.user)
	}
	properties := map[string]any{"note": p.word("text", p.rng.IntN(999)), "customer": p.word("customer", p.rng.IntN(99))}
	for k, v := range h.properties {
		properties[k] = v
	}
	if h.unlisted != "" {
		properties[h.unlisted] = p.word("unlisted", p.rng.IntN(99))
	}
	switch h.kind {
	case "identify":
		traits := map[string]any{"name": p.word("name", h.user), "email": p.word("email", h.user), "address": map[string]any{"street": p.word("street", h.user)}}
		if h.role != "" {
			traits["role"] = h.role
		}
		e["traits"] = traits
	case "group":
		e["groupId"] = p.word("group", 0)
		traits := map[string]any{"plan": h.plan, "name": p.word("company", 0), "phone": p.word("phone", 0)}
		if h.seats > 0 {
			traits["seatsBought"], traits["seatsAssigned"] = h.seats, h.seats-5
		}
		e["traits"] = traits
	case "alias":
		e["previousId"] = p.word("user", h.other)
	case "page", "screen":
		e["name"], e["properties"] = h.name, properties
	case "track":
		if e["event"] = h.name; h.name == "" {
			e["event"] = p.word("event", p.rng.IntN(9))
		}
		e["properties"] = properties
	}
	return e
}

// write writes a recorded file.
func (p *people) write(tb testing.TB, name string, list []happening) string {
	tb.Helper()
	var b strings.Builder
	for _, h := range list {
		line, err := json.Marshal(p.line(h))
		if err != nil {
			tb.Fatal(err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

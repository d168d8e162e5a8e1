package oracle

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// reading is the way through the lines: it judges each and finds out whose it is.
type reading struct {
	site    *Site
	clock   time.Time
	seen    map[string]time.Time // first receipt of a messageId
	group   map[string]int       // known ids → the user that founded the group they belong to
	members map[int][]string     // by founder
	active  map[int]int64        // by founder: time of the last activity
	seenAt  map[int]int64        // by founder: receipt of the first sight
	n       int
}

func (x *reading) line(l *line) error {
	s := x.site
	rec, err := time.Parse(time.RFC3339Nano, l.ReceivedAt)
	if err != nil {
		return fmt.Errorf("reading receivedAt: %w", err)
	}
	back := rec.Before(x.clock)
	if back {
		rec = x.clock
	}
	x.clock = rec
	if !rec.Before(s.Until) {
		return nil
	}
	x.n++
	s.Received++
	if back {
		s.Back++
	}
	if s.started == never {
		s.first, s.started = rec, s.dayOf(rec)
	}
	at, skewed := rec, false
	if l.Timestamp != "" {
		if at, err = time.Parse(time.RFC3339Nano, l.Timestamp); err != nil {
			return fmt.Errorf("reading timestamp: %w", err)
		}
		if l.SentAt != "" {
			sent, err := time.Parse(time.RFC3339Nano, l.SentAt)
			if err != nil {
				return fmt.Errorf("reading sentAt: %w", err)
			}
			if d := rec.Sub(sent); d > 5*time.Minute || d < -5*time.Minute {
				at = at.Add(d)
			}
		}
		if at.Sub(rec) > 5*time.Minute {
			at, skewed = rec, true
		}
	}
	reason := x.judge(l, rec, at)
	s.Reasons[reason]++
	if skewed && reason != "unknown_event" && reason != "over_limit_value" { // those were never dated
		s.Skewed++
	}
	return nil
}

// judge gives an event the first reason that applies.
func (x *reading) judge(l *line, rec, at time.Time) string {
	s := x.site
	e := &entry{at: at.UnixNano(), rec: rec.UnixNano(), day: s.dayOf(at), sequence: x.n}
	var declared, traits map[string]Property
	var raw map[string]any
	activity := false
	switch l.Type {
	case "identify":
		traits, raw = s.voc.Traits, l.Traits
	case "group":
		traits, raw = s.voc.GroupTraits, l.Traits
	case "alias":
	default:
		activity = true
		name := l.Event
		if l.Type != "track" {
			name = l.Name
		}
		for id, ev := range s.voc.Events {
			if ev.Match == name && ev.Type == l.Type {
				e.id, declared, raw = id, ev.Properties, l.Properties
			}
		}
		if e.id == "" {
			return "unknown_event"
		}
	}
	var ok bool
	if e.words, e.numbers, ok = values(declared, traits, raw); !ok {
		return "over_limit_value"
	}
	if l.MessageID != "" {
		if first, twice := x.seen[l.MessageID]; twice && rec.Sub(first) <= 7*24*time.Hour {
			return "duplicate"
		}
		x.seen[l.MessageID] = rec
	}
	switch {
	case l.Type == "identify":
		x.identify(l, e)
	case l.Type == "group":
		for name := range s.voc.GroupTraits {
			if t, ok := e.told(name); ok {
				s.groups[name] = append(s.groups[name], t)
			}
		}
	case l.Type == "alias":
		x.alias(l, e.rec)
	case activity && rec.Sub(at) > s.grace(e.id):
		return "late"
	default:
		if l.UserID != "" {
			e.user = x.user(l.UserID, e.at, e.rec)
			g := x.group[l.UserID]
			if last, before := x.active[g]; !before || e.at > last {
				x.active[g] = e.at
			}
		}
		s.all = append(s.all, e)
	}
	return "measured"
}

// values reads what is declared. A word that is not there is (none), unless it is a trait's.
func values(declared, traits map[string]Property, raw map[string]any) (words map[string]string, numbers map[string]number, ok bool) {
	words, numbers = map[string]string{}, map[string]number{}
	for _, properties := range []map[string]Property{declared, traits} {
		for name, p := range properties {
			sent := name
			if p.Match != "" {
				sent = p.Match
			}
			v := raw[sent]
			switch {
			case v == nil && p.Bounds == nil && traits == nil:
				words[name] = "(none)"
			case v == nil:
			case p.Bounds == nil:
				text, isText := v.(string)
				if !isText {
					return nil, nil, false
				}
				words[name] = p.listed(text)
			default:
				text, isNumber := v.(json.Number)
				if !isNumber {
					return nil, nil, false
				}
				n, err := text.Float64()
				if err != nil || n < p.Bounds[0] || n > p.Bounds[1] {
					return nil, nil, false
				}
				exact, _ := new(big.Rat).SetString(text.String())
				exact.Mul(exact, new(big.Rat).SetInt64(1e9))
				numbers[name] = number{exact.Num(), n} // nine decimals are enough for all fixtures
			}
		}
	}
	return words, numbers, true
}

func (p *Property) listed(text string) string {
	if to, ok := p.Map[text]; ok {
		text = to
	}
	if slices.Contains(p.Values, text) {
		return text
	}
	return "(other)"
}

func (e *entry) told(name string) (told, bool) {
	t := told{rec: e.rec, sequence: e.sequence}
	if w, ok := e.words[name]; ok {
		t.text = w
		return t, true
	}
	n, ok := e.numbers[name]
	t.number = n.float
	return t, ok
}

func (s *Site) grace(event string) time.Duration {
	if g := s.voc.Events[event].Grace; g != 0 {
		return g
	}
	return 48 * time.Hour
}

// gone says whether a group was silent for longer than is remembered before a moment.
func (x *reading) gone(founder int, at int64) bool {
	last, ever := x.active[founder]
	if !ever {
		last = x.seenAt[founder]
	}
	return x.site.Remember > 0 && at-last > int64(x.site.Remember)
}

// user is the number behind a name, a new one when it is not known or no longer.
func (x *reading) user(name string, at, rec int64) int {
	if g, known := x.group[name]; known && x.gone(g, at) {
		x.forget(g)
	}
	if _, known := x.group[name]; !known {
		x.site.users++
		x.group[name] = x.site.users
		x.members[x.site.users] = []string{name}
		x.seenAt[x.site.users] = at
	}
	return x.group[name]
}

func (x *reading) forget(founder int) {
	for _, name := range x.members[founder] {
		delete(x.group, name)
	}
	delete(x.members, founder)
}

func (x *reading) identify(l *line, e *entry) {
	s := x.site
	if l.UserID == "" {
		return
	}
	u := x.user(l.UserID, e.rec, e.rec)
	for name := range s.voc.Traits {
		if t, ok := e.told(name); ok {
			s.traits[name][u] = append(s.traits[name][u], t)
		}
	}
	if text, ok := l.Traits["createdAt"].(string); ok {
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			s.created[u] = append(s.created[u], told{rec: e.rec, sequence: x.n, at: at})
		}
	}
}

func (x *reading) alias(l *line, rec int64) {
	to, known := x.group[l.PreviousID]
	if !known || l.UserID == "" || x.gone(to, rec) {
		return
	}
	if from, known := x.group[l.UserID]; known && x.gone(from, rec) {
		x.forget(from)
	}
	from, known := x.group[l.UserID]
	switch {
	case known && from == to:
		return
	case !known: // a further name, nothing to join
		x.group[l.UserID] = to
		x.members[to] = append(x.members[to], l.UserID)
		return
	}
	for _, name := range x.members[from] {
		x.group[name] = to
	}
	x.members[to] = append(x.members[to], x.members[from]...)
	delete(x.members, from)
	last, fromActive := x.active[from]
	if before, toActive := x.active[to]; fromActive && (!toActive || last > before) {
		x.active[to] = last
	}
	if !fromActive {
		x.seenAt[to] = max(x.seenAt[to], x.seenAt[from])
	}
	x.site.joins = append(x.site.joins, join{rec, x.n, from, to})
}

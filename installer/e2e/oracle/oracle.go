// Package oracle computes MEASURES' figures a second time, from the raw events, by brute
// force: maps of strings and loops over all events. It shares nothing with the agent and
// imports only the standard library, so that the two can be held against each other.
//
// It knows active_users, count and lifecycle of people who are remembered for ever, and the
// accounting. It keeps nothing on disk.
package oracle

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"time"
)

// Vocabulary is what may arrive, written down independently of any catalog.
type Vocabulary struct {
	Events    map[string]Event // by the client's name
	Roles     []string         // listed values of the trait role
	RoleMap   map[string]string
	NotPeople []string
}

// Event is one kind of event.
type Event struct {
	Grace   time.Duration // 0: 48 hours
	Lists   map[string][]string
	Numbers map[string][2]float64
}

// Site is the raw history of one installation, read and judged.
type Site struct {
	Zone  *time.Location
	Until time.Time // where the clock stands
	voc   Vocabulary

	all      []entry // measured activity, in order of receipt
	roles    map[string][]told
	created  map[string][]told
	joins    []join
	started  int
	Reasons  map[string]int
	Skewed   int
	Back     int
	Received int
}

type entry struct {
	name     string
	user     string
	at, rec  time.Time
	day      int
	values   map[string]string
	sequence int
}

type told struct {
	rec      time.Time
	sequence int
	text     string
	at       time.Time
}

type join struct {
	rec      time.Time
	from, to string // names of the groups: the smallest id that founded them
}

type line struct {
	Type, Event, MessageID, UserID, AnonymousID, PreviousID string
	Timestamp, SentAt, ReceivedAt                           string
	Properties, Traits                                      map[string]any
}

// Read judges the lines of r in order, until the clock stands at until.
func Read(r io.Reader, voc Vocabulary, zone *time.Location, until time.Time) (*Site, error) {
	s := &Site{Zone: zone, Until: until, voc: voc, roles: map[string][]told{}, created: map[string][]told{}, Reasons: map[string]int{}, started: -1 << 30}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	state := &reading{site: s, seen: map[string]time.Time{}, group: map[string]string{}}
	for in.Scan() {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("reading an event: %w", err)
		}
		if err := state.line(&l); err != nil {
			return nil, err
		}
	}
	return s, in.Err()
}

type reading struct {
	site  *Site
	clock time.Time
	seen  map[string]time.Time // first receipt of a messageId
	group map[string]string    // known ids → the group they belong to
	n     int
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
	if s.started == -1<<30 {
		s.started = s.dayOf(rec)
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
	ev, known := s.voc.Events[l.Event]
	activity := l.Type == "track" || l.Type == "page" || l.Type == "screen"
	if activity && !known {
		return "unknown_event"
	}
	values := map[string]string{}
	if activity {
		for name, list := range ev.Lists {
			values[name] = "(none)"
			if v, ok := l.Properties[name]; ok && v != nil {
				text, isText := v.(string)
				if !isText {
					return "over_limit_value"
				}
				values[name] = listed(list, text)
			}
		}
		for name, b := range ev.Numbers {
			if v, ok := l.Properties[name]; ok && v != nil {
				if n, isNumber := v.(float64); !isNumber || n < b[0] || n > b[1] {
					return "over_limit_value"
				}
			}
		}
	}
	if l.MessageID != "" {
		if first, twice := x.seen[l.MessageID]; twice && rec.Sub(first) <= 7*24*time.Hour {
			return "duplicate"
		}
		x.seen[l.MessageID] = rec
	}
	if activity {
		grace := ev.Grace
		if grace == 0 {
			grace = 48 * time.Hour
		}
		if rec.Sub(at) > grace {
			return "late"
		}
		x.know(l.UserID)
		s.all = append(s.all, entry{name: l.Event, user: l.UserID, at: at, rec: rec, day: s.dayOf(at), values: values, sequence: x.n})
		return "measured"
	}
	switch l.Type {
	case "identify":
		x.identify(l, rec)
	case "alias":
		x.alias(l, rec)
	}
	return "measured"
}

func listed(list []string, text string) string {
	if slices.Contains(list, text) {
		return text
	}
	return "(other)"
}

func (x *reading) know(user string) {
	if user != "" && x.group[user] == "" {
		x.group[user] = user
	}
}

func (x *reading) identify(l *line, rec time.Time) {
	s := x.site
	if l.UserID == "" {
		return
	}
	x.know(l.UserID)
	if role, ok := l.Traits["role"].(string); ok {
		if to, ok := s.voc.RoleMap[role]; ok {
			role = to
		}
		s.roles[l.UserID] = append(s.roles[l.UserID], told{rec: rec, sequence: x.n, text: listed(s.voc.Roles, role)})
	}
	if text, ok := l.Traits["createdAt"].(string); ok {
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			s.created[l.UserID] = append(s.created[l.UserID], told{rec: rec, sequence: x.n, at: at})
		}
	}
}

func (x *reading) alias(l *line, rec time.Time) {
	old := x.group[l.PreviousID]
	if old == "" || l.UserID == "" {
		return
	}
	x.know(l.UserID)
	from := x.group[l.UserID]
	if from == old {
		return
	}
	for id, g := range x.group {
		if g == from {
			x.group[id] = old
		}
	}
	x.site.joins = append(x.site.joins, join{rec, from, old})
}

// dayOf is the number of the calendar day, counted from 1970-01-01.
func (s *Site) dayOf(t time.Time) int {
	y, m, d := t.In(s.Zone).Date()
	return int(time.Date(y, m, d, 12, 0, 0, 0, time.UTC).Unix() / 86400)
}

// midnight is when a day begins.
func (s *Site) midnight(day int) time.Time {
	d := date(day)
	t := time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, s.Zone)
	for s.dayOf(t) < day { // the clock was put forward over midnight
		t = t.Add(time.Minute)
	}
	return t
}

func date(day int) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }

// person is the group a user belongs to, as known just before a moment.
func (s *Site) person(user string, before time.Time) string {
	for _, j := range s.joins {
		if j.rec.Before(before) && j.from == user {
			user = j.to
		}
	}
	return user
}

// ids is the users of each person, as known just before a moment.
func (s *Site) ids(users map[string]bool, before time.Time) map[string][]string {
	out := map[string][]string{}
	for u := range users {
		p := s.person(u, before)
		out[p] = append(out[p], u)
	}
	return out
}

// last is what was told last of any of the ids before a moment.
func last(history map[string][]told, ids []string, before time.Time) (t told, ok bool) {
	for _, id := range ids {
		h := history[id]
		n := sort.Search(len(h), func(i int) bool { return !h[i].rec.Before(before) })
		if n > 0 && (!ok || h[n-1].sequence > t.sequence) {
			t, ok = h[n-1], true
		}
	}
	return t, ok
}

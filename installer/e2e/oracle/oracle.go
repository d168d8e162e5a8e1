// Package oracle computes MEASURES' figures a second time, from the raw events, by brute
// force: plain loops over all events, for each window anew. It shares nothing with the agent and
// imports only the standard library, so that the two can be held against each other.
//
// It knows every kind of measure about people, forgetting, and the accounting; it reads no catalog
// (each is written down here a second time) and keeps nothing on disk.
//
// Where MEASURES leaves room the oracle takes the plainest reading of the words:
//
//   - Who is who, who counts and which traits they have is what was received before the window's
//     closing moment, or before the clock's where it is open.
//   - Who is forgotten (silent for longer than is remembered) is somebody new when they come back:
//     their traits, aliases and first times are gone. Who was only ever identified is silent
//     since then.
//   - Zero lines lie between the first and the last window with a match; where the words promise none,
//     a window without a figure has no line.
package oracle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"time"
)

// Vocabulary is what may arrive, written down independently of any catalog.
type Vocabulary struct {
	Events      map[string]Event // by id
	Traits      map[string]Property
	GroupTraits map[string]Property
}

// Event is one kind of event.
type Event struct {
	Type, Match string
	Grace       time.Duration // 0: 48 hours
	Properties  map[string]Property
}

// Property is a closed list or a bounded number.
type Property struct {
	Match     string // the client's name, where it is another
	Values    []string
	Map       map[string]string
	NotPeople []string
	Bounds    *[2]float64
}

// Settings of a site.
type Settings struct {
	Zone     *time.Location
	Until    time.Time     // where the clock stands
	Remember time.Duration // 0: for ever
	Working  []time.Weekday
}

// Site is the raw history of one installation, read and judged.
type Site struct {
	Settings
	voc Vocabulary

	users   int      // numbers given to users, from 1; 0 is nobody
	all     []*entry // measured activity, in order of receipt
	days    map[int][]*entry
	traits  map[string]map[int][]told
	created map[int][]told
	groups  map[string][]told
	joins   []join
	first   time.Time // receipt of the first event
	started int       // its day

	Reasons  map[string]int
	Skewed   int
	Back     int
	Received int

	known *view           // the last one made
	views map[int64]*view // by moment: measures and grains look at the same ones
}

// entry is one measured event.
type entry struct {
	id       string // the event's
	user     int
	at, rec  int64 // unix ns
	day      int
	words    map[string]string
	numbers  map[string]number
	sequence int
}

// number is a decimal times 10^9, and as it is read.
type number struct {
	scaled *big.Int
	float  float64
}

type told struct {
	rec      int64
	sequence int
	text     string
	number   float64
	at       time.Time
}

type join struct {
	rec      int64
	sequence int
	from, to int // the users that founded the groups
}

// line is one recorded call in the Segment form.
type line struct {
	Type        string         `json:"type"`
	Event       string         `json:"event,omitempty"`
	Name        string         `json:"name,omitempty"`
	MessageID   string         `json:"messageId,omitempty"`
	UserID      string         `json:"userId,omitempty"`
	AnonymousID string         `json:"anonymousId,omitempty"`
	PreviousID  string         `json:"previousId,omitempty"`
	Timestamp   string         `json:"timestamp,omitempty"`
	SentAt      string         `json:"sentAt,omitempty"`
	ReceivedAt  string         `json:"receivedAt"`
	Properties  map[string]any `json:"properties,omitempty"`
	Traits      map[string]any `json:"traits,omitempty"`
}

const nobody, never = 0, -1 << 30

// Read judges the lines of r in order, until the clock stands at Until.
func Read(r io.Reader, voc Vocabulary, settings Settings) (*Site, error) {
	s := &Site{Settings: settings, voc: voc, traits: map[string]map[int][]told{}, created: map[int][]told{}, groups: map[string][]told{}, Reasons: map[string]int{}, started: never}
	if s.Working == nil {
		s.Working = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	}
	for name := range voc.Traits {
		s.traits[name] = map[int][]told{}
	}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	state := &reading{site: s, seen: map[string]time.Time{}, group: map[string]int{}, members: map[int][]string{}, active: map[int]int64{}, seenAt: map[int]int64{}}
	for in.Scan() {
		var l line
		d := json.NewDecoder(bytes.NewReader(in.Bytes()))
		d.UseNumber()
		if err := d.Decode(&l); err != nil {
			return nil, fmt.Errorf("reading an event: %w", err)
		}
		if err := state.line(&l); err != nil {
			return nil, err
		}
	}
	return s, in.Err()
}

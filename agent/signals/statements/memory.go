package statements

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/agent/signals"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const (
	block = 28
	// kept is how long answers are remembered: three years, of which a season can be told, and a block.
	kept = 3*52*7 + block
	// grace is the longest that windows of people stay open after their end.
	grace = 7
)

// answer is a figure of one window as it was told.
type answer struct {
	Start int64   `json:"s"`
	Lo    float64 `json:"l"`
	Hi    float64 `json:"h"` // math.MaxFloat64: open
	Left  bool    `json:"o,omitempty"`
}

// Memory is the answers and the statements. Use New. Not safe for concurrent use.
type Memory struct {
	answers map[string][]answer    // by series, oldest first
	said    map[string][]Statement // by the definition of the change or environment, oldest first
	next    map[string]int64       // the block that is to be said next
	reads   map[[32]byte][]inputs  // by catalog: derived, not saved
	newest  int64                  // the day up to which blocks were said
}

// New remembers nothing.
func New() *Memory {
	return &Memory{answers: map[string][]answer{}, said: map[string][]Statement{}, next: map[string]int64{}, reads: map[[32]byte][]inputs{}}
}

// Window is a closed window as the gate ruled on it.
type Window struct {
	Catalog *catalog.Catalog
	Measure int
	Grain   report.Grain
	Start   int64
	Cells   []report.Cell // of people: as they were told; else exact
	Left    bool          // they leave
}

// Note takes in what was told of a window, if any statement needs it.
func (m *Memory) Note(w Window) {
	for _, in := range m.inputs(w.Catalog) {
		if in.reads(w.Measure, w.Grain) {
			m.note(w)
			return
		}
	}
}

func (m *Memory) note(w Window) {
	ms := &w.Catalog.Measures[w.Measure]
	for _, c := range w.Cells {
		if !c.Form.HasNumbers() || c.Form == report.Noised || c.Field.IsBlob() {
			continue // nothing was told, or something else than an interval
		}
		if c.Breakdown > 0 && w.Grain != report.Block4w {
			continue
		}
		k := seriesKey(ms, c.Series)
		all := m.answers[k]
		if n := len(all); n > 0 && all[n-1].Start >= w.Start {
			continue // each window once
		}
		all = append(all, answer{w.Start, c.Lo, min(c.Hi, math.MaxFloat64), w.Left})
		old := 0
		for all[old].Start < w.Start-kept {
			old++
		}
		m.answers[k] = slices.Delete(all, 0, old)
	}
}

// seriesKey names a series across catalogs: a new definition is a new series.
func seriesKey(ms *catalog.Measure, s report.Series) string {
	return fmt.Sprintf("%s/%d/%d/%d/%d", ms.HashString(), s.Grain, s.Field, s.Breakdown, s.V1)
}

// inputs is what one change or environment reads.
type inputs struct {
	measure int // its own index
	of      int
	weekly  bool         // of: weeks of it may be told
	field   report.Field // of: its figure
	groups  int          // of: the breakdown by a trait; 0 none
	flows   int          // a lifecycle of the same people; -1 none
	seats   int          // seats with how many are assigned; -1 none
	invited int          // invitations; -1 none
	traffic int          // a count or counter of traffic; -1 none
}

// reads reports whether windows of a measure are needed.
func (in *inputs) reads(measure int, g report.Grain) bool {
	switch measure {
	case in.of:
		return g == report.Block4w || in.weekly && g == report.Week || g == report.Day && !in.weekly
	case in.flows, in.invited:
		return g == report.Block4w
	case in.seats:
		return g == report.Rolling28
	case in.traffic:
		return g == report.Day
	}
	return false
}

// inputs finds what the statements of a catalog are made of.
func (m *Memory) inputs(c *catalog.Catalog) []inputs {
	if out, ok := m.reads[c.Hash]; ok {
		return out
	}
	if len(m.reads) > 8 {
		clear(m.reads)
	}
	var out []inputs
	for i := range c.Measures {
		if k := c.Measures[i].Kind; k == catalog.Shift || k == catalog.Environment {
			if of, n := c.Measure(c.Measures[i].Of); of != nil {
				out = append(out, inputsOf(c, i, n, of))
			}
		}
	}
	m.reads[c.Hash] = out
	return out
}

func inputsOf(c *catalog.Catalog, i, n int, of *catalog.Measure) inputs {
	in := inputs{measure: i, of: n, weekly: of.Subject == catalog.Person, field: of.Fields()[0], flows: -1, seats: -1, invited: -1, traffic: -1}
	for b, dims := range of.By {
		if _, isTrait := c.Dimension(of, dims[0]); isTrait && len(dims) == 1 && in.groups == 0 {
			in.groups = b + 1
		}
	}
	if of.Subject != catalog.Person {
		in.groups, in.traffic = 0, n
		return in
	}
	first := func(to *int, j int, ok bool) {
		if ok && *to < 0 {
			*to = j
		}
	}
	for j := range c.Measures {
		o := &c.Measures[j]
		counts := o.Kind == catalog.Count || o.Kind == catalog.Counter
		first(&in.flows, j, o.Kind == catalog.Lifecycle && samePeople(o, of))
		first(&in.seats, j, o.Kind == catalog.Seats && o.Assigned != "")
		first(&in.invited, j, j != n && o.Subject == catalog.Person && (o.Kind == catalog.Count || o.Kind == catalog.ActiveUsers) && invites(o))
		first(&in.traffic, j, o.Subject == catalog.Traffic && counts && len(o.Where) == 0)
	}
	return in
}

// invites: a measure of invitations is one all of whose events have an id that begins with "invit" (invited,
// invitation_sent, invitation_accepted).
func invites(m *catalog.Measure) bool {
	return len(m.Events) > 0 && len(m.Where)+len(m.WhereUser) == 0 && !slices.ContainsFunc(m.Events, func(id string) bool { return !strings.HasPrefix(id, "invit") })
}

func samePeople(a, b *catalog.Measure) bool {
	return slices.Equal(slices.Sorted(slices.Values(a.Events)), slices.Sorted(slices.Values(b.Events))) && len(a.Where)+len(a.WhereUser)+len(b.Where)+len(b.WhereUser) == 0
}

// Covered reports whether answers of a window may be used for what is shipped.
type Covered func(m *catalog.Measure, g report.Grain, start int64) bool

// series is the answers of a series as a run of windows without gaps, that ends with the window that starts at last.
func (m *Memory) series(ms *catalog.Measure, s report.Series, step, last int64, may Covered) []signals.Figure {
	var out []signals.Figure
	var first int64
	for _, a := range m.answers[seriesKey(ms, s)] {
		if a.Start > last || may != nil && !(a.Left && may(ms, s.Grain, a.Start)) {
			continue
		}
		if out == nil {
			first = a.Start
			out = make([]signals.Figure, (last-first)/step+1)
		}
		f := signals.Figure{Interval: report.Interval{Lo: a.Lo, Hi: a.Hi}, Known: true}
		if f.Hi == math.MaxFloat64 {
			f.Hi = math.Inf(1)
		}
		if at := (a.Start - first) / step; first+at*step == a.Start {
			out[at] = f
		}
	}
	return out
}

// at is the answer of one window.
func (m *Memory) at(ms *catalog.Measure, s report.Series, start int64, may Covered) signals.Figure {
	if f := m.series(ms, s, 1, start, may); len(f) > 0 {
		return f[len(f)-1]
	}
	return signals.Figure{}
}

// saved is a Memory on disk.
type saved struct {
	Answers map[string][]answer    `json:"answers"`
	Said    map[string][]Statement `json:"said"`
	Next    map[string]int64       `json:"next"`
	Newest  int64                  `json:"newest"`
}

// Save is the state, to be committed with the checkpoint.
func (m *Memory) Save() ([]byte, error) {
	b, err := json.Marshal(saved{m.answers, m.said, m.next, m.newest})
	if err != nil {
		return nil, fmt.Errorf("writing what was told of changes: %w", err)
	}
	return b, nil
}

// Load reads what Save gave; nothing, from before there were signals, is no error.
func (m *Memory) Load(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	var s saved
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("reading what was told of changes: %w", err)
	}
	fresh := New()
	fresh.newest = s.Newest
	for k, v := range s.Answers {
		fresh.answers[k] = v
	}
	for k, v := range s.Said {
		fresh.said[k] = v
	}
	for k, v := range s.Next {
		fresh.next[k] = v
	}
	*m = *fresh
	return nil
}

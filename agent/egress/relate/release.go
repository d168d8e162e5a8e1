package relate

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// kept is how long what was told is related to what will be: two years, and up to half a year more, so that not
// every block lets go of another.
const (
	kept  = 26 * fourWeeks
	slack = 6 * fourWeeks
)

// Model is every number that was, could be or could have been told, with its relations. Use NewModel.
// Not safe for concurrent use.
type Model struct {
	plans  func(prefix [8]byte) *Plan
	worlds audit.Worlds
	blocks []*block
	log    []entry
	all    bool                       // keep everything
	rests  map[audit.Var][2]audit.Var // what is left of a whole without a part
}

// NewInspection is an empty model that keeps everything it is told.
func NewInspection(plan func(prefix [8]byte) *Plan) *Model {
	m := NewModel(plan)
	m.worlds, m.all = m.worlds[:1], true
	return m
}

// entry is a step of what happened: a block or cohort was entered, or a number told.
type entry struct {
	Start  int64   `json:"s"`
	Cohort bool    `json:"c,omitempty"`
	Plan   [8]byte `json:"p,omitzero"` // entered with this catalog
	Sizes  *Sizes  `json:"z,omitempty"`

	What byte  `json:"w,omitempty"` // told; of isEntered, a measure's numbers were entered
	Of   int16 `json:"o,omitempty"`
	Role int16 `json:"r,omitempty"`
	N    int16 `json:"n,omitempty"`
	Lo   int64 `json:"l,omitempty"`
	Hi   int64 `json:"h,omitempty"`
	As   uint8 `json:"a,omitempty"` // the book's template
	Open bool  `json:"t,omitempty"` // the top answer
}

// Told is an answer that was given.
type Told struct {
	audit.Interval
	Template audit.Template // Withheld: it follows from other answers
	Open     bool           // it also stands for more people than the group has
	Refused  bool           // no answer was true: people changed between two windows
}

// NewModel is an empty model. plan finds a catalog's plan by the first bytes of its hash; nil when unknown.
func NewModel(plan func(prefix [8]byte) *Plan) *Model {
	return &Model{plans: plan, worlds: audit.Worlds{{}, {}}, rests: map[audit.Var][2]audit.Var{}}
}

// Ask finds the number of a cell, entering its block if need be. z gives the sizes of a block of twelve
// weeks by its start; where fewer than nine people are certain nothing can be asked.
func (m *Model) Ask(p *Plan, s report.Series, start int64, z func(start int64) Sizes) (q Question, why Reason) {
	at, cohort := blockStart(start), p.cat.Measures[s.Measure].Kind == catalog.Retention
	if cohort {
		at = start
	}
	sizes := z(cohortStart(at))
	if sizes.fewer(sizes.People) < minGroup { // no count could have two answers
		return q, NoGroup
	}
	b := m.find(at, cohort)
	if b != nil && b.plan != p {
		return q, Unrelated // the block was begun with another catalog
	}
	if b == nil {
		m.forget(at)
		e := entry{Start: at, Cohort: cohort, Plan: p.prefix(), Sizes: &sizes}
		m.log = append(m.log, e)
		b = m.enter(p, &m.log[len(m.log)-1])
	}
	if !cohort && m.enterKind(b, int(s.Measure)) {
		m.log = append(m.log, entry{Start: at, What: isEntered, Of: int16(s.Measure)})
	}
	if cohort && p.places[s.Measure].set >= 0 {
		if p.places[s.Measure].roles != nil {
			return q, NotTold
		}
		n := 0
		if s.Breakdown > 0 {
			n = int(s.V1) + 1
		}
		if m.enterCohort(b, int(s.Measure), n) {
			m.log = append(m.log, entry{Start: at, Cohort: true, What: isEntered, Of: int16(s.Measure), N: int16(n)})
		}
	}
	k, why := p.key(s, start, b)
	if why != "" {
		return q, why
	}
	v, ok := b.vars[k]
	if !ok { // the group is there, but not that part of it
		return q, SmallRole
	}
	return Question{Plan: p, Series: s, Start: start, v: v, b: b, k: k}, ""
}

func (p *Plan) prefix() [8]byte { return [8]byte(p.cat.Hash[:8]) }

// enterKind enters the numbers of a measure: of those that are bound with the block, of others when they are first
// asked for, because until then they would only slow down the rest. false: they were there, or there are none.
func (m *Model) enterKind(b *block, i int) bool {
	if b.kinds[i] || b.plan.places[i].set < 0 {
		return false
	}
	b.kinds[i] = true
	m.addKind(b, i, &b.plan.cat.Measures[i])
	m.settle()
	return true
}

// enterCohort enters the size of a measure's cohort, and its people after n-1 weeks where n is not 0. false: they were there.
func (m *Model) enterCohort(b *block, i, n int) bool {
	if _, ok := b.vars[key{isCohort, int16(i), everybody, int16(n)}]; ok {
		return false
	}
	m.newCohort(b, i)
	if n > 0 {
		m.offset(b, i, n)
	}
	m.settle()
	return true
}

func (m *Model) settle() { m.each(func(s *audit.System) { s.Settle() }) }

func (m *Model) enter(p *Plan, e *entry) *block {
	var b *block
	if e.Cohort {
		b = &block{start: e.Start, cohort: true, plan: p, sizes: *e.Sizes, vars: map[key]audit.Var{}, told: map[key]Told{}, kinds: map[int]bool{}, filters: map[filter][2]audit.Var{}}
		b.all = m.constant(int64(e.Sizes.People), int64(e.Sizes.fewer(e.Sizes.People)))
		m.blocks = append(m.blocks, b)
	} else {
		b = m.newBlock(p, e.Start, *e.Sizes)
	}
	m.settle()
	return b
}

// Book is the answers that may be given to q; it depends on nothing but what was told before.
func (m *Model) Book(q Question) audit.Book { return m.worlds.Cut(q.v) }

// Known is what follows for q from what was told before, and what was public.
func (m *Model) Known(q Question) (known, public audit.Interval) {
	return m.worlds[0].Known(q.v), m.worlds[0].Public(q.v)
}

// Look is the answer that was given for a cell. known says that something follows for it from other answers.
func (m *Model) Look(p *Plan, s report.Series, start int64) (told Told, known bool, why Reason) {
	at, cohort := blockStart(start), p.cat.Measures[s.Measure].Kind == catalog.Retention
	if cohort {
		at = start
	}
	b := m.find(at, cohort)
	if b == nil || b.plan != p {
		return told, false, NoGroup
	}
	k, why := p.key(s, start, b)
	if why != "" {
		return told, false, why
	}
	if t, ok := b.told[k]; ok {
		return t, true, ""
	}
	v, ok := b.vars[k]
	if !ok {
		return told, false, SmallRole
	}
	i := m.worlds[0].Known(v)
	public := m.worlds[0].Public(v)
	return Told{Interval: i, Open: i.Hi == public.Hi}, i != public, ""
}

// Tell notes that q was answered with a. false: it contradicts what was told before, and nothing is noted.
func (m *Model) Tell(q Question, a audit.Interval, t audit.Template) bool {
	before := m.worlds[0].Known(q.v)
	if !m.worlds[0].Tell(q.v, a.Lo, a.Hi) {
		return false
	}
	q.b.told[q.k] = Told{a, t, a.Hi == before.Hi, false}
	m.log = append(m.log, entry{Start: q.b.start, Cohort: q.b.cohort, What: q.k.what, Of: q.k.of, Role: q.k.role, N: q.k.n,
		Lo: a.Lo, Hi: a.Hi, As: uint8(t), Open: a.Hi == before.Hi})
	if len(m.worlds) == 1 || m.worlds[1].Tell(q.v, a.Lo, a.Hi) {
		return true
	}
	// The group cannot be as much smaller as was assumed: people are there.
	for m.grow(q.b.start) {
		if m.replay() {
			break
		}
	}
	return true
}

// Refuse notes that q has no true answer.
func (m *Model) Refuse(q Question) {
	q.b.told[q.k] = Told{Refused: true}
	m.log = append(m.log, entry{Start: q.b.start, Cohort: q.b.cohort, What: q.k.what, Of: q.k.of, Role: q.k.role, N: q.k.n, Hi: -1})
}

// grow takes a twentieth more people for certain in the twelve weeks of a block; false: all are.
func (m *Model) grow(start int64) (more bool) {
	for i := range m.log {
		e := &m.log[i]
		if e.Sizes == nil || cohortStart(e.Start) != cohortStart(start) || e.Sizes.fewer(e.Sizes.People) >= e.Sizes.People {
			continue
		}
		z := *e.Sizes
		z.Extra += max(1, z.People/20)
		e.Sizes, more = &z, true
	}
	return more
}

// forget lets go of what is older than two years before a day.
func (m *Model) forget(day int64) {
	if !m.all && slices.ContainsFunc(m.log, func(e entry) bool { return e.Start < day-kept-slack }) {
		m.log = slices.DeleteFunc(m.log, func(e entry) bool { return e.Start < day-kept })
		m.replay()
	}
}

// replay enters everything again; false: some answer does not fit the smaller world.
func (m *Model) replay() (fits bool) {
	m.worlds, m.blocks, m.rests = audit.Worlds{{}, {}}, nil, map[audit.Var][2]audit.Var{}
	fits = true
	for i := range m.log {
		e := &m.log[i]
		if e.Sizes != nil {
			if p := m.plans(e.Plan); p != nil {
				m.enter(p, e)
			}
			continue
		}
		b := m.find(e.Start, e.Cohort)
		if b == nil {
			continue
		}
		switch {
		case e.What == isEntered && e.Cohort:
			m.enterCohort(b, int(e.Of), int(e.N))
			continue
		case e.What == isEntered:
			m.enterKind(b, int(e.Of))
			continue
		}
		if v, ok := b.vars[key{e.What, e.Of, e.Role, e.N}]; ok {
			if e.Hi < e.Lo {
				b.told[key{e.What, e.Of, e.Role, e.N}] = Told{Refused: true}
				continue
			}
			b.told[key{e.What, e.Of, e.Role, e.N}] = Told{audit.Interval{Lo: e.Lo, Hi: e.Hi}, audit.Template(e.As), e.Open, false}
			m.worlds[0].Tell(v, e.Lo, e.Hi)
			fits = m.worlds[1].Tell(v, e.Lo, e.Hi) && fits
		}
	}
	return fits
}

// Save is what was told, to be given to Load.
func (m *Model) Save() ([]byte, error) {
	b, err := json.Marshal(m.log)
	if err != nil {
		return nil, fmt.Errorf("writing what was told: %w", err)
	}
	return b, nil
}

// Load reads what Save gave.
func (m *Model) Load(b []byte) error {
	var log []entry
	if err := json.Unmarshal(b, &log); err != nil {
		return fmt.Errorf("reading what was told: %w", err)
	}
	m.log = log
	m.replay()
	return nil
}

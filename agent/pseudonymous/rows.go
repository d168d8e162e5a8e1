//go:build pseudonymous

package pseudonymous

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const (
	// blocksMost is how many blocks are kept: 24 weeks, below the 190 days users are remembered by default.
	blocksMost = 6
	// bytesMost bounds them together: a person and five measures take about 30 bytes, so six blocks of
	// 90,000 people. They are written with every checkpoint.
	bytesMost = 16 << 20
	// least is how many people a block needs, and a value of a trait, as a role does.
	least = 12
	// graceMost is how long after its end a block may still close: the longest grace and a day.
	graceMost = 8 * 24 * time.Hour

	useRows = "pseudonymous-rows"
)

// blockDays and firstBlock say which block of four weeks a day is in.
const (
	blockDays  = 28
	firstBlock = 4
)

// rotations are how many blocks a pseudonym lasts; 0: as long as the decision.
func rotations() map[string]int64 {
	return map[string]int64{"never": 0, "4w": 1, "12w": 3, "52w": 13}
}

// rows is the decision and what is kept under it.
type rows struct {
	Decision *rowsDecision `json:"decision,omitempty"`
	Blocks   []*block      `json:"blocks,omitempty"` // oldest first
	Dropped  int           `json:"dropped,omitempty"`
}

// rowsDecision is what was allowed. Salt is drawn with the first decision after none: who denies and allows again
// gets other pseudonyms, and no key makes the old ones any more.
type rowsDecision struct {
	rowsAllowed
	Salt []byte `json:"salt"`
}

// rowsAllowed is the decision as it stands on the ledger.
type rowsAllowed struct {
	Do string `json:"do"`
	signed
	From     time.Time `json:"from"`
	Measures []string  `json:"measures"`
	Trait    string    `json:"trait,omitempty"`
	Rotate   string    `json:"rotate"`
}

// hash names the decision in exports and on the ledger.
func (d *rowsAllowed) hash() exchange.Hash {
	b, err := json.Marshal(d)
	if err != nil { // cannot happen: strings and times
		return exchange.Hash{}
	}
	return sha256.Sum256(b)
}

func (r *rows) allow(s Site, o control.PersonsOrder) (order, error) {
	by, err := decide(s, o, "rows allow")
	if err != nil {
		return order{}, err
	}
	d := rowsAllowed{Do: o.Do, signed: by, From: by.At, Measures: slices.Compact(slices.Sorted(slices.Values(o.Measures))), Trait: o.Trait, Rotate: cmp.Or(o.Rotate, "never")}
	if o.From != nil {
		d.From = o.From.UTC()
	}
	switch {
	case d.From.After(by.At):
		return order{}, refuse("rows_from", "it would begin in the future", "leave --from out", 2)
	case len(d.Measures) == 0 || s.Catalog == nil:
		return order{}, refuse("rows_measures", "no measure is named", "fieldpost-agent catalog, then --measures ID,ID", 2)
	}
	if _, ok := rotations()[d.Rotate]; !ok {
		return order{}, refuse("rows_rotate", fmt.Sprintf("there is no rotation %q", d.Rotate), "--rotate never, 4w, 12w or 52w", 2)
	}
	for _, id := range d.Measures {
		m, _ := s.Catalog.Measure(id)
		switch {
		case m == nil:
			return order{}, refuse("rows_measures", fmt.Sprintf("the catalog has no measure %q", id), "fieldpost-agent catalog", 2)
		case !counts(m):
			return order{}, refuse("rows_measures", fmt.Sprintf("%s is of kind %s and about %s: rows are made of active_users, count and distribution about people", id, m.Kind, m.Subject), "choose others", 2)
		case !s.consent(m).Level.AtLeast(exchange.Aggregate):
			return order{}, refuse("rows_consent", fmt.Sprintf("consent to %s is %s; rows need aggregate", m.Category, s.consent(m).Level), "fieldpost-agent consent set "+m.Category+"=aggregate --by YOU", 1)
		}
	}
	if p, _ := catalog.Find(s.Catalog.Traits, d.Trait); d.Trait != "" && (p == nil || p.IsNumber) {
		return order{}, refuse("rows_trait", fmt.Sprintf("%q is not a trait with a list of values", d.Trait), "fieldpost-agent catalog", 2)
	}
	return order{kind: "rows", entry: d, act: func() {
		salt := make([]byte, 16)
		rand.Read(salt) // never fails (crypto/rand)
		if r.Decision != nil {
			salt = r.Decision.Salt
			if r.Decision.Rotate != d.Rotate || r.Decision.Trait != d.Trait || !slices.Equal(r.Decision.Measures, d.Measures) || d.From.After(r.Decision.From) {
				r.Blocks = nil // they were made under another decision
			}
		}
		r.Decision = &rowsDecision{d, salt}
	}}, nil
}

// counts reports whether rows can be made of a measure.
func counts(m *catalog.Measure) bool {
	return m.Subject == catalog.Person && (m.Kind == catalog.ActiveUsers || m.Kind == catalog.Count || m.Kind == catalog.Distribution)
}

// prune drops what is too old, too much, or no longer consented to.
func (r *rows) prune(s Site) {
	if r.Decision == nil {
		return
	}
	if s.Catalog != nil && !r.consented(s) {
		r.Blocks = nil
	}
	r.Blocks = slices.DeleteFunc(r.Blocks, func(b *block) bool {
		_, end := report.WindowTimes(report.Block4w, b.Start, s.Zone)
		return s.Settings.Remember > 0 && end.Before(s.Now.Add(-s.Settings.Remember))
	})
	if n := len(r.Blocks) - blocksMost; n > 0 {
		r.Blocks = slices.Delete(r.Blocks, 0, n)
	}
	size := 0
	for i, b := range slices.Backward(r.Blocks) {
		if size += len(b.Packed); size > bytesMost {
			r.Dropped += i + 1
			r.Blocks = slices.Delete(r.Blocks, 0, i+1)
			return
		}
	}
}

// consented reports whether every measure's category is at least at aggregate.
func (r *rows) consented(s Site) bool {
	for _, id := range r.Decision.Measures {
		if m, _ := s.Catalog.Measure(id); m != nil && !s.consent(m).Level.AtLeast(exchange.Aggregate) {
			return false
		}
	}
	return true
}

// closed takes a measure's figures of a block.
func (r *rows) closed(s Site, m *catalog.Measure, start int64) {
	d := r.Decision
	begin, _ := report.WindowTimes(report.Block4w, start, s.Zone)
	c := s.consent(m)
	if !slices.Contains(d.Measures, m.ID) || !counts(m) || begin.Before(d.From) || !c.Level.AtLeast(exchange.Aggregate) || begin.Unix() < c.From {
		return
	}
	i, found := slices.BinarySearchFunc(r.Blocks, start, func(b *block, start int64) int { return cmp.Compare(b.Start, start) })
	if !found {
		r.Blocks = slices.Insert(r.Blocks, i, &block{Start: start})
	}
	b := r.Blocks[i]
	if slices.Contains(b.Measures, m.ID) {
		return
	}
	name := r.pseudonyms(s, start)
	people := b.open()
	at := len(b.Measures)
	b.Measures = append(b.Measures, m.ID)
	s.People.Block(m.ID, start, func(p record.Person) {
		id := name(p.Names[0])
		x := people[id]
		if x == nil {
			x = &row{}
			people[id] = x
		}
		x.first = report.CivilStart(report.Block4w, min(p.First, start+blockDays-1))
		if d.Trait != "" {
			x.trait = p.Trait(d.Trait)
		}
		x.figures = append(x.figures, make([]figure, at+1-len(x.figures))...)
		x.figures[at] = figure{p.Events, uint64(p.Days)}
	})
	b.close(people)
}

// pseudonyms makes those of a block.
func (r *rows) pseudonyms(s Site, start int64) func(name string) pseudonym {
	mac := s.MAC(useRows)
	head := append([]byte{1}, r.Decision.Salt...)
	if n := rotations()[r.Decision.Rotate]; n > 0 {
		head = binary.AppendVarint(head, 1+(start-firstBlock)/blockDays/n)
	} else {
		head = binary.AppendVarint(head, 0)
	}
	return func(name string) pseudonym { return pseudonym(mac(append(bytes.Clone(head), name...))) }
}

func (r *rows) forget(s Site, names []string) {
	for _, b := range r.Blocks {
		name, people := r.pseudonyms(s, b.Start), b.open()
		before := len(people)
		for _, n := range names {
			delete(people, name(n))
		}
		if len(people) < before {
			b.close(people)
		}
	}
}

func (r *rows) whole(s Site, b *block) bool {
	_, end := report.WindowTimes(report.Block4w, b.Start, s.Zone)
	return len(b.Measures) == len(r.Decision.Measures) || s.Now.After(end.Add(graceMost))
}

func (r *rows) state(s Site) (out control.RowsState) {
	d := r.Decision
	if d == nil {
		return out
	}
	out = control.RowsState{Allowed: true, At: d.At, By: d.By, Ticket: d.Ticket, Counter: d.Counter, From: d.From, Measures: d.Measures, Trait: d.Trait,
		Rotate: d.Rotate, Hash: d.hash(), Dropped: r.Dropped}
	for _, b := range r.Blocks {
		out.Blocks = append(out.Blocks, control.RowsBlock{Block: report.StartString(report.Block4w, b.Start), Measures: b.Measures, People: b.People, Whole: r.whole(s, b)})
	}
	return out
}

// exported is what the ledger keeps of a file.
type exported struct {
	Do       string        `json:"do"`
	By       string        `json:"by,omitempty"`
	Decision exchange.Hash `json:"decision"`
	Block    string        `json:"block"`
	Rows     int           `json:"rows"`
	Bytes    int           `json:"bytes"`
	SHA256   exchange.Hash `json:"sha256"`
}

// export makes the file of a block.
func (r *rows) export(s Site, o control.PersonsOrder) (order, error) {
	switch {
	case r.Decision == nil:
		return order{}, refuse("rows_not_allowed", "rows about single people are not allowed here", "fieldpost-agent rows allow --by YOU --measures ID,ID", 1)
	case s.Statement != nil && s.Statement.Paused:
		return order{}, refuse("consent_paused", "sending is paused; that holds for files too", "fieldpost-agent consent resume", 1)
	case s.Catalog == nil || !r.consented(s):
		return order{}, refuse("rows_consent", "consent to the measures' category is below aggregate", "fieldpost-agent consent", 1)
	}
	var b *block
	for _, x := range r.Blocks {
		if day := report.StartString(report.Block4w, x.Start); r.whole(s, x) && (o.Block == "" || o.Block == day) {
			b = x
		}
	}
	if b == nil {
		return order{}, refuse("rows_none", "there is no such block that is whole and was allowed from its first day", "fieldpost-agent rows, and wait for a block of four weeks and its late events", 1)
	}
	if b.People < least {
		return order{}, refuse("rows_too_few", fmt.Sprintf("fewer than %d people were active", least), "there is no file for so few", 1)
	}
	file, err := r.file(s, b)
	if err != nil {
		return order{}, err
	}
	return order{kind: "rows", file: file, entry: exported{Do: o.Do, By: o.By, Decision: r.Decision.hash(), Block: report.StartString(report.Block4w, b.Start),
		Rows: b.People, Bytes: len(file), SHA256: sha256.Sum256(file)}}, nil
}

// field says what a key of a row is.
type field struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
}

// header is the first line of a file.
type header struct {
	Version  int           `json:"fieldpost_rows"`
	Site     string        `json:"site"`
	Block    string        `json:"block"`
	Last     string        `json:"last_day"`
	Zone     string        `json:"zone"`
	Catalog  string        `json:"catalog"`
	Hash     exchange.Hash `json:"catalog_hash"`
	Decision exchange.Hash `json:"decision"`
	Rotate   string        `json:"rotate"`
	Rows     int           `json:"rows"`
	Missing  []string      `json:"missing,omitempty"` // measures that did not close for this block
	Fields   []field       `json:"fields"`
}

// line is one row of a file.
type line struct {
	Person string            `json:"person"`
	First  string            `json:"first_block"`
	Trait  string            `json:"trait,omitempty"`
	Days   map[string]uint64 `json:"days"`
	Events map[string]uint64 `json:"events,omitempty"`
}

// file is JSON lines: the header, then the rows in the order of their pseudonyms.
func (r *rows) file(s Site, b *block) ([]byte, error) {
	people := b.open()
	merged := merge(people)
	h := header{Version: 1, Site: s.Name, Block: report.StartString(report.Block4w, b.Start), Last: report.StartString(report.Block4w, b.Start+blockDays-1), Zone: s.Zone.String(),
		Catalog: fmt.Sprintf("%s %d", s.Catalog.Name, s.Catalog.Version), Hash: s.Catalog.Hash, Decision: r.Decision.hash(), Rotate: r.Decision.Rotate, Rows: len(people),
		Fields: []field{{"person", "pseudonym"}, {"first_block", "first day of the block of the first activity known here"}}}
	if merged != nil {
		h.Fields = append(h.Fields, field{"trait", "value of " + r.Decision.Trait + ", of fewer than 12 people merged into (other)"})
	}
	events := make([]bool, len(b.Measures))
	for i, id := range b.Measures {
		h.Fields = append(h.Fields, field{"days." + id, "local days with activity"})
		if m, _ := s.Catalog.Measure(id); m != nil && m.Kind != catalog.ActiveUsers {
			events[i] = true
			h.Fields = append(h.Fields, field{"events." + id, "events"})
		}
	}
	for _, id := range r.Decision.Measures {
		if !slices.Contains(b.Measures, id) {
			h.Missing = append(h.Missing, id)
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(h)
	for _, id := range sorted(people) {
		x := people[id]
		l := line{Person: id.String(), First: report.StartString(report.Block4w, x.first), Trait: merged[x.trait], Days: map[string]uint64{}, Events: map[string]uint64{}}
		for i, f := range x.figures {
			l.Days[b.Measures[i]] = f.days
			if events[i] {
				l.Events[b.Measures[i]] = f.events
			}
		}
		if err == nil {
			err = enc.Encode(l)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("writing rows: %w", err)
	}
	return out.Bytes(), nil
}

// merge says what each value of the trait is called where values of too few people are one, as roles are; nil when
// nothing would be told apart.
func merge(people map[pseudonym]*row) map[string]string {
	n := map[string]int{}
	for _, x := range people {
		n[x.trait]++
	}
	out, other := map[string]string{}, 0
	values := make([]string, 0, len(n))
	for v := range n {
		values = append(values, v)
	}
	size := func(v string) int {
		if v == catalog.Other {
			return 0 // the others come first: they are what the rest joins
		}
		return n[v]
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(size(a), size(b)), strings.Compare(a, b)) })
	groups := 0
	for _, v := range values { // the smallest first: they join the others until those are enough
		if n[v] < least || v == catalog.Other || other > 0 && other < least {
			if other == 0 {
				groups++
			}
			other += n[v]
			out[v] = catalog.Other
			continue
		}
		groups++
		out[v] = cmp.Or(v, catalog.None)
	}
	if groups < 2 {
		return nil
	}
	return out
}

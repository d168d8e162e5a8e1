//go:build pseudonymous

package pseudonymous

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

const (
	// every is how often rules are looked at; reach is how far behind an entry is still told of.
	every = time.Hour
	reach = 24 * time.Hour
	// late is how old a record may be when rules are looked at: what is read again after a stop calls nobody.
	late = time.Hour
	// waitingMost is how many calls wait at once; whoever finds no room is looked at again an hour later.
	waitingMost = 1000
	// firedMost is how many calls are remembered, 32 bytes each: 3 MB with every checkpoint.
	firedMost = 100_000

	useTriggers = "pseudonymous-triggers"
)

// triggers is the decision and what came of it.
type triggers struct {
	Decision *triggersDecision `json:"decision,omitempty"`
	Fired    map[string]int64  `json:"fired,omitempty"` // unix seconds until which a person and rule rest, by key
	Called   uint64            `json:"called,omitempty"`
	Failed   uint64            `json:"failed,omitempty"`

	rules   *rulesFile    // of the decision; read when first needed
	looked  time.Time     // when rules were looked at last
	waiting []call        // in memory only: a crash costs them
	pending int           // calls being made
	wake    chan struct{} // nil: nobody makes calls, so nothing fires
}

type triggersDecision struct {
	Do string `json:"do"`
	signed
	Webhook string `json:"webhook"`
	Rules   []byte `json:"rules"`
}

// call is what the program on this machine is told. Names never leave the site and are not kept.
type call struct {
	Rule    string   `json:"rule"`
	Kind    string   `json:"kind"`
	Measure string   `json:"measure"`
	Feature string   `json:"feature,omitempty"`
	User    string   `json:"user"` // the name the product gave last
	IDs     []string `json:"ids"`  // all names
	At      string   `json:"at"`

	kept bool // a checkpoint remembers it
}

func (t *triggers) allow(s Site, o control.PersonsOrder) (order, error) {
	by, err := decide(s, o, "triggers allow")
	if err != nil {
		return order{}, err
	}
	if _, err := loopback(o.Webhook); err != nil {
		return order{}, err
	}
	f, err := verifyRules(o.Rules, o.Signature, s.Vendor)
	if err != nil {
		return order{}, err
	}
	if s.Catalog == nil || s.Catalog.Name != f.Catalog {
		return order{}, refuse("rules_catalog", fmt.Sprintf("the rules are about the catalog %q, which is not in force", f.Catalog), "fieldpost-agent catalog", 1)
	}
	for i := range f.Rules {
		m, err := f.Rules[i].fits(s.Catalog)
		if err != nil {
			return order{}, refuse("rules_catalog", fmt.Sprintf("rule %s: %v", f.Rules[i].ID, err), "ask the vendor for rules about the catalog in force", 1)
		}
		if c := s.consent(m); !c.Level.AtLeast(exchange.Local) {
			return order{}, refuse("triggers_consent", fmt.Sprintf("consent to %s is %s; rules need local", m.Category, c.Level), "fieldpost-agent consent set "+m.Category+"=local --by YOU", 1)
		}
	}
	d := triggersDecision{o.Do, by, o.Webhook, o.Rules}
	return order{kind: "triggers", entry: d, act: func() {
		t.Decision, t.rules, t.looked = &d, f, time.Time{}
		t.drop()
	}}, nil
}

// drop lets go of calls that wait, because they were decided under another decision or cannot be remembered.
func (t *triggers) drop() {
	t.Failed += uint64(len(t.waiting))
	t.waiting = nil
}

// keep marks the calls that the next checkpoint will remember.
func (t *triggers) keep() {
	for i := range t.waiting {
		t.waiting[i].kept = true
	}
}

// take is the next call that may be made.
func (t *triggers) take() (c call, ok bool) {
	if t.Decision == nil || len(t.waiting) == 0 || !t.waiting[0].kept {
		return c, false
	}
	c, t.waiting = t.waiting[0], t.waiting[1:]
	t.pending = 1
	return c, true
}

// file is the rules in force.
func (t *triggers) file() *rulesFile {
	if t.rules == nil && t.Decision != nil {
		t.rules, _ = parseRules(t.Decision.Rules) // was read before it was allowed
	}
	return t.rules
}

// prune lets go of what has rested long enough.
func (t *triggers) prune(s Site) {
	maps.DeleteFunc(t.Fired, func(_ string, until int64) bool { return until <= s.Now.Unix() })
}

// key is a person and rule, as they are remembered.
func key(mac func([]byte) []byte, rule, name string) string {
	return base64.RawStdEncoding.EncodeToString(mac([]byte(rule + "\x00" + name))[:16])
}

func (t *triggers) forget(s Site, names []string) {
	if t.Decision == nil {
		return
	}
	mac := s.MAC(useTriggers)
	for _, x := range t.list() {
		for _, n := range names {
			delete(t.Fired, key(mac, x.ID, n))
		}
	}
	before := len(t.waiting)
	t.waiting = slices.DeleteFunc(t.waiting, func(c call) bool {
		return slices.ContainsFunc(c.IDs, func(id string) bool { return slices.Contains(names, id) })
	})
	t.Failed += uint64(before - len(t.waiting))
}

func (t *triggers) list() []rule {
	if f := t.file(); f != nil {
		return f.Rules
	}
	return nil
}

// Applied looks at the rules, once an hour, while Serve makes calls.
func (r *Room) Applied(s Site) {
	t := &r.triggers
	if t.Decision == nil || t.wake == nil || s.Catalog == nil || s.Now.Sub(t.looked) < every || s.Simulated || time.Since(s.Now) > late {
		return
	}
	t.looked = s.Now
	mac, now := s.MAC(useTriggers), s.Now.UnixNano()
	for _, x := range t.list() {
		m, err := x.fits(s.Catalog)
		if err != nil || !s.consent(m).Level.AtLeast(exchange.Local) {
			continue // the catalog or the decision has changed since
		}
		fire := func(names []string) { t.fire(s, m, x, mac, names) }
		if x.Kind == notTried {
			s.People.NotTried(x.Measure, x.Feature, x.ActiveDays, now, fire)
		} else {
			s.People.Unfinished(x.Measure, int64(x.after), int64(reach), now, fire)
		}
	}
	if len(t.waiting) > 0 {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// fire lets a call wait, unless the person and rule rest, by any of the names.
func (t *triggers) fire(s Site, m *catalog.Measure, x rule, mac func([]byte) []byte, names []string) {
	if len(t.waiting) >= waitingMost || len(t.Fired) >= firedMost {
		return
	}
	keys := make([]string, len(names))
	for i, n := range names {
		keys[i] = key(mac, x.ID, n)
		if t.Fired[keys[i]] > s.Now.Unix() {
			return
		}
	}
	if t.Fired == nil {
		t.Fired = map[string]int64{}
	}
	t.Fired[keys[0]] = s.Now.Add(x.again).Unix()
	t.waiting = append(t.waiting, call{Rule: x.ID, Kind: x.Kind, Measure: m.ID, Feature: x.Feature,
		User: names[len(names)-1], IDs: slices.Clone(names), At: s.Now.UTC().Format(time.RFC3339)})
}

func (t *triggers) state() (out control.TriggersState) {
	d := t.Decision
	if d == nil {
		return out
	}
	out = control.TriggersState{Allowed: true, At: d.At, By: d.By, Ticket: d.Ticket, Counter: d.Counter, Webhook: d.Webhook, Hash: sha256.Sum256(d.Rules),
		Called: t.Called, Failed: t.Failed, Waiting: len(t.waiting) + t.pending}
	out.Fired = out.Called + out.Failed + uint64(out.Waiting)
	for _, x := range t.list() {
		out.Rules = append(out.Rules, x.told())
	}
	return out
}

// Package control is what the site can be asked and told: the shapes that the command line, the
// console and scripts share, and the way to ask a running agent through a socket in its
// state directory.
//
// The agent's root implements Reader, Decider and Keeper; Handler offers them over HTTP on a unix
// socket that only the state's owner can open, and Client is the same interfaces from the
// other end. So a command gives the same answer whether it opened the state itself or
// asked the agent that holds it.
//
// Invariants: everything here obeys what the site's own screens may show; exact figures pass
// only where the site allows it and are recorded. No view of one person exists.
package control

import (
	"context"
	"encoding/json"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Reader answers questions about the site.
type Reader interface {
	// Status is health in one look.
	Status(ctx context.Context) (Status, error)
	// Query is the site's own figures, each line as MEASURES fixes it. Coded errors: *Error.
	Query(ctx context.Context, q Query) ([]json.RawMessage, error)
	// Preview is exactly what would leave now, with the reasons for what would not.
	Preview(ctx context.Context) (Preview, error)
	// Ledger is what left, newest first, at most q.Limit entries.
	Ledger(ctx context.Context, q LedgerQuery) (Ledger, error)
	// Catalog is the catalog in force and, where it asks for more, the request that waits.
	Catalog(ctx context.Context) (Catalog, error)
}

// Decider takes the customer's decisions.
type Decider interface {
	// Consent is the decision in force and all before it.
	Consent(ctx context.Context) (Consent, error)
	// Decide makes a decision; it is safe on disk when Decide returns.
	Decide(ctx context.Context, d Decision) (Consent, error)
	// Send checks in and sends what waits now, without waiting for the next beat.
	Send(ctx context.Context) (Sent, error)
}

// Keeper looks after what the site keeps about people. Only the command line has it: the console gets a Site.
type Keeper interface {
	// Forget takes people out of everything the agent keeps, by all their names.
	Forget(ctx context.Context, o ForgetOrder) (Forgotten, error)
	// Wipe deletes what was measured and destroys the site key. The running agent stops.
	Wipe(ctx context.Context, o WipeOrder) (Wiped, error)
	// Audit bounds every count of people from everything that ever left.
	Audit(ctx context.Context, o AuditOrder) (Audit, error)
}

// AuditOrder says how much to show.
type AuditOrder struct {
	Most int `json:"most,omitempty"` // counts listed, the narrowest first; default 20
}

// Audit is what everything that left says of people here.
type Audit struct {
	Batches  int            `json:"batches"`
	Figures  int            `json:"figures"`  // about people that left
	Told     int            `json:"told"`     // of them, those that said something
	Counts   int            `json:"counts"`   // counts of people that were bounded: cells, totals, complements, differences
	Narrowed int            `json:"narrowed"` // of them, those of which something follows
	Breaches int            `json:"breaches"` // of them, those known more narrowly than the principle allows
	Totals   bool           `json:"totals"`   // the level totals was in force for some of them: site totals left exactly
	Narrow   []AuditFinding `json:"narrowest"`
	Epsilon  []AuditSpent   `json:"epsilon"` // what noise has spent
}

// AuditFinding is what follows for one count.
type AuditFinding struct {
	What   string `json:"what"`
	Start  string `json:"start"`
	Lo     int64  `json:"lo"`
	Hi     int64  `json:"hi"`
	Public int64  `json:"out_of"`
	Holds  bool   `json:"holds"`
}

// AuditSpent is the privacy budget a measure spent in a block.
type AuditSpent struct {
	Level   string  `json:"level"`
	Measure string  `json:"measure"`
	Start   string  `json:"start"`
	Epsilon float64 `json:"epsilon"`
}

// ForgetOrder names the people to be forgotten, each by any of their names.
type ForgetOrder struct {
	Users []string `json:"users"`
}

// Forgotten says what came of it, in numbers only.
type Forgotten struct {
	Asked int `json:"asked"` // names given
	Known int `json:"known"` // of them, names of people who were known
}

// WipeOrder says what is to go beside what was measured and the site key.
type WipeOrder struct {
	KeepEnrolment bool `json:"keep_enrolment,omitempty"` // identity, enrolment, catalogs and decisions stay
	Ledger        bool `json:"ledger,omitempty"`         // the record of what left goes too
}

// Wiped says what went.
type Wiped struct {
	Gone    []string `json:"gone"`
	Kept    []string `json:"kept"`
	Pending bool     `json:"pending,omitempty"` // the key is destroyed; the running agent stops and deletes the rest
}

// Site is a Reader and a Decider.
type Site interface {
	Reader
	Decider
}

// Error is a refusal with a stable code and a remedy.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Exit    int    `json:"exit"` // the command's exit code: 1 refused, 2 wrong use, 3 unreachable
}

func (e *Error) Error() string {
	s := e.Message + " (" + e.Code + ")"
	if e.Hint != "" {
		s += ". Try: " + e.Hint
	}
	return s
}

// Warning is a named condition with its remedy; the same in status, console and collector.
type Warning struct {
	Code   string `json:"code"`
	Cause  string `json:"cause"`
	Remedy string `json:"remedy"`
}

// Status is health in one look. Healthy means no warnings.
type Status struct {
	Version      string      `json:"version"`
	Running      bool        `json:"running"` // false: read from the state of an agent that is not running
	Agent        exchange.ID `json:"agent"`   // zero when not enrolled
	Account      string      `json:"account"`
	Installation string      `json:"installation"`
	Environment  string      `json:"environment"`
	Collector    string      `json:"collector"` // URL; "" when not enrolled
	Simulated    bool        `json:"simulated"`
	Now          time.Time   `json:"now"` // the site's clock: virtual when simulated
	Since        time.Time   `json:"since"`
	Zone         string      `json:"zone"`
	Warnings     []Warning   `json:"warnings"`

	Catalog  string              `json:"catalog"` // "forge 3"; "" when none
	Levels   []exchange.Decision `json:"levels"`
	Paused   bool                `json:"paused"`
	Request  bool                `json:"request"` // a catalog asks for more and waits for a decision
	Checks   []Check             `json:"checks"`
	Scrapes  []Scrape            `json:"scrapes,omitempty"`
	StatsD   *StatsD             `json:"statsd,omitempty"` // nil: off, or the agent is not running
	Delivery Delivery            `json:"delivery"`
	Events   Counts              `json:"events"`
	Samples  Counts              `json:"samples"`
	Journal  Journal             `json:"journal"`
	Sealed   bool                `json:"sealed"` // all that is kept about people lies encrypted on disk, by the site key
	Late     map[string]uint64   `json:"late_by_measure,omitempty"`
	Skewed   uint64              `json:"skewed"`
	Back     uint64              `json:"clock_back"`
}

// Counts is the accounting: received = the sum of all reasons.
type Counts struct {
	Received uint64            `json:"received"`
	Reasons  map[string]uint64 `json:"reasons"`
}

// Journal is the state of the raw record.
type Journal struct {
	Records uint64 `json:"records"`
	Bytes   int64  `json:"bytes"`
	Limit   int64  `json:"limit"`
}

// Delivery adds up: frozen = acknowledged + outbox + quarantined.
type Delivery struct {
	Waiting      int       `json:"waiting_cells"` // judged and not yet frozen
	Frozen       uint64    `json:"frozen"`
	Acknowledged uint64    `json:"acknowledged"`
	Outbox       uint64    `json:"outbox"`
	Quarantined  uint64    `json:"quarantined"`
	Withdrawn    uint64    `json:"withdrawn"` // deleted because consent was taken back
	CheckIn      time.Time `json:"last_check_in"`
	Acked        time.Time `json:"last_acknowledged"`
	Next         time.Time `json:"next_send"`
	Problem      string    `json:"problem,omitempty"` // why the last try failed
}

// Check is a probe's newest result.
type Check struct {
	ID     string    `json:"id"`
	Target string    `json:"target"`
	At     time.Time `json:"at"`
	Up     bool      `json:"up"`
	Detail string    `json:"detail,omitempty"`
	TookMS float64   `json:"took_ms"`
}

// Query asks for figures.
type Query struct {
	Measure string   `json:"measure"`
	Grain   string   `json:"grain"`
	By      []string `json:"by,omitempty"`
	From    string   `json:"from,omitempty"` // inclusive, on start; a date or RFC 3339
	To      string   `json:"to,omitempty"`
	Exact   bool     `json:"exact,omitempty"`
}

// Part is one figure of a line of query that has several, in the form it may be shown in.
type Part struct {
	Field string            `json:"field"`
	Dims  map[string]string `json:"dims"`
	Form  string            `json:"form"`
	Lo    *float64          `json:"lo,omitempty"`
	Hi    *float64          `json:"hi,omitempty"`   // absent with lo present: open top
	Text  string            `json:"text,omitempty"` // of a closed list, which the number stands for
	Why   string            `json:"why,omitempty"`  // it is withheld
}

// Preview is what would leave now.
type Preview struct {
	To      string    `json:"to"`      // the collector
	Next    time.Time `json:"next"`    // when
	Bytes   int       `json:"bytes"`   // size of the batches as they would be frozen
	Leaves  []Line    `json:"leaves"`  // figures as the vendor will see them
	Stays   []Line    `json:"stays"`   // figures of the newest closed windows that do not leave, and why
	Blocked string    `json:"blocked"` // why nothing leaves at all now; "" when it does
}

// Line is a figure with its reason and the vendor's.
type Line struct {
	report.Figure
	Category string `json:"category"`
	Purpose  string `json:"purpose"`
	Reason   string `json:"reason,omitempty"` // code
	Why      string `json:"why,omitempty"`    // in plain words
	Explain  string `json:"explain,omitempty"`
}

// MarshalJSON adds the line's own fields to the figure's fixed shape.
func (l Line) MarshalJSON() ([]byte, error) {
	return merge(l.Figure, struct {
		Category string `json:"category"`
		Purpose  string `json:"purpose"`
		Reason   string `json:"reason,omitempty"`
		Why      string `json:"why,omitempty"`
		Explain  string `json:"explain,omitempty"`
	}{l.Category, l.Purpose, l.Reason, l.Why, l.Explain})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (l *Line) UnmarshalJSON(b []byte) error {
	var own struct{ Category, Purpose, Reason, Why, Explain string }
	if err := json.Unmarshal(b, &own); err != nil {
		return err
	}
	*l = Line{Category: own.Category, Purpose: own.Purpose, Reason: own.Reason, Why: own.Why, Explain: own.Explain}
	return json.Unmarshal(b, &l.Figure)
}

func merge(a, b any) ([]byte, error) {
	x, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	y, err := json.Marshal(b)
	if err != nil || len(y) <= 2 {
		return x, err
	}
	return append(append(x[:len(x)-1], ','), y[1:]...), nil
}

// LedgerQuery picks entries. Limit 0 means 50.
type LedgerQuery struct {
	Kind    string       `json:"kind,omitempty"` // batch, check_in, consent, exact, quarantined, forgotten, wiped; "": all
	Epoch   *exchange.ID `json:"epoch,omitempty"`
	Limit   int          `json:"limit,omitempty"`
	Figures bool         `json:"figures,omitempty"` // decode the batches
	Verify  bool         `json:"verify,omitempty"`  // check the whole chain
}

// Ledger is a part of the verifiable record of everything that left.
type Ledger struct {
	Entries  []LedgerEntry `json:"entries"`
	Verified *bool         `json:"verified,omitempty"`
	Problem  string        `json:"problem,omitempty"` // where the chain breaks
}

// LedgerEntry is one entry.
type LedgerEntry struct {
	No      uint64          `json:"no"`
	At      time.Time       `json:"at"`
	Kind    string          `json:"kind"`
	Text    string          `json:"text"` // in plain words
	Epoch   *exchange.ID    `json:"epoch,omitempty"`
	Seq     uint64          `json:"seq,omitempty"`
	Hash    *exchange.Hash  `json:"hash,omitempty"`
	Bytes   int             `json:"bytes,omitempty"`
	Cells   int             `json:"cells,omitempty"`
	Receipt json.RawMessage `json:"receipt,omitempty"`
	Figures []report.Figure `json:"figures,omitempty"`
	Wire    []byte          `json:"wire,omitempty"` // byte for byte, with Figures
}

// Consent is the decision in force and its history.
type Consent struct {
	Decided    bool                `json:"decided"`
	Number     int                 `json:"number"`
	Levels     []exchange.Decision `json:"levels"`
	Paused     bool                `json:"paused"`
	Catalog    string              `json:"catalog"`
	By         string              `json:"by,omitempty"`
	Ticket     string              `json:"ticket,omitempty"`
	Counter    string              `json:"countersigned_by,omitempty"`
	People     int                 `json:"people,omitempty"`
	At         time.Time           `json:"at"`
	Locked     bool                `json:"locked"`
	DoNotTrack bool                `json:"do_not_track"`
	History    []ConsentEntry      `json:"history"`
}

// ConsentEntry is one decision of the past.
type ConsentEntry struct {
	Number int                 `json:"number"`
	At     time.Time           `json:"at"`
	By     string              `json:"by,omitempty"`
	Ticket string              `json:"ticket,omitempty"`
	Levels []exchange.Decision `json:"levels"`
	Paused bool                `json:"paused"`
	Hash   exchange.Hash       `json:"hash"`
}

// Decision is what the customer decides; what it leaves out stays as it is.
type Decision struct {
	Levels  map[string]exchange.Level `json:"levels,omitempty"`
	From    *time.Time                `json:"from,omitempty"`
	Accept  bool                      `json:"accept,omitempty"` // accept the catalog in force
	Pause   *bool                     `json:"pause,omitempty"`
	By      string                    `json:"by,omitempty"`
	Ticket  string                    `json:"ticket,omitempty"`
	Counter string                    `json:"countersigned_by,omitempty"`
	People  int                       `json:"people,omitempty"`
}

// Catalog is what the vendor asks for, in plain words.
type Catalog struct {
	Name     string        `json:"name"`
	Version  int           `json:"version"`
	Vendor   string        `json:"vendor"`
	Hash     exchange.Hash `json:"hash"`
	Measures []Measure     `json:"measures"`
	Accepted int           `json:"accepted_version"` // 0: none
	Changes  []Change      `json:"changes"`          // from the accepted one to the one in force
	Raw      []byte        `json:"raw,omitempty"`
}

// Measure is one entry of the catalog with what would be sent of it.
type Measure struct {
	ID       string         `json:"id"`
	Kind     string         `json:"kind"`
	Subject  string         `json:"subject"`
	Category string         `json:"category"`
	Question string         `json:"question"`
	Purpose  string         `json:"purpose"`
	Owner    string         `json:"owner"`
	Kept     string         `json:"retention"`
	Expires  string         `json:"expires,omitempty"`
	Grains   []string       `json:"grains"`
	By       [][]string     `json:"by,omitempty"`
	Leaves   string         `json:"leaves"`
	Unit     string         `json:"unit,omitempty"`
	Level    exchange.Level `json:"level"`            // effective here and now
	Target   float64        `json:"target,omitempty"` // availability and slo
}

// Change is one difference between two catalogs, in plain words.
type Change struct {
	Kind    string `json:"kind"`
	Measure string `json:"measure"`
	Text    string `json:"text"`
}

// Sent is what a Send did.
type Sent struct {
	Batches int       `json:"batches"`
	Cells   int       `json:"cells"`
	Bytes   int       `json:"bytes"`
	Left    int       `json:"left"` // batches that still wait
	At      time.Time `json:"at"`
}

// Scrape is what is known of a page of metrics that the agent reads.
type Scrape struct {
	Name    string            `json:"name"`
	Target  string            `json:"target"` // without its query
	At      time.Time         `json:"at"`
	OK      bool              `json:"ok"`
	Idle    bool              `json:"idle,omitempty"` // not asked: nothing that is on reads a metric
	Detail  string            `json:"detail,omitempty"`
	TookMS  float64           `json:"took_ms"`
	Bytes   int               `json:"bytes"`
	Samples int               `json:"samples"` // of the newest page
	Refused map[string]uint64 `json:"refused"` // of the newest page, by reason
	Scrapes uint64            `json:"scrapes"`
	Failed  map[string]uint64 `json:"failed"` // of all scrapes, by reason
}

// StatsD adds up since the agent's start: values = journaled + pending + lost + the sum of refused.
type StatsD struct {
	Listen    string            `json:"listen"`
	Datagrams uint64            `json:"datagrams"`
	Values    uint64            `json:"values"`
	Journaled uint64            `json:"journaled"`
	Pending   uint64            `json:"pending"` // added up, and on disk with the next flush
	Lost      uint64            `json:"lost"`
	Refused   map[string]uint64 `json:"refused"`
	Sets      uint64            `json:"sets"`           // of the refused
	Events    uint64            `json:"events"`         // not read
	Checks    uint64            `json:"service_checks"` // not read
	Dropped   uint64            `json:"dropped"`        // datagrams the system had no room for
}

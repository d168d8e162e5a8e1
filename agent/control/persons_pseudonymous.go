//go:build pseudonymous

package control

import (
	"context"
	"net/http"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Persons is what this build can be asked and told about single people. Only the command line has it.
type Persons interface {
	// Persons does what the order says and answers with how things stand then.
	Persons(ctx context.Context, o PersonsOrder) (PersonsAnswer, error)
}

// What an order can ask for.
const (
	ShowPersons   = "show"
	AllowRows     = "rows_allow"
	DenyRows      = "rows_deny"
	ExportRows    = "rows_export"
	AllowTriggers = "triggers_allow"
	DenyTriggers  = "triggers_deny"
)

// PersonsOrder says what to do. By, Ticket and Counter are those of a decision.
type PersonsOrder struct {
	Do      string     `json:"do"`
	By      string     `json:"by,omitempty"`
	Ticket  string     `json:"ticket,omitempty"`
	Counter string     `json:"countersigned_by,omitempty"`
	From    *time.Time `json:"from,omitempty"` // rows: blocks that begin at this time or later; default now

	Measures []string `json:"measures,omitempty"` // rows
	Trait    string   `json:"trait,omitempty"`    // rows: one at most
	Rotate   string   `json:"rotate,omitempty"`   // rows: never, 4w, 12w, 52w
	Block    string   `json:"block,omitempty"`    // export: its first day; "": the newest that is whole

	Rules     []byte `json:"rules,omitempty"`     // triggers: the vendor's file
	Signature []byte `json:"signature,omitempty"` // triggers: and its signature
	Webhook   string `json:"webhook,omitempty"`   // triggers: http or https on this machine
}

// PersonsAnswer is how rows and triggers stand.
type PersonsAnswer struct {
	Rows     RowsState     `json:"rows"`
	Triggers TriggersState `json:"triggers"`
	File     []byte        `json:"file,omitempty"` // what was exported
}

// RowsState is the decision about rows and what is kept.
type RowsState struct {
	Allowed  bool          `json:"allowed"`
	At       time.Time     `json:"at,omitzero"`
	By       string        `json:"by,omitempty"`
	Ticket   string        `json:"ticket,omitempty"`
	Counter  string        `json:"countersigned_by,omitempty"`
	From     time.Time     `json:"from,omitzero"`
	Measures []string      `json:"measures,omitempty"`
	Trait    string        `json:"trait,omitempty"`
	Rotate   string        `json:"rotate,omitempty"`
	Hash     exchange.Hash `json:"hash,omitzero"`
	Blocks   []RowsBlock   `json:"blocks,omitempty"`
	Dropped  int           `json:"dropped,omitempty"` // blocks that went for want of room
}

// RowsBlock is a block of four weeks of which rows are kept.
type RowsBlock struct {
	Block    string   `json:"block"` // its first day
	Measures []string `json:"measures"`
	People   int      `json:"people"`
	Whole    bool     `json:"whole"` // every measure that will come has come
}

// TriggersState is the decision about triggers and what came of it.
type TriggersState struct {
	Allowed bool          `json:"allowed"`
	At      time.Time     `json:"at,omitzero"`
	By      string        `json:"by,omitempty"`
	Ticket  string        `json:"ticket,omitempty"`
	Counter string        `json:"countersigned_by,omitempty"`
	Webhook string        `json:"webhook,omitempty"`
	Rules   []TriggerRule `json:"rules,omitempty"`
	Hash    exchange.Hash `json:"hash,omitzero"` // of the rules' file
	Fired   uint64        `json:"fired"`         // = called + failed + waiting
	Called  uint64        `json:"called"`
	Failed  uint64        `json:"failed"`
	Waiting int           `json:"waiting"`
}

// TriggerRule is one rule in plain words.
type TriggerRule struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

var _ Persons = (*Client)(nil)

// Persons asks the running agent.
func (c *Client) Persons(ctx context.Context, o PersonsOrder) (PersonsAnswer, error) {
	return call[PersonsAnswer](ctx, c, "persons", o)
}

// more offers what this build offers beside the rest.
func more(mux *http.ServeMux, s any) {
	if p, ok := s.(Persons); ok {
		handle(mux, "persons", p.Persons)
	}
}

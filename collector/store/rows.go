package store

import (
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Environments an installation can have.
const (
	Trial      = "trial"
	Pilot      = "pilot"
	Production = "production"
	Test       = "test"
)

// Environments in the order lists show them.
func Environments() []string { return []string{Production, Pilot, Trial, Test} }

// Account is a customer organisation.
type Account struct {
	Key        string
	Name       string            // Key when never given
	Attributes map[string]string // imported columns, names in lower case; any column
	Created    time.Time
	Closed     bool // its agents are refused
}

// AccountRow is an account with what lists show of it.
type AccountRow struct {
	Account
	Installations int
	Reporting     int       // installations that ever reported
	LastReport    time.Time // of any installation; zero: never
	Environments  []string  // of its installations
	// Measure is the newest weekly roll-up of AccountQuery.Measure; nil when there is none.
	Measure *Period
	// Recent are the weeks before it, oldest first, AccountQuery.Recent at most.
	Recent []Period
}

// Attribute is an imported column.
type Attribute struct {
	Name     string
	Accounts int  // that have it
	Numeric  bool // every value reads as a number: it sorts as such
}

// Op compares an attribute with a value.
type Op string

const (
	Equal    Op = "="
	NotEqual Op = "!="
	AtLeast  Op = ">="
	AtMost   Op = "<="
	Contains Op = "~"
)

// Filter is one condition on an attribute (or on "key", "name", "environment").
type Filter struct {
	Attribute string
	Op        Op
	Value     string
}

// AccountQuery asks for a page of accounts.
type AccountQuery struct {
	Search  string   // in key and name, any case
	Filters []Filter // all must hold
	// Sort is "name" (default), "key", "installations", "last_report", "measure" (low end of
	// the newest week of Measure; what is not told comes last) or "attr.NAME".
	Sort   string
	Desc   bool
	Limit  int // default 50, at most 1,000
	Offset int

	Measure string // the roll-up that rows show: a measure id; "" none
	Field   string // its field; default "value"
	Recent  int    // how many weeks of it, at most 104
}

// AccountPage is a page and the number of accounts that fit.
type AccountPage struct {
	Rows  []AccountRow
	Total int
}

// Installation is one deployment of the product.
type Installation struct {
	Account     string
	AccountName string
	Key         string
	Environment string
	Zone        string // IANA name, from its newest batch; "" before the first
	Created     time.Time
	Simulated   bool // judged by the virtual clock

	FirstReport time.Time // first batch stored, by the collector's clock (virtual when simulated)
	LastReport  time.Time
	LastCheckIn time.Time
	Version     string        // of the agent
	Skew        time.Duration // agent's clock minus the collector's at the last check-in
	Agents      int

	CatalogName    string // accepted at the site, from the newest statement
	CatalogVersion int
	Consent        map[string]exchange.Level // by category; absent: off
	Paused         bool
	Statement      exchange.Hash

	Batches, Cells, Aside, Refused int64 // stored, set aside, refused so far
	Losses                         int64
}

// FleetQuery asks for a page of installations.
type FleetQuery struct {
	Search       string // in account, its name and installation
	Account      string
	Environments []string  // empty: all
	Version      string    // exact
	Category     string    // with Level: consent
	Level        string    // exact level of Category
	SilentSince  time.Time // last report before this (or never); zero: all
	// Sort is "account" (default), "installation", "last_report", "first_report", "version",
	// "skew", "cells" or "environment".
	Sort   string
	Desc   bool
	Limit  int // default 50, at most 1,000
	Offset int
}

// FleetPage is a page, the number that fit, and the spread of versions among all of them.
type FleetPage struct {
	Rows     []Installation
	Total    int
	Versions map[string]int
}

// Agent is one that joined.
type Agent struct {
	ID           exchange.ID
	Key          []byte // Ed25519 public key
	Account      string
	Installation string
	Environment  string
	Token        exchange.ID
	Joined       time.Time
	Revoked      time.Time // zero: not
	Closed       bool      // its account is closed
	LastCheckIn  time.Time
	Version      string
	Skew         time.Duration
	Simulated    bool
}

// Token is the public half of an enrolment token.
type Token struct {
	ID           exchange.ID
	Key          []byte // Ed25519 public key derived from the secret
	Account      string
	Installation string
	Environment  string
	MaxUses      int
	Uses         int
	Created      time.Time
	Expires      time.Time
	Revoked      time.Time // zero: not
	By           string    // who made it
}

// Live reports whether the token can be used at now.
func (t Token) Live(now time.Time) bool {
	return t.Revoked.IsZero() && now.Before(t.Expires) && t.Uses < t.MaxUses
}

// CheckIn is what a check-in changes.
type CheckIn struct {
	Agent     exchange.ID
	At        time.Time // the clock the agent is judged by
	Clock     time.Time // the agent's
	Version   string
	Simulated bool
	Statement exchange.SignedStatement // verified
	Parsed    *exchange.Statement
}

// Statement is a kept decision.
type Statement struct {
	Hash     exchange.Hash
	Signed   exchange.SignedStatement
	Agent    exchange.ID
	Received time.Time
}

// Catalog is a kept catalog.
type Catalog struct {
	Hash    exchange.Hash
	Name    string
	Version int
	Raw     []byte
	Sig     []byte
	Added   time.Time
}

// User of the pages and the API.
type User struct {
	Name     string // e-mail or login
	Role     string // admin, viewer, … as package access defines them
	Password string // a hash with its parameters; "" = login links only
	Created  time.Time
	Disabled bool
}

// SecretKind says what a secret opens.
type SecretKind string

const (
	Session   SecretKind = "session"
	LoginLink SecretKind = "login" // one-time: UseSecret deletes it
	APIToken  SecretKind = "api"
)

// Secret is the hash of something a bearer shows.
type Secret struct {
	Kind     SecretKind
	Hash     exchange.Hash // SHA-256 of the secret
	User     string
	Label    string
	Scopes   []string
	Created  time.Time
	Expires  time.Time // zero: never
	LastUsed time.Time
}

// AuditRow is one thing that was done.
type AuditRow struct {
	ID      int64
	At      time.Time
	Actor   string // user, "cli", "agent ID"
	Action  string // token_created, joined, catalog_added, …
	Subject string // account/installation, or what else it was about
	Detail  string
}

// Package catalog holds the vendor's signed list of every measure that may be taken:
// strict parsing, validation with line and nearest name, definition hashes, and the way
// from a report.Cell to its names.
//
// A catalog is YAML and is signed as bytes. Order matters: cells and journal records
// name events, properties, values and measures by their position in the file, and every
// batch carries the hash of the catalog it was made with.
//
// # Keys of the file
//
//	catalog: NAME            version: N (≥ 1)        vendor: TEXT
//	events:                  what may arrive; anything else is unknown_event
//	  ID:
//	    match: "Client's name"        type: track | page | screen   (default track)
//	    grace: 48h                    (default 48h, at most 7d)
//	    properties: {NAME: PROPERTY}
//	traits: {NAME: PROPERTY}          of users (identify)
//	group_traits: {NAME: PROPERTY}    of the organisation (group); read by facts
//	resource: {NAME: PROPERTY}        OTLP resource attributes that facts may read
//	metrics:                          what samples may arrive (OTLP)
//	  ID: {match: "otlp.name", type: gauge|counter|histogram, unit: s, attributes: {NAME: PROPERTY}, bounds: [..]}
//	probes: {ID: {label: TEXT}}       checks a site may define targets for
//	doors:                            where doors whose format does not name a user find one; none: nowhere
//	  cloudevents: {user: authid}     an extension attribute or data.PATH (default authid)
//	  logs: {user: user.id}           an attribute of the log record (default user.id)
//	measures: [MEASURE …]
//
// PROPERTY is one of
//
//	{values: [a, b], map: {raw: a}, match: "client.name"}   a closed list; other values become (other)
//	{number: {min: 0, max: 100}, match: "client.name"}      a bounded number; outside is over_limit (value)
//
// and on traits also not_people: [value]: users with that value are left out of every
// measure about people.
//
// Names of properties, traits and attributes are letters of either case, digits, _ - and .;
// ids of everything else a–z 0–9 _ -. Durations are 90s, 15m, 48h, 7d, 4w. Listed values are
// taken as they are written: 1.10, yes and 007 are texts and need no quotes. Anchors, aliases,
// merges and tags are refused, and so is a file above 1 MiB or 100,000 parts, a list above
// 1,000 entries and a breakdown above 10,000 cells.
//
// MEASURE keys of all kinds: id, kind, subject (person | traffic | machine, default person),
// leaves, category, question, purpose, owner, consumed_in, retention, expires; of measures about
// people also pool and epsilon. By kind, needed / possible:
//
//	count                            events / by, where, where_user, cap
//	active_users, lifecycle          events / by, where, where_user
//	distribution                     events, property / by, where, where_user
//	stickiness, retention, first_time events / where, where_user
//	funnel                           steps (2 to 10), window (at most 30d) / entry (first | each), correlate, split, before, where_user
//	adoption                         events, features / eligible, uses
//	transitions                      steps (2 to 30) / where_user
//	seats                            events / purchased, assigned, where, where_user
//	sufficient                       events, arm, x / y, where, where_user
//	change, environment              of
//	gauge, counter, histogram        metric / by, where
//	fact                             from / values
//	availability                     probe / target
//	slo                              valid, good, target / window, min_valid
//
//	where:       {area: code, status: [ok, slow], files: {min: 1, max: 10}}   all must match
//	where_user:  the same on traits; so is eligible
//	valid, good: {event: ID} or {metric: ID, at_most: BOUND}, each with where
//	by:          [role, area, [role, area]]   two breakdowns and one cross
//	steps:       [{id: opened, event: ID, where: {…}}, {id: sent, event: ID}]
//	before:      {event: ID, where: {…}}   its first match comes before the last step
//	correlate:   a property that every step's event declares: one way for each of its values
//	split, arm:  a property (of the first step's event; of the events) or a trait, with a list of values
//	features:    {reports: {events: [ID], where: {…}}}
//	purchased, assigned: a numeric trait of the group
//	x, y:        numeric properties of the events
//	of:          the id of another measure, anywhere in the file
//	cap:         of a count about people: how often one person counts in four weeks at most, where the sum leaves (default 5600)
//	pool:        true at two measures at most (active_users, lifecycle, retention, funnel, adoption)
//	epsilon:     0.1 to 4, default 1: the noise at the level strict
//
// # Words of its own
//
// Subject is person where not declared, whatever door the data came through (an availability
// is always about a machine). Facts from users or events, the kinds that look at who did
// something and all that looks at traits are about people and cannot be declared otherwise. A
// name that is a property of the events and a trait at once cannot be a dimension. A lifecycle
// is told apart by traits only. Kinds with dimensions of their own (shape.go) have no by. A
// cross of two traits is kept at the site and never leaves.
//
// There are no keys for bands or thresholds: bands are the same for every vendor, so that
// sites can be compared, and who may be told of how small a group is not the vendor's to say.
//
// The package keeps no state on disk: files are read and written by its callers. Package
// strict holds the YAML reader and the codes of all errors, declare what may arrive, canon the
// form that definition hashes are taken over, diff what changed in plain words, signing the
// signatures and keys, lint what a file may say and should not.
package catalog

import (
	"crypto/sha256"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog/declare"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Kind is what is computed for a measure; MEASURES defines each.
type Kind = declare.Kind

const (
	Count        Kind = "count"
	Distribution Kind = "distribution"
	ActiveUsers  Kind = "active_users"
	Lifecycle    Kind = "lifecycle"
	Gauge             = declare.Gauge
	Counter           = declare.Counter
	Histogram         = declare.Histogram
	Fact         Kind = "fact"
	Availability Kind = "availability"
	SLO          Kind = "slo"
	Stickiness   Kind = "stickiness"
	Retention    Kind = "retention"
	Funnel       Kind = "funnel"
	Adoption     Kind = "adoption"
	FirstTime    Kind = "first_time"
	Transitions  Kind = "transitions"
	Seats        Kind = "seats"
	Sufficient   Kind = "sufficient"
	Shift        Kind = "change"      // signals of change of another measure
	Environment  Kind = "environment" // trial, pilot or production, as observed
)

// Subject is whom a measure is about.
type Subject string

const (
	Person  Subject = "person"
	Traffic Subject = "traffic"
	Machine Subject = "machine"
)

// Categories a customer consents to.
const (
	Inventory   = "inventory"
	SLA         = "sla"
	Usage       = "usage"
	Diagnostics = "diagnostics"
	Pool        = "pool"
)

// What may arrive is declared in the words of package declare.
type (
	Event    = declare.Event
	Property = declare.Property
	Metric   = declare.Metric
	Probe    = declare.Probe
	Doors    = declare.Doors
	Clause   = declare.Clause
)

// Reserved values of a closed list.
const (
	Other = declare.Other
	None  = declare.None
)

// Catalog is a parsed, validated catalog. It is immutable and safe for concurrent use.
type Catalog struct {
	Name    string
	Version int
	Vendor  string

	Events      []Event
	Traits      []Property
	GroupTraits []Property
	Resource    []Property
	Metrics     []Metric
	Probes      []Probe
	Doors       Doors
	Measures    []Measure

	Raw  []byte            // the file, byte for byte; what is signed
	Hash [sha256.Size]byte // SHA-256 of Raw; what batches carry

	breakdowns [][]Breakdown // by measure; kept because the collector resolves every cell it gets
}

// Measure is one entry of the catalog.
type Measure struct {
	ID      string
	Kind    Kind
	Subject Subject

	Events   []string // ids; count, distribution, active_users, lifecycle
	Metric   string   // id; gauge, counter, histogram
	Probe    string   // id; availability
	Property string   // distribution: the numeric property, declared by each of Events

	// From names where a fact comes from: agent.version, agent.os, agent.arch,
	// group.TRAIT, resource.NAME, event.EVENT.PROPERTY or user.TRAIT=VALUE (is there
	// such a user: yes, no). Values is the closed list (given for agent.version, copied from the
	// property otherwise).
	From   string
	Values []string

	Steps     []Step    // funnel (2 to 10), transitions (2 to 30)
	Entry     string    // funnel: first (default) or each
	Correlate string    // funnel: a property that every step's event declares; "" none
	Split     string    // funnel: a dimension, its value at entry; "" none
	Before    *Step     // funnel: its first match must precede the last step; nil none
	Features  []Feature // adoption
	Eligible  []Clause  // adoption: on traits
	Uses      int64     // adoption: adopted from that many uses, on 2 days or more; default 2
	Purchased string    // seats: a numeric group trait; "" none
	Assigned  string    // seats: a numeric group trait; "" none
	Arm       string    // sufficient: a dimension
	X, Y      string    // sufficient: numeric properties of each of Events; Y may be ""
	Of        string    // change, environment: the measure looked at

	Valid, Good *Selector     // slo
	Target      float64       // slo and availability, 0…1; 0 when none is promised
	Window      time.Duration // slo: the budget's window, default 28d; funnel: the longest way from the first step
	MinValid    int64         // slo: burn rates need this many valid events, default 1

	By        [][]string // breakdowns: each one or two names of properties, traits or attributes
	Where     []Clause   // on event properties or metric attributes; all must match
	WhereUser []Clause   // on traits; all must match
	Leaves    report.Grain

	Pool    bool    // at most two measures: their noised figures join the pool, see PRIVACY
	Epsilon float64 // privacy budget per user and block at the level strict; default 1
	Cap     int64   // count: as declared, 0 when it is not; see Most

	Category   string
	Question   string
	Purpose    string
	Owner      string
	ConsumedIn []string
	Retention  time.Duration // 0: forever
	Expires    string        // YYYY-MM-DD; "" when none

	DefHash [sha256.Size]byte // of everything but question, owner and purpose, and of what it refers to
}

// Step is a named selection of events.
type Step struct {
	ID    string
	Event string // id
	Where []Clause
}

// Feature is one thing that can be adopted.
type Feature struct {
	ID     string
	Events []string // ids
	Where  []Clause
}

// Selector picks the events or samples an slo counts.
type Selector struct {
	Event  string // id, or
	Metric string // id of a counter or histogram
	Where  []Clause
	AtMost float64 // histogram: observations at or below this bound (one of Bounds); 0: all
}

// HashString is the first 16 hex digits of DefHash, as figures show it.
func (m *Measure) HashString() string { return hex16(m.DefHash) }

// Package record is what the agent's stages say to each other: events, samples and
// probe results after a door has read and trimmed them, and the decisions that
// change what is measured. One journal record is one Record, encoded by Append and read
// by Decode.
//
// Invariants: only what the catalog declares is in a record (undeclared properties,
// names, addresses and free text were dropped before); names are positions in the
// catalog whose hash begins with Record.Catalog; times are unix nanoseconds;
// Received never decreases from one record to the next. The same records in the same
// order always give the same measures.
package record

// Kind says what a record holds.
type Kind uint8

const (
	// Request is what one request brought: events and samples.
	Request Kind = 1
	// Probed is a run of probe results.
	Probed Kind = 2
	// Consent is a decision of the customer: Data is the signed statement (exchange.Statement).
	Consent Kind = 3
	// Adopted says that a catalog is in force from here on: Data is its 32-byte hash.
	Adopted Kind = 4
	// Zone says that the installation's time zone changes: Data is the IANA name.
	Zone Kind = 5
	// Tick says what time it is; nothing else happened. Written when windows were closed by the
	// passing of time alone.
	Tick Kind = 6
	// Forget says that a person is to be forgotten: Data is one of their names. Whoever writes it lets go of
	// the journal up to it as soon as a checkpoint holds what came of it.
	Forget Kind = 7
)

// Reason is why an event or sample was not measured, in MEASURES' order of precedence.
type Reason uint8

const (
	Malformed    Reason = 0
	OverSize     Reason = 1
	UnknownEvent Reason = 2
	Off          Reason = 3
	OverValue    Reason = 4
	Duplicate    Reason = 5
	Late         Reason = 6
	Measured     Reason = 7
	Reasons             = 8
)

var reasonNames = [Reasons]string{"malformed", "over_limit_size", "unknown_event", "off", "over_limit_value", "duplicate", "late", "measured"}

func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return ""
}

// Counts holds a number per reason.
type Counts [Reasons]uint64

// Total is the sum over all reasons: what was received.
func (c Counts) Total() (n uint64) {
	for _, v := range c {
		n += v
	}
	return n
}

// Record is one journal record.
type Record struct {
	Kind     Kind
	Received int64   // unix ns; the highest the site's clock has shown
	Catalog  [8]byte // first bytes of the hash of the catalog the positions refer to
	Data     []byte  // Consent, Adopted, Zone, Forget

	Events  []Event
	Samples []Sample
	Results []Result
	Facts   []Value // resource attributes that facts read: Property is a position in Catalog.Resource

	RefusedEvents  Counts // events refused before the journal, by reason (up to OverValue)
	RefusedSamples Counts
	Skewed         uint64 // events whose timestamp lay in the future and was set to Received
	ClockBack      uint64 // requests that came while the wall clock stood behind Received
}

// Type is the kind of a Segment call; other doors map to these.
type Type uint8

const (
	Track    Type = 1
	Page     Type = 2
	Screen   Type = 3
	Identify Type = 4
	Group    Type = 5
	Alias    Type = 6
)

// Event is one raw fact about the product.
type Event struct {
	Type       Type
	Def        uint16   // track, page, screen: index into Catalog.Events
	Time       int64    // unix ns, corrected by sentAt and capped as MEASURES says
	User       string   // userId, ≤ 256 bytes; "" when only anonymous
	Previous   string   // alias: the id that is joined to User
	HasID      bool     // a messageId was given
	MessageID  [16]byte // first bytes of SHA-256 of the messageId
	CreatedAt  int64    // identify: the createdAt trait, unix ns; 0 when absent
	Properties []Value  // track, page, screen: by position in Event.Properties; group: in GroupTraits; identify: in Traits
}

// Value is one declared property or trait.
type Value struct {
	Property uint16  // position of the declaration
	Index    uint16  // listed value (or Property.OtherIndex); 0 for numbers
	Number   Decimal // numbers
}

// Decimal is Mantissa × 10^-Exponent, Exponent 0…9: numbers are kept exactly to nine decimals.
type Decimal struct {
	Mantissa int64
	Exponent uint8
}

// Sample is one reading of a metric.
type Sample struct {
	Metric     uint16   // index into Catalog.Metrics
	Attributes []uint16 // listed value per declared attribute, (none) when absent
	Stream     [8]byte  // identity of the sender's stream over all its attributes, declared or not
	Time       int64    // unix ns
	Start      int64    // counters and histograms: start of the accumulation, unix ns; 0 when unknown
	Delta      bool     // counters and histograms: an increment, not a running total
	Value      float64  // gauge and counter
	Count      uint64   // histogram
	Sum        float64  // histogram
	Buckets    []uint64 // histogram: counts in the catalog's bounds, len(Bounds)+1
}

// Result is one probe's answer.
type Result struct {
	Probe       uint16 // index into Catalog.Probes
	Time        int64  // unix ns
	Interval    int64  // ns until the next one is due; what the result speaks for at most
	Up          bool
	Maintenance bool  // inside an interval of maintenance that was announced before it began
	Duration    int64 // ns the check took
}

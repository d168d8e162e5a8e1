package store

import (
	"encoding/json"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Series is a row of figures over time, with its names. The writer makes one per catalog
// and report.Series and passes the same pointer again and again; implementations may
// remember ids by pointer, so a Series is never changed after its first use.
type Series struct {
	Measure  string
	Hash     string // definition hash, 16 hex digits
	Kind     string // catalog.Kind
	Subject  string // catalog.Subject
	Category string
	Field    report.Field
	Grain    report.Grain
	Dims     map[string]string // empty: the total
	Texts    []string          // fact: Text of value i
	Pool     bool              // the definition joins the pool, see ForPool
}

// DimsKey is the canonical text of dimensions: JSON with sorted keys, "{}" for the total.
func DimsKey(d map[string]string) string {
	if len(d) == 0 {
		return "{}"
	}
	b, _ := json.Marshal(d) // maps of strings always marshal, keys sorted
	return string(b)
}

// Cell is one figure of a batch.
type Cell struct {
	Series *Series
	Start  int64 // as report.Cell.Start
	Form   report.Form
	Lo, Hi float64 // Hi may be +Inf
	Blob   []byte
}

// Batch is a verified batch on its way into the store.
type Batch struct {
	Agent, Epoch exchange.ID
	Seq          uint64
	Hash, Prev   exchange.Hash
	Bytes        int       // on the wire
	Received     time.Time // by the clock the agent is judged by
	Simulated    bool
	Zone         string // IANA name
	Catalog      exchange.Hash
	Statement    exchange.Hash
	Cells        []Cell

	// Refused is the code of a refusal that consumes the seq: Cells is empty, the batch goes
	// to quarantine with Message and Raw.
	Refused string
	Message string
	Raw     []byte

	// Lost is why the batches before this one will never come; where they are missing they
	// become a loss record and this one is taken all the same. "" = they may still come.
	Lost string
}

// What became of a batch.
const (
	ResultStored    = "stored"
	ResultRefused   = "refused"   // quarantined, seq consumed
	ResultDuplicate = "duplicate" // at or below the mark
	ResultGap       = "gap"       // above mark + 1: not stored
)

// Result of one batch.
type Result struct {
	What  string
	Cells int // rows stored
	Aside int // windows that were there already
}

// BatchRow is a batch that was stored or refused.
type BatchRow struct {
	Account, Installation string
	Agent, Epoch          exchange.ID
	Seq                   uint64
	Hash                  exchange.Hash
	Bytes, Cells, Aside   int
	Received              time.Time
	Refused               string // code; "" when stored
}

// BatchQuery asks for batches; empty fields match all.
type BatchQuery struct {
	Account, Installation string
	Agent                 exchange.ID // zero: all
	Epoch                 exchange.ID // zero: all
	Limit, Offset         int         // default 100, at most 10,000
}

// FigureQuery asks for cells; empty fields match all.
type FigureQuery struct {
	Measure      string
	Account      string
	Installation string // with Account
	Grain        report.Grain
	Field        report.Field
	// Dims nil: totals and breakdowns; empty: totals only; else exactly these.
	Dims map[string]string
	// From and To bound the window's start, both included; zero: open. Civil windows are
	// compared by the calendar date of From and To in UTC.
	From, To time.Time
	Limit    int    // default 1,000, at most 10,000
	After    string // FigurePage.Next of the page before
}

// FigureRow is a figure and whose it is.
type FigureRow struct {
	Account      string
	Installation string
	Environment  string
	Figure       report.Figure
}

// FigurePage is a page; Next is "" at the end.
type FigurePage struct {
	Rows []FigureRow
	Next string
}

// PoolQuery asks for sums of noised figures of blocks of 12 weeks; empty fields match all.
type PoolQuery struct {
	Measure      string
	Environments []string
	From, To     int64 // civil days of the blocks' starts, both included; 0 = open
}

// PoolRow is one figure of one block, its noised values added up over installations.
type PoolRow struct {
	Measure  string
	Hash     string
	Kind     string
	Field    report.Field
	Dims     map[string]string
	Start    int64 // civil day of the block of 12 weeks
	Accounts int   // distinct ones that told it with noise
	Sites    int   // installations
	Sum      float64
}

// Periods of roll-ups; Rolling28, Block4w and Block12w of package report are others.
const (
	Weekly  = report.Week
	Monthly = report.Month
)

// Period is a roll-up over one ISO week, calendar month, 28 days or block of weeks: of an account, or (Account "")
// of the fleet, of one environment or of all that were asked for.
type Period struct {
	Account  string
	Measure  string
	Hash     string
	Kind     string
	Field    report.Field
	Grain    report.Grain // Weekly, Monthly, Rolling28, Block4w or Block12w
	Start    int64        // civil day of the Monday or the first; of Rolling28 the last day
	Interval report.Interval
	// How many told it in which form: installations in a row of an account, accounts in a
	// row of the fleet. The interval is over those that told something.
	Exact, Banded, Noised, Suppressed, Unknown int
	// Windows summed, where finer windows make up the period (0 for those reported whole).
	Windows int
}

// Tally is what the period is made of.
func (p Period) Tally() report.Tally {
	return report.Tally{Interval: p.Interval, Exact: p.Exact, Banded: p.Banded, Noised: p.Noised, Suppressed: p.Suppressed, Unknown: p.Unknown}
}

// Form of the sum over those that told something: see report.Tally.
func (p Period) Form() report.Form { return p.Tally().Form() }

// PeriodQuery asks for roll-ups of one measure, oldest first.
type PeriodQuery struct {
	Measure string       // "" = all
	Field   report.Field // 0 = all
	Account string       // "" with Fleet false: every account
	// Fleet: one row per period over all accounts. Exact for one environment: over several, the people of an
	// account that has installations in two of them are added and not joined.
	Fleet        bool
	Environments []string     // empty: all; several are joined
	Grain        report.Grain // Weekly by default
	From, To     int64        // civil days, both included; 0 = open
}

// LatestRow is the newest cell of a series of an installation.
type LatestRow struct {
	Account      string
	Installation string
	Figure       report.Figure // without Blob
	First        int64         // start of the oldest window that arrived
	Windows      int64         // how many arrived
}

// Coverage of one measure: installations by the form of their newest total.
type Coverage struct {
	Measure                 string
	Hash                    string
	Kind, Subject, Category string
	// Unknown: reporting installations that never told it. What was given to the pool alone is
	// among the noised: a count of installations and no figure.
	Exact, Banded, Noised, Suppressed, Unknown int
	Newest                                     time.Time
}

// Backlog is what is due of one measure and has not arrived.
type Backlog struct {
	Measure string
	Grain   report.Grain
	Due     int64 // windows closed since consent and first report
	Arrived int64
	Missing int64     // Due − Arrived, never negative
	Since   time.Time // end of the newest window that arrived; zero: none did
}

// Overview counts everything once.
type Overview struct {
	Accounts, Installations, Reporting int
	ByEnvironment                      map[string]int
	ByVersion                          map[string]int
	Agents                             int
	Batches, Cells, Aside              int64
	Quarantined, Losses                int64
	Measures                           int
	FirstReport, LastReport, Clock     time.Time // Clock: virtual, zero when nothing is simulated
	CatalogName                        string    // newest
	CatalogVersion                     int
	ConsentAggregate, ConsentTotals    int // installations by their usage level
	ConsentNothing                     int // installations whose every category is off or local
}

// TroubleQuery pages over troubles; empty fields match all.
type TroubleQuery struct {
	Account, Installation string
	ID                    int64 // of the one to find; 0: all
	Limit, Offset         int   // default 100, at most 1,000
}

// Quarantined is a batch that was not taken.
type Quarantined struct {
	ID                    int64
	At                    time.Time
	Account, Installation string
	Agent, Epoch          exchange.ID
	Seq                   uint64
	Hash                  exchange.Hash
	Code, Message         string
	Bytes                 int
}

// Loss is a gap that can never be filled.
type Loss struct {
	ID                    int64
	At                    time.Time // when noticed
	Account, Installation string
	Agent, Epoch          exchange.ID
	From, To              uint64 // seqs, both included
	Why                   string
}

// Aside is a window that came again.
type Aside struct {
	At                    time.Time
	Account, Installation string
	Epoch                 exchange.ID
	Seq                   uint64
	Figure                report.Figure // as it came the second time, without Blob
	Equal                 bool          // to the first
	ForPool               bool          // given to the pool alone: Figure has no numbers
}

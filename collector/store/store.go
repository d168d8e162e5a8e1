// Package store is the vendor's memory as the collector's rooms see it: small interfaces,
// each for one consumer, and the rows they exchange. One type (sqlite.Store, later
// postgres.Store) implements them all; collector/store/storetest is the suite every
// implementation passes.
//
// Invariants, whatever stands below:
//
//   - One row per (installation, series, window start). The first arrival stays; later ones,
//     equal or not, are set aside and counted (window_already_reported).
//   - The mark of (agent, epoch) moves from n−1 to n in the same transaction as the rows, the
//     roll-ups and the batch's own row; a batch at or below the mark is skipped.
//   - Roll-ups are kept at write time, so that no page reads raw cells of many installations:
//     the newest cell of each series (Latest), sums per account and per fleet by ISO week and
//     month (Period), installations per form and series (Coverage).
//   - Every figure is an interval and keeps its form. A sum says how many sites told it
//     exactly, in bands, or withheld it. Users of several installations of one account may
//     overlap: active users are joined by max…sum, everything else is added.
//   - A figure given to the pool alone (Series.ForPool) is kept and told by Pool only, in sums: no
//     other method returns it, nor is it in a roll-up.
//   - A closed or revoked thing is marked, never removed: history stays readable.
//   - Nothing secret is stored: public halves of keys and hashes of session and API tokens.
//
// All methods are safe for concurrent use and honour ctx. Rows and slices that are returned
// belong to the caller; those that are passed in are not kept. ErrNotFound, ErrConflict and
// ErrSpent are final; other errors mean that the store could not do it now.
//
// States on disk are the implementation's and described in its package.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Errors that are final: the same call gives the same answer.
var (
	ErrNotFound = errors.New("no such row")
	ErrConflict = errors.New("a row of that name says something else")
	ErrSpent    = errors.New("used up, expired or revoked")
)

// Enrolment keeps tokens and joins. Join is atomic: under any number of concurrent calls a
// token is used exactly MaxUses times.
type Enrolment interface {
	// AddToken keeps a token's public half. The account and installation it names are created
	// when unknown; an installation that exists under another environment is ErrConflict.
	AddToken(ctx context.Context, t Token) error
	// Token by its id; ErrNotFound. An expired, spent or revoked one is returned as it is.
	Token(ctx context.Context, id exchange.ID) (Token, error)
	// Tokens newest first, at most limit.
	Tokens(ctx context.Context, limit int) ([]Token, error)
	// RevokeToken stops further joins; agents that joined with it stay. ErrNotFound.
	RevokeToken(ctx context.Context, id exchange.ID, at time.Time) error
	// Join uses the token once and keeps the agent. ErrSpent when the token is expired at now,
	// revoked or has no uses left. An agent whose key joined with this token before gets its row
	// again without a further use: an answer may have been lost.
	Join(ctx context.Context, token exchange.ID, pub []byte, now time.Time) (Agent, error)
}

// Agents are those that joined.
type Agents interface {
	// Agent by id, with its account's and installation's names and states; ErrNotFound.
	Agent(ctx context.Context, id exchange.ID) (Agent, error)
	// AgentsOf an installation, newest first. Empty account: all, at most limit.
	AgentsOf(ctx context.Context, account, installation string, limit int) ([]Agent, error)
	// RevokeAgent refuses the agent from now on; its data stays. ErrNotFound.
	RevokeAgent(ctx context.Context, id exchange.ID, at time.Time) error
	// CheckedIn records a check-in and, if it is new, its verified statement.
	CheckedIn(ctx context.Context, c CheckIn) error
}

// Statements are the customers' signed decisions, kept byte for byte.
type Statements interface {
	// Statement by hash; ErrNotFound.
	Statement(ctx context.Context, hash exchange.Hash) (Statement, error)
	// StatementsOf an installation, newest first: the history of consent.
	StatementsOf(ctx context.Context, account, installation string) ([]Statement, error)
	// NewestStatement of an agent is the one with the highest number; ErrNotFound.
	NewestStatement(ctx context.Context, agent exchange.ID) (Statement, error)
}

// Catalogs are kept byte for byte with their signatures; the caller has verified them.
type Catalogs interface {
	// AddCatalog keeps a catalog. The same bytes again change nothing; the same name and
	// version with other bytes is ErrConflict.
	AddCatalog(ctx context.Context, c Catalog) error
	// Catalog by hash; ErrNotFound.
	Catalog(ctx context.Context, hash exchange.Hash) (Catalog, error)
	// CatalogList newest version first, without Raw.
	CatalogList(ctx context.Context) ([]Catalog, error)
	// NewestCatalog is the highest version of that name ("" = of the name added last); ErrNotFound.
	NewestCatalog(ctx context.Context, name string) (Catalog, error)
}

// Accounts reads and imports customers.
type Accounts interface {
	// ImportAccounts creates or updates accounts by key, all or none. Attributes that a row
	// does not name stay; one whose value is empty is removed.
	ImportAccounts(ctx context.Context, rows []Account) (created, updated int, err error)
	// AccountPage filters, sorts and pages; Total counts before paging.
	AccountPage(ctx context.Context, q AccountQuery) (AccountPage, error)
	// Account by key with counts of its installations; ErrNotFound.
	Account(ctx context.Context, key string) (AccountRow, error)
	// Attributes that any account has, by name, with how many accounts have each.
	Attributes(ctx context.Context) ([]Attribute, error)
	// CloseAccount refuses its agents (or lets them in again). ErrNotFound.
	CloseAccount(ctx context.Context, key string, closed bool) error
}

// Fleet reads installations.
type Fleet interface {
	InstallationPage(ctx context.Context, q FleetQuery) (FleetPage, error)
	// Installation by account and key; ErrNotFound.
	Installation(ctx context.Context, account, key string) (Installation, error)
	// Batches that arrived, newest first.
	Batches(ctx context.Context, q BatchQuery) ([]BatchRow, error)
	// Overview counts the whole of it from roll-ups.
	Overview(ctx context.Context) (Overview, error)
	// Clock is the virtual clock of simulated agents: the latest time any has shown; zero
	// when there is none.
	Clock(ctx context.Context) (time.Time, error)
}

// Measurements reads figures.
type Measurements interface {
	// Figures are raw cells in order of installation, series, start; paged by q.After.
	Figures(ctx context.Context, q FigureQuery) (FigurePage, error)
	// Periods are the roll-ups by week or month, per account or for the whole fleet.
	Periods(ctx context.Context, q PeriodQuery) ([]Period, error)
	// Latest is the newest cell of each series of an installation ("" = of all installations
	// of the account).
	Latest(ctx context.Context, account, installation string) ([]LatestRow, error)
	// Coverage says, for each measure, how many installations tell it in which form.
	Coverage(ctx context.Context) ([]Coverage, error)
	// Backlog lists, per measure and grain, the windows that consent and catalog make due and
	// that have not arrived, judged at the installation's own clock (virtual when simulated).
	Backlog(ctx context.Context, account, installation string, now time.Time) ([]Backlog, error)
}

// Pool adds noised figures up over sites.
type Pool interface {
	// Pooled are the sums of every figure that was given to the pool, by measure, definition, start, dimensions (the total first) and field.
	// Figures of the same block in another form are not in them.
	Pooled(ctx context.Context, q PoolQuery) ([]PoolRow, error)
}

// Troubles are what did not arrive as it should.
type Troubles interface {
	// Quarantine lists refused and poisoned batches, newest first.
	Quarantine(ctx context.Context, q TroubleQuery) ([]Quarantined, error)
	// QuarantineBytes is the batch as it came; ErrNotFound.
	QuarantineBytes(ctx context.Context, id int64) ([]byte, error)
	// Losses are gaps that can never be filled, newest first.
	Losses(ctx context.Context, q TroubleQuery) ([]Loss, error)
	// Aside lists windows that came a second time, newest first.
	Aside(ctx context.Context, q TroubleQuery) ([]Aside, error)
	// Audit lists what was done by whom, newest first.
	Audit(ctx context.Context, q TroubleQuery) ([]AuditRow, error)
}

// Writer is the one way in for batches.
type Writer interface {
	// Apply stores the batches in one transaction, in order, and says for each what became of
	// it. An error means that nothing was stored. A batch whose seq is not the mark + 1
	// is ResultGap and changes nothing.
	Apply(ctx context.Context, batches []Batch) ([]Result, error)
	// Through are the marks of the agent's newest epochs, at most limit, newest first.
	Through(ctx context.Context, agent exchange.ID, limit int) ([]exchange.Through, error)
	// Mark of one epoch: the last stored seq and its hash; zero values when there is none.
	Mark(ctx context.Context, agent, epoch exchange.ID) (seq uint64, hash exchange.Hash, err error)
	// Incident records something that arrived but could not be taken and has no place in an
	// epoch's order, a fork. The same bytes for the same reason are kept once.
	Incident(ctx context.Context, q Quarantined, raw []byte) error
	// AddLoss records a gap that can never be filled.
	AddLoss(ctx context.Context, l Loss) error
}

// Arrivals says what came of one place in an epoch's order.
type Arrivals interface {
	// Judged is the hash of the batch that was stored or refused there, and the code of its
	// refusal ("" = stored); ErrNotFound while there is none.
	Judged(ctx context.Context, agent, epoch exchange.ID, seq uint64) (hash exchange.Hash, refused string, err error)
}

// Auditor keeps what was done.
type Auditor interface {
	AddAudit(ctx context.Context, a AuditRow) error
}

// Users of the collector's pages and API.
type Users interface {
	// PutUser creates or replaces by name.
	PutUser(ctx context.Context, u User) error
	// User by name; ErrNotFound.
	User(ctx context.Context, name string) (User, error)
	// UserList by name.
	UserList(ctx context.Context) ([]User, error)
	// DeleteUser also deletes the user's secrets. ErrNotFound.
	DeleteUser(ctx context.Context, name string) error
}

// Secrets keeps hashes of what bearers show: sessions, one-time login links, API tokens.
type Secrets interface {
	// PutSecret keeps one; the hash is its identity.
	PutSecret(ctx context.Context, s Secret) error
	// UseSecret finds a secret that has not expired at now and notes the use. A one-time
	// secret is deleted by it: of concurrent calls exactly one succeeds. ErrNotFound otherwise.
	UseSecret(ctx context.Context, kind SecretKind, hash exchange.Hash, now time.Time) (Secret, error)
	// SecretList of a kind and user ("" = all), newest first.
	SecretList(ctx context.Context, kind SecretKind, user string) ([]Secret, error)
	// DeleteSecret by kind and hash. ErrNotFound.
	DeleteSecret(ctx context.Context, kind SecretKind, hash exchange.Hash) error
	// ExpireSecrets deletes what expired before now.
	ExpireSecrets(ctx context.Context, now time.Time) error
}

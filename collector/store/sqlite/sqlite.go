// Package sqlite keeps the collector's memory in one SQLite file (store.Store's interfaces
// over modernc.org/sqlite, of which this is the one importer).
//
// Invariants: write-ahead log with synchronous=FULL, so that a commit is on disk when it
// returns; one writing connection, whose transactions begin IMMEDIATE, and a pool of
// reading ones; a second process (the command line beside a running serve) waits for its
// turn up to ten seconds. Batches are only ever applied by one process, the one that holds
// the data directory's lock: what this package remembers between transactions (ids of
// series and installations) is never changed by others and is forgotten when a transaction
// is rolled back.
//
// States on disk: collector.db with collector.db-wal and -shm beside it; PRAGMA
// user_version counts the migrations that were run, each in one transaction. A crash at
// any point leaves the last commit: SQLite replays or drops the log at the next opening.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite/sq"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Config of a store.
type Config struct {
	// Path of the database file. Required.
	Path string
	// Readers is the number of reading connections. Default: twice the processors, at least 4.
	Readers int
	// CacheMB bounds the page cache of each connection. Default 16: with 8 readers and the
	// writer at most 144 MB, reached only when all of them work at once.
	CacheMB int
}

// ErrNewer says that a newer program has migrated the database.
var ErrNewer = errors.New("the database was written by a newer version")

// Store is the database. It implements every interface of package store.
type Store struct {
	w, r *sql.DB
	conn *sql.Conn // of w, held for ever: the one that writes

	turn       chan struct{} // holds one token; who has it may use conn and what follows
	known      memory
	statements map[string]*sql.Stmt // of Apply, prepared on conn

	hot *sq.Hot // of what every batch asks

	catMu    sync.Mutex
	catalogs map[exchange.Hash]*catalog.Catalog // parsed; a handful
}

var (
	_ store.Enrolment    = (*Store)(nil)
	_ store.Agents       = (*Store)(nil)
	_ store.Statements   = (*Store)(nil)
	_ store.Catalogs     = (*Store)(nil)
	_ store.Accounts     = (*Store)(nil)
	_ store.Fleet        = (*Store)(nil)
	_ store.Measurements = (*Store)(nil)
	_ store.Troubles     = (*Store)(nil)
	_ store.Writer       = (*Store)(nil)
	_ store.Arrivals     = (*Store)(nil)
	_ store.Auditor      = (*Store)(nil)
	_ store.Users        = (*Store)(nil)
	_ store.Secrets      = (*Store)(nil)
)

// Open opens or creates the database and brings it to this version.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Readers <= 0 {
		c.Readers = max(4, 2*runtime.NumCPU())
	}
	if c.CacheMB <= 0 {
		c.CacheMB = 16
	}
	s := &Store{turn: make(chan struct{}, 1), statements: map[string]*sql.Stmt{}, catalogs: map[exchange.Hash]*catalog.Catalog{}}
	s.known.reset()
	s.turn <- struct{}{}
	// SQLite would make the file readable for all; its log takes over the file's mode.
	f, err := os.OpenFile(c.Path, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", c.Path, err)
	}
	if s.w, err = sql.Open("sqlite", dsn(c, "FULL", false)); err != nil {
		return nil, fmt.Errorf("opening %s: %w", c.Path, err)
	}
	s.w.SetMaxOpenConns(1)
	if s.r, err = sql.Open("sqlite", dsn(c, "NORMAL", true)); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", c.Path, err), s.w.Close())
	}
	s.hot = sq.NewHot(s.r)
	s.r.SetMaxOpenConns(c.Readers)
	s.r.SetMaxIdleConns(c.Readers)
	if s.conn, err = s.w.Conn(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", c.Path, err), s.r.Close(), s.w.Close())
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", c.Path, err), s.Close())
	}
	return s, nil
}

func dsn(c Config, sync string, readOnly bool) string {
	q := url.Values{}
	for _, p := range []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(" + sync + ")",
		"cache_size(-" + strconv.Itoa(c.CacheMB<<10) + ")", "temp_store(MEMORY)", "journal_size_limit(67108864)"} {
		q.Add("_pragma", p)
	}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: c.Path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// Version is the schema version this program writes.
func Version() int { return len(migrations()) }

func (s *Store) migrate(ctx context.Context) error {
	var have int
	if err := s.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return fmt.Errorf("reading the schema version: %w", err)
	}
	steps := migrations()
	if have > len(steps) {
		return fmt.Errorf("%w: schema %d, this program knows %d", ErrNewer, have, len(steps))
	}
	for i := have; i < len(steps); i++ {
		err := s.write(ctx, func(tx *sql.Conn) error {
			var now int // another process may have been first
			if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&now); err != nil || now > i {
				return err
			}
			if _, err := tx.ExecContext(ctx, steps[i].sql); err != nil {
				return err
			}
			if steps[i].then != nil {
				if err := steps[i].then(&applying{ctx: ctx, s: s, tx: tx}); err != nil {
					return err
				}
			}
			_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", i+1))
			return err
		})
		if err != nil {
			return fmt.Errorf("migrating from schema %d: %w", i, err)
		}
	}
	return nil
}

// Close waits for the transaction that runs and closes the file. The last connection folds
// the write-ahead log into the database. The store cannot be used afterwards.
func (s *Store) Close() error {
	<-s.turn // never given back: later writers find their context's end
	var errs []error
	for _, st := range s.statements {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, s.hot.Close(), s.r.Close(), s.conn.Close(), s.w.Close())...)
}

// Check runs SQLite's own integrity check.
func (s *Store) Check(ctx context.Context) error {
	var said string
	if err := s.r.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said); err != nil {
		return fmt.Errorf("checking the database: %w", err)
	}
	if said != "ok" {
		return fmt.Errorf("checking the database: %s", said)
	}
	return nil
}

// write runs f in one transaction of the writing connection.
func (s *Store) write(ctx context.Context, f func(*sql.Conn) error) error {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.turn <- struct{}{} }()
	if _, err := s.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	err := f(s.conn)
	if err == nil {
		if _, err = s.conn.ExecContext(ctx, "COMMIT"); err == nil {
			return nil
		}
		err = fmt.Errorf("committing: %w", err)
	}
	// Also when ctx has ended; what comes first tells more than a failed rollback.
	_, _ = s.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	s.known.reset() // ids made in the lost transaction do not exist
	return err
}

// set runs one statement that must change a row.
func (s *Store) set(ctx context.Context, query string, args ...any) error {
	return s.write(ctx, func(tx *sql.Conn) error { return sq.Changed(tx.ExecContext(ctx, query, args...)) })
}

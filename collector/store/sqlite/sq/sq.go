// Package sq is what reading and writing rows with database/sql takes here, whatever the
// engine: scanning into our types, statements that stay prepared, the absence of a row as
// store.ErrNotFound. It keeps nothing on disk.
package sq

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Rows reads every row of a query.
func Rows[T any](ctx context.Context, q Querier, scan func(*T, func(...any) error) error, query string, args ...any) ([]T, error) {
	rs, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	var out []T
	for rs.Next() {
		var t T
		if err := scan(&t, rs.Scan); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rs.Err()
}

// Querier is a database, a connection, a transaction or Hot.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Hot is the reading pool with statements that stay prepared: preparing costs as much as
// running where a query finds one row.
type Hot struct {
	db    *sql.DB
	mu    sync.Mutex // guards stmts
	stmts map[string]*sql.Stmt
}

// NewHot is ready to use and must be closed.
func NewHot(db *sql.DB) *Hot { return &Hot{db: db, stmts: map[string]*sql.Stmt{}} }

func (h *Hot) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if st := h.stmts[query]; st != nil {
		return st, nil
	}
	st, err := h.db.PrepareContext(ctx, query)
	if err == nil {
		h.stmts[query] = st
	}
	return st, err
}

// QueryContext is sql.DB's.
func (h *Hot) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := h.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args...)
}

// QueryRowContext is sql.DB's.
func (h *Hot) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	st, err := h.stmt(ctx, query)
	if err != nil {
		return h.db.QueryRowContext(ctx, query, args...) // gives the same error at Scan
	}
	return st.QueryRowContext(ctx, args...)
}

// Close closes the statements, not the database.
func (h *Hot) Close() (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, st := range h.stmts {
		err = errors.Join(err, st.Close())
	}
	return err
}

// One maps the absence of a row to store.ErrNotFound.
func One[T any](all []T, err error) (T, error) {
	var zero T
	switch {
	case err != nil:
		return zero, err
	case len(all) == 0:
		return zero, store.ErrNotFound
	}
	return all[0], nil
}

// Changed maps a statement that changed nothing to store.ErrNotFound.
func Changed(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, store.ErrNotFound)
	}
	return nil
}

// NS is unix nanoseconds; 0 for the zero time.
func NS(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// When scans unix nanoseconds into a time; 0 is the zero time.
func When(to *time.Time) sql.Scanner { return when{to} }

type when struct{ to *time.Time }

func (w when) Scan(v any) error {
	n, ok := v.(int64)
	if !ok && v != nil {
		return fmt.Errorf("reading a time from %T", v)
	}
	*w.to = time.Time{}
	if n != 0 {
		*w.to = time.Unix(0, n).UTC()
	}
	return nil
}

// Fixed scans a blob of a known length into an array; an empty one is zero.
func Fixed(to []byte) sql.Scanner { return fixed{to} }

type fixed struct{ to []byte }

func (f fixed) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != len(f.to) && len(b) != 0 {
		return fmt.Errorf("reading an id of %d bytes from %T", len(f.to), v)
	}
	clear(f.to)
	copy(f.to, b)
	return nil
}

// Number is NULL for an open top.
func Number(f float64) any {
	if math.IsInf(f, 1) {
		return nil
	}
	return f
}

// Clamp is a limit with its default and its bound.
func Clamp(n, def, most int) int {
	if n <= 0 {
		return def
	}
	return min(n, most)
}

// Filter is a growing WHERE. The zero value is empty.
type Filter struct {
	where []string
	Args  []any
}

// Add adds a condition; all must hold.
func (f *Filter) Add(cond string, args ...any) {
	f.where = append(f.where, cond)
	f.Args = append(f.Args, args...)
}

// In adds that a column has one of the values; none: no condition.
func (f *Filter) In(column string, values []string) {
	if len(values) == 0 {
		return
	}
	f.where = append(f.where, column+" IN (?"+strings.Repeat(",?", len(values)-1)+")")
	for _, v := range values {
		f.Args = append(f.Args, v)
	}
}

func (f *Filter) String() string {
	if len(f.where) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.where, " AND ")
}

// Like makes a pattern that finds text anywhere, with \ as its escape.
func Like(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(s) + "%"
}

// Numeric is the number that v reads as, thousands separated by commas or not; nil (NULL)
// for what is none.
func Numeric(v string) any {
	f, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(v), ",", ""), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return f
}

// Interval reads the ends of a figure as they are kept: hi is NULL where it equals lo, and for an open top.
func Interval(f report.Form, lo, hi sql.NullFloat64) (float64, float64) {
	switch {
	case !f.HasNumbers() || !lo.Valid:
		return 0, 0
	case hi.Valid:
		return lo.Float64, hi.Float64
	case f == report.Exact || f == report.Noised:
		return lo.Float64, lo.Float64
	}
	return lo.Float64, math.Inf(1)
}

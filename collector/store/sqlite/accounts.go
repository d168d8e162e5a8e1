package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite/sq"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// ImportAccounts implements store.Accounts.
func (s *Store) ImportAccounts(ctx context.Context, accounts []store.Account) (created, updated int, err error) {
	err = s.write(ctx, func(tx *sql.Conn) error {
		for _, a := range accounts {
			var id int64
			name := a.Name
			if name == "" {
				name = a.Key
			}
			err := tx.QueryRowContext(ctx, `SELECT id FROM accounts WHERE key = ?`, a.Key).Scan(&id)
			switch {
			case errors.Is(err, sql.ErrNoRows):
				created++
				err = tx.QueryRowContext(ctx, `INSERT INTO accounts (key, name, created) VALUES (?,?,?) RETURNING id`, a.Key, name, sq.NS(a.Created)).Scan(&id)
			case err == nil:
				updated++
				if a.Name != "" {
					_, err = tx.ExecContext(ctx, `UPDATE accounts SET name = ? WHERE id = ?`, a.Name, id)
				}
			}
			if err != nil {
				return fmt.Errorf("importing account %s: %w", a.Key, err)
			}
			for k, v := range a.Attributes {
				if v == "" {
					if _, err := tx.ExecContext(ctx, `DELETE FROM attributes WHERE account = ? AND name = ?`, id, k); err != nil {
						return fmt.Errorf("taking %s of account %s away: %w", k, a.Key, err)
					}
					continue
				}
				if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO attributes (account, name, value, number) VALUES (?,?,?,?)`, id, k, v, sq.Numeric(v)); err != nil {
					return fmt.Errorf("importing %s of account %s: %w", k, a.Key, err)
				}
			}
		}
		return nil
	})
	return created, updated, err
}

// CloseAccount implements store.Accounts.
func (s *Store) CloseAccount(ctx context.Context, key string, closed bool) error {
	if err := s.set(ctx, `UPDATE accounts SET closed = ? WHERE key = ?`, closed, key); err != nil {
		return fmt.Errorf("closing account %s: %w", key, err)
	}
	return nil
}

// Attributes implements store.Accounts.
func (s *Store) Attributes(ctx context.Context) ([]store.Attribute, error) {
	return sq.Rows(ctx, s.r, func(a *store.Attribute, scan func(...any) error) error { return scan(&a.Name, &a.Accounts, &a.Numeric) },
		`SELECT name, count(*), count(number) = count(*) FROM attributes GROUP BY name ORDER BY name`)
}

func accountFilter(q store.AccountQuery) (f sq.Filter) {
	if q.Search != "" {
		p := sq.Like(q.Search)
		f.Add(`(a.key LIKE ? ESCAPE '\' OR a.name LIKE ? ESCAPE '\')`, p, p)
	}
	for _, c := range q.Filters {
		cond, args := condition(c)
		switch c.Attribute {
		case "key", "name":
			f.Add("a."+c.Attribute+" "+cond, args...)
		case "environment":
			f.Add("EXISTS (SELECT 1 FROM installations x WHERE x.account = a.id AND x.environment "+cond+")", args...)
		default:
			if n := sq.Numeric(c.Value); n != nil && (c.Op == store.AtLeast || c.Op == store.AtMost) {
				f.Add("EXISTS (SELECT 1 FROM attributes x WHERE x.account = a.id AND x.name = ? AND x.number "+string(c.Op)+" ?)", c.Attribute, n)
				continue
			}
			f.Add("EXISTS (SELECT 1 FROM attributes x WHERE x.account = a.id AND x.name = ? AND x.value "+cond+")", append([]any{c.Attribute}, args...)...)
		}
	}
	return f
}

func condition(c store.Filter) (string, []any) {
	switch c.Op {
	case store.NotEqual, store.AtLeast, store.AtMost:
		return string(c.Op) + " ?", []any{c.Value}
	case store.Contains:
		return `LIKE ? ESCAPE '\'`, []any{sq.Like(c.Value)}
	}
	return "= ?", []any{c.Value}
}

const accountColumns = `SELECT a.id, a.key, a.name, a.created, a.closed, coalesce(i.n, 0), coalesce(i.reporting, 0), coalesce(i.last, 0), coalesce(i.envs, '')
	FROM accounts a LEFT JOIN (SELECT account, count(*) n, count(CASE WHEN first_report > 0 THEN 1 END) reporting, max(last_report) last,
	group_concat(DISTINCT environment) envs FROM installations GROUP BY account) i ON i.account = a.id`

type accountRow struct {
	id int64
	store.AccountRow
}

func scanAccount(a *accountRow, scan func(...any) error) error {
	var envs string
	err := scan(&a.id, &a.Key, &a.Name, sq.When(&a.Created), &a.Closed, &a.Installations, &a.Reporting, sq.When(&a.LastReport), &envs)
	if envs != "" {
		a.Environments = strings.Split(envs, ",")
		slices.Sort(a.Environments)
	}
	return err
}

// AccountPage implements store.Accounts.
func (s *Store) AccountPage(ctx context.Context, q store.AccountQuery) (p store.AccountPage, err error) {
	f := accountFilter(q)
	if err := s.r.QueryRowContext(ctx, `SELECT count(*) FROM accounts a`+f.String(), f.Args...).Scan(&p.Total); err != nil {
		return p, fmt.Errorf("counting accounts: %w", err)
	}
	order, orderArgs := accountOrder(q)
	args := append(append(f.Args, orderArgs...), sq.Clamp(q.Limit, 50, 1000), max(q.Offset, 0))
	list, err := sq.Rows(ctx, s.r, scanAccount, accountColumns+f.String()+order+` LIMIT ? OFFSET ?`, args...)
	if err != nil {
		return p, fmt.Errorf("listing accounts: %w", err)
	}
	for i := range list {
		if err := s.fillAccount(ctx, &list[i], q); err != nil {
			return p, err
		}
		p.Rows = append(p.Rows, list[i].AccountRow)
	}
	return p, nil
}

func accountOrder(q store.AccountQuery) (string, []any) {
	dir := " ASC"
	if q.Desc {
		dir = " DESC"
	}
	switch q.Sort {
	case "key":
		return " ORDER BY a.key" + dir, nil
	case "installations":
		return " ORDER BY coalesce(i.n, 0)" + dir + ", a.name", nil
	case "last_report":
		return " ORDER BY coalesce(i.last, 0)" + dir + ", a.name", nil
	case "measure":
		// The low end of the newest week that told something; environments add up.
		return ` ORDER BY (SELECT sum(p.lo) FROM account_newest p WHERE p.account = a.id
			AND p.line IN (SELECT id FROM lines WHERE measure = ? AND field = ?))` + dir + ` NULLS LAST, a.name`, []any{q.Measure, int64(fieldOf(q.Field))}
	}
	if name, ok := strings.CutPrefix(q.Sort, "attr."); ok {
		one := `(SELECT x.%s FROM attributes x WHERE x.account = a.id AND x.name = ?)`
		return " ORDER BY " + fmt.Sprintf(one, "number") + dir + " NULLS LAST, " + fmt.Sprintf(one, "value") + " COLLATE NOCASE" + dir + " NULLS LAST, a.name", []any{name, name}
	}
	return " ORDER BY a.name COLLATE NOCASE" + dir + ", a.key", nil
}

func fieldOf(name string) report.Field {
	if f, err := report.ParseField(name); err == nil {
		return f
	}
	return report.Value
}

func (s *Store) fillAccount(ctx context.Context, a *accountRow, q store.AccountQuery) error {
	type pair struct{ k, v string }
	attrs, err := sq.Rows(ctx, s.r, func(p *pair, scan func(...any) error) error { return scan(&p.k, &p.v) },
		`SELECT name, value FROM attributes WHERE account = ?`, a.id)
	if err != nil {
		return fmt.Errorf("reading attributes of %s: %w", a.Key, err)
	}
	a.Attributes = make(map[string]string, len(attrs))
	for _, p := range attrs {
		a.Attributes[p.k] = p.v
	}
	if q.Measure == "" {
		return nil
	}
	var newest sql.NullInt64
	if err := s.r.QueryRowContext(ctx, `SELECT max(p.start) FROM account_periods p JOIN lines l ON l.id = p.line
		WHERE p.account = ? AND l.measure = ? AND l.field = ? AND p.period = ?`, a.id, q.Measure, int64(fieldOf(q.Field)), int64(store.Weekly)).Scan(&newest); err != nil {
		return fmt.Errorf("reading the newest week of %s: %w", a.Key, err)
	}
	if !newest.Valid {
		return nil
	}
	n := int64(sq.Clamp(q.Recent, 1, 104))
	ps, err := s.Periods(ctx, store.PeriodQuery{Measure: q.Measure, Field: fieldOf(q.Field), Account: a.Key, Grain: store.Weekly, From: newest.Int64 - 7*n, To: newest.Int64})
	if err != nil || len(ps) == 0 {
		return err
	}
	a.Measure = &ps[len(ps)-1]
	a.Recent = ps[:len(ps)-1]
	return nil
}

// Account implements store.Accounts.
func (s *Store) Account(ctx context.Context, key string) (store.AccountRow, error) {
	a, err := sq.One(sq.Rows(ctx, s.r, scanAccount, accountColumns+` WHERE a.key = ?`, key))
	if err == nil {
		err = s.fillAccount(ctx, &a, store.AccountQuery{})
	}
	if err != nil {
		return store.AccountRow{}, fmt.Errorf("reading account %s: %w", key, err)
	}
	return a.AccountRow, nil
}

// Periods implements store.Measurements.
func (s *Store) Periods(ctx context.Context, q store.PeriodQuery) ([]store.Period, error) {
	var f sq.Filter
	if q.Grain == 0 {
		q.Grain = store.Weekly
	}
	cols, from := `a.key, l.measure, l.hash, l.kind, l.field, p.start, p.lo, p.hi, 0, p.exact, p.banded, p.noised, p.suppressed, p.unknown, p.windows`,
		`account_periods p JOIN lines l ON l.id = p.line JOIN accounts a ON a.id = p.account`
	if q.Fleet {
		cols = `'', l.measure, l.hash, l.kind, l.field, p.start, p.lo, p.hi, p.open, p.exact, p.banded, p.noised, p.suppressed, p.unknown, p.windows`
		from = `fleet_periods p JOIN lines l ON l.id = p.line`
	} else if q.Account != "" {
		f.Add("p.account = (SELECT id FROM accounts WHERE key = ?)", q.Account)
	}
	f.Add("p.period = ?", int64(q.Grain))
	if q.Measure != "" {
		f.Add("p.line IN (SELECT id FROM lines WHERE measure = ?)", q.Measure)
	}
	if q.Field != 0 {
		f.Add("l.field = ?", int64(q.Field))
	}
	if q.From != 0 {
		f.Add("p.start >= ?", q.From)
	}
	if q.To != 0 {
		f.Add("p.start <= ?", q.To)
	}
	f.In("p.environment", q.Environments)
	list, err := sq.Rows(ctx, s.r, func(p *store.Period, scan func(...any) error) error {
		p.Grain = q.Grain
		var hi sql.NullFloat64
		var open int64
		err := scan(&p.Account, &p.Measure, &p.Hash, &p.Kind, &p.Field, &p.Start, &p.Interval.Lo, &hi, &open, &p.Exact, &p.Banded, &p.Noised, &p.Suppressed, &p.Unknown, &p.Windows)
		if p.Interval.Hi = hi.Float64; !hi.Valid || open > 0 {
			p.Interval.Hi = math.Inf(1)
		}
		return err
	}, `SELECT `+cols+` FROM `+from+f.String()+` ORDER BY 1, l.measure, l.hash, l.field, p.start, p.environment`, f.Args...)
	if err != nil {
		return nil, fmt.Errorf("reading periods: %w", err)
	}
	return store.JoinEnvironments(list, q.Fleet), nil
}

// civil is the civil day number of t's calendar date in UTC.
func civil(t time.Time) int64 { return report.CivilDay(t, time.UTC) }

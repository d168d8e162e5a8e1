package rollup

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite/sq"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Refill makes the roll-ups anew from the cells that are stored, so that what arrived before a roll-up existed is in it too.
//
// Sums of windows shorter than a day stay as they are: which week they fell into was decided in the zone their batch
// came from, which is not kept, and they are never of people. All else is made afresh.
func Refill(tx Tx) error {
	if err := markPool(tx); err != nil {
		return err
	}
	series, err := totals(tx)
	if err != nil {
		return err
	}
	for _, q := range []string{fmt.Sprintf(`DELETE FROM installation_periods WHERE grain >= %d`, report.Day),
		`DELETE FROM account_periods`, `DELETE FROM account_newest`, `DELETE FROM fleet_periods`} {
		if _, err := tx.Exec(q); err != nil {
			return err
		}
	}
	places, err := list(tx, func(p *Place, scan func(...any) error) error {
		return scan(&p.Installation, &p.Account, &p.Environment)
	}, `SELECT id, account, environment FROM installations ORDER BY id`)
	if err != nil {
		return err
	}
	for _, at := range places {
		if err := refillOne(tx, at, series); err != nil {
			return fmt.Errorf("making the sums of installation %d afresh: %w", at.Installation, err)
		}
	}
	return refreshAll(tx)
}

// markPool finds the series whose definition joins the pool.
func markPool(tx Tx) error {
	raws, err := list(tx, func(b *[]byte, scan func(...any) error) error { return scan(b) }, `SELECT raw FROM catalogs`)
	if err != nil {
		return err
	}
	for _, raw := range raws {
		c, err := catalog.Parse(raw)
		if err != nil { // was verified when it was added
			return fmt.Errorf("reading a stored catalog: %w", err)
		}
		for i := range c.Measures {
			if m := &c.Measures[i]; m.Pool {
				if _, err := tx.Exec(`UPDATE series SET pool = 1 WHERE measure = ? AND hash = ?`, m.ID, m.HashString()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

type known struct {
	*store.Series
	Line
}

// totals are the series that roll up, by id.
func totals(tx Tx) (map[int64]known, error) {
	type row struct {
		store.Series
		id    int64
		texts string
	}
	rows, err := list(tx, func(r *row, scan func(...any) error) error {
		return scan(&r.id, &r.Measure, &r.Hash, &r.Kind, &r.Subject, &r.Category, &r.Field, &r.Grain, &r.texts, &r.Pool)
	}, `SELECT id, measure, hash, kind, subject, category, field, grain, texts, pool FROM series WHERE dims = '{}' AND grain >= ? ORDER BY id`, int64(report.Day))
	if err != nil {
		return nil, err
	}
	out := map[int64]known{}
	for i := range rows {
		r := &rows[i]
		if err := json.Unmarshal([]byte(r.texts), &r.Texts); err != nil {
			return nil, fmt.Errorf("reading values of %s: %w", r.Measure, err)
		}
		l, err := LineOf(tx, &r.Series)
		if err != nil {
			return nil, err
		}
		if l.ID != 0 {
			out[r.id] = known{&r.Series, l}
		}
	}
	return out, nil
}

// refillOne makes an installation's rows; what it gathers is given back before the next one.
func refillOne(tx Tx, at Place, series map[int64]known) error {
	ids, err := list(tx, func(id *int64, scan func(...any) error) error { return scan(id) }, `SELECT series FROM latest WHERE installation = ? ORDER BY series`, at.Installation)
	if err != nil {
		return err
	}
	sums := New()
	for _, id := range ids {
		k, ok := series[id]
		if !ok {
			continue
		}
		cells, err := list(tx, func(c *store.Cell, scan func(...any) error) error {
			var lo, hi sql.NullFloat64
			err := scan(&c.Start, &c.Form, &lo, &hi)
			c.Lo, c.Hi = sq.Interval(c.Form, lo, hi)
			return err
		}, `SELECT start, form, lo, hi FROM cells WHERE installation = ? AND series = ?`, at.Installation, id)
		if err != nil {
			return err
		}
		for i := range cells {
			cells[i].Series = k.Series
			sums.Add(at, k.Line, &cells[i], time.UTC) // starts are civil days: no zone is asked
		}
	}
	_, err = sums.installations(tx)
	return err
}

// refreshAll makes every account's row, and with it the fleet's.
func refreshAll(tx Tx) error {
	type row struct {
		accountKey
		kind  string
		field report.Field
	}
	keys, err := list(tx, func(r *row, scan func(...any) error) error {
		return scan(&r.account, &r.environment, &r.ID, &r.period, &r.start, &r.kind, &r.field)
	}, `SELECT DISTINCT i.account, i.environment, p.line, p.period, p.start, l.kind, l.field
		FROM installation_periods p JOIN installations i ON i.id = p.installation JOIN lines l ON l.id = p.line ORDER BY 1, 2, 3, 4, 5`)
	if err != nil {
		return err
	}
	for _, r := range keys {
		r.Union = (&store.Series{Kind: r.kind, Field: r.field}).JoinsPeople()
		if err := r.refresh(tx); err != nil {
			return fmt.Errorf("making the sums of account %d afresh: %w", r.account, err)
		}
	}
	return nil
}

// list reads all rows before anything else is asked of the transaction.
func list[T any](tx Tx, scan func(*T, func(...any) error) error, query string, args ...any) ([]T, error) {
	rs, err := tx.Query(query, args...)
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

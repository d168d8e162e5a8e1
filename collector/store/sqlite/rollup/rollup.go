// Package rollup keeps the sums that pages read instead of cells: by week, month, 28 days and block of weeks, per
// installation, account and fleet.
//
// Invariants: an account's row is made afresh from its installations' rows whenever one of them changes, and the fleet's
// moves by the difference, so both always equal a recomputation. A figure that was given to the pool alone is in none of
// them. A figure with noise is counted as such at every step.
//
// States on disk: the tables lines, installation_periods, account_periods, account_newest and fleet_periods of the schema.
package rollup

import (
	"cmp"
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite/sq"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Tx is the transaction the rows are written in. Statements may stay prepared: a handful is used.
type Tx interface {
	Exec(query string, args ...any) (sql.Result, error)
	Query(query string, args ...any) (*sql.Rows, error)
	Row(query string, args ...any) *sql.Row
}

// Place is whose a figure is.
type Place struct {
	Installation, Account int64
	Environment           string
}

// Line is a row of sums; ID 0 is none.
type Line struct {
	ID    int64
	Union bool // max…sum across installations
}

// LineOf finds or makes the line of a series that is the total of its measure.
func LineOf(tx Tx, s *store.Series) (Line, error) {
	l := Line{Union: s.JoinsPeople()}
	if !s.RollsUp() {
		return l, nil
	}
	return l, tx.Row(`INSERT INTO lines (measure, hash, kind, field) VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET kind = excluded.kind RETURNING id`,
		s.Measure, s.Hash, s.Kind, int64(s.Field)).Scan(&l.ID)
}

// Sums gathers the windows of one transaction.
type Sums struct{ periods map[periodKey]*sums }

// New is empty.
func New() *Sums { return &Sums{map[periodKey]*sums{}} }

// periodKey is an installation's period of a line, before the accounts are brought up to date.
type periodKey struct {
	Place
	Line
	period report.Grain
	start  int64
	grain  report.Grain
}

// sums is what windows of one grain add up to within a period.
type sums struct {
	report.Interval
	exact, banded, noised, suppressed, unknown int64
}

// Add puts a window into the periods that hold it: days and finer into week and month, longer
// ones only into themselves.
func (r *Sums) Add(at Place, l Line, c *store.Cell, zone *time.Location) {
	if l.ID == 0 || c.Series.ForPool(c.Form) {
		return
	}
	k := periodKey{Place: at, Line: l, grain: c.Series.Grain}
	day := c.Start
	if !k.grain.Civil() {
		day = report.CivilDay(time.Unix(c.Start, 0), zone)
	}
	for _, p := range [...]report.Grain{store.Weekly, store.Monthly, report.Rolling28, report.Block4w, report.Block12w} {
		if k.grain != p && (k.grain > report.Day || p > store.Monthly) {
			continue
		}
		k.period, k.start = p, report.CivilStart(p, day)
		sum := r.periods[k]
		if sum == nil {
			sum = &sums{}
			r.periods[k] = sum
		}
		sum.add(c)
	}
}

func (s *sums) add(c *store.Cell) {
	switch f := c.Form; {
	case f == report.Suppressed:
		s.suppressed++
		return
	case f == report.Unknown:
		s.unknown++
		return
	case f == report.Noised:
		s.noised++
	case c.Lo == c.Hi: // also what follows from others to the unit
		s.exact++
	default:
		s.banded++
	}
	s.Interval = s.Interval.Add(report.Interval{Lo: c.Lo, Hi: c.Hi})
}

// Flush writes what was gathered, in the order of the keys: neighbours share pages.
func (r *Sums) Flush(tx Tx) error {
	accounts, err := r.installations(tx)
	if err != nil {
		return err
	}
	for _, k := range accounts {
		if err := k.refresh(tx); err != nil {
			return err
		}
	}
	return nil
}

// accountKey is a row of an account, in its fixed order.
type accountKey struct {
	account     int64
	environment string
	Line
	period report.Grain
	start  int64
}

// installations writes the installations' rows and says which accounts' they belong to.
func (r *Sums) installations(tx Tx) ([]accountKey, error) {
	keys := make([]periodKey, 0, len(r.periods))
	for k := range r.periods {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y periodKey) int {
		return cmp.Or(cmp.Compare(x.Installation, y.Installation), cmp.Compare(x.ID, y.ID),
			cmp.Compare(x.period, y.period), cmp.Compare(x.start, y.start), cmp.Compare(x.grain, y.grain))
	})
	seen := map[accountKey]bool{}
	var accounts []accountKey
	for _, k := range keys {
		s := r.periods[k]
		// NULL + x is NULL: an open top stays open.
		if _, err := tx.Exec(`INSERT INTO installation_periods (installation, line, period, start, grain, lo, hi, exact, banded, noised, suppressed, unknown)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET lo = lo + excluded.lo, hi = hi + excluded.hi, exact = exact + excluded.exact,
			banded = banded + excluded.banded, noised = noised + excluded.noised, suppressed = suppressed + excluded.suppressed, unknown = unknown + excluded.unknown`,
			k.Installation, k.ID, int64(k.period), k.start, int64(k.grain), s.Lo, sq.Number(s.Hi), s.exact, s.banded, s.noised, s.suppressed, s.unknown); err != nil {
			return nil, err
		}
		if ak := (accountKey{k.Account, k.Environment, k.Line, k.period, k.start}); !seen[ak] {
			seen[ak] = true
			accounts = append(accounts, ak)
		}
	}
	return accounts, nil
}

// refresh makes an account's row afresh.
func (k accountKey) refresh(tx Tx) error {
	now, err := k.sum(tx)
	if err != nil {
		return err
	}
	return k.put(tx, now)
}

// total is a roll-up over installations or accounts.
type total struct {
	report.Tally
	windows int64
}

// sum joins the installations of an account and environment. Of an installation that
// told several grains, the one that covers most of the period speaks, the coarser of equals:
// the same events stand in each.
func (k accountKey) sum(tx Tx) (total, error) {
	rs, err := tx.Query(`SELECT p.installation, p.grain, p.lo, p.hi, p.exact, p.banded, p.noised, p.suppressed, p.unknown
		FROM installations i JOIN installation_periods p ON p.installation = i.id AND p.line = ? AND p.period = ? AND p.start = ?
		WHERE i.account = ? AND i.environment = ? ORDER BY p.installation`, k.ID, int64(k.period), k.start, k.account, k.environment)
	if err != nil {
		return total{}, err
	}
	defer rs.Close()
	type one struct {
		sums
		inst, covers, n int64
	}
	var best []one
	for rs.Next() {
		var o one
		var grain report.Grain
		var hi sql.NullFloat64
		if err := rs.Scan(&o.inst, &grain, &o.Lo, &hi, &o.exact, &o.banded, &o.noised, &o.suppressed, &o.unknown); err != nil {
			return total{}, err
		}
		if o.Hi = math.Inf(1); hi.Valid {
			o.Hi = hi.Float64
		}
		o.n = o.exact + o.banded + o.noised + o.suppressed + o.unknown
		o.covers = o.n * seconds(grain)
		if n := len(best); n > 0 && best[n-1].inst == o.inst {
			if o.covers >= best[n-1].covers { // rows come finest first
				best[n-1] = o
			}
			continue
		}
		best = append(best, o)
	}
	var t total
	for _, o := range best {
		f, i := o.told()
		before, told := t.Interval, t.Told()
		t.Add(f, i)
		if k.Union && f.HasNumbers() && told > 0 {
			t.Interval = before.Union(i)
		}
		t.windows += o.n
	}
	return t, rs.Err()
}

// told is the form and interval of one installation's period. Where some windows were told
// and others not, the sum has no top.
func (s *sums) told() (report.Form, report.Interval) {
	i, missing := s.Interval, s.suppressed+s.unknown > 0
	if missing {
		i.Hi = math.Inf(1)
	}
	switch told := s.exact + s.banded + s.noised; {
	case told == 0 && s.suppressed > 0:
		return report.Suppressed, report.Interval{}
	case told == 0:
		return report.Unknown, report.Interval{}
	case s.noised > 0:
		return report.Noised, i
	case missing || s.banded > 0:
		return report.Band, i
	}
	return report.Exact, i
}

func seconds(g report.Grain) int64 {
	switch g {
	case report.FiveMinutes:
		return 300
	case report.Hour:
		return 3600
	case report.Week:
		return 7 * 86400
	case report.Month, report.Rolling28, report.Block4w:
		return 28 * 86400
	case report.Block12w:
		return 84 * 86400
	}
	return 86400
}

// put replaces an account's period and moves the fleet's by the difference.
func (k accountKey) put(tx Tx, now total) error {
	var old total
	var hi sql.NullFloat64
	err := tx.Row(`SELECT lo, hi, exact, banded, noised, suppressed, unknown, windows FROM account_periods
		WHERE account = ? AND line = ? AND period = ? AND environment = ? AND start = ?`, k.account, k.ID, int64(k.period), k.environment, k.start).
		Scan(&old.Lo, &hi, &old.Exact, &old.Banded, &old.Noised, &old.Suppressed, &old.Unknown, &old.windows)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if old.Hi = math.Inf(1); hi.Valid || err != nil {
		old.Hi = hi.Float64
	}
	if _, err := tx.Exec(`INSERT OR REPLACE INTO account_periods (account, line, period, environment, start, lo, hi, exact, banded, noised, suppressed, unknown, windows)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`, k.account, k.ID, int64(k.period), k.environment, k.start, now.Lo, sq.Number(now.Hi), now.Exact, now.Banded,
		now.Noised, now.Suppressed, now.Unknown, now.windows); err != nil {
		return err
	}
	if err := k.putNewest(tx, now); err != nil {
		return err
	}
	d := asOne(now).minus(asOne(old))
	if err != nil {
		d = asOne(now)
	}
	_, err = tx.Exec(`INSERT INTO fleet_periods (line, period, environment, start, lo, hi, open, exact, banded, noised, suppressed, unknown, windows)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET lo = lo + excluded.lo, hi = hi + excluded.hi, open = open + excluded.open,
		exact = exact + excluded.exact, banded = banded + excluded.banded, noised = noised + excluded.noised, suppressed = suppressed + excluded.suppressed,
		unknown = unknown + excluded.unknown, windows = windows + excluded.windows`,
		k.ID, int64(k.period), k.environment, k.start, d.lo, d.hi, d.open, d.exact, d.banded, d.noised, d.suppressed, d.unknown, d.windows)
	return err
}

func (k accountKey) putNewest(tx Tx, now total) error {
	if k.period != store.Weekly || now.Told() == 0 {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO account_newest (account, line, environment, start, lo) VALUES (?,?,?,?,?)
		ON CONFLICT DO UPDATE SET start = excluded.start, lo = excluded.lo WHERE excluded.start >= start`, k.account, k.ID, k.environment, k.start, now.Lo)
	return err
}

// share is what one account puts into the fleet's sum: itself, once, in the form of its sum.
type share struct {
	lo, hi                                                    float64
	open, exact, banded, noised, suppressed, unknown, windows int64
}

func asOne(t total) share {
	s := share{lo: t.Lo, hi: t.Hi, windows: t.windows}
	if math.IsInf(t.Hi, 1) {
		s.hi, s.open = 0, 1
	}
	switch t.Form() {
	case report.Suppressed:
		s.suppressed = 1
	case report.Unknown:
		s.unknown = 1
	case report.Exact:
		s.exact = 1
	case report.Noised:
		s.noised = 1
	default:
		s.banded = 1
	}
	return s
}

func (s share) minus(o share) share {
	return share{s.lo - o.lo, s.hi - o.hi, s.open - o.open, s.exact - o.exact, s.banded - o.banded,
		s.noised - o.noised, s.suppressed - o.suppressed, s.unknown - o.unknown, s.windows - o.windows}
}

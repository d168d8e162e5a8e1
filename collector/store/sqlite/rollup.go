package sqlite

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

// periodKey is an installation's period of a line, before the accounts are brought up to date.
type periodKey struct {
	place
	line   int64
	period report.Grain
	start  int64
	grain  report.Grain
	union  bool
}

// sums is what windows of one grain add up to within a period.
type sums struct {
	report.Interval
	exact, banded, suppressed, unknown int64
}

// roll adds a window to the periods that hold it: days and finer to week and month, longer
// ones only to themselves.
func (a *applying) roll(at place, s seriesInfo, c *store.Cell, zone *time.Location) {
	k := periodKey{place: at, line: s.line, grain: c.Series.Grain, union: s.union}
	day := c.Start
	if !k.grain.Civil() {
		day = report.CivilDay(time.Unix(c.Start, 0), zone)
	}
	for _, p := range [...]report.Grain{store.Weekly, store.Monthly, report.Rolling28, report.Block4w, report.Block12w} {
		if k.grain != p && (k.grain > report.Day || p > store.Monthly) {
			continue
		}
		k.period, k.start = p, report.CivilStart(p, day)
		sum := a.periods[k]
		if sum == nil {
			sum = &sums{}
			a.periods[k] = sum
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
	case c.Lo == c.Hi && f != report.Noised: // also what follows from others to the unit
		s.exact++
	default: // a figure with noise too: see store.Period.Form
		s.banded++
	}
	s.Interval = s.Interval.Add(report.Interval{Lo: c.Lo, Hi: c.Hi})
}

func (a *applying) flushPeriods() error {
	keys := make([]periodKey, 0, len(a.periods))
	for k := range a.periods {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y periodKey) int {
		return cmp.Or(cmp.Compare(x.installation, y.installation), cmp.Compare(x.line, y.line),
			cmp.Compare(x.period, y.period), cmp.Compare(x.start, y.start), cmp.Compare(x.grain, y.grain))
	})
	type accountKey struct {
		account     int64
		environment string
		line        int64
		period      report.Grain
		start       int64
		union       bool
	}
	seen := map[accountKey]bool{}
	var accounts []accountKey
	for _, k := range keys {
		s := a.periods[k]
		// NULL + x is NULL: an open top stays open.
		if _, err := a.exec(`INSERT INTO installation_periods (installation, line, period, start, grain, lo, hi, exact, banded, suppressed, unknown)
			VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET lo = lo + excluded.lo, hi = hi + excluded.hi, exact = exact + excluded.exact,
			banded = banded + excluded.banded, suppressed = suppressed + excluded.suppressed, unknown = unknown + excluded.unknown`,
			k.installation, k.line, int64(k.period), k.start, int64(k.grain), s.Lo, sq.Number(s.Hi), s.exact, s.banded, s.suppressed, s.unknown); err != nil {
			return err
		}
		ak := accountKey{k.account, k.environment, k.line, k.period, k.start, k.union}
		if !seen[ak] {
			seen[ak] = true
			accounts = append(accounts, ak)
		}
	}
	for _, k := range accounts {
		now, err := a.accountSum(k.account, k.environment, k.line, k.period, k.start, k.union)
		if err != nil {
			return err
		}
		if err := a.putAccount(k.account, k.environment, k.line, k.period, k.start, now); err != nil {
			return err
		}
	}
	return nil
}

// total is a roll-up over installations or accounts.
type total struct {
	report.Tally
	windows int64
}

// accountSum joins the installations of an account and environment. Of an installation that
// told several grains, the one that covers most of the period speaks, the coarser of equals:
// the same events stand in each.
func (a *applying) accountSum(account int64, environment string, line int64, period report.Grain, start int64, union bool) (total, error) {
	st, err := a.stmt(`SELECT p.installation, p.grain, p.lo, p.hi, p.exact, p.banded, p.suppressed, p.unknown
		FROM installations i JOIN installation_periods p ON p.installation = i.id AND p.line = ? AND p.period = ? AND p.start = ?
		WHERE i.account = ? AND i.environment = ? ORDER BY p.installation`)
	if err != nil {
		return total{}, err
	}
	rs, err := st.QueryContext(a.ctx, line, int64(period), start, account, environment)
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
		if err := rs.Scan(&o.inst, &grain, &o.Lo, &hi, &o.exact, &o.banded, &o.suppressed, &o.unknown); err != nil {
			return total{}, err
		}
		if o.Hi = math.Inf(1); hi.Valid {
			o.Hi = hi.Float64
		}
		o.n = o.exact + o.banded + o.suppressed + o.unknown
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
		before := t.Interval
		t.Add(f, i)
		if union && (f == report.Exact || f == report.Band) {
			t.Interval = before.Union(i)
		}
		t.windows += o.n
	}
	return t, rs.Err()
}

// told is the form and interval of one installation's period. Where some windows were told
// and others not, the sum has no top.
func (s *sums) told() (report.Form, report.Interval) {
	switch {
	case s.exact+s.banded == 0 && s.suppressed > 0:
		return report.Suppressed, report.Interval{}
	case s.exact+s.banded == 0:
		return report.Unknown, report.Interval{}
	case s.suppressed+s.unknown > 0:
		return report.Band, report.Interval{Lo: s.Lo, Hi: math.Inf(1)}
	case s.banded > 0:
		return report.Band, s.Interval
	}
	return report.Exact, s.Interval
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

// putAccount replaces an account's period and moves the fleet's by the difference.
func (a *applying) putAccount(account int64, environment string, line int64, period report.Grain, start int64, now total) error {
	var old total
	var hi sql.NullFloat64
	err := a.row(`SELECT lo, hi, exact, banded, suppressed, unknown, windows FROM account_periods
		WHERE account = ? AND line = ? AND period = ? AND environment = ? AND start = ?`, account, line, int64(period), environment, start).
		Scan(&old.Lo, &hi, &old.Exact, &old.Banded, &old.Suppressed, &old.Unknown, &old.windows)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if old.Hi = math.Inf(1); hi.Valid || err != nil {
		old.Hi = hi.Float64
	}
	if _, err := a.exec(`INSERT OR REPLACE INTO account_periods (account, line, period, environment, start, lo, hi, exact, banded, suppressed, unknown, windows)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`, account, line, int64(period), environment, start, now.Lo, sq.Number(now.Hi), now.Exact, now.Banded,
		now.Suppressed, now.Unknown, now.windows); err != nil {
		return err
	}
	if err := a.putNewest(account, environment, line, period, start, now); err != nil {
		return err
	}
	d := asOne(now).minus(asOne(old))
	if err != nil {
		d = asOne(now)
	}
	_, err = a.exec(`INSERT INTO fleet_periods (line, period, environment, start, lo, hi, open, exact, banded, suppressed, unknown, windows)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET lo = lo + excluded.lo, hi = hi + excluded.hi, open = open + excluded.open,
		exact = exact + excluded.exact, banded = banded + excluded.banded, suppressed = suppressed + excluded.suppressed,
		unknown = unknown + excluded.unknown, windows = windows + excluded.windows`,
		line, int64(period), environment, start, d.lo, d.hi, d.open, d.exact, d.banded, d.suppressed, d.unknown, d.windows)
	return err
}

func (a *applying) putNewest(account int64, environment string, line int64, period report.Grain, start int64, now total) error {
	if period != store.Weekly || now.Told() == 0 {
		return nil
	}
	_, err := a.exec(`INSERT INTO account_newest (account, line, environment, start, lo) VALUES (?,?,?,?,?)
		ON CONFLICT DO UPDATE SET start = excluded.start, lo = excluded.lo WHERE excluded.start >= start`, account, line, environment, start, now.Lo)
	return err
}

// share is what one account puts into the fleet's sum: itself, once, in the form of its sum.
type share struct {
	lo, hi                                            float64
	open, exact, banded, suppressed, unknown, windows int64
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
	default:
		s.banded = 1
	}
	return s
}

func (s share) minus(o share) share {
	return share{s.lo - o.lo, s.hi - o.hi, s.open - o.open, s.exact - o.exact, s.banded - o.banded,
		s.suppressed - o.suppressed, s.unknown - o.unknown, s.windows - o.windows}
}

type coverKey struct {
	series int64
	form   report.Form
}

type coverDelta struct{ n, newest int64 }

// covered notes that an installation's newest total took on (or left) a form.
func (a *applying) covered(k coverKey, n, start int64) {
	d := a.cover[k]
	d.n += n
	d.newest = max(d.newest, start)
	a.cover[k] = d
}

func (a *applying) flushCoverage() error {
	for k, d := range a.cover {
		if _, err := a.exec(`INSERT INTO coverage (series, form, n, newest) VALUES (?,?,?,?)
			ON CONFLICT DO UPDATE SET n = n + excluded.n, newest = max(newest, excluded.newest)`, k.series, int64(k.form), d.n, d.newest); err != nil {
			return err
		}
	}
	return nil
}

package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite/pool"
	"github.com/fieldpost/fieldpost/collector/store/sqlite/sq"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// scanned is a figure on its way out of the tables.
type scanned struct {
	measure, hash string
	field         report.Field
	grain         report.Grain
	dims, texts   string
	start         int64
	form          report.Form
	lo, hi        sql.NullFloat64
	blob          []byte
	pool          bool
}

// hidden is the form whose figures of the series are the pool's alone; −1 is none.
func (s *scanned) hidden() int64 {
	if one := (store.Series{Grain: s.grain, Pool: s.pool}); one.ForPool(report.Noised) {
		return int64(report.Noised)
	}
	return -1
}

// notPooled leaves out of a query what was given to the pool alone: see store.Series.ForPool.
func notPooled(form string) string {
	return fmt.Sprintf("NOT (s.pool = 1 AND s.grain = %d AND %s = %d)", report.Block12w, form, report.Noised)
}

func (s *scanned) figure() (report.Figure, error) {
	f := report.Figure{Measure: s.measure, Hash: s.hash, Field: s.field, Grain: s.grain, Start: s.start, Form: s.form, Blob: s.blob, Dims: map[string]string{}}
	f.Lo, f.Hi = sq.Interval(s.form, s.lo, s.hi)
	if s.dims != "{}" {
		if err := json.Unmarshal([]byte(s.dims), &f.Dims); err != nil {
			return f, fmt.Errorf("reading dimensions of %s: %w", s.measure, err)
		}
	}
	if s.texts != "null" && s.field == report.Value && s.form == report.Exact {
		var texts []string
		if err := json.Unmarshal([]byte(s.texts), &texts); err != nil {
			return f, fmt.Errorf("reading values of %s: %w", s.measure, err)
		}
		if i := int(f.Lo); i >= 0 && i < len(texts) {
			f.Text = texts[i]
		}
	}
	return f, nil
}

// figureFilter narrows latest, which knows every (installation, series) there is. Pairs whose
// windows all lie outside From and To are left out by their first and newest window.
func figureFilter(q store.FigureQuery) (f sq.Filter) {
	if q.Account != "" {
		f.Add(`l.installation IN (SELECT i.id FROM installations i JOIN accounts a ON a.id = i.account WHERE a.key = ? AND (? = '' OR i.key = ?))`, q.Account, q.Installation, q.Installation)
	}
	var g sq.Filter
	if q.Measure != "" {
		g.Add("measure = ?", q.Measure)
	}
	if q.Grain != 0 {
		g.Add("grain = ?", int64(q.Grain))
	}
	if q.Field != 0 {
		g.Add("field = ?", int64(q.Field))
	}
	if q.Dims != nil {
		g.Add("dims = ?", store.DimsKey(q.Dims))
	}
	if len(g.Args) > 0 {
		f.Add("+l.series IN (SELECT id FROM series"+g.String()+")", g.Args...)
	}
	civilGrains := fmt.Sprintf("s.grain BETWEEN %d AND %d", report.Day, report.Block12w)
	if !q.From.IsZero() {
		f.Add("l.start >= CASE WHEN "+civilGrains+" THEN ? ELSE ? END", civil(q.From), q.From.Unix())
	}
	if !q.To.IsZero() {
		f.Add("l.first <= CASE WHEN "+civilGrains+" THEN ? ELSE ? END", civil(q.To), q.To.Unix())
	}
	return f
}

// Figures implements store.Measurements. It walks latest in the order of its key and reads
// the cells of each pair as one range, until the page is full: nothing is sorted, and what
// lies behind the page is not looked at.
func (s *Store) Figures(ctx context.Context, q store.FigureQuery) (p store.FigurePage, err error) {
	f := figureFilter(q)
	var inst, series, start int64
	if q.After != "" {
		if _, err := fmt.Sscanf(q.After, "%d.%d.%d", &inst, &series, &start); err != nil {
			return p, fmt.Errorf("reading the page mark %q: %w", q.After, store.ErrNotFound)
		}
		f.Add("(l.installation > ? OR l.installation = ? AND l.series >= ?)", inst, inst, series)
		f.Add("l.installation >= ?", inst)
	}
	limit := sq.Clamp(q.Limit, 1000, 10_000)
	pairs, err := s.r.QueryContext(ctx, `SELECT a.key, i.key, i.environment, l.installation, l.series, s.measure, s.hash, s.field, s.grain, s.dims, s.texts, s.pool
		FROM latest l NOT INDEXED CROSS JOIN series s ON s.id = l.series CROSS JOIN installations i ON i.id = l.installation CROSS JOIN accounts a ON a.id = i.account`+
		f.String()+` ORDER BY l.installation, l.series`, f.Args...)
	if err != nil {
		return p, fmt.Errorf("reading figures: %w", err)
	}
	defer pairs.Close()
	for pairs.Next() {
		var r store.FigureRow
		var sc scanned
		var in, se int64
		if err := pairs.Scan(&r.Account, &r.Installation, &r.Environment, &in, &se, &sc.measure, &sc.hash, &sc.field, &sc.grain, &sc.dims, &sc.texts, &sc.pool); err != nil {
			return p, fmt.Errorf("reading figures: %w", err)
		}
		from, to := bounds(q, sc.grain)
		if in == inst && se == series && q.After != "" {
			from = max(from, start+1) // start may be the least there is: then all of them
		}
		more, err := s.cellsOf(ctx, &p, r, sc, in, se, from, to, limit)
		if err != nil || more {
			return p, err
		}
	}
	return p, pairs.Err()
}

// bounds are From and To in a grain's own starts.
func bounds(q store.FigureQuery, g report.Grain) (from, to int64) {
	from, to = math.MinInt64, math.MaxInt64
	at := time.Time.Unix
	if g.Civil() {
		at = civil
	}
	if !q.From.IsZero() {
		from = at(q.From)
	}
	if !q.To.IsZero() {
		to = at(q.To)
	}
	return from, to
}

// cellsOf adds the cells of one pair to the page. more: the page is full and there is at least
// one more.
func (s *Store) cellsOf(ctx context.Context, p *store.FigurePage, r store.FigureRow, sc scanned, inst, series, from, to int64, limit int) (more bool, err error) {
	rs, err := s.hot.QueryContext(ctx, `SELECT start, form, lo, hi, blob FROM cells WHERE installation = ? AND series = ? AND start BETWEEN ? AND ? AND form <> ? ORDER BY start LIMIT ?`,
		inst, series, from, to, sc.hidden(), limit-len(p.Rows)+1)
	if err != nil {
		return false, fmt.Errorf("reading figures: %w", err)
	}
	defer rs.Close()
	given := int64(math.MinInt64) // the newest start of this pair that is on a page
	if from > math.MinInt64 {
		given = from - 1
	}
	for rs.Next() {
		if len(p.Rows) == limit {
			p.Next = fmt.Sprintf("%d.%d.%d", inst, series, given)
			return true, nil
		}
		if err := rs.Scan(&sc.start, &sc.form, &sc.lo, &sc.hi, &sc.blob); err != nil {
			return false, fmt.Errorf("reading figures: %w", err)
		}
		if r.Figure, err = sc.figure(); err != nil {
			return false, err
		}
		given = sc.start
		p.Rows = append(p.Rows, r)
	}
	return false, rs.Err()
}

// Latest implements store.Measurements.
func (s *Store) Latest(ctx context.Context, account, installation string) ([]store.LatestRow, error) {
	return sq.Rows(ctx, s.r, func(r *store.LatestRow, scan func(...any) error) error {
		var sc scanned
		err := scan(&r.Account, &r.Installation, &sc.measure, &sc.hash, &sc.field, &sc.grain, &sc.dims, &sc.texts, &sc.start, &sc.form, &sc.lo, &sc.hi, &r.First, &r.Windows)
		if err == nil {
			r.Figure, err = sc.figure()
		}
		return err
	}, `SELECT a.key, i.key, s.measure, s.hash, s.field, s.grain, s.dims, s.texts, l.start, l.form, l.lo, l.hi, l.first, l.n
		FROM accounts a JOIN installations i ON i.account = a.id JOIN latest l ON l.installation = i.id JOIN series s ON s.id = l.series
		WHERE a.key = ?1 AND (?2 = '' OR i.key = ?2) AND `+notPooled("l.form")+` ORDER BY i.key, s.measure, s.hash, s.grain, s.dims, s.field`, account, installation)
}

// Pooled implements store.Pool.
func (s *Store) Pooled(ctx context.Context, q store.PoolQuery) ([]store.PoolRow, error) {
	return pool.Sums(ctx, s.r, q)
}

// Coverage implements store.Measurements. A measure has several series (fields, grains);
// the one that most installations tell stands for it.
func (s *Store) Coverage(ctx context.Context) ([]store.Coverage, error) {
	var reporting int
	if err := s.r.QueryRowContext(ctx, `SELECT count(*) FROM installations WHERE first_report > 0`).Scan(&reporting); err != nil {
		return nil, fmt.Errorf("counting installations: %w", err)
	}
	type row struct {
		store.Coverage
		newest int64
		grain  report.Grain
	}
	list, err := sq.Rows(ctx, s.r, func(r *row, scan func(...any) error) error {
		return scan(&r.Measure, &r.Hash, &r.Kind, &r.Subject, &r.Category, &r.grain, &r.Exact, &r.Banded, &r.Noised, &r.Suppressed, &r.newest)
	}, fmt.Sprintf(`SELECT s.measure, s.hash, s.kind, s.subject, s.category, s.grain,
		sum(CASE WHEN c.form = %d THEN c.n ELSE 0 END), sum(CASE WHEN c.form IN (%d, %d, %d) THEN c.n ELSE 0 END),
		sum(CASE WHEN c.form = %d THEN c.n ELSE 0 END), sum(CASE WHEN c.form = %d THEN c.n ELSE 0 END), max(c.newest)
		FROM coverage c JOIN series s ON s.id = c.series GROUP BY s.id ORDER BY s.measure, s.hash`,
		report.Exact, report.Band, report.Share, report.Implied, report.Noised, report.Suppressed))
	if err != nil {
		return nil, fmt.Errorf("reading coverage: %w", err)
	}
	told := func(c *store.Coverage) [2]int { return [2]int{c.Exact + c.Banded + c.Noised, c.Suppressed} }
	var out []store.Coverage
	for _, r := range list {
		c := r.Coverage
		c.Unknown = max(0, reporting-c.Exact-c.Banded-c.Noised-c.Suppressed)
		c.Newest, _ = report.WindowTimes(r.grain, r.newest, time.UTC)
		if n := len(out); n > 0 && out[n-1].Measure == c.Measure && out[n-1].Hash == c.Hash {
			a, b := told(&out[n-1]), told(&c)
			if b[0] > a[0] || b[0] == a[0] && b[1] > a[1] {
				out[n-1] = c
			}
			continue
		}
		out = append(out, c)
	}
	return out, nil
}

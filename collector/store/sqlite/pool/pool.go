// Package pool adds up what sites told the pool. It reads the cells themselves, and may: of a pooled measure a site has
// some tens of figures a block, and only blocks of 12 weeks are looked at. It keeps nothing on disk.
package pool

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite/sq"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Sums are the rows of store.Pool.
func Sums(ctx context.Context, db sq.Querier, q store.PoolQuery) ([]store.PoolRow, error) {
	var f sq.Filter
	f.Add("s.pool = 1")
	f.Add("s.grain = ?", int64(report.Block12w))
	f.Add("c.form = ?", int64(report.Noised))
	if q.Measure != "" {
		f.Add("s.measure = ?", q.Measure)
	}
	if q.From != 0 {
		f.Add("c.start >= ?", q.From)
	}
	if q.To != 0 {
		f.Add("c.start <= ?", q.To)
	}
	f.In("i.environment", q.Environments)
	out, err := sq.Rows(ctx, db, func(r *store.PoolRow, scan func(...any) error) error {
		var dims string
		if err := scan(&r.Measure, &r.Hash, &r.Kind, &r.Field, &dims, &r.Start, &r.Accounts, &r.Sites, &r.Sum); err != nil {
			return err
		}
		r.Dims = map[string]string{}
		if err := json.Unmarshal([]byte(dims), &r.Dims); err != nil {
			return fmt.Errorf("reading dimensions of %s: %w", r.Measure, err)
		}
		return nil
	}, `SELECT s.measure, s.hash, s.kind, s.field, s.dims, c.start, count(DISTINCT i.account), count(*), sum(c.lo)
		FROM series s CROSS JOIN latest l INDEXED BY latest_series ON l.series = s.id
		CROSS JOIN cells c ON c.installation = l.installation AND c.series = l.series
		CROSS JOIN installations i ON i.id = l.installation`+f.String()+`
		GROUP BY s.id, c.start ORDER BY s.measure, s.hash, c.start, s.dims <> '{}', s.dims, s.field`, f.Args...)
	if err != nil {
		return nil, fmt.Errorf("adding up the pool: %w", err)
	}
	return out, nil
}

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Backlog implements store.Measurements; store.Due says what is due.
func (s *Store) Backlog(ctx context.Context, account, installation string, now time.Time) ([]store.Backlog, error) {
	inst, err := s.Installation(ctx, account, installation)
	if err != nil {
		return nil, err
	}
	if inst.Simulated {
		if now, err = s.Clock(ctx); err != nil {
			return nil, err
		}
	}
	if inst.Statement == (exchange.Hash{}) || inst.Paused {
		return nil, nil
	}
	kept, err := s.Statement(ctx, inst.Statement)
	if err != nil {
		return nil, err
	}
	st, err := kept.Signed.Parse()
	if err != nil {
		return nil, err
	}
	cat, err := s.parsed(ctx, st.Catalog)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil // nothing accepted that is known here
	} else if err != nil {
		return nil, err
	}
	latest, err := s.Latest(ctx, account, installation)
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(inst.Zone)
	if err != nil {
		zone = time.UTC
	}
	var out []store.Backlog
	for i := range cat.Measures {
		out = append(out, store.Due(cat, &cat.Measures[i], st, latest, now, zone)...)
	}
	return out, nil
}

// parsed catalogs are few and immutable.
func (s *Store) parsed(ctx context.Context, hash exchange.Hash) (*catalog.Catalog, error) {
	s.catMu.Lock()
	c := s.catalogs[hash]
	s.catMu.Unlock()
	if c != nil {
		return c, nil
	}
	row, err := s.Catalog(ctx, hash)
	if err != nil {
		return nil, err
	}
	if c, err = catalog.Parse(row.Raw); err != nil {
		return nil, fmt.Errorf("parsing catalog %s: %w", hash, err)
	}
	s.catMu.Lock()
	s.catalogs[hash] = c
	s.catMu.Unlock()
	return c, nil
}

package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite/sq"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// AddToken implements store.Enrolment.
func (s *Store) AddToken(ctx context.Context, t store.Token) error {
	err := s.write(ctx, func(tx *sql.Conn) error {
		inst, err := ensureInstallation(ctx, tx, t)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO tokens (id, pub, installation, max_uses, created, expires, by) VALUES (?,?,?,?,?,?,?)`,
			t.ID[:], t.Key, inst, t.MaxUses, sq.NS(t.Created), sq.NS(t.Expires), t.By)
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping a token for %s/%s: %w", t.Account, t.Installation, err)
	}
	return nil
}

func ensureInstallation(ctx context.Context, tx *sql.Conn, t store.Token) (int64, error) {
	if _, err := tx.ExecContext(ctx, `INSERT INTO accounts (key, name, created) VALUES (?1,?1,?2) ON CONFLICT DO NOTHING`, t.Account, sq.NS(t.Created)); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO installations (account, key, environment, created)
		SELECT id, ?, ?, ? FROM accounts WHERE key = ? ON CONFLICT DO NOTHING`, t.Installation, t.Environment, sq.NS(t.Created), t.Account); err != nil {
		return 0, err
	}
	var id int64
	var env string
	err := tx.QueryRowContext(ctx, `SELECT i.id, i.environment FROM installations i JOIN accounts a ON a.id = i.account WHERE a.key = ? AND i.key = ?`,
		t.Account, t.Installation).Scan(&id, &env)
	if err == nil && env != t.Environment {
		err = fmt.Errorf("%w: its environment is %s, not %s", store.ErrConflict, env, t.Environment)
	}
	return id, err
}

const tokenColumns = `SELECT t.id, t.pub, a.key, i.key, i.environment, t.max_uses, t.uses, t.created, t.expires, t.revoked, t.by
	FROM tokens t JOIN installations i ON i.id = t.installation JOIN accounts a ON a.id = i.account `

func scanToken(t *store.Token, scan func(...any) error) error {
	return scan(sq.Fixed(t.ID[:]), &t.Key, &t.Account, &t.Installation, &t.Environment, &t.MaxUses, &t.Uses,
		sq.When(&t.Created), sq.When(&t.Expires), sq.When(&t.Revoked), &t.By)
}

// Token implements store.Enrolment.
func (s *Store) Token(ctx context.Context, id exchange.ID) (store.Token, error) {
	t, err := sq.One(sq.Rows(ctx, s.r, scanToken, tokenColumns+`WHERE t.id = ?`, id[:]))
	if err != nil {
		return t, fmt.Errorf("reading token %s: %w", id, err)
	}
	return t, nil
}

// Tokens implements store.Enrolment.
func (s *Store) Tokens(ctx context.Context, limit int) ([]store.Token, error) {
	return sq.Rows(ctx, s.r, scanToken, tokenColumns+`ORDER BY t.created DESC, t.id LIMIT ?`, sq.Clamp(limit, 100, 10_000))
}

// RevokeToken implements store.Enrolment.
func (s *Store) RevokeToken(ctx context.Context, id exchange.ID, at time.Time) error {
	err := s.set(ctx, `UPDATE tokens SET revoked = CASE revoked WHEN 0 THEN ? ELSE revoked END WHERE id = ?`, sq.NS(at), id[:])
	if err != nil {
		return fmt.Errorf("revoking token %s: %w", id, err)
	}
	return nil
}

// Join implements store.Enrolment.
func (s *Store) Join(ctx context.Context, token exchange.ID, pub []byte, now time.Time) (store.Agent, error) {
	id := exchange.AgentID(pub)
	var a store.Agent
	err := s.write(ctx, func(tx *sql.Conn) error {
		var before []byte
		err := tx.QueryRowContext(ctx, `SELECT token FROM agents WHERE id = ?`, id[:]).Scan(&before)
		switch {
		case err == nil && string(before) == string(token[:]):
			a, err = sq.One(sq.Rows(ctx, tx, scanAgent, agentColumns+`WHERE g.id = ?`, id[:]))
			return err
		case err == nil:
			return fmt.Errorf("%w: the key joined with another token", store.ErrConflict)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		// The conditions stand in the update itself: that is what makes max uses exact.
		err = sq.Changed(tx.ExecContext(ctx, `UPDATE tokens SET uses = uses + 1
			WHERE id = ? AND uses < max_uses AND revoked = 0 AND expires > ?`, token[:], sq.NS(now)))
		if errors.Is(err, store.ErrNotFound) {
			return store.ErrSpent
		} else if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO agents (id, pub, installation, token, joined)
			SELECT ?, ?, installation, id, ? FROM tokens WHERE id = ?`, id[:], pub, sq.NS(now), token[:]); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE installations SET agents = agents + 1 WHERE id = (SELECT installation FROM agents WHERE id = ?)`, id[:]); err != nil {
			return err
		}
		a, err = sq.One(sq.Rows(ctx, tx, scanAgent, agentColumns+`WHERE g.id = ?`, id[:]))
		return err
	})
	if err != nil {
		return store.Agent{}, fmt.Errorf("joining with token %s: %w", token, err)
	}
	return a, nil
}

const agentColumns = `SELECT g.id, g.pub, a.key, i.key, i.environment, g.token, g.joined, g.revoked, a.closed, g.last_checkin, g.version, g.skew, g.simulated
	FROM agents g JOIN installations i ON i.id = g.installation JOIN accounts a ON a.id = i.account `

func scanAgent(a *store.Agent, scan func(...any) error) error {
	return scan(sq.Fixed(a.ID[:]), &a.Key, &a.Account, &a.Installation, &a.Environment, sq.Fixed(a.Token[:]), sq.When(&a.Joined),
		sq.When(&a.Revoked), &a.Closed, sq.When(&a.LastCheckIn), &a.Version, &a.Skew, &a.Simulated)
}

// Agent implements store.Agents.
func (s *Store) Agent(ctx context.Context, id exchange.ID) (store.Agent, error) {
	a, err := sq.One(sq.Rows(ctx, s.hot, scanAgent, agentColumns+`WHERE g.id = ?`, id[:]))
	if err != nil {
		return a, fmt.Errorf("reading agent %s: %w", id, err)
	}
	return a, nil
}

// AgentsOf implements store.Agents.
func (s *Store) AgentsOf(ctx context.Context, account, installation string, limit int) ([]store.Agent, error) {
	limit = sq.Clamp(limit, 100, 100_000)
	if account == "" {
		return sq.Rows(ctx, s.r, scanAgent, agentColumns+`ORDER BY g.joined DESC LIMIT ?`, limit)
	}
	return sq.Rows(ctx, s.r, scanAgent, agentColumns+`WHERE a.key = ?1 AND (?2 = '' OR i.key = ?2) ORDER BY g.joined DESC LIMIT ?3`, account, installation, limit)
}

// RevokeAgent implements store.Agents.
func (s *Store) RevokeAgent(ctx context.Context, id exchange.ID, at time.Time) error {
	err := s.set(ctx, `UPDATE agents SET revoked = CASE revoked WHEN 0 THEN ? ELSE revoked END WHERE id = ?`, sq.NS(at), id[:])
	if err != nil {
		return fmt.Errorf("revoking agent %s: %w", id, err)
	}
	return nil
}

// CheckedIn implements store.Agents.
func (s *Store) CheckedIn(ctx context.Context, c store.CheckIn) error {
	err := s.write(ctx, func(tx *sql.Conn) error {
		skew := c.Clock.Sub(c.At)
		var inst int64
		err := tx.QueryRowContext(ctx, `UPDATE agents SET last_checkin = ?, version = ?, skew = ?, simulated = ? WHERE id = ? RETURNING installation`,
			sq.NS(c.At), c.Version, skew, c.Simulated, c.Agent[:]).Scan(&inst)
		if errors.Is(err, sql.ErrNoRows) {
			return store.ErrNotFound
		} else if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE installations SET last_checkin = max(last_checkin, ?), version = ?, skew = ?, simulated = ? WHERE id = ?`,
			sq.NS(c.At), c.Version, skew, c.Simulated, inst); err != nil {
			return err
		}
		if c.Simulated {
			if err := raiseClock(ctx, tx, c.Clock); err != nil {
				return err
			}
		}
		return keepStatement(ctx, tx, inst, c)
	})
	if err != nil {
		return fmt.Errorf("recording a check-in of %s: %w", c.Agent, err)
	}
	return nil
}

func keepStatement(ctx context.Context, tx *sql.Conn, inst int64, c store.CheckIn) error {
	hash := c.Statement.Hash()
	if _, err := tx.ExecContext(ctx, `INSERT INTO statements (hash, installation, agent, number, raw, sig, received) VALUES (?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`,
		hash[:], inst, c.Agent[:], c.Parsed.Number, c.Statement.Raw, c.Statement.Sig, sq.NS(c.At)); err != nil {
		return err
	}
	levels := map[string]exchange.Level{}
	for _, d := range c.Parsed.Categories {
		levels[d.Category] = d.Level
	}
	consent, err := json.Marshal(levels)
	if err != nil {
		return err
	}
	// An older statement that arrives late (a retried check-in) does not undo a newer one of
	// the same agent.
	_, err = tx.ExecContext(ctx, `UPDATE installations SET statement = ?1, statement_number = ?2, catalog_name = ?3, catalog_version = ?4, consent = ?5, paused = ?6
		WHERE id = ?7 AND NOT EXISTS (SELECT 1 FROM statements x WHERE x.installation = ?7 AND x.agent = ?8 AND x.number > ?2)`,
		hash[:], c.Parsed.Number, c.Parsed.CatalogName, c.Parsed.CatalogVersion, string(consent), c.Parsed.Paused, inst, c.Agent[:])
	return err
}

const clockCounter = "virtual_clock"

func raiseClock(ctx context.Context, tx *sql.Conn, to time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO counters (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = max(n, excluded.n)`, clockCounter, sq.NS(to))
	return err
}

// Clock implements store.Fleet.
func (s *Store) Clock(ctx context.Context) (t time.Time, err error) {
	err = s.hot.QueryRowContext(ctx, `SELECT n FROM counters WHERE name = ?`, clockCounter).Scan(sq.When(&t))
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return t, err
}

const statementColumns = `SELECT s.hash, s.raw, s.sig, s.agent, s.received FROM statements s `

func scanStatement(t *store.Statement, scan func(...any) error) error {
	return scan(sq.Fixed(t.Hash[:]), &t.Signed.Raw, &t.Signed.Sig, sq.Fixed(t.Agent[:]), sq.When(&t.Received))
}

// Statement implements store.Statements.
func (s *Store) Statement(ctx context.Context, hash exchange.Hash) (store.Statement, error) {
	t, err := sq.One(sq.Rows(ctx, s.r, scanStatement, statementColumns+`WHERE s.hash = ?`, hash[:]))
	if err != nil {
		return t, fmt.Errorf("reading statement %s: %w", hash, err)
	}
	return t, nil
}

// NewestStatement implements store.Statements.
func (s *Store) NewestStatement(ctx context.Context, agent exchange.ID) (store.Statement, error) {
	t, err := sq.One(sq.Rows(ctx, s.hot, scanStatement, statementColumns+`WHERE s.installation = (SELECT installation FROM agents WHERE id = ?1) AND s.agent = ?1
		ORDER BY s.number DESC LIMIT 1`, agent[:]))
	if err != nil {
		return t, fmt.Errorf("reading the newest statement of %s: %w", agent, err)
	}
	return t, nil
}

// StatementsOf implements store.Statements.
func (s *Store) StatementsOf(ctx context.Context, account, installation string) ([]store.Statement, error) {
	return sq.Rows(ctx, s.r, scanStatement, statementColumns+`JOIN installations i ON i.id = s.installation JOIN accounts a ON a.id = i.account
		WHERE a.key = ? AND i.key = ? ORDER BY s.received DESC, s.number DESC LIMIT 1000`, account, installation)
}

// AddCatalog implements store.Catalogs.
func (s *Store) AddCatalog(ctx context.Context, c store.Catalog) error {
	err := s.write(ctx, func(tx *sql.Conn) error {
		var had exchange.Hash
		err := tx.QueryRowContext(ctx, `SELECT hash FROM catalogs WHERE name = ? AND version = ?`, c.Name, c.Version).Scan(sq.Fixed(had[:]))
		switch {
		case err == nil && had == c.Hash:
			return nil
		case err == nil:
			return store.ErrConflict
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO catalogs (hash, name, version, raw, sig, added) VALUES (?,?,?,?,?,?)`,
			c.Hash[:], c.Name, c.Version, c.Raw, notNil(c.Sig), sq.NS(c.Added))
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping catalog %s version %d: %w", c.Name, c.Version, err)
	}
	return nil
}

func scanCatalog(c *store.Catalog, scan func(...any) error) error {
	return scan(sq.Fixed(c.Hash[:]), &c.Name, &c.Version, &c.Raw, &c.Sig, sq.When(&c.Added))
}

// Catalog implements store.Catalogs.
func (s *Store) Catalog(ctx context.Context, hash exchange.Hash) (store.Catalog, error) {
	c, err := sq.One(sq.Rows(ctx, s.r, scanCatalog, `SELECT hash, name, version, raw, sig, added FROM catalogs WHERE hash = ?`, hash[:]))
	if err != nil {
		return c, fmt.Errorf("reading catalog %s: %w", hash, err)
	}
	return c, nil
}

// CatalogList implements store.Catalogs.
func (s *Store) CatalogList(ctx context.Context) ([]store.Catalog, error) {
	return sq.Rows(ctx, s.r, scanCatalog, `SELECT hash, name, version, NULL, sig, added FROM catalogs ORDER BY name, version DESC`)
}

// NewestCatalog implements store.Catalogs.
func (s *Store) NewestCatalog(ctx context.Context, name string) (store.Catalog, error) {
	c, err := sq.One(sq.Rows(ctx, s.r, scanCatalog, `SELECT hash, name, version, raw, sig, added FROM catalogs
		WHERE name = CASE ?1 WHEN '' THEN (SELECT name FROM catalogs ORDER BY added DESC LIMIT 1) ELSE ?1 END
		ORDER BY version DESC LIMIT 1`, name))
	if err != nil {
		return c, fmt.Errorf("reading the newest catalog: %w", err)
	}
	return c, nil
}

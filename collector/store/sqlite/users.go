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

// Through implements store.Writer.
func (s *Store) Through(ctx context.Context, agent exchange.ID, limit int) ([]exchange.Through, error) {
	return sq.Rows(ctx, s.r, func(t *exchange.Through, scan func(...any) error) error {
		err := scan(sq.Fixed(t.Epoch[:]), &t.Stored)
		t.Queued = t.Stored
		return err
	}, `SELECT epoch, seq FROM marks WHERE agent = ? ORDER BY at DESC LIMIT ?`, agent[:], sq.Clamp(limit, 8, 1000))
}

// Mark implements store.Writer.
func (s *Store) Mark(ctx context.Context, agent, epoch exchange.ID) (seq uint64, hash exchange.Hash, err error) {
	err = s.hot.QueryRowContext(ctx, `SELECT seq, hash FROM marks WHERE agent = ? AND epoch = ?`, agent[:], epoch[:]).Scan(&seq, sq.Fixed(hash[:]))
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("reading the mark of epoch %s: %w", epoch, err)
	}
	return seq, hash, err
}

// Judged implements store.Arrivals.
func (s *Store) Judged(ctx context.Context, agent, epoch exchange.ID, seq uint64) (h exchange.Hash, refused string, err error) {
	err = s.hot.QueryRowContext(ctx, `SELECT hash, refused FROM batches WHERE agent = ? AND epoch = ? AND seq = ?`, agent[:], epoch[:], seq).Scan(sq.Fixed(h[:]), &refused)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	if err != nil {
		err = fmt.Errorf("looking for batch %d of epoch %s: %w", seq, epoch, err)
	}
	return h, refused, err
}

// Incident implements store.Writer.
func (s *Store) Incident(ctx context.Context, q store.Quarantined, raw []byte) error {
	err := s.write(ctx, func(tx *sql.Conn) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO quarantine (at, installation, agent, epoch, seq, hash, code, message, bytes, raw)
			SELECT ?, installation, id, ?, ?, ?, ?, ?, ?, ? FROM agents WHERE id = ? ON CONFLICT DO NOTHING`,
			sq.NS(q.At), q.Epoch[:], q.Seq, q.Hash[:], q.Code, q.Message, q.Bytes, notNil(raw), q.Agent[:])
		return err
	})
	if err != nil {
		return fmt.Errorf("recording %s of agent %s: %w", q.Code, q.Agent, err)
	}
	return nil
}

// AddLoss implements store.Writer.
func (s *Store) AddLoss(ctx context.Context, l store.Loss) error {
	err := s.write(ctx, func(tx *sql.Conn) error { return addLoss(ctx, tx, l) })
	if err != nil {
		return fmt.Errorf("recording a loss of agent %s: %w", l.Agent, err)
	}
	return nil
}

func addLoss(ctx context.Context, tx *sql.Conn, l store.Loss) error {
	r, err := tx.ExecContext(ctx, `INSERT INTO losses (at, installation, agent, epoch, first, last, why)
		SELECT ?, installation, id, ?, ?, ?, ? FROM agents WHERE id = ? ON CONFLICT DO NOTHING`,
		sq.NS(l.At), l.Epoch[:], l.From, l.To, l.Why, l.Agent[:])
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return err // recorded before
	}
	_, err = tx.ExecContext(ctx, `UPDATE installations SET losses = losses + ? WHERE id = (SELECT installation FROM agents WHERE id = ?)`, l.To-l.From+1, l.Agent[:])
	return err
}

// PutUser implements store.Users.
func (s *Store) PutUser(ctx context.Context, u store.User) error {
	err := s.set(ctx, `INSERT INTO users (name, role, password, created, disabled) VALUES (?,?,?,?,?) ON CONFLICT (name) DO UPDATE SET
		role = excluded.role, password = excluded.password, disabled = excluded.disabled`, u.Name, u.Role, u.Password, sq.NS(u.Created), u.Disabled)
	if err != nil {
		return fmt.Errorf("keeping user %s: %w", u.Name, err)
	}
	return nil
}

func scanUser(u *store.User, scan func(...any) error) error {
	return scan(&u.Name, &u.Role, &u.Password, sq.When(&u.Created), &u.Disabled)
}

// User implements store.Users.
func (s *Store) User(ctx context.Context, name string) (store.User, error) {
	u, err := sq.One(sq.Rows(ctx, s.r, scanUser, `SELECT name, role, password, created, disabled FROM users WHERE name = ?`, name))
	if err != nil {
		return u, fmt.Errorf("reading user %s: %w", name, err)
	}
	return u, nil
}

// UserList implements store.Users.
func (s *Store) UserList(ctx context.Context) ([]store.User, error) {
	return sq.Rows(ctx, s.r, scanUser, `SELECT name, role, password, created, disabled FROM users ORDER BY name`)
}

// DeleteUser implements store.Users.
func (s *Store) DeleteUser(ctx context.Context, name string) error {
	err := s.write(ctx, func(tx *sql.Conn) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM secrets WHERE user = ?`, name); err != nil {
			return err
		}
		return sq.Changed(tx.ExecContext(ctx, `DELETE FROM users WHERE name = ?`, name))
	})
	if err != nil {
		return fmt.Errorf("deleting user %s: %w", name, err)
	}
	return nil
}

// PutSecret implements store.Secrets.
func (s *Store) PutSecret(ctx context.Context, x store.Secret) error {
	scopes, err := json.Marshal(x.Scopes)
	if err == nil {
		err = s.set(ctx, `INSERT INTO secrets (kind, hash, user, label, scopes, created, expires, last_used) VALUES (?,?,?,?,?,?,?,?)`,
			string(x.Kind), x.Hash[:], x.User, x.Label, string(scopes), sq.NS(x.Created), sq.NS(x.Expires), sq.NS(x.LastUsed))
	}
	if err != nil {
		return fmt.Errorf("keeping a %s of %s: %w", x.Kind, x.User, err)
	}
	return nil
}

const secretColumns = `kind, hash, user, label, scopes, created, expires, last_used`

func scanSecret(x *store.Secret, scan func(...any) error) error {
	var scopes string
	if err := scan(&x.Kind, sq.Fixed(x.Hash[:]), &x.User, &x.Label, &scopes, sq.When(&x.Created), sq.When(&x.Expires), sq.When(&x.LastUsed)); err != nil {
		return err
	}
	return json.Unmarshal([]byte(scopes), &x.Scopes)
}

// touchEvery is how stale a secret's last use may be: a page of twenty requests writes once.
const touchEvery = time.Minute

// UseSecret implements store.Secrets.
func (s *Store) UseSecret(ctx context.Context, kind store.SecretKind, hash exchange.Hash, now time.Time) (store.Secret, error) {
	x, err := sq.One(sq.Rows(ctx, s.r, scanSecret, `SELECT `+secretColumns+` FROM secrets WHERE kind = ? AND hash = ? AND (expires = 0 OR expires > ?)`,
		string(kind), hash[:], sq.NS(now)))
	switch {
	case err != nil:
	case kind == store.LoginLink: // whoever deletes it has it
		err = s.set(ctx, `DELETE FROM secrets WHERE kind = ? AND hash = ?`, string(kind), hash[:])
	case now.Sub(x.LastUsed) > touchEvery:
		if err = s.set(ctx, `UPDATE secrets SET last_used = ? WHERE kind = ? AND hash = ?`, sq.NS(now), string(kind), hash[:]); err == nil {
			x.LastUsed = now
		}
	}
	if err != nil {
		return store.Secret{}, fmt.Errorf("using a %s: %w", kind, err)
	}
	return x, nil
}

// SecretList implements store.Secrets.
func (s *Store) SecretList(ctx context.Context, kind store.SecretKind, user string) ([]store.Secret, error) {
	return sq.Rows(ctx, s.r, scanSecret, `SELECT `+secretColumns+` FROM secrets WHERE kind = ?1 AND (?2 = '' OR user = ?2) ORDER BY created DESC`, string(kind), user)
}

// DeleteSecret implements store.Secrets.
func (s *Store) DeleteSecret(ctx context.Context, kind store.SecretKind, hash exchange.Hash) error {
	if err := s.set(ctx, `DELETE FROM secrets WHERE kind = ? AND hash = ?`, string(kind), hash[:]); err != nil {
		return fmt.Errorf("deleting a %s: %w", kind, err)
	}
	return nil
}

// ExpireSecrets implements store.Secrets.
func (s *Store) ExpireSecrets(ctx context.Context, now time.Time) error {
	return s.write(ctx, func(tx *sql.Conn) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM secrets WHERE expires > 0 AND expires <= ?`, sq.NS(now))
		return err
	})
}

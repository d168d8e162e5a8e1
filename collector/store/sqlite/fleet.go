package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite/sq"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

const installationColumns = `SELECT a.key, a.name, i.key, i.environment, i.zone, i.created, i.simulated, i.first_report, i.last_report, i.last_checkin,
	i.version, i.skew, i.agents, i.catalog_name, i.catalog_version, i.consent, i.paused, i.statement, i.batches, i.cells, i.aside, i.refused, i.losses
	FROM installations i JOIN accounts a ON a.id = i.account `

func scanInstallation(i *store.Installation, scan func(...any) error) error {
	var consent string
	if err := scan(&i.Account, &i.AccountName, &i.Key, &i.Environment, &i.Zone, sq.When(&i.Created), &i.Simulated, sq.When(&i.FirstReport),
		sq.When(&i.LastReport), sq.When(&i.LastCheckIn), &i.Version, &i.Skew, &i.Agents, &i.CatalogName, &i.CatalogVersion, &consent, &i.Paused,
		sq.Fixed(i.Statement[:]), &i.Batches, &i.Cells, &i.Aside, &i.Refused, &i.Losses); err != nil {
		return err
	}
	return json.Unmarshal([]byte(consent), &i.Consent)
}

// Installation implements store.Fleet.
func (s *Store) Installation(ctx context.Context, account, key string) (store.Installation, error) {
	i, err := sq.One(sq.Rows(ctx, s.r, scanInstallation, installationColumns+`WHERE a.key = ? AND i.key = ?`, account, key))
	if err != nil {
		return i, fmt.Errorf("reading installation %s/%s: %w", account, key, err)
	}
	return i, nil
}

func fleetFilter(q store.FleetQuery) (f sq.Filter) {
	if q.Search != "" {
		p := sq.Like(q.Search)
		f.Add(`(a.key LIKE ? ESCAPE '\' OR a.name LIKE ? ESCAPE '\' OR i.key LIKE ? ESCAPE '\')`, p, p, p)
	}
	if q.Account != "" {
		f.Add("a.key = ?", q.Account)
	}
	if q.Version != "" {
		f.Add("i.version = ?", q.Version)
	}
	if q.Category != "" {
		level := q.Level
		if level == "" {
			level = string(exchange.Off)
		}
		f.Add(`coalesce(json_extract(i.consent, '$."' || ? || '"'), 'off') = ?`, strings.ReplaceAll(q.Category, `"`, ""), level)
	}
	if !q.SilentSince.IsZero() {
		f.Add("i.last_report < ?", sq.NS(q.SilentSince))
	}
	f.In("i.environment", q.Environments)
	return f
}

// InstallationPage implements store.Fleet.
func (s *Store) InstallationPage(ctx context.Context, q store.FleetQuery) (p store.FleetPage, err error) {
	f := fleetFilter(q)
	type count struct {
		version string
		n       int
	}
	versions, err := sq.Rows(ctx, s.r, func(c *count, scan func(...any) error) error { return scan(&c.version, &c.n) },
		`SELECT i.version, count(*) FROM installations i JOIN accounts a ON a.id = i.account`+f.String()+` GROUP BY i.version`, f.Args...)
	if err != nil {
		return p, fmt.Errorf("counting installations: %w", err)
	}
	p.Versions = map[string]int{}
	for _, v := range versions {
		p.Versions[v.version] = v.n
		p.Total += v.n
	}
	dir := " ASC"
	if q.Desc {
		dir = " DESC"
	}
	order := "a.name COLLATE NOCASE" + dir + ", i.key" + dir
	switch q.Sort {
	case "installation":
		order = "i.key" + dir + ", a.key"
	case "last_report", "first_report", "version", "skew", "cells", "environment":
		order = "i." + q.Sort + dir + ", a.key, i.key"
	}
	p.Rows, err = sq.Rows(ctx, s.r, scanInstallation, installationColumns+f.String()+` ORDER BY `+order+` LIMIT ? OFFSET ?`,
		append(f.Args, sq.Clamp(q.Limit, 50, 1000), max(q.Offset, 0))...)
	if err != nil {
		return p, fmt.Errorf("listing installations: %w", err)
	}
	return p, nil
}

// Batches implements store.Fleet.
func (s *Store) Batches(ctx context.Context, q store.BatchQuery) ([]store.BatchRow, error) {
	var f sq.Filter
	if q.Account != "" {
		f.Add(`b.installation IN (SELECT i.id FROM installations i JOIN accounts a ON a.id = i.account WHERE a.key = ?1 AND (?2 = '' OR i.key = ?2))`, q.Account, q.Installation)
	}
	if q.Agent != (exchange.ID{}) {
		f.Add("b.agent = ?", q.Agent[:])
	}
	if q.Epoch != (exchange.ID{}) {
		f.Add("b.epoch = ?", q.Epoch[:])
	}
	return sq.Rows(ctx, s.r, func(b *store.BatchRow, scan func(...any) error) error {
		return scan(&b.Account, &b.Installation, sq.Fixed(b.Agent[:]), sq.Fixed(b.Epoch[:]), &b.Seq, sq.Fixed(b.Hash[:]), &b.Bytes, &b.Cells, &b.Aside, sq.When(&b.Received), &b.Refused)
	}, `SELECT a.key, i.key, b.agent, b.epoch, b.seq, b.hash, b.bytes, b.cells, b.aside, b.received, b.refused
		FROM batches b JOIN installations i ON i.id = b.installation JOIN accounts a ON a.id = i.account`+f.String()+` ORDER BY b.id DESC LIMIT ? OFFSET ?`,
		append(f.Args, sq.Clamp(q.Limit, 100, 10_000), max(q.Offset, 0))...)
}

// Overview implements store.Fleet.
func (s *Store) Overview(ctx context.Context) (o store.Overview, err error) {
	err = s.r.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM accounts), count(*), count(CASE WHEN first_report > 0 THEN 1 END),
		coalesce(sum(agents), 0), coalesce(sum(batches), 0), coalesce(sum(cells), 0), coalesce(sum(aside), 0),
		(SELECT count(*) FROM quarantine), (SELECT count(*) FROM losses), (SELECT count(DISTINCT measure) FROM series),
		coalesce(min(CASE WHEN first_report > 0 THEN first_report END), 0), coalesce(max(last_report), 0),
		count(CASE WHEN json_extract(consent, '$.usage') = 'aggregate' THEN 1 END),
		count(CASE WHEN json_extract(consent, '$.usage') = 'totals' THEN 1 END),
		count(CASE WHEN consent NOT LIKE '%"aggregate"%' AND consent NOT LIKE '%"totals"%' AND consent NOT LIKE '%"strict"%' THEN 1 END)
		FROM installations`).Scan(&o.Accounts, &o.Installations, &o.Reporting, &o.Agents, &o.Batches, &o.Cells, &o.Aside, &o.Quarantined, &o.Losses,
		&o.Measures, sq.When(&o.FirstReport), sq.When(&o.LastReport), &o.ConsentAggregate, &o.ConsentTotals, &o.ConsentNothing)
	if err != nil {
		return o, fmt.Errorf("counting the fleet: %w", err)
	}
	type count struct {
		environment, version string
		n                    int
	}
	counts, err := sq.Rows(ctx, s.r, func(c *count, scan func(...any) error) error { return scan(&c.environment, &c.version, &c.n) },
		`SELECT environment, version, count(*) FROM installations GROUP BY environment, version`)
	if err != nil {
		return o, fmt.Errorf("counting the fleet: %w", err)
	}
	o.ByEnvironment, o.ByVersion = map[string]int{}, map[string]int{}
	for _, c := range counts {
		o.ByEnvironment[c.environment] += c.n
		if c.version != "" {
			o.ByVersion[c.version] += c.n
		}
	}
	if o.Clock, err = s.Clock(ctx); err != nil {
		return o, err
	}
	c, err := s.NewestCatalog(ctx, "")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return o, err
	}
	o.CatalogName, o.CatalogVersion = c.Name, c.Version
	return o, nil
}

// trouble narrows a list to an account and installation.
func trouble(q store.TroubleQuery) (string, []any) {
	var f sq.Filter
	for name, value := range map[string]any{"a.key": q.Account, "i.key": q.Installation, "x.id": q.ID} {
		if value != "" && value != int64(0) {
			f.Add(name+" = ?", value)
		}
	}
	return f.String() + " ORDER BY x.id DESC LIMIT ? OFFSET ?", append(f.Args, sq.Clamp(q.Limit, 100, 1000), max(q.Offset, 0))
}

// Quarantine implements store.Troubles.
func (s *Store) Quarantine(ctx context.Context, q store.TroubleQuery) ([]store.Quarantined, error) {
	where, args := trouble(q)
	return sq.Rows(ctx, s.r, func(t *store.Quarantined, scan func(...any) error) error {
		return scan(&t.ID, sq.When(&t.At), &t.Account, &t.Installation, sq.Fixed(t.Agent[:]), sq.Fixed(t.Epoch[:]), &t.Seq, sq.Fixed(t.Hash[:]), &t.Code, &t.Message, &t.Bytes)
	}, `SELECT x.id, x.at, a.key, i.key, x.agent, x.epoch, x.seq, x.hash, x.code, x.message, x.bytes
		FROM quarantine x JOIN installations i ON i.id = x.installation JOIN accounts a ON a.id = i.account`+where, args...)
}

// QuarantineBytes implements store.Troubles.
func (s *Store) QuarantineBytes(ctx context.Context, id int64) ([]byte, error) {
	b, err := sq.One(sq.Rows(ctx, s.r, func(b *[]byte, scan func(...any) error) error { return scan(b) }, `SELECT raw FROM quarantine WHERE id = ?`, id))
	if err != nil {
		return nil, fmt.Errorf("reading quarantined batch %d: %w", id, err)
	}
	return b, nil
}

// Losses implements store.Troubles.
func (s *Store) Losses(ctx context.Context, q store.TroubleQuery) ([]store.Loss, error) {
	where, args := trouble(q)
	return sq.Rows(ctx, s.r, func(l *store.Loss, scan func(...any) error) error {
		return scan(&l.ID, sq.When(&l.At), &l.Account, &l.Installation, sq.Fixed(l.Agent[:]), sq.Fixed(l.Epoch[:]), &l.From, &l.To, &l.Why)
	}, `SELECT x.id, x.at, a.key, i.key, x.agent, x.epoch, x.first, x.last, x.why
		FROM losses x JOIN installations i ON i.id = x.installation JOIN accounts a ON a.id = i.account`+where, args...)
}

// Aside implements store.Troubles.
func (s *Store) Aside(ctx context.Context, q store.TroubleQuery) ([]store.Aside, error) {
	where, args := trouble(q)
	return sq.Rows(ctx, s.r, func(t *store.Aside, scan func(...any) error) error {
		var sc scanned
		err := scan(sq.When(&t.At), &t.Account, &t.Installation, sq.Fixed(t.Epoch[:]), &t.Seq, &t.Equal,
			&sc.measure, &sc.hash, &sc.field, &sc.grain, &sc.dims, &sc.texts, &sc.pool, &sc.start, &sc.form, &sc.lo, &sc.hi)
		if t.ForPool = int64(sc.form) == sc.hidden(); t.ForPool {
			sc.lo, sc.hi = sql.NullFloat64{}, sql.NullFloat64{}
		}
		if err == nil {
			t.Figure, err = sc.figure()
		}
		return err
	}, `SELECT x.at, a.key, i.key, x.epoch, x.seq, x.equal, s.measure, s.hash, s.field, s.grain, s.dims, s.texts, s.pool, x.start, x.form, x.lo, x.hi
		FROM aside x JOIN series s ON s.id = x.series JOIN installations i ON i.id = x.installation JOIN accounts a ON a.id = i.account`+where, args...)
}

// Audit implements store.Troubles.
func (s *Store) Audit(ctx context.Context, q store.TroubleQuery) ([]store.AuditRow, error) {
	var f sq.Filter
	if q.Account != "" {
		subject := q.Account + "/" + q.Installation
		f.Add(`(subject = ? OR substr(subject, 1, length(?2)) = ?2)`, strings.TrimSuffix(subject, "/"), subject)
	}
	return sq.Rows(ctx, s.r, func(a *store.AuditRow, scan func(...any) error) error {
		return scan(&a.ID, sq.When(&a.At), &a.Actor, &a.Action, &a.Subject, &a.Detail)
	}, `SELECT id, at, actor, action, subject, detail FROM audit`+f.String()+` ORDER BY id DESC LIMIT ? OFFSET ?`,
		append(f.Args, sq.Clamp(q.Limit, 100, 1000), max(q.Offset, 0))...)
}

// AddAudit implements store.Auditor.
func (s *Store) AddAudit(ctx context.Context, a store.AuditRow) error {
	err := s.write(ctx, func(tx *sql.Conn) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO audit (at, actor, action, subject, detail) VALUES (?,?,?,?,?)`, sq.NS(a.At), a.Actor, a.Action, a.Subject, a.Detail)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing the audit log: %w", err)
	}
	return nil
}

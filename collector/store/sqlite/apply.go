package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	sqlitedriver "modernc.org/sqlite"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite/rollup"
	"github.com/fieldpost/fieldpost/collector/store/sqlite/sq"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const (
	// chunk is how many cells one INSERT carries: 32 rows of 7 values. Binding dominates; more
	// rows gain nothing that could be measured and make the row-by-row way longer.
	chunk = 32
	// maxLatest bounds the remembered newest cells, about 100 bytes each: 30 MB.
	maxLatest = 300_000
)

// memory is what one transaction may know from those before it.
type memory struct {
	series  map[*store.Series]seriesInfo
	places  map[exchange.ID]rollup.Place
	latest  map[int64]map[int64]newest // installation → series
	entries int                        // in latest
	zones   map[string]*time.Location
}

func (m *memory) reset() {
	*m = memory{series: map[*store.Series]seriesInfo{}, places: map[exchange.ID]rollup.Place{},
		latest: map[int64]map[int64]newest{}, zones: map[string]*time.Location{}}
}

type seriesInfo struct {
	id    int64
	line  rollup.Line
	total bool
}

type newest struct {
	start, first, n int64
	form            report.Form
	lo, hi          float64
	dirty           bool
}

// applying is one transaction of Apply.
type applying struct {
	ctx context.Context
	s   *Store
	m   *memory
	tx  *sql.Conn

	touched map[int64]*tally // per installation
	periods *rollup.Sums
	cover   map[coverKey]coverDelta
	clock   time.Time
}

type tally struct {
	batches, cells, aside, refused int64
	first, last                    time.Time
	zone                           string
	simulated                      bool
}

// Apply implements store.Writer.
func (s *Store) Apply(ctx context.Context, batches []store.Batch) ([]store.Result, error) {
	out := make([]store.Result, len(batches))
	err := s.write(ctx, func(tx *sql.Conn) error {
		if s.known.entries > maxLatest {
			s.known.latest, s.known.entries = map[int64]map[int64]newest{}, 0
		}
		a := &applying{ctx: ctx, s: s, m: &s.known, tx: tx, touched: map[int64]*tally{}, periods: rollup.New(), cover: map[coverKey]coverDelta{}}
		for i := range batches {
			r, err := a.batch(&batches[i])
			if err != nil {
				return fmt.Errorf("storing batch %d of epoch %s: %w", batches[i].Seq, batches[i].Epoch, err)
			}
			out[i] = r
		}
		return a.flush()
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// stmt prepares once per store.
func (a *applying) stmt(query string) (*sql.Stmt, error) {
	if st := a.s.statements[query]; st != nil {
		return st, nil
	}
	st, err := a.tx.PrepareContext(a.ctx, query)
	if err != nil {
		return nil, err
	}
	a.s.statements[query] = st
	return st, nil
}

// Exec implements rollup.Tx.
func (a *applying) Exec(query string, args ...any) (sql.Result, error) {
	st, err := a.stmt(query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(a.ctx, args...)
}

// Row implements rollup.Tx.
func (a *applying) Row(query string, args ...any) *sql.Row {
	st, err := a.stmt(query)
	if err != nil {
		return a.tx.QueryRowContext(a.ctx, query, args...) // gives the same error at Scan
	}
	return st.QueryRowContext(a.ctx, args...)
}

// Query implements rollup.Tx.
func (a *applying) Query(query string, args ...any) (*sql.Rows, error) {
	st, err := a.stmt(query)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(a.ctx, args...)
}

func (a *applying) batch(b *store.Batch) (store.Result, error) {
	at, err := a.place(b.Agent)
	if err != nil {
		return store.Result{}, err
	}
	var seq uint64
	err = a.Row(`SELECT seq FROM marks WHERE agent = ? AND epoch = ?`, b.Agent[:], b.Epoch[:]).Scan(&seq)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return store.Result{}, err
	case b.Seq <= seq:
		return store.Result{What: store.ResultDuplicate}, nil
	case b.Seq != seq+1 && b.Lost == "":
		return store.Result{What: store.ResultGap}, nil
	case b.Seq != seq+1:
		l := store.Loss{At: b.Received, Agent: b.Agent, Epoch: b.Epoch, From: seq + 1, To: b.Seq - 1, Why: b.Lost}
		if err := addLoss(a.ctx, a.tx, l); err != nil {
			return store.Result{}, err
		}
	}
	if _, err := a.Exec(`INSERT INTO marks (agent, epoch, seq, hash, at) VALUES (?,?,?,?,?)
		ON CONFLICT (agent, epoch) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, at = excluded.at`,
		b.Agent[:], b.Epoch[:], b.Seq, b.Hash[:], sq.NS(b.Received)); err != nil {
		return store.Result{}, err
	}
	t := a.touched[at.Installation]
	if t == nil {
		t = &tally{}
		a.touched[at.Installation] = t
	}
	res := store.Result{What: store.ResultStored}
	if b.Refused != "" {
		res.What = store.ResultRefused
		t.refused++
		err = a.quarantine(at.Installation, b)
	} else {
		if res.Aside, err = a.cells(at, b); err == nil {
			res.Cells = len(b.Cells) - res.Aside
			t.batches++
			t.zone, t.simulated = b.Zone, b.Simulated
			if t.first.IsZero() || b.Received.Before(t.first) {
				t.first = b.Received
			}
			if b.Received.After(t.last) {
				t.last = b.Received
			}
		}
	}
	if err != nil {
		return store.Result{}, err
	}
	t.cells += int64(res.Cells)
	t.aside += int64(res.Aside)
	if b.Simulated && b.Received.After(a.clock) {
		a.clock = b.Received
	}
	_, err = a.Exec(`INSERT INTO batches (installation, agent, epoch, seq, hash, bytes, cells, aside, received, refused) VALUES (?,?,?,?,?,?,?,?,?,?)`,
		at.Installation, b.Agent[:], b.Epoch[:], b.Seq, b.Hash[:], b.Bytes, res.Cells, res.Aside, sq.NS(b.Received), b.Refused)
	return res, err
}

func (a *applying) quarantine(installation int64, b *store.Batch) error {
	_, err := a.Exec(`INSERT INTO quarantine (at, installation, agent, epoch, seq, hash, code, message, bytes, raw) VALUES (?,?,?,?,?,?,?,?,?,?)`,
		sq.NS(b.Received), installation, b.Agent[:], b.Epoch[:], b.Seq, b.Hash[:], b.Refused, b.Message, b.Bytes, notNil(b.Raw))
	return err
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (a *applying) place(agent exchange.ID) (rollup.Place, error) {
	if p, ok := a.m.places[agent]; ok {
		return p, nil
	}
	var p rollup.Place
	err := a.Row(`SELECT g.installation, i.account, i.environment FROM agents g JOIN installations i ON i.id = g.installation WHERE g.id = ?`, agent[:]).
		Scan(&p.Installation, &p.Account, &p.Environment)
	if errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("finding agent %s: %w", agent, store.ErrNotFound)
	} else if err != nil {
		return p, err
	}
	a.m.places[agent] = p
	return p, nil
}

// cells stores a batch's cells and returns how many were set aside.
func (a *applying) cells(at rollup.Place, b *store.Batch) (aside int, err error) {
	infos := make([]seriesInfo, len(b.Cells))
	for i := range b.Cells {
		if infos[i], err = a.series(b.Cells[i].Series); err != nil {
			return 0, err
		}
	}
	last, err := a.latest(at.Installation)
	if err != nil {
		return 0, err
	}
	zone, err := a.zone(b.Zone)
	if err != nil {
		return 0, err
	}
	args := make([]any, 0, chunk*7)
	for lo := 0; lo < len(b.Cells); lo += chunk {
		hi := min(lo+chunk, len(b.Cells))
		args = args[:0]
		for i := lo; i < hi; i++ {
			args = a.values(args, at.Installation, infos[i].id, &b.Cells[i])
		}
		_, err := a.Exec(insertCells(hi-lo), args...)
		switch {
		case err == nil:
			for i := lo; i < hi; i++ {
				a.note(at, last, infos[i], &b.Cells[i], zone)
			}
		case isConstraint(err):
			n, err := a.oneByOne(at, b, last, infos, zone, lo, hi)
			if err != nil {
				return 0, err
			}
			aside += n
		default:
			return 0, err
		}
	}
	return aside, nil
}

// oneByOne is for a chunk in which some window was there already: the statement that met it
// changed nothing.
func (a *applying) oneByOne(at rollup.Place, b *store.Batch, last map[int64]newest, infos []seriesInfo, zone *time.Location, lo, hi int) (aside int, err error) {
	for i := lo; i < hi; i++ {
		c := &b.Cells[i]
		r, err := a.Exec(insertCells(1)+` ON CONFLICT DO NOTHING`, a.values(nil, at.Installation, infos[i].id, c)...)
		if err != nil {
			return 0, err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return 0, err
		}
		if n == 1 {
			a.note(at, last, infos[i], c, zone)
			continue
		}
		aside++
		if err := a.setAside(at, b, infos[i].id, c); err != nil {
			return 0, err
		}
	}
	return aside, nil
}

func (a *applying) setAside(at rollup.Place, b *store.Batch, series int64, c *store.Cell) error {
	v := a.values(nil, at.Installation, series, c)
	_, err := a.Exec(`INSERT INTO aside (at, installation, series, start, epoch, seq, form, lo, hi, equal)
		SELECT ?1, installation, series, start, ?2, ?3, ?4, ?5, ?6, form = ?4 AND lo IS ?5 AND hi IS ?6 AND blob IS ?7
		FROM cells WHERE installation = ?8 AND series = ?9 AND start = ?10`,
		sq.NS(b.Received), b.Epoch[:], b.Seq, v[3], v[4], v[5], v[6], at.Installation, series, c.Start)
	return err
}

func insertCells(n int) string {
	return `INSERT INTO cells (installation, series, start, form, lo, hi, blob) VALUES (?,?,?,?,?,?,?)` + strings.Repeat(`,(?,?,?,?,?,?,?)`, n-1)
}

func isConstraint(err error) bool {
	var e *sqlitedriver.Error
	return errors.As(err, &e) && e.Code()&0xff == 19 // SQLITE_CONSTRAINT
}

// values of a row of cells: hi only where it is neither lo nor open.
func (a *applying) values(args []any, installation, series int64, c *store.Cell) []any {
	var lo, hi, blob any
	if c.Form.HasNumbers() && !c.Series.Field.IsBlob() {
		lo = c.Lo
		if c.Hi != c.Lo || c.Form != report.Exact && c.Form != report.Noised {
			hi = sq.Number(c.Hi)
		}
	}
	if len(c.Blob) > 0 {
		blob = c.Blob
	}
	return append(args, installation, series, c.Start, int64(c.Form), lo, hi, blob)
}

// note brings a stored cell into what is kept about it.
func (a *applying) note(at rollup.Place, last map[int64]newest, s seriesInfo, c *store.Cell, zone *time.Location) {
	l, had := last[s.id]
	if !had {
		l = newest{start: math.MinInt64, first: c.Start}
		a.m.entries++
	}
	l.n++
	l.first = min(l.first, c.Start)
	if c.Start > l.start {
		if s.total && (!had || l.form != c.Form) {
			if had {
				a.covered(coverKey{s.id, l.form}, -1, 0)
			}
			a.covered(coverKey{s.id, c.Form}, 1, c.Start)
		}
		l.start, l.form, l.lo, l.hi = c.Start, c.Form, c.Lo, c.Hi
	}
	l.dirty = true
	last[s.id] = l
	a.periods.Add(at, s.line, c, zone)
}

func (a *applying) latest(installation int64) (map[int64]newest, error) {
	if l := a.m.latest[installation]; l != nil {
		return l, nil
	}
	rs, err := a.Query(`SELECT series, start, form, lo, hi, first, n FROM latest WHERE installation = ?`, installation)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	l := map[int64]newest{}
	for rs.Next() {
		var id int64
		var n newest
		var lo, hi sql.NullFloat64
		if err := rs.Scan(&id, &n.start, &n.form, &lo, &hi, &n.first, &n.n); err != nil {
			return nil, err
		}
		n.lo, n.hi = sq.Interval(n.form, lo, hi)
		l[id] = n
	}
	if err := rs.Err(); err != nil {
		return nil, err
	}
	a.m.latest[installation] = l
	a.m.entries += len(l)
	return l, nil
}

func (a *applying) zone(name string) (*time.Location, error) {
	if z := a.m.zones[name]; z != nil {
		return z, nil
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("loading the zone of a batch: %w", err)
	}
	a.m.zones[name] = z
	return z, nil
}

// series finds or makes the ids of a series and its line.
func (a *applying) series(s *store.Series) (seriesInfo, error) {
	if i, ok := a.m.series[s]; ok {
		return i, nil
	}
	texts, err := json.Marshal(s.Texts)
	if err != nil {
		return seriesInfo{}, err
	}
	dims := store.DimsKey(s.Dims)
	i := seriesInfo{total: dims == "{}"}
	err = a.Row(`INSERT INTO series (measure, hash, kind, subject, category, field, grain, dims, texts, pool) VALUES (?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT DO UPDATE SET texts = excluded.texts RETURNING id`,
		s.Measure, s.Hash, s.Kind, s.Subject, s.Category, int64(s.Field), int64(s.Grain), dims, string(texts), s.Pool).Scan(&i.id)
	if err != nil {
		return i, fmt.Errorf("naming a series of %s: %w", s.Measure, err)
	}
	if i.total {
		if i.line, err = rollup.LineOf(a, s); err != nil {
			return i, fmt.Errorf("naming a line of %s: %w", s.Measure, err)
		}
	}
	a.m.series[s] = i
	return i, nil
}

// flush writes what was gathered, in the order of the keys: neighbours share pages.
func (a *applying) flush() error {
	for _, inst := range slices.Sorted(maps.Keys(a.touched)) {
		if err := a.flushInstallation(inst, a.touched[inst]); err != nil {
			return err
		}
	}
	if err := a.flushCoverage(); err != nil {
		return err
	}
	if !a.clock.IsZero() {
		if err := raiseClock(a.ctx, a.tx, a.clock); err != nil {
			return err
		}
	}
	return a.periods.Flush(a)
}

func (a *applying) flushInstallation(inst int64, t *tally) error {
	if _, err := a.Exec(`UPDATE installations SET batches = batches + ?1, cells = cells + ?2, aside = aside + ?3, refused = refused + ?4 WHERE id = ?5`,
		t.batches, t.cells, t.aside, t.refused, inst); err != nil {
		return err
	}
	if t.batches > 0 {
		if _, err := a.Exec(`UPDATE installations SET first_report = CASE first_report WHEN 0 THEN ?1 ELSE min(first_report, ?1) END,
			last_report = max(last_report, ?2), zone = ?3, simulated = ?4 WHERE id = ?5`, sq.NS(t.first), sq.NS(t.last), t.zone, t.simulated, inst); err != nil {
			return err
		}
	}
	last := a.m.latest[inst]
	for _, id := range slices.Sorted(maps.Keys(last)) {
		l := last[id]
		if !l.dirty {
			continue
		}
		l.dirty = false
		last[id] = l
		c := store.Cell{Series: &store.Series{Field: report.Value}, Form: l.form, Lo: l.lo, Hi: l.hi}
		v := a.values(nil, inst, id, &c)
		if _, err := a.Exec(`INSERT INTO latest (installation, series, start, form, lo, hi, first, n) VALUES (?,?,?,?,?,?,?,?)
			ON CONFLICT (installation, series) DO UPDATE SET start = excluded.start, form = excluded.form, lo = excluded.lo, hi = excluded.hi,
			first = excluded.first, n = excluded.n`, inst, id, l.start, v[3], v[4], v[5], l.first, l.n); err != nil {
			return err
		}
	}
	return nil
}

// Package seed fills a collector's store with a made-up but consistent fleet, for tests of
// pages and API: accounts that tell exactly, in bands, withhold, fall silent, never report
// or agreed to nothing. Everything goes in through the store's own doors: catalog, token,
// join, signed consent statement, batches in order.
//
// The same Config always gives the same rows. Nothing is kept outside the store.
package seed

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Store is what seeding needs of a store.
type Store interface {
	store.Enrolment
	store.Agents
	store.Catalogs
	store.Accounts
	store.Writer
}

// Config of a fleet.
type Config struct {
	Catalog  []byte    // a catalog file with the measures people, web and requests; required
	Accounts int       // default 40
	Weeks    int       // of history, default 60
	Now      time.Time // default 2026-11-01 09:00 UTC
	// Names overrides the name of account i; Attribute adds one to account i.
	Names      map[int]string
	Attributes map[int]map[string]string
	Hours      bool // availability and requests by the hour instead of by the day
	kinds      bool // every kind of measure about people instead
}

// Behaviour of account i is Kind(i); tests look for an account of each.
type Behaviour int

const (
	Exact      Behaviour = iota // totals
	Banded                      // aggregate
	Growing                     // totals, more people every month
	Two                         // two installations that share people
	Suppressed                  // too small: withheld
	Silent                      // stopped 20 weeks ago
	Missed                      // totals, went down for hours
	Shrinking                   // totals
	Refusing                    // joined, agreed to nothing
	Waiting                     // token made, never joined
	behaviours
)

// Kind of account i.
func Kind(i int) Behaviour { return Behaviour(i % int(behaviours)) }

// Key of account i.
func Key(i int) string { return fmt.Sprintf("acme-%03d", i) }

type seeder struct {
	Config
	s      Store
	cat    *catalog.Catalog
	series map[string]*store.Series
}

// Fill puts the fleet into the store.
func Fill(ctx context.Context, s Store, c Config) error {
	if c.Accounts == 0 {
		c.Accounts = 40
	}
	if c.Weeks == 0 {
		c.Weeks = 60
	}
	if c.Now.IsZero() {
		c.Now = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	}
	cat, err := catalog.Parse(c.Catalog)
	if err != nil {
		return fmt.Errorf("parsing the catalog: %w", err)
	}
	f := &seeder{Config: c, s: s, cat: cat, series: map[string]*store.Series{}}
	if err := s.AddCatalog(ctx, store.Catalog{Hash: exchange.Hash(cat.Hash), Name: cat.Name, Version: cat.Version, Raw: cat.Raw, Sig: []byte("seed"), Added: c.Now.AddDate(-2, 0, 0)}); err != nil {
		return err
	}
	if err := f.imported(ctx); err != nil {
		return err
	}
	for i := range c.Accounts {
		if err := f.account(ctx, i); err != nil {
			return fmt.Errorf("seeding account %d: %w", i, err)
		}
	}
	return nil
}

func (f *seeder) imported(ctx context.Context) error {
	industries := []string{"Manufacturing", "Public sector", "Banking", "Health", "Retail"}
	regions := []string{"DACH", "Nordics", "Benelux", "Iberia"}
	first := []string{"Aalen", "Birken", "Carrick", "Dover", "Elbe", "Fjord", "Gotha", "Havel", "Isar", "Jura"}
	second := []string{"Works", "Water", "Bank", "Clinic", "Stores", "Rail", "Foods"}
	var rows []store.Account
	for i := range f.Accounts {
		a := store.Account{Key: Key(i), Name: fmt.Sprintf("%s %s", first[i%len(first)], second[(i/len(first)+i)%len(second)]), Created: f.Now.AddDate(-3, 0, -i),
			Attributes: map[string]string{
				"industry": industries[i%len(industries)], "region": regions[i%len(regions)], "plan": []string{"Team", "Business", "Enterprise"}[i%3],
				"seats": fmt.Sprint(20 + 15*(i%12)), "size": []string{"small", "medium", "large"}[i%3], "renewal": f.Now.AddDate(0, 0, 20+11*i).Format(time.DateOnly), "owner": []string{"m.k.", "s.w.", "j.o."}[i%3],
			}}
		if f.Accounts > 70 {
			a.Name = fmt.Sprintf("%s %d", a.Name, i)
		}
		if n := f.Names[i]; n != "" {
			a.Name = n
		}
		for k, v := range f.Attributes[i] {
			a.Attributes[k] = v
		}
		rows = append(rows, a)
	}
	_, _, err := f.s.ImportAccounts(ctx, rows)
	return err
}

func (f *seeder) account(ctx context.Context, i int) error {
	installs := []string{"main"}
	if Kind(i) == Two {
		installs = append(installs, "lab")
	}
	for n, inst := range installs {
		if err := f.installation(ctx, i, n, inst); err != nil {
			return err
		}
	}
	return nil
}

func seedOf(what string, i, n int) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s %d %d", what, i, n))
}

func (f *seeder) installation(ctx context.Context, i, n int, name string) error {
	id := seedOf("token", i, n)
	tokenKey := ed25519.NewKeyFromSeed(id[:])
	env := store.Production
	switch {
	case i%7 == 3:
		env = store.Pilot
	case i%11 == 5:
		env = store.Trial
	case n > 0:
		env = store.Test
	}
	joined := f.Now.AddDate(0, 0, -7*f.Weeks-3)
	t := store.Token{ID: exchange.ID(id[:16]), Key: tokenKey.Public().(ed25519.PublicKey), Account: Key(i), Installation: name, Environment: env,
		MaxUses: 1, Created: joined, Expires: joined.Add(24 * time.Hour), By: "seed"}
	if err := f.s.AddToken(ctx, t); err != nil || Kind(i) == Waiting {
		return err
	}
	as := seedOf("agent", i, n)
	key := ed25519.NewKeyFromSeed(as[:])
	agent, err := f.s.Join(ctx, t.ID, key.Public().(ed25519.PublicKey), joined)
	if err != nil {
		return err
	}
	st, err := f.consent(ctx, i, key, agent.ID, joined)
	if err != nil || Kind(i) == Refusing {
		return err
	}
	if f.kinds {
		return f.kindBatches(ctx, i, n, agent.ID, st)
	}
	return f.report(ctx, i, n, agent.ID, st)
}

// consent decides in two steps where the account later said more, and returns the last.
func (f *seeder) consent(ctx context.Context, i int, key ed25519.PrivateKey, agent exchange.ID, joined time.Time) (exchange.Hash, error) {
	usage := exchange.Totals
	switch Kind(i) {
	case Banded, Suppressed, Two:
		usage = exchange.Aggregate
	case Refusing:
		usage = exchange.Local
	}
	steps := [][]exchange.Decision{{{Category: catalog.Inventory, Level: exchange.Totals}, {Category: catalog.SLA, Level: exchange.Totals}, {Category: catalog.Usage, Level: usage}}}
	if Kind(i) == Refusing {
		steps[0][0].Level, steps[0][1].Level = exchange.Off, exchange.Local
	}
	if Kind(i) == Exact || Kind(i) == Growing {
		steps = append([][]exchange.Decision{{{Category: catalog.SLA, Level: exchange.Totals}}}, steps...)
	}
	var hash exchange.Hash
	for n, ds := range steps {
		at := joined.Add(time.Duration(n)*30*24*time.Hour + time.Hour)
		for j := range ds {
			ds[j].From = joined.Unix()
		}
		signed, err := exchange.SignStatement(exchange.Statement{Version: exchange.Version, Agent: agent, Number: n + 1, Prev: hash, CatalogName: f.cat.Name, CatalogVersion: f.cat.Version,
			Catalog: exchange.Hash(f.cat.Hash), Decided: at.Unix(), Categories: ds}, key)
		if err != nil {
			return hash, err
		}
		parsed, err := signed.Parse()
		if err != nil {
			return hash, err
		}
		hash = signed.Hash()
		version := []string{"1.0.0", "0.3.0", "1.0.0", "0.2.0"}[i%4]
		if n == len(steps)-1 {
			at = f.end(i).Add(-20 * time.Minute)
		}
		err = f.s.CheckedIn(ctx, store.CheckIn{Agent: agent, At: at, Clock: at.Add(time.Duration(i%5) * 40 * time.Second), Version: version, Statement: signed, Parsed: parsed})
		if err != nil {
			return hash, err
		}
	}
	return hash, nil
}

func (f *seeder) end(i int) time.Time {
	if Kind(i) == Silent {
		return f.Now.AddDate(0, 0, -7*20)
	}
	return f.Now
}

// one remembers the pointer of a series, as the writer does.
func (f *seeder) one(measure string, field report.Field, grain report.Grain) *store.Series {
	k := fmt.Sprint(measure, field, grain)
	if f.series[k] == nil {
		m, _ := f.cat.Measure(measure)
		f.series[k] = &store.Series{Measure: m.ID, Hash: m.HashString(), Kind: string(m.Kind), Subject: string(m.Subject), Category: m.Category, Field: field, Grain: grain, Texts: m.Values, Pool: m.Pool}
	}
	return f.series[k]
}

func (f *seeder) report(ctx context.Context, i, n int, agent exchange.ID, st exchange.Hash) error {
	r := rand.New(rand.NewPCG(uint64(i)+1, uint64(n)+7))
	var epoch exchange.ID
	binary.BigEndian.PutUint64(epoch[:], uint64(i*10+n)+1)
	first := report.CivilStart(report.Week, report.CivilDay(f.Now, time.UTC)) - int64(7*f.Weeks)
	end := report.CivilDay(f.end(i), time.UTC)
	var batches []store.Batch
	var prev exchange.Hash
	for week, seq := first, uint64(1); week < end; week, seq = week+7, seq+1 {
		b := store.Batch{Agent: agent, Epoch: epoch, Seq: seq, Prev: prev, Bytes: 900, Zone: "Europe/Berlin", Catalog: exchange.Hash(f.cat.Hash), Statement: st,
			Received: time.Unix(min(week+10, end)*86400, 0).UTC().Add(8 * time.Hour)}
		b.Hash = sha256.Sum256(fmt.Appendf(nil, "%d %d %d", i, n, seq))
		prev = b.Hash
		if week+9 <= end {
			b.Cells = f.people(b.Cells, r, i, n, int((week-first)/7), week)
		}
		for d := week; d < min(week+7, end); d++ {
			b.Cells = f.service(b.Cells, r, i, d, int(end-d))
		}
		if i%9 == 4 && seq == 30 { // one batch was refused
			b.Cells, b.Refused, b.Message, b.Raw = nil, "window_not_covered", "window of 2026-03-02 lies before the consent", []byte("raw bytes of a refused batch")
		}
		batches = append(batches, b)
	}
	if _, err := f.s.Apply(ctx, batches); err != nil {
		return err
	}
	if i%13 == 6 {
		return f.s.AddLoss(ctx, store.Loss{At: f.Now.AddDate(0, -1, 0), Account: Key(i), Installation: "main", Agent: agent, Epoch: exchange.ID{9}, From: 12, To: 14, Why: "outbox_deleted"})
	}
	return nil
}

func (f *seeder) people(cells []store.Cell, r *rand.Rand, i, n, week int, start int64) []store.Cell {
	v := float64(9+3*(i%14)) * (1 + 0.15*math.Sin(float64(week)/5)) * (0.9 + 0.2*r.Float64())
	switch Kind(i) {
	case Growing:
		v *= 0.4 + 1.8*math.Pow(float64(week)/float64(f.Weeks), 3)
	case Shrinking:
		v *= 1.4 - 1.1*float64(week)/float64(f.Weeks)
	}
	if week > 20 && week < 24 && i%4 == 1 {
		return cells // the site could not be reached and lost nothing but these windows
	}
	for _, m := range []string{"people", "active_authors", "active_reviewers"} {
		if m != "people" {
			v *= 0.7
		}
		c := store.Cell{Series: f.one(m, report.Value, report.Week), Start: start, Form: report.Exact, Lo: math.Round(v), Hi: math.Round(v)}
		switch Kind(i) {
		case Suppressed:
			if c = (store.Cell{Series: c.Series, Start: start, Form: report.Suppressed}); week%9 == 0 {
				c.Form, c.Lo, c.Hi = report.Band, 0, 4
			}
		case Banded, Two:
			c.Form, c.Lo = report.Band, 5*math.Floor(v/5)
			if c.Hi = c.Lo + 4; v > 45 {
				c.Lo, c.Hi = 45, math.Inf(1)
			}
		}
		cells = append(cells, c)
	}
	cells = append(cells, store.Cell{Series: f.one("changes", report.Value, report.Week), Start: start, Form: report.Exact, Lo: math.Round(v * 40), Hi: math.Round(v * 40)})
	return cells
}

func (f *seeder) service(cells []store.Cell, r *rand.Rand, i int, day int64, ago int) []store.Cell {
	grain, starts, length := report.Day, []int64{day}, 86400.0
	if f.Hours {
		grain, length, starts = report.Hour, 3600, nil
		for h := range int64(24) {
			starts = append(starts, day*86400+h*3600)
		}
	}
	for _, s := range starts {
		down, maint, unseen, incidents := 0.0, 0.0, 0.0, 0.0
		switch {
		case Kind(i) == Missed && ago == 9:
			down, incidents = length/11, 1
		case r.IntN(150) == 0:
			down, incidents = float64(r.IntN(240)), 1
		case day%28 == 3:
			maint = length / 24
		case r.IntN(60) == 0:
			unseen = length / 3
		}
		for _, x := range []struct {
			f report.Field
			v float64
		}{{report.Up, length - down - maint - unseen}, {report.Down, down}, {report.Maintenance, maint}, {report.Unseen, unseen}, {report.Incidents, incidents}} {
			cells = append(cells, store.Cell{Series: f.one("web", x.f, grain), Start: s, Form: report.Exact, Lo: x.v, Hi: x.v})
		}
		valid := float64(2000 + r.IntN(4000))
		good := valid - float64(r.IntN(12))
		cells = append(cells, store.Cell{Series: f.one("requests", report.Good, grain), Start: s, Form: report.Exact, Lo: good, Hi: good},
			store.Cell{Series: f.one("requests", report.Valid, grain), Start: s, Form: report.Exact, Lo: valid, Hi: valid})
	}
	return cells
}

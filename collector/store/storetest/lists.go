package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func accounts(t *testing.T, s Store) {
	ctx := t.Context()
	c, u, err := s.ImportAccounts(ctx, []store.Account{
		{Key: "acme", Name: "Acme", Attributes: map[string]string{"industry": "steel", "seats": "90"}, Created: epoch0},
		{Key: "bolt", Name: "Bolt 100%", Attributes: map[string]string{"industry": "steel", "seats": "1,200"}, Created: epoch0},
		{Key: "core", Name: "Core", Attributes: map[string]string{"industry": "health"}, Created: epoch0}})
	if ok(t, err); c != 3 || u != 0 {
		t.Fatalf("created %d, updated %d", c, u)
	}
	if c, u, err = s.ImportAccounts(ctx, []store.Account{{Key: "acme", Attributes: map[string]string{"plan": "gold"}}}); err != nil || c != 0 || u != 1 {
		t.Fatalf("created %d, updated %d: %v", c, u, err)
	}
	week := people(report.Week, nil)
	for i, name := range []string{"acme", "bolt"} {
		a := enrol(t, s, name, "eu", store.Production)
		apply(t, s, a.batch(exact(week, monday(0), 1), exact(week, monday(1), float64(10-i))))
	}
	keys := func(q store.AccountQuery, total int, want ...string) store.AccountPage {
		t.Helper()
		p := must[store.AccountPage](t)(s.AccountPage(ctx, q))
		var got []string
		for _, r := range p.Rows {
			got = append(got, r.Key)
		}
		if d := cmp.Diff(want, got); d != "" || p.Total != total {
			t.Fatalf("%+v: total %d, %s", q, p.Total, d)
		}
		return p
	}
	keys(store.AccountQuery{}, 3, "acme", "bolt", "core")
	keys(store.AccountQuery{Limit: 1, Offset: 1}, 3, "bolt")
	keys(store.AccountQuery{Search: "100%"}, 1, "bolt")
	keys(store.AccountQuery{Search: "_"}, 0)
	keys(store.AccountQuery{Sort: "attr.seats", Desc: true}, 3, "bolt", "acme", "core")
	keys(store.AccountQuery{Filters: []store.Filter{{Attribute: "industry", Op: store.Equal, Value: "steel"}, {Attribute: "seats", Op: store.AtLeast, Value: "100"}}}, 1, "bolt")
	keys(store.AccountQuery{Filters: []store.Filter{{Attribute: "plan", Op: store.Contains, Value: "OL"}}}, 1, "acme")
	keys(store.AccountQuery{Filters: []store.Filter{{Attribute: "environment", Op: store.Equal, Value: store.Production}}}, 2, "acme", "bolt")
	p := keys(store.AccountQuery{Sort: "measure", Measure: "people", Recent: 4}, 3, "bolt", "acme", "core")
	if r := p.Rows[0]; r.Measure == nil || r.Measure.Interval.Lo != 9 || len(r.Recent) != 1 || r.Reporting != 1 || r.Environments[0] != store.Production {
		t.Fatalf("%+v", r)
	}
	if p.Rows[2].Measure != nil {
		t.Fatal("a silent account has a figure")
	}
	if a := must[store.AccountRow](t)(s.Account(ctx, "acme")); a.Attributes["plan"] != "gold" || a.Attributes["seats"] != "90" || a.Name != "Acme" {
		t.Fatalf("%+v", a)
	}
	if l := must[[]store.Attribute](t)(s.Attributes(ctx)); len(l) != 3 || l[2] != (store.Attribute{Name: "seats", Accounts: 2, Numeric: true}) || l[0].Numeric {
		t.Fatalf("%+v", l)
	}
	if _, _, err := s.ImportAccounts(ctx, []store.Account{{Key: "acme", Attributes: map[string]string{"plan": "", "never": ""}}}); err != nil {
		t.Fatal(err)
	}
	if a := must[store.AccountRow](t)(s.Account(ctx, "acme")); len(a.Attributes) != 2 || a.Attributes["seats"] != "90" || a.Name != "Acme" {
		t.Fatalf("an empty attribute is kept, or takes others with it: %+v", a)
	}
	ok(t, s.CloseAccount(ctx, "acme", true))
	if g := must[[]store.Agent](t)(s.AgentsOf(ctx, "acme", "", 1)); !g[0].Closed {
		t.Fatal("an agent of a closed account does not know it")
	}
	if _, err := s.Account(ctx, "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("unknown account: %v", err)
	}
}

func fleet(t *testing.T, s Store) {
	ctx := t.Context()
	for i := range 5 {
		env := store.Production
		if i == 4 {
			env = store.Trial
		}
		a := enrol(t, s, fmt.Sprintf("account%d", i), "main", env)
		st := exchange.Statement{Version: exchange.Version, Agent: a.ID, Number: 1, Categories: []exchange.Decision{{Category: "usage", Level: []exchange.Level{exchange.Off, exchange.Local, exchange.Strict, exchange.Totals, exchange.Off}[i]}}}
		signed := must[exchange.SignedStatement](t)(exchange.SignStatement(st, key(fmt.Sprintf("agent account%d/main", i))))
		ok(t, s.CheckedIn(ctx, store.CheckIn{Agent: a.ID, At: epoch0, Clock: epoch0, Version: fmt.Sprintf("1.%d", i/2), Statement: signed, Parsed: &st}))
		if i > 0 {
			b := a.batch(exact(requests(report.Hour), monday(0)*86400, 1))
			b.Received = epoch0.Add(time.Duration(i) * 24 * time.Hour)
			apply(t, s, b)
		}
	}
	count := func(q store.FleetQuery, want int) store.FleetPage {
		t.Helper()
		p := must[store.FleetPage](t)(s.InstallationPage(ctx, q))
		if p.Total != want || len(p.Rows) != want {
			t.Fatalf("%+v: %d of %d, want %d", q, len(p.Rows), p.Total, want)
		}
		return p
	}
	p := count(store.FleetQuery{Sort: "last_report", Desc: true}, 5)
	if p.Rows[0].Account != "account4" || !p.Rows[4].LastReport.IsZero() || p.Versions["1.0"] != 2 {
		t.Fatalf("%+v", p)
	}
	count(store.FleetQuery{SilentSince: epoch0.Add(36 * time.Hour)}, 2)
	count(store.FleetQuery{Environments: []string{store.Trial}}, 1)
	count(store.FleetQuery{Category: "usage", Level: string(exchange.Totals)}, 1)
	count(store.FleetQuery{Category: "sla", Level: string(exchange.Off)}, 5)
	count(store.FleetQuery{Version: "1.1"}, 2)
	count(store.FleetQuery{Search: "count3"}, 1)
	o := must[store.Overview](t)(s.Overview(ctx))
	if o.Installations != 5 || o.Reporting != 4 || o.Batches != 4 || o.Cells != 4 || o.ByEnvironment[store.Trial] != 1 || o.ByVersion["1.2"] != 1 || o.ConsentTotals != 1 || o.ConsentNothing != 3 {
		t.Fatalf("%+v", o)
	}
}

func coverage(t *testing.T, s Store) {
	week := people(report.Week, nil)
	for i := range 5 {
		a := enrol(t, s, fmt.Sprint("account", i), "main", store.Production)
		first := exact(week, monday(0), 5)
		second := []store.Cell{exact(week, monday(1), 5), band(week, monday(1), 5, 9), {Series: week, Start: monday(1), Form: report.Suppressed}, exact(requests(report.Hour), monday(0)*86400, 1), {Series: week, Start: monday(1), Form: report.Noised, Lo: 5, Hi: 5}}[i]
		if i == 3 {
			apply(t, s, a.batch(second))
			continue
		}
		apply(t, s, a.batch(first), a.batch(second))
	}
	c := must[[]store.Coverage](t)(s.Coverage(t.Context()))
	if len(c) != 2 || c[0].Measure != "people" {
		t.Fatalf("%+v", c)
	}
	if p := c[0]; p.Exact != 1 || p.Banded != 1 || p.Noised != 1 || p.Suppressed != 1 || p.Unknown != 1 {
		t.Fatalf("%+v", p)
	}
}

const backlogCatalog = `
catalog: t
version: 1
vendor: T
events:
  used: {match: "Used"}
measures:
  - {id: people, kind: active_users, events: [used], category: usage, question: "Who?", purpose: "p", owner: o, retention: 730d}
`

func backlog(t *testing.T, s Store) {
	ctx := t.Context()
	a := enrol(t, s, "acme", "eu", store.Production)
	hash := exchange.Hash(sha256.Sum256([]byte(backlogCatalog)))
	ok(t, s.AddCatalog(ctx, store.Catalog{Hash: hash, Name: "t", Version: 1, Raw: []byte(backlogCatalog), Added: epoch0}))
	consent := time.Unix(monday(0)*86400, 0)
	st := exchange.Statement{Version: exchange.Version, Agent: a.ID, Number: 1, CatalogName: "t", CatalogVersion: 1, Catalog: hash,
		Categories: []exchange.Decision{{Category: "usage", Level: exchange.Aggregate, From: consent.Unix()}}}
	signed := must[exchange.SignedStatement](t)(exchange.SignStatement(st, key("agent acme/eu")))
	ok(t, s.CheckedIn(ctx, store.CheckIn{Agent: a.ID, At: epoch0, Clock: epoch0, Statement: signed, Parsed: &st}))
	due := func(now time.Time) store.Backlog {
		t.Helper()
		l := slices.DeleteFunc(must[[]store.Backlog](t)(s.Backlog(ctx, "acme", "eu", now)), func(b store.Backlog) bool { return b.Grain == report.Rolling28 })
		switch len(l) {
		case 0:
			return store.Backlog{}
		case 1:
			return l[0]
		}
		t.Fatalf("%+v", l)
		return store.Backlog{}
	}
	first := time.Unix((report.CivilStart(report.Block4w, monday(0)-1)+28)*86400, 0) // the first block inside the consent
	if b := due(first.AddDate(0, 0, 28)); b.Due != 0 {
		t.Fatalf("a block is due before its grace has passed: %+v", b)
	}
	if b := due(first.AddDate(0, 0, 31)); b.Due != 1 || b.Missing != 1 || b.Grain != report.Block4w {
		t.Fatalf("%+v", b)
	}
	if b := due(first.AddDate(0, 0, 31+28)); b.Due != 2 || b.Missing != 2 {
		t.Fatalf("%+v", b)
	}
	// 28 days leave for a block's last day: one in four weeks is due, not one a day.
	days := *people(report.Rolling28, nil)
	days.Hash = must[*catalog.Catalog](t)(catalog.Parse([]byte(backlogCatalog))).Measures[0].HashString()
	last := first.Unix()/86400 + 27
	apply(t, s, a.batch(exact(&days, last, 12), exact(&days, last+28, 12)))
	for n, want := range []int64{0, 1, 2, 3} {
		l := must[[]store.Backlog](t)(s.Backlog(ctx, "acme", "eu", first.AddDate(0, 0, 28*n+4)))
		for _, b := range l {
			if b.Grain == report.Rolling28 && (b.Due != want || b.Missing != max(0, want-2)) {
				t.Fatalf("after %d blocks: %+v", n, b)
			}
		}
		if n > 0 && !slices.ContainsFunc(l, func(b store.Backlog) bool { return b.Grain == report.Rolling28 }) {
			t.Fatalf("after %d blocks no 28 days are due: %+v", n, l)
		}
	}
	// One of several counts of people is told by week as well: weeks are due once one has come, and a
	// site that tells blocks alone has no weeks missing.
	m := must[*catalog.Catalog](t)(catalog.Parse([]byte(backlogCatalog))).Measures[0]
	block := *people(report.Block4w, nil)
	block.Hash = m.HashString()
	apply(t, s, a.batch(exact(&block, first.Unix()/86400, 12)))
	if b := due(first.AddDate(0, 0, 31)); b.Grain != report.Block4w || b.Due != 1 || b.Missing != 0 {
		t.Fatalf("%+v", b)
	}
}

func troubles(t *testing.T, s Store) {
	ctx := t.Context()
	a := enrol(t, s, "acme", "eu", store.Production)
	enrol(t, s, "bolt", "eu", store.Production)
	for range 3 { // an agent that insists does not fill the disk
		ok(t, s.Incident(ctx, store.Quarantined{At: epoch0, Agent: a.ID, Epoch: a.epoch, Seq: 3, Code: "fork", Message: "m", Bytes: 3}, []byte("abc")))
	}
	if q := must[[]store.Quarantined](t)(s.Quarantine(ctx, store.TroubleQuery{Account: "acme", Installation: "eu"})); len(q) != 1 || q[0].Code != "fork" {
		t.Fatalf("%+v", q)
	}
	if q := must[[]store.Quarantined](t)(s.Quarantine(ctx, store.TroubleQuery{Account: "bolt"})); len(q) != 0 {
		t.Fatalf("another account's: %+v", q)
	}
	l := store.Loss{At: epoch0, Agent: a.ID, Epoch: a.epoch, From: 4, To: 6, Why: "state restored"}
	ok(t, s.AddLoss(ctx, l))
	ok(t, s.AddLoss(ctx, l))
	if got := must[[]store.Loss](t)(s.Losses(ctx, store.TroubleQuery{})); len(got) != 1 || got[0].To != 6 || got[0].Account != "acme" {
		t.Fatalf("%+v", got)
	}
	if i := must[store.Installation](t)(s.Installation(ctx, "acme", "eu")); i.Losses != 3 {
		t.Fatalf("%d batches lost", i.Losses)
	}
	ok(t, s.AddAudit(ctx, store.AuditRow{At: epoch0, Actor: "cli", Action: "token_created", Subject: "acme/eu"}))
	ok(t, s.AddAudit(ctx, store.AuditRow{At: epoch0, Actor: "cli", Action: "token_created", Subject: "acme2/eu"}))
	if got := must[[]store.AuditRow](t)(s.Audit(ctx, store.TroubleQuery{Account: "acme"})); len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	if got := must[[]store.AuditRow](t)(s.Audit(ctx, store.TroubleQuery{})); len(got) != 2 || got[0].Subject != "acme2/eu" {
		t.Fatalf("%+v", got)
	}
	b1, b4 := a.batch(), a.batch()
	b4.Seq, b4.Lost = 4, "missing on the stream"
	if r := apply(t, s, b1, b4); r[1].What != store.ResultStored {
		t.Fatalf("behind a loss: %+v", r)
	}
	if got := must[[]store.Loss](t)(s.Losses(ctx, store.TroubleQuery{})); len(got) != 2 || got[0].From != 2 || got[0].To != 3 || got[0].Why != b4.Lost {
		t.Fatalf("%+v", got)
	}
}

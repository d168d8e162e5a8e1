package api

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func each[S, R any](in []S, f func(S) R) []R {
	out := make([]R, len(in))
	for i, s := range in {
		out[i] = f(s)
	}
	return out
}

func (h *Handler) overview(c *call) (any, error) {
	o, err := h.c.Fleet.Overview(c.ctx)
	if err != nil {
		return nil, err
	}
	return overviewRow{Accounts: o.Accounts, Installations: o.Installations, Reporting: o.Reporting, Agents: o.Agents, Measures: o.Measures, Batches: o.Batches, Cells: o.Cells, Aside: o.Aside,
		Quarantined: o.Quarantined, Losses: o.Losses, ByEnvironment: o.ByEnvironment, ByVersion: o.ByVersion, FirstReport: moment(o.FirstReport), LastReport: moment(o.LastReport),
		Clock: moment(o.Clock), Catalog: o.CatalogName, CatalogVersion: o.CatalogVersion, ConsentAggregate: o.ConsentAggregate, ConsentTotals: o.ConsentTotals, ConsentNothing: o.ConsentNothing}, nil
}

func (h *Handler) accounts(c *call) (any, error) {
	query := store.AccountQuery{Search: c.get("q"), Sort: c.get("sort"), Desc: isTrue(c.get("desc")), Limit: c.limit(50, 1000), Offset: c.offset(), Measure: c.get("m"), Recent: 1}
	switch query.Sort { // as the pages name them
	case "figure":
		query.Sort = "measure"
	case "last":
		query.Sort = "last_report"
	case "reading", "level":
		query.Sort = ""
	}
	if e := c.get("env"); e != "" {
		query.Filters = append(query.Filters, store.Filter{Attribute: "environment", Op: store.Equal, Value: e})
	}
	for _, f := range c.r.URL.Query()["f"] {
		i := strings.IndexAny(f, "=!<>~")
		op := store.Op("")
		if i > 0 {
			for _, o := range []store.Op{store.NotEqual, store.AtLeast, store.AtMost, store.Equal, store.Contains} {
				if strings.HasPrefix(f[i:], string(o)) {
					op = o
					break
				}
			}
		}
		if op == "" {
			return nil, &access.Error{Status: http.StatusBadRequest, Code: "filter_invalid", Message: "The filter " + strconv.Quote(clip(f)) + " has no comparison.", Hint: "Write it as plan=Team, seats>=100 or region~nord."}
		}
		query.Filters = append(query.Filters, store.Filter{Attribute: strings.ToLower(f[:i]), Op: op, Value: f[i+len(op):]})
	}
	p, err := h.c.Accounts.AccountPage(c.ctx, query)
	if err != nil {
		return nil, err
	}
	return page{each(p.Rows, ofAccount), nextOffset(query.Offset, len(p.Rows), query.Limit), p.Total}, nil
}

func (h *Handler) account(c *call) (any, error) {
	a, err := h.c.Accounts.Account(c.ctx, c.r.PathValue("key"))
	if err != nil {
		return nil, err
	}
	return ofAccount(a), nil
}

func (h *Handler) installations(c *call) (any, error) {
	query := store.FleetQuery{Search: c.get("q"), Account: c.get("account"), Version: c.get("version"), Sort: c.get("sort"), Desc: isTrue(c.get("desc")), Limit: c.limit(50, 1000), Offset: c.offset()}
	if e := c.get("env"); e != "" {
		query.Environments = []string{e}
	}
	if l := c.get("level"); l != "" {
		query.Category, query.Level = catalog.Usage, l
	}
	if n, err := strconv.Atoi(c.get("silent")); err == nil && n > 0 {
		clock, err := h.c.Fleet.Clock(c.ctx)
		if err != nil {
			return nil, err
		}
		if clock.IsZero() {
			clock = h.c.Now()
		}
		query.SilentSince = clock.AddDate(0, 0, -min(n, 100_000))
	}
	p, err := h.c.Fleet.InstallationPage(c.ctx, query)
	if err != nil {
		return nil, err
	}
	return page{each(p.Rows, ofInstallation), nextOffset(query.Offset, len(p.Rows), query.Limit), p.Total}, nil
}

func (h *Handler) installation(c *call) (any, error) {
	i, err := h.c.Fleet.Installation(c.ctx, c.r.PathValue("account"), c.r.PathValue("installation"))
	if err != nil {
		return nil, err
	}
	return ofInstallation(i), nil
}

func (h *Handler) backlog(c *call) (any, error) {
	list, err := h.c.Measurements.Backlog(c.ctx, c.r.PathValue("account"), c.r.PathValue("installation"), h.c.Now())
	if err != nil {
		return nil, err
	}
	return slicePage(c, each(list, func(b store.Backlog) backlogRow {
		return backlogRow{Measure: b.Measure, Grain: b.Grain.String(), Due: b.Due, Arrived: b.Arrived, Missing: b.Missing, Since: moment(b.Since)}
	}), 1000), nil
}

// slicePage pages what the store gives at once.
func slicePage[R any](c *call, all []R, most int) page {
	limit, from := c.limit(most, most), min(c.offset(), len(all))
	to := min(from+limit, len(all))
	p := page{rows: all[from:to], total: len(all)}
	if to < len(all) {
		p.next = strconv.Itoa(to)
	}
	return p
}

func (h *Handler) measurements(c *call) (any, error) {
	query := store.FigureQuery{Measure: c.get("measure"), Account: c.get("account"), Installation: c.get("installation"), Limit: c.limit(1000, 10_000), After: c.get("after")}
	if query.Installation != "" && query.Account == "" {
		return nil, &access.Error{Status: http.StatusBadRequest, Code: "parameter_missing", Message: "An installation is named within an account.", Hint: "Give account as well."}
	}
	query.Grain, _ = report.ParseGrain(c.get("grain")) // checked against the table; "" is none
	query.Field, _ = report.ParseField(c.get("field"))
	if isTrue(c.get("totals")) {
		query.Dims = map[string]string{}
	}
	var err error
	if query.From, err = c.date("from"); err == nil {
		query.To, err = c.date("to")
	}
	if err != nil {
		return nil, err
	}
	if len(c.get("to")) == len("2006-01-02") { // a date means the whole day
		query.To = query.To.AddDate(0, 0, 1).Add(-1)
	}
	p, err := h.c.Measurements.Figures(c.ctx, query)
	if errors.Is(err, store.ErrNotFound) && query.After != "" {
		return nil, &access.Error{Status: http.StatusBadRequest, Code: "cursor_invalid", Message: "The cursor in after is none of ours.", Hint: "Use next of the page before, unchanged."}
	} else if err != nil {
		return nil, err
	}
	return page{each(p.Rows, ofFigure), p.Next, -1}, nil
}

func (h *Handler) periods(c *call) (any, error) {
	query := store.PeriodQuery{Measure: c.get("measure"), Account: c.get("account"), Fleet: isTrue(c.get("fleet")), Environments: c.r.URL.Query()["environment"], Grain: store.Weekly}
	if query.Measure == "" && query.Account == "" {
		return nil, &access.Error{Status: http.StatusBadRequest, Code: "parameter_missing", Message: "Periods of everything at once are too many.", Hint: "Give measure or account."}
	}
	if g, err := report.ParseGrain(c.get("grain")); err == nil { // checked against the table; "" is the week
		query.Grain = g
	}
	query.Field, _ = report.ParseField(c.get("field")) // checked against the table; "" is none
	from, err := c.date("from")
	if err != nil {
		return nil, err
	}
	to, err := c.date("to")
	if err != nil {
		return nil, err
	}
	if !from.IsZero() {
		query.From = report.CivilDay(from, from.Location())
	}
	if !to.IsZero() {
		query.To = report.CivilDay(to, to.Location())
	}
	// Accounts are joined over their environments first: one that has two is one account, and
	// its people may be in both.
	overAccounts := query.Fleet && len(query.Environments) != 1
	query.Fleet = query.Fleet && !overAccounts
	list, err := h.c.Measurements.Periods(c.ctx, query)
	if err != nil {
		return nil, err
	}
	if overAccounts {
		list = sum(list)
	}
	return slicePage(c, each(list, ofPeriod), 10_000), nil
}

func (h *Handler) pool(c *call) (any, error) {
	query := store.PoolQuery{Measure: c.get("measure"), Environments: c.r.URL.Query()["environment"]}
	for name, day := range map[string]*int64{"from": &query.From, "to": &query.To} {
		t, err := c.date(name)
		if err != nil {
			return nil, err
		}
		if !t.IsZero() {
			*day = report.CivilDay(t, t.Location())
		}
	}
	list, err := h.insight.Figures(c.ctx, query)
	if err != nil {
		return nil, err
	}
	return slicePage(c, each(list, ofPool), 10_000), nil
}

// sum adds accounts up to the fleet, period by period.
func sum(list []store.Period) []store.Period {
	type key struct {
		measure, hash string
		field         report.Field
		start         int64
	}
	at := map[key]int{}
	var out []store.Period
	var tallies []report.Tally
	for _, p := range list {
		k := key{p.Measure, p.Hash, p.Field, p.Start}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, store.Period{Measure: p.Measure, Hash: p.Hash, Kind: p.Kind, Field: p.Field, Grain: p.Grain, Start: p.Start})
			tallies = append(tallies, report.Tally{})
		}
		tallies[i].Add(p.Form(), p.Interval)
		out[i].Windows += p.Windows
	}
	for i, t := range tallies {
		out[i].Interval, out[i].Exact, out[i].Banded, out[i].Noised, out[i].Suppressed, out[i].Unknown = t.Interval, t.Exact, t.Banded, t.Noised, t.Suppressed, t.Unknown
	}
	slices.SortFunc(out, func(a, b store.Period) int {
		return cmp.Or(strings.Compare(a.Measure, b.Measure), strings.Compare(a.Hash, b.Hash), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Start, b.Start))
	})
	return out
}

func (h *Handler) measures(c *call) (any, error) {
	newest, err := h.c.Catalogs.NewestCatalog(c.ctx, "")
	if errors.Is(err, store.ErrNotFound) {
		return page{rows: []measureRow{}}, nil
	} else if err != nil {
		return nil, err
	}
	cat, err := catalog.Parse(newest.Raw)
	if err != nil {
		return nil, err
	}
	cover, err := h.c.Measurements.Coverage(c.ctx)
	if err != nil {
		return nil, err
	}
	o, err := h.c.Fleet.Overview(c.ctx)
	if err != nil {
		return nil, err
	}
	return slicePage(c, each(cat.Measures, func(m catalog.Measure) measureRow {
		r := measureRow{ID: m.ID, Kind: string(m.Kind), Subject: string(m.Subject), Category: m.Category, Question: m.Question, Purpose: m.Purpose, Owner: m.Owner, ConsumedIn: m.ConsumedIn,
			Retention: catalog.Span(m.Retention), Expires: m.Expires, Target: m.Target, Hash: m.HashString(), Unknown: o.Reporting}
		if i := slices.IndexFunc(cover, func(x store.Coverage) bool { return x.Measure == m.ID && x.Hash == r.Hash }); i >= 0 {
			r.Exact, r.Banded, r.Noised, r.Suppressed, r.Unknown = cover[i].Exact, cover[i].Banded, cover[i].Noised, cover[i].Suppressed, cover[i].Unknown
		}
		if r.ConsumedIn == nil {
			r.ConsumedIn = []string{}
		}
		return r
	}), 1000), nil
}

func (h *Handler) coverage(c *call) (any, error) {
	list, err := h.c.Measurements.Coverage(c.ctx)
	if err != nil {
		return nil, err
	}
	return slicePage(c, each(list, func(x store.Coverage) coverageRow {
		return coverageRow{Measure: x.Measure, Hash: x.Hash, Kind: x.Kind, Subject: x.Subject, Category: x.Category, Exact: x.Exact, Banded: x.Banded, Noised: x.Noised, Suppressed: x.Suppressed, Unknown: x.Unknown, Newest: moment(x.Newest)}
	}), 1000), nil
}

func (h *Handler) batches(c *call) (any, error) {
	query := store.BatchQuery{Account: c.get("account"), Installation: c.get("installation"), Limit: c.limit(100, 10_000), Offset: c.offset()}
	list, err := h.c.Fleet.Batches(c.ctx, query)
	if err != nil {
		return nil, err
	}
	rows := each(list, func(b store.BatchRow) batchRow {
		return batchRow{Account: b.Account, Installation: b.Installation, Agent: b.Agent.String(), Epoch: b.Epoch.String(), Seq: b.Seq, Hash: b.Hash.String(), Bytes: b.Bytes, Cells: b.Cells, Aside: b.Aside, Received: moment(b.Received), Refused: b.Refused}
	})
	return page{rows, nextOffset(query.Offset, len(rows), query.Limit), -1}, nil
}

func (c *call) trouble() store.TroubleQuery {
	return store.TroubleQuery{Account: c.get("account"), Installation: c.get("installation"), Limit: c.limit(100, 1000), Offset: c.offset()}
}

func (h *Handler) quarantine(c *call) (any, error) {
	t := c.trouble()
	list, err := h.c.Troubles.Quarantine(c.ctx, t)
	if err != nil {
		return nil, err
	}
	rows := each(list, func(x store.Quarantined) quarantineRow {
		return quarantineRow{ID: x.ID, At: moment(x.At), Account: x.Account, Installation: x.Installation, Agent: x.Agent.String(), Epoch: x.Epoch.String(), Seq: x.Seq, Hash: x.Hash.String(), Code: x.Code, Message: x.Message, Bytes: x.Bytes}
	})
	return page{rows, nextOffset(t.Offset, len(rows), t.Limit), -1}, nil
}

func (h *Handler) quarantineBytes(c *call) (any, error) {
	id, err := strconv.ParseInt(c.r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, store.ErrNotFound
	}
	b, err := h.c.Troubles.QuarantineBytes(c.ctx, id)
	if err != nil {
		return nil, err
	}
	return raw{"quarantined-" + strconv.FormatInt(id, 10) + ".batch", b}, nil
}

func (h *Handler) losses(c *call) (any, error) {
	t := c.trouble()
	list, err := h.c.Troubles.Losses(c.ctx, t)
	if err != nil {
		return nil, err
	}
	rows := each(list, func(x store.Loss) lossRow {
		return lossRow{ID: x.ID, At: moment(x.At), Account: x.Account, Installation: x.Installation, Agent: x.Agent.String(), Epoch: x.Epoch.String(), From: x.From, To: x.To, Why: x.Why}
	})
	return page{rows, nextOffset(t.Offset, len(rows), t.Limit), -1}, nil
}

func (h *Handler) aside(c *call) (any, error) {
	t := c.trouble()
	list, err := h.c.Troubles.Aside(c.ctx, t)
	if err != nil {
		return nil, err
	}
	rows := each(list, func(x store.Aside) asideRow {
		r := asideRow{At: moment(x.At), Epoch: x.Epoch.String(), Seq: x.Seq, Equal: x.Equal, measurementRow: ofFigure(store.FigureRow{Account: x.Account, Installation: x.Installation, Figure: x.Figure})}
		if x.ForPool {
			r.Lo, r.Hi = nil, nil
		}
		return r
	})
	return page{rows, nextOffset(t.Offset, len(rows), t.Limit), -1}, nil
}

func (h *Handler) audit(c *call) (any, error) {
	t := c.trouble()
	list, err := h.c.Troubles.Audit(c.ctx, t)
	if err != nil {
		return nil, err
	}
	rows := each(list, func(x store.AuditRow) auditRow {
		return auditRow{ID: x.ID, At: moment(x.At), Actor: x.Actor, Action: x.Action, Subject: x.Subject, Detail: x.Detail}
	})
	return page{rows, nextOffset(t.Offset, len(rows), t.Limit), -1}, nil
}

package console

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/console/picture"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// fakeSite is a site with every kind of measure, bands, withheld figures, gaps, a pending
// request and a ledger. It keeps what it was told, so tests can look.
type fakeSite struct {
	mu       sync.Mutex
	book     *catalog.Catalog
	now      time.Time
	consent  control.Consent
	accepted int
	decided  []control.Decision
	asked    []control.Query
	sends    int
	entries  []control.LedgerEntry
	status   func(*control.Status)               // changes the status
	delay    func(control.Query) <-chan struct{} // what a query waits for; nil: nothing
	spoil    string                              // put into every text the site gives
	empty    bool                                // no catalog, no figures
	kinds    bool                                // figures of every kind, in every form
}

func newFakeSite() *fakeSite { return newFakeSiteOf("forge") }

// newFakeSiteOf asks what an example's catalog asks.
func newFakeSiteOf(example string) *fakeSite {
	raw, err := os.ReadFile("../../installer/examples/" + example + "/catalog.yaml")
	if err != nil {
		panic(err)
	}
	book, err := catalog.Parse(raw)
	if err != nil {
		panic(err)
	}
	now := time.Date(2026, 11, 20, 14, 3, 0, 0, time.UTC)
	at := now.AddDate(0, -8, 0)
	levels := []exchange.Decision{{Category: "inventory", Level: exchange.Aggregate, From: at.Unix()}, {Category: "sla", Level: exchange.Aggregate, From: at.Unix()}, {Category: "usage", Level: exchange.Aggregate, From: at.Unix()}}
	f := &fakeSite{book: book, now: now, accepted: 1}
	f.consent = control.Consent{Decided: true, Number: 3, Levels: levels, Catalog: "forge 1", By: "j.d.", Ticket: "CHG-2291", Counter: "m.k.", People: 62, At: at}
	for i := range 3 {
		f.consent.History = append(f.consent.History, control.ConsentEntry{Number: i + 1, At: at.AddDate(0, 0, i), By: "j.d.", Ticket: "CHG-2291", Levels: levels[:i+1], Hash: exchange.Hash(sha256.Sum256([]byte{byte(i)}))})
	}
	epoch := exchange.ID{1, 2, 3}
	for i := range 130 {
		e := control.LedgerEntry{No: uint64(i + 1), At: now.Add(-time.Duration(130-i) * 26 * time.Hour), Kind: "check_in", Text: "checked in: agent id, version, catalog version, consent statement"}
		if i%3 == 2 {
			h := exchange.Hash(sha256.Sum256([]byte{9, byte(i)}))
			e.Kind, e.Text, e.Epoch, e.Seq, e.Hash, e.Bytes, e.Cells = "batch", "12 figures, acknowledged", &epoch, uint64(i/3+1), &h, 214, 12
			e.Receipt = json.RawMessage(`{"raw":"eyJ…","sig":"MEUC"}`)
		}
		if i == 125 {
			e.Kind, e.Text = "quarantined", "refused: window_closed"
			e.Epoch, e.Seq = &epoch, 99
		}
		f.entries = append(f.entries, e)
	}
	return f
}

func (f *fakeSite) text(s string) string { return s + f.spoil }

func (f *fakeSite) Status(context.Context) (control.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := control.Status{Version: "0.3.0", Running: true, Agent: exchange.ID{0xab, 0xcd}, Account: f.text("Example AG"), Installation: f.text("forge-berlin"), Environment: "production", Collector: f.text("https://collector.example.com:8443"),
		Now: f.now, Since: f.now.AddDate(-2, 0, 0), Zone: "Europe/Berlin", Catalog: "forge 2", Levels: f.consent.Levels, Paused: f.consent.Paused, Request: f.accepted == 1,
		Warnings: []control.Warning{{Code: "outbox_full", Cause: f.text("3 figures found no room to wait in"), Remedy: f.text("outbox_max: a larger size, or restore the connection")}},
		Checks: []control.Check{{ID: "web", Target: f.text("https://forge.example.com/login"), At: f.now.Add(-40 * time.Second), Up: true, TookMS: 48.3},
			{ID: "api", Target: "tcp://10.0.0.7:5432", At: f.now.Add(-30 * time.Second), Detail: f.text("connection refused"), TookMS: 2.1}},
		Scrapes: []control.Scrape{{Name: "app", Target: f.text("http://127.0.0.1:9100/metrics"), At: f.now.Add(-20 * time.Second), OK: true, TookMS: 12, Bytes: 40210, Samples: 311, Refused: map[string]uint64{"unknown_metric": 27}, Scrapes: 9000, Failed: map[string]uint64{"timeout": 3}},
			{Name: "db", Target: "http://127.0.0.1:9187/metrics", At: f.now.Add(-20 * time.Second), Detail: f.text("the answer is HTML"), Scrapes: 12, Failed: map[string]uint64{"not_metrics": 12}}, {Name: "idle", Target: "http://127.0.0.1:1/metrics", Idle: true}},
		StatsD:   &control.StatsD{Listen: f.text("127.0.0.1:8125"), Datagrams: 1200, Values: 5004, Journaled: 4990, Pending: 7, Lost: 1, Refused: map[string]uint64{"sets": 6}, Sets: 6, Events: 2, Dropped: 1},
		Delivery: control.Delivery{Waiting: 212, Frozen: 44, Acknowledged: 42, Outbox: 1, Quarantined: 1, Withdrawn: 6, CheckIn: f.now.Add(-14 * time.Minute), Acked: f.now.Add(-2 * time.Hour), Next: f.now.Add(11 * time.Hour)},
		Events:   control.Counts{Received: 184213, Reasons: map[string]uint64{"measured": 183001, "duplicate": 900, "late": 12, "unknown_event": 300}},
		Samples:  control.Counts{Received: 1204000, Reasons: map[string]uint64{"measured": 1204000}},
		Journal:  control.Journal{Records: 90211, Bytes: 41 << 20, Limit: 1 << 30}, Late: map[string]uint64{"requests": 4}, Skewed: 2, Back: 1, Sealed: true}
	if f.empty {
		s.Collector, s.Account, s.Installation, s.Catalog, s.Levels, s.Warnings, s.Checks, s.Delivery, s.Events, s.Samples, s.Request = "", "", "", "", nil, nil, nil, control.Delivery{}, control.Counts{}, control.Counts{}, false
	}
	if f.status != nil {
		f.status(&s)
	}
	return s, nil
}

func (f *fakeSite) Catalog(context.Context) (control.Catalog, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.empty {
		return control.Catalog{}, &control.Error{Code: "catalog_missing", Message: "there is no catalog yet", Hint: "fieldpost-agent enroll --token-file FILE", Exit: 1}
	}
	c := control.Catalog{Name: "forge", Version: 2, Vendor: f.text("Example Forge Ltd"), Hash: f.book.Hash, Raw: f.book.Raw, Accepted: f.accepted}
	if f.accepted == 1 {
		c.Changes = []control.Change{{Kind: "added", Measure: "queue_depth", Text: f.text("the measure queue_depth is new: how much work waits in the queue")}, {Kind: "purpose", Measure: "people", Text: "the purpose of people is put in other words"}}
	}
	for i := range f.book.Measures {
		x := &f.book.Measures[i]
		ms := control.Measure{ID: x.ID, Kind: string(x.Kind), Subject: string(x.Subject), Category: x.Category, Question: f.text(x.Question), Purpose: f.text(x.Purpose), Owner: f.text(x.Owner), Kept: "730 days", Expires: x.Expires, By: x.By, Leaves: x.Leaves.String(), Level: f.level(x.Category), Target: x.Target}
		if mt, _ := f.book.Metric(x.Metric); mt != nil {
			ms.Unit = mt.Unit
		}
		for _, g := range x.Grains() {
			ms.Grains = append(ms.Grains, g.String())
		}
		c.Measures = append(c.Measures, ms)
	}
	return c, nil
}

func (f *fakeSite) level(category string) exchange.Level {
	for _, d := range f.consent.Levels {
		if d.Category == category {
			return d.Level
		}
	}
	return exchange.Off
}

func (f *fakeSite) Query(ctx context.Context, q control.Query) ([]json.RawMessage, error) {
	f.mu.Lock()
	f.asked = append(f.asked, q)
	delay := f.delay
	f.mu.Unlock()
	if delay != nil {
		select {
		case <-delay(q):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	ms, _ := f.book.Measure(q.Measure)
	g, err := report.ParseGrain(q.Grain)
	if ms == nil || err != nil {
		return nil, &control.Error{Code: "measure_unknown", Message: f.text("there is no such measure"), Hint: "fieldpost-agent catalog"}
	}
	if g == report.Change && ms.Kind != catalog.FirstTime {
		return []json.RawMessage{f.line(q, "2026-03-03T08:12:00Z", map[string]any{"value": f.text("linux"), "since": "2026-03-03T08:12:00Z"}, true, nil)}, nil
	}
	if f.kinds && ms.Subject == catalog.Person {
		return f.kindLines(q, ms, g), nil
	}
	from := f.now.AddDate(0, 0, -90)
	if t, err := time.Parse(time.DateOnly, q.From); err == nil {
		from = t
	}
	var out []json.RawMessage
	n := 0
	for s := report.WindowStart(g, from, time.UTC); s <= report.WindowStart(g, f.now, time.UTC); s = picture.Step(g, s) {
		n++
		closed := picture.Step(g, s) <= report.WindowStart(g, f.now, time.UTC)
		v, form := f.value(ms, n, g)
		if v == nil && form == nil {
			continue // nobody looked
		}
		if len(q.By) > 0 {
			for i, name := range []string{"success", "failure", "cancelled"} {
				out = append(out, f.lineBy(q, report.StartString(g, s), map[string]string{q.By[0]: name}, v, closed, form, i))
			}
			continue
		}
		out = append(out, f.line(q, report.StartString(g, s), v, closed, form))
	}
	return out, nil
}

// wave is a figure that goes up and down without chance.
func wave(n int, mean, swing float64) float64 {
	return mean + swing*math.Sin(float64(n)/5) + swing*0.6*math.Sin(float64(n)*1.7)
}

// value is the n-th figure of a measure: a value, or a form that tells less.
func (f *fakeSite) value(ms *catalog.Measure, n int, g report.Grain) (any, map[string]any) {
	withheld := map[string]any{"form": "suppressed", "why": f.text("about people only the site's weekly total leaves")}
	switch {
	case ms.Subject == catalog.Person && ms.ID == "people" && g == report.Week:
		switch v := math.Round(wave(n, 31, 9)); {
		case n%37 > 34:
			return nil, map[string]any{"form": "suppressed", "why": "too few people: no answer could hide a single one"}
		case v < 25:
			return nil, map[string]any{"form": "band", "lo": 20, "hi": 24}
		case v > 43:
			return nil, map[string]any{"form": "band", "lo": 43}
		default:
			return v, nil
		}
	case ms.Subject == catalog.Person:
		return nil, withheld
	case n > 40 && n < 45 && ms.Kind != catalog.Count:
		return nil, nil
	}
	switch ms.Kind {
	case catalog.Availability:
		down, maint, unknown := 0, 0, 0
		if n%23 == 5 {
			down = 412
		}
		if n%31 == 9 {
			maint = 7200
		}
		if n%29 == 3 {
			unknown = 40000
		}
		up := 86400 - down - maint - unknown
		incidents := min(down, 1)
		return map[string]any{"up": up, "down": down, "maintenance": maint, "unknown": unknown, "incidents": incidents, "availability": float64(up) / float64(up+down), "coverage": float64(up+down) / 86400}, nil
	case catalog.SLO:
		valid := math.Round(wave(n, 90000, 20000))
		good := math.Round(valid * (1 - 0.003 - 0.004*math.Abs(math.Sin(float64(n)/9))))
		return map[string]any{"good": good, "valid": valid, "ratio": good / valid}, nil
	case catalog.Histogram:
		return map[string]any{"count": 1000, "sum": wave(n, 120, 30), "buckets": []int{100, 200, 300, 200, 100, 40 + n%40, 30, 20, 5, 3, 1, 1 + 40 - n%40}}, nil
	case catalog.Gauge:
		v := wave(n, 14, 6)
		return map[string]any{"last": math.Round(v), "min": math.Max(0, math.Round(v-6)), "max": math.Round(v + 9), "mean": v}, nil
	case catalog.Counter:
		return map[string]any{"increase": math.Round(wave(n, 5200, 900))}, nil
	}
	return math.Max(0, math.Round(wave(n, 3, 2))), nil
}

func (f *fakeSite) line(q control.Query, start string, v any, closed bool, form map[string]any) json.RawMessage {
	return f.lineBy(q, start, map[string]string{}, v, closed, form, 0)
}

func (f *fakeSite) lineBy(q control.Query, start string, dims map[string]string, v any, closed bool, form map[string]any, i int) json.RawMessage {
	if c, ok := v.(map[string]any); ok && c["increase"] != nil {
		v = map[string]any{"increase": math.Round(c["increase"].(float64) / float64(1+6*i))}
	}
	l := map[string]any{"measure": q.Measure, "grain": q.Grain, "start": start, "dims": dims, "value": v, "closed": closed}
	for k, x := range form {
		l[k] = x
	}
	b, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	return b
}

func (f *fakeSite) Preview(context.Context) (control.Preview, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.empty {
		return control.Preview{Blocked: "this agent is not enrolled with any vendor"}, nil
	}
	p := control.Preview{To: f.text("https://collector.example.com:8443"), Next: f.now.Add(11 * time.Hour), Bytes: 318}
	day := report.CivilDay(f.now, time.UTC)
	line := func(id string, field report.Field, g report.Grain, start int64, form report.Form, lo, hi float64) control.Line {
		ms, _ := f.book.Measure(id)
		return control.Line{Figure: report.Figure{Measure: id, Hash: ms.HashString(), Field: field, Grain: g, Start: start, Form: form, Lo: lo, Hi: hi}, Category: ms.Category, Purpose: f.text(ms.Purpose)}
	}
	for i := range int64(30) {
		for _, x := range []struct {
			field report.Field
			v     float64
		}{{report.Up, 86400 - 60}, {report.Down, 60}, {report.Maintenance, 0}, {report.Unseen, 0}, {report.Incidents, 1}} {
			p.Leaves = append(p.Leaves, line("web", x.field, report.Day, day-i, report.Exact, x.v, x.v))
		}
		p.Leaves = append(p.Leaves, line("requests", report.Good, report.Day, day-i, report.Exact, 9950, 9950), line("requests", report.Valid, report.Day, day-i, report.Exact, 10000, 10000))
	}
	week := report.CivilStart(report.Week, day-7)
	p.Leaves = append(p.Leaves, line("people", report.Value, report.Week, week, report.Band, 30, 34), line("people", report.Value, report.Week, week-7, report.Band, 43, math.Inf(1)), line("changes", report.Value, report.Week, week, report.Suppressed, 0, 0))
	for i := range p.Leaves {
		if p.Leaves[i].Form == report.Band {
			p.Leaves[i].Explain = f.text("out of 62 people; code book of fives with 9 answers: 0–4, 5–9")
		}
	}
	os := line("os_family", report.Value, report.Change, f.now.Unix()-90000, report.Exact, 0, 0)
	os.Text = f.text("linux")
	p.Leaves = append(p.Leaves, os)
	for i := range int64(70) {
		l := line("people", report.Value, report.Day, day-i, report.Suppressed, 0, 0)
		l.Reason, l.Why, l.Explain = "other_grain", f.text("this length of window stays here"), f.text("out of 62 people")
		l.Dims = map[string]string{"role": f.text("maintainer")}
		p.Stays = append(p.Stays, l)
	}
	return p, nil
}

func (f *fakeSite) Ledger(_ context.Context, q control.LedgerQuery) (control.Ledger, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out control.Ledger
	if q.Verify {
		ok := true
		out.Verified = &ok
	}
	for _, e := range slices.Backward(f.entries) {
		if q.Kind != "" && e.Kind != q.Kind || q.Epoch != nil && (e.Epoch == nil || *e.Epoch != *q.Epoch) {
			continue
		}
		e.Text = f.text(e.Text)
		if q.Figures && e.Epoch != nil {
			e.Wire = []byte(fmt.Sprintf("<script>batch %d</script>\x00\xff", e.No))
			e.Figures = []report.Figure{{Measure: "people", Hash: "00", Field: report.Value, Grain: report.Week, Start: 20000 - 20000%7 + 4, Form: report.Band, Lo: 30, Hi: 34, Dims: map[string]string{}}}
		}
		if out.Entries = append(out.Entries, e); q.Limit > 0 && len(out.Entries) == q.Limit {
			break
		}
	}
	return out, nil
}

func (f *fakeSite) Consent(context.Context) (control.Consent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.consent
	c.By, c.Ticket = f.text(c.By), f.text(c.Ticket)
	if f.empty {
		c = control.Consent{}
	}
	return c, nil
}

func (f *fakeSite) Decide(_ context.Context, d control.Decision) (control.Consent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.consent.Locked {
		return control.Consent{}, &control.Error{Code: "consent_locked", Message: "consent is locked by the configuration", Hint: "ask whoever owns the configuration: consent_lock", Exit: 1}
	}
	f.decided = append(f.decided, d)
	if d.Pause != nil {
		f.consent.Paused = *d.Pause
	}
	if d.Accept {
		f.accepted = 2
	}
	for i, l := range f.consent.Levels {
		if to, ok := d.Levels[l.Category]; ok {
			f.consent.Levels = slices.Clone(f.consent.Levels)
			f.consent.Levels[i].Level = to
		}
	}
	f.consent.Number++
	return f.consent, nil
}

func (f *fakeSite) Send(context.Context) (control.Sent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sends++
	return control.Sent{Batches: 1, Cells: 212, Bytes: 318, At: f.now}, nil
}

var _ control.Site = (*fakeSite)(nil)

package measure_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// site is a fold with its catalogs, fed by hand.
type site struct {
	t       *testing.T
	f       *measure.Fold
	cats    map[[8]byte]*catalog.Catalog
	cat     *catalog.Catalog
	no      uint64
	windows []*measure.Window
}

const rest = ", category: usage, question: q, purpose: p, owner: o, retention: 30d}\n"

func parse(t *testing.T, yaml string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse([]byte("catalog: t\nversion: 1\nvendor: V\n" + yaml))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newSite(t *testing.T, yaml string, change ...func(*measure.Config)) *site {
	s := &site{t: t, cat: parse(t, yaml), cats: map[[8]byte]*catalog.Catalog{}}
	s.cats[[8]byte(s.cat.Hash[:8])] = s.cat
	cfg := measure.Config{SimpleLocal: true, Facts: map[string]string{"agent.os": "linux"},
		Catalog: func(p [8]byte) *catalog.Catalog { return s.cats[p] },
		Closed:  func(w *measure.Window) { s.windows = append(s.windows, w) }}
	for _, c := range change {
		c(&cfg)
	}
	s.f = measure.New(cfg)
	return s
}

func (s *site) apply(r *record.Record) {
	s.t.Helper()
	s.no++
	if r.Kind == 0 {
		r.Kind = record.Request
	}
	r.Catalog = [8]byte(s.cat.Hash[:8])
	if err := s.f.Apply(s.no, r); err != nil {
		s.t.Fatal(err)
	}
}

func at(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		if t, err = time.Parse("2006-01-02 15:04", s); err != nil {
			panic(err)
		}
	}
	return t
}

// track sends event def of a user; received at once unless a second time is given.
func (s *site) track(def int, user, when string, received ...string) {
	s.t.Helper()
	rec := at(when)
	if len(received) > 0 {
		rec = at(received[0])
	}
	s.apply(&record.Record{Received: rec.UnixNano(), Events: []record.Event{{Type: record.Track, Def: uint16(def), User: user, Time: at(when).UnixNano()}}})
}

func (s *site) sample(x record.Sample, when string) {
	s.t.Helper()
	x.Time = at(when).UnixNano()
	s.apply(&record.Record{Received: x.Time, Samples: []record.Sample{x}})
}

func (s *site) until(when string) { s.f.Advance(at(when).UnixNano()) }

// want compares the answers of a query; each line is given as START DIMS VALUE, with a * where the
// window is open.
func (s *site) want(id string, g report.Grain, by string, lines ...string) {
	s.t.Helper()
	q := measure.Query{Measure: id, Grain: g}
	if by != "" {
		q.By = strings.Split(by, ",")
	}
	ls, err := s.f.Query(q)
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, l := range ls {
		v, _ := json.Marshal(l.Value)
		d := ""
		for _, name := range q.By {
			d += l.Dims[name] + " "
		}
		open := ""
		if !l.Closed {
			open = " *"
		}
		got = append(got, fmt.Sprintf("%s %s%s%s", l.Start, d, v, open))
	}
	if d := cmp.Diff(lines, got); d != "" {
		s.t.Errorf("%s by %s (-want +got):\n%s", id, g, d)
	}
}

func TestGaugeWeighsByTime(t *testing.T) {
	s := newSite(t, "metrics: {m: {match: m, type: gauge, unit: s}}\nmeasures:\n - {id: g, kind: gauge, subject: machine, metric: m"+rest)
	s.sample(record.Sample{Value: 10}, "2026-01-01 00:00")
	s.sample(record.Sample{Value: 20}, "2026-01-01 00:04") // 240 s of 10, 60 s of 20
	s.sample(record.Sample{Value: 5}, "2026-01-01 00:07:30")
	s.until("2026-01-01 02:00")
	s.want("g", report.FiveMinutes, "", `2026-01-01T00:00:00Z {"last":20,"min":10,"max":20,"mean":12}`, `2026-01-01T00:05:00Z {"last":5,"min":5,"max":5,"mean":5}`)
	// 240 s of 10, 210 s of 20, 3,150 s of 5
	s.want("g", report.Hour, "", `2026-01-01T00:00:00Z {"last":5,"min":5,"max":20,"mean":6.208333333333333}`)
	s.want("g", report.Day, "", `2026-01-01 {"last":5,"min":5,"max":20,"mean":5.050347222222222} *`)
}

func TestCounterHandlesResetsAndStreams(t *testing.T) {
	s := newSite(t, "metrics: {m: {match: m, type: counter, unit: s, attributes: {r: {values: [a, b]}}}}\nmeasures:\n - {id: c, kind: counter, subject: machine, metric: m, by: [r]"+rest)
	a, b := [8]byte{1}, [8]byte{2}
	start := at("2026-01-01 00:00").UnixNano()
	s.sample(record.Sample{Attributes: []uint16{0}, Stream: a, Value: 100}, "2026-01-01 00:00")                                                                    // began before us
	s.sample(record.Sample{Attributes: []uint16{0}, Stream: a, Value: 130}, "2026-01-01 00:01")                                                                    // +30
	s.sample(record.Sample{Attributes: []uint16{0}, Stream: a, Value: 7}, "2026-01-01 00:02")                                                                      // reset: +7
	s.sample(record.Sample{Attributes: []uint16{1}, Stream: b, Value: 5, Start: start + 1}, "2026-01-01 00:03")                                                    // began under our eyes: +5
	s.sample(record.Sample{Attributes: []uint16{1}, Stream: b, Value: 6, Start: at("2026-01-01 00:03:30").UnixNano()}, "2026-01-01 00:04")                         // began anew: +6
	s.sample(record.Sample{Attributes: []uint16{1}, Stream: [8]byte{3}, Value: 0.1, Delta: true}, "2026-01-01 00:04:10")                                           // +0.1
	s.apply(&record.Record{Received: at("2026-01-01 00:04:20").UnixNano(), Samples: []record.Sample{{Attributes: []uint16{0}, Stream: a, Value: 6, Time: start}}}) // older: says nothing
	s.until("2026-01-01 00:06")
	s.want("c", report.FiveMinutes, "", `2026-01-01T00:00:00Z {"increase":48.1}`)
	s.want("c", report.FiveMinutes, "r", `2026-01-01T00:00:00Z a {"increase":37}`, `2026-01-01T00:00:00Z b {"increase":11.1}`)
	if n := s.f.Accounting().LateFor["c"]; n != 1 {
		t.Errorf("late for c: %d", n)
	}
}

func TestHistogramMergesBuckets(t *testing.T) {
	s := newSite(t, "metrics: {m: {match: m, type: histogram, unit: s, bounds: [1, 2]}}\nmeasures:\n - {id: h, kind: histogram, subject: machine, metric: m"+rest+
		" - {id: quick, kind: slo, subject: traffic, valid: {metric: m}, good: {metric: m, at_most: 1}, target: 0.9, min_valid: 3"+rest)
	s.sample(record.Sample{Delta: true, Count: 3, Sum: 4.5, Buckets: []uint64{1, 1, 1}}, "2026-01-01 00:00")
	s.sample(record.Sample{Stream: [8]byte{1}, Count: 10, Sum: 10, Buckets: []uint64{10, 0, 0}}, "2026-01-01 00:01")
	s.sample(record.Sample{Stream: [8]byte{1}, Count: 14, Sum: 15, Buckets: []uint64{11, 2, 1}}, "2026-01-01 00:02")
	s.until("2026-01-01 00:06")
	s.want("h", report.FiveMinutes, "", `2026-01-01T00:00:00Z {"count":7,"sum":9.5,"buckets":[2,3,2]}`)
	s.want("quick", report.FiveMinutes, "", `2026-01-01T00:00:00Z {"good":2,"valid":7,"ratio":0.2857142857142857}`)
	b, ok := s.f.Burn("quick")
	if !ok || b.Pairs[0].Known || b.Pairs[1].ShortValid != 7 || !b.Pairs[1].Known || fmt.Sprintf("%.3f", b.Pairs[1].LongRate) != "7.143" {
		t.Errorf("burn %+v, %v", b, ok)
	}
}

func TestAvailabilityAddsUpToTheWindow(t *testing.T) {
	s := newSite(t, "probes: {web: {label: Web}}\nmeasures:\n - {id: a, kind: availability, subject: machine, probe: web"+rest)
	result := func(when string, up, maintenance bool) {
		s.apply(&record.Record{Kind: record.Probed, Received: at(when).UnixNano(), Results: []record.Result{{Time: at(when).UnixNano(), Interval: int64(time.Minute), Up: up, Maintenance: maintenance}}})
	}
	result("2026-01-01 00:00:30", true, false)
	result("2026-01-01 00:01:30", false, false)
	result("2026-01-01 00:02:00", false, false)
	result("2026-01-01 00:04:40", false, false) // after silence: the same incident
	result("2026-01-01 00:05:10", true, false)
	result("2026-01-01 00:06:10", false, true)
	result("2026-01-01 00:07:10", false, false)
	s.until("2026-01-01 00:20")
	s.want("a", report.FiveMinutes, "",
		`2026-01-01T00:00:00Z {"up":60,"down":110,"maintenance":0,"unknown":130,"incidents":1,"availability":0.35294117647058826,"coverage":0.5666666666666667}`,
		`2026-01-01T00:05:00Z {"up":60,"down":70,"maintenance":60,"unknown":110,"incidents":1,"availability":0.46153846153846156,"coverage":0.43333333333333335}`)
}

const traffic = `events:
  hit: {match: Hit, properties: {ok: {values: ["yes", "no"]}}}
`

func TestTrafficWindowsDecideForThemselvesWhatIsLate(t *testing.T) {
	s := newSite(t, traffic+"measures:\n - {id: n, kind: count, subject: traffic, events: [hit]"+rest)
	s.track(0, "u", "2026-01-01 00:01")
	s.track(0, "u", "2026-01-01 00:04", "2026-01-01 00:05:59")
	s.track(0, "u", "2026-01-01 00:04", "2026-01-01 00:06") // closed to the second
	s.track(0, "u", "2026-01-02 00:01")
	s.want("n", report.Hour, "", append([]string{`2026-01-01T00:00:00Z 3`}, zeroHours(23)...)...)
	s.until("2026-01-02 00:01:00")
	if a := s.f.Accounting(); a.Events[record.Measured] != 4 || a.LateFor["n"] != 1 {
		t.Errorf("%+v", a)
	}
	s.want("n", report.Day, "", `2026-01-01 3`, `2026-01-02 1 *`)
	ls, err := s.f.Query(measure.Query{Measure: "n", Grain: report.FiveMinutes, To: "2026-01-01T00:05:00Z"})
	if err != nil || len(ls) != 2 || ls[0].Value != int64(2) {
		t.Errorf("%v, %v", ls, err)
	}
}

func zeroHours(n int) (out []string) {
	for h := 1; h <= n; h++ {
		out = append(out, fmt.Sprintf(`2026-01-01T%02d:00:00Z 0`, h))
	}
	return append(out, `2026-01-02T00:00:00Z 1 *`)
}

func TestAChangedDefinitionBeginsWithTheNextWindow(t *testing.T) {
	old := traffic + "measures:\n - {id: n, kind: count, subject: traffic, events: [hit]" + rest + " - {id: who, kind: active_users, events: [hit]" + rest
	s := newSite(t, old)
	changed := parse(t, strings.ReplaceAll(strings.ReplaceAll(old, "events: [hit]", "events: [hit], by: [ok]"), "question: q", "question: other"))
	same := parse(t, strings.ReplaceAll(old, "question: q", "question: other"))
	s.track(0, "a", "2026-01-01 00:01")
	s.adopt(same, "2026-01-01 00:01:30") // another question: nothing begins anew
	s.track(0, "a", "2026-01-01 00:02")
	s.adopt(changed, "2026-01-01 00:03")
	s.track(0, "b", "2026-01-01 00:04")
	s.track(0, "c", "2026-01-01 00:06")
	s.track(0, "d", "2026-02-01 00:06")
	s.until("2026-03-10 00:00")
	five := 0
	for _, w := range s.windows {
		m := w.Catalog.Measures[w.Measure]
		if m.ID == "n" && w.Grain == report.FiveMinutes {
			five++
			if (w.Start >= at("2026-01-01 00:05").Unix()) != (len(m.By) == 1) {
				t.Errorf("window %d is measured by %v", w.Start, m.By)
			}
		}
		if first, _ := report.CivilDays(w.Grain, w.Start); m.ID == "who" && (first >= at("2026-02-01 00:00").Unix()/86400) != (len(m.By) == 1) {
			t.Errorf("%s window %s is measured by %v", w.Grain, report.StartString(w.Grain, w.Start), m.By)
		}
	}
	if five != 3 {
		t.Errorf("%d windows of 5m", five)
	}
	ls, err := s.f.Query(measure.Query{Measure: "n", Grain: report.FiveMinutes, To: "2026-01-01T00:10:00Z"})
	if err != nil || len(ls) != 3 || ls[0].Value != int64(3) || ls[1].Value != int64(1) || ls[2].Value != int64(0) || !ls[0].Closed {
		t.Errorf("%+v, %v", ls, err)
	}
	s.want("who", report.Month, "", `2026-01-01 3`, `2026-02-01 1`)
	s.want("who", report.Month, "ok", `2026-02-01 (none) 1`)
	s.want("who", report.Week, "", `2025-12-29 3`, `2026-01-05 0`, `2026-01-12 0`, `2026-01-19 0`, `2026-01-26 1`)
}

func (s *site) adopt(c *catalog.Catalog, when string) {
	s.cats[[8]byte(c.Hash[:8])] = c
	s.cat = c
	s.apply(&record.Record{Kind: record.Adopted, Received: at(when).UnixNano(), Data: c.Hash[:]})
}

func TestNothingIsMeasuredWithoutConsent(t *testing.T) {
	s := newSite(t, traffic+"measures:\n - {id: who, kind: active_users, events: [hit]"+rest, func(c *measure.Config) { c.SimpleLocal = false })
	s.adopt(s.cat, "2026-01-01 00:00")
	decide := func(n int, level exchange.Level, when string) {
		raw, _ := json.Marshal(exchange.Statement{Version: exchange.Version, Number: n, Categories: []exchange.Decision{{Category: "usage", Level: level}}})
		data, _ := json.Marshal(exchange.SignedStatement{Raw: raw})
		s.apply(&record.Record{Kind: record.Consent, Received: at(when).UnixNano(), Data: data})
	}
	s.track(0, "a", "2026-01-01 01:00")
	decide(1, exchange.Local, "2026-01-02 00:00")
	s.track(0, "b", "2026-01-02 01:00")
	decide(2, exchange.Off, "2026-01-03 00:00")
	s.track(0, "c", "2026-01-03 01:00")
	if s.f.Known(at("2026-01-03 01:00").UnixNano()) != 0 {
		t.Error("somebody is still known after everything was switched off")
	}
	decide(3, exchange.Totals, "2026-01-04 00:00")
	s.track(0, "d", "2026-01-04 01:00")
	s.until("2026-02-01 00:00")
	s.want("who", report.Day, "", `2026-01-04 1`)
	if a := s.f.Accounting(); a.Events[record.Off] != 2 || a.Events[record.Measured] != 2 {
		t.Errorf("%v", a.Events)
	}
	if d, _ := s.f.Started(); d != at("2026-01-04 00:00").Unix()/86400 {
		t.Error("history does not begin again")
	}
}

func TestAZoneChangesWithTheNextMonth(t *testing.T) {
	s := newSite(t, traffic+"measures:\n - {id: n, kind: count, events: [hit]"+rest)
	s.track(0, "a", "2026-01-15 03:00")
	s.apply(&record.Record{Kind: record.Zone, Received: at("2026-01-15 04:00").UnixNano(), Data: []byte("America/New_York")})
	s.track(0, "a", "2026-01-16 03:00") // still UTC
	s.track(0, "a", "2026-01-31 23:59")
	s.track(0, "a", "2026-02-01 03:00") // 31 January in New York, but January is over
	s.track(0, "a", "2026-02-03 04:59")
	s.track(0, "a", "2026-02-03 05:00")
	s.until("2026-02-06 04:59:59")
	days := func(from string) (out []string) {
		ls, err := s.f.Query(measure.Query{Measure: "n", Grain: report.Day, From: from})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range ls {
			out = append(out, fmt.Sprint(l.Start, " ", l.Value, " ", l.Closed))
		}
		return out
	}
	if d := cmp.Diff([]string{"2026-01-31 1 true", "2026-02-01 1 true", "2026-02-02 1 true", "2026-02-03 1 false"}, days("2026-01-31")); d != "" {
		t.Error(d)
	}
	s.until("2026-02-06 05:00")
	if got := days("2026-02-03"); got[0] != "2026-02-03 1 true" {
		t.Error(got)
	}
}

func TestFactsTellTheirChangesAndEachDay(t *testing.T) {
	s := newSite(t, traffic+`traits:
  role: {values: [boss]}
group_traits:
  plan: {values: [free, paid]}
resource:
  os: {values: [linux, plan9], match: os.type}
measures:
 - {id: boss, kind: fact, from: user.role=boss`+rest+" - {id: plan, kind: fact, subject: machine, from: group.plan"+rest+" - {id: os, kind: fact, subject: machine, from: resource.os"+rest+" - {id: own, kind: fact, subject: machine, from: agent.os"+rest)
	s.track(0, "u", "2026-01-01 10:00")
	s.apply(&record.Record{Received: at("2026-01-01 11:00").UnixNano(), Events: []record.Event{{Type: record.Group, Properties: []record.Value{{Index: 1}}}}, Facts: []record.Value{{Index: 1}}})
	s.apply(&record.Record{Received: at("2026-01-02 12:00").UnixNano(), Events: []record.Event{{Type: record.Identify, User: "u", Properties: []record.Value{{Index: 0}}}}})
	s.until("2026-01-03 00:01")
	s.want("boss", report.Change, "", `2026-01-01T10:00:00Z {"value":"no","since":"2026-01-01T10:00:00Z"}`, `2026-01-02T12:00:00Z {"value":"yes","since":"2026-01-02T12:00:00Z"}`)
	s.want("boss", report.Day, "", `2026-01-01 {"value":"no","since":"2026-01-01T10:00:00Z"}`, `2026-01-02 {"value":"yes","since":"2026-01-02T12:00:00Z"}`, `2026-01-03 {"value":"yes","since":"2026-01-02T12:00:00Z"} *`)
	s.want("plan", report.Change, "", `2026-01-01T11:00:00Z {"value":"paid","since":"2026-01-01T11:00:00Z"}`)
	s.want("os", report.Change, "", `2026-01-01T11:00:00Z {"value":"plan9","since":"2026-01-01T11:00:00Z"}`)
	s.want("own", report.Change, "", `2026-01-01T10:00:00Z {"value":"linux","since":"2026-01-01T10:00:00Z"}`)
}

func TestWhoIsForgottenComesBackNew(t *testing.T) {
	yaml := traffic + "measures:\n - {id: flow, kind: lifecycle, events: [hit]" + rest
	for _, remember := range []time.Duration{0, -1} {
		s := newSite(t, yaml, func(c *measure.Config) { c.Remember = remember })
		s.track(0, "keeper", "2026-01-01 00:00")
		s.track(0, "u", "2026-02-10 00:00")
		s.track(0, "keeper", "2026-05-01 00:00")
		s.track(0, "u", "2026-08-19 00:00:01") // 190 days and a second later
		s.until("2026-09-10 00:00")
		ls, err := s.f.Query(measure.Query{Measure: "flow", Grain: report.Month, From: "2026-08-01"})
		if err != nil || len(ls) != 1 {
			t.Fatal(ls, err)
		}
		want := measure.LifecycleValue{New: 1}
		if remember < 0 {
			want = measure.LifecycleValue{Resurrected: 1}
		}
		if ls[0].Value != want {
			t.Errorf("remember %v: %+v", remember, ls[0].Value)
		}
	}
}

func TestQuantilesAreWithinOnePerCent(t *testing.T) {
	s := newSite(t, "events:\n  e: {match: E, properties: {n: {number: {min: -1000000, max: 1000000}}}}\nmeasures:\n - {id: d, kind: distribution, events: [e], property: n"+rest)
	var r record.Record
	r.Received = at("2026-01-01 00:00").UnixNano()
	for i := range 1001 {
		r.Events = append(r.Events, record.Event{Type: record.Track, Time: r.Received, Properties: []record.Value{{Number: record.Decimal{Mantissa: int64(i) * 10, Exponent: 1}}}})
	}
	s.apply(&r)
	s.until("2026-02-01 00:00")
	ls, err := s.f.Query(measure.Query{Measure: "d", Grain: report.Day})
	if err != nil || len(ls) != 1 {
		t.Fatal(ls, err)
	}
	v := ls[0].Value.(measure.DistributionValue)
	if v.Count != 1001 || v.Sum != 500500 {
		t.Errorf("%+v", v)
	}
	for want, got := range map[float64]float64{500: *v.P50, 900: *v.P90, 950: *v.P95, 990: *v.P99} {
		if got < want*0.99 || got > want*1.01 {
			t.Errorf("quantile %v is %v", want, got)
		}
	}
}

func TestFiltersAndCrosses(t *testing.T) {
	s := newSite(t, `events:
  edit: {match: Edit, properties: {area: {values: [code, docs]}, files: {number: {min: 0, max: 100}}}}
  open: {match: Open}
traits:
  role: {values: [dev, boss, bot], not_people: [bot]}
measures:
 - {id: cross, kind: active_users, events: [edit, open], by: [[role, area], area]`+rest+`
 - {id: big, kind: count, events: [edit, open], where: {files: {min: 10}}, where_user: {role: [dev]}`+rest+`
 - {id: sizes, kind: distribution, events: [edit], property: files, by: [role]`+rest)
	edit := func(user string, area uint16, files int64, when string) {
		s.apply(&record.Record{Received: at(when).UnixNano(), Events: []record.Event{{Type: record.Track, User: user, Time: at(when).UnixNano(),
			Properties: []record.Value{{Property: 0, Index: area}, {Property: 1, Number: record.Decimal{Mantissa: files}}}}}})
	}
	role := func(user string, v uint16, when string) {
		s.apply(&record.Record{Received: at(when).UnixNano(), Events: []record.Event{{Type: record.Identify, User: user, Properties: []record.Value{{Index: v}}}}})
	}
	edit("ann", 0, 10, "2026-01-05 10:00")
	edit("ann", 1, 9, "2026-01-05 11:00")
	edit("bob", 0, 50, "2026-01-05 12:00")
	edit("hal", 0, 99, "2026-01-05 12:00") // a bot, as is learnt before the day closes
	s.track(1, "bob", "2026-01-05 13:00")  // declares no area, and no files for the filter
	edit("", 2, 20, "2026-01-05 14:00")    // nobody; an area that is not listed
	role("ann", 0, "2026-01-06 00:00")
	role("hal", 2, "2026-01-07 23:00")
	s.until("2026-01-08 00:00")
	role("bob", 0, "2026-01-08 00:00") // the day has closed, the week has not
	s.want("cross", report.Day, "", `2026-01-05 2`)
	s.want("cross", report.Day, "area", `2026-01-05 (none) 1`, `2026-01-05 code 2`, `2026-01-05 docs 1`)
	s.want("cross", report.Day, "area,role", `2026-01-05 (none) (none) 1`, `2026-01-05 code (none) 1`, `2026-01-05 code dev 1`, `2026-01-05 docs dev 1`)
	s.want("cross", report.Week, "role,area", `2026-01-05 dev (none) 1 *`, `2026-01-05 dev code 2 *`, `2026-01-05 dev docs 1 *`)
	s.want("big", report.Day, "", `2026-01-05 1`)
	s.want("big", report.Week, "", `2026-01-05 2 *`)
	ls, err := s.f.Query(measure.Query{Measure: "sizes", Grain: report.Day, By: []string{"role"}})
	if err != nil || len(ls) != 2 || ls[0].Value.(measure.DistributionValue).Sum != 70 || ls[1].Value.(measure.DistributionValue).Sum != 19 {
		t.Errorf("%+v, %v", ls, err)
	}
}

func TestAQuestionThatHasNoAnswerSaysWhy(t *testing.T) {
	s := newSite(t, traffic+"measures:\n - {id: n, kind: count, subject: traffic, events: [hit], by: [ok]"+rest)
	s.track(0, "a", "2026-01-01 00:00")
	for _, x := range []struct {
		q    measure.Query
		want error
	}{
		{measure.Query{Measure: "m", Grain: report.Day}, measure.ErrMeasure},
		{measure.Query{Measure: "n", Grain: report.Week}, measure.ErrGrain},
		{measure.Query{Measure: "n", Grain: report.Day, By: []string{"role"}}, measure.ErrBreakdown},
		{measure.Query{Measure: "n", Grain: report.Day, From: "yesterday"}, measure.ErrRange},
	} {
		if _, err := s.f.Query(x.q); !errors.Is(err, x.want) {
			t.Errorf("%+v: %v", x.q, err)
		}
	}
	if err := s.f.Apply(1, &record.Record{}); err == nil {
		t.Error("a record is applied twice")
	}
}

func TestADamagedCheckpointIsRefused(t *testing.T) {
	s := newSite(t, traffic+"measures:\n - {id: n, kind: count, subject: traffic, events: [hit], by: [ok]"+rest+" - {id: flow, kind: lifecycle, events: [hit]"+rest)
	s.track(0, "a", "2026-01-01 00:00")
	s.track(0, "b", "2026-01-03 00:00")
	var b bytes.Buffer
	if err := s.f.Save(&b); err != nil {
		t.Fatal(err)
	}
	for i := range b.Bytes() {
		bad := bytes.Clone(b.Bytes())
		bad[i] ^= 0x10
		if err := s.f.Load(bytes.NewReader(bad)); err == nil {
			t.Fatalf("byte %d may be anything", i)
		}
		if err := s.f.Load(bytes.NewReader(b.Bytes()[:i])); err == nil {
			t.Fatalf("%d bytes are enough", i)
		}
	}
	if err := s.f.Load(&b); err != nil {
		t.Fatal(err)
	}
}

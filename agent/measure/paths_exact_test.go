package measure_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const everyPath = steps +
	` - {id: first, kind: funnel, window: 3d, split: role, steps: [{id: wrote, event: authored}, {id: passed, event: accepted}, {id: landed, event: merged}]` + rest +
	` - {id: each, kind: funnel, window: 36h, entry: each, split: area, steps: [{id: wrote, event: authored, where: {area: [code, docs]}}, {id: again, event: authored}, {id: passed, event: accepted}]` + rest +
	` - {id: follow, kind: funnel, window: 6d, correlate: change, before: {event: merged, where: {change: {min: 2}}}, where_user: {role: contributor}, steps: [{id: wrote, event: authored}, {id: passed, event: accepted}]` + rest +
	` - {id: both, kind: funnel, window: 2d, correlate: change, entry: each, steps: [{id: passed, event: accepted}, {id: landed, event: merged}]` + rest +
	` - {id: flow, kind: transitions, steps: [{id: code, event: authored, where: {area: code}}, {id: wrote, event: authored}, {id: passed, event: accepted}, {id: landed, event: merged}]` + rest +
	` - {id: sums, kind: sufficient, events: [accepted], arm: role, x: hours, y: change` + rest +
	` - {id: areas, kind: sufficient, events: [authored], arm: area, x: change` + rest

// rawEvent is an event as the model of the site keeps it: as it was sent.
type rawEvent struct {
	at    int64
	order int
	name  string
	def   int
	area  int // -1: none
	num   map[string]int64
}

// model computes windows from raw events in the words of MEASURES, slowly.
type model struct {
	events []rawEvent
	person map[string]string // name → one name of the person
	role   map[string][2]int // name → value, order of receipt
	known  map[string]bool
	fixed  map[string]map[string]int64 // measure+key → person → entry that closed windows hold
	order  int
}

func (m *model) alias(user, previous string) {
	p, ok := m.person[previous]
	if !ok || m.person[user] == p {
		return
	}
	q, known := m.person[user]
	if !known {
		q = user
		m.person[user] = p
	}
	for n, x := range m.person {
		if x == q {
			m.person[n] = p
		}
	}
	for _, by := range m.fixed {
		if at, ok := by[q]; ok {
			if old, both := by[p]; !both || at > old {
				by[p] = at
			}
			delete(by, q)
		}
	}
}

// roleOf is what was received last under any of the person's names.
func (m *model) roleOf(person string) string {
	last, role := -1, 4
	for n, p := range m.person {
		if v, ok := m.role[n]; ok && p == person && v[1] > last {
			last, role = v[1], v[0]
		}
	}
	return []string{"contributor", "maintainer", "automation", "(other)", "(none)"}[role]
}

func (m *model) people() []string { return slices.Compact(slices.Sorted(maps.Values(m.person))) }

func (m *model) of(person string) (out []rawEvent) {
	for _, e := range m.events {
		if m.person[e.name] == person {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, after)
	return out
}

func after(a, b rawEvent) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order)) }

func (e rawEvent) areaName() string {
	if e.area < 0 {
		return "(none)"
	}
	return []string{"code", "docs", "(other)", "(none)"}[e.area]
}

// modelFunnel is a funnel of everyPath, written anew.
type modelFunnel struct {
	window int64
	each   bool
	follow bool
	steps  []func(rawEvent) bool
	before func(rawEvent) bool
	split  func(m *model, person string, e rawEvent) string
	counts func(role string) bool
	dim    string
	ids    []string
}

func is(def int) func(rawEvent) bool { return func(e rawEvent) bool { return e.def == def } }

func funnels() map[string]*modelFunnel {
	anybody := func(role string) bool { return role != "automation" }
	return map[string]*modelFunnel{
		"first": {window: 72 * hourNs, steps: []func(rawEvent) bool{is(0), is(1), is(2)}, counts: anybody, dim: "role",
			split: func(m *model, p string, _ rawEvent) string { return m.roleOf(p) }, ids: []string{"wrote", "passed", "landed"}},
		"each": {window: 36 * hourNs, each: true, counts: anybody, dim: "area", ids: []string{"wrote", "again", "passed"},
			split: func(_ *model, _ string, e rawEvent) string { return e.areaName() },
			steps: []func(rawEvent) bool{func(e rawEvent) bool {
				return e.def == 0 && (e.areaName() == "code" || e.areaName() == "docs")
			}, is(0), is(1)}},
		"follow": {window: 144 * hourNs, follow: true, steps: []func(rawEvent) bool{is(0), is(1)}, ids: []string{"wrote", "passed"},
			before: func(e rawEvent) bool { n, ok := e.num["change"]; return e.def == 2 && ok && n >= 2 },
			counts: func(role string) bool { return role == "contributor" }},
		"both": {window: 48 * hourNs, follow: true, each: true, steps: []func(rawEvent) bool{is(1), is(2)}, counts: anybody, ids: []string{"passed", "landed"}},
	}
}

const hourNs = int64(time.Hour)

func (m *model) funnel(id string, f *modelFunnel, begin, end, fix int64) map[string]float64 {
	out := map[string]float64{"value": 0}
	for _, p := range m.people() {
		all := m.of(p)
		var before *rawEvent
		for i := range all {
			if f.before != nil && f.before(all[i]) {
				before = &all[i]
				break
			}
		}
		groups := map[string][]rawEvent{"": all}
		if f.follow {
			groups = map[string][]rawEvent{}
			for _, e := range all {
				if n, ok := e.num["change"]; ok {
					groups[fmt.Sprint(n)] = append(groups[fmt.Sprint(n)], e)
				}
			}
		}
		for key, es := range groups {
			fixed := m.fixed[id+key]
			if fixed == nil {
				fixed = map[string]int64{}
				m.fixed[id+key] = fixed
			}
			last, had := fixed[p]
			for _, e := range es {
				if !f.steps[0](e) || (had && (!f.each || e.at <= last+f.window)) {
					continue
				}
				last, had = e.at, true
				if f.each && e.at < fix {
					fixed[p] = e.at
				}
				if e.at >= begin && e.at < end && f.counts(m.roleOf(p)) {
					m.enter(f, p, e, es, before, out)
				}
			}
		}
	}
	return out
}

func (m *model) enter(f *modelFunnel, p string, e rawEvent, es []rawEvent, before *rawEvent, out map[string]float64) {
	reached, last := 1, e
	for reached < len(f.steps) {
		i := slices.IndexFunc(es, func(o rawEvent) bool { return after(o, last) > 0 && f.steps[reached](o) })
		if i < 0 || es[i].at-e.at > f.window {
			break
		}
		last = es[i]
		reached++
	}
	if f.before != nil && reached == len(f.steps) && (before == nil || after(*before, last) >= 0) {
		reached--
	}
	band := "never"
	if took := last.at - e.at; reached == len(f.steps) {
		switch {
		case took <= hourNs:
			band = "1h"
		case took <= 24*hourNs:
			band = "24h"
		case took <= 72*hourNs:
			band = "3d"
		default:
			band = "7d"
		}
	}
	note := func(dims ...string) {
		slices.Sort(dims)
		out[strings.Join(append([]string{"value"}, dims...), " ")]++
	}
	note()
	var split []string
	if f.split != nil {
		split = []string{f.dim + "=" + f.split(m, p, e)}
		note(split[0], "band="+band)
	}
	note("band=" + band)
	for _, id := range f.ids[:reached] {
		note("step=" + id)
		if split != nil {
			note(split[0], "step="+id)
		}
	}
}

func (m *model) flow(begin, end int64) map[string]float64 {
	out := map[string]float64{"value": 0}
	name := func(e rawEvent) string {
		if e.def == 0 && e.area == 0 {
			return "code"
		}
		return []string{"wrote", "passed", "landed"}[e.def]
	}
	for _, p := range m.people() {
		es := m.of(p)
		for i := 1; i < len(es); i++ {
			if b := es[i]; b.at >= begin && b.at < end && b.at-es[i-1].at <= hourNs/2 && m.roleOf(p) != "automation" {
				out["value"]++
				out["value from="+name(es[i-1])+" to="+name(b)]++
			}
		}
	}
	return out
}

func (m *model) sums(def int, x, y, arm string, begin, end int64) map[string]float64 {
	out := map[string]float64{}
	for _, f := range []string{"count", "sum_x", "sum_xx", "sum_y", "sum_yy", "sum_xy"} {
		out[f] = 0
	}
	for _, e := range m.events {
		p := m.person[e.name]
		vx, ok := e.num[x]
		vy, both := e.num[y]
		if e.def != def || e.at < begin || e.at >= end || !ok || (y != "" && !both) || m.roleOf(p) == "automation" {
			continue
		}
		v := e.areaName()
		if arm == "role" {
			v = m.roleOf(p)
		}
		for _, at := range []string{"", " " + arm + "=" + v} {
			for f, n := range map[string]int64{"count": 1, "sum_x": vx, "sum_xx": vx * vx, "sum_y": vy, "sum_yy": vy * vy, "sum_xy": vx * vy} {
				out[f+at] += float64(n)
			}
		}
	}
	return out
}

// window is what the model says of a closed window.
func (m *model) window(w *measure.Window) map[string]float64 {
	first, last := report.CivilDays(w.Grain, w.Start)
	begin, end := first*24*hourNs, (last+1)*24*hourNs
	switch id := w.Catalog.Measures[w.Measure].ID; id {
	case "flow":
		return m.flow(begin, end)
	case "sums":
		return m.sums(1, "hours", "change", "role", begin, end)
	case "areas":
		return m.sums(0, "change", "", "area", begin, end)
	default:
		fix := int64(0)
		if w.Grain == report.Block4w {
			fix = end
		}
		return m.funnel(id, funnels()[id], begin, end, fix)
	}
}

func figures(t *testing.T, w *measure.Window) map[string]float64 {
	out := map[string]float64{}
	for _, c := range w.Cells {
		f, err := w.Catalog.Resolve(c)
		if err != nil {
			t.Fatal(err)
		}
		name := f.Field.String()
		for _, d := range slices.Sorted(maps.Keys(f.Dims)) {
			name += " " + d + "=" + f.Dims[d]
		}
		out[name] = f.Lo
	}
	return out
}

// randomRecords is what a site receives: late, twice, under several names.
func randomRecords(r *rand.Rand) (rs []*record.Record) {
	names := []string{"a", "b", "c", "d", "e", "f"}
	day0 := at("2024-01-01 00:00").UnixNano()
	for i := range 300 + r.IntN(900) {
		t := day0 + r.Int64N(90*24*4)*hourNs/4
		e := record.Event{Type: record.Track, Def: uint16(r.IntN(3)), User: names[min(r.IntN(9), 5)], Time: t, HasID: true}
		e.MessageID[0], e.MessageID[1] = byte(i), byte(i>>8)
		if r.IntN(3) > 0 && e.Def == 0 {
			e.Properties = append(e.Properties, record.Value{Property: 0, Index: uint16(r.IntN(4))})
		}
		if r.IntN(4) > 0 {
			e.Properties = append(e.Properties, record.Value{Property: []uint16{1, 0, 0}[e.Def], Number: num(r.Int64N(4))})
		}
		if r.IntN(4) > 0 && e.Def == 1 {
			e.Properties = append(e.Properties, record.Value{Property: 1, Number: num(r.Int64N(2000) - 1000)})
		}
		late := r.Int64N(60 * hourNs) // beyond 48 h it is not measured
		if r.IntN(2) == 0 {
			late = 0
		}
		rs = append(rs, &record.Record{Received: t + late, Events: []record.Event{e}})
		if r.IntN(10) == 0 {
			rs = append(rs, &record.Record{Received: t + late + r.Int64N(24*hourNs), Events: []record.Event{e}})
		}
	}
	for range 12 {
		rs = append(rs, &record.Record{Received: day0 + r.Int64N(90*24)*hourNs, Events: []record.Event{{Type: record.Identify, User: names[r.IntN(6)],
			Properties: []record.Value{{Index: uint16(r.IntN(4))}}}}})
	}
	for range 3 {
		rs = append(rs, &record.Record{Received: day0 + r.Int64N(90*24)*hourNs, Events: []record.Event{{Type: record.Alias, User: names[r.IntN(6)], Previous: names[r.IntN(6)]}}})
	}
	slices.SortStableFunc(rs, func(a, b *record.Record) int { return cmp.Compare(a.Received, b.Received) })
	return rs
}

// take is what the model makes of a record.
func (m *model) take(r *record.Record, seen map[[16]byte]bool) {
	for _, e := range r.Events {
		m.order++
		if e.HasID {
			if seen[e.MessageID] {
				continue
			}
			seen[e.MessageID] = true
		}
		if e.Type == record.Alias {
			m.alias(e.User, e.Previous)
			continue
		}
		if e.Type == record.Track && r.Received-e.Time > 48*hourNs {
			continue
		}
		if m.person[e.User] == "" {
			m.person[e.User] = e.User
		}
		if e.Type == record.Identify {
			m.role[e.User] = [2]int{int(e.Properties[0].Index), m.order}
			continue
		}
		x := rawEvent{at: e.Time, order: m.order, name: e.User, def: int(e.Def), area: -1, num: map[string]int64{}}
		for _, v := range e.Properties {
			switch n := []map[uint16]string{{0: "area", 1: "change"}, {0: "change", 1: "hours"}, {0: "change"}}[e.Def][v.Property]; n {
			case "area":
				x.area = int(v.Index)
			default:
				x.num[n] = v.Number.Mantissa
			}
		}
		m.events = append(m.events, x)
	}
}

func TestExactPathsAgainstAModel(t *testing.T) {
	windows, figured := 0, 0.0
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 5))
		m := &model{person: map[string]string{}, role: map[string][2]int{}, fixed: map[string]map[string]int64{}}
		seen, cat := map[[16]byte]bool{}, parse(t, everyPath)
		cfg := measure.Config{SimpleLocal: true, Remember: -1, Catalog: func([8]byte) *catalog.Catalog { return cat }}
		plain := measure.New(cfg)
		cfg.Closed = func(w *measure.Window) {
			want, got := m.window(w), figures(t, w)
			windows++
			figured += want["value"] + want["count"]
			if d := gocmp.Diff(want, got); d != "" {
				t.Fatalf("seed %d: %s by %s, %s (-want +got):\n%s", seed, w.Catalog.Measures[w.Measure].ID, w.Grain, report.StartString(w.Grain, w.Start), d)
			}
		}
		f := measure.New(cfg)
		rs := randomRecords(r)
		for i, x := range append(rs, &record.Record{Kind: record.Request, Received: at("2024-09-01 00:00").UnixNano()}) {
			x.Kind, x.Catalog = record.Request, [8]byte(cat.Hash[:8])
			if r.IntN(40) == 0 { // a restart
				var b bytes.Buffer
				if err := f.Save(&b); err != nil {
					t.Fatal(err)
				}
				f = measure.New(cfg)
				if err := f.Load(&b); err != nil {
					t.Fatal(err)
				}
			}
			if r.IntN(20) == 0 {
				f.Advance(x.Received - r.Int64N(hourNs))
			}
			if err := f.Apply(uint64(i+1), x); err != nil {
				t.Fatal(err)
			}
			m.take(x, seen)
			if err := plain.Apply(uint64(i+1), x); err != nil {
				t.Fatal(err)
			}
		}
		var a, b bytes.Buffer
		if f.Save(&a) != nil || plain.Save(&b) != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Fatalf("seed %d: restarts leave another state", seed)
		}
	}
	if windows < 1000 || figured < 1000 {
		t.Errorf("only %d windows with %v were compared", windows, figured)
	}
}

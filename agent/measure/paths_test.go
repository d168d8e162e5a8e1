package measure_test

import (
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/measure/path"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const steps = `events:
  authored: {match: A, properties: {area: {values: [code, docs]}, change: {number: {min: 0, max: 1000000}}}}
  accepted: {match: B, properties: {change: {number: {min: 0, max: 1000000}}, hours: {number: {min: -1000, max: 1000000}}}}
  merged:   {match: C, properties: {change: {number: {min: 0, max: 1000000}}}}
traits:
  role: {values: [contributor, maintainer, automation], not_people: [automation]}
measures:
`

// does sends event def with properties, a position and a value each: an index, or a number.
func (s *site) does(def int, user, when string, values ...any) {
	s.t.Helper()
	e := record.Event{Type: record.Track, Def: uint16(def), User: user, Time: at(when).UnixNano()}
	for i := 0; i+1 < len(values); i += 2 {
		v := record.Value{Property: uint16(values[i].(int))}
		switch x := values[i+1].(type) {
		case int:
			v.Index = uint16(x)
		case record.Decimal:
			v.Number = x
		}
		e.Properties = append(e.Properties, v)
	}
	s.apply(&record.Record{Received: max(s.f.Now(), e.Time), Events: []record.Event{e}})
}

func (s *site) is(user string, role int, when string) {
	s.t.Helper()
	s.apply(&record.Record{Received: at(when).UnixNano(), Events: []record.Event{{Type: record.Identify, User: user, Properties: []record.Value{{Index: uint16(role)}}}}})
}

func (s *site) alias(user, previous, when string) {
	s.t.Helper()
	s.apply(&record.Record{Received: at(when).UnixNano(), Events: []record.Event{{Type: record.Alias, User: user, Previous: previous}}})
}

func num(n int64) record.Decimal { return record.Decimal{Mantissa: n} }

const threeSteps = `steps: [{id: wrote, event: authored}, {id: passed, event: accepted}, {id: landed, event: merged}], window: 7d`

func TestFunnelByHand(t *testing.T) {
	s := newSite(t, steps+" - {id: f, kind: funnel, "+threeSteps+rest)
	// 2024-01-01 is a Monday.
	s.does(1, "a", "2024-01-01 08:00") // before the first step: serves nothing
	s.does(0, "a", "2024-01-01 09:00")
	s.does(0, "a", "2024-01-01 09:10") // a enters once
	s.does(1, "a", "2024-01-01 09:30")
	s.does(2, "a", "2024-01-01 10:00") // exactly 1 h
	s.does(0, "b", "2024-01-02 00:00")
	s.does(2, "b", "2024-01-02 01:00") // before passed
	s.does(1, "b", "2024-01-03 00:00")
	s.does(0, "c", "2024-01-03 00:00")
	s.does(1, "c", "2024-01-05 00:00")
	s.does(0, "d", "2024-01-07 23:59:59")
	s.does(2, "b", "2024-01-09 00:00")    // exactly 7 d
	s.does(2, "c", "2024-01-10 00:00:01") // a second too late
	s.does(0, "e", "2024-01-15 00:00")
	s.does(0, "robot", "2024-01-15 00:00")
	s.is("robot", 2, "2024-01-15 01:00")
	s.until("2024-01-16 23:59:59") // the first week ends on the 8th, + 7 d + 48 h
	week := `2024-01-01 {"entered":4,"steps":[4,3,2],"bands":{"1h":1,"24h":0,"3d":0,"7d":1,"30d":0,"never":2}}`
	s.want("f", report.Week, "", week+" *") // e's 7 days have not passed
	s.until("2024-01-17 00:00")
	s.want("f", report.Week, "", week)
	s.until("2024-03-01 00:00")
	zero := `{"entered":0,"steps":[0,0,0],"bands":{"1h":0,"24h":0,"3d":0,"7d":0,"30d":0,"never":0}}`
	s.want("f", report.Week, "", week, `2024-01-08 `+zero, `2024-01-15 {"entered":1,"steps":[1,0,0],"bands":{"1h":0,"24h":0,"3d":0,"7d":0,"30d":0,"never":1}}`)
	s.want("f", report.Block4w, "", `2023-12-25 {"entered":5,"steps":[5,3,2],"bands":{"1h":1,"24h":0,"3d":0,"7d":1,"30d":0,"never":3}}`)
	blocks, cells := 0, 0
	for _, w := range s.windows {
		if w.Grain == report.Block4w {
			blocks++
		}
		for _, c := range w.Cells {
			cells++
			if f, err := w.Catalog.Resolve(c); err != nil || c.Breakdown > 0 && c.Lo == 0 {
				t.Errorf("%+v: %v, %v", c, f, err)
			}
		}
	}
	if blocks != 2 || cells == 0 {
		t.Errorf("%d blocks were closed with %d cells", blocks, cells)
	}
}

func TestFunnelFollowsAnObject(t *testing.T) {
	s := newSite(t, steps+" - {id: f, kind: funnel, entry: each, correlate: change, "+threeSteps+rest+
		" - {id: once, kind: funnel, correlate: change, "+threeSteps+rest)
	s.does(0, "a", "2024-01-01 09:00", 1, num(7))
	s.does(0, "a", "2024-01-01 09:01", 1, num(8))
	s.does(0, "a", "2024-01-01 09:02") // no change: no way
	s.does(1, "a", "2024-01-01 10:00", 0, num(8))
	s.does(2, "a", "2024-01-01 11:00", 0, num(7))                                    // 7 was never passed
	s.does(2, "a", "2024-01-01 12:00", 0, record.Decimal{Mantissa: 80, Exponent: 1}) // 8, written 8.0
	s.does(0, "a", "2024-01-09 09:00", 1, num(8))                                    // 8 d later: enters again
	s.does(0, "a", "2024-01-08 09:00", 1, num(7))                                    // 7 d: not more than W
	s.does(1, "b", "2024-01-09 10:00", 0, num(8))                                    // somebody else
	s.until("2024-03-01 00:00")
	s.want("f", report.Week, "",
		`2024-01-01 {"entered":2,"steps":[2,1,1],"bands":{"1h":0,"24h":1,"3d":0,"7d":0,"30d":0,"never":1}}`,
		`2024-01-08 {"entered":1,"steps":[1,0,0],"bands":{"1h":0,"24h":0,"3d":0,"7d":0,"30d":0,"never":1}}`)
	s.want("once", report.Week, "", `2024-01-01 {"entered":2,"steps":[2,1,1],"bands":{"1h":0,"24h":1,"3d":0,"7d":0,"30d":0,"never":1}}`)
}

func TestFunnelSplitBeforeAndWhere(t *testing.T) {
	two := `kind: funnel, window: 1d, steps: [{id: wrote, event: authored, where: {area: [code, docs]}}, {id: passed, event: accepted}]`
	s := newSite(t, steps+" - {id: area, "+two+", split: area"+rest+" - {id: role, "+two+", split: role, where_user: {role: [maintainer, contributor]}"+rest+
		" - {id: ready, "+two+", before: {event: merged, where: {change: {min: 5}}}"+rest)
	s.is("a", 0, "2024-01-01 00:00")
	s.is("b", 0, "2024-01-01 00:00")
	s.does(2, "a", "2024-01-01 01:00", 0, num(5))
	s.does(2, "b", "2024-01-01 01:00", 0, num(4)) // not it
	s.does(0, "a", "2024-01-01 02:00", 0, 0)      // code
	s.does(1, "a", "2024-01-01 03:00")
	s.does(0, "b", "2024-01-01 02:00", 0, 2) // (other)
	s.does(0, "b", "2024-01-01 02:30", 0, 1) // docs
	s.does(1, "b", "2024-01-01 05:00")
	s.does(2, "b", "2024-01-01 06:00", 0, num(5)) // too late
	s.does(1, "b", "2024-01-01 07:00")            // the step was taken at 05:00
	s.does(0, "c", "2024-01-01 02:30", 0, 1)
	s.is("b", 1, "2024-01-09 00:00") // a maintainer when the window closes
	s.until("2024-03-01 00:00")
	s.want("area", report.Week, "area",
		`2024-01-01 code {"entered":1,"steps":[1,1],"bands":{"1h":1,"24h":0,"3d":0,"7d":0,"30d":0,"never":0}}`,
		`2024-01-01 docs {"entered":2,"steps":[2,1],"bands":{"1h":0,"24h":1,"3d":0,"7d":0,"30d":0,"never":1}}`)
	s.want("role", report.Week, "role",
		`2024-01-01 contributor {"entered":1,"steps":[1,1],"bands":{"1h":1,"24h":0,"3d":0,"7d":0,"30d":0,"never":0}}`,
		`2024-01-01 maintainer {"entered":1,"steps":[1,1],"bands":{"1h":0,"24h":1,"3d":0,"7d":0,"30d":0,"never":0}}`)
	s.want("role", report.Week, "", `2024-01-01 {"entered":2,"steps":[2,2],"bands":{"1h":1,"24h":1,"3d":0,"7d":0,"30d":0,"never":0}}`)
	s.want("ready", report.Week, "", `2024-01-01 {"entered":3,"steps":[3,1],"bands":{"1h":1,"24h":0,"3d":0,"7d":0,"30d":0,"never":2}}`)
}

func TestFunnelAliasAndLateEvents(t *testing.T) {
	two := `kind: funnel, window: 1d, steps: [{id: wrote, event: authored}, {id: passed, event: accepted}]`
	s := newSite(t, steps+" - {id: f, "+two+rest)
	s.does(0, "old", "2024-01-01 02:00")
	s.does(1, "new", "2024-01-01 02:30")
	s.does(0, "new", "2024-01-10 00:00") // one person, who entered on the 1st
	s.alias("new", "old", "2024-01-10 00:00")
	s.does(0, "x", "2024-01-10 12:00")
	s.does(1, "x", "2024-01-10 12:30")
	s.does(1, "x", "2024-01-10 10:30") // arrives late and lies before
	s.does(0, "x", "2024-01-10 10:00") // arrives last and is the entry
	s.does(0, "y", "2024-01-10 12:00")
	s.does(1, "y", "2024-01-10 12:00") // at the same time, later in the journal
	s.does(1, "z", "2024-01-10 12:00")
	s.does(0, "z", "2024-01-10 12:00") // the other way round
	s.until("2024-03-01 00:00")
	s.want("f", report.Week, "",
		`2024-01-01 {"entered":1,"steps":[1,1],"bands":{"1h":1,"24h":0,"3d":0,"7d":0,"30d":0,"never":0}}`,
		`2024-01-08 {"entered":3,"steps":[3,2],"bands":{"1h":2,"24h":0,"3d":0,"7d":0,"30d":0,"never":1}}`)
}

func TestAUserForgottenIsANewEntry(t *testing.T) {
	two := `kind: funnel, window: 1d, steps: [{id: wrote, event: authored}, {id: passed, event: accepted}]`
	s := newSite(t, steps+" - {id: f, "+two+rest, func(c *measure.Config) { c.Remember = 30 * 24 * time.Hour })
	s.does(0, "a", "2024-01-01 02:00")
	s.does(0, "a", "2024-01-28 02:00")
	s.does(0, "a", "2024-03-04 02:00")
	s.until("2024-05-01 00:00")
	s.want("f", report.Block4w, "", `2023-12-25 {"entered":1,"steps":[1,0],"bands":{"1h":0,"24h":0,"3d":0,"7d":0,"30d":0,"never":1}}`,
		`2024-01-22 {"entered":0,"steps":[0,0],"bands":{"1h":0,"24h":0,"3d":0,"7d":0,"30d":0,"never":0}}`,
		`2024-02-19 {"entered":1,"steps":[1,0],"bands":{"1h":0,"24h":0,"3d":0,"7d":0,"30d":0,"never":1}}`)
}

func TestTransitionsByHand(t *testing.T) {
	s := newSite(t, steps+" - {id: t, kind: transitions, steps: [{id: code, event: authored, where: {area: code}}, {id: wrote, event: authored}, {id: passed, event: accepted}]"+rest)
	s.does(0, "a", "2024-01-01 23:40", 0, 1)
	s.does(1, "a", "2024-01-02 00:10") // exactly 30 min, in the window of the 2nd
	s.does(1, "a", "2024-01-02 00:41") // a minute too late
	s.does(2, "a", "2024-01-02 00:50") // no step: it does not come between
	s.does(0, "a", "2024-01-02 00:55", 0, 0)
	s.does(0, "a", "2024-01-02 00:45") // arrives late, between
	s.does(0, "b", "2024-01-02 00:46")
	s.is("b", 2, "2024-01-02 00:56") // not people
	s.does(1, "b", "2024-01-02 00:57")
	s.does(0, "n", "2024-01-02 02:00")
	s.does(1, "m", "2024-01-02 02:10")
	s.alias("m", "n", "2024-01-03 00:00")
	s.until("2024-04-01 00:00")
	s.want("t", report.Day, "from,to", `2024-01-02 passed wrote 1`, `2024-01-02 wrote code 1`, `2024-01-02 wrote passed 2`)
	s.want("t", report.Day, "", `2024-01-02 4`)
	s.want("t", report.Block12w, "", `2023-10-30 4`)
	for _, w := range s.windows {
		for _, c := range w.Cells {
			if _, err := w.Catalog.Resolve(c); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestSufficientByHand(t *testing.T) {
	s := newSite(t, steps+" - {id: s, kind: sufficient, events: [accepted], arm: role, x: hours"+rest+
		" - {id: xy, kind: sufficient, events: [accepted], arm: role, x: hours, y: change"+rest)
	s.is("a", 0, "2024-01-01 00:00")
	s.is("b", 1, "2024-01-01 00:00")
	s.does(1, "a", "2024-01-01 01:00", 1, record.Decimal{Mantissa: 1, Exponent: 1}) // 0.1
	s.does(1, "a", "2024-01-01 02:00", 1, record.Decimal{Mantissa: 2, Exponent: 1}, 0, num(3))
	s.does(1, "b", "2024-01-01 03:00", 1, num(-5), 0, num(2))
	s.does(1, "b", "2024-01-01 04:00") // no x: no observation
	s.until("2024-04-01 00:00")
	s.want("s", report.Day, "", `2024-01-01 {"n":3,"sum_x":-4.7,"sum_xx":25.05}`)
	s.want("s", report.Week, "role", `2024-01-01 contributor {"n":2,"sum_x":0.3,"sum_xx":0.05}`, `2024-01-01 maintainer {"n":1,"sum_x":-5,"sum_xx":25}`)
	s.want("xy", report.Month, "", `2024-01-01 {"n":2,"sum_x":-4.8,"sum_xx":25.04,"sum_y":5,"sum_yy":13,"sum_xy":-9.4}`)
	for _, w := range s.windows {
		for _, c := range w.Cells {
			if _, err := w.Catalog.Resolve(c); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestTooManyMatchesAreAccountedFor(t *testing.T) {
	s := newSite(t, steps+" - {id: f, kind: funnel, "+threeSteps+rest)
	r := record.Record{Received: at("2024-01-01 00:00").UnixNano()}
	for i := range int64(path.Most + 3) {
		r.Events = append(r.Events, record.Event{Type: record.Track, User: "a", Time: r.Received + i})
	}
	s.apply(&r)
	if a := s.f.Accounting(); a.MatchesRefused != 3 || a.Events[record.Measured] != path.Most+3 {
		t.Errorf("%d refused, %d measured", a.MatchesRefused, a.Events[record.Measured])
	}
}

func TestAChangedFunnelKnowsWhoEntered(t *testing.T) {
	two := func(step, window string) string {
		return steps + " - {id: f, kind: funnel, window: " + window + ", steps: [{id: wrote, event: " + step + "}, {id: landed, event: merged}]" + rest
	}
	none := `"bands":{"1h":0,"24h":0,"3d":0,"7d":0,"30d":0,"never":1}}`
	s := newSite(t, two("authored", "7d"))
	s.does(0, "a", "2024-01-02 00:00")
	s.does(0, "b", "2024-01-20 00:00")
	s.adopt(parse(t, two("authored", "2d")), "2024-01-25 00:00")
	s.does(0, "a", "2024-02-06 00:00")
	s.does(0, "b", "2024-02-06 00:00")
	s.does(0, "c", "2024-02-06 00:00")
	s.until("2024-03-20 00:00")
	s.want("f", report.Week, "", `2024-01-01 {"entered":1,"steps":[1,0],`+none,
		`2024-01-08 {"entered":0,"steps":[0,0],"bands":{"1h":0,"24h":0,"3d":0,"7d":0,"30d":0,"never":0}}`,
		`2024-01-15 {"entered":1,"steps":[1,0],`+none, `2024-02-05 {"entered":1,"steps":[1,0],`+none)
	s.adopt(parse(t, two("accepted", "2d")), "2024-03-20 01:00") // another first step: nobody has taken it
	s.does(1, "a", "2024-04-02 00:00")
	s.until("2024-05-20 00:00")
	ls, err := s.f.Query(measure.Query{Measure: "f", Grain: report.Week, From: "2024-04-01"})
	if err != nil || len(ls) != 1 || ls[0].Value.(measure.FunnelValue).Entered != 1 {
		t.Errorf("%+v, %v", ls, err)
	}
}

func TestAForgottenUserStaysCountedWithoutAName(t *testing.T) {
	s := newSite(t, steps+" - {id: f, kind: funnel, "+threeSteps+rest+" - {id: t, kind: transitions, steps: [{id: wrote, event: authored}, {id: passed, event: accepted}]"+rest)
	s.does(0, "a", "2024-01-02 00:00")
	s.does(1, "a", "2024-01-02 00:10")
	if !s.f.Forget("a") {
		t.Fatal("nobody to forget")
	}
	s.does(0, "a", "2024-01-03 00:00") // somebody new
	s.does(2, "a", "2024-01-03 00:10")
	s.until("2024-04-01 00:00")
	s.want("f", report.Week, "", `2024-01-01 {"entered":2,"steps":[2,1,0],"bands":{"1h":0,"24h":0,"3d":0,"7d":0,"30d":0,"never":2}}`)
	s.want("t", report.Week, "from,to", `2024-01-01 wrote passed 1`)
}

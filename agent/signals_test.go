package agent

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/agent/signals/statements"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const changesCatalog = `
catalog: changes
version: 1
vendor: Test
events:
  work: {match: "Work"}
  invited: {match: "Invited"}
traits:
  role: {values: [member, manager]}
group_traits:
  seats_given: {number: {min: 0, max: 1000000}}
measures:
  - {id: people, kind: active_users, events: [work], by: [role], category: usage, question: q, purpose: p, owner: o, retention: 730d}
  - {id: flow, kind: lifecycle, events: [work], category: usage, question: q, purpose: p, owner: o, retention: 730d}
  - {id: given, kind: seats, events: [work], assigned: seats_given, category: usage, question: q, purpose: p, owner: o, retention: 730d}
  - {id: load, kind: count, subject: traffic, leaves: day, events: [work], category: sla, question: q, purpose: p, owner: o, retention: 730d}
  - {id: moved, kind: change, of: people, category: usage, question: q, purpose: p, owner: o, retention: 730d}
  - {id: busier, kind: change, of: load, category: usage, question: q, purpose: p, owner: o, retention: 730d}
  - {id: stage, kind: environment, of: people, category: usage, question: q, purpose: p, owner: o, retention: 730d}
`

// growing is a recorded file: 60 people work every working day of 60 weeks from Monday 2024-01-01, from week 44 on 40 more; nobody
// works in the two weeks of the year's end.
func growing(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	n := 0
	begin := time.Date(2024, 1, 1, 9, 0, 0, 0, time.UTC)
	put := func(at time.Time, format string, args ...any) {
		n++
		fmt.Fprintf(&b, `{"messageId":"m%d","timestamp":%q,"receivedAt":%q,`+format+"}\n", append([]any{n, at.Format(time.RFC3339), at.Format(time.RFC3339)}, args...)...)
	}
	for w := range 60 {
		people := 60
		if w >= 44 {
			people = 100
		}
		if w == 50 || w == 51 {
			people = 20
		}
		for u := range people {
			user := fmt.Sprintf("u%03d", u)
			day := begin.AddDate(0, 0, 7*w)
			if w == 0 || w == 44 {
				put(day, `"type":"identify","userId":%q,"traits":{"role":%q}`, user, []string{"member", "manager"}[u%2])
			}
			for d := range 5 {
				put(day.AddDate(0, 0, d).Add(time.Duration(u)*time.Second), `"type":"track","event":"Work","userId":%q`, user)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// said is a line of a change or an environment.
type said struct {
	Start string
	Value struct {
		Value, Direction, Size, Confidence, Since string
		Level                                     []*float64
		Evidence                                  map[string]string
	}
}

func (a *Agent) statements(t *testing.T, id, grain string, exact bool) map[string]said {
	t.Helper()
	raw, err := a.Query(t.Context(), control.Query{Measure: id, Grain: grain, Exact: exact})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]said{}
	for _, b := range raw {
		var l said
		if err := json.Unmarshal(b, &l); err != nil {
			t.Fatal(err)
		}
		out[l.Start] = l
	}
	return out
}

// TestAChangeLeavesAsAStatement: what is shipped of a change, against what query shows at the site, and against the exact one.
func TestAChangeLeavesAsAStatement(t *testing.T) {
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: []byte(changesCatalog)})
	cfg := config(t, filepath.Join(t.TempDir(), "state"))
	if _, err := Enroll(t.Context(), cfg, f.Token(t, protocoltest.TokenSpec{Account: "acme", Installation: "one"})); err != nil {
		t.Fatal(err)
	}
	s := fakeSite{f, cfg}
	s.replay(t, ReplayOptions{Files: []string{growing(t)}, Consent: decide(exchange.Aggregate, 120), Until: time.Date(2025, 2, 28, 0, 0, 0, 0, time.UTC)})
	left := map[string]report.Figure{}
	for _, f := range s.left(t) {
		if f.Measure == "moved" || f.Measure == "stage" || f.Measure == "busier" {
			if f.Grain != report.Block4w {
				t.Errorf("a %s of %s left", f.Grain, f.Measure)
			}
			left[fmt.Sprintf("%s %s %s%s", f.Measure, report.StartString(f.Grain, f.Start), f.Field, f.Dims["evidence"])] = f
		}
	}
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	told, exact := a.statements(t, "moved", "4w", false), a.statements(t, "moved", "4w", true)
	compared := 0
	for start, l := range told {
		if f, ok := left["moved "+start+" direction"]; ok {
			compared++
			if f.Form == report.Exact && f.Text != l.Value.Direction || f.Form == report.Unknown && l.Value.Direction != "unknown" {
				t.Errorf("%s: %+v left, %+v is shown", start, f, l)
			}
		}
		e, ok := exact[start]
		if !ok {
			t.Errorf("%s: nothing exact", start)
		} else if d := l.Value.Direction; d != "unknown" && d != e.Value.Direction {
			t.Errorf("%s: %s was said, exactly it is %s", start, d, e.Value.Direction)
		}
	}
	if compared < 10 {
		t.Errorf("%d statements left: %v", compared, left)
	}
	newest := "2024-12-23"
	if l := exact[newest].Value; l.Direction != "up" || l.Size != "large" || l.Confidence != "high" || l.Since != "2024-11-04" {
		t.Errorf("exactly: %+v", exact[newest])
	}
	if l := told[newest].Value; l.Direction != "up" {
		t.Errorf("as told: %+v", told[newest])
	}
	if l := exact["2024-10-28"].Value.Evidence; l["bulk_provisioning"] != "yes" || l["burst"] != "no" {
		t.Errorf("why: %v", exact)
	}
	if l := a.statements(t, "busier", "4w", false)[newest].Value; l.Direction != "up" || l.Confidence != "high" {
		t.Errorf("traffic is exact: %+v", l)
	}
	if len(a.statements(t, "moved", "week", false)) < 40 {
		t.Error("no weeks at the site")
	}
	stage := a.statements(t, "stage", "4w", false)[newest].Value
	if stage.Value != "production" || stage.Evidence["working_week"] != "yes" || stage.Evidence["many_people"] != "yes" {
		t.Errorf("%+v", stage)
	}
}

// TestNonInterferenceStatementsAreMadeOfAnswersAlone: two sites with other figures and the same answers say the same.
func TestNonInterferenceStatementsAreMadeOfAnswersAlone(t *testing.T) {
	c, err := catalog.Parse([]byte(changesCatalog))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 8))
	same, moved := 0, 0
	for range 25 {
		people := 40 + r.IntN(160)
		st := &exchange.Statement{CatalogVersion: c.Version, Catalog: c.Hash, Categories: []exchange.Decision{{Category: catalog.Usage, Level: exchange.Aggregate, From: 1}}}
		p := egress.Policy{Statement: st, Accepted: c, People: people}
		one, two := newTold(c, p), newTold(c, p)
		level, other := 0.6, 0
		equal := true
		for w := range int64(40) {
			if r.IntN(15) == 0 {
				level = 0.2 + 0.7*r.Float64()
			}
			v := float64(int(level*float64(people))) + float64(r.IntN(3))
			x, y := one.week(w, v), two.week(w, v)
			if !reflect.DeepEqual(x, y) {
				t.Fatal("the same figures, other answers")
			}
			// The second site has another figure wherever its answer is the same.
			if w > 0 && len(x) > 0 && x[0].Form == report.Band && x[0].Hi > x[0].Lo {
				other++
				alt := newTold(c, p)
				for i, ov := range one.values[:w] {
					alt.week(int64(i), ov)
				}
				nv := x[0].Lo
				if nv == v {
					nv++
				}
				if z := alt.week(w, nv); reflect.DeepEqual(x, z) {
					moved++
					two = alt
				}
			}
			equal = equal && reflect.DeepEqual(one.told, two.told)
			if !equal {
				break
			}
			if a, b := one.say(t), two.say(t); a != b {
				t.Fatalf("%s\n%s", a, b)
			}
			same++
		}
	}
	if same < 200 || moved < 20 {
		t.Errorf("%d statements compared, %d with other figures", same, moved)
	}
}

// toldSite is a gate and what was told, for weeks of people.
type toldSite struct {
	c      *catalog.Catalog
	p      egress.Policy
	gate   *egress.Gate
	told   []report.Cell
	values []float64
	memory *statements.Memory
	end    int64
}

type crowd int

func (n crowd) Known() int                    { return int(n) }
func (n crowd) Users28() int                  { return int(n) }
func (n crowd) Users84() int                  { return int(n) }
func (n crowd) Holders(string) map[string]int { return map[string]int{"member": int(n)} }

func newTold(c *catalog.Catalog, p egress.Policy) *toldSite {
	return &toldSite{c: c, p: p, gate: egress.New(egress.Config{Zone: func(int64) *time.Location { return time.UTC }, Catalog: func([8]byte) *catalog.Catalog { return c }}), memory: statements.New()}
}

func (s *toldSite) week(w int64, v float64) []report.Cell {
	start := report.CivilStart(report.Block12w, 20000) + 7*w
	s.gate.Begin(time.Unix(start*86400, 0), s.p, crowd(s.p.People))
	_, i := s.c.Measure("people")
	x := egress.Window{Catalog: s.c, Measure: i, Grain: report.Week, Start: start, Cells: []report.Cell{{
		Series: report.Series{Measure: uint16(i), Field: report.Value, Grain: report.Week}, Start: start, Form: report.Exact, Lo: v, Hi: v}}}
	ruled, leave, err := s.gate.Judge(x, s.p)
	if err != nil {
		panic(err)
	}
	cells := egress.Cells(ruled)
	s.memory.Note(statements.Window{Catalog: s.c, Measure: i, Grain: report.Week, Start: start, Cells: cells, Left: leave})
	s.told, s.values, s.end = append(s.told, cells...), append(s.values, v), start+7
	return cells
}

func (s *toldSite) say(t *testing.T) string {
	_, i := s.c.Measure("moved")
	lines, err := s.memory.Lines(s.c, statements.Ask{Measure: i, Grain: report.Week}, [7]bool{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, l := range lines {
		b.Write(l)
	}
	return b.String()
}

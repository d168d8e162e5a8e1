package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// ways is the example of the kinds about the ways of people.
func ways(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse(read(t, "every-kind.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheTwoExamplesShowEveryKind(t *testing.T) {
	seen := map[catalog.Kind]bool{}
	for _, c := range []*catalog.Catalog{forge(t), ways(t)} {
		for _, m := range c.Measures {
			seen[m.Kind] = true
		}
	}
	for _, k := range catalog.Kinds() {
		if !seen[k] {
			t.Errorf("no example of %s", k)
		}
	}
}

func TestWhatIsReadOfEachKind(t *testing.T) {
	c := ways(t)
	one, two, five, six, max8 := 1.0, 2.0, 500.0, 600.0, 8.0
	thousand := 1000.0
	for id, want := range map[string]catalog.Measure{
		"habit": {Events: []string{"order_opened", "order_sent"}, Where: []catalog.Clause{{Property: "order", Min: &one}},
			WhereUser: []catalog.Clause{{Property: "role", Values: []string{"clerk", "manager"}}}, Leaves: report.Rolling28},
		"kept": {Events: []string{"order_opened", "order_sent"}, Leaves: report.Block12w, Pool: true, Epsilon: 0.5},
		"sending": {
			Steps: []catalog.Step{
				{ID: "opened", Event: "order_opened", Where: []catalog.Clause{{Property: "channel", Values: []string{"web"}}}},
				{ID: "checked", Event: "order_checked"},
				{ID: "sent", Event: "order_sent", Where: []catalog.Clause{{Property: "amount", Max: &five}, {Property: "minutes", Min: &one, Max: &six}}},
			},
			Window: 14 * 24 * time.Hour, Entry: "each", Correlate: "order", Split: "channel", Leaves: report.Block4w,
			Before:    &catalog.Step{Event: "report_opened", Where: []catalog.Clause{{Property: "report", Values: []string{"stock"}}}},
			WhereUser: []catalog.Clause{{Property: "level", Min: &two}},
		},
		"second_order": {
			Steps: []catalog.Step{{ID: "first", Event: "order_sent"}, {ID: "second", Event: "order_sent"}}, Window: 30 * 24 * time.Hour,
			Entry: "first", Split: "role", Leaves: report.Block4w,
		},
		"parts": {
			Events: []string{"order_opened", "order_sent", "report_opened"}, Uses: 3, Leaves: report.Rolling28,
			Features: []catalog.Feature{
				{ID: "orders", Events: []string{"order_opened", "order_sent"}},
				{ID: "large_orders", Events: []string{"order_sent"}, Where: []catalog.Clause{{Property: "amount", Min: &thousand}}},
				{ID: "stock", Events: []string{"report_opened"}, Where: []catalog.Clause{{Property: "report", Values: []string{"stock"}}}},
			},
			Eligible: []catalog.Clause{{Property: "role", Values: []string{"clerk", "manager"}}, {Property: "level", Max: &max8}},
		},
		"first_sent": {Events: []string{"order_sent"}, Where: []catalog.Clause{{Property: "amount", Min: &one}}, Leaves: report.Change},
		"next": {
			Steps: []catalog.Step{
				{ID: "opened", Event: "order_opened"}, {ID: "sent", Event: "order_sent"},
				{ID: "report", Event: "report_opened", Where: []catalog.Clause{{Property: "report", Values: []string{"sales"}}}},
			},
			WhereUser: []catalog.Clause{{Property: "site", Values: []string{"north"}}}, Leaves: report.Block4w,
		},
		"seats":        {Events: []string{"order_opened", "order_sent"}, Purchased: "seats", Assigned: "seats_given", Leaves: report.Rolling28},
		"test_of_b":    {Events: []string{"order_sent", "order_opened"}, Arm: "variant", X: "amount", Leaves: report.Block4w},
		"test_by_site": {Events: []string{"order_sent"}, Arm: "site", X: "amount", Y: "minutes", Leaves: report.Block4w},
		"moved":        {Of: "people", Leaves: report.Block4w},
		"stage":        {Of: "people", Leaves: report.Block4w},
	} {
		m, _ := measure(t, c, id)
		got := *m
		want.ID, want.Kind, want.Subject, want.DefHash = id, got.Kind, catalog.Person, got.DefHash
		want.Category, want.Question, want.Purpose, want.Owner, want.Retention = got.Category, got.Question, got.Purpose, got.Owner, got.Retention
		if want.Epsilon == 0 {
			want.Epsilon = 1
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", id, d)
		}
		if !m.HasGrain(m.Leaves) {
			t.Errorf("%s leaves per %s, which the site does not keep", id, m.Leaves)
		}
	}
	if m, _ := measure(t, edited(t, "by: [role, area, [role, area]]", "by: [role]"), "people"); m.Epsilon != 1 || m.Pool {
		t.Errorf("%+v", m)
	}
}

func TestEventsOfEachKind(t *testing.T) {
	for _, c := range []struct {
		of   *catalog.Catalog
		want map[string]string
	}{
		{ways(t), map[string]string{
			"people": "order_opened order_sent order_checked", "habit": "order_opened order_sent",
			"sending": "order_opened order_checked order_sent report_opened", "second_order": "order_sent",
			"parts": "order_opened order_sent report_opened", "next": "order_opened order_sent report_opened", "moved": "", "stage": "",
		}},
		{forge(t), map[string]string{"channel": "release", "accepted_in_time": "change_accepted", "fast_enough": "", "has_maintainer": "", "web_up": ""}},
	} {
		for id, want := range c.want {
			m, _ := measure(t, c.of, id)
			if got := strings.Join(m.EventIDs(), " "); got != want {
				t.Errorf("%s reads %q, want %q", id, got, want)
			}
		}
	}
}

func TestDimensionsOfEachKind(t *testing.T) {
	c := ways(t)
	for id, want := range map[string]string{
		"people": "role role,site", "habit": "days", "kept": "offset", "sending": "step band channel,step channel,band",
		"second_order": "step band role,step role,band", "parts": "feature", "first_sent": "", "next": "from,to", "seats": "",
		"test_of_b": "variant", "test_by_site": "site", "moved": "evidence", "stage": "evidence",
	} {
		m, _ := measure(t, c, id)
		var got []string
		for _, b := range c.Breakdowns(m) {
			got = append(got, strings.Join(b.Dims, ","))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s is told apart by %q, want %q", id, s, want)
		}
	}
	for _, x := range []struct {
		id, name string
		found    bool
		isTrait  bool
	}{
		{"sending", "channel", true, false},
		{"sending", "role", true, true},
		{"sending", "minutes", false, false}, // of the last step, not of the entry
		{"test_of_b", "variant", true, false},
		{"test_by_site", "site", true, true},
		{"next", "channel", false, false},
	} {
		m, _ := measure(t, c, x.id)
		if p, isTrait := c.Dimension(m, x.name); (p != nil) != x.found || isTrait != x.isTrait {
			t.Errorf("%s of %s: %+v, a trait: %v", x.name, x.id, p, isTrait)
		}
	}
}

// A file that says nothing of doors is read as before there were any.
func TestDoors(t *testing.T) {
	if got, want := forge(t).Doors, (catalog.Doors{CloudEvents: "authid", Logs: "user.id"}); got != want {
		t.Errorf("%+v", got)
	}
	if got, want := ways(t).Doors, (catalog.Doors{CloudEvents: "data.user.id", Logs: "enduser.id"}); got != want {
		t.Errorf("%+v", got)
	}
	nowhere := edited(t, "measures:\n", "doors: {cloudevents: {user: none}, logs: {user: none}}\nmeasures:\n")
	if nowhere.Doors != (catalog.Doors{}) {
		t.Errorf("%+v", nowhere.Doors)
	}
	before := forge(t)
	for i := range before.Measures {
		m := &before.Measures[i]
		users := m.Subject == catalog.Person && (len(m.EventIDs()) > 0 || strings.HasPrefix(m.From, "user."))
		if changed := m.DefHash != nowhere.Measures[i].DefHash; changed != users {
			t.Errorf("%s: users are found elsewhere, and it is a new series: %v", m.ID, changed)
		}
	}
}

// What stands in the file about one of the kinds and is changed makes a new series, and what
// stands elsewhere does not.
func TestNewSeriesOfTheKindsOfWays(t *testing.T) {
	raw := string(read(t, "every-kind.yaml"))
	for _, x := range []struct{ old, now, changed string }{
		{"id: checked", "id: looked_at", "sending"},
		{"where: {channel: web}", "where: {channel: desk}", "sending"},
		{"window: 14d", "window: 15d", "sending"},
		{"    entry: each\n", "    entry: first\n", "sending"},
		{"    entry: each\n", "", "sending"},
		{"    window: 30d\n", "    window: 30d\n    entry: first\n", ""},
		{"    correlate: order\n", "", "sending"},
		{"    split: channel\n", "", "sending"},
		{"    split: role\n", "    split: site\n", "second_order"},
		{"before: {event: report_opened, where: {report: stock}}", "before: {event: report_opened}", "sending"},
		{"where: {amount: {min: 1000}}", "where: {amount: {min: 1001}}", "parts"},
		{"large_orders: {", "big_orders: {", "parts"},
		{"uses: 3", "uses: 4", "parts"},
		{"level: {max: 8}", "level: {max: 7}", "parts"},
		{"    assigned: seats_given\n", "", "seats"},
		{"match: assignedSeats", "match: given", "seats"},
		{"    y: minutes\n", "", "test_by_site"},
		{"    arm: site\n", "    arm: role\n", "test_by_site"},
		{"epsilon: 0.5", "epsilon: 1", "kept"},
		{"    pool: true\n    epsilon", "    epsilon", "kept"},
		{"values: [stock, sales]", "values: [stock, sales, tax]", "sending parts next"},
		{"user: enduser.id", "user: user.id", "people habit kept sending second_order parts first_sent next seats test_of_b test_by_site moved stage flow"},
		// Of what is looked at, the definition matters.
		{"[role, [role, site]]", "[role]", "people moved stage"},
		{`"How many people work here?"`, `"Who?"`, ""},
	} {
		if !strings.Contains(raw, x.old) {
			t.Fatalf("the example does not hold %q", x.old)
		}
		before := ways(t)
		after, err := catalog.Parse([]byte(strings.Replace(raw, x.old, x.now, 1)))
		if err != nil {
			t.Fatalf("%q: %v", x.now, err)
		}
		var changed []string
		for i := range before.Measures {
			if before.Measures[i].DefHash != after.Measures[i].DefHash {
				changed = append(changed, before.Measures[i].ID)
			}
		}
		if got := strings.Join(changed, " "); got != x.changed {
			t.Errorf("%q for %q: new series for %q, want %q", x.now, x.old, got, x.changed)
		}
	}
}

func TestDefinitionHashesOfEachKindStay(t *testing.T) {
	c := ways(t)
	var hashes strings.Builder
	for i := range c.Measures {
		fmt.Fprintf(&hashes, "%x %s\n", c.Measures[i].DefHash, c.Measures[i].ID)
	}
	golden(t, "every-kind.hashes", hashes.String())
	for _, id := range []string{"sending", "parts", "seats", "moved"} {
		m, _ := measure(t, c, id)
		golden(t, "every-kind."+id+".canonical", string(c.Canonical(m)))
	}
}

// Every cell there can be has names, and comes back from them.
func TestCellsOfEachKindComeBack(t *testing.T) {
	c := ways(t)
	tried := 0
	for i := range c.Measures {
		m := &c.Measures[i]
		var fields []report.Field
		for b := range len(c.Breakdowns(m)) + 1 {
			for _, f := range m.FieldsOf(b) {
				if !slices.Contains(fields, f) {
					fields = append(fields, f)
				}
			}
		}
		for _, f := range fields {
			for _, g := range m.Grains() {
				for s := range c.Cells(i, f, g) {
					tried++
					comesBack(t, c, report.Cell{Series: s, Start: start(g), Form: report.Suppressed})
					for n := range max(1, len(m.Listed(f, int(s.Breakdown)))) {
						comesBack(t, c, report.Cell{Series: s, Start: start(g), Form: report.Exact, Lo: float64(n), Hi: float64(n)})
					}
				}
			}
		}
		for b := range c.Breakdowns(m) {
			cell := report.Cell{Series: report.Series{Measure: uint16(i), Field: m.FieldsOf(b + 1)[0], Grain: m.Grains()[0], Breakdown: uint8(b + 1), V1: 9999}, Start: start(m.Grains()[0]), Form: report.Suppressed}
			if _, err := c.Resolve(cell); err == nil {
				t.Errorf("%s has a value 9999", m.ID)
			}
		}
	}
	if tried < 500 {
		t.Errorf("%d cells were tried", tried)
	}
}

func comesBack(t *testing.T, c *catalog.Catalog, cell report.Cell) {
	t.Helper()
	m := &c.Measures[cell.Measure]
	fig, err := c.Resolve(cell)
	if err != nil {
		t.Fatalf("%s %+v: %v", m.ID, cell, err)
	}
	if want := 0; cell.Breakdown > 0 {
		want = len(c.Breakdowns(m)[cell.Breakdown-1].Dims)
		if len(fig.Dims) != want {
			t.Fatalf("%s: %v", m.ID, fig.Dims)
		}
	}
	if list := m.Listed(cell.Field, int(cell.Breakdown)); list != nil && cell.Form == report.Exact && fig.Text != list[int(cell.Lo)] {
		t.Fatalf("%s: %v is %q", m.ID, cell.Lo, fig.Text)
	}
	back, err := c.Cell(fig)
	if err != nil {
		t.Fatalf("%s %+v: %v", m.ID, fig, err)
	}
	if d := cmp.Diff(cell, back); d != "" {
		t.Fatalf("%s: %s", m.ID, d)
	}
}

package diff_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/diff"
)

func TestDiff(t *testing.T) {
	var said strings.Builder
	for _, c := range []struct {
		name, old, now string
		want           string // kind and measure of each change
	}{
		{"nothing", "version: 3", "version: 4", ""},
		{"purpose", `"Seat planning with the customer"`, `"Seats and prices"`, "reworded people"},
		{"fewer breakdowns", "by: [role, area, [role, area]]", "by: [role]", "narrowed people"},
		{"more breakdowns", "by: [[route, status]]", "by: [[route, status], route]", "widened latency"},
		{"kept shorter", "retention: 730d\n    expires", "retention: 365d\n    expires", "narrowed people"},
		{"kept longer", "retention: 730d\n    expires", "retention: 731d\n    expires", "widened people"},
		{"kept forever", "retention: 730d\n    expires", "retention: forever\n    expires", "widened people"},
		{"no longer kept forever", "owner: sales\n    retention: forever", "owner: sales\n    retention: 10000d", "narrowed plan"},
		{"ends earlier", "2028-01-01", "2027-01-01", "narrowed people"},
		{"ends later", "2028-01-01", "2029-01-01", "widened people"},
		{"ends never", "    expires: 2028-01-01\n", "", "widened people"},
		{"used in fewer places", "[account page, CRM]", "[CRM]", "narrowed people"},
		{"used in more places", "[account page, CRM]", "[account page, CRM, mail]", "widened people"},
		{"used anywhere", "    consumed_in: [account page, CRM]\n", "", "widened people"},
		// Distinct people of 12 weeks do not follow from those of 4 weeks.
		{"coarser windows of people", "leaves: 4w", "leaves: 12w", "widened people"},
		{"coarser windows of sums", "by: [status]\n    category: usage", "by: [status]\n    leaves: day\n    category: usage", "widened requests_by_status"},
		{"finer windows", "leaves: 5m", "leaves: hour", "widened queued"},
		{"a smaller group", "region: emea", "region: amer", "widened changes"},
		// A lower cap bounds people closer and so allows finer answers.
		{"a cap", "    by: [area]\n    where: {area: [code, docs, testing]", "    by: [area]\n    cap: 300\n    where: {area: [code, docs, testing]", "widened changes"},
		{"a filter added", "by: [status]\n", "by: [status]\n    where: {status: error}\n", "widened requests_by_status"},
		{"fewer events", "events: [change_authored, change_accepted, change_merged]\n    by: [role]\n", "events: [change_authored]\n    by: [role]\n", "widened flow"},
		{"another list", "[team, business]", "[team, business, trial]", "widened plan"},
		{"a shorter list", "[team, business]", "[team]", "widened plan"},
		{"renamed values", `map: {"200": ok, "500": error}`, `map: {"200": ok}`, "widened latency widened fast_enough"},
		{"a person counts as a robot", "not_people: [automation]", "not_people: [automation, maintainer]",
			"widened people widened flow widened changes widened files widened has_maintainer widened channel widened accepted_in_time"},
		{"another subject", "subject: traffic\n    metric: requests\n", "subject: machine\n    metric: requests\n", "widened requests_by_status"},
		{"a shorter grace", "grace: 7d", "grace: 24h", "widened people widened flow widened accepted_in_time"},
		{"another bound", "at_most: 0.5", "at_most: 1", "widened fast_enough"},
		{"another good", "review], status: ok}", "review]}", "widened fast_enough"},
		{"another client name", "match: waitHours", "match: waited", "widened accepted_in_time"},
		{"in another order", "[account page, CRM]", "[CRM, account page]", "narrowed people"},
		{"another id", "id: queued", "id: waiting", "added waiting removed queued"},
		{"narrower and wider at once", "by: [role, area, [role, area]]\n    leaves: 4w", "by: [role]\n    leaves: 12w", "widened people"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fmt.Fprintf(&said, "%s\n", c.name)
			var got []string
			for _, ch := range diff.Between(forge(t), edited(t, c.old, c.now)) {
				got = append(got, string(ch.Kind), ch.Measure)
				fmt.Fprintf(&said, "\t%s %s: %s\n", ch.Kind, ch.Measure, ch.Text)
				if ch.Text == "" {
					t.Errorf("%s %s has no text", ch.Kind, ch.Measure)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
	golden(t, "diff.golden", said.String())
}

func TestCoarserWindowsOfSumsAreNarrower(t *testing.T) {
	hour := edited(t, "leaves: 5m", "leaves: day", "by: [status]\n", "by: [status]\n    leaves: 5m\n")
	day := edited(t, "leaves: 5m", "leaves: day", "by: [status]\n", "by: [status]\n    leaves: hour\n")
	got := diff.Between(hour, day)
	if len(got) != 1 || got[0].Kind != diff.Narrowed || got[0].Measure != "requests_by_status" {
		t.Errorf("%+v", got)
	}
	if got := diff.Between(day, hour); len(got) != 1 || got[0].Kind != diff.Widened {
		t.Errorf("%+v", got)
	}
}

// Whatever changes and is called narrowed must be called widened the other way round, or
// else the customer would not be asked about the way back.
func TestNarrowedBackIsWidened(t *testing.T) {
	base := forge(t)
	for _, c := range []*catalog.Catalog{
		edited(t, "by: [role, area, [role, area]]", "by: [role]"),
		edited(t, "[account page, CRM]", "[CRM]"),
		edited(t, "2028-01-01", "2027-01-01"),
		edited(t, "retention: 730d", "retention: 729d"),
	} {
		for i, ch := range diff.Between(base, c) {
			back := diff.Between(c, base)[i]
			if ch.Kind != diff.Narrowed || back.Kind != diff.Widened {
				t.Errorf("%+v and back %+v", ch, back)
			}
		}
	}
}

func TestDescribe(t *testing.T) {
	for _, name := range []string{"forge-like", "every-kind"} {
		c := edit(t, name)
		var said strings.Builder
		for i := range c.Measures {
			fmt.Fprintf(&said, "%s: %s\n", c.Measures[i].ID, diff.Describe(c, &c.Measures[i]))
		}
		golden(t, name+".described", said.String())
	}
}

// What changed in the kinds about the ways of people is said in words, and what is asked of
// the customer is right.
func TestDiffOfEachKind(t *testing.T) {
	var said strings.Builder
	for _, c := range []struct{ name, old, now, want string }{
		{"a step more", "      - {id: checked, event: order_checked}\n", "", "widened sending"},
		{"a step's filter", "{channel: web}", "{channel: desk}", "widened sending"},
		{"a longer way", "window: 14d", "window: 20d", "widened sending"},
		{"entered once", "entry: each", "entry: first", "widened sending"},
		{"no object followed", "    correlate: order\n", "", "widened sending"},
		{"another split", "split: role", "split: site", "widened second_order"},
		{"nothing before", "    before: {event: report_opened, where: {report: stock}}\n", "", "widened sending"},
		{"another report before", "{event: report_opened, where: {report: stock}}", "{event: report_opened, where: {report: sales}}", "widened sending"},
		{"a feature less", "      large_orders: {events: [order_sent], where: {amount: {min: 1000}}}\n", "", "widened parts"},
		{"a feature's filter", "{amount: {min: 1000}}", "{amount: {min: 2000}}", "widened parts"},
		{"more uses", "uses: 3", "uses: 5", "widened parts"},
		{"others are eligible", "eligible: {role: [clerk, manager], ", "eligible: {role: [clerk], ", "widened parts"},
		{"seats from elsewhere", "purchased: seats\n", "purchased: seats_given\n", "widened seats"},
		{"another arm", "arm: site", "arm: role", "widened test_by_site"},
		{"no y", "    y: minutes\n", "", "widened test_by_site"},
		{"what is looked at", "by: [role, [role, site]]", "by: [role]", "narrowed people widened moved widened stage"},
		{"looks elsewhere", "kind: environment\n    of: people", "kind: environment\n    of: people2", "added people2 widened stage"},
		{"out of the pool", "    pool: true\n    epsilon: 0.5\n", "    epsilon: 0.5\n", "narrowed kept"},
		{"into the pool", "kind: lifecycle\n", "kind: lifecycle\n    pool: true\n", "widened flow"},
		{"more noise", "epsilon: 0.5", "epsilon: 0.25", "narrowed kept"},
		{"less noise", "    epsilon: 0.5\n", "", "widened kept"},
		{"doors", "logs: {user: enduser.id}", "logs: {user: none}", "*"},
	} {
		replace := []string{c.old, c.now}
		switch c.name {
		case "into the pool":
			replace = append(replace, "    pool: true\n    epsilon", "    epsilon")
		case "looks elsewhere":
			replace = append(replace, "  - id: habit", "  - id: people2\n    kind: count\n    events: [order_opened]\n    category: usage\n    question: \"How much?\"\n    purpose: \"Example\"\n    owner: product\n    retention: 1d\n  - id: habit")
		}
		fmt.Fprintf(&said, "%s\n", c.name)
		var got []string
		for _, ch := range diff.Between(edit(t, "every-kind"), edit(t, "every-kind", replace...)) {
			got = append(got, string(ch.Kind), ch.Measure)
			if ch.Text == "" {
				t.Errorf("%s: %s %s has no text", c.name, ch.Kind, ch.Measure)
			}
			if c.want != "*" || ch.Measure == "people" {
				fmt.Fprintf(&said, "\t%s %s: %s\n", ch.Kind, ch.Measure, ch.Text)
			}
		}
		if c.name == "into the pool" { // one had to leave for it
			got = got[2:]
		}
		if s := strings.Join(got, " "); s != c.want && (c.want != "*" || len(got) != 2*len(edit(t, "every-kind").Measures)) {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
	golden(t, "every-kind.diff.golden", said.String())
}

func forge(t testing.TB) *catalog.Catalog { return edited(t) }

// edited is the example of a code forge with every old text replaced.
func edited(t testing.TB, replacements ...string) *catalog.Catalog {
	t.Helper()
	return edit(t, "forge-like", replacements...)
}

func edit(t testing.TB, name string, replacements ...string) *catalog.Catalog {
	t.Helper()
	raw := string(read(t, "../testdata/"+name+".yaml"))
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(raw, replacements[i]) {
			t.Fatalf("the example does not hold %q", replacements[i])
		}
		raw = strings.ReplaceAll(raw, replacements[i], replacements[i+1])
	}
	c, err := catalog.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if d := cmp.Diff(string(read(t, path)), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

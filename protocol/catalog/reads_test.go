package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// reads writes what a measure takes in one line, its parts sorted.
func reads(r catalog.Reads) string {
	var out []string
	for id, names := range r.Events {
		slices.Sort(names)
		out = append(out, strings.TrimSpace("event "+id+" "+strings.Join(names, " ")))
	}
	slices.Sort(out)
	for what, names := range map[string][]string{"metric": r.Metrics, "trait": r.Traits, "group": r.GroupTraits, "resource": r.Resource} {
		slices.Sort(names)
		for _, n := range names {
			out = append(out, what+" "+n)
		}
	}
	slices.Sort(out)
	if r.Users {
		out = append(out, "users")
	}
	return strings.Join(out, "; ")
}

// What a measure takes is all it needs and nothing more: what is not here is dropped at the door.
func TestWhatEachMeasureTakes(t *testing.T) {
	for _, x := range []struct {
		of   *catalog.Catalog
		want map[string]string
	}{
		{ways(t), map[string]string{
			"people":       "event order_checked; event order_opened; event order_sent; trait role; trait site; users",
			"habit":        "event order_opened order; event order_sent order; trait role; users",
			"kept":         "event order_opened; event order_sent; users",
			"sending":      "event order_checked order; event order_opened channel order; event order_sent amount minutes order; event report_opened report; trait level; users",
			"second_order": "event order_sent; trait role; users",
			"parts":        "event order_opened; event order_sent amount; event report_opened report; trait level; trait role; users",
			"first_sent":   "event order_sent amount; users",
			"next":         "event order_opened; event order_sent; event report_opened report; trait site; users",
			"seats":        "event order_opened; event order_sent; group seats; group seats_given; users",
			"test_of_b":    "event order_opened amount variant; event order_sent amount variant; users",
			"test_by_site": "event order_sent amount minutes; trait site; users",
			"moved":        "event order_checked; event order_opened; event order_sent; trait role; trait site; users",
			"stage":        "event order_checked; event order_opened; event order_sent; trait role; trait site; users",
			"flow":         "event order_opened; trait role; users",
		}},
		{forge(t), map[string]string{
			"people":             "event change_accepted area; event change_authored area; event change_merged area; trait role; users",
			"flow":               "event change_accepted; event change_authored; event change_merged; trait role; users",
			"changes":            "event change_authored area files; trait region; trait seniority; users",
			"files":              "event change_authored files; users",
			"requests_by_status": "metric requests",
			"latency":            "metric request_seconds",
			"queued":             "metric queue",
			"version":            "", "os": "", "web_up": "",
			"plan":             "group plan",
			"environment":      "resource deployment.environment",
			"has_maintainer":   "trait role; users",
			"channel":          "event release channel; users",
			"fast_enough":      "metric request_seconds",
			"accepted_in_time": "event change_accepted wait_hours; users",
		}},
	} {
		if len(x.want) != len(x.of.Measures) {
			t.Errorf("%d measures of %d", len(x.want), len(x.of.Measures))
		}
		for id, want := range x.want {
			m, _ := measure(t, x.of, id)
			if got := reads(x.of.Reads(m)); got != want {
				t.Errorf("%s takes %q, want %q", id, got, want)
			}
		}
	}
}

// Whatever begins a new series when it is declared otherwise is something the measure takes: the
// hash and what is collected cannot drift apart.
func TestWhatIsHashedIsTaken(t *testing.T) {
	for _, c := range []*catalog.Catalog{ways(t), forge(t)} {
		for i := range c.Measures {
			m := &c.Measures[i]
			r := c.Reads(m)
			if m.Of != "" {
				continue // hashed by the hash of the other
			}
			for _, l := range c.Definition(m) {
				parts := strings.Split(l.Path, ".")
				var ok bool
				switch {
				case parts[0] == "event" && len(parts) > 4 && parts[2] == "properties":
					// A name that another event of the measure uses is hashed here as well.
					for _, names := range r.Events {
						ok = ok || slices.Contains(names, parts[3])
					}
				case parts[0] == "event":
					_, ok = r.Events[parts[1]]
				case len(parts) == 1:
					ok = true
				case parts[0] == "metric":
					ok = slices.Contains(r.Metrics, parts[1])
				case parts[0] == "traits":
					p, _ := catalog.Find(c.Traits, parts[1])
					ok = slices.Contains(r.Traits, parts[1]) || len(p.NotPeople) > 0
				case parts[0] == "group_traits":
					ok = slices.Contains(r.GroupTraits, parts[1])
				default:
					ok = true
				}
				if !ok {
					t.Errorf("%s: %s is part of the definition and not taken: %s", m.ID, l.Path, fmt.Sprint(reads(r)))
				}
			}
		}
	}
}

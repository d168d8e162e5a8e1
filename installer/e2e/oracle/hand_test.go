package oracle_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/installer/e2e/oracle"
)

// diary writes a small history by hand: DATE TIME USER WHAT [name=value …], received at once.
// Those of the same minute stay in their order.
func diary(t *testing.T, entries string) []byte {
	t.Helper()
	var out strings.Builder
	all := strings.Split(strings.TrimSpace(entries), "\n")
	slices.SortStableFunc(all, func(a, b string) int { return strings.Compare(a[:16], b[:16]) })
	for i, l := range all {
		f := strings.Fields(l)
		at, err := time.Parse("2006-01-02 15:04", f[0]+" "+f[1])
		if err != nil {
			t.Fatal(err)
		}
		kind, list, name := "track", "properties", f[3]
		switch f[3] {
		case "identify", "group":
			kind, list = f[3], "traits"
		case "alias":
			kind, name = f[3], strings.TrimPrefix(f[4], "from=")
		case "Report":
			kind = "page"
		case "Home":
			kind = "screen"
		}
		var values []string
		for _, v := range f[4:] {
			k, v, _ := strings.Cut(v, "=")
			if strings.Trim(v, "0123456789.") != "" {
				v = fmt.Sprintf("%q", v)
			}
			values = append(values, fmt.Sprintf("%q:%s", k, v))
		}
		name = map[string]string{"Opened": "Order Opened", "Checked": "Order Checked", "Sent": "Order Sent"}[name] + map[bool]string{true: name}[kind != "track"]
		stamp := at.Format(time.RFC3339)
		fmt.Fprintf(&out, `{"type":%q,"event":%q,"name":%q,"previousId":%q,"userId":%q,"timestamp":%q,"receivedAt":%q,"messageId":"%d",%q:{%s}}`+"\n",
			kind, name, name, name, f[2], stamp, stamp, i, list, strings.Join(values, ","))
	}
	return []byte(out.String())
}

const opened, visits = `
2024-01-01 09:00 a identify role=clerk
2024-01-01 09:00 r identify role=robot
2024-01-01 10:00 a Opened
2024-01-02 10:00 a Opened
2024-01-03 10:00 a Opened
2024-01-04 10:00 a Opened
2024-01-05 10:00 a Opened
2024-01-05 10:00 r Opened
2024-01-06 10:00 a Opened
2024-01-07 10:00 a Opened
2024-01-08 10:00 a Opened
2024-01-09 10:00 a Opened
2024-01-10 10:00 a Opened
2024-01-10 10:59 b Opened
2024-01-10 11:01 c Opened
2024-01-12 11:01 c Opened`, `
2024-01-01 09:00 a Home
2024-01-01 09:00 a Report report=stock
2024-01-01 09:30 a Opened channel=web
2024-01-01 10:00 a Opened channel=desk
2024-01-01 10:31 a Home
2024-01-01 11:01 a Home`

// byHand is small histories with what MEASURES says of them, worked out by hand.
var byHand = map[string]struct {
	history, measure, grain, by string
	want                        []string
}{
	// 28 days to 10 January: 20 of them Monday to Friday; a on 10 days (8 of those), b and c on one.
	"stickiness": {opened, "habit", "rolling28", "", []string{
		`"start":"2024-01-10","dims":{},"value":{"active":3,"daily":12,"ratio":0.14285714285714285,"working_ratio":0.16666666666666666,"l28":{"1":2,"2-3":0,"4-7":0,"8-12":1,"13-20":0,"21-28":0}},"closed":true}`}},
	// The hour from ten has a and b, that from eleven c; nobody was ever told how many seats there are.
	"seats": {opened, "desks", "day", "", []string{`"start":"2024-01-10","dims":{},"value":{"peak":2},"closed":true}`, `"start":"2024-01-11","dims":{},"value":{"peak":0},"closed":true}`}},
	"seats at the cap": {opened + `
2024-01-12 12:00 x group seats=2 assignedSeats=5
2024-01-13 12:00 x group seats=0
2024-01-14 12:00 c Home`, "desks", "rolling28", "", []string{
		`"start":"2024-01-14","dims":{},"value":{"active":3,"purchased":0,"assigned":5,"peak":2,"at_cap":2},"closed":true}`}},
	// Half an hour is near enough, 31 minutes are not; a report on stock is no step.
	"transitions": {visits, "next", "day", "from,to", []string{
		`"start":"2024-01-01","dims":{"from":"home","to":"home"},"value":1,"closed":true}`,
		`"start":"2024-01-01","dims":{"from":"home","to":"opened"},"value":1,"closed":true}`,
		`"start":"2024-01-01","dims":{"from":"opened","to":"opened"},"value":1,"closed":true}`}},
	// Home, report and order within 90 minutes: the report is later in the journal. The next entry
	// comes more than 90 minutes after 9:00: at 10:31, and that at 11:01 does not.
	"funnel, each": {visits, "visit", "week", "", []string{
		`"start":"2024-01-01","dims":{},"value":{"entered":2,"steps":[2,1,1],"bands":{"1h":1,"24h":0,"3d":0,"7d":0,"30d":0,"never":1}},"closed":true}`}},
	// a reads the report first, b only after it was sent, c never; d sends too late; e has two orders.
	"funnel, before": {`
2024-01-01 08:00 a Report
2024-01-01 09:00 a Opened variant=a
2024-01-01 09:00 a Sent
2024-01-01 09:00 b Opened variant=b
2024-01-03 09:00 b Sent
2024-01-03 09:01 b Report
2024-01-01 09:00 c Opened
2024-01-01 10:00 c Sent
2024-01-01 07:00 d Report
2024-01-01 09:00 d Opened variant=a
2024-01-08 09:01 d Sent
2024-01-01 07:00 e Report
2024-01-07 23:00 e Opened variant=b
2024-01-08 23:00 e Opened variant=a
2024-01-14 23:00 e Sent`, "informed", "week", "variant", []string{
		`"start":"2024-01-01","dims":{"variant":"(none)"},"value":{"entered":1,"steps":[1,0],"bands":{"1h":0,"24h":0,"3d":0,"7d":0,"30d":0,"never":1}},"closed":true}`,
		`"start":"2024-01-01","dims":{"variant":"a"},"value":{"entered":2,"steps":[2,1],"bands":{"1h":1,"24h":0,"3d":0,"7d":0,"30d":0,"never":1}},"closed":true}`,
		`"start":"2024-01-01","dims":{"variant":"b"},"value":{"entered":2,"steps":[2,1],"bands":{"1h":0,"24h":0,"3d":0,"7d":1,"30d":0,"never":1}},"closed":true}`}},
	// One order after another: order 1 is sent by its opener, 2 by another, 3 has no number when sent.
	"funnel, correlated": {`
2024-01-01 09:00 a Opened order=1
2024-01-01 09:10 a Opened order=2
2024-01-01 09:20 a Opened order=3
2024-01-01 09:30 a Checked order=1
2024-01-01 09:30 a Checked order=2
2024-01-01 09:30 a Checked order=3
2024-01-01 10:00 a Sent order=1
2024-01-01 10:00 b Sent order=2
2024-01-01 10:00 a Sent
2024-01-09 10:00 a Opened order=1`, "followed", "4w", "", []string{
		`"start":"2023-12-25","dims":{},"value":{"entered":3,"steps":[3,3,1],"bands":{"1h":1,"24h":0,"3d":0,"7d":0,"30d":0,"never":2}},"closed":true}`}},
	// Cohorts begin on the first Monday after 28 days, 29 January. a was there before, b is older than the
	// start; c and d begin that week, d under a name that turns out to be a's.
	"retention": {`
2024-01-01 09:00 a Home
2024-01-30 09:00 b identify createdAt=2023-12-31T00:00:00Z
2024-01-30 09:00 b Home
2024-01-30 09:00 c Home
2024-01-31 09:00 d Home
2024-02-05 00:00 a Home
2024-02-05 00:00 c Home
2024-02-06 00:00 d Home
2024-02-20 00:00 d alias from=a
2024-02-25 23:59 c Home
2024-03-04 00:00 d Home`, "kept", "week", "", []string{
		`"start":"2024-01-29","dims":{},"value":{"size":2,"active":[2,2,0,1,0,0,0,0,0,0,0,0]},"closed":true}`,
		`"start":"2024-02-05","dims":{},"value":{"size":0,"active":[0,0,0,0,0,0,0,0,0,0,0]},"closed":true}`}},
	// Large orders: a on two days and three times; b three times on one day; c has no role that is eligible.
	"adoption": {`
2024-01-01 09:00 a identify role=clerk level=8
2024-01-01 09:00 b identify role=boss level=1
2024-01-01 09:00 c identify role=clerk level=9
2024-01-02 09:00 a Opened amount=500
2024-01-02 09:01 a Sent amount=500.5
2024-01-03 09:00 b Opened amount=600
2024-01-03 09:01 b Opened amount=600
2024-01-03 09:02 b Opened amount=600
2024-01-08 09:00 c Opened amount=600
2024-01-10 09:00 a Opened amount=700
2024-01-20 09:00 a Checked`, "parts", "rolling28", "", []string{
		`"start":"2024-01-20","dims":{},"value":{"eligible":2,"features":{"large":{"tried":2,"adopted":1,"habitual":0},"orders":{"tried":2,"adopted":1,"habitual":1},"stock":{"tried":0,"adopted":0,"habitual":0}}},"closed":true}`}},
	"sufficient": {`
2024-01-01 09:00 a identify site=north level=3
2024-01-01 09:00 a Sent amount=2.5 took.minutes=4
2024-01-01 09:01 a Sent amount=10
2024-01-01 09:02 a Sent amount=0.1 took.minutes=1
2024-01-01 09:03 b Sent amount=9 took.minutes=9`, "test_by_site", "month", "site", []string{
		`"start":"2024-01-01","dims":{"site":"north"},"value":{"n":2,"sum_x":2.6,"sum_xx":6.26,"sum_y":5,"sum_yy":17,"sum_xy":10.1},"closed":true}`}},
	// The site begins at 9:00 on the first; a's order was sent within three days of it.
	"first time": {`
2024-01-01 09:00 x group seats=1
2024-01-04 09:00 a Sent
2024-01-05 09:00 b Sent`, "first_sent", "change", "", []string{`"start":"2024-01-04T09:00:00Z","dims":{},"value":{"value":"3d"},"closed":true}`}},
}

// What the words of MEASURES say of small histories, worked out by hand, is what the oracle says and
// what the fold says. Of each answer only the lines that begin with the given start are looked at.
func TestOracleAndFoldByHand(t *testing.T) {
	for name, c := range byHand {
		t.Run(name, func(t *testing.T) {
			s := oracle.Settings{Zone: time.UTC, Until: time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)}
			f, site := folded(t, diary(t, c.history), load(t, "rich.yaml"), oracle.Rich(), s)
			i := slices.IndexFunc(oracle.RichMeasures(), func(m oracle.Measure) bool { return m.ID == c.measure })
			var by []string
			if c.by != "" {
				by = strings.Split(c.by, ",")
			}
			var starts []string
			for _, w := range c.want {
				start, _, _ := strings.Cut(w, ",")
				starts = append(starts, start)
			}
			shown := func(all []string) (out []string) {
				for _, l := range all {
					_, l, _ = strings.Cut(l, `,"start"`)
					if start, _, _ := strings.Cut(l, ","); slices.Contains(starts, `"start"`+start) {
						out = append(out, `"start"`+l)
					}
				}
				return out
			}
			if d := cmp.Diff(c.want, shown(site.Lines(oracle.RichMeasures()[i], c.grain, by...))); d != "" {
				t.Errorf("-by hand +oracle:\n%s", d)
			}
			if d := cmp.Diff(c.want, shown(lines(t, f, c.measure, grainOf(t, c.grain), by...))); d != "" {
				t.Errorf("-by hand +fold:\n%s", d)
			}
		})
	}
}

package privacy

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/installer/examples"
)

// Doors for events and for samples. Each has a canary of its own among the values that the catalog declares: that one must come
// out at the site's own figures, which shows that the door's other canaries had the same way.
func eventDoors() []string {
	return []string{"segment", "posthog", "cloudevents binary", "cloudevents structured", "cloudevents batched", "logs as JSON", "logs as protobuf"}
}

func sampleDoors() []string {
	return []string{"metrics", "statsd", "scrape as text", "scrape as OpenMetrics", "scrape as protobuf"}
}

// declared is the canary that the catalog declares for a door.
func (c *canaries) declared(door string) string { return c.in("declared: " + door) }

// catalog is the product's, with the declared canaries and with a counter under a name that a page can have.
func (c *canaries) catalog() []byte {
	var events, samples []string
	for _, d := range eventDoors() {
		events = append(events, c.declared(d))
	}
	for _, d := range sampleDoors() {
		samples = append(samples, c.declared(d))
	}
	results := strings.Join(samples, ", ")
	text := strings.NewReplacer(
		"values: [invitation, sso, self_service]", "values: [invitation, sso, self_service, "+strings.Join(events, ", ")+"]",
		"values: [success, failure, cancelled]", "values: [success, failure, cancelled, "+results+"]",
		"values: [kubernetes, docker, vm, bare_metal]", "values: [kubernetes, docker, vm, bare_metal, "+c.declared("resource")+"]",
		"\nprobes:", "  shop:\n    match: shop_runs\n    type: counter\n    attributes:\n      result: {values: [success, "+results+"]}\n\nprobes:",
	).Replace(string(examples.ProductCatalog()))
	_, runs, _ := strings.Cut(text, "\n  - id: runs\n")
	runs, _, _ = strings.Cut(runs, "\n  - id: ")
	return []byte(text + "\n  - id: shop_runs\n" + strings.Replace(runs, "metric: runs", "metric: shop", 1))
}

// config are the settings of an agent with all doors open. A target's name is the customer's own word: it stands in the
// log and on the site's screens, and nowhere else.
func (c *canaries) config(t *testing.T, p *page, port int) string {
	t.Helper()
	out := fmt.Sprintf("log_level: debug\nlocal_exact: true\nstatsd: 127.0.0.1:%d\nscrape:\n", port)
	for _, kind := range []string{"text", "OpenMetrics", "protobuf"} {
		out += fmt.Sprintf("  - {name: %s, url: %q, interval: 1s}\n", c.in("config: target of "+kind), p.serve(t, kind)+"?token="+c.in("query of a target"))
	}
	return out
}

// everything sends canaries through every door, waits until all of it was counted, and holds each door to what the catalog
// declares: it must have come through.
func (c *canaries) everything(t *testing.T, a *harness.Agent, p *page, port int) {
	t.Helper()
	lines := c.statsd(t, port)
	events := c.segment(t, a) + c.posthog(t, a) + c.cloudevents(t, a) + c.logs(t, a)
	samples := c.otlp(t, a)
	c.refused(t, a)
	p.wait(t)
	harness.Eventually(t, func() error {
		st, err := a.Site().Status(t.Context())
		if err != nil {
			return err
		}
		s := st.StatsD
		if s == nil || st.Events.Received != events || st.Samples.Received < samples+p.series() || s.Values < lines || s.Pending > 0 || s.Journaled == 0 || s.Events+s.Checks < 2 {
			return fmt.Errorf("%d of %d events, %d of at least %d samples, %d of %d values by StatsD: %+v", st.Events.Received, events, st.Samples.Received, samples+p.series(), s.Values, lines, s)
		}
		return nil
	})
	for measure, doors := range map[string][]string{"sign_ups": eventDoors(), "runs": {"metrics", "statsd"}, "shop_runs": {"scrape as text", "scrape as OpenMetrics", "scrape as protobuf"}} {
		by := map[string]string{"sign_ups": "via"}[measure]
		if by == "" {
			by = "result"
		}
		rows := a.Exact(measure, "day", "--by", by)
		for _, d := range doors {
			if !slices.ContainsFunc(rows, func(l harness.Line) bool {
				return l.Dims[by] == c.declared(d) && string(l.Value) != "0" && string(l.Value) != `{"increase":0}`
			}) {
				t.Errorf("the declared canary of the door %s is not in %s: nothing came through that door, so nothing is proved about it: %v", d, measure, rows)
			}
		}
	}
}

// posthog sends canaries through PostHog's door, on each of its paths, and gives how many events that were.
func (c *canaries) posthog(t *testing.T, a *harness.Agent) (events uint64) {
	t.Helper()
	n := 0
	event := func(name string, special map[string]any) map[string]any {
		n++
		of := fmt.Sprintf("posthog %d %s", n, strings.Trim(name, "$"))
		properties := c.object(of+" properties", "$current_url", "$ip", "$referrer", "$browser", "$device_id", "$session_id", "$window_id", "$lib", "$os", "$host",
			"$pathname", "$initial_referrer", "$raw_user_agent", "$geoip_city_name", "$active_feature_flags", "$elements_chain", "utm_source", "email", "name", "token", "via")
		properties["$group_0"], properties["$elements"] = c.in(of+" group 0"), []any{c.object(of+" element", "text", "attr__href")}
		for k, v := range special {
			properties[k] = v
		}
		e := c.object(of, "uuid", "$lib", "api_key", "library", "site_url", "team")
		e["event"], e["distinct_id"], e["properties"] = name, c.in("user: "+of), properties
		e["options"] = c.object(of + " options")
		return e
	}
	groups := map[string]any{"plan": c.in("posthog an unlisted plan"), "company": c.in("posthog company"), c.in("posthog group type"): c.in("posthog group key")}
	set := map[string]any{"$set": c.traits("posthog set"), "$set_once": c.traits("posthog set once")}
	nobody := event("Signed Up", map[string]any{"$process_person_profile": false})
	nobody["distinct_id"] = c.in("posthog anonymous") // so not even this id is kept
	unknown := event(c.in("posthog an event's name"), nil)
	late := event("Signed Up", nil)
	late["timestamp"] = c.in("posthog timestamp")
	list := []any{
		event("Signed Up", map[string]any{"via": c.declared("posthog")}), event("Signed Up", map[string]any{"$groups": groups}), event("Signed Up", set),
		event("$identify", map[string]any{"$anon_distinct_id": c.in("user: posthog before"), "$set": c.traits("posthog identify"), "$set_once": c.traits("posthog identify once")}),
		event("$set", set), event("$groupidentify", map[string]any{"$group_type": c.in("posthog group type"), "$group_key": c.in("posthog group key"), "$group_set": c.traits("posthog group set")}),
		event("$create_alias", map[string]any{"alias": c.in("user: posthog alias")}), event("$pageview", map[string]any{"title": c.in("posthog title")}),
		event("$screen", map[string]any{"$screen_name": c.in("posthog screen")}), event("$autocapture", nil), nobody, unknown, late, c.in("posthog what is no event"),
	}
	// An event besides where $groups or $set name a trait that is declared, and where an identify joins two ids.
	events = uint64(len(list)) + 3
	body := c.object("posthog batch", "historical_migration", "sentAt")
	body["api_key"], body["batch"] = c.in("posthog key"), list
	post := func(path, kind, text string) {
		t.Helper()
		code, answer, _ := a.Post(path+"?q="+c.in("query string of "+path), text, append(c.headers(path), "Content-Type", kind)...)
		if code != 200 {
			t.Fatalf("%s: %d %s", path, code, answer)
		}
		c.hunt(t, "the answer of "+path, []byte(answer))
	}
	post("/batch/", "application/json", jsonOf(t, body))
	for _, path := range []string{"/i/v0/e", "/i/v0/e/", "/capture/", "/e/", "/track", "/i/v1/analytics/events"} {
		post(path, "application/json", jsonOf(t, event("Signed Up", nil)))
		post(path, "text/plain", jsonOf(t, []any{event("Signed Up", nil), event("$pageview", nil)}))
		post(path, "application/x-www-form-urlencoded", "data="+url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(jsonOf(t, event("Signed Up", nil)))))+"&x="+c.in("posthog form"))
		events += 4
	}
	asks := c.object("posthog flags", "token", "distinct_id", "$anon_distinct_id", "$device_id")
	asks["groups"], asks["person_properties"], asks["group_properties"] = groups, c.traits("posthog person properties"), map[string]any{"company": c.traits("posthog group properties")}
	for _, path := range []string{"/flags/", "/decide/", "/flags"} {
		post(path, "application/json", jsonOf(t, asks))
	}
	for _, path := range []string{"/array/" + c.in("posthog key in a path") + "/config.js", "/api/surveys/", "/api/feature_flag/local_evaluation"} {
		if code, answer := a.Get("http://" + a.Listen + path + "?token=" + c.in("posthog token of a query")); code != 200 {
			t.Errorf("%s: %d %s", path, code, answer)
		} else {
			c.hunt(t, "the answer of "+path, []byte(answer))
		}
	}
	return events
}

// cloudevents sends canaries in the three modes and gives how many events that were.
func (c *canaries) cloudevents(t *testing.T, a *harness.Agent) (events uint64) {
	t.Helper()
	n := 0
	data := func(of, via string) map[string]any {
		d := c.object(of+" data", "email", "name", "userid")
		d["via"], d["nested"] = via, c.object(of+" nested", "deep")
		return d
	}
	event := func(kind, via string) map[string]any {
		n++
		of := fmt.Sprintf("cloudevent %d", n)
		one := map[string]any{"specversion": "1.0", "type": kind, "source": "/" + c.in(of+" source"), "id": c.in(of + " id"), "authid": c.in("user: " + of),
			"datacontenttype": "application/json", "data": data(of, via)}
		for _, x := range []string{"subject", "dataschema", "authtype", "partitionkey", "traceparent", "tracestate", "sequence", c.in(of + " extension key")} {
			one[x] = c.in(of + " extension " + x)
		}
		return one
	}
	post := func(kind string, body string, want int, headers ...string) {
		t.Helper()
		code, answer, _ := a.Post("/cloudevents?q="+c.in("query string of cloudevents"), body, append(append(c.headers("cloudevents "+kind), headers...), "Content-Type", kind)...)
		if code != want {
			t.Fatalf("%s: %d %s", kind, code, answer)
		}
		c.hunt(t, "the answer to "+kind, []byte(answer))
		events++
	}
	unlisted := c.in("cloudevent an unlisted value")
	for _, via := range []string{c.declared("cloudevents structured"), unlisted} {
		post("application/cloudevents+json", jsonOf(t, event("Signed Up", via)), 202)
	}
	binary := event("Signed Up", c.declared("cloudevents binary"))
	var headers []string
	for k, v := range binary {
		if text, ok := v.(string); ok && k != "datacontenttype" {
			headers = append(headers, "Ce-"+k, text)
		}
	}
	post("application/json", jsonOf(t, binary["data"]), 202, headers...)
	raw := event("Signed Up", "")
	delete(raw, "data")
	raw["data_base64"] = base64.StdEncoding.EncodeToString([]byte(c.in("cloudevent data in base64")))
	unknown, wrong, time := event(c.in("cloudevent type"), unlisted), event("Signed Up", unlisted), event("Signed Up", unlisted)
	wrong["specversion"], time["time"] = c.in("cloudevent specversion"), c.in("cloudevent time")
	list := []any{event("Signed Up", c.declared("cloudevents batched")), event("Signed Up", unlisted), raw, unknown, wrong, time, c.in("cloudevent that is no object")}
	post("application/cloudevents-batch+json", jsonOf(t, list), 202)
	events += uint64(len(list)) - 1
	for _, bad := range []any{wrong, time} {
		post("application/cloudevents+json", jsonOf(t, bad), 400)
	}
	return events
}

package privacy

import (
	"testing"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// doors sends canaries through the other doors for events, PostHog's and that of CloudEvents, and gives how many
// events that were.
func (c *canaries) doors(t *testing.T, a *harness.Agent) (events uint64) {
	t.Helper()
	properties := c.object("posthog properties", "$current_url", "$ip", "$referrer", "$browser", "$device_id", "$session_id", "email", "name", "via")
	properties["$set"] = c.traits("posthog set")
	posthog := c.object("posthog batch", "historical_migration")
	posthog["api_key"] = c.in("posthog key")
	event := c.object("posthog event", "uuid", "$lib")
	event["event"], event["distinct_id"], event["properties"] = "Signed Up", c.in("user: posthog"), properties
	posthog["batch"] = []any{event}
	one := c.object("cloudevent", "subject", "id")
	one["specversion"], one["type"], one["source"], one["authid"] = "1.0", "Signed Up", "/"+c.in("cloudevent source"), c.in("user: cloudevent")
	one["datacontenttype"] = "application/json"
	one["data"] = c.object("cloudevent data", "via", "email", "name")
	delete(one, c.in("cloudevent key")) // names of extensions are letters and digits, which a canary is; one is enough
	one[c.in("cloudeventextension")] = c.in("cloudevent extension")
	for _, x := range []struct {
		path, kind string
		body       any
		want       int
	}{{"/batch/", "application/json", posthog, 200}, {"/cloudevents", "application/cloudevents+json", one, 202}} {
		code, answer, _ := a.Post(x.path+"?q="+c.in("query string of "+x.path), jsonOf(t, x.body), append(c.headers(x.path), "Content-Type", x.kind)...)
		if code != x.want {
			t.Fatalf("%s: %d %s", x.path, code, answer)
		}
		c.hunt(t, "the answer of "+x.path, []byte(answer))
		events++
	}
	return events + 1 // $set is an identify of its own
}

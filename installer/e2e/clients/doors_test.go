package clients

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// withIDs gives each call an id of its own, a UUID, so that it can be sent again; those that have one share it
// where they shared it.
func withIDs(list []call) []call {
	for i := range list {
		id := list[i].Message.MessageID
		if id == "" {
			id = fmt.Sprint(i)
		}
		sum := sha256.Sum256([]byte(id))
		h := fmt.Sprintf("%x", sum)
		list[i].Message.MessageID = h[:8] + "-" + h[8:12] + "-7" + h[12:15] + "-8" + h[15:18] + "-" + h[18:30]
	}
	return list
}

// checkAgain compares everything once what calls sends has been sent again: again of it had the same id.
func checkAgain(t *testing.T, a *harness.Agent, sent, again int) {
	t.Helper()
	events, _ := a.Received(uint64(2*sent), 0)
	measured := sent - 3
	accounts(t, "events sent twice", events, map[string]uint64{
		"measured": uint64(measured + measured - again), "duplicate": uint64(again + 1 + 1), "unknown_event": 2, "over_limit_value": 2,
	})
	checkUnchanged(t, a)
}

// checkUnchanged looks again at figures in which each kind of call would be seen if it counted twice.
func checkUnchanged(t *testing.T, a *harness.Agent) {
	t.Helper()
	figures(t, a, "sign_ups", "day", "", map[string]string{"": "8"})
	figures(t, a, "workflows", "day", "template", map[string]string{"template=blank": "2", "template=approval": "1", "template=report": "1"})
	figures(t, a, "log_ins", "day", "method", map[string]string{"method=sso": "1"})
	wait(t, a)
}

// RudderStack's client speaks Segment's protocol in its own way: it calls the moment of an event
// originalTimestamp and says that its JSON is a form.
func TestRudderStackNode(t *testing.T) {
	t.Parallel()
	a, _ := site(t)
	list := withIDs(calls(sentAt()))
	send := func() {
		t.Helper()
		if r := harness.Node(t, "rudder.mjs", map[string]any{"host": "http://" + a.Listen, "writeKey": writeKey, "calls": list}); r.Code != 0 {
			t.Fatalf("the client failed: %s%s", r.Stdout, r.Stderr)
		}
	}
	send()
	checkCalls(t, a, len(list))
	send()
	checkAgain(t, a, len(list), len(list)-3)
}

func TestPostHogNode(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]string{"gzip": "v0", "plain": "v0", "version 1": "v1"} {
		compress := name != "plain"
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := site(t)
			list := withIDs(calls(sentAt()))
			send := func() {
				t.Helper()
				r := harness.Node(t, "posthog.mjs", map[string]any{"host": "http://" + a.Listen, "writeKey": writeKey, "calls": list, "compress": compress}, "POSTHOG_CAPTURE_MODE="+env)
				if r.Code != 0 || strings.Contains(r.Stderr, "rror") {
					t.Fatalf("the client failed: %s%s", r.Stdout, r.Stderr)
				}
			}
			send()
			checkCalls(t, a, len(list))
			send()
			// Only capture lets a product choose the id: 4 times identify, a group and an alias count again.
			checkAgain(t, a, len(list), len(list)-3-6)
			fact(t, a, "plan", "business")
		})
	}
}

// tracks are the track calls among calls, for protocols that know nothing else.
func tracks(at time.Time) []call {
	var out []call
	for _, c := range withIDs(calls(at)) {
		if c.Method == "track" {
			out = append(out, c)
		}
	}
	return out
}

// checkTracks compares everything with what tracks sends: the first time, and the times it was sent again.
// Nobody has told who is a machine, so all users are people. others are events besides that the catalog does
// not know, each time.
func checkTracks(t *testing.T, a *harness.Agent, times, others int) {
	t.Helper()
	sent := len(tracks(sentAt()))
	n := uint64(times)
	events, _ := a.Received(n*uint64(sent+others), 0)
	accounts(t, "events", events, map[string]uint64{
		"measured": uint64(sent - 3), "unknown_event": n * uint64(1+others), "over_limit_value": n, "duplicate": 1 + (n-1)*uint64(sent-2),
	})
	checkUnchanged(t, a)
	if times > 1 {
		return
	}
	for _, grain := range []string{"day", "week", "month"} {
		figures(t, a, "people", grain, "", map[string]string{"": "3"})
	}
	figures(t, a, "builders", "day", "", map[string]string{"": "3"})
	figures(t, a, "sign_ups", "day", "via", map[string]string{
		"via=invitation": "3", "via=sso": "2", "via=self_service": "1", "via=(other)": "1", "via=(none)": "1",
	})
	figures(t, a, "invitations", "day", "invited_role", map[string]string{"invited_role=admin": "1", "invited_role=member": "3", "invited_role=guest": "2"})
	figures(t, a, "published", "day", "", map[string]string{"": "3"})
}

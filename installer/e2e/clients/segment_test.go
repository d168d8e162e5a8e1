package clients

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/analytics-go/v3"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

// call is one call of a Segment client.
type call struct {
	Method  string  `json:"method"`
	Message message `json:"message"`
}

type message struct {
	MessageID  string         `json:"messageId,omitempty"`
	UserID     string         `json:"userId,omitempty"`
	Anonymous  string         `json:"anonymousId,omitempty"`
	PreviousID string         `json:"previousId,omitempty"`
	GroupID    string         `json:"groupId,omitempty"`
	Event      string         `json:"event,omitempty"`
	Name       string         `json:"name,omitempty"`
	Properties map[string]any `json:"properties,omitempty"`
	Traits     map[string]any `json:"traits,omitempty"`
	Timestamp  string         `json:"timestamp,omitempty"`
}

// calls is a morning at a site: four people, of whom one is a machine, and what they did. All at one
// moment, so that it falls into one window of every grain.
func calls(at time.Time) []call {
	var out []call
	add := func(method string, m message) {
		if method != "identify" && method != "group" && method != "alias" {
			m.Timestamp = at.Format(time.RFC3339Nano)
		}
		out = append(out, call{method, m})
	}
	track := func(user, event string, properties map[string]any) {
		add("track", message{UserID: user, Event: event, Properties: properties})
	}
	for user, role := range map[string]string{"ann": "admin", "ben": "member", "cyd": "administrator", "bot": "service"} {
		add("identify", message{UserID: user, Traits: map[string]any{"role": role, "name": user, "email": user + "@example.com"}})
	}
	add("group", message{UserID: "ann", GroupID: "acme", Traits: map[string]any{"plan": "business", "employees": 40}})
	add("alias", message{UserID: "ann", PreviousID: "ann-before"})
	for i, via := range []string{"invitation", "invitation", "invitation", "sso", "sso", "self_service", "carrier pigeon", ""} {
		p := map[string]any{"via": via, "campaign": "spring"}
		if via == "" {
			delete(p, "via")
		}
		add("track", message{Anonymous: fmt.Sprintf("visitor-%d", i), Event: "Signed Up", Properties: p})
	}
	for i, role := range []string{"admin", "member", "member", "member", "guest", "guest"} {
		track("ann", "Invitation Sent", map[string]any{"role": role, "email": fmt.Sprintf("guest%d@example.com", i)})
	}
	for _, hours := range []float64{1.5, 2, 10.25} {
		track("ben", "Invitation Accepted", map[string]any{"wait_hours": hours})
	}
	for _, template := range []string{"blank", "blank", "approval", "report"} {
		track("ben", "Workflow Created", map[string]any{"template": template, "title": "ours"})
	}
	for _, s := range []struct {
		user, state string
		steps       int
	}{{"ben", "draft", 3}, {"ben", "published", 4}, {"cyd", "published", 12}, {"bot", "published", 100}} {
		track(s.user, "Workflow Saved", map[string]any{"steps": s.steps, "state": s.state})
	}
	add("page", message{UserID: "ann", Name: "Dashboard", Properties: map[string]any{"url": "https://example.com/dashboard"}})
	add("screen", message{UserID: "cyd", Name: "Home"})
	track("ann", "Secret Button Pressed", nil)                     // not in the catalog
	track("ann", "Workflow Saved", map[string]any{"steps": 50000}) // outside its bounds
	twice := message{MessageID: "sent-twice", UserID: "ben", Event: "Logged In", Properties: map[string]any{"method": "sso"}}
	add("track", twice)
	add("track", twice)
	return out
}

// checkCalls compares everything with what calls sends.
func checkCalls(t *testing.T, a *harness.Agent, sent int) {
	t.Helper()
	events, _ := a.Received(uint64(sent), 0)
	accounts(t, "events", events, map[string]uint64{"measured": uint64(sent) - 3, "unknown_event": 1, "over_limit_value": 1, "duplicate": 1})
	checkFigures(t, a)
}

// checkFigures compares the figures alone: they are the same however often the same was sent.
func checkFigures(t *testing.T, a *harness.Agent) {
	t.Helper()
	for _, grain := range []string{"day", "week", "month"} {
		figures(t, a, "people", grain, "", map[string]string{"": "3"})
		figures(t, a, "sign_ups", grain, "", map[string]string{"": "8"})
	}
	figures(t, a, "people", "week", "role", map[string]string{"role=admin": "2", "role=member": "1"})
	figures(t, a, "builders", "day", "", map[string]string{"": "2"})
	figures(t, a, "sign_ups", "day", "via", map[string]string{
		"via=invitation": "3", "via=sso": "2", "via=self_service": "1", "via=(other)": "1", "via=(none)": "1",
	})
	figures(t, a, "invitations", "day", "invited_role", map[string]string{"invited_role=admin": "1", "invited_role=member": "3", "invited_role=guest": "2"})
	wait(t, a)
	figures(t, a, "workflows", "day", "template", map[string]string{"template=blank": "2", "template=approval": "1", "template=report": "1"})
	figures(t, a, "published", "day", "", map[string]string{"": "2"})
	figures(t, a, "log_ins", "day", "method", map[string]string{"method=sso": "1"})
}

// wait checks the distribution: count and sum exact, quantiles (lower nearest rank) within 1 %.
func wait(t *testing.T, a *harness.Agent) {
	t.Helper()
	lines := a.Exact("invitation_wait", "day")
	if len(lines) != 1 {
		t.Fatalf("%d windows of invitation_wait", len(lines))
	}
	var v struct {
		Count              int
		Sum                float64
		P50, P90, P95, P99 float64
	}
	fromJSON(t, lines[0].Value, &v)
	if v.Count != 3 || v.Sum != 13.75 {
		t.Errorf("invitation_wait: %s", lines[0].Value)
	}
	for _, p := range []float64{v.P50, v.P90, v.P95, v.P99} {
		if p < 2*0.99 || p > 2*1.01 {
			t.Errorf("invitation_wait: a quantile is %v, not 2 within 1 %%", p)
		}
	}
}

// sentAt is the moment of all calls: an hour ago, so that no clock's second differs.
func sentAt() time.Time { return time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond) }

func TestSegmentNode(t *testing.T) {
	t.Parallel()
	a, _ := site(t)
	list := calls(sentAt())
	r := harness.Node(t, "segment.mjs", map[string]any{"host": "http://" + a.Listen, "writeKey": writeKey, "calls": list})
	if r.Code != 0 {
		t.Fatalf("the client failed: %s%s", r.Stdout, r.Stderr)
	}
	checkCalls(t, a, len(list))
}

func TestSegmentGo(t *testing.T) {
	t.Parallel()
	a, _ := site(t)
	list := calls(sentAt())
	told := &outcome{}
	client, err := analytics.NewWithConfig(writeKey, analytics.Config{Endpoint: "http://" + a.Listen, BatchSize: 7, Callback: told})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if err := client.Enqueue(c.analytics(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Close(); err != nil { // flushes, and waits for all callbacks
		t.Fatal(err)
	}
	if told.failed != nil || told.sent != len(list) {
		t.Fatalf("the client delivered %d of %d: %v", told.sent, len(list), told.failed)
	}
	checkCalls(t, a, len(list))
}

// A client with another key is told so, and nothing of what it sent is kept.
func TestSegmentNodeWithAWrongKey(t *testing.T) {
	t.Parallel()
	a, _ := site(t)
	r := harness.Node(t, "segment.mjs", map[string]any{"host": "http://" + a.Listen, "writeKey": "another", "calls": calls(sentAt())[:1]})
	if r.Code == 0 {
		t.Fatal("the client heard nothing of a wrong write key")
	}
	a.Received(0, 0)
}

// outcome is told by as many goroutines as batches are under way; all have ended when Close returns.
type outcome struct {
	mu     sync.Mutex // guards both
	sent   int
	failed error
}

func (o *outcome) Success(analytics.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent++
}

func (o *outcome) Failure(_ analytics.Message, e error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = e
}

func (c call) analytics(t *testing.T) analytics.Message {
	t.Helper()
	m := c.Message
	var at time.Time
	if m.Timestamp != "" {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, m.Timestamp); err != nil {
			t.Fatal(err)
		}
	}
	switch c.Method {
	case "identify":
		return analytics.Identify{UserId: m.UserID, Traits: m.Traits, Timestamp: at}
	case "group":
		return analytics.Group{UserId: m.UserID, GroupId: m.GroupID, Traits: m.Traits, Timestamp: at}
	case "alias":
		return analytics.Alias{UserId: m.UserID, PreviousId: m.PreviousID, Timestamp: at}
	case "page":
		return analytics.Page{UserId: m.UserID, Name: m.Name, Properties: m.Properties, Timestamp: at}
	case "screen":
		return analytics.Screen{UserId: m.UserID, Name: m.Name, Properties: m.Properties, Timestamp: at}
	}
	return analytics.Track{MessageId: m.MessageID, UserId: m.UserID, AnonymousId: m.Anonymous, Event: m.Event, Properties: m.Properties, Timestamp: at}
}

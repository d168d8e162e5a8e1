package privacy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/installer/e2e/harness"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

func nowNano() int64 { return time.Now().UnixNano() }

// A running agent: canaries in every field of every input through every door, and then everything that can be read of it
// from outside.
func TestCanary(t *testing.T) {
	t.Parallel()
	c := newCanaries()
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: c.catalog()})
	p, port := &page{c: c, asked: map[string]int{}}, freePort(t)
	a := harness.NewAgent(t, harness.Options{Config: c.config(t, p, port)})
	a.Enrol(f)
	a.Must("consent", "set", "usage=totals", "sla=aggregate", "inventory=aggregate", "pool=strict", "--people", "40",
		"--by", c.in("decision: by"), "--ticket", c.in("decision: ticket"), "--countersigned-by", c.in("decision: countersigned"))
	a.Start()
	c.everything(t, a, p, port)
	log := a.Log.String()
	a.Kill() // before a checkpoint lets go of the journal
	journal, _ := c.state(t, a.State)
	for _, door := range []string{"track", "posthog", "cloudevent", "log JSON", "log protobuf"} {
		if !slices.ContainsFunc(journal, func(place string) bool { return strings.HasPrefix(place, "user: "+door) }) {
			t.Errorf("not even a user's id of the door for %s is in the journal: the hunt does not see into it", door)
		}
	}

	a.Start()
	if _, err := a.Site().Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.screens(t, a)
	if code := a.Stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if _, measured := c.state(t, a.State); len(measured) == 0 {
		t.Error("not even a user's id is in what is measured: the hunt does not see into it")
	}
	if found := c.hunt(t, "the log", []byte(log+a.Log.String()), "config:"); len(found) == 0 {
		t.Error("not even the name of a target that fails is in the log: it is not the whole of it")
	}
	c.hunt(t, "what the collector received", f.Received())
	l := left{agent: a.Status().Agent, key: keyOf(t, a.State)}
	k, _ := f.Agent(l.agent)
	c.batches(t, k.Accepted, l)
	for i, wire := range k.Accepted {
		if !bytes.Contains(f.Received(), wire) {
			t.Errorf("batch %d is not in what the collector received: that is not the whole of it", i)
		}
	}
}

// The same with the real collector: none of it is in any of its files, its log or its answers.
func TestCanary_CollectorsFiles(t *testing.T) {
	t.Parallel()
	c := newCanaries()
	col := harness.NewCollector(t, c.catalog())
	p, port := &page{c: c, asked: map[string]int{}}, freePort(t)
	a := harness.NewAgent(t, harness.Options{Config: c.config(t, p, port)})
	col.Enrol(a)
	a.Must("consent", "set", "usage=totals", "sla=aggregate", "inventory=aggregate", "pool=strict", "--people", "40", "--by", c.in("decision: by"), "--ticket", c.in("decision: ticket"))
	a.Start()
	c.everything(t, a, p, port)
	if _, err := a.Site().Send(t.Context()); err != nil { // or it has sent by itself already
		t.Fatal(err)
	}
	a.Stop()
	plan := ""
	harness.Eventually(t, func() error {
		if plan = col.Must("query", "--measure", "platform", "--grain", "change", "-o", "json"); !strings.Contains(plan, c.declared("resource")) {
			return errors.New("the collector has no figure of the site: " + plan)
		}
		return nil
	})
	c.hunt(t, "an answer of the collector", []byte(plan+col.Must("agent", "list", "-o", "json")+col.Must("audit", "-o", "json")), "declared:")
	col.Stop()
	c.hunt(t, "the collector's log", []byte(col.Log.String()))
	if found := c.files(t, col.Data, "declared:"); len(found) < len(eventDoors())+len(sampleDoors()) {
		t.Errorf("of what the catalog declares only %v are in the collector's files: the hunt does not see into them", found)
	}
}

// files hunts through a folder in which nobody's canary may be.
func (c *canaries) files(t testing.TB, dir string, allowed ...string) (found []string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(name)
		n += len(data)
		found = append(found, c.hunt(t, name, append(data, name...), allowed...)...)
		return err
	})
	if err != nil || n < 10_000 {
		t.Errorf("%d bytes were looked through: %v", n, err)
	}
	return found
}

// screens reads every page of the console and every answer of the command line. The customer's own words are there, and
// the catalog's.
func (c *canaries) screens(t *testing.T, a *harness.Agent) {
	t.Helper()
	own := []string{"decision:", "config:", "declared:"}
	var found []string
	cat, err := catalog.Parse(c.catalog())
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"human", "json"} {
		for _, args := range [][]string{{"status"}, {"consent"}, {"catalog"}, {"preview"}, {"preview", "--explain"}, {"audit"}, {"ledger"}, {"ledger", "--figures"}, {"config"}, {"version"}} {
			r := a.Do(append(args, "-o", format)...)
			found = append(found, c.hunt(t, strings.Join(args, " ")+" -o "+format, []byte(r.Stdout+r.Stderr), own...)...)
		}
	}
	site := a.Site()
	for i := range cat.Measures {
		m := &cat.Measures[i]
		if i%4 == 0 { // the others through the socket, which gives the same words
			c.hunt(t, "query "+m.ID, []byte(a.Must("query", "--measure", m.ID, "--grain", m.Grains()[0].String())), own...)
		}
		for k, g := range m.Grains() {
			for _, by := range append([][]string{nil}, m.By...) {
				// Exactly only once: each use is written to the ledger.
				q := control.Query{Measure: m.ID, Grain: g.String(), By: by, Exact: k == 1}
				rows, err := site.Query(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				c.hunt(t, fmt.Sprintf("%+v", q), fmt.Appendf(nil, "%s", rows), own...)
			}
		}
	}
	pages := crawl(t, a)
	var shown []string
	for page, text := range pages {
		shown = append(shown, c.hunt(t, "the console's "+page, []byte(text), own...)...)
	}
	if len(pages) < 6 {
		t.Errorf("the console has no more than %v", slices.Collect(maps.Keys(pages)))
	}
	for _, word := range own {
		for where, places := range map[string][]string{"what the commands say": found, "the console": shown} {
			if !slices.ContainsFunc(places, func(p string) bool { return strings.HasPrefix(p, word) }) {
				t.Errorf("no canary of a %s is in %s, where the customer's and the catalog's words are: the hunt does not see it", word, where)
			}
		}
	}
}

var (
	links = regexp.MustCompile(`(?:href|src|action)="?([^"\s>]+)`)
	once  = regexp.MustCompile(`link=([A-Za-z0-9_-]+)`)
)

// crawl logs into the console as a person does and reads every page that a link leads to.
func crawl(t *testing.T, a *harness.Agent) map[string]string {
	t.Helper()
	link := once.FindStringSubmatch(a.Must("console", "-o", "json"))
	if link == nil {
		t.Fatal("there is no login link")
	}
	client := harness.NewClient(t, nil)
	base := "http://" + a.Console
	code, body, h := client.Post(t, base+"/login", url.Values{"link": {link[1]}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	cookie, _, _ := strings.Cut(h.Get("Set-Cookie"), ";")
	if code != 303 || cookie == "" {
		t.Fatalf("the login: %d %s", code, body)
	}
	pages := map[string]string{}
	for todo := []string{"/"}; len(todo) > 0 && len(pages) < 200; todo = todo[1:] {
		if _, seen := pages[todo[0]]; seen {
			continue
		}
		code, text := client.GetWith(t, base+todo[0], "Cookie", cookie)
		if code >= 500 {
			t.Errorf("the console's %s: %d", todo[0], code)
		}
		pages[todo[0]] = text
		for _, m := range links.FindAllStringSubmatch(text, -1) {
			next := strings.ReplaceAll(m[1], "&amp;", "&")
			u, err := url.Parse(next)
			if err != nil || u.Host != "" || u.Path == "" {
				continue
			}
			if !strings.HasPrefix(next, "/") {
				next = path.Join(path.Dir(todo[0]), next)
			}
			next, _, _ = strings.Cut(next, "#")
			todo = append(todo, next)
		}
	}
	return pages
}

// A history of weeks, of which a lot leaves: who the people in it are is nowhere but in what is measured,
// and there only by their ids.
func TestCanary_Replay(t *testing.T) {
	t.Parallel()
	s := site{seed: 11, users: 30, weeks: 14, activity: 0.5, usage: "totals", sla: "aggregate", inv: "aggregate", traffic: true}
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: s.catalog()})
	state := enrol(t, f)
	p := peopleOf(11)
	p.canaries = newCanaries()
	file := p.write(t, "events.jsonl", s.happenings())
	var log bytes.Buffer
	cfg := config(t, state)
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a, err := agent.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	o := agent.ReplayOptions{Files: []string{file}, Consent: decision(s), Until: s.until()}
	res, err := a.Replay(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	l := leftOf(t, a, state)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	c := p.canaries
	if _, measured := c.state(t, state); len(measured) == 0 {
		t.Error("not even a user's id is in what is measured: the hunt does not see into it")
	}
	c.batches(t, l.batches, l)
	c.hunt(t, "what the collector received", f.Received())
	c.hunt(t, "the log", log.Bytes())
	c.hunt(t, "the ledger in words", []byte(lines(l.figures)))
	c.hunt(t, "the preview", []byte(lines(l.preview)))
	if res.Sent.Cells < 100 {
		t.Errorf("only %d figures left: the canaries had hardly a road out", res.Sent.Cells)
	}
	if len(c.words) < 500 {
		t.Error(fmt.Sprint("only ", len(c.words), " canaries"))
	}
}

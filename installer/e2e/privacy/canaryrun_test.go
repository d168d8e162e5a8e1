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
	"github.com/fieldpost/fieldpost/installer/examples"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
)

func nowNano() int64 { return time.Now().UnixNano() }

// A running agent: canaries in every field of every input, and then everything that can be read of it
// from outside.
func TestCanary(t *testing.T) {
	c := newCanaries()
	f := protocoltest.NewFakeCollector(t, protocoltest.FakeConfig{Catalog: examples.ProductCatalog()})
	a := harness.NewAgent(t, harness.Options{Config: "log_level: debug\nlocal_exact: true"})
	a.Enrol(f)
	a.Must("consent", "set", "usage=totals", "sla=aggregate", "inventory=aggregate", "--people", "40",
		"--by", c.in("decision: by"), "--ticket", c.in("decision: ticket"), "--countersigned-by", c.in("decision: countersigned"))
	a.Start()
	events := c.segment(t, a) + c.doors(t, a)
	samples := c.otlp(t, a)
	c.refused(t, a)
	got, _ := a.Received(events, samples)
	if got.Reasons["measured"] == 0 {
		t.Errorf("nothing was measured: %v", got.Reasons)
	}
	log := a.Log.String()
	a.Kill() // before a checkpoint lets go of the journal
	if journal, _ := c.state(t, a.State); len(journal) == 0 {
		t.Error("not even a user's id is in the journal: the hunt does not see into it")
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
	c.hunt(t, "the log", []byte(log+a.Log.String()))
	c.hunt(t, "what the collector received", f.Received())
	l := left{agent: a.Status().Agent, key: keyOf(t, a.State)}
	k, _ := f.Agent(l.agent)
	c.batches(t, k.Accepted, l)
}

// The same with the real collector: none of it is in any of its files, its log or its answers.
func TestCanary_CollectorsFiles(t *testing.T) {
	c := newCanaries()
	col := harness.NewCollector(t, examples.ProductCatalog())
	a := harness.NewAgent(t, harness.Options{Config: "log_level: debug"})
	col.Enrol(a)
	a.Must("consent", "set", "usage=totals", "sla=aggregate", "inventory=aggregate", "--people", "40", "--by", c.in("decision: by"), "--ticket", c.in("decision: ticket"))
	a.Start()
	a.Received(c.segment(t, a), c.otlp(t, a))
	sent, err := a.Site().Send(t.Context())
	if err != nil || sent.Cells == 0 {
		t.Fatalf("%+v %v", sent, err)
	}
	a.Stop()
	plan := ""
	harness.Eventually(t, func() error {
		if plan = col.Must("query", "--measure", "platform", "--grain", "change", "-o", "json"); !strings.Contains(plan, "kubernetes") {
			return errors.New("the collector has no figure of the site: " + plan)
		}
		return nil
	})
	c.hunt(t, "an answer of the collector", []byte(plan+col.Must("agent", "list", "-o", "json")+col.Must("audit", "-o", "json")))
	col.Stop()
	c.hunt(t, "the collector's log", []byte(col.Log.String()))
	c.files(t, col.Data)
}

// files hunts through a folder in which no canary may be at all.
func (c *canaries) files(t *testing.T, dir string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(name)
		n += len(data)
		c.hunt(t, name, append(data, name...))
		return err
	})
	if err != nil || n < 10_000 {
		t.Errorf("%d bytes were looked through: %v", n, err)
	}
}

// screens reads every page of the console and every answer of the command line.
func (c *canaries) screens(t *testing.T, a *harness.Agent) {
	t.Helper()
	cat, err := catalog.Parse(examples.ProductCatalog())
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"human", "json"} {
		for _, args := range [][]string{{"status"}, {"consent"}, {"catalog"}, {"preview"}, {"ledger"}, {"ledger", "--figures"}, {"config"}, {"version"}} {
			r := a.Do(append(args, "-o", format)...)
			c.hunt(t, strings.Join(args, " ")+" -o "+format, []byte(r.Stdout+r.Stderr), "decision:")
		}
	}
	site := a.Site()
	for i := range cat.Measures {
		m := &cat.Measures[i]
		c.hunt(t, "query "+m.ID, []byte(a.Must("query", "--measure", m.ID, "--grain", m.Grains()[0].String())))
		for k, g := range m.Grains() {
			for _, by := range append([][]string{nil}, m.By...) {
				// Exactly only once: each use is written to the ledger.
				q := control.Query{Measure: m.ID, Grain: g.String(), By: by, Exact: k == 1}
				rows, err := site.Query(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				c.hunt(t, fmt.Sprintf("%+v", q), fmt.Appendf(nil, "%s", rows))
			}
		}
	}
	pages := crawl(t, a)
	for page, text := range pages {
		c.hunt(t, "the console's "+page, []byte(text), "decision:")
	}
	if len(pages) < 6 {
		t.Errorf("the console has no more than %v", slices.Collect(maps.Keys(pages)))
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
	o := agent.ReplayOptions{Files: []string{file}, Consent: decision(s), Until: begin.AddDate(0, 0, s.weeks*7+10)}
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

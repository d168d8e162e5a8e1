package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

func allPages() []string {
	return []string{"/", "/use", "/use/people", "/use/web", "/use/jobs?by=result", "/use/latency", "/leaves", "/left", "/left/129?kind=batch", "/left/3", "/consent"}
}

// need skips where a part is missing, and fails there in CI.
func need(t testing.TB, what string, found bool) {
	t.Helper()
	switch {
	case found:
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is missing", what)
	default:
		t.Skipf("%s is missing", what)
	}
}

// browser starts a Chromium of its own with an empty profile.
func browser(t testing.TB) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	need(t, "Chromium", path != "")
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() { cancel(); stop() })
	if err := chromedp.Do(ctx, call(log.Enable, cdp.Empty{}), call(network.Enable, network.EnableParams{})); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	ctx, done := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(done)
	return ctx
}

// call is a command of the protocol whose answer nobody needs.
func call[P, R any](c cdp.Command[P, R], p P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, p)
		return err
	})
}

// complaints gathers what the browser objects to, and requests to other hosts.
type complaints struct {
	mu  sync.Mutex
	all []string
}

func (c *complaints) add(format string, args ...any) {
	c.mu.Lock()
	c.all = append(c.all, fmt.Sprintf(format, args...))
	c.mu.Unlock()
}

func (c *complaints) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.all
	c.all = nil
	return all
}

func listen(t testing.TB, ctx context.Context, base string) *complaints {
	t.Helper()
	c := &complaints{}
	err := chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *log.EventEntryAdded:
			c.add("log %s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		case *runtime.EventConsoleAPICalled:
			c.add("console: %s", e.Type)
		case *runtime.EventExceptionThrown:
			c.add("exception: %s", e.ExceptionDetails.Text)
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" && "http://"+u.Host != base {
				c.add("request to %s", e.Request.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// enter goes through the login page as a person would.
func enter(t testing.TB, ctx context.Context, r *running) {
	t.Helper()
	err := chromedp.Do(ctx, chromedp.Navigate(r.link()), chromedp.Click(chromedp.CSS("main form button")), chromedp.WaitVisible(chromedp.CSS("nav.side")))
	if err != nil {
		t.Fatalf("logging in: %v", err)
	}
}

// TestPagesInChromium opens each page, light and dark, wide and narrow: it renders, breaks no
// policy, logs no error, asks no other host, does not scroll sideways and passes axe. With
// FIELDPOST_SHOTS=DIR it leaves a picture of each.
func TestPagesInChromium(t *testing.T) {
	axe, err := os.ReadFile("../../installer/e2e/node/node_modules/axe-core/axe.min.js")
	need(t, "axe-core (npm ci in installer/e2e/node)", err == nil)
	lookAt(t, newFakeSite(), allPages(), string(axe), true)
}

// TestKindsInChromium does the same with every kind of measure in every form.
func TestKindsInChromium(t *testing.T) {
	axe, err := os.ReadFile("../../installer/e2e/node/node_modules/axe-core/axe.min.js")
	need(t, "axe-core (npm ci in installer/e2e/node)", err == nil)
	lookAt(t, newKindsSite(), kindPages(), string(axe), false) // wide and light, narrow and dark: what axe looks at
}

// kindPages show each kind that has a drawing of its own, and the pages that speak of noise and the pool.
func kindPages() []string {
	return []string{"/use", "/use/habit", "/use/kept", "/use/flow", "/use/seats", "/use/activation", "/use/activation?by=role", "/use/features", "/use/next", "/use/guide_test", "/use/moved", "/consent"}
}

func lookAt(t *testing.T, site *fakeSite, pages []string, axe string, both bool) {
	t.Helper()
	ctx := browser(t)
	r := start(t, site)
	bad := listen(t, ctx, r.base)
	enter(t, ctx, r)
	shots := os.Getenv("FIELDPOST_SHOTS")
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 360} {
			if !both && (scheme == "light") != (width == 1280) {
				continue
			}
			for i, path := range pages {
				name := fmt.Sprintf("%02d%s-%s-%d", i, strings.NewReplacer("/", "_", "?", "_", "=", "_").Replace(path), scheme, width)
				t.Run(name, func(t *testing.T) {
					open(t, ctx, r.base+path, scheme, width)
					if shots != "" {
						shoot(t, ctx, filepath.Join(shots, name+".png"))
					}
					wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.querySelectorAll("details").forEach(d => d.open = true); document.documentElement.scrollWidth`))
					if err != nil {
						t.Fatal(err)
					}
					if wide > width {
						t.Errorf("the page is %d px wide at %d", wide, width)
					}
					for _, b := range bad.take() {
						t.Error(b)
					}
					if (scheme == "light") == (width == 1280) { // axe takes seconds: colours and layouts once each
						for _, v := range violations(t, ctx, axe) {
							t.Error(v)
						}
					}
					bad.take() // axe asks the console about itself
				})
			}
		}
	}
}

func open(t *testing.T, ctx context.Context, url, scheme string, width int64) {
	t.Helper()
	err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 800),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
		chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("main h1")), chromedp.WaitNotPresent(chromedp.CSS("main[data-later]")))
	if err != nil {
		t.Fatal(err)
	}
}

// violations runs axe-core, which goes in by the debugger, past the page's own policy.
func violations(t *testing.T, ctx context.Context, axe string) []string {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[int](axe+";0")); err != nil {
		t.Fatal(err)
	}
	out, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => JSON.stringify(r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + " | " + n.failureSummary.slice(0, 200)).join(" || "))))`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func shoot(t *testing.T, ctx context.Context, file string) {
	t.Helper()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err := errors.Join(err, os.WriteFile(file, png, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestDecidingInChromium goes the whole way of a decision: login, form, review, decided.
func TestDecidingInChromium(t *testing.T) {
	ctx := browser(t)
	site := newFakeSite()
	r := start(t, site)
	bad := listen(t, ctx, r.base)
	shots := os.Getenv("FIELDPOST_SHOTS")
	shot := func(name string) {
		if shots != "" {
			shoot(t, ctx, filepath.Join(shots, name+".png"))
		}
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(r.link()), chromedp.WaitVisible(chromedp.CSS("main form button"))); err != nil {
		t.Fatal(err)
	}
	shot("20_login")
	enter(t, ctx, r)
	err := chromedp.Do(ctx, chromedp.Navigate(r.base+"/consent"), chromedp.Click(chromedp.CSS("#level-usage-totals")), chromedp.SendKeys(chromedp.CSS("#by"), "a.b."),
		chromedp.Click(chromedp.CSS("form.decide button.main")), chromedp.WaitVisible(chromedp.CSS("form[action='/consent/decide']")))
	if err != nil {
		t.Fatal(err)
	}
	shot("21_review")
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS("form[action='/consent/decide'] button.main")), chromedp.WaitVisible(chromedp.CSS(".notice.good"))); err != nil {
		t.Fatal(err)
	}
	site.mu.Lock()
	got := site.decided
	site.mu.Unlock()
	if len(got) != 1 || got[0].Levels["usage"] != exchange.Totals || len(got[0].Levels) != 1 || got[0].By != "a.b." || got[0].Accept {
		t.Errorf("decided %+v", got)
	}
	for _, b := range bad.take() {
		t.Error(b)
	}
	site.mu.Lock()
	site.empty = true
	site.mu.Unlock()
	for i, path := range []string{"/", "/use", "/leaves", "/left", "/consent"} {
		open(t, ctx, r.base+path, "light", 1280)
		shot(fmt.Sprintf("3%d_empty", i))
		for _, b := range bad.take() {
			t.Errorf("%s at an empty site: %s", path, b)
		}
	}
}

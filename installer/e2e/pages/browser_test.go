package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
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

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/web"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
)

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

// browser is a window of the one Chromium with cookies of its own.
func browser(t testing.TB) context.Context {
	t.Helper()
	chromium, err := shared().chromium()
	need(t, "Chromium", !errors.Is(err, errNoChromium))
	if err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, call(log.Enable, cdp.Empty{}), call(network.Enable, network.EnableParams{})); err != nil {
		t.Fatalf("opening a window of Chromium: %v", err)
	}
	ctx, done := context.WithTimeout(ctx, 15*time.Minute) // a busy machine is slow, and no failure
	t.Cleanup(done)
	return ctx
}

// watched collects what must not happen on any page.
type watched struct {
	mu   sync.Mutex
	bad  []string
	host string
}

func (w *watched) add(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bad = append(w.bad, fmt.Sprintf(format, args...))
}

func (w *watched) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.bad
	w.bad = nil
	return out
}

// watch notes console messages, exceptions, violations of the policy and requests elsewhere.
func watch(t testing.TB, ctx context.Context, base string) *watched {
	t.Helper()
	u, _ := url.Parse(base)
	w := &watched{host: u.Host}
	err := chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventConsoleAPICalled:
			w.add("console %s: %v", e.Type, e.Args)
		case *runtime.EventExceptionThrown:
			w.add("exception: %s", e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			// A page that is an error is not one of the console's.
			if !strings.Contains(e.Entry.Text, "the server responded with a status of 4") {
				w.add("log %s: %s", e.Entry.Source, e.Entry.Text)
			}
		case *network.EventRequestWillBeSent:
			if r, err := url.Parse(e.Request.URL); err == nil && r.Scheme != "data" && r.Host != w.host {
				w.add("request to %s", e.Request.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// signIn goes through the login page as a person would.
func signIn(t testing.TB, ctx context.Context, s *site, name string, role access.Role) {
	t.Helper()
	if err := s.access.PutUser(context.Background(), "test", name, role, false); err != nil {
		t.Fatal(err)
	}
	path, err := s.access.LoginLink(context.Background(), "test", name)
	if err != nil {
		t.Fatal(err)
	}
	err = chromedp.Do(ctx, chromedp.Navigate(s.URL+path), chromedp.Click(chromedp.CSS("main form button")), chromedp.WaitVisible(chromedp.CSS("nav.side")))
	if err != nil {
		t.Fatalf("signing in: %v", err)
	}
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(at, "login") {
		t.Fatalf("still at %s", at)
	}
}

// call is a command of the protocol whose answer nobody needs.
func call[P, R any](c cdp.Command[P, R], p P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, p)
		return err
	})
}

func scheme(name string) chromedp.Action[chromedp.Void] {
	return call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// TestPagesInChromium walks every page, wide and narrow, light and dark: nothing on the
// console, no violated policy, no other host, no horizontal scroll, nothing that axe finds.
func TestPagesInChromium(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("../node/node_modules/axe-core/axe.min.js")
	need(t, "axe-core (npm ci in installer/e2e/node)", err == nil)
	walk(t, newSite(t, &seed.Config{}), string(axe), append(shown(), "/nowhere", "/login/"+strings.Repeat("A", 43)))
}

// TestKindsInChromium does the same for what is drawn of each kind, and for many accounts.
func TestKindsInChromium(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("../node/node_modules/axe-core/axe.min.js")
	need(t, "axe-core (npm ci in installer/e2e/node)", err == nil)
	at := func(i int, m string) string { return "/accounts/" + seed.Key(i) + "?m=" + m }
	walk(t, newKinds(t, seed.Config{}), string(axe), []string{at(5, "people"), at(1, "habit"), at(1, "kept"), at(13, "sending"), at(2, "parts"), at(1, "seats"), at(7, "next"), at(0, "test_by_site"), at(0, "moved"), at(3, "flow"), at(4, "flow"),
		"/measures/habit?by=industry", "/pool", "/answers"})
}

// walk looks at each address, wide and light, narrow and dark.
func walk(t *testing.T, s *site, axe string, addresses []string) {
	t.Helper()
	ctx := browser(t)
	w := watch(t, ctx, s.URL)
	signIn(t, ctx, s, "root", access.Admin)
	for _, a := range addresses {
		for _, v := range []struct {
			width  int64
			scheme string
		}{{1280, "light"}, {360, "dark"}} {
			t.Run(fmt.Sprintf("%s %d %s", a, v.width, v.scheme), func(t *testing.T) {
				err := chromedp.Do(ctx, chromedp.EmulateViewport(v.width, 900), scheme(v.scheme), chromedp.Navigate(s.URL+a), chromedp.WaitReady(chromedp.CSS("main")))
				if err != nil {
					t.Fatal(err)
				}
				moved, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`new Promise(done => { let sum = 0; new PerformanceObserver(l => l.getEntries().forEach(e => sum += e.value)).observe({type: "layout-shift", buffered: true}); setTimeout(() => done(sum), 60) })`, chromedp.EvalAwaitPromise))
				if err != nil {
					t.Fatal(err)
				}
				if moved > 0.02 {
					t.Errorf("the page jumps: layout shift %.3f", moved)
				}
				wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.querySelectorAll("details").forEach(d => d.open = true); document.documentElement.scrollWidth`))
				if err != nil {
					t.Fatal(err)
				}
				if wide > v.width {
					t.Errorf("%d px wide at %d", wide, v.width)
				}
				for _, h := range hidden(t, ctx, v.width) {
					if h != "" {
						t.Error(h)
					}
				}
				for _, b := range w.take() {
					t.Error(b)
				}
				// axe goes in by the debugger, past the page's own policy.
				for _, f := range violations(t, ctx, axe) {
					t.Error(f)
				}
				w.take()
			})
		}
	}
}

// hidden are tables whose columns do not fit: none on a wide page; on a narrow one those that cannot be scrolled to by
// keyboard, have no name, or do not show that there is more. And text of a drawing that is cut off.
func hidden(t *testing.T, ctx context.Context, width int64) []string {
	t.Helper()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf(`(() => { const found = [], narrow = %d < 861;
		for (const e of document.querySelectorAll("main .scroll")) {
			if (e.scrollWidth <= e.clientWidth + 1) continue;
			const what = (e.getAttribute("aria-label") || "a table without a name") + ": " + e.scrollWidth + " px in " + e.clientWidth;
			if (!narrow) found.push("columns are hidden: " + what);
			else if (e.tabIndex !== 0 || !e.getAttribute("aria-label") || !getComputedStyle(e).backgroundImage.includes("gradient")) found.push("hidden columns cannot be found: " + what);
		}
		for (const x of document.querySelectorAll("main svg text")) {
			const a = x.getBoundingClientRect(), b = x.ownerSVGElement.getBoundingClientRect();
			if (b.width > 0 && (a.right > b.right + 3 || a.left < b.left - 3)) found.push("cut off in a drawing: " + x.textContent);
		}
		for (const x of document.querySelectorAll("main table")) if (!x.closest(".scroll")) found.push("a table that cannot scroll: " + x.textContent.slice(0, 60));
		return found.join("\n") })()`, width)))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(out), "\n")
}

func violations(t *testing.T, ctx context.Context, axe string) []string {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[int](axe+";0")); err != nil {
		t.Fatal(err)
	}
	out, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run({resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => JSON.stringify(r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + " | " + n.failureSummary.slice(0, 200)).join(" || "))))`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestShots writes screenshots of each page, for looking: FIELDPOST_SHOTS=DIR, and of a
// collector that runs with FIELDPOST_SHOTS_LOGIN=<login link> FIELDPOST_SHOTS_PATHS="/ /accounts".
func TestShots(t *testing.T) {
	dir := os.Getenv("FIELDPOST_SHOTS")
	if dir == "" {
		t.Skip("only with FIELDPOST_SHOTS=DIR")
	}
	ctx := browser(t)
	base, paths := "", addresses()
	if link := os.Getenv("FIELDPOST_SHOTS_LOGIN"); link != "" {
		base, _, _ = strings.Cut(link, "/login/")
		paths = strings.Fields(os.Getenv("FIELDPOST_SHOTS_PATHS"))
		if err := chromedp.Do(ctx, chromedp.Navigate(link), chromedp.Click(chromedp.CSS("main form button")), chromedp.WaitVisible(chromedp.CSS("nav.side"))); err != nil {
			t.Fatal(err)
		}
	} else {
		s := newSite(t, &seed.Config{})
		signIn(t, ctx, s, "root", access.Admin)
		base = s.URL
		token, id, err := s.makeToken(t.Context(), web.TokenRequest{Account: "acme", Installation: "main", Environment: "pilot", By: "root", Life: time.Hour})
		if err != nil || token == "" {
			t.Fatal(err)
		}
		paths = append(paths, "/start/"+id.String(), "/login/"+strings.Repeat("A", 43), "/nowhere")
	}
	only := os.Getenv("FIELDPOST_SHOTS_ONLY")
	for _, a := range paths {
		for _, width := range []int64{1280, 360} {
			for _, sch := range []string{"light", "dark"} {
				name := fmt.Sprintf("%s-%d-%s.png", strings.Trim(strings.NewReplacer("/", "_", "?", "_", "&", "_", "=", "-", "%", "").Replace(a), "_"), width, sch)
				if only != "" && !strings.HasPrefix(name, only) {
					continue
				}
				err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), scheme(sch), chromedp.Navigate(base+a), chromedp.WaitReady(chromedp.CSS("main")))
				if err != nil {
					t.Fatal(err)
				}
				png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err := errors.Join(err, os.WriteFile(filepath.Join(dir, name), png, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

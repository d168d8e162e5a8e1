package pages

import (
	"context"
	"crypto/ed25519"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// addCatalog keeps the forge's catalog.
func addCatalog(t testing.TB, s *site) *catalog.Catalog {
	t.Helper()
	cat, err := catalog.Parse(catalogFile(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.AddCatalog(context.Background(), store.Catalog{Hash: exchange.Hash(cat.Hash), Name: cat.Name, Version: cat.Version, Raw: cat.Raw, Added: now()}); err != nil {
		t.Fatal(err)
	}
	return cat
}

// TestWizardFollowsTheFirstReportLive goes the way of a vendor's operator on the first day.
func TestWizardFollowsTheFirstReportLive(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("../node/node_modules/axe-core/axe.min.js")
	need(t, "axe-core (npm ci in installer/e2e/node)", err == nil)
	ctx := browser(t)
	s := newSite(t, nil)
	cat := addCatalog(t, s)
	w := watch(t, ctx, s.URL)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900)); err != nil {
		t.Fatal(err)
	}
	signIn(t, ctx, s, "root", access.Admin) // an empty collector leads straight to the wizard
	err = chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(".stack")), chromedp.SendKeys(chromedp.CSS("input[name=account]"), "acme"), chromedp.SendKeys(chromedp.CSS("input[name=installation]"), "main"),
		chromedp.Click(chromedp.CSS("input[value=production]")), chromedp.Click(chromedp.CSS(".stack button")), chromedp.WaitVisible(chromedp.CSS("pre.secret")))
	if err != nil {
		t.Fatal(err)
	}
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("pre.secret").textContent`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := exchange.ParseToken(text)
	if err != nil || token.Account != "acme" || token.Installation != "main" || token.Environment != "production" {
		t.Fatalf("token %+v, %v", token, err)
	}
	body, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("main").innerText`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"systemd", "launchd", "PowerShell", "Container", "enroll --token-file", "waiting for the agent to join", "First weekly figure of people on 11 Nov 2026", "week of 2 Nov 2026"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, f := range violations(t, ctx, string(axe)) {
		t.Error(f)
	}
	step := func(want string) {
		t.Helper()
		if err := chromedp.Do(ctx, waitText(want)); err != nil {
			t.Fatalf("waiting for %q without a reload: %v", want, err)
		}
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	agent, err := s.store.Join(t.Context(), token.ID, key.Public().(ed25519.PublicKey), now())
	if err != nil {
		t.Fatal(err)
	}
	step("joined")
	signed, err := exchange.SignStatement(exchange.Statement{Version: exchange.Version, Agent: agent.ID, Number: 1, CatalogName: cat.Name, CatalogVersion: cat.Version, Catalog: exchange.Hash(cat.Hash),
		Decided: now().Unix(), Categories: []exchange.Decision{{Category: catalog.SLA, Level: exchange.Totals, From: now().Unix()}, {Category: catalog.Usage, Level: exchange.Aggregate, From: now().Unix()}}}, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := signed.Parse()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.CheckedIn(t.Context(), store.CheckIn{Agent: agent.ID, At: now(), Clock: now(), Version: "1.0.0", Statement: signed, Parsed: parsed}); err != nil {
		t.Fatal(err)
	}
	step("the customer agreed")
	m, _ := cat.Measure("web")
	up := &store.Series{Measure: m.ID, Hash: m.HashString(), Kind: string(m.Kind), Subject: string(m.Subject), Category: m.Category, Field: report.Up, Grain: report.Hour}
	_, err = s.store.Apply(t.Context(), []store.Batch{{Agent: agent.ID, Epoch: exchange.ID{1}, Seq: 1, Hash: exchange.Hash{1}, Received: now(), Zone: "Europe/Berlin", Catalog: exchange.Hash(cat.Hash), Statement: signed.Hash(),
		Cells: []store.Cell{{Series: up, Start: now().Unix() / 3600 * 3600, Form: report.Exact, Lo: 3600, Hi: 3600}}}})
	if err != nil {
		t.Fatal(err)
	}
	step("See the account")
	for _, b := range w.take() {
		t.Error(b)
	}
}

// waitText waits until the live part holds a text.
func waitText(want string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		ctx, stop := context.WithTimeout(ctx, 20*time.Second)
		defer stop()
		_, err := chromedp.Evaluate[bool](`new Promise(done => { const look = () => document.querySelector("#live").innerText.includes("`+want+`") ? done(true) : setTimeout(look, 50); look() })`, chromedp.EvalAwaitPromise)(ctx, t)
		return chromedp.Void{}, err
	}
}

// TestChartsAreReadOutByKeyboard: Tab reaches the chart, arrows go week by week.
func TestChartsAreReadOutByKeyboard(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	s := newSite(t, &seed.Config{Accounts: 2, Weeks: 40})
	signIn(t, ctx, s, "root", access.Admin)
	err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(s.URL+"/accounts/"+seed.Key(1)), chromedp.WaitReady(chromedp.CSS("[data-chart]")), chromedp.Focus(chromedp.CSS("[data-chart]")))
	if err != nil {
		t.Fatal(err)
	}
	read := func(key string) string {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.KeyEvent(key)); err != nil {
			t.Fatal(err)
		}
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("[data-chart] .readout").textContent`))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	last, before, again := read(kb.ArrowLeft), read(kb.ArrowLeft), read(kb.ArrowRight)
	if !strings.HasPrefix(last, "week of 19 Oct 2026: ") || !strings.HasPrefix(before, "week of 12 Oct 2026: ") || again != last || !strings.Contains(last, "band") {
		t.Errorf("read out %q, %q, %q", last, before, again)
	}
}

// TestPagesWorkWithoutScript: everything but live parts and read-outs is there.
func TestPagesWorkWithoutScript(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	s := newSite(t, &seed.Config{Accounts: 12, Weeks: 40})
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900), call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})); err != nil {
		t.Fatal(err)
	}
	signIn(t, ctx, s, "root", access.Admin)
	err := chromedp.Do(ctx, chromedp.Navigate(s.URL+"/accounts"), chromedp.SetValue(chromedp.CSS("select[name=fa]"), "region"), chromedp.SetValue(chromedp.CSS("input[name=fv]"), "DACH"),
		chromedp.Click(chromedp.CSS(".filters button")), chromedp.WaitVisible(chromedp.CSS("p.chips a.chip")))
	if err != nil {
		t.Fatal(err)
	}
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil || !strings.Contains(at, "f=region%3DDACH") {
		t.Errorf("the filter is not in the address: %s %v", at, err)
	}
}

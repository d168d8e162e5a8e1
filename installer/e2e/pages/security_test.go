package pages

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// corpus is text that becomes script, markup or a formula where somebody forgets to escape.
// Contexts: HTML text, quoted and unquoted attributes, URLs, SVG, titles, templates.
func corpus() []string {
	return []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title><svg onload=alert(1)>`, `</style><script>alert(1)</script>`,
		`javascript:alert(1)`, `{{.}}`, `${alert(1)}`, `<svg><title><img src=x onerror=alert(1)></title></svg>`, "`onload=alert(1)", `&lt;script&gt;alert(1)&lt;/script&gt;`,
		`<a href="javascript:alert(1)">x</a>`, `<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>`, `--><script>alert(1)</script>`, `]]><script>alert(1)</script>`,
		"\u202ealert(1)\u202c", `<iframe srcdoc="<script>alert(1)</script>">`, `<base href="https://evil.example/">`, `<meta http-equiv=refresh content="0;url=https://evil.example/">`,
		`=HYPERLINK("https://evil.example")`, `+cmd|' /C calc'!A0`, "@SUM(1+1)*cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "\t=1+1", "＝1+1",
	}
}

func hostile(t testing.TB) *site {
	names, attrs := map[int]string{}, map[int]map[string]string{}
	for i, x := range corpus() {
		names[i] = x
		attrs[i] = map[string]string{"owner": x, "note": "x " + x, x: "name"}
	}
	return newSite(t, &seed.Config{Accounts: 30, Weeks: 20, Names: names, Attributes: attrs})
}

func TestS59_TextOfOthersNeverBecomesMarkup(t *testing.T) {
	s := hostile(t)
	c := s.user(t, "root", access.Admin)
	pages := []string{"/", "/accounts", "/accounts?col=owner&col=note", "/fleet", "/quarantine", "/start", "/accounts/" + seed.Key(0), "/accounts/" + seed.Key(3)}
	for _, x := range corpus() {
		e := url.QueryEscape(x)
		pages = append(pages, "/accounts?q="+e, "/accounts?f=owner%3D"+e, "/fleet?q="+e+"&version="+e, "/accounts?m="+e+"&sort=attr."+e+"&pin="+e, "/quarantine?account="+e)
	}
	for _, p := range pages {
		status, body, _ := get(t, c, s.URL+p)
		if status != http.StatusOK {
			t.Errorf("%s: %d", p, status)
		}
		for _, bad := range []string{"<script>alert", "<img src=x", "onerror=alert(1)>", "<svg onload", "<iframe", "<base ", `href="javascript:`, "<math>", "evil.example/\">"} {
			if i := strings.Index(body, bad); i >= 0 {
				t.Errorf("%s holds %s: …%s…", p, bad, body[max(0, i-80):min(len(body), i+80)])
			}
		}
	}
}

func TestS59_HostileNamesRunNothingInChromium(t *testing.T) {
	t.Parallel()
	s := hostile(t)
	ctx := browser(t)
	w := watch(t, ctx, s.URL)
	signIn(t, ctx, s, "root", access.Admin)
	for _, p := range []string{"/", "/accounts?col=owner&col=note", "/accounts/" + seed.Key(1), "/accounts/" + seed.Key(3), "/fleet", "/start", "/accounts?q=" + url.QueryEscape(corpus()[1])} {
		if err := chromedp.Do(ctx, chromedp.Navigate(s.URL+p), chromedp.WaitReady(chromedp.CSS("main"))); err != nil {
			t.Fatal(err)
		}
		n, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll("main script, main img, main iframe, base, main [onerror], main [onload], main [onmouseover]").length`))
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			t.Errorf("%s: %d elements that came out of a name", p, n)
		}
		for _, b := range w.take() {
			t.Errorf("%s: %s", p, b)
		}
	}
}

func TestS61_NoCellOfAnExportBeginsAFormula(t *testing.T) {
	s := hostile(t)
	c := s.user(t, "root", access.Admin)
	for _, r := range s.api.Routes() {
		path := strings.NewReplacer("{account}", seed.Key(0), "{installation}", "main", "{key}", seed.Key(0)).Replace(r.Path) + ".csv"
		if strings.Contains(r.Path, "periods") {
			path += "?measure=people"
		}
		if strings.Contains(r.Path, "segments") {
			path += "?measure=people&trait=owner&grain=week&start=2026-01-05"
		}
		status, body, h := get(t, c, s.URL+path)
		if status == http.StatusNotFound {
			continue // not a list
		}
		if status != http.StatusOK || !strings.HasPrefix(h.Get("Content-Type"), "text/csv") || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") {
			t.Fatalf("%s: %d %s %s %.200s", path, status, h.Get("Content-Type"), h.Get("Content-Disposition"), body)
		}
		rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if x := strings.TrimLeft(cell, " \""); x != "" && strings.ContainsAny(x[:1], "=+@\t\r") || strings.HasPrefix(x, "-") && strings.Contains(x, "cmd") || strings.HasPrefix(x, "＝") {
					t.Errorf("%s: a cell begins a formula: %q", path, cell)
				}
			}
		}
	}
	_, body, _ := get(t, c, s.URL+"/api/v1/accounts.csv")
	for _, x := range corpus() {
		if !strings.Contains(body, strings.ReplaceAll(x, `"`, `""`)) {
			t.Errorf("%q is not in the export as it is", x)
		}
	}
}

func TestS62_DownloadsAreSandboxedAndNeverSniffed(t *testing.T) {
	s := newSite(t, &seed.Config{Accounts: 12, Weeks: 40})
	c := s.user(t, "root", access.Admin)
	status, body, h := get(t, c, s.URL+"/api/v1/quarantine/1/bytes")
	if status != http.StatusOK || body != "raw bytes of a refused batch" {
		t.Fatalf("%d %q", status, body)
	}
	if h.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("headers %v", h)
	}
	for _, p := range []string{"/", "/static/fieldpost.js", "/nowhere", "/login", "/api/openapi.json", "/api/v1/accounts", "/api/v1/accounts.csv", "/api/nothing", "/api/v1/quarantine/1/bytes"} {
		_, _, h := get(t, c, s.URL+p)
		if h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", p)
		}
		if !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s may be framed: %q", p, h.Get("Content-Security-Policy"))
		}
	}
}

// routes are all there are, pages and API, with the role each needs.
func (s *site) routes() map[string]access.Role {
	out := map[string]access.Role{}
	fill := strings.NewReplacer("{account}", seed.Key(0), "{installation}", "main", "{key}", seed.Key(0), "{id}", "1", "{token}", strings.Repeat("ab", 16), "{$}", "")
	for _, r := range s.web.Routes() {
		out[r.Method+" "+fill.Replace(r.Pattern)] = r.Need
	}
	for _, r := range s.api.Routes() {
		out["GET "+fill.Replace(r.Path)] = r.Need
		out["GET "+fill.Replace(r.Path)+".csv"] = r.Need
	}
	return out
}

func TestS63_EachRouteForEachRole(t *testing.T) {
	s := newSite(t, &seed.Config{Accounts: 12, Weeks: 40})
	clients := map[access.Role]*http.Client{access.Anonymous: s.anonymous(t)}
	tokens := map[access.Role]string{}
	for _, r := range access.Roles() {
		clients[r] = s.user(t, "user-"+string(r), r)
		token, err := s.access.NewToken(t.Context(), "test", "user-"+string(r), "S63", 0)
		if err != nil {
			t.Fatal(err)
		}
		tokens[r] = token
	}
	// The document names the same routes as the table that serves them.
	_, body, _ := get(t, clients[access.Anonymous], s.URL+"/api/openapi.json")
	var doc struct {
		Paths map[string]map[string]struct {
			Role string `json:"x-role"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.api.Routes() {
		if got := doc.Paths[r.Path]["get"].Role; got != string(r.Need) {
			t.Errorf("%s: the document says %q, the table %q", r.Path, got, r.Need)
		}
	}
	for route, needs := range s.routes() {
		method, path, _ := strings.Cut(route, " ")
		if strings.HasPrefix(path, "/login") {
			continue // open by nature; S64 and S65 look at it
		}
		for role, c := range clients {
			res := send(t, c, method, s.URL+path, "")
			allowed := role.Includes(needs) && role != access.Anonymous
			switch {
			case res == http.StatusNotFound && allowed: // no such list as CSV, no such token
			case method == http.MethodPost && allowed:
				if res != http.StatusForbidden { // no CSRF token: S64
					t.Errorf("%s as %s: %d without a CSRF token", route, role, res)
				}
			case allowed && res >= 400 && res != http.StatusBadRequest:
				t.Errorf("%s as %q: %d, should be allowed", route, role, res)
			case !allowed && res != http.StatusForbidden && res != http.StatusUnauthorized && res != http.StatusSeeOther && res != http.StatusNotFound:
				t.Errorf("%s as %q: %d, should be refused", route, role, res)
			}
			if role == access.Anonymous {
				continue
			}
			byToken := send(t, clients[access.Anonymous], method, s.URL+path, tokens[role])
			if allowed != (byToken < 400 || byToken == http.StatusNotFound || byToken == http.StatusBadRequest) && method == http.MethodGet && byToken != http.StatusNotFound {
				t.Errorf("%s with a token of %q: %d", route, role, byToken)
			}
			if method == http.MethodPost && byToken < 400 {
				t.Errorf("%s: an API token changed something: %d", route, byToken)
			}
		}
	}
}

func send(t testing.TB, c *http.Client, method, url, token string) int {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) //nolint:errcheck // only the status matters
	return res.StatusCode
}

// csrf reads the token out of a page.
func csrf(t testing.TB, c *http.Client, base string) string {
	t.Helper()
	_, body, _ := get(t, c, base+"/settings")
	_, rest, ok := strings.Cut(body, `name="csrf" value="`)
	if !ok {
		t.Fatal("no CSRF token on the page")
	}
	token, _, _ := strings.Cut(rest, `"`)
	return token
}

func post(t testing.TB, c *http.Client, target string, form url.Values, headers map[string]string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func TestS64_AChangeNeedsTheSessionsTokenAndItsOwnOrigin(t *testing.T) {
	s := newSite(t, nil)
	alice, bob := s.user(t, "alice", access.Admin), s.user(t, "bob", access.Admin)
	good, bobs := csrf(t, alice, s.URL), csrf(t, bob, s.URL)
	if good == bobs {
		t.Fatal("two sessions share a CSRF token")
	}
	form := func(token string) url.Values {
		return url.Values{"csrf": {token}, "label": {"from " + token[:min(4, len(token))]}, "days": {"3"}}
	}
	for name, c := range map[string]struct {
		token   string
		headers map[string]string
		want    int
	}{
		"none":                     {"", nil, 403},
		"another session's":        {bobs, nil, 403},
		"cut":                      {good[:20], nil, 403},
		"right, cross site":        {good, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"right, same site":         {good, map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		"right, foreign origin":    {good, map[string]string{"Origin": "https://evil.example"}, 403},
		"right, null origin":       {good, map[string]string{"Origin": "null"}, 403},
		"right, own origin":        {good, map[string]string{"Origin": s.URL}, 200},
		"right, same origin fetch": {good, map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
	} {
		if got := post(t, alice, s.URL+"/settings/tokens", form(c.token), c.headers); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if list, err := s.access.Tokens(t.Context(), ""); err != nil || len(list) != 2 {
		t.Errorf("%d tokens were made, want the 2 allowed ones (%v)", len(list), err)
	}
}

func TestS65_ALoginLinkWorksOnceByPostWithinFifteenMinutes(t *testing.T) {
	s := newSite(t, nil)
	path, err := s.access.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // previewers look as often as they like
		if status, body, h := get(t, s.anonymous(t), s.URL+path); status != 200 || !strings.Contains(body, "<form") || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Set-Cookie") != "" {
			t.Fatalf("looking at the link: %d", status)
		}
	}
	if got := post(t, s.anonymous(t), s.URL+path, nil, map[string]string{"Sec-Fetch-Site": "cross-site"}); got != http.StatusForbidden {
		t.Errorf("spent from another site: %d", got)
	}
	var wins sync.Map
	var wg sync.WaitGroup
	for i := range 20 {
		c := s.anonymous(t)
		wg.Go(func() {
			res, err := c.Post(s.URL+path, "application/x-www-form-urlencoded", nil)
			if err == nil {
				if res.StatusCode == http.StatusSeeOther {
					wins.Store(i, c)
				}
				res.Body.Close()
			}
		})
	}
	wg.Wait()
	n := 0
	wins.Range(func(_, _ any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d of 20 at once got in, want exactly 1", n)
	}
	later, err := s.access.LoginLink(t.Context(), "test", "admin")
	if err != nil {
		t.Fatal(err)
	}
	s.clock = func() time.Time { return now().Add(15*time.Minute + time.Second) }
	if got := post(t, s.anonymous(t), s.URL+later, nil, nil); got != http.StatusGone {
		t.Errorf("after 15 minutes: %d", got)
	}
}

func TestS65_SessionsAreStrictHashedAndEnd(t *testing.T) {
	s := newSite(t, nil)
	c := s.user(t, "alice", access.Viewer)
	u, _ := url.Parse(s.URL)
	id := c.Jar.Cookies(u)[0]
	path, err := s.access.LoginLink(t.Context(), "test", "alice")
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.anonymous(t).Post(s.URL+path, "application/x-www-form-urlencoded", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	k := res.Cookies()[0]
	if k.Name != "__Host-fieldpost" || !k.Secure || !k.HttpOnly || k.SameSite != http.SameSiteStrictMode || k.Path != "/" || k.Domain != "" || len(k.Value) != 43 || k.Value == id.Value {
		t.Errorf("cookie %v", k)
	}
	list, err := s.store.SecretList(t.Context(), store.Session, "")
	if err != nil || len(list) != 2 {
		t.Fatalf("%d sessions, %v", len(list), err)
	}
	for _, x := range list {
		if strings.Contains(id.Value+k.Value, x.Hash.String()) {
			t.Error("the store holds a session's id")
		}
	}
	at := func(d time.Duration) int {
		s.clock = func() time.Time { return now().Add(d) }
		status, _, _ := get(t, c, s.URL+"/accounts")
		return status
	}
	if got := at(11 * time.Hour); got != 200 {
		t.Errorf("in use after 11 h: %d", got)
	}
	if got := at(22 * time.Hour); got != 200 {
		t.Errorf("11 h after that: %d", got)
	}
	if got := at(22*time.Hour + 12*time.Hour + time.Minute); got != http.StatusSeeOther {
		t.Errorf("12 h unused: %d", got)
	}
	s.clock = now
	busy := s.user(t, "bob", access.Viewer)
	c = busy
	for h := time.Duration(0); h < 7*24; h += 10 {
		if got := at(h * time.Hour); got != 200 {
			t.Fatalf("in use after %d h: %d", h, got)
		}
	}
	if got := at(7*24*time.Hour + time.Minute); got != http.StatusSeeOther {
		t.Errorf("after 7 days: %d", got)
	}
}

func TestS65_LogoutAndDisablingEndASession(t *testing.T) {
	s := newSite(t, nil)
	root, alice, bob := s.user(t, "root", access.Admin), s.user(t, "alice", access.Viewer), s.user(t, "bob", access.Viewer)
	_ = root
	u, _ := url.Parse(s.URL)
	stolen := alice.Jar.Cookies(u)[0]
	if got := post(t, alice, s.URL+"/logout", url.Values{"csrf": {csrf(t, alice, s.URL)}}, nil); got != http.StatusSeeOther {
		t.Fatalf("signing out: %d", got)
	}
	thief := s.anonymous(t)
	thief.Jar.SetCookies(u, []*http.Cookie{{Name: stolen.Name, Value: stolen.Value, Path: "/", Secure: true}})
	if got, _, _ := get(t, thief, s.URL+"/accounts"); got != http.StatusSeeOther {
		t.Errorf("a cookie from before signing out: %d", got)
	}
	if err := s.access.PutUser(t.Context(), "test", "bob", access.Viewer, true); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := get(t, bob, s.URL+"/accounts"); got != http.StatusSeeOther {
		t.Errorf("a disabled user: %d", got)
	}
}

func TestS66_APITokensReadOnlyAreHashedAndNoteTheirUse(t *testing.T) {
	s := newSite(t, nil)
	admin := s.user(t, "root", access.Admin)
	token, err := s.access.NewToken(t.Context(), "root", "root", "grafana", 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.store.SecretList(t.Context(), store.APIToken, "root")
	if err != nil || len(list) != 1 || !list[0].LastUsed.IsZero() || len(list[0].Scopes) != 1 || list[0].Scopes[0] != access.ScopeRead {
		t.Fatalf("kept %+v, %v", list, err)
	}
	if _, body, _ := get(t, admin, s.URL+"/settings"); strings.Contains(body, token) {
		t.Error("a token is shown again")
	}
	anyone := s.anonymous(t)
	if got := send(t, anyone, "GET", s.URL+"/api/v1/overview", token); got != 200 {
		t.Errorf("reading: %d", got)
	}
	if got := send(t, anyone, "POST", s.URL+"/settings/users", token); got != http.StatusForbidden {
		t.Errorf("changing: %d", got)
	}
	for _, bad := range []string{token[:len(token)-1], token + "x", "fpapi_" + strings.Repeat("A", 43), "x", strings.Repeat("y", 100_000)} {
		if got := send(t, anyone, "GET", s.URL+"/api/v1/overview", bad); got != http.StatusUnauthorized && got != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("token %.20s: %d", bad, got)
		}
	}
	if list, err = s.store.SecretList(t.Context(), store.APIToken, "root"); err != nil || !list[0].LastUsed.Equal(now()) {
		t.Errorf("last used %v, %v", list[0].LastUsed, err)
	}
	// A session is no way around a bad token.
	req, _ := http.NewRequest("GET", s.URL+"/api/v1/overview", nil)
	req.Header.Set("Authorization", "Basic "+token)
	res, err := admin.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("another scheme beside a session: %d", res.StatusCode)
	}
	s.clock = func() time.Time { return now().Add(24*time.Hour + time.Second) }
	if got := send(t, anyone, "GET", s.URL+"/api/v1/overview", token); got != http.StatusUnauthorized {
		t.Errorf("expired: %d", got)
	}
	s.clock = now
	var h exchange.Hash = list[0].Hash
	if err := s.access.RevokeToken(context.Background(), "root", h); err != nil {
		t.Fatal(err)
	}
	if got := send(t, anyone, "GET", s.URL+"/api/v1/overview", token); got != http.StatusUnauthorized {
		t.Errorf("revoked: %d", got)
	}
	audit, err := s.store.Audit(t.Context(), store.TroubleQuery{Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, a := range audit {
		seen[a.Action] = true
		if strings.Contains(a.Detail+a.Subject, token) {
			t.Error("the audit log holds a token")
		}
	}
	for _, want := range []string{"api_token_created", "api_token_revoked", "login", "user_created", "login_link_created"} {
		if !seen[want] {
			t.Errorf("%s is not in the audit log", want)
		}
	}
}

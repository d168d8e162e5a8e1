package console

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"golang.org/x/net/html"
)

// address makes an address of a route's pattern.
func address(pattern string) (method, path string) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = http.MethodGet, "/nowhere"
	}
	path = strings.NewReplacer("{$}", "", "{measure}", "people", "{no}", "129").Replace(path)
	return method, path
}

// TestS63_EveryRouteNeedsALogin goes through all routes there are.
func TestS63_EveryRouteNeedsALogin(t *testing.T) {
	r := start(t, newFakeSite())
	for _, route := range r.c.routes() {
		method, path := address(route.pattern)
		for name, cookie := range map[string]string{"no session": "", "a made up session": r.c.door.Cookie + "=AAAA"} {
			req := r.request(method, path, "token=x&pause=1")
			req.Header.Set("Cookie", cookie)
			res, page := r.do(req)
			switch {
			case route.open && strings.HasPrefix(path, "/login"):
				if strings.Contains(page, "forge-berlin") {
					t.Errorf("%s with %s tells about the site", route.pattern, name)
				}
			case route.open:
				if res.StatusCode != http.StatusOK {
					t.Errorf("%s with %s: %s", route.pattern, name, res.Status)
				}
			case res.StatusCode != http.StatusUnauthorized || strings.Contains(page, "forge") || !strings.Contains(page, "login_needed"):
				t.Errorf("%s with %s: %s", route.pattern, name, res.Status)
			}
		}
	}
	if len(r.site.decided) != 0 || r.site.sends != 0 || len(r.site.asked) != 0 {
		t.Error("somebody without a login reached the site")
	}
}

// TestS64_EveryChangeNeedsTheFormsToken tries each POST without it, with another's, and from
// another site; and a page cannot be framed.
func TestS64_EveryChangeNeedsTheFormsToken(t *testing.T) {
	r := start(t, newFakeSite()).login()
	token := r.token()
	for _, route := range r.c.routes() {
		method, path := address(route.pattern)
		if method != http.MethodPost || route.open {
			continue
		}
		for _, body := range []string{"", "token=", "token=AAAA", "pause=1&by=x"} {
			if res, _ := r.do(r.request(method, path, body)); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s with %q: %s", path, body, res.Status)
			}
		}
		if res, _ := r.do(r.request(method, path+"?token="+token, "")); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s with the token in its address: %s", path, res.Status)
		}
		for _, h := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://evil.example"}, {"Origin", "null"}} {
			req := r.request(method, path, url.Values{"token": {token}, "by": {"x"}, "pause": {"1"}}.Encode())
			req.Header.Set(h[0], h[1])
			if res, page := r.do(req); res.StatusCode != http.StatusForbidden || !strings.Contains(page, "cross_origin") {
				t.Errorf("%s with %v: %s", path, h, res.Status)
			}
		}
		if res, _ := r.do(r.request(http.MethodGet, path, "")); res.StatusCode < 400 {
			t.Errorf("GET %s: %s", path, res.Status)
		}
	}
	if len(r.site.decided) != 0 || r.site.sends != 0 {
		t.Error("a change went through")
	}
	res, _ := r.get("/")
	if res.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Error("a page can be framed")
	}
}

func TestS64_TheCookieIsStrictAndTheLoginIsUsedUpByPostAlone(t *testing.T) {
	r := start(t, newFakeSite())
	link, err := url.Parse(r.link())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // a mail scanner, a preview, a browser that loads ahead
		if res, page := r.get("/login?" + link.RawQuery); res.StatusCode != http.StatusOK || len(res.Cookies()) != 0 || !strings.Contains(page, "Open the console") {
			t.Fatalf("looking at the link: %s", res.Status)
		}
	}
	form := url.Values{"link": {link.Query().Get("link")}}
	res, _ := r.post("/login", form)
	if res.StatusCode != http.StatusSeeOther || len(res.Cookies()) != 1 {
		t.Fatalf("login: %s", res.Status)
	}
	if c := res.Cookies()[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || !c.Expires.IsZero() || len(c.Value) < 40 {
		t.Errorf("cookie %v", c)
	}
	if res, page := r.post("/login", form); res.StatusCode != http.StatusForbidden || len(res.Cookies()) != 0 || !strings.Contains(page, "fieldpost-agent console") {
		t.Errorf("the same link again: %s", res.Status)
	}
	if res, _ := r.post("/logout", url.Values{"token": {r.token()}}); res.StatusCode != http.StatusSeeOther {
		t.Errorf("logout: %s", res.Status)
	}
	if res, _ := r.get("/"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("after logout: %s", res.Status)
	}
}

// TestAnotherNameForThisMachineIsRefused: DNS rebinding makes a browser ask by a name of the
// attacker's.
func TestAnotherNameForThisMachineIsRefused(t *testing.T) {
	r := start(t, newFakeSite()).login()
	u, err := url.Parse(r.base)
	if err != nil {
		t.Fatal(err)
	}
	cookie := r.client.Jar.Cookies(u)[0]
	r.client.Jar = nil // it would send the cookie by the Host header's name
	port := r.base[strings.LastIndex(r.base, ":"):]
	for host, ok := range map[string]bool{
		"127.0.0.1" + port: true, "localhost" + port: true, "LOCALHOST": true, "[::1]" + port: true, "localhost:9999": true, "127.0.0.1": true,
		"evil.example": false, "evil.example" + port: false, "127.0.0.1.evil.example": false, "localhost.evil.example" + port: false, "127.0.0.2" + port: false, "0.0.0.0" + port: false, "2130706433": false, "[::ffff:127.0.0.1]" + port: true, "localhost.": false,
	} {
		req := r.request(http.MethodGet, "/", "")
		req.Host = host
		req.AddCookie(cookie)
		res, page := r.do(req)
		if ok && res.StatusCode != http.StatusOK || !ok && (res.StatusCode != http.StatusMisdirectedRequest || strings.Contains(page, "forge")) {
			t.Errorf("as %s: %s", host, res.Status)
		}
	}
	for address, host := range map[string]string{"agent.internal:4380": "agent.internal:4380", "10.1.2.3:4380": "10.1.2.3"} {
		if c := New(Config{Site: r.site, Dir: t.TempDir(), Address: address}); !c.ours(host) || c.ours("10.1.2.4:4380") {
			t.Errorf("configured as %s", address)
		}
	}
	if c := New(Config{Site: r.site, Dir: t.TempDir(), Address: "0.0.0.0:4380"}); c.ours("0.0.0.0:4380") || c.ours("10.0.0.1:4380") || c.ours("") {
		t.Error("listening everywhere makes every name ours")
	}
}

func attacks() []string {
	return []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title></svg><svg onload=alert(1)>`, "\u202ejavascript:alert(1)", `--><script>alert(1)</script><!--`}
}

var changing = regexp.MustCompile(`[A-Z0-9]{52}`) // form tokens

// outline is the elements and attribute names of a page, with the values that a browser acts on.
func outline(t *testing.T, page string) string {
	var b strings.Builder
	for n := range parse(t, page).Descendants() {
		if n.Type == html.CommentNode {
			b.WriteString("<!---->")
		}
		if n.Type != html.ElementNode {
			continue
		}
		b.WriteString("\n<" + n.Data)
		for _, a := range n.Attr {
			b.WriteString(" " + a.Key)
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" {
				t.Errorf("attribute %s on %s", a.Key, n.Data)
			}
			if slices.Contains([]string{"href", "src", "action", "formaction"}, a.Key) && a.Val != "#main" && (!strings.HasPrefix(a.Val, "/") || strings.HasPrefix(a.Val, "//")) {
				t.Errorf("address %q", a.Val)
			}
		}
	}
	return changing.ReplaceAllString(b.String(), "")
}

// TestS59_NamesAreNeverMarkup puts attacks into every text the site can give: each page has the
// elements it has with harmless texts.
func TestS59_NamesAreNeverMarkup(t *testing.T) {
	plain := newFakeSite()
	plain.spoil = "harmless"
	calm := start(t, plain).login()
	want := map[string]string{}
	for _, p := range allPages() {
		await(t, calm, p)
		_, page := calm.get(p)
		want[p] = outline(t, page)
	}
	for _, a := range attacks() {
		site := newFakeSite()
		site.spoil = a
		r := start(t, site).login()
		for _, p := range allPages() {
			await(t, r, p)
			res, page := r.get(p)
			if res.Header.Get("Content-Security-Policy") != policy || res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: headers %v", p, res.Header)
			}
			if got := outline(t, page); got != want[p] {
				t.Errorf("%s with %q has another outline", p, a)
			}
		}
		r.stop()
	}
}

// await loads a page until all its figures are there.
func await(t *testing.T, r *running, path string) {
	t.Helper()
	for {
		if _, page := r.get(path); !strings.Contains(page, "data-later") {
			return
		}
	}
}

// TestS59_InChromium opens pages full of attacks in a real browser: no script of theirs runs and
// the policy is not even asked.
func TestS59_InChromium(t *testing.T) {
	ctx := browser(t)
	site := newFakeSite()
	site.spoil = strings.Join(attacks(), " ")
	r := start(t, site)
	bad := listen(t, ctx, r.base)
	enter(t, ctx, r)
	for _, p := range allPages() {
		open(t, ctx, r.base+p, "light", 1280)
		n, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll("script:not([src^='/console.js']), img, [onload], [onerror], [onmouseover]").length`))
		if err != nil || n != 0 {
			t.Errorf("%s: %d elements of the attack, %v", p, n, err)
		}
		for _, b := range bad.take() {
			t.Errorf("%s: %s", p, b)
		}
	}
}

// TestS62_RawBytesAreSavedNotShown: a batch could hold anything.
func TestS62_RawBytesAreSavedNotShown(t *testing.T) {
	r := start(t, newFakeSite()).login()
	res, body := r.get("/left/129/raw")
	h := res.Header
	if res.StatusCode != http.StatusOK || body != "<script>batch 129</script>\x00\xff" {
		t.Errorf("%s, %q", res.Status, body)
	}
	if h.Get("Content-Type") != "application/octet-stream" || h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment;") || !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("headers %v", h)
	}
	for _, p := range []string{"/left/130/raw", "/left/0/raw", "/left/999999/raw", "/left/x/raw", "/left/18446744073709551615/raw"} {
		if res, _ := r.get(p); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", p, res.Status)
		}
	}
}

func TestALargeFormIsRefused(t *testing.T) {
	r := start(t, newFakeSite()).login()
	res, _ := r.post("/consent/review", url.Values{"token": {r.token()}, "by": {strings.Repeat("x", maxForm)}})
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("%s", res.Status)
	}
}

func TestTheConsoleNeverAsksForExactFigures(t *testing.T) {
	r := start(t, newFakeSite()).login()
	for _, p := range allPages() {
		await(t, r, p)
	}
	for _, q := range r.site.asked {
		if q.Exact {
			t.Errorf("%+v", q)
		}
	}
	if len(r.site.asked) == 0 {
		t.Error("nothing was asked")
	}
}

package console

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// running is a console that serves, with a client that keeps cookies and follows nothing.
type running struct {
	t      *testing.T
	c      *Console
	site   *fakeSite
	dir    string
	base   string
	client *http.Client
	stop   func()
}

func start(t *testing.T, site *fakeSite) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, site: site, dir: t.TempDir(), base: "http://" + l.Addr().String()}
	r.client = &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r.c = New(Config{Site: site, Dir: r.dir, Address: l.Addr().String()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.c.Serve(ctx, l) }()
	r.stop = func() {
		r.client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(r.stop)
	for { // the address is there once Serve began
		if res, err := http.Get(r.base + "/style.css"); err == nil {
			res.Body.Close()
			return r
		}
	}
}

func (r *running) link() string {
	r.t.Helper()
	link, err := LoginLink(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	return link
}

// login logs the client in as a person does: open the link, press the button.
func (r *running) login() *running {
	r.t.Helper()
	u, err := url.Parse(r.link())
	if err != nil {
		r.t.Fatal(err)
	}
	res, _ := r.post("/login", url.Values{"link": {u.Query().Get("link")}})
	if res.StatusCode != http.StatusSeeOther {
		r.t.Fatalf("login: %s", res.Status)
	}
	return r
}

func (r *running) do(req *http.Request) (*http.Response, string) {
	r.t.Helper()
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, string(b)
}

func (r *running) request(method, path, body string) *http.Request {
	r.t.Helper()
	req, err := http.NewRequest(method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req
}

func (r *running) get(path string) (*http.Response, string) {
	r.t.Helper()
	return r.do(r.request(http.MethodGet, path, ""))
}

func (r *running) post(path string, form url.Values) (*http.Response, string) {
	r.t.Helper()
	return r.do(r.request(http.MethodPost, path, form.Encode()))
}

// token is the form token of the client's session.
func (r *running) token() string {
	r.t.Helper()
	_, page := r.get("/")
	for n := range parse(r.t, page).Descendants() {
		if n.Data == "input" && attr(n, "name") == csrfField {
			return attr(n, "value")
		}
	}
	r.t.Fatal("no form on the page")
	return ""
}

func parse(t *testing.T, page string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// words is the text of a page.
func words(t *testing.T, page string) string {
	var s strings.Builder
	for n := range parse(t, page).Descendants() {
		if n.Type == html.TextNode {
			s.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(s.String()), " ")
}

package console

import (
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"github.com/fieldpost/fieldpost/agent/console/door"
)

// csrfField is the field each form carries.
const csrfField = "token"

// maxForm bounds what a form may send: twenty fields of a few hundred bytes.
const maxForm = 64 << 10

const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// guard stands before everything: it sets the headers that keep a page to itself, and refuses
// requests that came by another name (DNS rebinding) or from another site.
func (c *Console) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusForbidden, "cross_origin", "This request came from another site.", "Open the console itself and try again.")
	}))
	inner := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !c.ours(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "wrong_host", "The console does not answer to this name.", "Use http://"+c.address+" or a tunnel to it.")
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// ours says whether the Host header is a name that cannot have been pointed here by somebody
// else: this machine's own names at any port (a tunnel has another), or the configured address.
func (c *Console) ours(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	switch host = strings.ToLower(host); host {
	case "localhost", "127.0.0.1", "::1":
		return true
	}
	own, _, err := net.SplitHostPort(c.cfg.Address)
	if err != nil || host == "" {
		return false
	}
	if ip := net.ParseIP(own); ip != nil {
		return !ip.IsUnspecified() && ip.Equal(net.ParseIP(host))
	}
	return strings.EqualFold(own, host)
}

// tokenOf says whether a POST carries the token of its session.
func tokenOf(w http.ResponseWriter, r *http.Request, s *door.Session) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.ParseForm() != nil {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(r.PostForm.Get(csrfField)), []byte(s.Token)) == 1
}

package markup

import (
	"net/url"
	"strings"
)

// URL is an address at this console: a literal path with escaped segments, and a query. The
// zero URL is "/". No other host can be named.
type URL struct{ path, query string }

// At is the address of a literal path; each {} in it takes one segment.
func At(path literal, segments ...string) URL {
	p := string(path)
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.ContainsAny(p, "?#\\") || strings.Count(p, "{}") != len(segments) {
		panic("markup: path " + p + " is not allowed")
	}
	for _, s := range segments {
		s = url.PathEscape(strings.ToValidUTF8(s, "\uFFFD"))
		if strings.Trim(s, ".") == "" { // "", "." and ".." would make another path
			s = "-"
		}
		p = strings.Replace(p, "{}", s, 1) // s holds no brace: they are escaped
	}
	return URL{path: p}
}

// With is the address with one more value in its query; an empty value is left out.
func (u URL) With(key literal, value string) URL {
	if value == "" {
		return u
	}
	if u.query != "" {
		u.query += "&"
	}
	u.query += url.QueryEscape(string(key)) + "=" + url.QueryEscape(strings.ToValidUTF8(value, "\uFFFD"))
	return u
}

func (u URL) String() string {
	p := u.path
	if p == "" {
		p = "/"
	}
	if u.query != "" {
		p += "?" + u.query
	}
	return p
}

package api

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// csv writes all pages of a list. The first page is read before anything is written, so that
// an error still has its status; a later one ends the download without its last line end.
func (h *Handler) csv(w http.ResponseWriter, rt Route, c *call) {
	v := c.r.URL.Query()
	whole := v.Get("limit") == ""
	if whole {
		v.Set("limit", "10000")
	}
	first := true
	var out *bufio.Writer
	for {
		c.r.URL.RawQuery = v.Encode()
		got, err := rt.do(c)
		if err != nil && first {
			h.fail(w, c.r, err)
			return
		} else if err != nil {
			h.c.Log.ErrorContext(c.ctx, "export cut short", "path", c.r.URL.Path, "error", err)
			panic(http.ErrAbortHandler) // the connection breaks: a cut file must not look whole
		}
		p := got.(page)
		if first {
			w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
			w.Header().Set("Content-Disposition", `attachment; filename="fieldpost-`+path.Base(rt.Path)+`.csv"`)
			out = bufio.NewWriterSize(w, 64<<10)
			writeLine(out, columns(reflect.TypeOf(rt.row)))
			first = false
		}
		rows := reflect.ValueOf(p.rows)
		for i := range rows.Len() {
			writeLine(out, cells(nil, rows.Index(i)))
		}
		if p.next == "" || !whole || c.ctx.Err() != nil {
			break
		}
		v = cursor(v, p.next)
	}
	_ = out.Flush() // the reader went away
}

func cursor(v url.Values, next string) url.Values {
	v.Set("after", next)
	return v
}

// columns are the names of a row type's fields, as in JSON.
func columns(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			out = append(out, columns(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}

func cells(out []string, v reflect.Value) []string {
	for i := range v.NumField() {
		if v.Type().Field(i).Anonymous {
			out = cells(out, v.Field(i))
			continue
		}
		out = append(out, cell(v.Field(i).Interface()))
	}
	return out
}

// cell is one value as CSV; numbers bare, all else quoted and made safe.
func cell(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return quote(safe(x))
	case bool:
		return strconv.FormatBool(x)
	case int:
		return strconv.Itoa(x)
	case int64:
		return strconv.FormatInt(x, 10)
	case uint64:
		return strconv.FormatUint(x, 10)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case *float64:
		if x == nil {
			return ""
		}
		return strconv.FormatFloat(*x, 'f', -1, 64)
	case *time.Time:
		if x == nil {
			return ""
		}
		return x.Format(time.RFC3339)
	case []byte:
		return base64.StdEncoding.EncodeToString(x)
	case []string:
		return quote(safe(strings.Join(x, " ")))
	case map[string]string:
		var parts []string
		for k, s := range x {
			parts = append(parts, k+"="+s)
		}
		slices.Sort(parts)
		return quote(safe(strings.Join(parts, "; ")))
	}
	b, err := json.Marshal(v)
	if err != nil { // cannot happen: row types hold what stands above
		return ""
	}
	return quote(safe(string(b)))
}

// safe keeps a spreadsheet from reading a text as a formula (OWASP, CSV injection): one that
// begins with = + - @, their full-width forms, a tab or a line end, also behind spaces or a
// quote, gets an apostrophe before it. Numbers never come here.
func safe(s string) string {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return s // −5 as text is a number to a spreadsheet, not a formula
	}
	t := strings.TrimLeft(s, " \"'\u00a0\ufeff")
	if t != "" && strings.ContainsRune("=+-@＝＋－＠\t\r\n|%", []rune(t)[0]) {
		return "'" + s
	}
	return s
}

// quote puts every text in quotes, whatever it holds: a locale's other separators split
// nothing.
func quote(s string) string {
	if s == "" {
		return ""
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// writeLine ends lines as RFC 4180 does. bufio keeps the first error for Flush.
func writeLine(w *bufio.Writer, cells []string) {
	for i, c := range cells {
		if i > 0 {
			_ = w.WriteByte(',')
		}
		_, _ = w.WriteString(c)
	}
	_, _ = w.WriteString("\r\n")
}

package markup

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// corpus breaks out of careless markup: each is put wherever a string may stand.
func corpus() []string {
	return []string{
		`<script>alert(1)</script>`, `"><script>alert(1)</script>`, `'><img src=x onerror=alert(1)>`, `" onmouseover="alert(1)`, `' onfocus='alert(1)' autofocus='`,
		`</title><script>alert(1)</script>`, `</textarea><svg onload=alert(1)>`, `<!--`, `--><script>alert(1)</script>`, `<![CDATA[<script>]]>`, `javascript:alert(1)`,
		`data:text/html,<script>alert(1)</script>`, `//evil.example/x`, `\\evil.example`, `/\evil.example`, `../../etc`, `?a=b&c=d#e`, `&lt;script&gt;`, `&#60;script&#62;`, "`${alert(1)}`", `{{constructor}}`,
		"\x00<script>", "a\x00b", "\xff\xfe<", "\u2028alert(1)", "\u202egnp.exe", "\u2066x\u2069", "</svg><script>", `<svg/onload=alert(1)>`, `<math><mtext></p><img onerror=alert(1)>`,
		"\r\nSet-Cookie: a=b", "\x1b[31mred", strings.Repeat("<", 3000), `" x="`, `<a href="javascript:alert(1)">`, `url(javascript:alert(1))`, "+ADw-script+AD4-",
	}
}

// build puts s wherever a page puts strings that are not its own.
func build(s string) []byte {
	return Document(s, Group(), El("main", Attr("id", s), Attr("title", s), Attr("data-x", s),
		El("p", Text(s)), Textf("% and %", s, s), El("a", Href(At("/left/{}", s).With("q", s)), Text(s)), El("form", Action(At("/a/{}/b", s)), El("input", Attr("value", s))),
		El("svg", El("text", Text(s)), El("rect", El("title", Text(s)))), El("code", Text(s)), El("pre", Text("\n"+s))))
}

// shape is the elements and attribute names of a page, in order, and all its texts and values.
func shape(t testing.TB, page []byte) (tags string, texts []string) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range doc.Descendants() {
		switch n.Type {
		case html.ElementNode:
			b.WriteString("<" + n.Data)
			for _, a := range n.Attr {
				b.WriteString(" " + a.Key)
				if a.Key == "href" || a.Key == "action" || a.Key == "src" {
					if !strings.HasPrefix(a.Val, "/") || strings.HasPrefix(a.Val, "//") || strings.ContainsAny(a.Val, "\\<>\"'") {
						t.Errorf("address %q", a.Val)
					}
				}
				texts = append(texts, a.Val)
			}
			b.WriteString(">")
		case html.TextNode:
			b.WriteString("#")
			texts = append(texts, n.Data)
		case html.CommentNode:
			b.WriteString("<!>")
		}
	}
	return b.String(), texts
}

// TestS59_NoStringIsEverMarkup: whatever a string holds, the page has the same elements and
// attributes as with a harmless one, and shows the string as it is.
func TestS59_NoStringIsEverMarkup(t *testing.T) {
	want, _ := shape(t, build("harmless"))
	for _, s := range corpus() {
		check(t, want, s)
	}
}

func FuzzS59_NoStringIsEverMarkup(f *testing.F) {
	for _, s := range corpus() {
		f.Add(s)
	}
	want, _ := shape(f, build("harmless"))
	f.Fuzz(func(t *testing.T, s string) {
		if strings.TrimSpace(s) == "" || len(s) > 1<<16 {
			return // blank text makes no text node
		}
		check(t, want, s)
	})
}

func check(t *testing.T, want, s string) {
	t.Helper()
	got, texts := shape(t, build(s))
	if got != want {
		t.Errorf("with %q the page is\n%s\nand not\n%s", s, got, want)
	}
	shown := cleaned(s)
	found := false
	for _, x := range texts {
		if x == shown {
			found = true
		}
	}
	if !found {
		t.Errorf("%q is not shown as %q", s, shown)
	}
}

// cleaned is s as a page may show it: each wrong byte and each forbidden mark becomes U+FFFD.
func cleaned(s string) string {
	var b strings.Builder
	for _, r := range s {
		if forbidden(r) {
			r = '\uFFFD'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func TestAnAddressStaysHere(t *testing.T) {
	for _, c := range []struct {
		got  URL
		want string
	}{
		{At("/"), "/"},
		{At("/left/{}", "12"), "/left/12"},
		{At("/left/{}", ".."), "/left/-"},
		{At("/{}/{}", "", "evil.example"), "/-/evil.example"},
		{At("/use/{}", "a/b?c#d"), "/use/a%2Fb%3Fc%23d"},
		{At("/use/{}", "{}"), "/use/%7B%7D"},
		{At("/use").With("by", "a b&c").With("p", ""), "/use?by=a+b%26c"},
		{At("/use").With("a", "1").With("b", "2"), "/use?a=1&b=2"},
		{URL{}, "/"},
	} {
		if got := c.got.String(); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

func TestWhatIsNotAllowedPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"script": func() { El("script") }, "style": func() { El("style") }, "iframe": func() { El("iframe") }, "use": func() { El("use") },
		"onclick": func() { Attr("onclick", "x") }, "style attribute": func() { Attr("style", "x") }, "href as text": func() { Attr("href", "x") }, "srcdoc": func() { Attr("srcdoc", "x") }, "formaction as text": func() { Attr("formaction", "x") },
		"other host": func() { At("//evil.example") }, "scheme": func() { At("javascript:alert(1)") }, "too few segments": func() { At("/a/{}") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it is allowed")
				}
			}()
			f()
		})
	}
}

func TestNumbersAreNumbers(t *testing.T) {
	for v, want := range map[float64]string{1: "1", 0.12345: "0.123", -0.0001: "0", 100: "100", math.Inf(1): "0", 12.5: "12.5"} {
		if got := Number(v); got != want {
			t.Errorf("%v is %q, not %q", v, got, want)
		}
	}
	if got := Number(math.NaN()); got != "0" {
		t.Errorf("NaN is %q", got)
	}
}

func TestNothingIsWrittenForNothing(t *testing.T) {
	got := string(Render(El("p", nil, Flag("hidden", false), Class(), When(false, Text("x")), Group(nil, Text("y")), Flag("open", true))))
	if got != `<p open>y</p>` {
		t.Error(got)
	}
	if got := string(Render(El("input", Attr("value", "a"), Text("never")))); got != `<input value="a">` {
		t.Error(got)
	}
}

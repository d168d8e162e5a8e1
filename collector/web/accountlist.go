package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/board"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

const perPage = 50

// accountsPage is the list of accounts; everything that shapes it is in the URL:
// q (search), env, m (measure), word (reading), f (filters NAME OP VALUE), sort, desc, col
// (columns), pin (keys), page.
type accountsPage struct {
	*board.Snapshot
	Query, Environment, Word, Sort string
	Desc                           bool
	Filters                        []filterChip
	Attributes                     []store.Attribute
	Columns                        []string
	Rows                           []listRow
	Shown                          report.Tally
	ShownWords                     string
	Total, Page, Pages             int
	Prev, Next, CSV, ClearAll      string
	Heads                          []head
	Environs                       []string
	Words                          []accounts.Word
	Measures                       []catalog.Measure
	Hidden                         []hidden // what the filter form carries along
}

// ShownPoint is the sum of what is listed, as a figure.
func (d *accountsPage) ShownPoint() accounts.Point { return words.TallyPoint(d.Start, d.Shown) }

type hidden struct{ Name, Value string }

type filterChip struct{ Text, Without string }

type head struct {
	Text, Href, Aria string
	Num              bool
}

type listRow struct {
	board.Row
	Pinned bool
	Pin    string // address with the pin toggled
}

func (h *Handler) accounts(q *request) error {
	if moved := foldFilter(q); moved != "" {
		http.Redirect(q.w, q.r, moved, http.StatusSeeOther)
		return nil
	}
	d := accountsPage{Query: q.get("q"), Environment: q.get("env"), Word: q.get("word"), Sort: q.get("sort"), Desc: q.get("desc") == "1", Environs: store.Environments()}
	var err error
	if d.Snapshot, err = h.board.Get(q.ctx, q.get("m"), d.Environment); err != nil {
		return err
	}
	if d.Attributes, err = h.c.Accounts.Attributes(q.ctx); err != nil {
		return err
	}
	filters, err := parseFilters(q.r.URL.Query()["f"])
	if err != nil {
		return err
	}
	d.Words = []accounts.Word{accounts.Growing, accounts.Steady, accounts.Shrinking, accounts.Unclear, accounts.Young, accounts.Idle, accounts.Withheld, accounts.Silent, accounts.Waiting, accounts.NoFigure, accounts.NoConsent, accounts.Closed}
	if d.Catalog != nil {
		for _, m := range d.Catalog.Measures {
			if m.Subject == catalog.Person && m.Kind != catalog.Fact || m.Kind == catalog.Count {
				d.Measures = append(d.Measures, m)
			}
		}
	}
	d.columns(q)
	d.fill(q, filters)
	d.chips(q, filters)
	q.render(http.StatusOK, "accounts", page{Title: "Accounts", Section: "accounts"}, &d)
	return nil
}

// foldFilter turns the three fields of the filter form into one f parameter, so that the
// address can be shared; "" when there is nothing to fold.
func foldFilter(q *request) string {
	v := q.r.URL.Query()
	if !v.Has("fa") && !v.Has("addcol") {
		return ""
	}
	if a, val := v.Get("fa"), strings.TrimSpace(v.Get("fv")); a != "" && val != "" {
		v.Add("f", a+v.Get("fo")+val)
	}
	if c := v.Get("addcol"); c != "" && !slices.Contains(v["col"], c) {
		v.Add("col", c)
	}
	for _, k := range []string{"fa", "fo", "fv", "addcol", "page"} {
		v.Del(k)
	}
	for k := range v {
		if v.Get(k) == "" {
			v.Del(k)
		}
	}
	return (&url.URL{Path: "/accounts", RawQuery: v.Encode()}).String()
}

// parseFilters reads NAME OP VALUE.
func parseFilters(in []string) ([]store.Filter, error) {
	var out []store.Filter
	for _, s := range in {
		i := strings.IndexAny(s, "=!<>~")
		if i < 1 {
			return nil, &access.Error{Status: http.StatusBadRequest, Code: "filter_invalid", Message: "The filter " + strconv.Quote(clip(s)) + " has no comparison.", Hint: "Write it as plan=Team, seats>=100 or region~nord."}
		}
		f := store.Filter{Attribute: strings.ToLower(s[:i])}
		for _, op := range []store.Op{store.NotEqual, store.AtLeast, store.AtMost, store.Equal, store.Contains} {
			if rest, ok := strings.CutPrefix(s[i:], string(op)); ok {
				f.Op, f.Value = op, rest
				break
			}
		}
		if f.Op == "" {
			return nil, &access.Error{Status: http.StatusBadRequest, Code: "filter_invalid", Message: "The filter " + strconv.Quote(clip(s)) + " has an unknown comparison.", Hint: "Use =, !=, >=, <= or ~ (contains)."}
		}
		out = append(out, f)
	}
	return out, nil
}

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// columns are those chosen, else the first three attributes that most accounts have.
func (d *accountsPage) columns(q *request) {
	for _, c := range q.r.URL.Query()["col"] {
		if slices.ContainsFunc(d.Attributes, func(a store.Attribute) bool { return a.Name == c }) && len(d.Columns) < 8 {
			d.Columns = append(d.Columns, c)
		}
	}
	if len(d.Columns) > 0 {
		return
	}
	byCount := slices.Clone(d.Attributes)
	slices.SortStableFunc(byCount, func(a, b store.Attribute) int { return b.Accounts - a.Accounts })
	for _, want := range []string{"plan", "seats", "renewal", "industry", "region"} {
		for _, a := range byCount {
			if a.Name == want && len(d.Columns) < 3 {
				d.Columns = append(d.Columns, a.Name)
			}
		}
	}
}

func (d *accountsPage) fill(q *request, filters []store.Filter) {
	search := strings.ToLower(strings.TrimSpace(d.Query))
	var list []listRow
	pins := q.r.URL.Query()["pin"]
	for i := range d.Snapshot.Rows {
		r := &d.Snapshot.Rows[i]
		pinned := slices.Contains(pins, r.Key)
		fit := (search == "" || strings.Contains(strings.ToLower(r.Name), search) || strings.Contains(strings.ToLower(r.Key), search)) &&
			(d.Word == "" || d.Word == string(r.Reading.Word))
		for _, f := range filters {
			fit = fit && board.Fits(&r.AccountRow, f)
		}
		if !fit && !pinned {
			continue
		}
		if fit {
			d.Shown.Add(r.Now.Form, r.Now.Interval)
		}
		list = append(list, listRow{Row: *r, Pinned: pinned, Pin: pinAddress(q, r.Key, pinned)})
	}
	d.order(list)
	d.ShownWords = words.Told(d.Shown, "account")
	d.Total = len(list)
	d.Pages = max(1, (d.Total+perPage-1)/perPage)
	d.Page, _ = strconv.Atoi(q.get("page"))
	d.Page = min(max(1, d.Page), d.Pages)
	d.Rows = list[(d.Page-1)*perPage : min(d.Total, d.Page*perPage)]
	if d.Page > 1 {
		d.Prev = q.with("page", strconv.Itoa(d.Page-1))
	}
	if d.Page < d.Pages {
		d.Next = q.with("page", strconv.Itoa(d.Page+1))
	}
	v := q.r.URL.Query()
	for _, k := range []string{"page", "pin", "col", "word"} {
		v.Del(k)
	}
	if d.Measure != nil {
		v.Set("m", d.Measure.ID)
	}
	d.CSV = "/api/v1/accounts.csv?" + v.Encode()
	d.heads(q)
}

func pinAddress(q *request, key string, pinned bool) string {
	v := q.r.URL.Query()
	if pinned {
		v["pin"] = slices.DeleteFunc(v["pin"], func(p string) bool { return p == key })
	} else {
		v.Add("pin", key)
	}
	return (&url.URL{Path: q.r.URL.Path, RawQuery: v.Encode()}).String()
}

// order sorts: pins first, then by the chosen column; equal rows by name, so that the order is
// total. Figures go by lower end, then upper end; withheld and then unknown come last in
// both directions. Accounts without the attribute come last too.
func (d *accountsPage) order(list []listRow) {
	by := func(a, b *listRow) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) }
	sign := 1
	if d.Desc {
		sign = -1
	}
	attr, isAttr := strings.CutPrefix(d.Sort, "attr.")
	slices.SortStableFunc(list, func(a, b listRow) int {
		if a.Pinned != b.Pinned {
			return map[bool]int{true: -1, false: 1}[a.Pinned]
		}
		c := 0
		switch {
		case d.Sort == "figure" && d.Desc:
			c = accounts.CompareDesc(a.Now, b.Now)
		case d.Sort == "figure":
			c = accounts.Compare(a.Now, b.Now)
		case d.Sort == "last":
			c = sign * a.LastReport.Compare(b.LastReport)
		case d.Sort == "reading":
			c = sign * strings.Compare(string(a.Reading.Word), string(b.Reading.Word))
		case d.Sort == "level":
			c = compareLevels(&a.Row, &b.Row, sign)
		case isAttr:
			x, okA := a.Attributes[attr]
			y, okB := b.Attributes[attr]
			if okA != okB {
				return map[bool]int{true: -1, false: 1}[okA]
			}
			c = sign * board.CompareValues(x, y)
		default:
			c = sign * by(&a, &b)
		}
		return cmp.Or(c, by(&a, &b), strings.Compare(a.Key, b.Key))
	})
}

func compareLevels(a, b *board.Row, sign int) int {
	x, y := a.Worst(), b.Worst()
	okA, okB := x != nil && x.HasShare, y != nil && y.HasShare
	if okA != okB {
		return map[bool]int{true: -1, false: 1}[okA]
	}
	if !okA {
		return 0
	}
	return sign * cmp.Or(cmp.Compare(x.Share.Lo, y.Share.Lo), cmp.Compare(x.Share.Hi, y.Share.Hi))
}

func (d *accountsPage) heads(q *request) {
	add := func(text, key string, isNum, descFirst bool) {
		h := head{Text: text, Num: isNum}
		desc := ""
		if d.Sort == key || (d.Sort == "" && key == "name") {
			h.Aria = "ascending"
			if d.Desc {
				h.Aria = "descending"
			} else {
				desc = "1"
			}
		} else if descFirst {
			desc = "1"
		}
		h.Href = q.with("sort", key, "desc", desc, "page", "")
		d.Heads = append(d.Heads, h)
	}
	add("Account", "name", false, false)
	figure := "Figure"
	if d.Measure != nil {
		figure = words.Label(d.Measure.ID)
	}
	add(figure, "figure", true, true)
	d.Heads = append(d.Heads, head{Text: d.Span()})
	add("Reading", "reading", false, false)
	add("Available, %", "level", true, false)
	add("Last report", "last", false, true)
	d.Heads = append(d.Heads, head{Text: "Consent"})
	for _, c := range d.Columns {
		add(words.Label(c), "attr."+c, false, false)
	}
}

func (d *accountsPage) chips(q *request, filters []store.Filter) {
	raw := q.r.URL.Query()["f"]
	for i, f := range filters {
		v := q.r.URL.Query()
		v["f"] = slices.Delete(slices.Clone(raw), i, i+1)
		v.Del("page")
		d.Filters = append(d.Filters, filterChip{words.Label(f.Attribute) + " " + string(f.Op) + " " + f.Value, (&url.URL{Path: "/accounts", RawQuery: v.Encode()}).String()})
	}
	for _, k := range []string{"sort", "desc", "m"} {
		if v := q.get(k); v != "" {
			d.Hidden = append(d.Hidden, hidden{k, v})
		}
	}
	for _, k := range []string{"f", "pin", "col"} {
		for _, v := range q.r.URL.Query()[k] {
			d.Hidden = append(d.Hidden, hidden{k, v})
		}
	}
	if len(filters) > 0 || d.Query != "" || d.Word != "" || d.Environment != "" {
		d.ClearAll = q.with("f", "", "q", "", "word", "", "env", "", "page", "")
	}
}

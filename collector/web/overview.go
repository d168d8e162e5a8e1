package web

import (
	"cmp"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/sla"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/board"
	"github.com/fieldpost/fieldpost/collector/web/chart"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/report"
)

type overviewPage struct {
	*board.Snapshot
	Headline    string // of the total, in words
	Chart       template.HTML
	Growing     [2]int // accounts, of those a word can be said of
	Shrinking   int
	Kept        [4]int // kept, judged, missed, without data
	UpToDate    [2]int
	Newest      string
	Behind      int
	CatchingUp  int
	Concerns    []board.Concern
	MoreConcern int
	Rows        []board.Row
	Environment string
	Environs    []string
	Table       []tableRow
	CSV         string
}

type tableRow struct {
	Start string
	Point accounts.Point
	Words string
}

func (h *Handler) overview(q *request) error {
	env := q.get("env")
	o, err := h.board.Overview(q.ctx)
	if err != nil {
		return err
	}
	if o.Installations == 0 {
		if q.id.Role.Includes(access.Admin) {
			http.Redirect(q.w, q.r, "/start", http.StatusSeeOther)
			return nil
		}
		q.render(http.StatusOK, "empty", page{Title: "Overview", Section: "overview"}, nil)
		return nil
	}
	s, err := h.board.Get(q.ctx, q.get("m"), env)
	if err != nil {
		return err
	}
	d := overviewPage{Snapshot: s, Environment: env, Environs: store.Environments()}
	d.Headline = words.Told(s.Total, "account")
	ws := s.Columns()
	for i := range ws {
		d.Table = append(d.Table, tableRow{words.Window(s.Grain, s.Line[i].Start), s.Line[i], words.Told(s.Tallies[i], "account")})
	}
	slices.Reverse(d.Table)
	if s.Measure != nil {
		first := slices.IndexFunc(s.Line, func(p accounts.Point) bool { return p.Form != report.Unknown })
		if first = min(first, len(ws)-26); first > 0 {
			ws, d.Table = ws[first:], d.Table[:len(ws)-first]
		}
		d.Chart = chart.Columns(s.Measure.Question, ws, int(accounts.Step(s.Grain)), nil)
		d.CSV = "/api/v1/periods.csv?grain=" + s.Grain.String() + "&fleet=true&measure=" + s.Measure.ID
	}
	d.count()
	d.Concerns = board.Concerns(s)
	if n := len(d.Concerns); n > 8 {
		d.MoreConcern, d.Concerns = n-8, d.Concerns[:8]
	}
	d.Rows = slices.Clone(s.Rows)
	slices.SortStableFunc(d.Rows, func(a, b board.Row) int {
		return cmp.Or(accounts.CompareDesc(a.Now, b.Now), strings.Compare(a.Name, b.Name))
	})
	d.Rows = d.Rows[:min(12, len(d.Rows))]
	q.render(http.StatusOK, "overview", page{Title: "Overview", Section: "overview"}, d)
	return nil
}

func (d *overviewPage) count() {
	for i := range d.Snapshot.Rows {
		r := &d.Snapshot.Rows[i]
		switch r.Reading.Word {
		case accounts.Growing:
			d.Growing[0]++
			d.Growing[1]++
		case accounts.Shrinking:
			d.Shrinking++
			d.Growing[1]++
		case accounts.Steady:
			d.Growing[1]++
		}
		if w := r.Worst(); w != nil {
			switch w.State() {
			case sla.Kept:
				d.Kept[0]++
				d.Kept[1]++
			case sla.Missed:
				d.Kept[1]++
				d.Kept[2]++
			case sla.Open:
				d.Kept[1]++
			default:
				d.Kept[3]++
			}
		}
	}
	d.Newest = newestVersion(d.Overview.ByVersion)
	for v, n := range d.Overview.ByVersion {
		d.UpToDate[1] += n
		if v == d.Newest {
			d.UpToDate[0] += n
		}
	}
	d.Behind = d.UpToDate[1] - d.UpToDate[0]
}

// newestVersion compares dotted numbers; what is no number sorts by its text.
func newestVersion(by map[string]int) string {
	best := ""
	for v := range by {
		if best == "" || compareVersions(v, best) > 0 {
			best = v
		}
	}
	return best
}

func compareVersions(a, b string) int {
	split := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == '.' || r == '-' || r == '+' })
	}
	return slices.CompareFunc(split(a), split(b), func(x, y string) int {
		n, e1 := strconv.Atoi(x)
		m, e2 := strconv.Atoi(y)
		if e1 == nil && e2 == nil {
			return cmp.Compare(n, m)
		}
		return strings.Compare(x, y)
	})
}

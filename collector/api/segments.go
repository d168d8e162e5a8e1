package api

import (
	"net/http"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// segmentRow is what accounts with the same imported trait tell together in one window.
type segmentRow struct {
	Segment    string   `json:"segment"`
	Accounts   int      `json:"accounts"`
	Told       int      `json:"told"`
	Noised     int      `json:"noised" doc:"Accounts, among those that told it, whose figure has noise; the sums leave it out."`
	Partial    int      `json:"partial" doc:"Accounts, among those that told it, of which an installation withheld it; they add what the others told."`
	Suppressed int      `json:"suppressed"`
	Unknown    int      `json:"unknown"`
	MedianLo   *float64 `json:"median_lo,omitempty"`
	MedianHi   *float64 `json:"median_hi,omitempty"`
	LowerLo    *float64 `json:"lower_quartile_lo,omitempty"`
	LowerHi    *float64 `json:"lower_quartile_hi,omitempty"`
	UpperLo    *float64 `json:"upper_quartile_lo,omitempty"`
	UpperHi    *float64 `json:"upper_quartile_hi,omitempty"`
	SumLo      *float64 `json:"sum_lo,omitempty"`
	SumHi      *float64 `json:"sum_hi,omitempty"`
	Largest    string   `json:"largest,omitempty"`
	WithoutLo  *float64 `json:"sum_without_largest_lo,omitempty"`
	WithoutHi  *float64 `json:"sum_without_largest_hi,omitempty"`
}

// segments groups accounts by an imported trait, in the window that begins at start (of 28
// days: that ends then). The last row is of all accounts.
func (h *Handler) segments(c *call) (any, error) {
	trait := c.get("trait")
	start, err := c.date("start")
	if err != nil {
		return nil, err
	}
	if c.get("measure") == "" || trait == "" || start.IsZero() {
		return nil, &access.Error{Status: http.StatusBadRequest, Code: "parameter_missing", Message: "Segments need a measure, a trait and a start.", Hint: "Give measure, trait, and start=2026-01-31."}
	}
	day := report.CivilDay(start, start.Location())
	query := store.PeriodQuery{Measure: c.get("measure"), Field: report.Value, Grain: store.Weekly, From: day, To: day, Environments: c.r.URL.Query()["environment"]}
	if f, err := report.ParseField(c.get("field")); err == nil {
		query.Field = f
	}
	if g, err := report.ParseGrain(c.get("grain")); err == nil {
		query.Grain = g
	}
	list, err := h.c.Measurements.Periods(c.ctx, query)
	if err != nil {
		return nil, err
	}
	by := map[string][]store.Period{}
	for _, p := range list {
		by[p.Account] = append(by[p.Account], p)
	}
	var members []accounts.Member
	for q := (store.AccountQuery{Limit: 1000}); ; q.Offset += q.Limit {
		p, err := h.c.Accounts.AccountPage(c.ctx, q)
		if err != nil {
			return nil, err
		}
		for _, a := range p.Rows {
			members = append(members, accounts.Member{Key: a.Key, Name: a.Name, Trait: a.Attributes[trait], Point: accounts.Line(by[a.Key], day, day, "")[0]})
		}
		if q.Offset+q.Limit >= p.Total {
			break
		}
	}
	segs, all := accounts.Segments(members, trait)
	rows := make([]segmentRow, 0, len(segs)+1)
	for _, s := range append(segs, all) {
		rows = append(rows, ofSegment(s))
	}
	return slicePage(c, rows, 1000), nil
}

func ofSegment(s accounts.Segment) segmentRow {
	r := segmentRow{Segment: s.Name, Accounts: len(s.Members), Told: s.Sum.Told(), Noised: s.Sum.Noised, Partial: s.Sum.Partial, Suppressed: s.Sum.Suppressed, Unknown: s.Sum.Unknown}
	if s.Told {
		r.MedianLo, r.MedianHi = ends(s.Median)
		r.LowerLo, r.LowerHi = ends(s.Lower)
		r.UpperLo, r.UpperHi = ends(s.Upper)
		r.SumLo, r.SumHi = ends(s.Sum.Interval)
	}
	if s.Largest != nil {
		r.Largest = s.Largest.Key
		r.WithoutLo, r.WithoutHi = ends(s.Without.Interval)
	}
	return r
}

// ends of an interval; an open top has none.
func ends(i report.Interval) (lo, hi *float64) {
	if i.Hi <= maxFinite {
		hi = &i.Hi
	}
	return &i.Lo, hi
}

const maxFinite = 1e300

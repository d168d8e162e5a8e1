package many

import (
	"html/template"
	"net/url"
	"slices"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/board"
	"github.com/fieldpost/fieldpost/collector/web/chart"
	"github.com/fieldpost/fieldpost/collector/web/kinds"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Segments are the accounts of a measure by one imported trait.
type Segments struct {
	By     string
	Traits []store.Attribute
	List   []SegmentRow
	All    SegmentRow
	Most   float64
	Window string
	CSV    string
}

type SegmentRow struct {
	accounts.Segment
	Sum, Without accounts.Point
	Dots         template.HTML
	Href         string
	Share        template.HTML // of the largest account in the sum
}

// NewSegments groups the accounts of a snapshot by the trait, if there is such a one.
func NewSegments(s *board.Snapshot, traits []store.Attribute, by, field string) Segments {
	p := Segments{By: by, Traits: traits, Window: s.Window()}
	if !slices.ContainsFunc(p.Traits, func(a store.Attribute) bool { return a.Name == p.By }) {
		p.By = ""
	}
	members := make([]accounts.Member, len(s.Rows))
	for i := range s.Rows {
		r := &s.Rows[i]
		members[i] = accounts.Member{Key: r.Key, Name: r.Name, Trait: r.Attributes[p.By], Point: r.Now}
		if r.Now.Told() {
			p.Most = max(p.Most, kinds.Top(r.Now))
		}
	}
	list, all := accounts.Segments(members, p.By)
	p.All = segmentOf(all, p.Most, s.Start)
	if p.By == "" {
		return p
	}
	for _, g := range list {
		r := segmentOf(g, p.Most, s.Start)
		if len(g.Filter) > 0 {
			r.Href = "/accounts?" + url.Values{"m": {s.Measure.ID}, "f": g.Filter, "sort": {"figure"}, "desc": {"1"}}.Encode()
		}
		p.List = append(p.List, r)
	}
	p.CSV = "/api/v1/segments.csv?" + url.Values{"measure": {s.Measure.ID}, "field": {field}, "trait": {p.By}, "grain": {s.Grain.String()}, "start": {report.StartString(s.Grain, s.Start)}}.Encode()
	return p
}

func segmentOf(g accounts.Segment, most float64, start int64) SegmentRow {
	r := SegmentRow{Segment: g, Sum: words.TallyPoint(start, g.Sum), Without: words.TallyPoint(start, g.Without)}
	var list []chart.Amount
	for _, m := range g.Members {
		list = append(list, chart.Amount{Form: m.Point.Form, Interval: m.Point.Interval})
	}
	r.Dots = chart.Dots(list, most)
	if g.Largest != nil {
		r.Share = kinds.ShareOf(g.Largest.Point, r.Without)
	}
	return r
}

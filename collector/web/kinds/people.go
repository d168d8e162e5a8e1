package kinds

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/web/chart"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// lifecycle: who came, above the line; who stayed away, below it.
func (s *set) lifecycle() View {
	v := View{Legend: []Key{{"k-new", "new"}, {"k-back", "came back"}, {"k-dormant", "dormant"}, {"k-light", "light: up to the upper end"}, {"k-supp", "withheld"}, {"k-gap", "not told"}}}
	t := Table{Title: "Figures", Behind: true, Heads: heads("Window", "#New", "#Came back", "#Stayed", "#Dormant", "#Active", "#Lost of those before")}
	fields := []report.Field{report.New, report.Resurrected, report.Retained, report.Dormant}
	days := int64(28)
	if s.grain() == report.Week {
		days = 7
	}
	var flows []chart.Flow
	for start := s.starts[0]; start <= s.newest(); start += days {
		p := map[report.Field]accounts.Point{}
		for _, f := range fields {
			p[f] = s.at(start, f)
		}
		flows = append(flows, chart.Flow{Start: chart.Day(start), New: amount(p[report.New]), Resurrected: amount(p[report.Resurrected]), Dormant: amount(p[report.Dormant]),
			Read: fmt.Sprintf("%s: new %s; came back %s; dormant %s", s.window(start), words.FigureText(p[report.New]), words.FigureText(p[report.Resurrected]), words.FigureText(p[report.Dormant]))})
		t.Rows = append(t.Rows, []Cell{text(s.window(start)), fig(p[report.New]), fig(p[report.Resurrected]), fig(p[report.Retained]), fig(p[report.Dormant]), fig(s.active(start)), percentCell(s.lost(start))})
	}
	slices.Reverse(t.Rows)
	v.Chart = chart.Flows(s.m.Question, flows)
	now := s.newest()
	v.Facts = []Fact{{"Active", words.Figure(s.active(now)), "new + came back + stayed"}, {"Gained", words.Figure(sum(s.at(now, report.New), s.at(now, report.Resurrected))), "new + came back"},
		{"Dormant", words.Figure(s.at(now, report.Dormant)), "active the block before, not in this one"}, {"Lost", percent(s.lost(now)), "of those active the block before"}}
	v.Verdict = s.volcano()
	v.Tables = append(v.Tables, t)
	for _, dims := range s.m.By {
		if b, ok := s.breakdown(now, dims); ok {
			v.Tables = append(v.Tables, b)
		}
	}
	return v
}

func (s *set) active(start int64) accounts.Point {
	return sum(s.at(start, report.New), s.at(start, report.Resurrected), s.at(start, report.Retained))
}

// lost is dormant ÷ (retained + dormant): all who were active the block before.
func (s *set) lost(start int64) accounts.Point {
	d, r := s.at(start, report.Dormant), s.at(start, report.Retained)
	out := accounts.Point{Start: start, Form: d.Form}
	if !d.Told() || !r.Told() {
		if d.Told() {
			out.Form = r.Form
		}
		return out
	}
	i, ok := report.ShareOf(d.Interval, r.Interval)
	if !ok || i.Lo <= 0 && i.Hi >= 1 {
		return accounts.Point{Start: start}
	}
	out.Interval, out.Form = i, report.Band
	return out
}

// sum adds disjoint figures; where one was withheld or not told there is no top.
func sum(ps ...accounts.Point) accounts.Point {
	var t report.Tally
	for _, p := range ps {
		t.Add(p.Form, p.Interval)
	}
	out := accounts.Point{Form: t.Form(), Interval: t.Interval}
	if t.Told() > 0 && t.Told() < len(ps) {
		out.Hi, out.Form = math.Inf(1), report.Band
	}
	return out
}

// volcano says whether flows cancel out behind a flat line. Each word holds for every value
// inside the intervals: people are exchanged where both what came and what went dormant is
// more than a quarter of those active before, and the line moved by less than half of that.
func (s *set) volcano() *Verdict {
	start := s.newest()
	gained, lost := sum(s.at(start, report.New), s.at(start, report.Resurrected)), s.at(start, report.Dormant)
	stayed := s.at(start, report.Retained)
	if !gained.Told() || !lost.Told() || !stayed.Told() || math.IsInf(gained.Hi, 1) || math.IsInf(lost.Hi, 1) || math.IsInf(stayed.Hi, 1) {
		return &Verdict{"unknown", "open", "Too much of this block was withheld or not told to say whether flows cancel out."}
	}
	net := gained.Sub(lost.Interval)
	before := lost.Interval.Add(stayed.Interval)
	line := fmt.Sprintf("%s came and %s went dormant; the line moved by %s to %s.", words.Interval(gained.Interval), words.Interval(lost.Interval), signed(net.Lo), signed(net.Hi))
	quarter := before.Hi / 4
	switch {
	case gained.Lo >= quarter && lost.Lo >= quarter && math.Max(math.Abs(net.Lo), math.Abs(net.Hi)) < 2*math.Min(gained.Lo, lost.Lo):
		return &Verdict{"bad", "sitting on a volcano", line + " More than a quarter of the people were exchanged behind the line."}
	case net.Lo > 0:
		return &Verdict{"good", "more came than went", line}
	case net.Hi < 0:
		return &Verdict{"warn", "more went than came", line}
	case gained.Hi < quarter && lost.Hi < quarter:
		return &Verdict{"good", "calm", line + " Less than a quarter of the people changed."}
	}
	return &Verdict{"unknown", "unclear", line + " The ends of the intervals leave more than one answer."}
}

func signed(v float64) string {
	if v > 0 {
		return "+" + words.Num(v)
	}
	return words.Num(v)
}

// stickiness: L28, and the ratio that follows from its bins.
func (s *set) stickiness() View {
	now := s.newest()
	active := s.at(now, report.Value)
	names, ends := catalog.DayBins(), binEnds()
	t := Table{Title: "On how many of the 28 days people were active", Heads: heads("Days", "", "#People", "#Of the active")}
	var bins []accounts.Point
	for _, n := range names {
		bins = append(bins, s.at(now, report.Value, "days", n))
	}
	for i, n := range names {
		t.Rows = append(t.Rows, []Cell{text(n), bar(bins[i], top(bins...)), fig(bins[i]), percentCell(share(bins[i], active))})
	}
	v := View{Tables: []Table{t}, Facts: []Fact{{"Active in 28 days", words.Figure(active), ""}}}
	ratio := accounts.Point{}
	if daily := s.at(now, report.Daily); daily.Told() { // strict and exact sites tell it by itself
		ratio = share(daily, scaled(active, 28))
	} else {
		ratio = Stickiness(active, bins, ends)
	}
	v.Facts = append(v.Facts, Fact{"Stickiness", percent(ratio), "an average day's active ÷ active in 28 days; the interval that the bins allow"})
	history := Table{Title: "28 days on each block's last day", Behind: len(s.starts) > 2, Heads: heads("Window", "#Active", "#Stickiness")}
	for _, start := range s.recent(26) {
		var b []accounts.Point
		for _, n := range names {
			b = append(b, s.at(start, report.Value, "days", n))
		}
		history.Rows = append(history.Rows, []Cell{text(s.window(start)), fig(s.at(start, report.Value)), percentCell(Stickiness(s.at(start, report.Value), b, ends))})
	}
	v.Tables = append(v.Tables, history)
	return v
}

func scaled(p accounts.Point, by float64) accounts.Point {
	p.Lo, p.Hi = p.Lo*by, p.Hi*by
	return p
}

// binEnds are the ends of L28's bins in days.
func binEnds() (out []report.Interval) {
	for _, n := range catalog.DayBins() {
		lo, hi, found := strings.Cut(n, "-")
		if !found {
			hi = lo
		}
		a, _ := strconv.ParseFloat(lo, 64)
		b, _ := strconv.ParseFloat(hi, 64)
		out = append(out, report.Interval{Lo: a, Hi: b})
	}
	return out
}

// Stickiness is the interval of (days ÷ 28, averaged over the active) that L28's bins allow.
// The average of days, weighted by people, is least with each bin's days at their low end,
// as many people as possible in the bins below some line and as few as possible above it;
// the line is tried at every bin. The largest is the mirror image. A bin that was withheld
// holds from nought to all of the active.
func Stickiness(active accounts.Point, bins []accounts.Point, ends []report.Interval) accounts.Point {
	n := make([]report.Interval, len(bins))
	told := 0
	for i, b := range bins {
		n[i] = b.Interval
		if b.Told() {
			told++
		} else {
			n[i] = report.Interval{Lo: 0, Hi: math.Inf(1)}
		}
		if active.Told() {
			n[i].Hi = math.Min(n[i].Hi, active.Hi)
		}
		if math.IsInf(n[i].Hi, 1) {
			return accounts.Point{Form: report.Unknown}
		}
	}
	if told == 0 {
		return accounts.Point{Form: active.Form * 0}
	}
	mean := func(line int, low bool) float64 {
		days, people := 0.0, 0.0
		for i := range n {
			d, w := ends[i].Lo, n[i].Lo
			if !low {
				d = ends[i].Hi
			}
			if low == (i < line) {
				w = n[i].Hi
			}
			days, people = days+d*w, people+w
		}
		if people == 0 {
			return math.NaN()
		}
		return days / people / 28
	}
	out := report.Interval{Lo: math.Inf(1), Hi: math.Inf(-1)}
	for line := 0; line <= len(n); line++ {
		if v := mean(line, true); !math.IsNaN(v) {
			out.Lo = math.Min(out.Lo, v)
		}
		if v := mean(line, false); !math.IsNaN(v) {
			out.Hi = math.Max(out.Hi, v)
		}
	}
	if out.Lo > out.Hi {
		return accounts.Point{}
	}
	return accounts.Point{Form: report.Band, Interval: out}
}

// retention: cohorts under one another.
func (s *set) retention() View {
	cohorts := s.recent(9)
	most := 1
	for k := range s.by {
		if o, err := strconv.Atoi(s.dims[k.dims]["offset"]); err == nil {
			most = max(most, o)
		}
	}
	v := View{Title: "cohorts of 12 weeks", Legend: formLegend()}
	// A row for each week, a column for each cohort: there are more weeks than a page is wide.
	t := Table{Title: "Share that was active, by weeks after the first", Behind: true, Heads: heads("Cohort from"), Rows: make([][]Cell, 1+most)}
	t.Rows[0] = []Cell{text("people")}
	for o := 1; o <= most; o++ {
		t.Rows[o] = []Cell{text("week " + strconv.Itoa(o))}
	}
	var list []chart.Cohort
	for _, start := range cohorts {
		size := s.at(start, report.Value)
		c := chart.Cohort{Name: chart.Day(start).Format("2 Jan 2006")}
		t.Heads = append(t.Heads, Head{c.Name, true})
		t.Rows[0] = append(t.Rows[0], fig(size))
		for o := 1; o <= most; o++ {
			p := s.at(start, report.Value, "offset", strconv.Itoa(o))
			r := share(p, size)
			early := p.Form == report.Unknown && start+84+int64(o)*7+s.grace() > s.today
			read := fmt.Sprintf("cohort from %s, week %d: ", words.Day(start), o)
			switch {
			case early:
				t.Rows[o] = append(t.Rows[o], Cell{HTML: `<span class="note">too early</span>`, Num: true})
			default:
				t.Rows[o] = append(t.Rows[o], percentCell(r))
			}
			if r.Told() {
				read += percentText(r) + " (" + words.FigureText(p) + " of " + words.FigureText(size) + ")"
			} else {
				read += words.FigureText(p)
			}
			cell := chart.CohortCell{Amount: amount(r), Early: early, Read: read}
			if p.Told() && !r.Told() { // told, but it may be any share
				cell.Amount = chart.Amount{Form: report.Band, Interval: report.Interval{Lo: 0, Hi: 1}}
			}
			c.Cells = append(c.Cells, cell)
		}
		list = append(list, c)
	}
	v.Chart = chart.Triangle(s.m.Question, list, most)
	v.Tables = []Table{t}
	size := s.at(cohorts[0], report.Value)
	v.Facts = []Fact{{"Newest cohort", words.Figure(size), "from " + words.Day(cohorts[0])}}
	for _, o := range []int{4, 12, 26} {
		for _, start := range cohorts {
			p := s.at(start, report.Value, "offset", strconv.Itoa(o))
			if o <= most && p.Form != report.Unknown {
				v.Facts = append(v.Facts, Fact{fmt.Sprintf("Active in week %d", o), percent(share(p, s.at(start, report.Value))), "cohort from " + words.Day(start)})
				break
			}
		}
	}
	return v
}

// grace is how many days after a window's end late events and other time zones keep it open.
func (s *set) grace() int64 { return int64(accounts.Grace(s.c, s.m).Hours()/24) + 1 }

// seats: bought, given, used.
func (s *set) seats() View {
	now := s.newest()
	bought, given, active, peak := s.at(now, report.Purchased), s.at(now, report.Assigned), s.at(now, report.Value), s.at(now, report.Peak)
	most := top(bought, given, active, peak)
	t := Table{Title: "Seats, " + s.window(now), Heads: heads("", "", "#Seats", "#Of those purchased")}
	for _, r := range []struct {
		name string
		p    accounts.Point
	}{{"Purchased", bought}, {"Assigned", given}, {"Active in 28 days", active}, {"Peak within an hour", peak}} {
		t.Rows = append(t.Rows, []Cell{text(r.name), bar(r.p, most), fig(r.p), percentCell(seatShare(r.p, bought))})
	}
	used := seatShare(active, bought)
	v := View{Tables: []Table{t}, Facts: []Fact{{"Used", percent(used), "active ÷ purchased"}, {"Purchased", words.Figure(bought), ""}}}
	if full := s.at(now, report.AtCap); full.Form != report.Unknown {
		v.Facts = append(v.Facts, Fact{"Days at the cap", words.Figure(full), "of 28: the peak reached what was purchased"})
	}
	switch {
	case !used.Told():
	case used.Lo > 1:
		v.Verdict = &Verdict{"bad", "over the licence", "More people were active than seats were purchased, whatever lies inside the intervals."}
	case used.Lo >= 0.9:
		v.Verdict = &Verdict{"warn", "nearly full", "At least 90 % of the seats are used: talk about more."}
	case used.Hi < 0.5:
		v.Verdict = &Verdict{"warn", "half empty", "Less than half of the seats are used."}
	}
	history := Table{Title: "28 days on each block's last day", Behind: true, Heads: heads("Window", "#Purchased", "#Assigned", "#Active", "#Peak", "#Used")}
	for _, start := range s.recent(26) {
		history.Rows = append(history.Rows, []Cell{text(s.window(start)), fig(s.at(start, report.Purchased)), fig(s.at(start, report.Assigned)), fig(s.at(start, report.Value)), fig(s.at(start, report.Peak)),
			percentCell(seatShare(s.at(start, report.Value), s.at(start, report.Purchased)))})
	}
	v.Tables = append(v.Tables, history)
	return v
}

// seatShare may be above 1: more people than seats.
func seatShare(part, whole accounts.Point) accounts.Point {
	r, ok := part.Ratio(whole.Interval)
	if !part.Told() || !whole.Told() || !ok {
		if part.Form == report.Suppressed {
			return accounts.Point{Form: report.Suppressed}
		}
		return accounts.Point{}
	}
	return accounts.Point{Form: report.Band, Interval: r}
}

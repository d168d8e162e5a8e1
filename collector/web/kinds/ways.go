package kinds

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/web/words"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// funnel: how far people came, and how long it took.
func (s *set) funnel() View {
	now := s.newest()
	for _, start := range s.recent(26) { // the newest block in which somebody may have entered
		if p := s.at(start, report.Value); p.Told() && p.Hi > 0 {
			now = start
			break
		}
	}
	entered := s.at(now, report.Value)
	v := View{Title: "entered in the " + s.window(now)}
	steps := Table{Title: "Steps", Heads: heads("Step", "", "#Reached", "#Of those who entered", "#Of the step before")}
	before := accounts.Point{}
	last := accounts.Point{}
	for i, st := range s.m.Steps {
		p := s.at(now, report.Value, "step", st.ID)
		if i == 0 && !p.Told() {
			p = entered
		}
		row := []Cell{text(strconv.Itoa(i+1) + ". " + words.Label(st.ID)), bar(p, top(entered)), fig(p), percentCell(share(p, entered)), text("")}
		if i > 0 {
			row[4] = percentCell(share(p, before))
		}
		steps.Rows = append(steps.Rows, row)
		before, last = p, p
	}
	bands := Table{Title: "How long it took", Heads: heads("Within", "", "#People", "#Of those who entered")}
	var all []accounts.Point
	for _, b := range catalog.TimeBands() {
		all = append(all, s.at(now, report.Value, "band", b))
	}
	for i, b := range catalog.TimeBands() {
		if all[i].Form == report.Unknown {
			continue // a band beyond the window cannot be reached
		}
		bands.Rows = append(bands.Rows, []Cell{text(b), bar(all[i], top(all...)), fig(all[i]), percentCell(share(all[i], entered))})
	}
	bands.Note = "never: not within the window of " + catalog.Span(s.m.Window) + "."
	v.Tables = []Table{steps}
	if len(bands.Rows) > 0 {
		v.Tables = append(v.Tables, bands)
	}
	v.Tables = append(v.Tables, s.split(now)...)
	v.Facts = []Fact{{"Entered", words.Figure(entered), s.window(now)}, {"Finished", words.Figure(last), "reached the last step"}, {"Conversion", percent(share(last, entered)), "finished ÷ entered"}}
	history := Table{Title: "By block of entry", Behind: true, Heads: heads("Window", "#Entered", "#Finished", "#Conversion")}
	end := s.m.Steps[len(s.m.Steps)-1].ID
	for _, start := range s.recent(26) {
		e, f := s.at(start, report.Value), s.at(start, report.Value, "step", end)
		history.Rows = append(history.Rows, []Cell{text(s.window(start)), fig(e), fig(f), percentCell(share(f, e))})
	}
	v.Tables = append(v.Tables, history)
	return v
}

// split tells the steps apart by the values of the funnel's split, (other) included.
func (s *set) split(start int64) []Table {
	if s.m.Split == "" {
		return nil
	}
	t := Table{Title: "By " + s.m.Split, Heads: heads(words.Label(s.m.Split))}
	for _, st := range s.m.Steps {
		t.Heads = append(t.Heads, Head{words.Label(st.ID), true})
	}
	t.Heads = append(t.Heads, Head{"Finished", true})
	var names []string
	for _, v := range s.values(start, []string{s.m.Split, "step"}) {
		if !slices.Contains(names, v[0]) {
			names = append(names, v[0])
		}
	}
	for _, n := range names {
		row := []Cell{text(n)}
		var first, last accounts.Point
		for i, st := range s.m.Steps {
			p := s.at(start, report.Value, s.m.Split, n, "step", st.ID)
			if i == 0 {
				first = p
			}
			last = p
			row = append(row, fig(p))
		}
		t.Rows = append(t.Rows, append(row, percentCell(share(last, first))))
	}
	if len(names) == 0 {
		return nil
	}
	if slices.Contains(names, catalog.Other) {
		t.Note = "(other): values that are not listed, and those with too few people to be told apart, counted together."
	}
	return []Table{t}
}

// adoption: for each feature a ladder within the eligible.
func (s *set) adoption() View {
	now := s.newest()
	eligible := s.at(now, report.Value)
	uses := int(s.m.Uses)
	if uses == 0 {
		uses = 2
	}
	v := View{Facts: []Fact{{"Eligible", words.Figure(eligible), s.window(now)}}}
	t := Table{Title: "Adoption ladder", Heads: heads("Feature", "Rung", "", "#People", "#Of the eligible"),
		Note: "tried: at least one use; adopted: at least " + words.Plural(uses, "use") + " on two days; habitual: in three of the four weeks. Each holds the next."}
	rungs := []report.Field{report.Tried, report.Adopted, report.Habitual}
	h := Table{Title: "Tried, by window", Behind: true, Heads: heads("Window", "#Eligible")}
	for _, f := range s.m.Features {
		h.Heads = append(h.Heads, Head{words.Label(f.ID), true})
		for i, rung := range rungs {
			p := s.at(now, rung, "feature", f.ID)
			name := text(words.Label(f.ID))
			if i > 0 { // said once; heard each time
				name.HTML = `<span class="sr">` + name.HTML + `</span>`
			}
			t.Rows = append(t.Rows, []Cell{name, text(rung.String()), bar(p, top(eligible)), fig(p), percentCell(share(p, eligible))})
		}
	}
	for _, start := range s.recent(26) {
		row := []Cell{text(s.window(start)), fig(s.at(start, report.Value))}
		for _, f := range s.m.Features {
			row = append(row, percentCell(share(s.at(start, report.Tried, "feature", f.ID), s.at(start, report.Value))))
		}
		h.Rows = append(h.Rows, row)
	}
	v.Tables = []Table{t, h}
	return v
}

// transitions: the commonest steps first, and the whole matrix behind.
func (s *set) transitions() View {
	now := s.newest()
	total := s.at(now, report.Value)
	type path struct {
		from, to string
		p        accounts.Point
	}
	var list []path
	matrix := Table{Title: "From each step to each", Behind: true, Heads: heads("From")}
	for _, a := range s.m.Steps {
		matrix.Heads = append(matrix.Heads, Head{"to " + a.ID, true})
		row := []Cell{text(words.Label(a.ID))}
		for _, b := range s.m.Steps {
			p := s.at(now, report.Value, "from", a.ID, "to", b.ID)
			row = append(row, fig(p))
			if p.Form != report.Unknown && !(p.Told() && p.Hi == 0) {
				list = append(list, path{a.ID, b.ID, p})
			}
		}
		matrix.Rows = append(matrix.Rows, row)
	}
	slices.SortStableFunc(list, func(a, b path) int {
		return cmp.Or(accounts.CompareDesc(a.p, b.p), strings.Compare(a.from+a.to, b.from+b.to))
	})
	t := Table{Title: "What follows what", Heads: heads("Path", "", "#Times", "#Of all"), Note: "Neighbouring steps of one person at most 30 minutes apart."}
	var all []accounts.Point
	for _, x := range list {
		all = append(all, x.p)
	}
	for _, x := range list[:min(12, len(list))] {
		t.Rows = append(t.Rows, []Cell{text(words.Label(x.from) + " → " + words.Label(x.to)), bar(x.p, top(all...)), fig(x.p), percentCell(share(x.p, total))})
	}
	if len(list) > 12 {
		t.Note += fmt.Sprintf(" The 12 commonest of %d.", len(list))
	}
	return View{Facts: []Fact{{"Transitions", words.Figure(total), s.window(now)}}, Tables: []Table{t, matrix}}
}

// sufficient: sums from which means, spreads and slopes follow where they are exact.
func (s *set) sufficient() View {
	now := s.newest()
	t := Table{Title: "Arms, " + s.window(now), Heads: heads(words.Label(s.m.Arm), "#n", "#Sum of "+s.m.X, "#Mean", "#Spread (sd)")}
	if s.m.Y != "" {
		t.Heads = append(t.Heads, Head{"Sum of " + s.m.Y, true}, Head{"Mean", true}, Head{"Correlation", true})
	}
	rows := append([][]string{nil}, s.values(now, []string{s.m.Arm})...)
	for _, arm := range rows {
		get := func(f report.Field) accounts.Point {
			if arm == nil {
				return s.at(now, f)
			}
			return s.at(now, f, s.m.Arm, arm[0])
		}
		name := "all"
		if arm != nil {
			name = arm[0]
		}
		n := get(report.Count)
		row := []Cell{text(name), fig(n), fig(get(report.SumX)), number(mean(n, get(report.SumX))), number(spread(n, get(report.SumX), get(report.SumXX)))}
		if s.m.Y != "" {
			row = append(row, fig(get(report.SumY)), number(mean(n, get(report.SumY))),
				number(correlation(n, get(report.SumX), get(report.SumXX), get(report.SumY), get(report.SumYY), get(report.SumXY))))
		}
		t.Rows = append(t.Rows, row)
	}
	t.Note = "Mean, spread and correlation follow where the sums are exact; else the mean is an interval, and the others stay open."
	return View{Tables: []Table{t}, Facts: []Fact{{"Observations", words.Figure(s.at(now, report.Count)), s.window(now)}}}
}

func number(p accounts.Point) Cell {
	if !p.Told() {
		return Cell{HTML: `<span class="note">open</span>`, Num: true}
	}
	return Cell{HTML: words.Figure(p), Num: true}
}

func mean(n, sum accounts.Point) accounts.Point {
	if !n.Told() || !sum.Told() || n.Lo <= 0 || sum.Lo < 0 && !n.Known() {
		return accounts.Point{}
	}
	i := report.Interval{Lo: sum.Lo / n.Hi, Hi: sum.Hi / n.Lo}
	if math.IsNaN(i.Lo) {
		return accounts.Point{}
	}
	f := report.Band
	if i.Known() {
		f = report.Exact
	}
	return accounts.Point{Form: f, Interval: i}
}

func exactly(ps ...accounts.Point) bool {
	for _, p := range ps {
		if p.Form != report.Exact || !p.Known() {
			return false
		}
	}
	return true
}

func spread(n, x, xx accounts.Point) accounts.Point {
	if !exactly(n, x, xx) || n.Lo < 2 {
		return accounts.Point{}
	}
	v := math.Sqrt(math.Max(0, (xx.Lo-x.Lo*x.Lo/n.Lo)/(n.Lo-1)))
	return accounts.Point{Form: report.Exact, Interval: report.Interval{Lo: v, Hi: v}}
}

func correlation(n, x, xx, y, yy, xy accounts.Point) accounts.Point {
	if !exactly(n, x, xx, y, yy, xy) || n.Lo < 3 {
		return accounts.Point{}
	}
	d := math.Sqrt((n.Lo*xx.Lo - x.Lo*x.Lo) * (n.Lo*yy.Lo - y.Lo*y.Lo))
	if d == 0 || math.IsNaN(d) {
		return accounts.Point{}
	}
	r := (n.Lo*xy.Lo - x.Lo*y.Lo) / d
	return accounts.Point{Form: report.Exact, Interval: report.Interval{Lo: r, Hi: r}}
}

// listed are measures whose numbers stand for words: first_time, change, environment.
func (s *set) listed() View {
	now := s.newest()
	v := View{}
	fields := s.m.Fields()
	t := Table{Title: "By window", Heads: heads("Window"), Behind: len(s.starts) > 3}
	for _, f := range fields {
		t.Heads = append(t.Heads, Head{words.Label(f.String()), s.m.Listed(f, 0) == nil})
		v.Facts = append(v.Facts, Fact{Name: s.listName(f), Value: s.word(f, 0, s.at(now, f)).HTML, Note: s.window(now)})
	}
	for _, start := range s.recent(26) {
		row := []Cell{text(s.window(start))}
		for _, f := range fields {
			row = append(row, s.word(f, 0, s.at(start, f)))
		}
		t.Rows = append(t.Rows, row)
	}
	v.Tables = []Table{t}
	if e := s.values(now, []string{"evidence"}); len(e) > 0 {
		w := Table{Title: "Evidence, " + s.window(now), Heads: heads("Sign", "Seen")}
		for _, x := range e {
			w.Rows = append(w.Rows, []Cell{text(words.Label(x[0])), s.word(report.Value, 1, s.at(now, report.Value, "evidence", x[0]))})
		}
		v.Tables = append([]Table{w}, v.Tables...)
	}
	return v
}

func (s *set) listName(f report.Field) string {
	if f == report.Value {
		switch s.m.Kind {
		case catalog.FirstTime:
			return "Time to the first"
		case catalog.Environment:
			return "Observed environment"
		}
	}
	return words.Label(f.String())
}

// Word is the text that a measure's figure stands for; "" where numbers are numbers.
func Word(m *catalog.Measure, f report.Field, p accounts.Point) string {
	s := &set{m: m}
	if m.Listed(f, 0) == nil || !p.Told() {
		return ""
	}
	return s.wordText(f, 0, p)
}

// word is the text that a figure's number stands for; of an interval the texts of both ends.
func (s *set) word(f report.Field, breakdown int, p accounts.Point) Cell {
	list := s.m.Listed(f, breakdown)
	if list == nil || !p.Told() {
		return Cell{HTML: words.Figure(p), Num: list == nil}
	}
	return text(s.wordText(f, breakdown, p))
}

func (s *set) wordText(f report.Field, breakdown int, p accounts.Point) string {
	list := s.m.Listed(f, breakdown)
	name := func(v float64) string {
		switch i := int(v); {
		case v >= 0 && i < len(list):
			return strings.ReplaceAll(list[i], "_", " ")
		case s.m.Kind == catalog.Fact && i == len(list):
			return catalog.Other
		}
		return words.Num(v)
	}
	if p.Known() {
		return name(p.Lo)
	}
	return name(p.Lo) + " to " + name(math.Min(p.Hi, float64(len(list)-1)))
}

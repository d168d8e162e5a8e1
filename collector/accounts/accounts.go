// Package accounts reads an account: it turns weekly roll-ups into one story of figures
// over time and says a word about it (growing, steady, silent …) only where the intervals
// make it certain.
//
// Invariants: a week that nobody told is unknown and never zero; a suppressed week stays
// suppressed; bands are compared by their ends, so that a word never rests on the middle of
// a band; the order of figures is total: by lower end, then upper end, suppressed after all
// that told something, unknown last.
//
// It reads rows of collector/store and keeps nothing on disk.
package accounts

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Point is one period of a series.
type Point struct {
	Start int64 // civil day of the period's first day
	Form  report.Form
	report.Interval
	Exact, Banded, Noised, Suppressed, Unknown int // parts that went in
	Hash                                       string
	// Partial: some installations of the account withheld it. The interval is over the others,
	// so the account's own figure has no certain top.
	Partial bool
}

// Told reports whether the point carries numbers.
func (p Point) Told() bool { return p.Form.HasNumbers() }

// PointOf is a sum in the form it has.
func PointOf(start int64, form report.Form, t report.Tally) Point {
	return Point{Start: start, Form: form, Interval: t.Interval, Exact: t.Exact, Banded: t.Banded, Noised: t.Noised, Suppressed: t.Suppressed, Unknown: t.Unknown}
}

// Tally is what the point is made of.
func (p Point) Tally() report.Tally {
	return report.Tally{Interval: p.Interval, Exact: p.Exact, Banded: p.Banded, Noised: p.Noised, Suppressed: p.Suppressed, Unknown: p.Unknown}
}

// Of is the point of a roll-up.
func Of(p store.Period) Point {
	out := PointOf(p.Start, p.Form(), p.Tally())
	out.Hash, out.Partial = p.Hash, p.Account != "" && p.Tally().Told() > 0 && p.Suppressed+p.Unknown > 0
	return out
}

// Line lays roll-ups of one account or of the fleet, and of one measure and field, out over
// every week from…to (civil days of Mondays, both included); weeks without a row are
// unknown. Where two definitions of the measure told the same week, the preferred one
// speaks, else the first that told something.
func Line(rows []store.Period, from, to int64, prefer string) []Point {
	return LineOf(rows, from, to, 7, prefer)
}

// LineOf is Line for windows that begin every so many days.
func LineOf(rows []store.Period, from, to, days int64, prefer string) []Point {
	if to < from {
		return nil
	}
	out := make([]Point, (to-from)/days+1)
	for i := range out {
		out[i].Start = from + int64(i)*days
	}
	for _, r := range rows {
		i := (r.Start - from) / days
		if r.Start < from || r.Start > to || (r.Start-from)%days != 0 {
			continue
		}
		p := Of(r)
		have := out[i]
		if have.Hash == "" || (!have.Told() && p.Told()) || (p.Hash == prefer && have.Hash != prefer && p.Told()) {
			out[i] = p
		}
	}
	return out
}

// Compare orders figures: by lower end, then upper end; suppressed after them, unknown last.
func Compare(a, b Point) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 || !a.Told() {
		return c
	}
	return cmp.Or(cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi))
}

// CompareDesc puts the largest first and still keeps suppressed and unknown last.
func CompareDesc(a, b Point) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 || !a.Told() {
		return c
	}
	return cmp.Or(cmp.Compare(b.Lo, a.Lo), cmp.Compare(b.Hi, a.Hi))
}

func rank(p Point) int {
	switch {
	case p.Told():
		return 0
	case p.Form == report.Suppressed:
		return 1
	}
	return 2
}

// ClosedWeek is the Monday of the newest ISO week that has closed everywhere by the clock:
// its end, the longest time zone offset and the grace of its events are over.
func ClosedWeek(clock time.Time, grace time.Duration) int64 {
	t := clock.Add(-grace - 12*time.Hour)
	return report.CivilStart(report.Week, report.CivilDay(t, time.UTC)) - 7
}

// FirstFigure is the day on which the first weekly figure of a site that consented at from
// can arrive: the first ISO week that lies wholly inside the consent, its end, the grace of
// its events, and the hour an agent may take to send.
func FirstFigure(from time.Time, zone *time.Location, grace time.Duration) (week int64, arrives time.Time) {
	week = report.WindowStart(report.Week, from, zone)
	begin, end := report.WindowTimes(report.Week, week, zone)
	if begin.Before(from) {
		week += 7
		_, end = report.WindowTimes(report.Week, week, zone)
	}
	return week, end.Add(grace + time.Hour)
}

// Headline is the measure lists show by default: the catalog's first about active people,
// else its first count; nil when there is neither.
func Headline(c *catalog.Catalog) *catalog.Measure {
	if c == nil {
		return nil
	}
	for _, k := range []catalog.Kind{catalog.ActiveUsers, catalog.Count} {
		for i := range c.Measures {
			if c.Measures[i].Kind == k {
				return &c.Measures[i]
			}
		}
	}
	return nil
}

// Grace is the longest grace of the measure's events; MEASURES' default where it has none.
func Grace(c *catalog.Catalog, m *catalog.Measure) time.Duration {
	var most time.Duration
	if c != nil && m != nil {
		for _, id := range m.Events {
			if e, _ := c.Event(id); e != nil {
				most = max(most, e.Grace)
			}
		}
	}
	if most == 0 {
		return 48 * time.Hour
	}
	return most
}

// Word is what can be said of an account in one.
type Word string

const (
	Growing   Word = "growing"
	Shrinking Word = "shrinking"
	Steady    Word = "steady"
	Unclear   Word = "unclear"    // bands or gaps leave more than one answer
	Young     Word = "too young"  // not enough weeks yet
	Idle      Word = "idle"       // told, and certainly nobody: nought is not silence
	Withheld  Word = "withheld"   // the site tells it, small numbers are suppressed
	Silent    Word = "silent"     // reported before, not for two weeks
	Waiting   Word = "waiting"    // never reported
	NoFigure  Word = "no figure"  // reports, but not this measure
	Closed    Word = "closed"     // the vendor closed the account
	NoConsent Word = "no consent" // reports nothing because nothing was agreed to
)

// Reading is a word with its reason and how it is shown: good, warn, bad or unknown.
type Reading struct {
	Word  Word
	Tone  string
	Why   string
	Since time.Duration // Silent: how long
}

// Status is what is known of an account beside its figures.
type Status struct {
	Clock       time.Time // virtual for simulated sites
	LastReport  time.Time
	Closed      bool
	Consented   bool // at least one installation lets something leave
	EverAsked   bool // at least one installation has a statement
	Installed   int
	SilentAfter time.Duration // default 14 days
	Weeks       int           // that a point covers; default 1
}

const (
	recent   = 4    // weeks that are read
	before   = 12   // weeks they are compared with
	margin   = 0.15 // a change within ±15 % is steady
	minNow   = 3    // told weeks among the recent ones
	minThen  = 8    // told weeks among those before
	minWeeks = recent + before
)

// Read says a word about the weekly points (oldest first, the last is the newest closed
// week). Growing: even the lowest mean of the last 4 weeks is more than 15 % above the
// highest mean of the 12 before. Shrinking: the mirror image. Steady: the two means differ
// by at most 15 % whatever lies inside the bands. Weeks that were not told are left out; at
// least 3 of 4 and 8 of 12 must be there.
func Read(points []Point, s Status) Reading {
	if r, done := readStatus(s); done {
		return r
	}
	recent, minWeeks, minNow, minThen, unit := recent, minWeeks, minNow, minThen, max(1, s.Weeks)
	if unit > 1 { // of blocks the newest, against the three before
		recent, minWeeks, minNow, minThen = 1, 4, 1, 2
	}
	told, withheld, first := 0, 0, -1
	for i, p := range points {
		if p.Told() {
			told++
			if first < 0 {
				first = i
			}
		} else if p.Form == report.Suppressed {
			withheld++
		}
	}
	switch {
	case told == 0 && withheld > 0:
		return Reading{Word: Withheld, Tone: "unknown", Why: "too few people to tell"}
	case told == 0:
		return Reading{Word: NoFigure, Tone: "unknown", Why: "reports, but not this measure"}
	case len(points)-first < minWeeks:
		return Reading{Word: Young, Tone: "unknown", Why: fmt.Sprintf("%d of %d weeks", (len(points)-first)*unit, minWeeks*unit)}
	}
	if w := suppressed(points[len(points)-recent:]); w > recent-minNow {
		return Reading{Word: Withheld, Tone: "unknown", Why: fmt.Sprintf("%d of the last %d weeks too small to tell", w*unit, recent*unit)}
	}
	now, nNow := mean(points[len(points)-recent:])
	then, nThen := mean(points[len(points)-minWeeks : len(points)-recent])
	if nNow < minNow || nThen < minThen {
		return Reading{Word: Unclear, Tone: "unknown", Why: fmt.Sprintf("%d of %d weeks told", (nNow+nThen)*unit, minWeeks*unit)}
	}
	if now.Hi == 0 {
		return Reading{Word: Idle, Tone: "warn", Why: fmt.Sprintf("certainly nobody in %d weeks", idle(points)*unit)}
	}
	why := fmt.Sprintf("%d weeks at %s, %d before at %s", recent*unit, short(now), (minWeeks-recent)*unit, short(then))
	switch {
	case now.Lo > then.Hi*(1+margin):
		return Reading{Word: Growing, Tone: "good", Why: why}
	case now.Hi < then.Lo*(1-margin):
		return Reading{Word: Shrinking, Tone: "warn", Why: why}
	case now.Hi <= then.Lo*(1+margin) && now.Lo >= then.Hi*(1-margin):
		return Reading{Word: Steady, Tone: "good", Why: why}
	case now.Known() && then.Known(): // between the words: neither steady nor past the margin cannot happen
		return Reading{Word: Steady, Tone: "good", Why: why}
	}
	return Reading{Word: Unclear, Tone: "unknown", Why: why}
}

func readStatus(s Status) (Reading, bool) {
	after := s.SilentAfter
	if after == 0 {
		after = 14 * 24 * time.Hour
	}
	quiet := s.Clock.Sub(s.LastReport)
	switch {
	case s.Closed:
		return Reading{Word: Closed, Tone: "bad", Why: "its agents are refused"}, true
	case s.EverAsked && !s.Consented:
		return Reading{Word: NoConsent, Tone: "unknown", Why: "nothing may leave this site"}, true
	case s.LastReport.IsZero():
		return Reading{Word: Waiting, Tone: "unknown", Why: "no report yet"}, true
	case quiet > after:
		return Reading{Word: Silent, Tone: "warn", Why: "no report for " + Span(quiet), Since: quiet}, true
	}
	return Reading{}, false
}

// idle counts the newest weeks that were told as nought.
func idle(points []Point) (n int) {
	for i := len(points) - 1; i >= 0 && (points[i].Hi == 0 || !points[i].Told()); i-- {
		if points[i].Told() {
			n++
		}
	}
	return n
}

func suppressed(points []Point) (n int) {
	for _, p := range points {
		if p.Form == report.Suppressed {
			n++
		}
	}
	return n
}

// mean of the told points as an interval, and how many there were.
func mean(points []Point) (report.Interval, int) {
	var sum report.Interval
	n := 0
	for _, p := range points {
		if p.Told() {
			if p.Partial {
				p.Hi = math.Inf(1)
			}
			sum = sum.Add(p.Interval)
			n++
		}
	}
	if n == 0 {
		return sum, 0
	}
	return report.Interval{Lo: sum.Lo / float64(n), Hi: sum.Hi / float64(n)}, n
}

func short(i report.Interval) string {
	switch {
	case math.IsInf(i.Hi, 1):
		return fmt.Sprintf("%.0f or more", i.Lo)
	case math.Round(i.Lo) == math.Round(i.Hi):
		return fmt.Sprintf("%.0f", i.Lo)
	}
	return fmt.Sprintf("%.0f–%.0f", i.Lo, i.Hi)
}

// Span is a length of time in one unit, as lists show it.
func Span(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d < time.Minute:
		return "moments"
	case d < time.Hour:
		return plural(int(d/time.Minute), "minute")
	case d < 2*day:
		return plural(int(d/time.Hour), "hour")
	case d < 21*day:
		return plural(int(d/day), "day")
	case d < 2*365*day:
		return plural(int(d/(7*day)), "week")
	default:
		return plural(int(d/(365*day)), "year")
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

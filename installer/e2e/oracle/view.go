package oracle

import (
	"slices"
	"sort"
	"time"
)

// dayOf is the number of the calendar day, counted from 1970-01-01.
func (s *Site) dayOf(t time.Time) int {
	y, m, d := t.In(s.Zone).Date()
	return int(time.Date(y, m, d, 12, 0, 0, 0, time.UTC).Unix() / 86400)
}

// midnight is when a day begins.
func (s *Site) midnight(day int) time.Time {
	d := date(day)
	t := time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, s.Zone)
	for s.dayOf(t) < day { // the clock was put forward over midnight
		t = t.Add(time.Minute)
	}
	return t
}

func date(day int) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }

// span is the first and last day of the window that holds a day; of rolling28 the one named by it.
func span(grain string, day int) (first, last int) {
	d := date(day)
	switch grain {
	case "week":
		first = day - (int(d.Weekday())+6)%7
		return first, first + 6
	case "month":
		first = day - d.Day() + 1
		return first, first + d.AddDate(0, 1, 1-d.Day()).Add(-12*time.Hour).Day() - 1
	case "rolling28":
		return day - 27, day
	case "4w", "12w": // counted from Monday 1970-01-05
		n := 28
		if grain == "12w" {
			n = 84
		}
		first = day - ((day-4)%n+n)%n
		return first, first + n - 1
	}
	return day, day
}

// on is all activity of some days.
func (s *Site) on(first, last int) (out []*entry) {
	if s.days == nil {
		s.days = map[int][]*entry{}
		for _, e := range s.all {
			s.days[e.day] = append(s.days[e.day], e)
		}
	}
	for day := first; day <= last; day++ {
		out = append(out, s.days[day]...)
	}
	return out
}

// view is what was known just before a moment.
type view struct {
	site   *Site
	at     int64 // unix ns
	joined int   // how many joins
	person []int // by user
	users  map[int][]int
	traits map[string]map[int]told
	known  map[string]map[int]bool
	people map[int]bool // who is one
}

// know makes the view of a moment.
func (s *Site) know(moment time.Time) *view {
	at := moment.UnixNano()
	if v := s.views[at]; v != nil {
		return v
	}
	v := &view{site: s, at: at, traits: map[string]map[int]told{}, known: map[string]map[int]bool{}, people: map[int]bool{}}
	if s.views == nil {
		s.views = map[int64]*view{}
	}
	s.views[at] = v
	for v.joined < len(s.joins) && s.joins[v.joined].rec < at {
		v.joined++
	}
	if s.known != nil && s.known.joined == v.joined { // the same people
		v.person, v.users = s.known.person, s.known.users
		s.known = v
		return v
	}
	v.person, v.users = make([]int, s.users+1), map[int][]int{}
	for u := range v.person {
		v.person[u] = u
	}
	for _, j := range s.joins[:v.joined] {
		for u, p := range v.person {
			if p == j.from {
				v.person[u] = j.to
			}
		}
	}
	for u, p := range v.person {
		v.users[p] = append(v.users[p], u)
	}
	s.known = v
	return v
}

// trait is what was told last of any of a person's users.
func (v *view) trait(name string, p int) (told, bool) {
	if v.traits[name] == nil {
		v.traits[name], v.known[name] = map[int]told{}, map[int]bool{}
	}
	if ok, asked := v.known[name][p]; asked {
		return v.traits[name][p], ok
	}
	t, ok := v.last(v.site.traits[name], p)
	v.traits[name][p], v.known[name][p] = t, ok
	return t, ok
}

func (v *view) last(history map[int][]told, p int) (t told, ok bool) {
	for _, u := range v.users[p] {
		if h, told := v.latest(history[u]); told && (!ok || h.sequence > t.sequence) {
			t, ok = h, true
		}
	}
	return t, ok
}

// latest is what was told last of one history.
func (v *view) latest(h []told) (told, bool) {
	n := sort.Search(len(h), func(i int) bool { return h[i].rec >= v.at })
	if n == 0 {
		return told{}, false
	}
	return h[n-1], true
}

// word is the value of a listed trait.
func (v *view) word(name string, p int) string {
	if p != nobody {
		if t, ok := v.trait(name, p); ok {
			return t.text
		}
	}
	return "(none)"
}

// isPerson: not one of those who are left out.
func (v *view) isPerson(p int) bool {
	yes, asked := v.people[p]
	if !asked {
		yes = true
		for name, t := range v.site.voc.Traits {
			yes = yes && !slices.Contains(t.NotPeople, v.word(name, p))
		}
		v.people[p] = yes
	}
	return yes
}

// fits says whether a person fits where_user.
func (v *view) fits(clauses []Clause, p int) bool {
	for _, c := range clauses {
		if p == nobody {
			return false
		}
		t, ok := v.trait(c.Name, p)
		if !ok || !c.holds(t.text, t.number) {
			return false
		}
	}
	return true
}

// existing: the first activity lies in the first 28 days, or the account is older than the start.
func (v *view) existing(firstDay map[int]int, p int) bool {
	if firstDay[p] < v.site.started+28 {
		return true
	}
	t, ok := v.last(v.site.created, p)
	return ok && t.at.Before(v.site.midnight(v.site.started))
}

// firstDays is the day of the first of some entries for each person, as people were joined then. What is
// received only after the window has closed is too young to be anybody's first in it.
func (v *view) firstDays(byUser map[int]int) map[int]int {
	out := map[int]int{}
	for u, day := range byUser {
		p := v.person[u]
		if d, ok := out[p]; !ok || day < d {
			out[p] = day
		}
	}
	return out
}

func firstDays(entries []*entry) map[int]int {
	out := map[int]int{}
	for _, e := range entries {
		if d, ok := out[e.user]; e.user != nobody && (!ok || e.day < d) {
			out[e.user] = e.day
		}
	}
	return out
}

// Clause is a condition on a property or trait: one of Values, or a number in [Min, Max].
type Clause struct {
	Name     string
	Values   []string
	Min, Max *float64
}

func (c *Clause) holds(text string, n float64) bool {
	if c.Values != nil {
		return slices.Contains(c.Values, text)
	}
	return (c.Min == nil || n >= *c.Min) && (c.Max == nil || n <= *c.Max)
}

// matches says whether an event has a property and fits.
func (e *entry) matches(clauses []Clause) bool {
	for _, c := range clauses {
		n, isNumber := e.numbers[c.Name]
		w, isWord := e.words[c.Name]
		if !isNumber && (!isWord || c.Values == nil) || !c.holds(w, n.float) {
			return false
		}
	}
	return true
}

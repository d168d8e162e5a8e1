package oracle

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (c *computation) lifecycle(w *window) map[string]string {
	pf, pl := span(c.grain, w.first-1)
	here, before := c.sets(w, w.first, w.last), c.sets(w, pf, pl)
	ever, first := c.first(w)
	flows := map[string][4]int{}
	if len(c.by) == 0 {
		flows[""] = [4]int{}
	}
	add := func(key string, i int) {
		f := flows[key]
		f[i]++
		flows[key] = f
	}
	for key, people := range here {
		for p := range people {
			switch {
			case first[p] >= w.first && !w.existing(ever, p):
				add(key, 0)
			case before[key][p]:
				add(key, 1)
			default:
				add(key, 2)
			}
		}
	}
	for key, people := range before {
		for p := range people {
			if !here[key][p] {
				add(key, 3)
			}
		}
	}
	out := map[string]string{}
	for key, f := range flows {
		out[key] = fmt.Sprintf(`{"new":%d,"retained":%d,"resurrected":%d,"dormant":%d}`, f[0], f[1], f[2], f[3])
	}
	return out
}

// first is the day of each person's first activity, and of the first that this measure takes.
func (c *computation) first(w *window) (ever, here map[int]int) {
	if c.firsts[0] == nil {
		c.firsts = [2]map[int]int{firstDays(c.site.all), firstDays(c.mine)}
	}
	if c.ever[0] == nil || c.everN != w.joined {
		c.ever, c.everN = [2]map[int]int{w.firstDays(c.firsts[0]), w.firstDays(c.firsts[1])}, w.joined
	}
	return c.ever[0], c.ever[1]
}

// stickiness: on how many of the 28 days was each active?
func (c *computation) stickiness(w *window) map[string]string {
	days, working, workdays := map[int]int{}, 0, 0
	for day := w.first; day <= w.last; day++ {
		works := slices.Contains(c.site.Working, date(day).Weekday())
		if works {
			workdays++
		}
		for p := range c.sets(w, day, day)[""] {
			days[p]++
			if works {
				working++
			}
		}
	}
	daily := 0
	bins := [6]int{}
	for _, n := range days {
		daily += n
		for i, most := range []int{1, 3, 7, 12, 20, 28} {
			if n <= most {
				bins[i]++
				break
			}
		}
	}
	ratios := ""
	if active := len(days); active > 0 {
		ratios = `,"ratio":` + decimal(float64(daily)/28/float64(active))
		if workdays > 0 {
			ratios += `,"working_ratio":` + decimal(float64(working)/float64(workdays)/float64(active))
		}
	}
	return map[string]string{"": fmt.Sprintf(`{"active":%d,"daily":%d%s,"l28":{"1":%d,"2-3":%d,"4-7":%d,"8-12":%d,"13-20":%d,"21-28":%d}}`,
		len(days), daily, ratios, bins[0], bins[1], bins[2], bins[3], bins[4], bins[5])}
}

func (c *computation) adoption(w *window) map[string]string {
	eligible := c.sets(w, w.first, w.last)[""]
	uses := c.m.Uses
	if uses == 0 {
		uses = 2
	}
	var features []string
	for _, f := range c.m.Features {
		times, days, weeks := map[int]int{}, map[int]map[int]bool{}, map[int]map[int]bool{}
		for _, e := range c.site.on(w.first, w.last) {
			p := w.person[e.user]
			if !eligible[p] || !slices.Contains(f.Events, e.id) || !e.matches(f.Where) {
				continue
			}
			if days[p] == nil {
				days[p], weeks[p] = map[int]bool{}, map[int]bool{}
			}
			times[p]++
			days[p][e.day] = true
			weeks[p][(e.day-w.first)/7] = true
		}
		adopted, habitual := 0, 0
		for p, n := range times {
			if n >= uses && len(days[p]) >= 2 {
				adopted++
			}
			if len(weeks[p]) >= 3 {
				habitual++
			}
		}
		features = append(features, fmt.Sprintf(`%q:{"tried":%d,"adopted":%d,"habitual":%d}`, f.ID, len(times), adopted, habitual))
	}
	return map[string]string{"": fmt.Sprintf(`{"eligible":%d,"features":{%s}}`, len(eligible), strings.Join(features, ","))}
}

func (c *computation) seats(w *window) map[string]string {
	peak := func(first, last int) int {
		hours, most := map[int64]map[int]bool{}, 0
		c.each(w, first, last, func(e *entry, p int) {
			h := e.at / int64(time.Hour) // all fixtures are after 1970
			if hours[h] == nil {
				hours[h] = map[int]bool{}
			}
			hours[h][p] = true
			most = max(most, len(hours[h]))
		})
		return most
	}
	var parts []string
	if c.grain == "rolling28" {
		parts = append(parts, fmt.Sprintf(`"active":%d`, len(c.sets(w, w.first, w.last)[""])))
	}
	bought, known := w.latest(c.site.groups[c.m.Purchased])
	if known {
		parts = append(parts, `"purchased":`+decimal(bought.number))
	}
	if given, ok := w.latest(c.site.groups[c.m.Assigned]); ok {
		parts = append(parts, `"assigned":`+decimal(given.number))
	}
	parts = append(parts, fmt.Sprintf(`"peak":%d`, peak(w.first, w.last)))
	if c.grain == "rolling28" && known {
		n := 0
		for day := w.first; day <= w.last; day++ {
			ended := &view{at: c.site.midnight(day + 1).UnixNano()}
			bought, known := ended.latest(c.site.groups[c.m.Purchased])
			if known && float64(peak(day, day)) >= bought.number {
				n++
			}
		}
		parts = append(parts, fmt.Sprintf(`"at_cap":%d`, n))
	}
	return map[string]string{"": "{" + strings.Join(parts, ",") + "}"}
}

// retention has its own windows: each offset of a cohort is judged when its week has closed.
func (c *computation) retention() []string {
	begin := c.site.started + 28
	for date(begin).Weekday() != time.Monday {
		begin++
	}
	end := begin // after the last week that matched
	most := begin
	for day := range c.days {
		most = max(most, day)
	}
	active, size := map[int][]int{}, map[int]int{}
	for week := begin; week <= most+26*7+84; week += 7 {
		w := c.at(week, week+6, 0)
		if week <= most && c.matched(w, week, week+6) {
			end = week + 7
		}
		if !w.closed && week > most {
			break
		}
		ever, first := c.first(w)
		for cohort := begin; cohort <= week; cohort += 7 {
			if i := (week - cohort) / 7; w.closed && i > 0 && i <= 26 {
				active[cohort] = append(active[cohort], 0)
			}
		}
		for p := range c.sets(w, week, week+6)[""] {
			cohort, _ := span("week", first[p])
			switch i := (week - cohort) / 7; {
			case cohort < begin || i > 26 || w.existing(ever, p):
			case i == 0:
				size[cohort]++
			case w.closed:
				active[cohort][i-1]++
			}
		}
	}
	var out []string
	for cohort := begin; cohort < end; {
		first, last := span(c.grain, cohort)
		if first < begin { // a block that began too early
			cohort += 7
			continue
		}
		out = append(out, c.cohort(c.at(first, last, 0), size, active))
		cohort = last + 1
	}
	return out
}

// cohort is the line of one week, or of the twelve of a block together: what has closed for all.
func (c *computation) cohort(w *window, size map[int]int, active map[int][]int) string {
	n, sums := 0, make([]int, 26)
	offsets := 26
	for week := w.first; week <= w.last; week += 7 {
		n += size[week]
		offsets = min(offsets, len(active[week]))
		for i, a := range active[week] {
			sums[i] += a
		}
	}
	text := fmt.Sprint(n)
	for _, a := range sums[:offsets] {
		text += fmt.Sprintf(",%d", a)
	}
	return c.line(w, "", fmt.Sprintf(`{"size":%d,"active":[%s]}`, n, text))
}

package signals

import "github.com/fieldpost/fieldpost/protocol/report"

// Weekly are the weeks of a series of days that begins with a Monday, each the sum of its seven days. What the days of a week
// have in common every week (the weekend) is taken from STL with a period of seven: a week of which some days are
// missing is filled up with what those days usually add. A week of fewer than four days is not known.
func Weekly(days []Figure) []Figure {
	n := len(days) / 7
	season := make([]float64, len(days))
	if len(days) >= 21 {
		season = seasonOf(days, 7)
	}
	out := make([]Figure, n)
	for w := range out {
		var sum report.Interval
		known := 0.0
		for i := 7 * w; i < 7*w+7; i++ {
			if days[i].Known {
				s := season[i]
				sum, known = sum.Add(days[i].Sub(report.Interval{Lo: s, Hi: s})), known+1
			}
		}
		if known < 4 {
			continue
		}
		if known < 7 {
			sum.Lo, sum.Hi = max(0, sum.Lo*7/known), max(0, sum.Hi*7/known)
		} else { // the week itself: of seven days the season adds up to next to nothing
			sum = report.Interval{}
			for _, d := range days[7*w : 7*w+7] {
				sum = sum.Add(d.Interval)
			}
		}
		out[w] = Figure{sum, true}
	}
	return out
}

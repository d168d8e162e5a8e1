package signals

import (
	"math"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/report"
)

// Figure is one week or block of a series. Known is false where nothing was told.
type Figure struct {
	report.Interval
	Known bool
}

// Exact is a figure that is known to the digit.
func Exact(v float64) Figure { return Figure{report.Interval{Lo: v, Hi: v}, true} }

// Answer is a position in a closed list of the catalog, or Unknown.
type Answer int8

// Positions in the catalog's lists (catalog.Measure.Listed).
const (
	Unknown Answer = -1

	Down, Level, Up            Answer = 0, 1, 2    // direction
	None, Small, Medium, Large Answer = 0, 1, 2, 3 // size
	Low, Middle, High          Answer = 0, 1, 2    // confidence
	No, Yes                    Answer = 0, 1       // evidence
	Trial, Pilot, Production   Answer = 0, 1, 2    // environment
)

// Config of Detect. The zero value does for weeks.
type Config struct {
	Least   int // figures that are needed; default 12 weeks
	Segment int // the shortest that counts as a new level; default 4 weeks: less is a holiday or a burst
	Recent  int // a change is told for so long; default 12 weeks
	Season  int // figures in a year; default 52. Season is taken off once there are three years
}

// Blocks is the Config of a series of blocks of four weeks.
func Blocks() Config { return Config{Least: 6, Segment: 2, Recent: 3, Season: 13} }

func (c Config) filled() Config {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.Least, 12)
	def(&c.Segment, 4)
	def(&c.Recent, 12)
	def(&c.Season, 52)
	return c
}

// Change is what is said of a series at its end.
type Change struct {
	Level      report.Interval // of the present segment: the mean, season, holidays and bursts taken off
	Known      bool            // there is a level
	Exact      bool            // made of exact figures alone
	Direction  Answer
	Size       Answer
	Confidence Answer
	Since      int // where the present segment begins; a position in the series
}

// How many standard errors a difference is worth, at its least.
const (
	middleZ = 2.5
	highZ   = 4
)

// Detect says what has become of a series of weeks or blocks without gaps; what is not known in it is left out.
//
// The places of season, outliers and change points come from the middles of the intervals (of an open one: its
// low end); they decide which figures are compared. What is then said of the comparison holds for all
// figures that lie in the intervals.
func Detect(series []Figure, c Config) Change {
	c = c.filled()
	out := Change{Direction: Unknown, Size: Unknown, Confidence: Unknown}
	var at []int
	for i, f := range series {
		if f.Known {
			at = append(at, i)
		}
	}
	if len(at) < c.Least {
		return out
	}
	season := seasonOf(series, c.Season)
	x := make([]float64, len(at))
	in := make([]report.Interval, len(at))
	width := 0.0
	for k, i := range at {
		in[k] = series[i].Sub(report.Interval{Lo: season[i], Hi: season[i]})
		x[k] = middle(in[k])
		if !math.IsInf(in[k].Hi, 1) {
			width += (in[k].Hi - in[k].Lo) * (in[k].Hi - in[k].Lo) / 12 / float64(len(at))
		}
	}
	clean, odd := holidays(x)
	noise := spread(clean, width)
	cuts := Changes(scaled(clean, noise), Penalty(len(x)), c.Segment)
	from, before := 0, 0
	if n := len(cuts); n > 0 {
		from = cuts[n-1]
		if n > 1 {
			before = cuts[n-2]
		}
	}
	now := meanOf(in, odd, from, len(in))
	out.Level, out.Known, out.Since = now.Interval, true, at[from]
	out.Exact = !slices.ContainsFunc(at, func(i int) bool { return !series[i].Interval.Known() })
	then := meanOf(in, odd, before, from)
	if len(series)-at[from] > c.Recent || from == 0 { // no change of late: the last figures against those before them
		last := len(in) - c.Segment
		then, now = meanOf(in, odd, from, last), meanOf(in, odd, last, len(in))
	}
	if then.n > 0 && now.n > 0 {
		compare(&out, then, now, noise)
	}
	out.Level.Lo = max(0, out.Level.Lo)
	out.Level.Hi = max(out.Level.Lo, out.Level.Hi)
	return out
}

func middle(i report.Interval) float64 {
	if math.IsInf(i.Hi, 1) {
		return i.Lo
	}
	return (i.Lo + i.Hi) / 2
}

// seasonOf is the season of each figure; nought for less than three years, of which the weights of one odd year
// could not be told from those of two.
func seasonOf(series []Figure, period int) []float64 {
	none := make([]float64, len(series))
	if len(series) < 3*period {
		return none
	}
	y := make([]float64, len(series))
	last := -1
	for i, f := range series {
		if !f.Known {
			continue
		}
		y[i] = middle(f.Interval)
		for j := last + 1; j < i; j++ { // a gap is bridged
			y[j] = y[i]
			if last >= 0 {
				y[j] = y[last] + (y[i]-y[last])*float64(j-last)/float64(i-last)
			}
		}
		last = i
	}
	for j := last + 1; last >= 0 && j < len(y); j++ {
		y[j] = y[last]
	}
	p, err := STL{Period: period, Robust: true}.Decompose(y)
	if err != nil {
		return none
	}
	for i, s := range p.Season { // what an open or wide interval could not show is no season
		if math.IsNaN(s) || math.IsInf(s, 0) {
			p.Season[i] = 0
		}
	}
	return p.Season
}

// holidays finds runs of at most three figures far from the seven about them, and puts the median of those in their
// place: Hampel's identifier (Hampel 1974; Davies and Gather 1993).
func holidays(x []float64) (clean []float64, odd []bool) {
	clean, odd = slices.Clone(x), make([]bool, len(x))
	mid := make([]float64, len(x))
	for i := range x {
		lo := max(0, min(i-3, len(x)-7)) // at the ends the last seven: a new level needs four of them
		hi := min(len(x), lo+7)
		mid[i] = median(x[lo:hi])
		dev := make([]float64, 0, 7)
		for _, v := range x[lo:hi] {
			dev = append(dev, math.Abs(v-mid[i]))
		}
		// A fifth of the level is no holiday, however quiet the weeks about it are.
		odd[i] = math.Abs(x[i]-mid[i]) > max(3*1.4826*median(dev), 0.2*math.Abs(mid[i]))
	}
	for i := 0; i < len(x); {
		j := i
		for j < len(x) && odd[j] {
			j++
		}
		for k := i; k < j; k++ {
			if odd[k] = j-i <= 3; odd[k] {
				clean[k] = mid[k]
			}
		}
		i = max(j, i+1)
	}
	return clean, odd
}

// spread is the noise from one figure to the next: robust, and not less than the width of the intervals and a hundredth of
// the level allow for.
func spread(x []float64, width float64) float64 {
	var d []float64
	for i := 1; i < len(x); i++ {
		d = append(d, math.Abs(x[i]-x[i-1]))
	}
	s := 1.4826 * median(d) / math.Sqrt2
	return max(math.Sqrt(s*s+width), 0.01*math.Abs(median(x)), 1e-9)
}

func scaled(x []float64, by float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v / by
	}
	return out
}

// meant is the mean of figures that are no holidays.
type meant struct {
	report.Interval
	n int
}

func meanOf(in []report.Interval, odd []bool, from, to int) (m meant) {
	for i := from; i < to; i++ {
		if !odd[i] {
			m.Interval, m.n = m.Add(in[i]), m.n+1
		}
	}
	if m.n == 0 && from < to { // nothing but holidays
		for i := from; i < to; i++ {
			m.Interval, m.n = m.Add(in[i]), m.n+1
		}
	}
	if m.n > 0 {
		m.Lo, m.Hi = m.Lo/float64(m.n), m.Hi/float64(m.n)
	}
	return m
}

// compare says what follows of the level now from that before.
func compare(out *Change, then, now meant, noise float64) {
	se := noise * math.Sqrt(1/float64(then.n)+1/float64(now.n))
	lo, hi := max(then.Lo, 0), then.Hi
	var gap float64
	switch { // within a tenth either way is level
	case now.Lo > 1.1*hi && now.Lo > 0:
		out.Direction, gap = Up, now.Lo-1.1*hi
	case now.Hi < 0.9*lo:
		out.Direction, gap = Down, 0.9*lo-now.Hi
	case now.Lo > 0.9*hi && now.Hi < 1.1*lo:
		out.Direction, gap = Level, min(now.Lo-0.9*hi, 1.1*lo-now.Hi)
	default:
		return
	}
	out.Confidence = Low
	if gap >= highZ*se {
		out.Confidence = High
	} else if gap >= middleZ*se {
		out.Confidence = Middle
	}
	least, most := now.Lo/hi-1, now.Hi/lo-1 // how much more, for all figures in the intervals
	if out.Direction == Down {
		least, most = 1-now.Hi/lo, 1-max(now.Lo, 0)/hi
	}
	if out.Direction == Level {
		out.Size = None
	} else if a, b := sizeClass(least), sizeClass(most); a == b {
		out.Size = a
	}
}

// sizeClass is none below 10 %, small below 25, medium below 50, and large.
func sizeClass(by float64) Answer {
	switch {
	case by < 0.10:
		return None
	case by < 0.25:
		return Small
	case by < 0.50:
		return Medium
	}
	return Large
}

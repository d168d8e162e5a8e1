package signals

import "github.com/fieldpost/fieldpost/protocol/report"

// Site is what was told of an installation for a block of four weeks, for Observe.
type Site struct {
	Days    []Figure // traffic of each day of the block, from its Monday; empty: none is measured
	Working [7]bool  // working days, from Sunday; none: Monday to Friday
	Active  Figure   // people in the block
	Weeks   []Figure // people or events of each week, the newest last
	Groups  []Figure // people of each role
	Blocks  []Figure // people or events of each block so far, the newest last
}

// Stage is what a site looks like.
type Stage struct {
	Value      Answer // Trial, Pilot, Production
	Confidence Answer

	WorkingWeek, ManyPeople, Steady, RolesPresent, Lasting, RealLoad Answer
}

// Answers are the evidence in the order of the catalog's list.
func (s Stage) Answers() []Answer {
	return []Answer{s.WorkingWeek, s.ManyPeople, s.Steady, s.RolesPresent, s.Lasting, s.RealLoad}
}

const (
	manyPeople = 20
	lasting    = 6    // blocks: half a year
	realLoad   = 1000 // requests or events a week
	workShare  = 0.85 // of the traffic on working days; five of seven days are 0.71
)

// Observe scores the evidence: of what is known, two thirds yes is production, a third pilot, less trial; fewer than three
// known: nothing is said. High: whatever the unknown ones are, the answer stays.
func Observe(s Site) Stage {
	out := Stage{Value: Unknown, Confidence: Unknown, WorkingWeek: s.workingWeek(), ManyPeople: s.manyPeople(), Steady: s.steady(),
		RolesPresent: s.roles(), Lasting: s.lasting(), RealLoad: s.load()}
	yes, known := 0, 0
	all := out.Answers()
	for _, a := range all {
		if a != Unknown {
			known++
		}
		if a == Yes {
			yes++
		}
	}
	if known < 3 {
		return out
	}
	out.Value, out.Confidence = stageOf(yes, known), Low
	rest := len(all) - known
	switch {
	case stageOf(yes, len(all)) == stageOf(yes+rest, len(all)) && stageOf(yes, len(all)) == out.Value:
		out.Confidence = High
	case known >= 4:
		out.Confidence = Middle
	}
	return out
}

func stageOf(yes, of int) Answer {
	switch {
	case 3*yes >= 2*of:
		return Production
	case 3*yes >= of:
		return Pilot
	}
	return Trial
}

// workingWeek: the traffic follows the site's working days.
func (s Site) workingWeek() Answer {
	if len(s.Days) != 28 {
		return Unknown
	}
	on := s.Working
	if on == [7]bool{} {
		on = [7]bool{false, true, true, true, true, true, false}
	}
	var work, free report.Interval
	for i, d := range s.Days {
		switch {
		case !d.Known:
			return Unknown
		case on[(i+1)%7]:
			work = work.Add(d.Interval)
		default:
			free = free.Add(d.Interval)
		}
	}
	share, ok := report.ShareOf(work, free)
	return answer(ok && share.Lo >= workShare, !ok || share.Hi < workShare)
}

func (s Site) manyPeople() Answer {
	if !s.Active.Known {
		return Unknown
	}
	return answer(s.Active.Lo >= manyPeople, s.Active.Hi < manyPeople)
}

// steady: no week of the last eight is twice another one.
func (s Site) steady() Answer {
	if len(s.Weeks) < 8 {
		return Unknown
	}
	yes, no := true, false
	for _, a := range s.Weeks[len(s.Weeks)-8:] {
		for _, b := range s.Weeks[len(s.Weeks)-8:] {
			if !a.Known || !b.Known {
				yes = false
				continue
			}
			yes = yes && a.Hi <= 2*b.Lo && b.Lo > 0
			no = no || a.Lo > 2*b.Hi
		}
	}
	return answer(yes, no)
}

// roles: two roles at least are active.
func (s Site) roles() Answer {
	there, maybe := 0, 0
	for _, g := range s.Groups {
		if g.Known && g.Lo > 0 {
			there++
		}
		if !g.Known || g.Hi > 0 {
			maybe++
		}
	}
	return answer(there >= 2, len(s.Groups) > 0 && maybe < 2)
}

// lasting: something was done in each of the last six blocks.
func (s Site) lasting() Answer {
	if len(s.Blocks) < lasting {
		return answer(false, len(s.Blocks) > 0)
	}
	yes, no := true, false
	for _, b := range s.Blocks[len(s.Blocks)-lasting:] {
		yes = yes && b.Known && b.Lo > 0
		no = no || b.Known && b.Hi == 0
	}
	return answer(yes, no)
}

// load: a thousand requests or events in each of the four weeks.
func (s Site) load() Answer {
	if len(s.Days) != 28 {
		return Unknown
	}
	yes, no := true, false
	for w := range 4 {
		var sum report.Interval
		for _, d := range s.Days[7*w : 7*w+7] {
			if !d.Known {
				return Unknown
			}
			sum = sum.Add(d.Interval)
		}
		yes, no = yes && sum.Lo >= realLoad, no || sum.Hi < realLoad
	}
	return answer(yes, no)
}

package signals

// many is the share of the people there that counts as many.
const many = 0.25

// Facts are the figures told of a block of four weeks that can say why people moved. What was not told
// has Known false.
type Facts struct {
	Direction Answer // of the change

	Active, Before                      Figure    // people in the block, and in the one before
	New, Retained, Resurrected, Dormant Figure    // flows of the block
	Weeks                               [8]Figure // people or events of the four weeks before the block, and of its own four
	Assigned, AssignedBefore            Figure    // seats
	Invited                             Figure    // invitations, or people who accepted one
	Groups                              []Group   // roles or departments
}

// Group is one role or department: people in the block, and in every block before it that is known.
type Group struct {
	Now    Figure
	Before []Figure
}

// Why is the evidence, in the order of the catalog's list.
type Why struct{ BulkProvisioning, NewGroup, Invited, Burst, FlowsCancel Answer }

// Answers are the answers in the order of the catalog's list.
func (w Why) Answers() []Answer {
	return []Answer{w.BulkProvisioning, w.NewGroup, w.Invited, w.Burst, w.FlowsCancel}
}

// Explain answers yes and no where it follows from what was told.
func Explain(f Facts) Why {
	return Why{BulkProvisioning: f.bulk(), NewGroup: f.newGroup(), Invited: f.invited(), Burst: f.burst(), FlowsCancel: f.flowsCancel()}
}

func answer(yes, no bool) Answer {
	switch {
	case yes:
		return Yes
	case no:
		return No
	}
	return Unknown
}

// bulk: many at once. A quarter more seats were assigned than in the block before (5 at least), or as many people are new as a
// quarter of those there before and half of them came with one week.
func (f Facts) bulk() Answer {
	seats := f.Assigned.Known && f.AssignedBefore.Known
	if seats {
		by := f.Assigned.Lo - f.AssignedBefore.Hi
		if by >= 5 && by >= many*f.AssignedBefore.Hi {
			return Yes
		}
	}
	if !f.New.Known || !f.Before.Known {
		return Unknown
	}
	jump, never := false, true
	for i := 4; i < 8; i++ {
		w, v := f.Weeks[i], f.Weeks[i-1]
		switch {
		case !w.Known || !v.Known:
			never = false
		case f.New.Hi > 0 && w.Lo-v.Hi >= f.New.Hi/2:
			jump, never = true, false
		case w.Hi-v.Lo >= max(5, f.New.Lo)/2:
			never = false
		}
	}
	yes := jump && f.New.Lo >= 5 && f.New.Lo >= many*f.Before.Hi
	quiet := !seats || f.Assigned.Hi-f.AssignedBefore.Lo < max(5, many*f.AssignedBefore.Lo)
	return answer(yes, quiet && (f.New.Hi < max(5, many*f.Before.Lo) || never))
}

// newGroup: a role or department is active that never was before.
func (f Facts) newGroup() Answer {
	none := len(f.Groups) > 0
	for _, g := range f.Groups {
		was, never := false, len(g.Before) > 0
		for _, b := range g.Before {
			was = was || b.Known && b.Lo > 0
			never = never && b.Known && b.Hi == 0
		}
		if never && g.Now.Known && g.Now.Lo > 0 {
			return Yes
		}
		none = none && (was || g.Now.Known && g.Now.Hi == 0)
	}
	return answer(false, none)
}

// invited: there were half as many invitations as people are new, or more.
func (f Facts) invited() Answer {
	if !f.Invited.Known || !f.New.Known {
		return Unknown
	}
	return answer(f.New.Lo > 0 && f.Invited.Lo >= f.New.Hi/2, f.Invited.Hi < f.New.Lo/2)
}

// burst: one week of the block stands a quarter above the four before the block and the others in it. A burst in the last week
// is not known from a new level yet.
func (f Facts) burst() Answer {
	known := true
	for _, w := range f.Weeks {
		known = known && w.Known
	}
	if !known {
		return Unknown
	}
	no := true
	for i := 4; i < 8; i++ {
		above, below := true, false // of all others for certain; of one of them for certain
		for j, o := range f.Weeks {
			if j == i {
				continue
			}
			above = above && f.Weeks[i].Lo > (1+many)*o.Hi
			below = below || f.Weeks[i].Hi <= (1+many)*o.Lo
		}
		if above && i < 7 {
			return Yes
		}
		no = no && below
	}
	return answer(false, no)
}

// flowsCancel: the level is the same, and yet a quarter of the people came and a quarter went.
func (f Facts) flowsCancel() Answer {
	if f.Direction == Up || f.Direction == Down {
		return No
	}
	if !f.New.Known || !f.Resurrected.Known || !f.Dormant.Known || !f.Active.Known {
		return Unknown
	}
	in := f.New.Add(f.Resurrected.Interval)
	small := in.Hi < many*f.Active.Lo || f.Dormant.Hi < many*f.Active.Lo
	large := in.Lo >= many*f.Active.Hi && f.Dormant.Lo >= many*f.Active.Hi
	return answer(large && f.Direction == Level && f.Active.Hi > 0, small)
}

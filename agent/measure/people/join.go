package people

// Joined says what Join did.
type Joined uint8

const (
	// Ignored: the previous id is unknown, or there is no room for another name.
	Ignored Joined = iota
	// Refused: both already are one person.
	Refused
	// Named: the new id was unknown and is now a further name of the person.
	Named
	// Merged: two persons became one.
	Merged
)

// Join makes name a further name of the person called previous. When both were persons, loser
// gave up its number to winner; of each trait the value received later stays.
func (t *Table) Join(name, previous string, at, remember int64) (loser, winner uint32, did Joined) {
	winner, ok := t.ids[previous]
	if !ok || (remember >= 0 && at-t.last[winner] > remember) {
		return 0, 0, Ignored
	}
	loser, ok = t.ids[name]
	switch {
	case ok && loser == winner:
		return 0, 0, Refused
	case ok && (remember < 0 || at-t.last[loser] <= remember):
		t.merge(loser, winner)
		return loser, winner, Merged
	case ok:
		t.unname(loser)
	case len(t.ids) >= t.limit:
		return 0, 0, Ignored
	}
	t.more[winner] = append(t.more[winner], name)
	t.ids[name] = winner
	t.knew(winner)
	return winner, winner, Named
}

func (t *Table) merge(loser, winner uint32) {
	t.hold(loser, -1)
	t.hold(winner, -1)
	t.flags[loser] &^= named
	names := append([]string{t.name[loser]}, t.more[loser]...)
	for _, n := range names {
		t.ids[n] = winner
	}
	t.more[winner] = append(t.more[winner], names...)
	delete(t.more, loser)
	t.name[loser] = ""
	was, is := t.flags[loser]&active, t.flags[winner]&active
	switch {
	case was == is:
		t.last[winner] = max(t.last[winner], t.last[loser])
	case was != 0:
		t.last[winner] = t.last[loser]
	}
	t.flags[winner] |= was
	t.first[winner] = min(t.first[winner], t.first[loser])
	if t.create[loser].order > t.create[winner].order {
		t.create[winner] = t.create[loser]
	}
	for s := range t.slots {
		sl := &t.slots[s]
		if int(loser) >= len(sl.code) {
			continue
		}
		for int(winner) >= len(sl.code) {
			sl.code, sl.order = append(sl.code, 0), append(sl.order, 0)
		}
		if sl.order[loser] > sl.order[winner] {
			sl.code[winner], sl.order[winner] = sl.code[loser], sl.order[loser]
		}
	}
	t.hold(winner, +1)
	t.knew(winner)
	t.saw(winner)
	t.knew(loser)
	t.saw(loser)
	if was == 0 {
		t.release(loser) // in no set
		return
	}
	t.joined[loser] = winner
	t.lost.Add(loser)
}

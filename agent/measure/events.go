package measure

import (
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/agent/record"
)

// event folds one event in and says what became of it.
func (f *Fold) event(p *plan, e *record.Event) record.Reason {
	activity := e.Type >= record.Track && e.Type <= record.Screen
	var src *source
	switch {
	case activity && int(e.Def) < len(p.events):
		src = &p.events[e.Def]
	case activity || e.Type < record.Track || e.Type > record.Alias:
		return record.Malformed
	}
	if (activity && src.off) || (!activity && !p.anyOn) {
		return record.Off
	}
	if e.HasID {
		if f.seen.Seen(e.MessageID, f.now) {
			return record.Duplicate
		}
		f.seen.Add(e.MessageID, f.now)
	}
	if activity {
		if f.now-e.Time > int64(run.GraceOf(&p.cat.Events[e.Def])) {
			return record.Late
		}
		f.activity(src, e)
		return record.Measured
	}
	switch e.Type {
	case record.Identify:
		f.identify(p, e)
	case record.Alias:
		f.alias(e)
	case record.Group:
		for i := range e.Properties {
			for _, sf := range p.seats {
				if sf.pos == e.Properties[i].Property {
					run.Learn(sf.to, f.w.Cal.Day(f.now), run.Decimal(e.Properties[i].Number))
				}
			}
			for _, ff := range p.groups {
				if ff.pos == e.Properties[i].Property {
					f.learn(ff.r, text(ff.p, &e.Properties[i]))
				}
			}
		}
	}
	return record.Measured
}

// activity is a track, page or screen event.
func (f *Fold) activity(src *source, e *record.Event) {
	day := f.w.Cal.Day(e.Time)
	id := uint32(people.Nobody)
	if e.User != "" && f.needPeople {
		var fresh bool
		if id, fresh = f.w.People.Touch(e.User, e.Time, f.remember()); fresh {
			f.fresh(id)
		}
		if id == people.Nobody {
			f.acc.UsersRefused++
		} else {
			f.w.People.Active(id, e.Time, int32(day))
		}
	}
	for i := range src.feeds {
		fd := &src.feeds[i]
		combo, ok := fd.Take(e.Properties)
		if !ok {
			continue
		}
		switch {
		case fd.R.People != nil:
			f.w.AddPerson(fd, e, id, day, combo)
		case fd.R.Fact != nil:
			fd.R.Fact.First.Note(id, e.Time)
			f.told = append(f.told, id)
		default:
			f.addTraffic(fd, e, id, combo)
		}
	}
	for i := range src.facts {
		ff := &src.facts[i]
		if v := run.Find(e.Properties, int(ff.pos)); v != nil {
			f.learn(ff.r, text(ff.p, v))
		}
	}
}

// firsts looks at those of whom a record told something, for measures of kind first_time: what counts is
// what is known after the whole record. An event that came later and happened earlier can make the
// time shorter, never longer.
func (f *Fold) firsts() {
	for _, r := range f.runs {
		if r.Fact == nil || r.Fact.First == nil || len(r.Fact.First.Waiting) == 0 {
			continue
		}
		earlier := false
		for _, id := range f.told {
			earlier = r.Look(f.w.People, id) || earlier
		}
		if earlier {
			f.learn(r, run.FactValues(r.M)[calendar.FirstBand(time.Duration(r.Fact.First.At-f.w.Began))])
		}
	}
	f.told = f.told[:0]
}

// fresh makes sure that nothing is left of whoever had the number before.
func (f *Fold) fresh(id uint32) {
	for _, r := range f.runs {
		r.Unfirst(id)
	}
}

func (f *Fold) identify(p *plan, e *record.Event) {
	if e.User == "" || !f.needPeople {
		return
	}
	id, fresh := f.w.People.Touch(e.User, f.now, f.remember())
	if id == people.Nobody {
		f.acc.UsersRefused++
		return
	}
	if fresh {
		f.fresh(id)
	}
	if e.CreatedAt != 0 {
		f.w.People.SetCreated(id, e.CreatedAt)
	}
	for i := range e.Properties {
		if v := &e.Properties[i]; int(v.Property) < len(p.traits) {
			t := &p.traits[v.Property]
			f.w.People.SetTrait(id, t.slot, f.code(t, v))
		}
	}
	f.told = append(f.told, id)
	f.userFacts()
}

func (f *Fold) alias(e *record.Event) {
	if !f.needPeople {
		return
	}
	if e.User == "" || e.Previous == "" {
		f.acc.AliasIgnored++
		return
	}
	loser, winner, did := f.w.People.Join(e.User, e.Previous, f.now, f.remember())
	switch did {
	case people.Ignored:
		f.acc.AliasIgnored++
	case people.Refused:
		f.acc.AliasRefused++
	case people.Merged:
		for _, r := range f.runs {
			r.Merge(loser, winner)
		}
	}
	if did != people.Ignored {
		f.told = append(f.told, winner)
	}
	f.userFacts()
}

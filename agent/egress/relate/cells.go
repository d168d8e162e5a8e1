package relate

import (
	"slices"

	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Window reports whether windows of the grain that start there can be told of the measure (PRIVACY, "Windows
// that leave"): weeks of the site's total, blocks of four weeks, what looks back 28 days on a
// block's last day, and cohorts of twelve weeks.
func (p *Plan) Window(m int, g report.Grain, start int64) bool {
	ms := &p.cat.Measures[m]
	switch {
	case ms.Kind == catalog.Fact || ms.Kind == catalog.FirstTime:
		return false
	case g == report.Week:
		return ms.Kind == catalog.ActiveUsers && p.places[m].set == p.root && p.root >= 0
	case g == report.Rolling28:
		return ms.LeavesAt() == g && blockStart(start) == start-fourWeeks+1
	}
	return g == ms.LeavesAt()
}

// key is where the model keeps the number of a cell.
func (p *Plan) key(s report.Series, start int64, b *block) (key, Reason) {
	ms, at := &p.cat.Measures[s.Measure], &p.places[s.Measure]
	if at.set < 0 {
		return key{}, at.why
	}
	k := key{of: int16(s.Measure), role: everybody}
	switch ms.Kind {
	case catalog.ActiveUsers:
		return p.activeKey(s, start, ms, at, b)
	case catalog.Lifecycle:
		n := slices.Index(ms.Fields(), s.Field)
		k.what, k.n = isLifecycle, int16(n)
		if s.Breakdown > 0 {
			return p.roleKey(k, s, ms.By[s.Breakdown-1], b)
		}
	case catalog.Stickiness:
		switch {
		case s.Breakdown > 0:
			k.what, k.n = isDays, int16(s.V1)
		case s.Field == report.Value:
			return p.popKey(at, k), ""
		default:
			return key{}, NotTold
		}
	case catalog.Seats:
		switch s.Field {
		case report.Value:
			return p.popKey(at, k), ""
		case report.Peak:
			k.what = isPeak
		default:
			return key{}, NotTold
		}
	case catalog.Adoption:
		if s.Breakdown == 0 {
			k.what, k.n = isFeature, -1
			return k, ""
		}
		n := slices.Index([]report.Field{report.Tried, report.Adopted, report.Habitual}, s.Field)
		k.what, k.n = isFeature, int16(3*int(s.V1)+n)
		if at.features[s.V1] < 0 {
			return key{}, Unrelated
		}
	case catalog.Funnel:
		return p.funnelKey(k, s, ms, b)
	case catalog.Retention:
		k.what = isCohort
		if s.Breakdown > 0 {
			k.n = int16(s.V1) + 1
		}
	default:
		return key{}, NotTold
	}
	return k, ""
}

func (p *Plan) popKey(at *place, k key) key {
	if at.roles == nil {
		return key{isSet, int16(at.set), everybody, 0}
	}
	k.what = isFiltered
	return k
}

func (p *Plan) activeKey(s report.Series, start int64, ms *catalog.Measure, at *place, b *block) (key, Reason) {
	switch {
	case s.Grain == report.Week && s.Breakdown == 0 && at.roles == nil:
		return key{isWeek, 0, everybody, int16((start - b.start) / 7)}, ""
	case s.Grain == report.Week:
		return key{}, NotTold
	case s.Breakdown == 0:
		return p.popKey(at, key{of: int16(s.Measure), role: everybody}), ""
	}
	dims := ms.By[s.Breakdown-1]
	switch sets := at.values[s.Breakdown-1]; {
	case len(dims) > 1:
		return key{}, Cross
	case sets != nil && sets[s.V1] >= 0:
		return key{isSet, int16(sets[s.V1]), everybody, 0}, ""
	case sets != nil:
		return key{}, Unrelated
	}
	return p.roleKey(key{what: isSet, of: int16(at.set)}, s, dims, b)
}

func (p *Plan) roleKey(k key, s report.Series, dims []string, b *block) (key, Reason) {
	switch {
	case len(dims) > 1:
		return key{}, Cross
	case dims[0] != p.trait:
		return key{}, OtherTrait
	case b.classes == nil:
		return key{}, NoBreakdown
	}
	for r, c := range b.classes {
		if c.value == s.V1 {
			k.role = int16(r)
			return k, ""
		}
	}
	return key{}, SmallRole
}

func (p *Plan) funnelKey(k key, s report.Series, ms *catalog.Measure, b *block) (key, Reason) {
	switch s.Breakdown {
	case 0:
		k.what = isStep
	case 1:
		k.what, k.n = isStep, int16(s.V1)
	case 2:
		k.what, k.n = isBand, int16(s.V1)
	case 3: // split and step
		if ms.Split != p.trait {
			return key{}, OtherTrait
		}
		k.what, k.n = isStep, int16(s.V2)
		return p.roleKey(k, s, []string{ms.Split}, b)
	default:
		return key{}, Cross
	}
	return k, ""
}

// Merged is the values of the trait that a breakdown's cell stands for, itself among them.
func (b *block) merged(value uint16) []uint16 {
	for _, c := range b.classes {
		if c.value == value {
			return c.values
		}
	}
	return nil
}

// byTrait reports whether the first dimension of a series' breakdown is the trait.
func (p *Plan) byTrait(s report.Series) bool {
	ms := &p.cat.Measures[s.Measure]
	switch {
	case p.trait == "" || s.Breakdown == 0:
		return false
	case ms.Kind == catalog.Funnel:
		return s.Breakdown == 3 && ms.Split == p.trait
	}
	return int(s.Breakdown) <= len(ms.By) && ms.By[s.Breakdown-1][0] == p.trait
}

// Question is a cell that could be told.
type Question struct {
	Plan   *Plan
	Series report.Series
	Start  int64
	v      audit.Var
	b      *block
	k      key
}

// Values are the listed values whose figures add up to the cell's: more than one where small roles were
// merged; nil where the cell stands for itself.
func (q Question) Values() []uint16 {
	if !q.Plan.byTrait(q.Series) {
		return nil
	}
	return q.b.merged(q.Series.V1)
}

package noise

import (
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// builder fills a plan in, one function per kind.
type builder struct {
	*Plan
	c *catalog.Catalog
	m *catalog.Measure
}

func (b *builder) build() bool {
	pool := b.Level == Pool
	switch b.m.Kind {
	case catalog.ActiveUsers:
		b.people([]report.Field{report.Value}, 1)
	case catalog.Lifecycle:
		most := 1
		if pool { // three windows of four weeks added up: a user is in one cell of each
			b.Source, most = report.Block4w, 3
		}
		b.people(b.m.Fields(), most)
	case catalog.Retention:
		b.retention(pool)
	case catalog.Funnel:
		return b.funnel(pool)
	case catalog.Adoption:
		b.Source = report.Rolling28
		return b.adoption(pool)
	case catalog.Stickiness:
		b.stickiness()
		return !pool
	case catalog.Count:
		return !pool && b.count()
	case catalog.Seats:
		b.alone("active", report.Value)
		b.alone("peak", report.Peak)
		return !pool
	default:
		return false
	}
	return len(b.Families) > 0
}

func (b *builder) series(f report.Field, breakdown int, v1, v2 uint16) report.Series {
	return report.Series{Measure: uint16(b.Measure), Field: f, Grain: b.Grain, Breakdown: uint8(breakdown), V1: v1, V2: v2}
}

// family opens a family and gives its number.
func (b *builder) family(name string, sensitivity int) int {
	b.Families = append(b.Families, Family{Name: name, Sensitivity: sensitivity})
	return len(b.Families) - 1
}

// cell adds a cell to a family and gives its number.
func (b *builder) cell(family int, plus report.Series, minus ...report.Series) int {
	c := Cell{Plus: plus}
	if len(minus) > 0 {
		c.Minus, c.Less = minus[0], true
	}
	f := &b.Families[family]
	f.Cells = append(f.Cells, c)
	return len(f.Cells) - 1
}

func (b *builder) figure(s report.Series, family int, cells ...int) {
	b.at[s] = place{family, slices.Clone(cells)}
}

// alone is a family of one figure of the total.
func (b *builder) alone(name string, f report.Field) {
	s, n := b.series(f, 0, 0, 0), b.family(name, 1)
	b.figure(s, n, b.cell(n, s))
}

// count is the sum in which nobody counts more often than the catalog's cap. Where none is declared the noise would be larger
// than what it hides.
func (b *builder) count() bool {
	if b.m.Cap == 0 || len(b.m.WhereUser) > 0 {
		return false
	}
	s := b.series(report.Value, 0, 0, 0)
	fam := b.family("events", int(b.m.Cap))
	b.figure(s, fam, b.cell(fam, s))
	return true
}

// people counts users, each in most of the cells at most, and tells them apart by traits: a user has one value of
// each when the window closes.
func (b *builder) people(fields []report.Field, most int) {
	pool := b.Level == Pool
	total, fewest := -1, maxDerived+1
	for n, br := range b.c.Breakdowns(b.m) {
		if _, trait := b.c.Dimension(b.m, br.Dims[0]); !trait || len(br.Dims) != 1 || pool && len(b.Families) > 0 {
			continue
		}
		fam := b.family("by "+br.Dims[0], most)
		values := 0
		for v := range br.Props[0].Size() {
			if slices.Contains(br.Props[0].NotPeople, br.Props[0].ValueName(v)) {
				continue // nobody who counts has it
			}
			values++
			for _, f := range fields {
				s := b.series(f, n+1, v, 0)
				b.figure(s, fam, b.cell(fam, s))
			}
		}
		if values < fewest {
			total, fewest = fam, values
		}
	}
	own := total < 0
	if own {
		total = b.family("total", most)
	}
	for i, f := range fields {
		s := b.series(f, 0, 0, 0)
		if own {
			b.figure(s, total, b.cell(total, s))
			continue
		}
		var cells []int
		for n := i; n < len(b.Families[total].Cells); n += len(fields) {
			cells = append(cells, n)
		}
		b.figure(s, total, cells...)
	}
}

// retention: size and kept week are two families, not the two halves of one: they are counted four weeks apart, and who
// became a person in between (not_people, where_user, createdAt) is in the second without having been in the
// first. The pool spends all of its ε on the week.
func (b *builder) retention(pool bool) {
	if !pool {
		b.alone("size", report.Value)
	}
	kept, fam := b.series(report.Value, 1, keptOffset-1, 0), b.family("still active", 1)
	b.figure(kept, fam, b.cell(fam, kept))
}

// funnel: every entry reached exactly one step last, ended in exactly one band and had one value of the split.
func (b *builder) funnel(pool bool) bool {
	days := 28
	if pool { // three windows of four weeks added up: an entry is in one of them
		b.Source, days = report.Block4w, 84
	}
	most := mostEntries(b.m, days)
	if most == 0 || len(b.m.Steps) == 0 {
		return false
	}
	all := b.steps(b.family("last step", most), 1, 0, false)
	b.figure(b.series(report.Value, 0, 0, 0), 0, all...)
	if pool {
		return true
	}
	bands := b.family("time to the last step", most)
	for i := range catalog.TimeBands() {
		if i == 0 || i == len(catalog.TimeBands())-1 || bandEnds()[i-1] < b.m.Window {
			s := b.series(report.Value, 2, uint16(i), 0)
			b.figure(s, bands, b.cell(bands, s))
		}
	}
	if b.m.Split == "" {
		return true
	}
	fam := b.family("last step by "+b.m.Split, most)
	p := b.c.Breakdowns(b.m)[2].Props[0]
	for v := range p.Size() {
		if !slices.Contains(p.NotPeople, p.ValueName(v)) {
			b.steps(fam, 3, v, true)
		}
	}
	return true
}

// steps adds "reached this one last" of every step and the figures "reached this one"; it gives the cells of all.
func (b *builder) steps(fam, breakdown int, split uint16, isSplit bool) []int {
	at := func(step int) report.Series {
		if isSplit {
			return b.series(report.Value, breakdown, split, uint16(step))
		}
		return b.series(report.Value, breakdown, uint16(step), 0)
	}
	var cells []int
	last := len(b.m.Steps) - 1
	for i := range b.m.Steps {
		if i == last {
			cells = append(cells, b.cell(fam, at(i)))
		} else {
			cells = append(cells, b.cell(fam, at(i), at(i+1)))
		}
	}
	for i := range b.m.Steps {
		b.figure(at(i), fam, cells[i:]...)
	}
	return cells
}

// bandEnds are the upper ends of catalog.TimeBands, without never.
func bandEnds() []time.Duration {
	day := 24 * time.Hour
	return []time.Duration{time.Hour, day, 3 * day, 7 * day, 30 * day}
}

// stickiness: every active user is in one bin of L28.
func (b *builder) stickiness() {
	fam := b.family("days active", 1)
	var all []int
	for i := range catalog.DayBins() {
		s := b.series(report.Value, 1, uint16(i), 0)
		all = append(all, b.cell(fam, s))
		b.figure(s, fam, all[i])
	}
	b.figure(b.series(report.Value, 0, 0, 0), fam, all...)
}

// adoption: of each feature a user is on one rung at most. The fold does not bound how many features a user
// counts for, so the number of features does.
func (b *builder) adoption(pool bool) bool {
	if pool {
		if len(b.m.Features) > maxFeatures {
			return false
		}
		fam := b.family("tried", len(b.m.Features))
		for i := range b.m.Features {
			s := b.series(report.Tried, 1, uint16(i), 0)
			b.figure(s, fam, b.cell(fam, s))
		}
		return true
	}
	if len(b.m.Features) > ladders || b.m.Uses > maxNested {
		return false
	}
	b.alone("eligible", report.Value)
	for i, f := range b.m.Features {
		fam := b.family("uses of "+f.ID, 1)
		tried, adopted, habitual := b.series(report.Tried, 1, uint16(i), 0), b.series(report.Adopted, 1, uint16(i), 0), b.series(report.Habitual, 1, uint16(i), 0)
		low, mid, top := b.cell(fam, tried, adopted), b.cell(fam, adopted, habitual), b.cell(fam, habitual)
		b.figure(tried, fam, low, mid, top)
		b.figure(adopted, fam, mid, top)
		b.figure(habitual, fam, top)
	}
	return true
}

package noise

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	shared "github.com/fieldpost/fieldpost/protocol/noise"
)

const (
	// keepDrawn is how many days drawn windows can still be answered: the pool's block and the one before. Later a
	// window that came again would be Suppressed, since its budget is spent.
	keepDrawn = 2 * 84
	// keepParts is how long a window waits for its parts: a cohort of 12 weeks, 4 weeks and graces.
	keepParts = 3 * 84
	// keepSpent is how many days spending stands block by block; 60 measures make 3,900 lines of it. What is
	// older is summed up per measure.
	keepSpent = 5 * 364
)

// drawn is a window that left: the noised counts of its cells, by family; none: all was suppressed.
type drawn struct {
	Block int64     `json:"block"`
	Cells [][]int64 `json:"cells,omitempty"`
}

// partial is a window of which parts are missing.
type partial struct {
	Block  int64     `json:"block"`
	Starts []int64   `json:"starts"` // of the exact windows that were offered
	Sums   []float64 `json:"sums"`   // of the exact figures needed, in order
	Have   []bool    `json:"have,omitempty"`
}

// Spending is what one measure spent of a user's budget in one block, in thousandths of ε.
type Spending struct {
	Level   string `json:"level"`
	Measure string `json:"measure"`
	Block   int64  `json:"block"` // civil day the block began; -1: all blocks older than five years
	Days    int    `json:"days"`  // how long the block is
	Milli   int64  `json:"milli"`
}

// Epsilon is the spending as ε.
func (s Spending) Epsilon() float64 { return float64(s.Milli) / 1000 }

// Budget is what was spent. ε of several releases about one user adds up, at most (Dwork, Rothblum, Vadhan 2010,
// basic composition); it is kept in whole thousandths so that the sum is exact.
type Budget struct{ spent []Spending }

// fits reports whether a measure may spend that much in a block: its own ε once, and in the pool what is left
// of it over all measures.
func (b *Budget) fits(level string, m *catalog.Measure, block int64, amount uint64) bool {
	all := uint64(0)
	for _, s := range b.spent {
		if s.Level != level || s.Block != block {
			continue
		}
		if s.Measure == m.ID {
			return false
		}
		all += uint64(s.Milli)
	}
	return level != shared.Pool || all+amount <= shared.PoolMilli()
}

func (b *Budget) spend(s Spending) {
	b.spent = append(b.spent, s)
	slices.SortFunc(b.spent, Spending.compare)
}

func (s Spending) compare(o Spending) int {
	return cmp.Or(cmp.Compare(s.Block, o.Block), cmp.Compare(s.Level, o.Level), cmp.Compare(s.Measure, o.Measure))
}

// foldOld sums up what was spent in blocks before day.
func (b *Budget) foldOld(day int64) {
	old := map[[2]string]int64{}
	all := b.spent
	b.spent = nil
	for _, s := range all {
		if s.Block >= day {
			b.spent = append(b.spent, s)
		} else {
			old[[2]string{s.Level, s.Measure}] += s.Milli
		}
	}
	for k, n := range old {
		b.spent = append(b.spent, Spending{Level: k[0], Measure: k[1], Block: -1, Milli: n})
	}
	slices.SortFunc(b.spent, Spending.compare)
}

// Spent is every spending, oldest block first: what ledger, console and audit show.
func (d *Drawer) Spent() []Spending { return slices.Clone(d.budget.spent) }

// SpentIn is the ε that all measures together spent on a user between two civil days, both included: every block
// that has a day in common with them counts whole. Basic composition: an upper bound.
func (d *Drawer) SpentIn(from, to int64) float64 {
	sum := int64(0)
	for _, s := range d.budget.spent {
		if s.Block >= 0 && s.Block <= to && s.Block+int64(s.Days) > from {
			sum += s.Milli
		}
	}
	return float64(sum) / 1000
}

// Total is the ε spent in all.
func (d *Drawer) Total() float64 {
	sum := int64(0)
	for _, s := range d.budget.spent {
		sum += s.Milli
	}
	return float64(sum) / 1000
}

// forget lets go of what a window of a newer block makes old.
func (d *Drawer) forget(block int64) {
	for k, w := range d.drawn {
		if w.Block < block-keepDrawn {
			delete(d.drawn, k)
		}
	}
	for k, p := range d.parts {
		if p.Block < block-keepParts {
			delete(d.parts, k)
		}
	}
	if slices.ContainsFunc(d.budget.spent, func(s Spending) bool { return s.Block >= 0 && s.Block < block-keepSpent }) {
		d.budget.foldOld(block - keepSpent)
	}
}

type state struct {
	Drawn map[string]drawn   `json:"drawn,omitempty"`
	Parts map[string]partial `json:"parts,omitempty"`
	Spent []Spending         `json:"spent,omitempty"`
}

// Save writes the state for the checkpoint; equal states give equal bytes.
func (d *Drawer) Save() ([]byte, error) {
	b, err := json.Marshal(state{d.drawn, d.parts, d.budget.spent}) // keys are written sorted
	if err != nil {
		return nil, fmt.Errorf("writing drawn noise: %w", err)
	}
	return b, nil
}

// Load replaces the state; no bytes are the state of a Drawer that has drawn nothing.
func (d *Drawer) Load(b []byte) error {
	var s state
	if len(b) > 0 {
		if err := json.Unmarshal(b, &s); err != nil {
			return fmt.Errorf("reading drawn noise: %w", err)
		}
	}
	if s.Drawn == nil {
		s.Drawn = map[string]drawn{}
	}
	if s.Parts == nil {
		s.Parts = map[string]partial{}
	}
	slices.SortFunc(s.Spent, Spending.compare)
	d.drawn, d.parts, d.budget.spent = s.Drawn, s.Parts, s.Spent
	return nil
}

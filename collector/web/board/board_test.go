package board

import (
	"testing"

	"github.com/fieldpost/fieldpost/collector/store"
)

func TestSettledWaitsWhileReportsAreUnderWay(t *testing.T) {
	var all []store.Period
	tell := func(week int64, n int) {
		for range n {
			all = append(all, store.Period{Start: 7 * week, Exact: 1})
		}
	}
	for w := int64(80); w < 98; w++ {
		tell(w, 10)
	}
	tell(98, 6)
	tell(99, 3)
	if got := settled(all, 7*99, 7) / 7; got != 98 {
		t.Errorf("week %d, want 98: it has more than half", got)
	}
	if got := settled(nil, 7*99, 7) / 7; got != 99 {
		t.Errorf("nothing told: week %d", got)
	}
}

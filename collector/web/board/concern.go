package board

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/sla"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/words"
)

// Concern is one line of "needs attention".
type Concern struct {
	Tone, Word, Account, Name, Text string
	weight                          float64
}

// Concerns rank what needs somebody: what was lost or missed first, then by the seats or
// price that the account's imported attributes give it.
func Concerns(s *Snapshot) []Concern {
	var out []Concern
	for i := range s.Rows {
		r := &s.Rows[i]
		add := func(grade float64, tone, word, text string) {
			out = append(out, Concern{Tone: tone, Word: word, Account: r.Key, Name: r.Name, Text: text, weight: grade*1e12 + value(r.AccountRow)})
		}
		var losses, refused int64
		for _, inst := range r.Installs {
			losses, refused = losses+inst.Losses, refused+inst.Refused
			if skew := inst.Skew.Abs(); skew > 5*time.Minute && !inst.Simulated { // simulated sites share a clock that is not theirs
				add(2, "warn", "Clock off", fmt.Sprintf("%s is %s off; windows may be refused", inst.Key, accounts.Span(skew)))
			}
		}
		if losses > 0 {
			add(6, "bad", "Data lost", words.Plural(int(losses), "batch")+" that can never arrive")
		}
		if w := r.Worst(); w != nil && w.State() == sla.Missed {
			add(5, "bad", "Service level missed", fmt.Sprintf("%s %% of %s %% in 4 weeks; down %s", words.Share(w.Share), words.Percent(w.Target), words.Seconds(w.Down)))
		}
		switch r.Reading.Word {
		case accounts.Silent:
			add(4, "warn", "Silent", r.Reading.Why)
		case accounts.Idle:
			add(3, "warn", "Idle", r.Reading.Why)
		case accounts.Shrinking:
			add(3, "warn", "Shrinking", "active people: "+r.Reading.Why)
		}
		if refused > 0 {
			add(1, "warn", "Quarantine", "refused: "+words.Plural(int(refused), "batch")+"; see the reasons")
		}
	}
	slices.SortStableFunc(out, func(a, b Concern) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), strings.Compare(a.Name, b.Name))
	})
	return out
}

func value(a store.AccountRow) float64 {
	for _, k := range []string{"price", "arr", "seats"} {
		if v, err := strconv.ParseFloat(a.Attributes[k], 64); err == nil && v > 0 && v < 1e11 {
			return v
		}
	}
	return 0
}

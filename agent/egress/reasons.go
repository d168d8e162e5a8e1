package egress

import (
	"fmt"
	"strings"

	"github.com/fieldpost/fieldpost/agent/egress/audit"
	"github.com/fieldpost/fieldpost/agent/egress/relate"
	"github.com/fieldpost/fieldpost/agent/egress/sums"
)

// Reason is why a figure is suppressed or does not leave. It stays at the site.
type Reason string

const (
	Leaves        Reason = ""                         // it leaves
	NotConsented  Reason = "not_consented"            // the category's level is off or local
	NotAccepted   Reason = "not_accepted"             // the accepted catalog does not hold this definition
	BeforeConsent Reason = "before_consent"           // the window began before the consent did
	OtherGrain    Reason = "other_grain"              // this grain stays at the site
	SmallSite     Reason = "small_site"               // traffic per hour at a site with fewer than 20 users
	StillOpen     Reason = "still_open"               // the window has not closed
	NoAnswer      Reason = "no_answer"                // no template has two answers that hide enough
	Inconsistent  Reason = "inconsistent"             // the figure contradicts an earlier answer: people changed in between
	GroupTooSmall        = Reason(relate.NoGroup)     // no code book has two answers for so few people
	NotConfirmed         = Reason(relate.Unrelated)   // its relation to other measures is not one that was proved
	SecondTrait          = Reason(relate.OtherTrait)  // figures are told by one trait only
	Crossed              = Reason(relate.Cross)       // a cross of two dimensions
	RoleMerged           = Reason(relate.SmallRole)   // counted under (other)
	OneRole              = Reason(relate.NoBreakdown) // only one role is left after merging
	SumOfEvents          = Reason(relate.Sums)        // a sum over what people did
	StaysByKind          = Reason(relate.NotTold)     // this figure of the kind stays at the site
	SumOfSome            = Reason(sums.OfSome)        // a sum over some of the people
	OverlapsSum          = Reason(sums.Overlaps)      // another sum, listed before, holds some of its events
	UsersNotTold         = Reason(sums.Unknown)       // nothing that leaves tells how many people are in the sum
	UsersNotExact Reason = "users_not_exact"          // that was not told as one number of 10 at least
	SumInTotal           = Reason(sums.InTotal)       // an exact figure holds some of its events
)

// Text is the reason in plain words.
func (r Reason) Text() string {
	switch r {
	case NotConsented:
		return "you have not agreed to send this category"
	case NotAccepted:
		return "you have not accepted the catalog that asks for this"
	case BeforeConsent:
		return "the window began before your consent did"
	case OtherGrain:
		return "this length of window stays here"
	case SmallSite:
		return "hours would tell who worked when at a site with fewer than 20 users; days leave"
	case StillOpen:
		return "the window has not closed yet"
	case NoAnswer:
		return "no answer would leave at least five possibilities open, given what was told before"
	case Inconsistent:
		return "it does not fit an earlier answer, because roles or accounts changed in between"
	case SumOfEvents:
		return "sums of what people did stay here, but for totals per block: what is left between two of them could be one person's"
	case GroupTooSmall:
		return "too few people: no answer could hide a single one"
	case NotConfirmed:
		return "how it relates to the other figures is not proved, so together they could tell too much"
	case SecondTrait:
		return "figures are told by one trait only"
	case Crossed:
		return "a cross of two dimensions never leaves"
	case RoleMerged:
		return "fewer than 12 people: counted under (other)"
	case OneRole:
		return "only one group of 12 people or more is left, so there is nothing to tell apart"
	case SumOfSome:
		return "a sum over some of the people stays here"
	case OverlapsSum:
		return "another sum, listed before, has some of the same events: what is left between the two could be one person's"
	case UsersNotTold:
		return "nothing that leaves tells how many people are in this sum"
	case UsersNotExact:
		return "how many people are in this sum was not told as one number of 10 or more"
	case SumInTotal:
		return "some of its events are in a figure that leaves exactly: what is left between the two could be one person's"
	case StaysByKind:
		return "this figure stays here; what follows from the others is enough"
	}
	return ""
}

// Explanation says how a figure got its form; it stays at the site.
type Explanation struct {
	Group    int64            // people it is out of
	Known    audit.Interval   // what followed from earlier answers
	Template audit.Template   // of the code book
	Answers  []audit.Interval // the code book
	Noise    string           // the level whose noise was added; "" none
	Each     int64            // of a sum: how often one person counts at most
}

// Text is the explanation in plain words; "" when there is nothing to explain.
func (e Explanation) Text() string {
	if e.Noise != "" {
		return "noise of the level " + e.Noise + " was added, drawn once"
	}
	if e.Group == 0 {
		return ""
	}
	if e.Each > 0 {
		return fmt.Sprintf("over %d people, each counted at most %d times, and the two who did most as often as the third; every answer is at least a fifth as wide as what one of them can have done", e.Group, e.Each)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "out of %d people", e.Group)
	if e.Known != (audit.Interval{Lo: 0, Hi: e.Group}) {
		fmt.Fprintf(&b, "; %s followed from earlier answers", span(e.Known))
	}
	if len(e.Answers) == 0 {
		return b.String() + "; no code book keeps five possibilities open"
	}
	fmt.Fprintf(&b, "; code book of %s with %d answers: ", e.Template, len(e.Answers))
	for i, a := range e.Answers {
		if i == 12 && len(e.Answers) > 14 {
			b.WriteString(" …")
			a = e.Answers[len(e.Answers)-1]
			fmt.Fprintf(&b, " %d or more", a.Lo)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if i == len(e.Answers)-1 {
			fmt.Fprintf(&b, "%d or more", a.Lo)
		} else {
			b.WriteString(span(a))
		}
	}
	return b.String()
}

func span(i audit.Interval) string {
	if i.Lo == i.Hi {
		return fmt.Sprint(i.Lo)
	}
	return fmt.Sprintf("%d–%d", i.Lo, i.Hi)
}

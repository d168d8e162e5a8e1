package shown

import (
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/egress"
	"github.com/fieldpost/fieldpost/agent/egress/noise"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Audit is what was found in everything that left, with the narrowest of its counts, most at the most.
func Audit(found egress.Inspection, spent []noise.Spending, most int) control.Audit {
	out := control.Audit{Figures: found.Figures, Told: found.Told, Counts: found.Numbers, Narrowed: len(found.Findings)}
	for _, f := range found.Findings {
		if !f.Holds {
			out.Breaches++
		}
		if len(out.Narrow) < most {
			out.Narrow = append(out.Narrow, control.AuditFinding{What: f.What, Start: report.StartString(report.Week, f.Start), Lo: f.Known.Lo, Hi: f.Known.Hi, Public: f.Public.Hi, Holds: f.Holds})
		}
	}
	for _, s := range spent {
		out.Epsilon = append(out.Epsilon, control.AuditSpent{Level: s.Level, Measure: s.Measure, Start: report.StartString(report.Week, s.Block), Epsilon: s.Epsilon()})
	}
	return out
}

package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/control"
)

func (a *app) auditCmd() *cobra.Command {
	var o control.AuditOrder
	c := &cobra.Command{Use: "audit", Short: "What everything that ever left says about people: the narrowest interval ever disclosed", Args: args(cobra.NoArgs),
		Long: `Takes every figure about people from the ledger and bounds, from those figures, their relations and the
group sizes alone, every count of people: cells, totals, complements and differences. No count may be known
more narrowly than: what was public before, exactly with 5 people or more (site totals 10) inside and
outside, or an interval of at least 5 values. Exit code 1 if one is.`,
		Example: "  fieldpost-agent audit\n  fieldpost-agent audit --most 100 -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Most < 1 {
				return &control.Error{Code: "usage", Message: "--most is a number from 1", Hint: "fieldpost-agent audit --most 100", Exit: 2}
			}
			site, done, err := a.open(c)
			if err != nil {
				return err
			}
			defer done()
			r, err := site.Audit(c.Context(), o)
			if err != nil {
				return err
			}
			v := view{data: r, header: []string{"count", "block", "at least", "at most", "out of", ""}}
			for _, f := range r.Narrow {
				verdict := ""
				if !f.Holds {
					verdict = "TOO NARROW"
				}
				v.rows = append(v.rows, []string{f.What, f.Start, fmt.Sprint(f.Lo), fmt.Sprint(f.Hi), fmt.Sprint(f.Public), verdict})
			}
			v.human = func(w io.Writer) { a.tellAudit(w, r, v) }
			if err := a.print(v); err != nil {
				return err
			}
			if r.Breaches > 0 {
				return &control.Error{Code: "audit_breach", Message: fmt.Sprintf("%d counts are known more narrowly than the principle allows", r.Breaches),
					Hint: "fieldpost-agent consent pause, and report it", Exit: 1}
			}
			return nil
		}}
	c.Flags().IntVar(&o.Most, "most", 20, "how many counts to list, the narrowest first")
	return c
}

func (a *app) tellAudit(w io.Writer, r control.Audit, v view) {
	fmt.Fprintf(w, "%s batches, %s figures about people, %s of them told something.\n", thousands(uint64(r.Batches)), thousands(uint64(r.Figures)), thousands(uint64(r.Told)))
	fmt.Fprintf(w, "%s counts of people bounded; something follows for %s of them; %d more narrowly than allowed.\n", thousands(uint64(r.Counts)), thousands(uint64(r.Narrowed)), r.Breaches)
	if r.Totals {
		fmt.Fprintln(w, "Site totals left exactly, as the level totals says; they are not counted against it.")
	}
	if len(r.Narrow) > 0 {
		fmt.Fprintln(w, "\nThe narrowest of what was disclosed:")
		a.printTable(v)
	}
	sum := 0.0
	for _, s := range r.Epsilon {
		sum += s.Epsilon
	}
	if sum > 0 {
		fmt.Fprintf(w, "\nNoise has spent ε %.1f over %d releases.\n", sum, len(r.Epsilon))
	}
}

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

func (a *app) statusCmd() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Health in one screen; exit code 0 healthy, 1 degraded", Args: args(cobra.NoArgs),
		Example: "  fieldpost-agent status\n  fieldpost-agent status -o json | jq .warnings",
		RunE: func(c *cobra.Command, _ []string) error {
			site, done, err := a.open(c)
			if err != nil {
				return err
			}
			defer done()
			s, err := site.Status(c.Context())
			if err != nil {
				return err
			}
			rows := [][]string{}
			for _, k := range sortedKeys(s.Events.Reasons) {
				rows = append(rows, []string{"events", k, fmt.Sprint(s.Events.Reasons[k])})
			}
			for _, k := range sortedKeys(s.Samples.Reasons) {
				rows = append(rows, []string{"samples", k, fmt.Sprint(s.Samples.Reasons[k])})
			}
			d := s.Delivery
			for _, r := range []struct {
				k string
				n uint64
			}{{"frozen", d.Frozen}, {"acknowledged", d.Acknowledged}, {"outbox", d.Outbox}, {"quarantined", d.Quarantined}, {"withdrawn", d.Withdrawn}} {
				rows = append(rows, []string{"batches", r.k, fmt.Sprint(r.n)})
			}
			if err := a.print(view{data: s, header: []string{"what", "state", "count"}, rows: rows, human: func(w io.Writer) { humanStatus(w, s) }}); err != nil {
				return err
			}
			if len(s.Warnings) > 0 {
				return quiet(1)
			}
			return nil
		}}
}

func humanStatus(w io.Writer, s control.Status) {
	state := "healthy"
	if len(s.Warnings) > 0 {
		state = "degraded"
	}
	running := "running"
	if !s.Running {
		running = "not running"
	}
	fmt.Fprintf(w, "fieldpost-agent %s · %s · %s\n", s.Version, running, state)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(k, format string, v ...any) { fmt.Fprintf(t, "  %s\t%s\n", k, clean(fmt.Sprintf(format, v...))) }
	if s.Collector == "" {
		row("Enrolled", "no; nothing leaves this machine")
	} else {
		row("Enrolled", "%s / %s (%s) with %s", s.Account, s.Installation, s.Environment, s.Collector)
	}
	if s.Simulated {
		row("Simulated", "yes, on a virtual clock; batches say so")
	}
	row("Clock", "%s, zone %s", s.Now.UTC().Format(time.DateTime)+" UTC", s.Zone)
	row("Catalog", "%s", orNone(s.Catalog))
	row("Consent", "%s", levels(s.Levels, s.Paused))
	row("Events", "%s received = %s", thousands(s.Events.Received), reasons(s.Events.Reasons))
	if s.Samples.Received > 0 {
		row("Samples", "%s received = %s", thousands(s.Samples.Received), reasons(s.Samples.Reasons))
	}
	d := s.Delivery
	if s.Collector != "" {
		row("Batches", "%s frozen = %s acknowledged + %s waiting + %s quarantined + %s withdrawn", thousands(d.Frozen), thousands(d.Acknowledged), thousands(d.Outbox), thousands(d.Quarantined), thousands(d.Withdrawn))
		row("Last check-in", "%s", when(d.CheckIn))
		row("Next", "%s, %s figures wait", when(d.Next), thousands(uint64(d.Waiting)))
	}
	if !s.Simulated {
		row("Journal", "%s of %s MiB%s", fmt.Sprintf("%.1f", float64(s.Journal.Bytes)/(1<<20)), thousands(uint64(s.Journal.Limit>>20)), map[bool]string{true: ", encrypted"}[s.Sealed])
	}
	for _, c := range s.Checks {
		up := "up"
		if !c.Up {
			up = "DOWN: " + c.Detail
		}
		row("Check "+c.ID, "%s (%s, %.0f ms)", up, c.Target, c.TookMS)
	}
	for _, c := range s.Scrapes {
		row("Scrape "+c.Name, "%s", scraped(c))
	}
	if d := s.StatsD; d != nil {
		row("StatsD", "%s values on %s = %s journaled + %s pending + %s lost + %s", thousands(d.Values), d.Listen, thousands(d.Journaled), thousands(d.Pending), thousands(d.Lost), reasons(d.Refused))
	}
	t.Flush()
	for _, x := range s.Warnings {
		fmt.Fprintf(w, "! %s (%s)\n  Try: %s\n", clean(x.Cause), x.Code, clean(x.Remedy))
	}
	if s.Request {
		fmt.Fprintln(w, "The vendor asks for more: fieldpost-agent catalog diff")
	}
}

func scraped(c control.Scrape) string {
	switch {
	case c.Idle:
		return "not asked: nothing that is on reads a metric (" + c.Target + ")"
	case !c.OK:
		return "FAILS: " + c.Detail + " (" + c.Target + ")"
	}
	return fmt.Sprintf("%d samples (%s, %.0f ms)", c.Samples, c.Target, c.TookMS)
}

func (a *app) previewCmd() *cobra.Command {
	explain := false
	c := &cobra.Command{Use: "preview", Short: "Exactly what would leave now, and why the rest stays", Args: args(cobra.NoArgs),
		Example: "  fieldpost-agent preview\n  fieldpost-agent preview --explain\n  fieldpost-agent preview -o json | jq .leaves",
		RunE: func(c *cobra.Command, _ []string) error {
			site, done, err := a.open(c)
			if err != nil {
				return err
			}
			defer done()
			p, err := site.Preview(c.Context())
			if err != nil {
				return err
			}
			v := view{data: p, header: []string{"leaves", "measure", "figure", "grain", "start", "dims", "as", "why"}}
			add := func(leaves string, lines []control.Line) {
				for _, l := range lines {
					d, _ := json.Marshal(l.Dims)
					v.rows = append(v.rows, []string{leaves, l.Measure, l.Field.String(), l.Grain.String(), report.StartString(l.Grain, l.Start), dims(d), figure(l.Figure), l.Why})
					if explain && l.Explain != "" {
						row := v.rows[len(v.rows)-1]
						row[len(row)-1] = strings.TrimPrefix(l.Why+"; "+l.Explain, "; ")
					}
				}
			}
			add("yes", p.Leaves)
			add("no", p.Stays)
			v.human = func(w io.Writer) {
				if p.Blocked != "" {
					fmt.Fprintf(w, "Nothing leaves now: %s\n", clean(p.Blocked))
				} else {
					fmt.Fprintf(w, "%s figures, %s bytes, to %s, %s\n", thousands(uint64(len(p.Leaves))), thousands(uint64(p.Bytes)), clean(p.To), when(p.Next))
				}
				if len(v.rows) > 0 {
					a.printTable(v)
				}
			}
			return a.print(v)
		}}
	c.Flags().BoolVar(&explain, "explain", false, "say of each figure how it got its form: group, what followed from earlier answers, code book")
	return c
}

func (a *app) ledgerCmd() *cobra.Command {
	var q control.LedgerQuery
	c := &cobra.Command{Use: "ledger", Short: "Everything that ever left, byte for byte", Args: args(cobra.NoArgs),
		Example: "  fieldpost-agent ledger\n  fieldpost-agent ledger --figures --kind batch -o json\n  fieldpost-agent ledger --verify",
		RunE: func(c *cobra.Command, _ []string) error {
			kinds := []string{"batch", "check_in", "consent", "exact", "quarantined", "forgotten", "wiped", "trim", "note"}
			if q.Kind != "" && !slices.Contains(kinds, q.Kind) {
				return &control.Error{Code: "usage", Message: fmt.Sprintf("the ledger has no kind %q", q.Kind), Hint: "--kind " + strings.Join(kinds, ", "), Exit: 2}
			}
			site, done, err := a.open(c)
			if err != nil {
				return err
			}
			defer done()
			l, err := site.Ledger(c.Context(), q)
			if err != nil {
				return err
			}
			v := view{data: l, header: []string{"no", "at", "kind", "what", "bytes", "figures", "hash"}}
			for _, e := range l.Entries {
				hash := ""
				if e.Hash != nil {
					hash = e.Hash.String()[:16]
				}
				v.rows = append(v.rows, []string{fmt.Sprint(e.No), e.At.UTC().Format(time.DateTime), e.Kind, e.Text, fmt.Sprint(e.Bytes), fmt.Sprint(e.Cells), hash})
			}
			if err := a.print(v); err != nil {
				return err
			}
			if l.Verified != nil && !*l.Verified {
				return &control.Error{Code: "ledger_broken", Message: "the ledger was altered: " + l.Problem, Hint: "keep the state directory as it is and ask who had access to it", Exit: 1}
			}
			if l.Verified != nil && a.output == "human" {
				fmt.Fprintln(a.Stdout, "verified: every entry follows from the one before")
			}
			return nil
		}}
	f := c.Flags()
	f.StringVar(&q.Kind, "kind", "", "batch, check_in, consent, exact, quarantined, forgotten, wiped, trim or note")
	f.IntVar(&q.Limit, "limit", 50, "how many entries, newest first")
	f.BoolVar(&q.Figures, "figures", false, "with each batch its figures and its bytes")
	f.BoolVar(&q.Verify, "verify", false, "check the whole chain")
	return c
}

func (a *app) catalogCmd() *cobra.Command {
	c := &cobra.Command{Use: "catalog", Short: "What the vendor asks for, in plain words", Args: args(cobra.NoArgs),
		Example: "  fieldpost-agent catalog\n  fieldpost-agent catalog diff\n  fieldpost-agent catalog show > catalog.yaml\n  fieldpost-agent catalog lint catalog.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := a.catalog(c)
			if err != nil {
				return err
			}
			v := view{data: cat, header: []string{"measure", "category", "about", "kind", "question", "purpose", "kept", "leaves", "level"}}
			for _, m := range cat.Measures {
				v.rows = append(v.rows, []string{m.ID, m.Category, m.Subject, m.Kind, m.Question, m.Purpose, m.Kept, m.Leaves, string(m.Level)})
			}
			return a.print(v)
		}}
	c.AddCommand(&cobra.Command{Use: "diff", Short: "What the newest catalog asks beyond the accepted one", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := a.catalog(c)
			if err != nil {
				return err
			}
			v := view{data: cat.Changes, header: []string{"change", "measure", "what"}, rows: [][]string{}}
			for _, x := range cat.Changes {
				v.rows = append(v.rows, []string{x.Kind, x.Measure, x.Text})
			}
			return a.print(v)
		}}, &cobra.Command{Use: "show", Short: "The signed file, byte for byte", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cat, err := a.catalog(c)
			if err != nil {
				return err
			}
			_, err = a.Stdout.Write(cat.Raw)
			return err
		}}, a.catalogLintCmd(), a.catalogTryCmd())
	return c
}

func (a *app) catalog(c *cobra.Command) (control.Catalog, error) {
	site, done, err := a.open(c)
	if err != nil {
		return control.Catalog{}, err
	}
	defer done()
	return site.Catalog(c.Context())
}

func figure(f report.Figure) string {
	switch {
	case !f.Form.HasNumbers():
		return f.Form.String()
	case f.Field.IsBlob():
		return fmt.Sprintf("%s, %d bytes", f.Field, len(f.Blob))
	case f.Text != "":
		return f.Text
	case f.Lo == f.Hi:
		return fmt.Sprintf("%v", f.Lo)
	case f.Hi > 1e300:
		return fmt.Sprintf("≥ %v", f.Lo)
	}
	return fmt.Sprintf("%v–%v", f.Lo, f.Hi)
}

func dims(raw json.RawMessage) string {
	var m map[string]string
	if json.Unmarshal(raw, &m) != nil || len(m) == 0 {
		return ""
	}
	parts := []string{}
	for _, k := range sortedKeys(m) {
		parts = append(parts, k+"="+m[k])
	}
	return strings.Join(parts, " ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func levels(ds []exchange.Decision, paused bool) string {
	parts := []string{}
	for _, d := range ds {
		parts = append(parts, d.Category+" "+string(d.Level))
	}
	s := strings.Join(parts, ", ")
	if s == "" {
		s = "nothing decided: everything is off"
	}
	if paused {
		s += " · PAUSED"
	}
	return s
}

func reasons(m map[string]uint64) string {
	parts := []string{}
	for _, k := range sortedKeys(m) {
		if m[k] > 0 {
			parts = append(parts, thousands(m[k])+" "+k)
		}
	}
	if len(parts) == 0 {
		return "0"
	}
	return strings.Join(parts, " + ")
}

func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.DateTime) + " UTC"
}

func orNone(s string) string {
	if s == "" {
		return "none yet"
	}
	return s
}

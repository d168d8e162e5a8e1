package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/cli/trial"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/lint"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// sizes of the made-up sites.
func madeUp() []int { return []int{8, 15, 25, 80, 300} }

// linted is what lint prints as JSON.
type linted struct {
	File      string          `json:"file"`
	Catalog   string          `json:"catalog"`
	Version   int             `json:"version"`
	Findings  []finding       `json:"findings"`
	Questions []questionAsked `json:"questions"`
	Shares    []trial.Share   `json:"shares"`
}

type finding struct {
	Line     int    `json:"line"`
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Measure  string `json:"measure,omitempty"`
	Text     string `json:"text"`
	Hint     string `json:"hint,omitempty"`
}

type questionAsked struct {
	Question string `json:"question"`
	Measure  string `json:"measure"`
	Kind     string `json:"kind"`
	Subject  string `json:"subject"`
	Answer   string `json:"answer"`
	Leaves   string `json:"leaves"` // "": it stays at the site
}

func (a *app) catalogLintCmd() *cobra.Command {
	var data []string
	var quick bool
	c := &cobra.Command{Use: "lint FILE", Short: "What a catalog should not say, what it asks, and in which forms it would be answered", Args: args(cobra.ExactArgs(1)),
		Long: `For the author of a catalog; needs no agent and no state. It prints

  what should not stand in the file, each with its line, code and remedy;
  which question each measure answers, and at which grain the answer leaves;
  what share of the counts of people would leave in which form, at sites of 8, 15, 25, 80 and 300
  people that are made up from the catalog itself, or with --data at those whose events are given.
  Sums about people stay at a site and are not among them.

The shares come from the same measuring and the same gate that a site has, every category set to aggregate. Exit code 0:
nothing to refuse, 1: an error is among the findings, 2: wrong use or not a catalog.`,
		Example: "  fieldpost-agent catalog lint catalog.yaml\n  fieldpost-agent catalog lint catalog.yaml --data site-a.jsonl.gz --data site-b.jsonl.gz\n  fieldpost-agent catalog lint catalog.yaml -o json | jq '.shares[] | select(.measure == \"\")'",
		RunE: func(c *cobra.Command, given []string) error {
			cat, err := readCatalog(given[0])
			if err != nil {
				return err
			}
			found := lint.Check(cat)
			out := linted{File: given[0], Catalog: cat.Name, Version: cat.Version, Findings: []finding{}, Questions: []questionAsked{}, Shares: []trial.Share{}}
			for _, f := range found {
				out.Findings = append(out.Findings, finding{f.Line, string(f.Severity), f.Code, f.Measure, f.Text, f.Hint})
			}
			for _, q := range lint.Questions(cat) {
				out.Questions = append(out.Questions, questionAsked{q.Question, q.Measure, string(q.Kind), string(q.Subject), q.Answer, q.Leaves})
			}
			if !quick {
				if out.Shares, err = shares(c.Context(), cat, data); err != nil {
					return err
				}
			}
			v := view{data: out, header: []string{"at", "severity", "code", "measure", "what", "try"}, human: func(w io.Writer) { a.humanLint(w, out) }}
			for _, f := range out.Findings {
				v.rows = append(v.rows, []string{fmt.Sprintf("%s:%d", given[0], f.Line), f.Severity, f.Code, f.Measure, f.Text, f.Hint})
			}
			if err := a.print(v); err != nil {
				return err
			}
			if lint.Refused(found) {
				return quiet(1)
			}
			return nil
		}}
	c.Flags().StringArrayVar(&data, "data", nil, "recorded events of a site to take the shares from (Segment form, one a line); may be repeated")
	c.Flags().BoolVar(&quick, "no-shares", false, "leave the shares out; it takes less than a second then")
	return c
}

func readCatalog(path string) (*catalog.Catalog, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, &control.Error{Code: "catalog_unreadable", Message: err.Error(), Hint: "check the path", Exit: 2}
	}
	cat, err := catalog.Parse(raw)
	if err != nil {
		return nil, &control.Error{Code: "catalog_invalid", Message: path + ": " + err.Error(), Hint: "mend the lines named, the first one first", Exit: 2}
	}
	return cat, nil
}

// shares tries the sites out, two at a time.
func shares(ctx context.Context, cat *catalog.Catalog, files []string) ([]trial.Share, error) {
	var configs []trial.Config
	for _, f := range files {
		configs = append(configs, trial.Config{Catalog: cat, Files: []string{f}})
	}
	if len(files) == 0 {
		for _, n := range madeUp() {
			configs = append(configs, trial.Config{Catalog: cat, Users: n, People: n})
		}
	}
	out, errs := make([][]trial.Share, len(configs)), make([]error, len(configs))
	var wg sync.WaitGroup
	turn := make(chan struct{}, 2)
	for i := len(configs) - 1; i >= 0; i-- { // the largest first: it takes longest
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			out[i], errs[i] = trial.Shares(ctx, configs[i])
			for k := range out[i] {
				out[i][k].Site = strings.Join(configs[i].Files, "")
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.Concat(out...), nil
}

func (a *app) humanLint(w io.Writer, l linted) {
	for _, f := range l.Findings {
		at := l.File
		if f.Line > 0 {
			at = fmt.Sprintf("%s:%d", l.File, f.Line)
		}
		name := f.Measure
		if name != "" {
			name += ": "
		}
		fmt.Fprintf(w, "%s: %s: %s [%s]\n", clean(at), f.Severity, clean(name+f.Text), f.Code)
		if f.Hint != "" {
			fmt.Fprintf(w, "  Try: %s\n", clean(f.Hint))
		}
	}
	if len(l.Findings) == 0 {
		fmt.Fprintf(w, "%s: nothing found\n", clean(l.File))
	}
	fmt.Fprintln(w)
	v := view{header: []string{"question", "measure", "kind", "about", "answer", "leaves"}}
	for _, q := range l.Questions {
		if q.Leaves == "" {
			q.Leaves = "stays at the site"
		}
		v.rows = append(v.rows, []string{q.Question, q.Measure, q.Kind, q.Subject, q.Answer, q.Leaves})
	}
	a.printTable(v)
	if len(l.Shares) == 0 {
		return
	}
	fmt.Fprintln(w)
	v = view{header: []string{"people", "measure", "figures", "exact", "band", "share", "implied", "withheld", "usable"}}
	for _, s := range l.Shares {
		site, name := s.Site, s.Measure
		if site == "" {
			site = fmt.Sprint(s.People)
		}
		if name == "" {
			name = "all"
		}
		part := func(n int) string { return fmt.Sprintf("%d %%", (n*100+s.Figures/2)/max(s.Figures, 1)) }
		v.rows = append(v.rows, []string{site, name, fmt.Sprint(s.Figures), part(s.Exact), part(s.Band), part(s.Share), part(s.Implied), part(s.Suppressed), part(s.Usable())})
	}
	a.printTable(v)
}

// tried is a figure as try prints it.
type tried struct {
	control.Line
	Exact  *float64
	Leaves bool
}

// MarshalJSON adds the trial's own fields to the line's fixed shape.
func (t tried) MarshalJSON() ([]byte, error) {
	line, err := json.Marshal(t.Line)
	if err != nil {
		return nil, err
	}
	own, err := json.Marshal(struct {
		Exact  *float64 `json:"exact"`
		Leaves bool     `json:"leaves"`
	}{t.Exact, t.Leaves})
	return append(append(line[:len(line)-1], ','), own[1:]...), err
}

func (a *app) catalogTryCmd() *cobra.Command {
	var cfg trial.Config
	var until string
	c := &cobra.Command{Use: "try FILE --data EVENTS…", Short: "Measure recorded events by a catalog and show what would leave", Args: args(cobra.MinimumNArgs(1)),
		Long: `For the author of a catalog; needs no agent. The events of one site (Segment form, one a line with receivedAt, gzip
or plain) are measured in a state that is thrown away. Of each measure the figures of the newest closed window are
shown as they are and as they would leave at the level aggregate, with the reasons.`,
		Example: "  fieldpost-agent catalog try catalog.yaml --data events.jsonl.gz\n  fieldpost-agent catalog try catalog.yaml --data events.jsonl.gz --people 40 --until 2026-11-01 -o json",
		RunE: func(c *cobra.Command, given []string) error {
			var err error
			if cfg.Catalog, err = readCatalog(given[0]); err != nil {
				return err
			}
			cfg.Files = append(cfg.Files, given[1:]...)
			if len(cfg.Files) == 0 {
				return &control.Error{Code: "usage", Message: "there are no events to measure", Hint: "fieldpost-agent catalog try " + given[0] + " --data events.jsonl.gz", Exit: 2}
			}
			if until != "" {
				if cfg.Until, err = parseTime(until); err != nil {
					return err
				}
			}
			set, err := a.settings(c)
			if err != nil {
				return err
			}
			cfg.Zone = set.Zone
			figures, res, err := trial.Newest(c.Context(), cfg)
			if err != nil {
				return err
			}
			v := view{header: []string{"measure", "grain", "start", "figure", "dims", "exact", "leaves as", "why"}, lines: []any{}}
			for _, f := range figures {
				as, why := "stays", f.Why
				if f.Leaves {
					as = figure(f.Figure)
				}
				if f.Explain != "" {
					why = strings.TrimPrefix(why+"; "+f.Explain, "; ")
				}
				exact := ""
				if f.Exact != nil {
					exact = fmt.Sprint(*f.Exact)
				}
				v.lines = append(v.lines, tried{f.Line, f.Exact, f.Leaves})
				v.rows = append(v.rows, []string{f.Measure, f.Grain.String(), report.StartString(f.Grain, f.Start), f.Field.String(), dimsOf(f.Dims), exact, as, why})
			}
			v.human = func(w io.Writer) {
				fmt.Fprintf(w, "%s events = %s; the clock is at %s\n", thousands(res.Events.Received), reasons(res.Events.Reasons), res.Now.Format(time.DateOnly))
				if len(v.rows) == 0 {
					fmt.Fprintln(w, "No window has closed that might leave: give more events, or a later --until.")
					return
				}
				a.printTable(v)
			}
			return a.print(v)
		}}
	f := c.Flags()
	f.StringArrayVar(&cfg.Files, "data", nil, "recorded events of the site, oldest file first; may be repeated")
	f.IntVar(&cfg.People, "people", 0, "how many people the customer names (default: those who are known)")
	f.StringVar(&until, "until", "", "let time pass to the beginning of this date, so that windows close")
	return c
}

func dimsOf(m map[string]string) string {
	raw, _ := json.Marshal(m) // of texts
	return dims(raw)
}

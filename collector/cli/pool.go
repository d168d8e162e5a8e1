package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/collector/insight"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// pool prints sums over many accounts, or why they are withheld.
func (a *app) pool() *cobra.Command {
	var q store.PoolQuery
	var from, to string
	cmd := &cobra.Command{
		Use: "pool", Short: "Print what sites that joined the pool say together.", Args: cobra.NoArgs,
		Long: `Print the sums of noised figures per block of 12 weeks over all sites that joined the pool.

The exact sum lies within the error bar in 95 of 100 blocks. Sums over fewer than 100 accounts, and those
whose error is more than 30 %, are withheld.`,
		Example: "  fieldpost-collector pool --measure people --environment production",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for s, day := range map[*string]*int64{&from: &q.From, &to: &q.To} {
				t, err := parseDate(*s)
				if err != nil {
					return err
				}
				if !t.IsZero() {
					*day = report.CivilDay(t, time.UTC)
				}
			}
			for _, e := range q.Environments {
				if !slices.Contains(store.Environments(), e) {
					return usage{fmt.Errorf("there is no environment %q; there are %s", e, strings.Join(store.Environments(), ", "))}
				}
			}
			return a.open(cmd.Context(), false, func(d *collector.Data) error {
				if err := knownMeasure(cmd.Context(), d.Store, q.Measure); err != nil {
					return err
				}
				list, err := insight.New(d.Store, d.Store).Figures(cmd.Context(), q)
				if err != nil {
					return err
				}
				rows := make([][]string, len(list))
				for i, f := range list {
					rows[i] = poolRow(f)
				}
				return a.table([]string{"measure", "field", "block", "dims", "accounts", "sites", "sum", "margin", "error", "reason"}, rows)
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&q.Measure, "measure", "", "id of the measure")
	fl.StringSliceVar(&q.Environments, "environment", nil, "environment; may be repeated (default all)")
	fl.StringVar(&from, "from", "", "first block's start: YYYY-MM-DD")
	fl.StringVar(&to, "to", "", "last block's start, included")
	return cmd
}

func poolRow(f insight.Figure) []string {
	var dims []string
	for k, v := range f.Dims {
		dims = append(dims, k+"="+v)
	}
	slices.Sort(dims)
	row := []string{f.Measure, f.Field.String(), report.StartString(report.Block12w, f.Start), strings.Join(dims, ";"),
		strconv.Itoa(f.Accounts), strconv.Itoa(f.Sites), "", "", "", f.Reason.Text()}
	if f.Reason == insight.Shown {
		row[6], row[7], row[8] = decimal(f.Value), decimal(f.Margin), fmt.Sprintf("%.1f%%", f.Error*100)
	}
	return row
}

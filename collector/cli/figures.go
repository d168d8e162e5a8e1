package cli

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// figureFlags are those that choose figures.
type figureFlags struct {
	q                      store.FigureQuery
	grain, field, from, to string
	dims                   []string
	totals                 bool
}

func (f *figureFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.q.Measure, "measure", "", "id of the measure")
	fl.StringVar(&f.q.Account, "account", "", "key of the account")
	fl.StringVar(&f.q.Installation, "installation", "", "name of the installation, with --account")
	fl.StringVar(&f.grain, "grain", "", "5m, hour, day, week, month, rolling28, 4w, 12w or change")
	fl.StringVar(&f.field, "field", "", "value, count, sum, up, down, good, valid, ...")
	fl.StringSliceVar(&f.dims, "dim", nil, "NAME=VALUE; may be repeated")
	fl.BoolVar(&f.totals, "totals", false, "no breakdowns")
	fl.StringVar(&f.from, "from", "", "first window start: YYYY-MM-DD or RFC 3339")
	fl.StringVar(&f.to, "to", "", "last window start, included")
}

func (f *figureFlags) query() (q store.FigureQuery, err error) {
	q = f.q
	if q.Installation != "" && q.Account == "" {
		return q, usage{fmt.Errorf("--installation needs --account")}
	}
	if f.grain != "" {
		if q.Grain, err = report.ParseGrain(f.grain); err != nil {
			return q, usage{err}
		}
	}
	if f.field != "" {
		if q.Field, err = report.ParseField(f.field); err != nil {
			return q, usage{err}
		}
	}
	if f.totals {
		q.Dims = map[string]string{}
	}
	for _, d := range f.dims {
		k, v, ok := strings.Cut(d, "=")
		if !ok || f.totals {
			return q, usage{fmt.Errorf("--dim is NAME=VALUE, and not together with --totals")}
		}
		if q.Dims == nil {
			q.Dims = map[string]string{}
		}
		q.Dims[k] = v
	}
	if q.From, err = parseDate(f.from); err == nil {
		q.To, err = parseDate(f.to)
	}
	return q, err
}

func parseDate(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage{fmt.Errorf("%q is neither YYYY-MM-DD nor RFC 3339", s)}
}

// eachFigure pages through all figures of a query.
func eachFigure(ctx context.Context, s store.Measurements, q store.FigureQuery, f func(store.FigureRow) error) error {
	q.Limit = 10_000
	for {
		p, err := s.Figures(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range p.Rows {
			if err := f(r); err != nil {
				return err
			}
		}
		if q.After = p.Next; q.After == "" {
			return nil
		}
	}
}

func (a *app) query() *cobra.Command {
	var f figureFlags
	cmd := &cobra.Command{
		Use: "query", Short: "Print figures: every one in the form it came in.", Args: cobra.NoArgs,
		Example: "  fieldpost-collector query --measure people --account acme --grain week --totals",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := f.query()
			if err != nil {
				return err
			}
			return a.open(cmd.Context(), false, func(d *collector.Data) error {
				if err := knownMeasure(cmd.Context(), d.Store, q.Measure); err != nil {
					return err
				}
				return a.printFigures(cmd.Context(), d.Store, q)
			})
		},
	}
	f.add(cmd)
	return cmd
}

// knownMeasure refuses the id of a measure that no catalog here has, and names the nearest.
func knownMeasure(ctx context.Context, s store.Catalogs, id string) error {
	if id == "" {
		return nil
	}
	list, err := s.CatalogList(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, row := range list {
		full, err := s.Catalog(ctx, row.Hash)
		if err != nil {
			return err
		}
		c, err := catalog.Parse(full.Raw)
		if err != nil {
			return fmt.Errorf("reading the catalog %s %d: %w", row.Name, row.Version, err)
		}
		if m, _ := c.Measure(id); m != nil {
			return nil
		}
		for i := range c.Measures {
			ids = append(ids, c.Measures[i].ID)
		}
	}
	hint := "fieldpost-collector catalog show"
	if near := catalog.Nearest(id, ids); near != "" {
		hint = "--measure " + near
	}
	return &store.Problem{Code: store.CodeBadInput, Message: fmt.Sprintf("no catalog here has a measure %q", id), Hint: hint}
}

// line is a figure with whose it is, in the API's shape.
type line struct {
	Account      string `json:"account"`
	Installation string `json:"installation"`
	Environment  string `json:"environment"`
	report.Figure
}

// MarshalJSON joins both objects: the figure's own MarshalJSON would hide the rest.
func (l line) MarshalJSON() ([]byte, error) {
	who, err := json.Marshal(map[string]string{"account": l.Account, "installation": l.Installation, "environment": l.Environment})
	if err != nil {
		return nil, err
	}
	fig, err := json.Marshal(l.Figure)
	if err != nil {
		return nil, err
	}
	return slices.Concat(who[:len(who)-1], []byte(","), fig[1:]), nil
}

func figureHead() []string {
	return []string{"account", "installation", "environment", "measure", "hash", "field", "grain", "start", "dims", "form", "lo", "hi", "text"}
}

func figureRow(r store.FigureRow) []string {
	f := r.Figure
	var dims []string
	for k, v := range f.Dims {
		dims = append(dims, k+"="+v)
	}
	slices.Sort(dims)
	out := []string{r.Account, r.Installation, r.Environment, f.Measure, f.Hash, f.Field.String(), f.Grain.String(),
		report.StartString(f.Grain, f.Start), strings.Join(dims, ";"), f.Form.String(), "", "", f.Text}
	if f.Form.HasNumbers() && !f.Field.IsBlob() {
		out[10] = decimal(f.Lo)
		if !math.IsInf(f.Hi, 1) {
			out[11] = decimal(f.Hi)
		}
	}
	return out
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func (a *app) printFigures(ctx context.Context, s store.Measurements, q store.FigureQuery) error {
	switch a.output {
	case "json":
		enc := json.NewEncoder(a.Stdout)
		return eachFigure(ctx, s, q, func(r store.FigureRow) error {
			return enc.Encode(line{r.Account, r.Installation, r.Environment, r.Figure})
		})
	case "csv":
		return a.figuresCSV(ctx, s, q)
	}
	var rows [][]string
	err := eachFigure(ctx, s, q, func(r store.FigureRow) error {
		v := figureRow(r)
		rows = append(rows, []string{v[0], v[1], v[3], v[5], v[6], v[7], v[8], spoken(r.Figure)})
		return nil
	})
	if err != nil {
		return err
	}
	return a.table([]string{"account", "installation", "measure", "field", "grain", "start", "dims", "figure"}, rows)
}

// spoken is a figure as people read it; the form is never hidden.
func spoken(f report.Figure) string {
	switch {
	case f.Text != "":
		return f.Text
	case !f.Form.HasNumbers():
		return f.Form.String()
	case f.Field.IsBlob():
		return fmt.Sprintf("%s (%d bytes)", f.Field, len(f.Blob))
	case f.Form == report.Exact:
		return decimal(f.Lo)
	case f.Lo == f.Hi:
		return decimal(f.Lo) + " " + f.Form.String()
	case math.IsInf(f.Hi, 1):
		return "≥ " + decimal(f.Lo)
	}
	return decimal(f.Lo) + "–" + decimal(f.Hi)
}

func (a *app) figuresCSV(ctx context.Context, s store.Measurements, q store.FigureQuery) error {
	w := csv.NewWriter(a.Stdout)
	if err := w.Write(figureHead()); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	if err := eachFigure(ctx, s, q, func(r store.FigureRow) error { return w.Write(safeRow(figureRow(r))) }); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

func (a *app) export() *cobra.Command {
	cmd := &cobra.Command{Use: "export", Short: "Write everything out for other programs."}
	var f figureFlags
	out := &cobra.Command{
		Use: "csv figures|accounts|installations", Short: "Write CSV to standard output.", Args: cobra.ExactArgs(1),
		Long:    "Text that a spreadsheet would take for a formula is written with an apostrophe before it. lo and hi are the ends of the interval; hi is empty for an open top.",
		Example: "  fieldpost-collector export csv figures --measure people --grain week > people.csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := f.query()
			if err != nil {
				return err
			}
			return a.open(cmd.Context(), false, func(d *collector.Data) error {
				switch args[0] {
				case "figures":
					return a.figuresCSV(cmd.Context(), d.Store, q)
				case "accounts":
					return a.accountsCSV(cmd.Context(), d.Store)
				case "installations":
					return a.installationsCSV(cmd.Context(), d.Store)
				}
				return usage{fmt.Errorf("export csv writes figures, accounts or installations, not %q", args[0])}
			})
		},
	}
	f.add(out)
	cmd.AddCommand(out)
	return cmd
}

func (a *app) accountsCSV(ctx context.Context, s store.Accounts) error {
	attrs, err := s.Attributes(ctx)
	if err != nil {
		return err
	}
	head := []string{"key", "name", "installations", "reporting", "last_report"}
	for _, x := range attrs {
		head = append(head, x.Name)
	}
	var rows [][]string
	for q := (store.AccountQuery{Limit: 1000, Sort: "key"}); ; q.Offset += q.Limit {
		p, err := s.AccountPage(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range p.Rows {
			row := []string{r.Key, r.Name, strconv.Itoa(r.Installations), strconv.Itoa(r.Reporting), date(r.LastReport)}
			for _, x := range attrs {
				row = append(row, r.Attributes[x.Name])
			}
			rows = append(rows, row)
		}
		if len(p.Rows) < q.Limit {
			return writeCSV(a.Stdout, head, rows)
		}
	}
}

func (a *app) installationsCSV(ctx context.Context, s store.Fleet) error {
	var rows [][]string
	for q := (store.FleetQuery{Limit: 1000}); ; q.Offset += q.Limit {
		p, err := s.InstallationPage(ctx, q)
		if err != nil {
			return err
		}
		for _, i := range p.Rows {
			rows = append(rows, []string{i.Account, i.Key, i.Environment, i.Version, string(i.Consent["usage"]), string(i.Consent["sla"]), date(i.FirstReport), date(i.LastReport),
				date(i.LastCheckIn), decimal(i.Skew.Seconds()), strconv.FormatInt(i.Batches, 10), strconv.FormatInt(i.Cells, 10), strconv.FormatInt(i.Refused, 10), strconv.FormatInt(i.Losses, 10)})
		}
		if len(p.Rows) < q.Limit {
			return writeCSV(a.Stdout, []string{"account", "installation", "environment", "version", "usage", "sla", "first_report", "last_report",
				"last_checkin", "skew_seconds", "batches", "cells", "refused", "lost_batches"}, rows)
		}
	}
}

func writeCSV(to io.Writer, head []string, rows [][]string) error {
	w := csv.NewWriter(to)
	if err := w.Write(head); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	for _, r := range rows {
		if err := w.Write(safeRow(r)); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	w.Flush()
	return w.Error()
}

// safeRow defuses what a spreadsheet would run as a formula (OWASP, "CSV Injection"). Numbers
// stay numbers, negative ones too.
func safeRow(r []string) []string {
	out := make([]string, len(r))
	for i, v := range r {
		if v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) && v != "-" {
			if _, err := strconv.ParseFloat(v, 64); err != nil {
				v = "'" + v
			}
		}
		out[i] = v
	}
	return out
}

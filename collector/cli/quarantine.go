package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

func (a *app) quarantine() *cobra.Command {
	cmd := &cobra.Command{Use: "quarantine", Short: "See batches that were refused, and why.",
		Long: "A refused batch counts for nothing and is kept with its reason; its agent went on. Nothing here changes or deletes one."}
	var q store.TroubleQuery
	list := &cobra.Command{Use: "list", Short: "List them, newest first.", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := between("limit", q.Limit, 1, 1000); err != nil {
			return err
		}
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			all, err := d.Store.Quarantine(cmd.Context(), q)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, x := range all {
				rows = append(rows, []string{strconv.FormatInt(x.ID, 10), date(x.At), x.Account, x.Installation, strconv.FormatUint(x.Seq, 10), x.Code, x.Message, strconv.Itoa(x.Bytes)})
			}
			return a.table([]string{"id", "at", "account", "installation", "seq", "code", "reason", "bytes"}, rows)
		})
	}}
	list.Flags().StringVar(&q.Account, "account", "", "only of this account")
	list.Flags().IntVar(&q.Limit, "limit", 100, "how many, at most 1,000")
	export := &cobra.Command{Use: "export ID FILE", Short: "Write the bytes of one to a file.", Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		id, err := quarantineID(args[0])
		if err == nil {
			err = newFile(args[1], "name another file")
		}
		if err != nil {
			return err
		}
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			b, err := d.Store.QuarantineBytes(cmd.Context(), id)
			if err != nil {
				return missing(err, "quarantined batch "+args[0], "quarantine list")
			}
			return durable.WriteFile(durable.OS(), args[1], b, 0o600)
		})
	}}
	cmd.AddCommand(list, a.quarantineShow(), export)
	return cmd
}

func quarantineID(s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0, usage{fmt.Errorf("%q is not the number of a quarantined batch", s)}
	}
	return id, nil
}

func (a *app) quarantineShow() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Print what is known of one: why it was refused, and what its header says.", Args: cobra.ExactArgs(1),
		Long:    "The header is what the batch says of itself. Of a batch that was refused for its form or signature, nothing of it is proved.",
		Example: "  fieldpost-collector quarantine show 12",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := quarantineID(args[0])
			if err != nil {
				return err
			}
			return a.open(cmd.Context(), false, func(d *collector.Data) error {
				raw, err := d.Store.QuarantineBytes(cmd.Context(), id)
				if err != nil {
					return missing(err, "quarantined batch "+args[0], "quarantine list")
				}
				list, err := d.Store.Quarantine(cmd.Context(), store.TroubleQuery{ID: id})
				if err != nil || len(list) != 1 {
					return missing(fmt.Errorf("reading it again: %w", notFoundOr(err)), "quarantined batch "+args[0], "quarantine list")
				}
				return a.table([]string{"what", "value"}, quarantineRows(list[0], raw))
			})
		}}
}

func notFoundOr(err error) error {
	if err == nil {
		return store.ErrNotFound
	}
	return err
}

func quarantineRows(x store.Quarantined, raw []byte) [][]string {
	rows := [][]string{{"id", strconv.FormatInt(x.ID, 10)}, {"at", date(x.At)}, {"account", x.Account}, {"installation", x.Installation},
		{"code", x.Code}, {"reason", x.Message}, {"agent", x.Agent.String()}, {"epoch", x.Epoch.String()}, {"seq", strconv.FormatUint(x.Seq, 10)},
		{"hash", x.Hash.String()}, {"bytes", strconv.Itoa(x.Bytes)}}
	h, err := batch.Peek(raw)
	if err != nil {
		return append(rows, []string{"header", "not readable: " + err.Error()})
	}
	return append(rows, []string{"frozen", date(time.Unix(h.Created, 0))}, []string{"cells", strconv.FormatUint(uint64(h.Cells), 10)}, []string{"zone", h.Zone},
		[]string{"simulated", strconv.FormatBool(h.Simulated)}, []string{"catalog", exchange.Hash(h.Catalog).String()}, []string{"consent", exchange.Hash(h.Consent).String()})
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/collector/store"
)

func (a *app) serve() *cobra.Command {
	var c collector.Config
	cmd := &cobra.Command{
		Use: "serve", Short: "Take batches and show what they tell, until stopped.",
		Long: "Serves agents, the API and the pages on one HTTPS listener. The first start makes a CA, a certificate and an application key in the data\n" +
			"directory. Each start prints a login link that works once, for 15 minutes.",
		Example: "  fieldpost-collector serve --data /srv/fieldpost --url https://fieldpost.example.com:8443",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Data = a.dir
			c.Logger = slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			c.Routes = collector.Pages
			if a.Managed == nil {
				return a.run(cmd.Context(), c)
			}
			return a.Managed(cmd.Context(), func(ctx context.Context) error { return a.run(ctx, c) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Listen, "listen", ":8443", "address to listen on")
	f.StringVar(&c.URL, "url", "", "how agents and people reach it, https (default https://localhost and the port)")
	f.StringSliceVar(&c.Names, "name", nil, "further host name or address for the certificate it issues; may be repeated")
	f.StringVar(&c.CertFile, "cert", "", "PEM certificate chain to use instead of its own CA's")
	f.StringVar(&c.KeyFile, "cert-key", "", "PEM key of --cert")
	f.BoolVar(&c.Demo, "demo", false, "take simulated agents for every environment; for demonstrations with replayed data only")
	return cmd
}

func (a *app) run(ctx context.Context, c collector.Config) error {
	if c.URL != "" {
		if u, err := url.Parse(c.URL); err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
			return &store.Problem{Code: store.CodeBadInput, Message: "--url is not https://HOST[:PORT]", Hint: "--url https://fieldpost.example.com:8443"}
		} else {
			u.Path = ""
			c.URL = u.String()
		}
	}
	col, err := collector.New(ctx, c)
	if err != nil {
		return err
	}
	link, err := col.LoginLink(ctx)
	if err != nil {
		return errors.Join(err, col.Close())
	}
	fmt.Fprintf(a.Stdout, "fieldpost-collector %s serves %s at %s (%s)\nlog in once, within 15 minutes: %s\n", a.Deps.Version, c.Data, col.URL(), col.Addr(), link)
	return col.Run(ctx)
}

func (a *app) migrate() *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Bring the store to this version's schema.", Args: cobra.NoArgs,
		Long:    "serve does this by itself at its start. Run it alone to see whether it works before the new version serves.",
		Example: "  fieldpost-collector migrate --data /srv/fieldpost",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.open(cmd.Context(), false, func(*collector.Data) error {
				_, err := fmt.Fprintf(a.Stdout, "the store has schema %d\n", collector.SchemaVersion())
				return err
			})
		},
	}
}

// finding is one line of doctor.
type finding struct {
	what, state, remedy string
	unreachable         bool
}

func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look for what is wrong, with a remedy for each.", Args: cobra.NoArgs,
		Long:    "Ends with 0 when all is well, 1 when something is wrong, 3 when nothing answers where agents look.",
		Example: "  fieldpost-collector doctor --data /srv/fieldpost",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var fs []finding
			err := a.open(cmd.Context(), false, func(d *collector.Data) error {
				fs = examine(cmd.Context(), d)
				return nil
			})
			if p := (*store.Problem)(nil); errors.As(err, &p) {
				fs = append(fs, finding{what: "data", state: p.Message, remedy: p.Hint})
			} else if err != nil {
				return err
			}
			bad, away := false, false
			var rows [][]string
			for _, f := range fs {
				bad, away = bad || f.remedy != "", away || f.unreachable
				rows = append(rows, []string{f.what, f.state, f.remedy})
			}
			if err := a.table([]string{"what", "state", "remedy"}, rows); err != nil {
				return err
			}
			if away {
				return errUnreachable
			}
			if bad {
				return errDegraded
			}
			return nil
		},
	}
}

const listener = "listener"

func examine(ctx context.Context, d *collector.Data) (fs []finding) {
	say := func(what, good string, err error, remedy string) {
		if err != nil {
			fs = append(fs, finding{what: what, state: err.Error(), remedy: remedy, unreachable: what == listener})
			return
		}
		fs = append(fs, finding{what: what, state: good})
	}
	say("data", d.Dir, nil, "")
	if st, err := os.Stat(d.Dir); err == nil && st.Mode().Perm()&0o077 != 0 {
		fs = append(fs, finding{what: "rights", state: fmt.Sprintf("%s is open to others (%o)", d.Dir, st.Mode().Perm()), remedy: "chmod 700 " + d.Dir})
	}
	say("store", "sound", d.Store.Check(ctx), "restore the store from a backup; agents send again what is missing")
	pub, err := d.CatalogKey()
	if err == nil && pub == nil {
		err = errors.New("no catalog key is trusted")
	}
	say("catalog key", "trusted", err, "fieldpost-collector catalog keygen --key vendor.key, then catalog trust vendor.key.pub")
	c, err := d.Store.NewestCatalog(ctx, "")
	say("catalog", fmt.Sprintf("%s version %d", c.Name, c.Version), err, "fieldpost-collector catalog add FILE")
	address, err := d.URL()
	if err == nil {
		var u *url.URL
		if u, err = url.Parse(address); err == nil {
			var conn net.Conn
			if conn, err = net.DialTimeout("tcp", u.Host, 3*time.Second); err == nil {
				err = conn.Close()
			}
		}
	}
	say(listener, "answers at "+address, err, "start fieldpost-collector serve, or open the port in the firewall: TCP to "+address)
	q, err := d.Store.Quarantine(ctx, store.TroubleQuery{Limit: 1})
	if err == nil && len(q) > 0 {
		err = fmt.Errorf("batches were refused, the last at %s: %s", date(q[0].At), q[0].Code)
	}
	say("quarantine", "empty", err, "fieldpost-collector quarantine list")
	return fs
}

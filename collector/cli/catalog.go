package cli

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/collector"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/signing"
	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

const maxCatalog = 8 << 20

func (a *app) catalog() *cobra.Command {
	cmd := &cobra.Command{Use: "catalog", Short: "Sign catalogs, and tell agents of them.",
		Long: "A catalog is signed offline: keygen and sign need no data directory and belong on a machine that does not serve. trust and add tell the collector."}
	cmd.AddCommand(a.catalogKeygen(), a.catalogSign(), a.catalogTrust(), a.catalogAdd(), a.catalogList(), a.catalogShow())
	return cmd
}

func (a *app) catalogKeygen() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "keygen", Short: "Make the key that signs catalogs.", Args: cobra.NoArgs,
		Long:    "Writes the private key to FILE, readable by you alone, and the public key to FILE.pub. Keep FILE offline, with a copy: agents that have joined trust no other.",
		Example: "  fieldpost-collector catalog keygen --key vendor.key",
		RunE: func(*cobra.Command, []string) error {
			if key == "" {
				return usage{errors.New("say with --key FILE where the key goes")}
			}
			if _, err := durable.OS().Lstat(key); !errors.Is(err, fs.ErrNotExist) {
				return &store.Problem{Code: store.CodeConflict, Message: key + " exists", Hint: "name another file; a key is never overwritten", Err: err}
			}
			pub, priv, err := signing.GenerateKey()
			if err != nil {
				return err
			}
			b, err := signing.EncodePrivateKey(priv)
			if err != nil {
				return err
			}
			if err := durable.WriteFile(durable.OS(), key, b, 0o600); err != nil {
				return err
			}
			if err := durable.WriteFile(durable.OS(), key+".pub", signing.EncodePublicKey(pub), 0o644); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Stdout, "private key, keep it offline: %s\npublic key, for catalog trust: %s.pub\n", key, key)
			return err
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "file for the private key")
	return cmd
}

func (a *app) catalogSign() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "sign FILE", Short: "Check a catalog and sign it: writes FILE.sig.", Args: cobra.ExactArgs(1),
		Example: "  fieldpost-collector catalog sign --key vendor.key catalog.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			if key == "" {
				return usage{errors.New("say with --key FILE which key signs")}
			}
			raw, err := a.readAll(args[0], maxCatalog)
			if err != nil {
				return err
			}
			c, err := catalog.Parse(raw)
			if err != nil {
				return err
			}
			b, err := a.readAll(key, 1<<16)
			if err != nil {
				return err
			}
			priv, err := signing.DecodePrivateKey(b)
			if err != nil {
				return err
			}
			if err := durable.WriteFile(durable.OS(), args[0]+".sig", signing.EncodeSignature(signing.Sign(raw, priv)), 0o644); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Stdout, "%s version %d, %d measures: %s.sig\n", clean(c.Name), c.Version, len(c.Measures), args[0])
			return err
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "file of the private key")
	return cmd
}

func (a *app) catalogTrust() *cobra.Command {
	return &cobra.Command{
		Use: "trust KEY.pub", Short: "Trust a public key to sign catalogs; once.", Args: cobra.ExactArgs(1),
		Long: "Tokens carry this key, and agents accept only catalogs it signed. It cannot be changed once set.",
		RunE: func(cmd *cobra.Command, args []string) error {
			pub, err := a.readKey(args[0])
			if err != nil {
				return err
			}
			return a.open(cmd.Context(), true, func(d *collector.Data) error {
				if err := d.TrustCatalogKey(cmd.Context(), pub, a.actor()); err != nil {
					return err
				}
				_, err := fmt.Fprintln(a.Stdout, "catalogs that this key signed are trusted; agents that join from now on trust no other")
				return err
			})
		},
	}
}

func (a *app) readKey(name string) (ed25519.PublicKey, error) {
	b, err := a.readAll(name, 1<<16)
	if err != nil {
		return nil, err
	}
	pub, err := signing.DecodePublicKey(b)
	if err != nil {
		return nil, &store.Problem{Code: strict.CodeBadKey, Message: name + " is not a public key for catalogs", Hint: "give the file that ends in .pub, as catalog keygen wrote it", Err: err}
	}
	return pub, nil
}

func (a *app) catalogAdd() *cobra.Command {
	var sig, key string
	cmd := &cobra.Command{
		Use: "add FILE", Short: "Add a signed catalog; agents get it at their next check-in.", Args: cobra.ExactArgs(1),
		Long:    "FILE.sig is read beside it. What a new catalog adds stays local at every site until its customer accepts it.",
		Example: "  fieldpost-collector catalog add --pub vendor.key.pub catalog.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if sig == "" {
				sig = args[0] + ".sig"
			}
			raw, err := a.readAll(args[0], maxCatalog)
			if err != nil {
				return err
			}
			b, err := a.readAll(sig, 1<<16)
			if errors.Is(err, fs.ErrNotExist) {
				return &store.Problem{Code: strict.CodeBadSignature, Message: "there is no signature " + sig, Hint: "fieldpost-collector catalog sign --key KEY " + args[0], Err: err}
			} else if err != nil {
				return err
			}
			signature, err := signing.DecodeSignature(b)
			if err != nil {
				return err
			}
			return a.open(cmd.Context(), true, func(d *collector.Data) error {
				if key != "" {
					pub, err := a.readKey(key)
					if err != nil {
						return err
					}
					if err := d.TrustCatalogKey(cmd.Context(), pub, a.actor()); err != nil {
						return err
					}
				}
				c, err := d.AddCatalog(cmd.Context(), raw, signature, a.actor())
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(a.Stdout, "%s version %d, %d measures\n", clean(c.Name), c.Version, len(c.Measures))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&sig, "sig", "", "file of the signature (default FILE.sig)")
	cmd.Flags().StringVar(&key, "pub", "", "public key to trust, if none is trusted yet")
	return cmd
}

func (a *app) catalogList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List catalogs, newest version first.", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			list, err := d.Store.CatalogList(cmd.Context())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, c := range list {
				rows = append(rows, []string{c.Name, strconv.Itoa(c.Version), c.Hash.String(), date(c.Added)})
			}
			return a.table([]string{"catalog", "version", "hash", "added"}, rows)
		})
	}}
}

func (a *app) catalogShow() *cobra.Command {
	return &cobra.Command{Use: "show [NAME [VERSION]]", Short: "Print a catalog as it was signed (default: the newest).", Args: cobra.MaximumNArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		name, version := "", 0
		if len(args) > 0 {
			name = args[0]
		}
		if len(args) > 1 {
			var err error
			if version, err = strconv.Atoi(args[1]); err != nil {
				return usage{fmt.Errorf("%q is not a version", args[1])}
			}
		}
		return a.open(cmd.Context(), false, func(d *collector.Data) error {
			c, err := d.Store.NewestCatalog(cmd.Context(), name)
			if err != nil {
				return missing(err, strings.TrimSpace("catalog "+name), "catalog list")
			}
			if version > 0 && version != c.Version {
				list, err := d.Store.CatalogList(cmd.Context())
				if err != nil {
					return err
				}
				found := false
				for _, x := range list {
					if x.Name == c.Name && x.Version == version {
						if c, err = d.Store.Catalog(cmd.Context(), x.Hash); err != nil {
							return err
						}
						found = true
					}
				}
				if !found {
					return missing(store.ErrNotFound, fmt.Sprintf("version %d of %s", version, c.Name), "catalog list")
				}
			}
			_, err = a.Stdout.Write(c.Raw)
			return err
		})
	}}
}

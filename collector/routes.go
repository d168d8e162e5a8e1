package collector

import (
	"context"
	"fmt"

	"github.com/fieldpost/fieldpost/collector/api"
	"github.com/fieldpost/fieldpost/collector/enroll"
	"github.com/fieldpost/fieldpost/collector/store/sqlite"
	"github.com/fieldpost/fieldpost/collector/web"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// SchemaVersion is the store's schema that this program writes.
func SchemaVersion() int { return sqlite.Version() }

// ValidKey reports whether s can name an account or an installation.
func ValidKey(s string) bool { return enroll.ValidKey(s) }

// Pages are the API and the pages, for Config.Routes.
func Pages(c *Collector) ([]Route, error) {
	d := c.Data()
	db, acc := d.Store, d.Access()
	a, err := api.New(api.Config{Access: acc, Accounts: db, Fleet: db, Measurements: db, Pool: db, Troubles: db, Catalogs: db, Log: c.c.Logger, Now: c.c.Now})
	if err != nil {
		return nil, fmt.Errorf("building the API: %w", err)
	}
	w, err := web.New(web.Config{Access: acc, Accounts: db, Fleet: db, Measurements: db, Troubles: db, Catalogs: db, Pool: db, Statements: db, Tokens: db,
		Agents: db, MakeToken: d.tokenForPage, Log: c.c.Logger, Now: c.c.Now})
	if err != nil {
		return nil, fmt.Errorf("building the pages: %w", err)
	}
	return []Route{{"/api/", a}, {"/", w}}, nil
}

// tokenForPage makes a token on behalf of a logged-in user.
func (d *Data) tokenForPage(ctx context.Context, r web.TokenRequest) (string, exchange.ID, error) {
	t, err := d.NewToken(ctx, TokenRequest{Account: r.Account, Installation: r.Installation, Environment: r.Environment, For: r.Life, By: r.By}, "")
	if err != nil {
		return "", exchange.ID{}, err
	}
	return t.String(), t.ID, nil
}

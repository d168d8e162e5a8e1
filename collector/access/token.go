package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// tokenPrefix lets secret scanners find a token that was committed by mistake.
const tokenPrefix = "fpapi_"

// NewToken makes an API token for a user and returns it; it is never shown again.
// life 0 is 90 days; at most 366 days.
func (a *Access) NewToken(ctx context.Context, by, user, label string, life time.Duration) (string, error) {
	if err := checkName(label); err != nil {
		return "", &Error{http.StatusBadRequest, "label_invalid", "A token needs a label of 1 to 128 bytes.", "Say where it will be used."}
	}
	if life == 0 {
		life = 90 * 24 * time.Hour
	}
	if life < 0 || life > maxTokenLife {
		return "", &Error{http.StatusBadRequest, "life_invalid", "A token lives at most 366 days.", "Give fewer days."}
	}
	if _, err := a.c.Users.User(ctx, user); err != nil {
		return "", fmt.Errorf("making an API token: %w", err)
	}
	now, secret := a.c.Now(), tokenPrefix+newSecret()
	err := a.c.Secrets.PutSecret(ctx, store.Secret{Kind: store.APIToken, Hash: hashOf(secret), User: user, Label: label, Scopes: []string{ScopeRead}, Created: now, Expires: now.Add(life)})
	if err != nil {
		return "", fmt.Errorf("making an API token: %w", err)
	}
	return secret, a.audit(ctx, by, "api_token_created", user, label)
}

// Tokens of a user ("" = all), newest first. They hold hashes, never secrets.
func (a *Access) Tokens(ctx context.Context, user string) ([]store.Secret, error) {
	return a.c.Secrets.SecretList(ctx, store.APIToken, user)
}

// RevokeToken ends an API token.
func (a *Access) RevokeToken(ctx context.Context, by string, h exchange.Hash) error {
	if err := a.c.Secrets.DeleteSecret(ctx, store.APIToken, h); err != nil {
		return fmt.Errorf("revoking an API token: %w", err)
	}
	return a.audit(ctx, by, "api_token_revoked", h.String()[:12], "")
}

func (a *Access) byToken(ctx context.Context, header string) (Identity, error) {
	kind, secret, _ := strings.Cut(header, " ")
	secret = strings.TrimSpace(secret)
	if !strings.EqualFold(kind, "bearer") || !strings.HasPrefix(secret, tokenPrefix) || len(secret) != len(tokenPrefix)+43 {
		return Identity{}, ErrToken
	}
	s, err := a.c.Secrets.UseSecret(ctx, store.APIToken, hashOf(secret), a.c.Now())
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, ErrToken
	} else if err != nil {
		return Identity{}, fmt.Errorf("reading an API token: %w", err)
	}
	if !slices.Contains(s.Scopes, ScopeRead) {
		return Identity{}, ErrToken
	}
	id, err := a.known(ctx, s.User)
	if errors.Is(err, ErrLogin) {
		return Identity{}, ErrToken
	}
	id.Token = true
	return id, err
}

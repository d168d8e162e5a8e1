package uplink

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// ErrExpired says that the token's time is over by the collector's or this host's clock.
var ErrExpired = errors.New("enrolment token has expired")

// Join enrols: it asks for a challenge, proves the token and the agent's own key by
// signatures, and believes the answer only if the collector's application key, which stands
// in the token, signed it. The token's secret stays here. Joining again with the same token
// and key is harmless: the collector gives the same answer.
//
// cfg needs nothing but what differs from the defaults: URL, CA and Collector are taken from
// the token.
func Join(ctx context.Context, cfg Config, token exchange.Token, agent ed25519.PrivateKey) (exchange.JoinAnswer, error) {
	var out exchange.JoinAnswer
	cfg.URL, cfg.CA, cfg.Collector, cfg.Key = token.URL, token.CA, token.Collector, agent
	c, err := New(cfg)
	if err != nil {
		return out, err
	}
	defer c.Close()
	if token.Expires > 0 && c.cfg.Now().Unix() > token.Expires {
		return out, fmt.Errorf("joining: %w", ErrExpired)
	}
	key, err := token.Key()
	if err != nil {
		return out, err
	}

	for try := 1; ; try++ {
		out, err = c.join(ctx, token, key, agent)
		// An answer that got lost took the nonce with it; the collector knows our key by now.
		if e := (*Error)(nil); errors.As(err, &e) && e.Verdict.Code == codeChallenge && try < quickTries {
			continue
		}
		if err != nil {
			return exchange.JoinAnswer{}, err
		}
		break
	}
	if out.Agent != c.Agent() || out.Account != token.Account || out.Installation != token.Installation {
		return exchange.JoinAnswer{}, errors.New("joining: the collector answered for another agent or installation")
	}
	return out, nil
}

// codeChallenge refuses a join whose nonce is unknown, used or expired.
const codeChallenge = "challenge_unknown"

func (c *Client) join(ctx context.Context, token exchange.Token, key, agent ed25519.PrivateKey) (out exchange.JoinAnswer, err error) {
	var ch exchange.Challenge
	v, err := c.call(ctx, request{method: http.MethodGet, path: exchange.PathChallenge, query: "token=" + url.QueryEscape(token.ID.String()), limit: maxAnswer})
	if err := read(v, err, &ch); err != nil {
		return out, fmt.Errorf("asking to join: %w", err)
	}
	j := exchange.JoinRequest{Token: token.ID, Nonce: ch.Nonce, Collector: token.Collector, Account: token.Account, Installation: token.Installation}
	j.Sign(key, agent)
	body, err := json.Marshal(j)
	if err != nil {
		return out, fmt.Errorf("writing a join: %w", err)
	}
	v, err = c.call(ctx, request{method: http.MethodPost, path: exchange.PathJoin, body: body, limit: maxAnswer})
	if err := read(v, err, &out); err != nil {
		return out, fmt.Errorf("joining: %w", err)
	}
	return out, nil
}

func read(v Verdict, err error, into any) error {
	if err != nil {
		return err
	}
	if v.Action != Acknowledge {
		return &Error{Verdict: v}
	}
	if err := json.Unmarshal(v.Answer.Body, into); err != nil {
		return fmt.Errorf("reading the collector's answer: %w", err)
	}
	return nil
}

package exchange

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// tokenPrefix names the form of a token; a new form gets a new prefix.
const tokenPrefix = "fp1."

// ErrToken is wrapped by every error of ParseToken.
var ErrToken = errors.New("enrolment token is not valid")

// Token lets an agent join an installation. Whoever holds it can join: it is read from a
// file, stdin or a credential, never from the command line.
type Token struct {
	ID           ID     `json:"id"`
	URL          string `json:"url"`           // the collector's base URL, https
	CA           []byte `json:"ca,omitempty"`  // DER of the collector's own CA; absent when TLS chains to the system's roots
	Collector    []byte `json:"collector_key"` // the collector's application public key
	CatalogKey   []byte `json:"catalog_key"`   // the public key catalogs are signed with
	Account      string `json:"account"`
	Installation string `json:"installation"`
	Environment  string `json:"environment"` // trial, pilot, production or test
	Secret       []byte `json:"secret"`      // 32 bytes
	Expires      int64  `json:"expires"`     // unix seconds
	MaxUses      int    `json:"max_uses"`
}

// String is the token as it is handed over: fp1. and base64url of its JSON.
func (t Token) String() string {
	b, err := json.Marshal(t)
	if err != nil { // cannot happen: only strings, bytes and integers
		return ""
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// ParseToken is the inverse of String; white space around the token is ignored.
func ParseToken(s string) (Token, error) {
	var t Token
	enc, ok := strings.CutPrefix(strings.TrimSpace(s), tokenPrefix)
	if !ok {
		return t, fmt.Errorf("%w: it does not begin with %q", ErrToken, tokenPrefix)
	}
	b, err := base64.RawURLEncoding.DecodeString(enc)
	if err != nil {
		return t, fmt.Errorf("%w: it was cut or changed while copying", ErrToken)
	}
	if err := json.Unmarshal(b, &t); err != nil {
		return t, fmt.Errorf("%w: it was cut or changed while copying", ErrToken)
	}
	u, err := url.Parse(t.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return t, fmt.Errorf("%w: the collector's address %q is not https", ErrToken, t.URL)
	case len(t.Collector) != ed25519.PublicKeySize || len(t.CatalogKey) != ed25519.PublicKeySize:
		return t, fmt.Errorf("%w: a key has the wrong length", ErrToken)
	case len(t.Secret) != 32 || t.Account == "" || t.Installation == "":
		return t, fmt.Errorf("%w: a part is missing", ErrToken)
	}
	return t, nil
}

// Key derives the token's signing key from its secret (HKDF-SHA256, RFC 5869). The collector
// keeps only the public half, so a stolen database holds no usable secret.
func (t Token) Key() (ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, t.Secret, t.ID[:], "fieldpost/token/v1", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("deriving the token's key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Challenge is the collector's answer to a token id: a nonce that the join must sign. It is
// answered for unknown tokens too, so that ids cannot be guessed by asking.
type Challenge struct {
	Nonce   ID    `json:"nonce"`
	Expires int64 `json:"expires"` // unix seconds
}

// JoinRequest asks to join. Both signatures cover Transcript.
type JoinRequest struct {
	Token        ID     `json:"token"`
	Nonce        ID     `json:"nonce"`     // the challenge's
	Collector    []byte `json:"collector"` // the application key the agent expects
	Account      string `json:"account"`
	Installation string `json:"installation"`
	AgentKey     []byte `json:"agent_key"`
	TokenSig     []byte `json:"token_sig"`
	AgentSig     []byte `json:"agent_sig"`
}

// Transcript is the text both signatures of the join cover.
func (j *JoinRequest) Transcript() []byte {
	return message("fieldpost/join/v1", j.Token[:], j.Nonce[:], j.Collector, []byte(j.Account), []byte(j.Installation), j.AgentKey)
}

// Sign fills in both signatures.
func (j *JoinRequest) Sign(token, agent ed25519.PrivateKey) {
	j.AgentKey = agent.Public().(ed25519.PublicKey)
	j.TokenSig = ed25519.Sign(token, j.Transcript())
	j.AgentSig = ed25519.Sign(agent, j.Transcript())
}

// Verify checks both signatures; token is the public half of the token's key.
func (j *JoinRequest) Verify(token ed25519.PublicKey) error {
	ok := len(j.AgentKey) == ed25519.PublicKeySize && len(token) == ed25519.PublicKeySize &&
		ed25519.Verify(token, j.Transcript(), j.TokenSig) && ed25519.Verify(j.AgentKey, j.Transcript(), j.AgentSig)
	if !ok {
		return fmt.Errorf("checking a join: %w", ErrSignature)
	}
	return nil
}

// JoinAnswer says who the agent is from now on.
type JoinAnswer struct {
	Agent        ID     `json:"agent"`
	Account      string `json:"account"`
	Installation string `json:"installation"`
	Environment  string `json:"environment"`
	Time         int64  `json:"time"` // unix seconds
}

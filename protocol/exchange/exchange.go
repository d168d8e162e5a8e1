// Package exchange is what agent and collector say to each other besides batches: the
// enrolment token, the join, the check-in with the consent statement, and the signed
// answers that make an agent act.
//
// Invariants: a secret never travels (the join is signed with a key derived from it);
// every request of an agent is signed over method, path, agent, nonce, time and body; an
// answer that is not signed by the collector's application key over status, request nonce
// and body is a middlebox and means nothing. Signatures are Ed25519 (RFC 8032), each over a
// text that begins with its own name, so that none can be taken for another.
//
// Paths under the collector's base URL:
//
//	GET  /agent/v1/challenge?token=ID   Challenge                signed answer
//	POST /agent/v1/join                 JoinRequest → JoinAnswer signed answer
//	POST /agent/v1/checkin              CheckIn → CheckInAnswer  signed request and answer
//	POST /agent/v1/batches              a batch → Receipt        signed request and answer
package exchange

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// Version of the protocol between agent and collector. History:
//
//	1  2026-11-21  first version
const Version = 1

// Paths of the collector that agents use.
const (
	PathChallenge = "/agent/v1/challenge"
	PathJoin      = "/agent/v1/join"
	PathCheckIn   = "/agent/v1/checkin"
	PathBatches   = "/agent/v1/batches"
)

// Headers of signed requests and answers.
const (
	HeaderAgent     = "Fieldpost-Agent"     // hex agent id
	HeaderNonce     = "Fieldpost-Nonce"     // hex, 16 random bytes, chosen by the requester; the answer's signature covers it
	HeaderTime      = "Fieldpost-Time"      // unix seconds of the requester's clock
	HeaderSignature = "Fieldpost-Signature" // base64
)

// ID is a 128-bit identity: of an agent (derived from its key), an epoch, a token.
type ID [16]byte

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes hex.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads hex.
func (id *ID) UnmarshalText(b []byte) error {
	v, err := ParseID(string(b))
	*id = v
	return err
}

// ParseID is the inverse of String.
func ParseID(s string) (id ID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("reading the id %q: want 32 hex digits", s)
	}
	return ID(b), nil
}

// Hash is a SHA-256, written in hex.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes hex.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads hex.
func (h *Hash) UnmarshalText(b []byte) error {
	v, err := hex.DecodeString(string(b))
	if err != nil || len(v) != len(h) {
		return fmt.Errorf("reading the hash %q: want 64 hex digits", b)
	}
	*h = Hash(v)
	return nil
}

// AgentID derives an agent's id from its public key, so that an id cannot be claimed
// without the key.
func AgentID(pub ed25519.PublicKey) ID {
	h := sha256.Sum256(append([]byte("fieldpost/agent-id/v1\x00"), pub...))
	return ID(h[:16])
}

// message builds the text a signature covers: its name, then each part behind its length.
func message(name string, parts ...[]byte) []byte {
	n := len(name) + 1
	for _, p := range parts {
		n += len(p) + 8
	}
	m := make([]byte, 0, n)
	m = append(append(m, name...), 0)
	for _, p := range parts {
		l := uint64(len(p))
		m = append(m, byte(l>>56), byte(l>>48), byte(l>>40), byte(l>>32), byte(l>>24), byte(l>>16), byte(l>>8), byte(l))
		m = append(m, p...)
	}
	return m
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func verifyB64(pub ed25519.PublicKey, msg []byte, sig string) bool {
	b, err := base64.StdEncoding.DecodeString(sig)
	return err == nil && len(pub) == ed25519.PublicKeySize && len(b) == ed25519.SignatureSize && ed25519.Verify(pub, msg, b)
}

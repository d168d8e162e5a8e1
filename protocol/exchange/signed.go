package exchange

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// ErrSignature says that a request or an answer was not signed by whom it claims.
var ErrSignature = errors.New("signature does not verify")

// NewNonce is 16 random bytes.
func NewNonce() ID {
	var id ID
	rand.Read(id[:]) // never fails (crypto/rand)
	return id
}

// SignRequest signs r, whose body is body, as the agent: it sets the four headers.
func SignRequest(r *http.Request, body []byte, key ed25519.PrivateKey, nonce ID, now time.Time) {
	id := AgentID(key.Public().(ed25519.PublicKey))
	r.Header.Set(HeaderAgent, id.String())
	r.Header.Set(HeaderNonce, nonce.String())
	r.Header.Set(HeaderTime, strconv.FormatInt(now.Unix(), 10))
	r.Header.Set(HeaderSignature, b64(ed25519.Sign(key, requestMessage(r, body))))
}

// VerifyRequest checks a signed request against the agent's key. The caller looks the key up
// by the Fieldpost-Agent header and judges the time.
func VerifyRequest(r *http.Request, body []byte, pub ed25519.PublicKey) error {
	if r.Header.Get(HeaderAgent) != AgentID(pub).String() || !verifyB64(pub, requestMessage(r, body), r.Header.Get(HeaderSignature)) {
		return fmt.Errorf("checking a request to %s: %w", r.URL.Path, ErrSignature)
	}
	return nil
}

func requestMessage(r *http.Request, body []byte) []byte {
	sum := sha256.Sum256(body)
	h := r.Header
	return message("fieldpost/request/v1", []byte(r.Method), []byte(r.URL.Path), []byte(h.Get(HeaderAgent)),
		[]byte(h.Get(HeaderNonce)), []byte(h.Get(HeaderTime)), sum[:])
}

// SignAnswer is the value of the Fieldpost-Signature header of an answer: the collector's
// application key over status, the request's path and nonce, and the body.
func SignAnswer(status int, path, nonce string, body []byte, key ed25519.PrivateKey) string {
	return b64(ed25519.Sign(key, answerMessage(status, path, nonce, body)))
}

// VerifyAnswer checks it. An answer that fails is not the collector's: treat it as unreachable.
func VerifyAnswer(status int, path, nonce string, body []byte, sig string, pub ed25519.PublicKey) error {
	if !verifyB64(pub, answerMessage(status, path, nonce, body), sig) {
		return fmt.Errorf("checking an answer with status %d from %s: %w", status, path, ErrSignature)
	}
	return nil
}

func answerMessage(status int, path, nonce string, body []byte) []byte {
	sum := sha256.Sum256(body)
	return message("fieldpost/answer/v1", []byte(strconv.Itoa(status)), []byte(path), []byte(nonce), sum[:])
}

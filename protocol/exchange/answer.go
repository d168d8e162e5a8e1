package exchange

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrReceipt says that a signed answer is not a receipt for the batch it came back for.
var ErrReceipt = errors.New("receipt does not fit the batch")

// Answer is a signed answer as it arrived. With the collector's application key anybody can
// check it later, offline: it is what the ledger keeps of a receipt.
type Answer struct {
	Status int    `json:"status"`
	Path   string `json:"path"`
	Nonce  string `json:"nonce"` // of the request, as its header had it
	Body   []byte `json:"body"`
	Sig    string `json:"sig"`
}

// Verify checks the signature.
func (a Answer) Verify(pub ed25519.PublicKey) error {
	return VerifyAnswer(a.Status, a.Path, a.Nonce, a.Body, a.Sig, pub)
}

// Receipt reads the body as the answer to a batch. It does not check the signature.
func (a Answer) Receipt() (Receipt, error) {
	var r Receipt
	if err := json.Unmarshal(a.Body, &r); err != nil {
		return r, fmt.Errorf("reading a receipt: %w", err)
	}
	if r.Outcome.Status() == 0 || r.Outcome.Status() != a.Status || r.Nonce.String() != a.Nonce {
		return r, fmt.Errorf("%w: status %d with outcome %q and nonce %s", ErrReceipt, a.Status, r.Outcome, r.Nonce)
	}
	return r, nil
}

// Status is the HTTP status an outcome travels with; 0 for an unknown one.
func (o Outcome) Status() int {
	switch o {
	case Accepted:
		return 200
	case OutOfTurn:
		return 409
	case TooLarge:
		return 413
	case Refused:
		return 422
	case NotKnown:
		return 401
	case Forbidden:
		return 403
	}
	return 0
}

// Codes of a receipt that the agent itself acts on. All others are only shown.
const (
	CodeFork = "forked_seq" // OutOfTurn: this epoch holds another batch under the seq
)

// SignedReceipt is a receipt and the signed answer it was read from.
type SignedReceipt struct {
	Receipt Receipt
	Answer  Answer
}

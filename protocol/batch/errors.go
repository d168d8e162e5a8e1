package batch

import (
	"errors"
	"fmt"
	"net/http"
)

// Code is the stable code of a refused batch; it is also the error that errors.Is finds:
//
//	if errors.Is(err, batch.ErrTooLarge) { … }
//
// Codes are append-only.
type Code string

const (
	ErrTooLarge  Code = "batch_too_large" // more bytes, cells or blob than the limits
	ErrMalformed Code = "batch_malformed" // not a canonical batch
	ErrVersion   Code = "batch_version"   // a version of the protocol that is not spoken here
	ErrHeader    Code = "batch_header"    // a header that contradicts itself
	ErrSignature Code = "batch_signature" // not signed by the agent's key
	ErrBomb      Code = "batch_bomb"      // inflates to something else than it declared
	ErrOrder     Code = "batch_order"     // cells unordered or doubled
	ErrCell      Code = "batch_cell"      // a cell that breaks an invariant
	ErrWindow    Code = "batch_window"    // a window that cannot be: unaligned, far past or future
)

func (c Code) Error() string { return string(c) }

// HTTP is the status of an answer that refuses the batch for good: 413 or 422.
func (c Code) HTTP() int {
	if c == ErrTooLarge {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusUnprocessableEntity
}

// Hint says what to do about it.
func (c Code) Hint() string {
	switch c {
	case ErrTooLarge:
		return "Try: freeze fewer cells in one batch."
	case ErrVersion:
		return "Try: upgrade the older of agent and collector."
	case ErrSignature:
		return "Try: check that the agent was not re-enrolled or its state copied."
	case ErrWindow:
		return "Try: check the clock and the time zone of the site."
	}
	return "Try: report it with the quarantined batch; the sender or the road altered it."
}

// CodeOf is the code of an error of this package; "" for any other.
func CodeOf(err error) Code {
	var c Code
	if errors.As(err, &c) {
		return c
	}
	return ""
}

func fail(c Code, format string, args ...any) error {
	return fmt.Errorf("%w: %s", c, fmt.Sprintf(format, args...))
}

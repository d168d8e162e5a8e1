package store

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Codes of what agents and users are told. Append-only.
const (
	// About requests.
	CodeMethod   = "method_not_allowed"
	CodeEncoding = "encoding_not_supported"
	CodeTooLarge = "body_too_large"
	CodeBusy     = "busy"     // try again after Retry-After
	CodeLimited  = "too_many" // rate limit
	CodeInternal = "internal"

	// About enrolment and identity.
	CodeChallengeUnknown = "challenge_unknown" // unknown, used or expired nonce
	CodeJoinSignature    = "join_signature"    // unknown token, wrong signature, account, installation or collector
	CodeJoinUnreadable   = "join_unreadable"
	CodeTokenExpired     = "token_expired"
	CodeTokenUsedUp      = "token_used_up"
	CodeTokenRevoked     = "token_revoked"
	CodeAgentUnknown     = "agent_unknown"
	CodeSignature        = "request_signature"
	CodeAgentRevoked     = "agent_revoked"
	CodeAccountClosed    = "account_closed"
	CodeAgentMismatch    = "agent_mismatch" // a batch of another agent
	CodeCheckIn          = "checkin_unreadable"
	CodeStatement        = "statement_invalid"
	CodeSimulated        = "simulated_not_allowed" // only test installations and demo collectors take simulated agents

	// About batches; those of package batch (batch_…) and exchange.CodeFork come beside them.
	CodeUnreadable       = "batch_unreadable"
	CodeOutOfSeq         = "out_of_seq"
	CodeUnknownCatalog   = "catalog_unknown"
	CodeUnknownCell      = "cell_unknown"
	CodeUnknownStatement = "consent_unknown"
	CodeNotCovered       = "consent_not_covered"
	CodeTooOld           = "window_too_old"
	CodeTooFuture        = "window_too_future"
	CodeUnknownZone      = "zone_unknown"
	CodePoison           = "poison" // accepted by ingest, but could not be stored

	// About running the collector.
	CodeInUse        = "data_in_use"
	CodeNotWritable  = "data_not_writable"
	CodePort         = "port_in_use"
	CodeNewerData    = "data_newer"
	CodeNoData       = "data_missing"
	CodeBadData      = "data_unreadable"
	CodeNoCatalogKey = "catalog_key_missing"
	CodeBadInput     = "bad_input"
	CodeNotFound     = "not_found"
	CodeConflict     = "conflict"
)

// Problem is an error with a stable code and a hint, for whoever can mend it.
type Problem struct {
	Code    string
	Message string
	Hint    string // "Try: …" without the "Try: "
	Status  int    // of an HTTP answer; 0: 500
	Err     error  // cause, for the log; may be nil
}

func (p *Problem) Error() string {
	s := p.Message + " [" + p.Code + "]"
	if p.Err != nil {
		s = fmt.Sprintf("%s: %v", s, p.Err)
	}
	if p.Hint != "" {
		s += "\nTry: " + p.Hint
	}
	return s
}

// Unwrap is the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Wire is what an HTTP answer says of it: never the cause.
func (p *Problem) Wire() exchange.Problem {
	return exchange.Problem{Code: p.Code, Message: p.Message, Hint: p.Hint}
}

// ProblemOf finds the problem in err; any other error is internal and tells nothing.
func ProblemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		if p.Status == 0 {
			c := *p
			c.Status = http.StatusInternalServerError
			return &c
		}
		return p
	}
	return &Problem{Code: CodeInternal, Message: "the collector could not do this now", Hint: "again later; the collector's log says more",
		Status: http.StatusInternalServerError, Err: err}
}

// Package refusal gives what the road to the collector met a code, a remedy and an exit code. It keeps no state.
package refusal

import (
	"errors"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/uplink"
)

// Of is err with its code and remedy, as far as it came from the uplink; 3 is "unreachable".
func Of(err error) error {
	var e *uplink.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, uplink.ErrExpired):
		return &control.Error{Code: "token_expired", Message: err.Error(), Hint: "ask the vendor for a new token", Exit: 1}
	case errors.Is(err, uplink.ErrPaused):
		return &control.Error{Code: "refused_by_collector", Message: err.Error(), Hint: "ask the vendor; the agent keeps what waits", Exit: 1}
	case errors.As(err, &e):
		exit := 3
		if e.Verdict.Action == uplink.Quarantine || e.Verdict.Action == uplink.Pause {
			exit = 1
		}
		return &control.Error{Code: "collector_" + e.Verdict.Action.String(), Message: e.Error(), Hint: e.Hint(), Exit: exit}
	}
	return err
}

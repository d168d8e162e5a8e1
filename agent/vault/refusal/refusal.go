// Package refusal gives what can be wrong with the site key a code and a remedy. It keeps no state.
package refusal

import (
	"errors"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/agent/vault"
)

// Of is err with its code and remedy, as far as it is about the site key in the file path.
func Of(err error, path string) error {
	giveUp := "; without it what was measured here cannot be read again, and is given up by: fieldpost-agent wipe --keep-enrolment --yes"
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vault.ErrMissing):
		return refuse("site_key_missing", "what this state holds is sealed with a site key, and "+path+", or vault.json in the state, is missing",
			"put both back from a backup"+giveUp, 1)
	case errors.Is(err, vault.ErrWrong):
		return refuse("site_key_wrong", path+" is not the key that this state was sealed with, or vault.json was altered",
			"put the right one back, or name it with site_key_file"+giveUp, 1)
	case errors.Is(err, vault.ErrOpenToOthers):
		return refuse("site_key_open", "others than its owner can read "+path+", or it belongs to somebody else", "chmod 600 "+path+", as the user the agent runs as", 1)
	case errors.Is(err, vault.ErrMalformed):
		return refuse("site_key_unreadable", path+" does not hold a site key: 32 bytes in base64, in a plain file", "put the right one back"+giveUp, 1)
	case errors.Is(err, vault.ErrNewer):
		return refuse("state_newer", err.Error(), "install the version that wrote it, or a newer one", 1)
	}
	return err
}

func refuse(code, message, hint string, exit int) error {
	return &control.Error{Code: code, Message: message, Hint: hint, Exit: exit}
}

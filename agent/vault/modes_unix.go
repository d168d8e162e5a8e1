//go:build unix

package vault

import (
	"io/fs"
	"os"
	"syscall"
)

// guarded checks that nobody but its owner can read the key file. Outside the state its group may read
// it too: so systemd shows a credential that one user was given by an access list.
func guarded(info fs.FileInfo, outside bool) error {
	others := fs.FileMode(0o077)
	if outside {
		others = 0o037
	}
	if info.Mode().Perm()&others != 0 {
		return ErrOpenToOthers
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok { // root may look after any state
		if uid := os.Geteuid(); uid != 0 && int(st.Uid) != uid && st.Uid != 0 {
			return ErrOpenToOthers
		}
	}
	return nil
}

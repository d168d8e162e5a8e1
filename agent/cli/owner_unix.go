//go:build unix

package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// giveBack gives what root has made in a state directory to the directory's owner: a service that runs as a
// user of its own could not open it otherwise. Links are not followed, and a file with a second name is left
// alone, so that nothing outside can be given away.
func giveBack(state string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	top, err := os.Stat(state) // systemd makes the directory itself a link
	if err != nil {
		return nil // there is no state to give back
	}
	owner, ok := top.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return filepath.WalkDir(state+"/.", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Uid != 0 || !info.IsDir() && (!info.Mode().IsRegular() || st.Nlink != 1) {
			return nil
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}

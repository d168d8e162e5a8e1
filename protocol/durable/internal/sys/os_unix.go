//go:build !windows

package sys

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

func OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	// O_NOFOLLOW: nothing in a state directory is meant to be a link.
	return os.OpenFile(name, flag|unix.O_NOFOLLOW, perm)
}

func Rename(oldname, newname string) error { return os.Rename(oldname, newname) }

func SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

func noSpaceHere(err error) bool {
	return errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// ignoreEINTR repeats a call that a signal interrupted before it did anything.
func ignoreEINTR(fn func() error) error {
	for {
		if err := fn(); err != unix.EINTR {
			return err
		}
	}
}

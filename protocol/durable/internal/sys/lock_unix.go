//go:build !windows

package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

func TryLock(f *os.File) (bool, error) {
	err := control(f, func(fd uintptr) error {
		return ignoreEINTR(func() error { return unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) })
	})
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}

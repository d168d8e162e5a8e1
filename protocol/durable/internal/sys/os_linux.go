package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// SyncData uses fdatasync: it writes what is needed to read the data back (so
// also a changed size), but not the times, which saves a journal commit on a
// preallocated file.
func SyncData(f *os.File) error {
	return control(f, func(fd uintptr) error {
		return ignoreEINTR(func() error { return unix.Fdatasync(int(fd)) })
	})
}

func Preallocate(f *os.File, have, size int64) error {
	err := control(f, func(fd uintptr) error {
		return ignoreEINTR(func() error { return unix.Fallocate(int(fd), 0, have, size-have) })
	})
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		return f.Truncate(size) // no blocks reserved: a full disk shows at the write
	}
	return err
}

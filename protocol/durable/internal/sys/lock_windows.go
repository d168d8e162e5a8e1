package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// TryLock locks one byte far behind the pid: locks on Windows are mandatory,
// and the second comer wants to read who holds it.
func TryLock(f *os.File) (bool, error) {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := control(f, func(fd uintptr) error {
		ol := &windows.Overlapped{Offset: 0, OffsetHigh: 1}
		return windows.LockFileEx(windows.Handle(fd), flags, 0, 1, 0, ol)
	})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, err
}

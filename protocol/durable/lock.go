package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/durable/internal/sys"
)

// ErrLocked is matched by the error of Lock when another process has the
// directory; errors.As finds a *LockedError that says who.
var ErrLocked = errors.New("state folder is in use by another process")

// LockedError says who holds a directory.
type LockedError struct {
	Dir string
	PID int // 0 when the holder has not written it yet
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("locking %s: %v", e.Dir, ErrLocked)
	}
	return fmt.Sprintf("locking %s: %v (pid %d)", e.Dir, ErrLocked, e.PID)
}

// Is makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// LockName is the file inside the directory that Lock locks. It stays there:
// removing it would let two processes lock two files of the same name.
const LockName = "lock"

// Lock makes the caller the one process that may use dir, until the returned
// Closer is closed or the process ends, however it ends. It does not wait.
func Lock(dir string) (io.Closer, error) {
	path := filepath.Join(dir, LockName)
	f, err := sys.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	held, err := sys.TryLock(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), f.Close())
	}
	if !held {
		var b [32]byte
		n, _ := f.ReadAt(b[:], 0)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(b[:n])))
		_ = f.Close()
		return nil, &LockedError{Dir: dir, PID: pid}
	}
	// The number is a courtesy to the second comer: no sync, no failure.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

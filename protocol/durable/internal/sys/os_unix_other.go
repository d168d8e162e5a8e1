//go:build !windows && !linux

package sys

import "os"

// SyncData: on darwin os.File.Sync is F_FULLFSYNC, which reaches the platter;
// plain fsync there does not.
func SyncData(f *os.File) error { return f.Sync() }

// Preallocate only sets the size: F_PREALLOCATE gives no promise on APFS, so a
// full disk shows at the write, which the log handles like any failed write.
func Preallocate(f *os.File, _, size int64) error { return f.Truncate(size) }

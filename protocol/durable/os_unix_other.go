//go:build !windows && !linux

package durable

import "os"

// syncData: on darwin os.File.Sync is F_FULLFSYNC, which reaches the platter;
// plain fsync there does not.
func syncData(f *os.File) error { return f.Sync() }

// preallocate only sets the size: F_PREALLOCATE gives no promise on APFS, so a
// full disk shows at the write, which the log handles like any failed write.
func preallocate(f *os.File, _, size int64) error { return f.Truncate(size) }

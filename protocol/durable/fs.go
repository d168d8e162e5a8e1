package durable

import (
	"io"
	"io/fs"
)

// FS is the seam between the rules of this package and the machine. The real
// one is OS(); durabletest has one that records, fails and crashes. All names
// are ordinary paths of the operating system. Safe for concurrent use.
type FS interface {
	Files
	Dirs
}

// Files are the operations on single names.
type Files interface {
	// OpenFile has the meaning of os.OpenFile. With O_EXCL it does not follow
	// a link planted under the name.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Rename replaces newname if it exists; atomic for whoever looks, durable
	// only after SyncDir.
	Rename(oldname, newname string) error
	// Remove unlinks a file or an empty directory; durable after SyncDir.
	Remove(name string) error
	// Lstat does not follow links.
	Lstat(name string) (fs.FileInfo, error)
}

// Dirs are the operations on directories.
type Dirs interface {
	Mkdir(name string, perm fs.FileMode) error
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes the creations, renames and removals in name durable.
	SyncDir(name string) error
}

// File is an open file. Nothing written is durable before Sync returned nil;
// after a Sync that failed nothing may be assumed about what was written since
// the last one that succeeded, whatever a later Sync says.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Space
}

// Space is the size of an open file.
type Space interface {
	Size() (int64, error)
	Truncate(size int64) error
	// Preallocate grows the file to size with zeroes and reserves the blocks
	// where the file system can, so that later writes neither run out of
	// space nor move metadata.
	Preallocate(size int64) error
}

package durable

import (
	"io/fs"
	"os"

	"github.com/fieldpost/fieldpost/protocol/durable/internal/sys"
)

// OS returns the file system of the machine.
func OS() FS { return osFS{} }

type osFS struct{}

var _ FS = osFS{}

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := sys.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Rename(oldname, newname string) error       { return sys.Rename(oldname, newname) }
func (osFS) Remove(name string) error                   { return os.Remove(name) }
func (osFS) Lstat(name string) (fs.FileInfo, error)     { return os.Lstat(name) }
func (osFS) Mkdir(name string, perm fs.FileMode) error  { return os.Mkdir(name, perm) }
func (osFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (osFS) SyncDir(name string) error                  { return sys.SyncDir(name) }

// osFile wraps rather than embeds *os.File: its own Sync and no way around it.
type osFile struct{ f *os.File }

var _ File = osFile{}

func (o osFile) ReadAt(p []byte, off int64) (int, error)  { return o.f.ReadAt(p, off) }
func (o osFile) WriteAt(p []byte, off int64) (int, error) { return o.f.WriteAt(p, off) }
func (o osFile) Close() error                             { return o.f.Close() }
func (o osFile) Truncate(size int64) error                { return o.f.Truncate(size) }

func (o osFile) Sync() error {
	if err := sys.SyncData(o.f); err != nil {
		return &fs.PathError{Op: "sync", Path: o.f.Name(), Err: err}
	}
	return nil
}

func (o osFile) Size() (int64, error) {
	st, err := o.f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (o osFile) Preallocate(size int64) error {
	have, err := o.Size()
	if err != nil {
		return err
	}
	if have >= size {
		return nil
	}
	if err := sys.Preallocate(o.f, have, size); err != nil {
		return &fs.PathError{Op: "preallocate", Path: o.f.Name(), Err: err}
	}
	return nil
}

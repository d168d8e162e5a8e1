package durable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempSuffix marks files that were being written when the process ended.
const tempSuffix = ".fptmp"

// WriteFile replaces path by data as one step: whoever opens path, at any
// moment and after any crash, finds the whole old content or the whole new
// one. It has returned nil only when the new content is on disk. A link under
// path is replaced, not followed. If the error comes from syncing the
// directory the new content is visible but a crash may bring the old one back.
func WriteFile(fsys FS, path string, data []byte, perm fs.FileMode) error {
	temp := path + "." + randomHex() + tempSuffix
	if err := writeTemp(fsys, temp, data, perm); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := fsys.Rename(temp, path); err != nil {
		_ = fsys.Remove(temp) // CleanTemps gets it otherwise
		return fmt.Errorf("replacing %s: %w", path, err)
	}
	if err := fsys.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("syncing the folder of %s: %w", path, err)
	}
	return nil
}

func writeTemp(fsys FS, temp string, data []byte, perm fs.FileMode) (err error) {
	f, err := fsys.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = fsys.Remove(temp)
		}
	}()
	if len(data) > 0 {
		if _, err = f.WriteAt(data, 0); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err = f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// ErrTooLarge is returned where a size passes its limit.
var ErrTooLarge = errors.New("larger than its limit")

// ReadFile returns the content of path, ErrTooLarge if it has more than max
// bytes. It does not follow a link.
func ReadFile(fsys FS, path string, max int64) (data []byte, err error) {
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if size > max {
		return nil, fmt.Errorf("reading %s (%d bytes, limit %d): %w", path, size, max, ErrTooLarge)
	}
	data = make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return data[:n], nil
}

// Rename moves a file within or between folders, replacing newpath, and
// returns when the move is on disk. Between the two folder syncs a crash can
// leave both names, never none.
func Rename(fsys FS, oldpath, newpath string) error {
	if err := fsys.Rename(oldpath, newpath); err != nil {
		return fmt.Errorf("renaming %s: %w", oldpath, err)
	}
	to, from := filepath.Dir(newpath), filepath.Dir(oldpath)
	if err := fsys.SyncDir(to); err != nil {
		return fmt.Errorf("syncing %s: %w", to, err)
	}
	if from != to {
		if err := fsys.SyncDir(from); err != nil {
			return fmt.Errorf("syncing %s: %w", from, err)
		}
	}
	return nil
}

// Remove unlinks path and returns when that is on disk. A path that does not
// exist is an error that matches fs.ErrNotExist.
func Remove(fsys FS, path string) error {
	if err := fsys.Remove(path); err != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	if err := fsys.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("syncing the folder of %s: %w", path, err)
	}
	return nil
}

// MkdirAll creates path and what is missing above it, each synced into its
// parent before the next is made. An existing folder is left as it is, but its
// name is synced too: the process that made it may have died before it did.
func MkdirAll(fsys FS, path string, perm fs.FileMode) error {
	path = filepath.Clean(path)
	st, err := fsys.Lstat(path)
	switch {
	case err == nil && st.IsDir():
		parent := filepath.Dir(path)
		if err := fsys.SyncDir(parent); err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("syncing %s: %w", parent, err)
		}
		return nil
	case err == nil && st.Mode()&fs.ModeSymlink != 0:
		// An administrator may have put the state elsewhere by a link; what
		// it points to must exist then.
		if _, err := fsys.ReadDir(path); err != nil {
			return fmt.Errorf("creating folder %s: %w", path, err)
		}
		return nil
	case err == nil:
		return fmt.Errorf("creating folder %s: a file of that name exists: %w", path, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("creating folder %s: %w", path, err)
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MkdirAll(fsys, parent, perm); err != nil {
			return err
		}
	}
	if err := fsys.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("creating folder %s: %w", path, err)
	}
	if err := fsys.SyncDir(parent); err != nil {
		_ = fsys.Remove(path) // so that the next try makes and syncs a new one
		return fmt.Errorf("syncing %s: %w", parent, err)
	}
	return nil
}

// IsTemp tells whether name is a leftover of WriteFile or of a segment that
// was being made.
func IsTemp(name string) bool {
	base, ok := strings.CutSuffix(name, tempSuffix)
	dot := strings.LastIndexByte(base, '.')
	if !ok || dot < 0 || len(base)-dot-1 != 16 {
		return false
	}
	_, err := hex.DecodeString(base[dot+1:])
	return err == nil
}

// CleanTemps removes the leftovers of WriteFile in dir. Call it at start,
// under Lock: a temporary file of a living writer looks the same.
func CleanTemps(fsys FS, dir string) error {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cleaning %s: %w", dir, err)
	}
	removed := false
	for _, e := range entries {
		if e.IsDir() || !IsTemp(e.Name()) {
			continue
		}
		if err := fsys.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("cleaning %s: %w", dir, err)
		}
		removed = true
	}
	if !removed {
		return nil
	}
	if err := fsys.SyncDir(dir); err != nil {
		return fmt.Errorf("cleaning %s: %w", dir, err)
	}
	return nil
}

// randomHex is 16 hex digits nobody can predict, so that nobody can plant a
// file or link under the name of a temporary one.
func randomHex() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

package durabletest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/durable"
)

// TestFS checks that fsys behaves as durable.FS says, in root, an existing
// empty directory of it. Run it on every implementation, the real one included.
func TestFS(t *testing.T, fsys durable.FS, root string) {
	t.Helper()
	d := filepath.Join(root, "d")
	a, b := filepath.Join(d, "a"), filepath.Join(d, "b")
	want := func(what string, err, target error) {
		t.Helper()
		if !errors.Is(err, target) {
			t.Errorf("%s: %v, want %v", what, err, target)
		}
	}
	want("mkdir", fsys.Mkdir(d, 0o700), nil)
	want("mkdir again", fsys.Mkdir(d, 0o700), fs.ErrExist)
	want("mkdir without parent", fsys.Mkdir(filepath.Join(root, "x", "y"), 0o700), fs.ErrNotExist)
	_, err := fsys.OpenFile(a, os.O_RDWR, 0)
	want("open missing", err, fs.ErrNotExist)
	_, err = fsys.OpenFile(filepath.Join(root, "x", "y"), os.O_RDWR|os.O_CREATE, 0o600)
	want("create without parent", err, fs.ErrNotExist)

	f, err := fsys.OpenFile(a, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	want("create", err, nil)
	_, err = fsys.OpenFile(a, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	want("create again", err, fs.ErrExist)
	testFile(t, f)

	// A file that is open stays usable when its name moves or goes.
	want("rename", fsys.Rename(a, b), nil)
	_, err = fsys.Lstat(a)
	want("old name", err, fs.ErrNotExist)
	info, err := fsys.Lstat(b)
	want("new name", err, nil)
	if err == nil && (info.Size() != 100 || info.Name() != "b" || !info.Mode().IsRegular()) {
		t.Errorf("info: %s, %d bytes, %v", info.Name(), info.Size(), info.Mode())
	}
	g, err := fsys.OpenFile(a, os.O_RDWR|os.O_CREATE, 0o600)
	want("create the other", err, nil)
	_, err = g.WriteAt([]byte("other"), 0)
	want("write the other", err, nil)
	want("close the other", g.Close(), nil)
	entries, err := fsys.ReadDir(d)
	want("readdir", err, nil)
	if len(entries) != 2 || entries[0].Name() != "a" || entries[1].Name() != "b" || !entries[0].Type().IsRegular() {
		t.Errorf("entries %v", entries)
	}
	want("replace", fsys.Rename(a, b), nil)
	var buf [5]byte
	if _, err := f.ReadAt(buf[:], 95); err != nil || string(buf[:]) == "other" {
		t.Errorf("the replaced file reads %q, %v", buf, err)
	}
	want("close", f.Close(), nil)
	got, err := durable.ReadFile(fsys, b, 100)
	if err != nil || string(got) != "other" {
		t.Errorf("the replacing file reads %q, %v", got, err)
	}
	want("syncdir", fsys.SyncDir(d), nil)
	if err := fsys.Remove(d); err == nil {
		t.Error("a directory with a file in it was removed")
	}
	want("remove", fsys.Remove(b), nil)
	want("remove again", fsys.Remove(b), fs.ErrNotExist)
	want("remove directory", fsys.Remove(d), nil)
	_, err = fsys.ReadDir(d)
	want("readdir of nothing", err, fs.ErrNotExist)
}

// testFile leaves f with 100 bytes.
func testFile(t *testing.T, f durable.File) {
	t.Helper()
	size := func(want int64) {
		t.Helper()
		if n, err := f.Size(); err != nil || n != want {
			t.Errorf("size %d, %v, want %d", n, err, want)
		}
	}
	size(0)
	if err := f.Preallocate(4096); err != nil {
		t.Error(err)
	}
	size(4096)
	if err := f.Preallocate(10); err != nil {
		t.Error(err)
	}
	size(4096) // it never shrinks
	data := bytes.Repeat([]byte("x"), 300)
	if n, err := f.WriteAt(data, 4000); n != 300 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	size(4300)
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
	buf := make([]byte, 400)
	if n, err := f.ReadAt(buf, 3950); n != 350 || err != io.EOF ||
		!bytes.Equal(buf[:350], append(make([]byte, 50), data...)) {
		t.Errorf("read over the end: %d, %v", n, err)
	}
	if n, err := f.ReadAt(buf, 5000); n != 0 || err != io.EOF {
		t.Errorf("read behind the end: %d, %v", n, err)
	}
	if err := f.Truncate(4050); err != nil {
		t.Error(err)
	}
	if err := f.Truncate(4100); err != nil {
		t.Error(err)
	}
	if n, err := f.ReadAt(buf[:100], 4000); n != 100 || err != nil ||
		!bytes.Equal(buf[:100], append(bytes.Repeat([]byte("x"), 50), make([]byte, 50)...)) {
		t.Errorf("after cutting and growing: %d, %v, %q", n, err, buf[:n])
	}
	if err := f.Truncate(100); err != nil {
		t.Error(err)
	}
	size(100)
}

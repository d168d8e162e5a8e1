// Package durabletest has a file system in memory for the users of
// protocol/durable. It records what happens to it, fails the operation it is
// told to fail, and makes the states a power failure could leave behind.
//
// Its model of a disk is meaner than most: a write, a changed size, a new name
// or a removal counts as done only after the file, or the directory the name
// is in, was synced. Until then each can be missing from the state after a
// crash independently of all others, and a write can be there in part, by
// sectors. A sync that fails leaves what it should have written in memory
// only, and no later sync of the same file brings it to disk.
//
// There is nothing on disk and no state outside an FS; the zero value is not
// ready, see New.
package durabletest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/protocol/durable"
)

// ErrInjected is the default error of a failed operation.
var ErrInjected = errors.New("injected fault")

// FS implements durable.FS. Safe for concurrent use; which operation is the
// Nth is then up to the scheduler.
type FS struct {
	mu     sync.Mutex // guards everything below
	start  tree       // durable state at the beginning of ops
	now    tree
	nextID int
	ops    []op
	calls  int
	peak   int64

	failAt  int // call number that fails; 0: none
	forever bool
	failErr error
}

var _ durable.FS = (*FS)(nil)

// tree is a state: names, and the files they stand for.
type tree struct {
	names map[string]int // clean path → inode
	nodes map[int]*node
}

type node struct {
	dir  bool
	perm fs.FileMode
	data []byte
}

func (t tree) clone() tree {
	c := tree{names: make(map[string]int, len(t.names)), nodes: make(map[int]*node, len(t.nodes))}
	for p, id := range t.names {
		c.names[p] = id
		n := *t.nodes[id]
		n.data = slices.Clone(n.data)
		c.nodes[id] = &n
	}
	return c
}

// New returns an empty file system; its root is the root of the real one ("/",
// or of whatever volume a path names).
func New() *FS {
	return &FS{start: tree{names: map[string]int{}, nodes: map[int]*node{}},
		now: tree{names: map[string]int{}, nodes: map[int]*node{}}, nextID: 1}
}

// from returns a file system whose durable state is t.
func from(t tree, nextID int) *FS {
	return &FS{start: t, now: t.clone(), nextID: nextID}
}

// Clone returns a file system that begins with f's present state as durable.
func (f *FS) Clone() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	return from(f.now.clone(), f.nextID)
}

// Killed returns the file system as the next process finds it if this one is
// killed after so many operations and the machine stays up: every change is
// visible, but what was not synced is still not, and Crashes of the result can
// lose it.
func (f *FS) Killed(prefix int) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := from(f.start.clone(), f.nextID)
	for _, o := range f.ops[:prefix] {
		k.record(o)
	}
	return k
}

// Fail makes the nth operation from now fail (1 is the next), only that one or
// all from it on. n = 0 ends it. A nil err means ErrInjected.
func (f *FS) Fail(n int, forever bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		err = ErrInjected
	}
	f.failAt, f.forever, f.failErr = 0, forever, err
	if n > 0 {
		f.failAt = f.calls + n
	}
}

// Calls returns how many operations, reads included, were asked for.
func (f *FS) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Ops returns how many changes and syncs were recorded: the length of the
// longest prefix Crashes can cut at. A test notes it when something was
// acknowledged.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ops)
}

// Log returns the recorded operations, a line each.
func (f *FS) Log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]string, len(f.ops))
	for i, o := range f.ops {
		out[i] = o.String()
	}
	return out
}

// Peak returns the largest sum of file sizes there ever was.
func (f *FS) Peak() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.peak
}

// Change lets edit alter the content of a file, durably and unrecorded: a
// flipped bit, a truncation.
func (f *FS) Change(name string, edit func([]byte) []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range []tree{f.now, f.start} {
		id, ok := t.names[clean(name)]
		if !ok {
			return &fs.PathError{Op: "change", Path: name, Err: fs.ErrNotExist}
		}
		t.nodes[id].data = edit(slices.Clone(t.nodes[id].data))
		if len(f.ops) == 0 {
			continue
		}
		return errors.New("changing a file system with recorded operations: use Clone first")
	}
	return nil
}

// call counts an operation and says whether it fails.
func (f *FS) call() error {
	f.calls++
	if f.failAt > 0 && (f.calls == f.failAt || f.forever && f.calls > f.failAt) {
		return f.failErr
	}
	return nil
}

func (f *FS) record(o op) {
	f.ops = append(f.ops, o)
	o.apply(f.now)
	total := int64(0)
	for _, id := range f.now.names {
		total += int64(len(f.now.nodes[id].data))
	}
	f.peak = max(f.peak, total)
}

func clean(name string) string { return filepath.Clean(name) }

func isRoot(p string) bool { return filepath.Dir(p) == p }

// lookup resolves a name; the root always exists.
func (f *FS) lookup(p string) (int, *node, bool) {
	if id, ok := f.now.names[p]; ok {
		return id, f.now.nodes[id], true
	}
	if isRoot(p) || p == "." {
		return 0, &node{dir: true, perm: 0o755}, true
	}
	return 0, nil, false
}

func (f *FS) parentExists(p string) bool {
	_, n, ok := f.lookup(filepath.Dir(p))
	return ok && n.dir
}

// OpenFile implements durable.Files.
func (f *FS) OpenFile(name string, flag int, perm fs.FileMode) (durable.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fail := func(err error) error { return &fs.PathError{Op: "open", Path: name, Err: err} }
	if err := f.call(); err != nil {
		return nil, fail(err)
	}
	p := clean(name)
	id, n, ok := f.lookup(p)
	switch {
	case ok && n.dir:
		return nil, fail(errors.New("is a directory"))
	case ok && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, fail(fs.ErrExist)
	case !ok && (flag&os.O_CREATE == 0 || !f.parentExists(p)):
		return nil, fail(fs.ErrNotExist)
	case !ok:
		id = f.nextID
		f.nextID++
		f.record(op{kind: opCreate, path: p, id: id, perm: perm})
	case flag&os.O_TRUNC != 0:
		f.record(op{kind: opTruncate, path: p, id: id})
	}
	return &file{fs: f, id: id, name: p, node: f.now.nodes[id], write: flag&(os.O_RDWR|os.O_WRONLY) != 0}, nil
}

// Rename implements durable.Files.
func (f *FS) Rename(oldname, newname string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	fail := func(err error) error { return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err} }
	if err := f.call(); err != nil {
		return fail(err)
	}
	from, to := clean(oldname), clean(newname)
	id, n, ok := f.lookup(from)
	if !ok || !f.parentExists(to) {
		return fail(fs.ErrNotExist)
	}
	if _, there, ok := f.lookup(to); n.dir || ok && there.dir {
		return fail(errors.New("renaming directories is not supported here"))
	}
	f.record(op{kind: opRename, path: from, to: to, id: id})
	return nil
}

// Remove implements durable.Files.
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call(); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	p := clean(name)
	id, n, ok := f.lookup(p)
	if !ok {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if n.dir && len(f.children(p)) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: errors.New("directory not empty")}
	}
	f.record(op{kind: opRemove, path: p, id: id})
	return nil
}

// Lstat implements durable.Files.
func (f *FS) Lstat(name string) (fs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call(); err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	p := clean(name)
	_, n, ok := f.lookup(p)
	if !ok {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}
	}
	return infoOf(p, n), nil
}

// Mkdir implements durable.Dirs.
func (f *FS) Mkdir(name string, perm fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	fail := func(err error) error { return &fs.PathError{Op: "mkdir", Path: name, Err: err} }
	if err := f.call(); err != nil {
		return fail(err)
	}
	p := clean(name)
	if _, _, ok := f.lookup(p); ok {
		return fail(fs.ErrExist)
	}
	if !f.parentExists(p) {
		return fail(fs.ErrNotExist)
	}
	f.record(op{kind: opMkdir, path: p, id: f.nextID, perm: perm})
	f.nextID++
	return nil
}

func (f *FS) children(p string) []string {
	var out []string
	for q := range f.now.names {
		if filepath.Dir(q) == p && q != p {
			out = append(out, q)
		}
	}
	slices.Sort(out)
	return out
}

// ReadDir implements durable.Dirs.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fail := func(err error) error { return &fs.PathError{Op: "readdir", Path: name, Err: err} }
	if err := f.call(); err != nil {
		return nil, fail(err)
	}
	p := clean(name)
	if _, n, ok := f.lookup(p); !ok || !n.dir {
		return nil, fail(fs.ErrNotExist)
	}
	var out []fs.DirEntry
	for _, q := range f.children(p) {
		out = append(out, fs.FileInfoToDirEntry(infoOf(q, f.now.nodes[f.now.names[q]])))
	}
	return out, nil
}

// SyncDir implements durable.Dirs.
func (f *FS) SyncDir(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := clean(name)
	if err := f.call(); err != nil {
		f.record(op{kind: opSyncDirFailed, path: p})
		return &fs.PathError{Op: "syncdir", Path: name, Err: err}
	}
	if _, n, ok := f.lookup(p); !ok || !n.dir {
		return &fs.PathError{Op: "syncdir", Path: name, Err: fs.ErrNotExist}
	}
	f.record(op{kind: opSyncDir, path: p})
	return nil
}

// info implements fs.FileInfo.
type info struct {
	name string
	size int64
	mode fs.FileMode
}

func infoOf(p string, n *node) info {
	i := info{name: filepath.Base(p), size: int64(len(n.data)), mode: n.perm}
	if n.dir {
		i.mode |= fs.ModeDir
	}
	return i
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }

// Dump lists names and sizes, for the message of a failed test.
func (f *FS) Dump() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for p := range f.now.names {
		names = append(names, p)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, p := range names {
		n := f.now.nodes[f.now.names[p]]
		fmt.Fprintf(&b, "%v %8d %s\n", infoOf(p, n).mode, len(n.data), p)
	}
	return b.String()
}

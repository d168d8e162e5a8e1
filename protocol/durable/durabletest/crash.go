package durabletest

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
)

type opKind int

const (
	opCreate opKind = iota
	opMkdir
	opWrite
	opTruncate
	opRename
	opRemove
	opSync
	opSyncFailed
	opSyncDir
	opSyncDirFailed
)

// op is one recorded operation.
type op struct {
	kind     opKind
	path, to string
	id       int
	perm     fs.FileMode
	off      int64
	size     int64
	data     []byte
}

func (o op) String() string {
	switch o.kind {
	case opCreate:
		return "create " + o.path
	case opMkdir:
		return "mkdir " + o.path
	case opWrite:
		return fmt.Sprintf("write %s [%d,%d)", o.path, o.off, o.off+int64(len(o.data)))
	case opTruncate:
		return fmt.Sprintf("resize %s to %d", o.path, o.size)
	case opRename:
		return fmt.Sprintf("rename %s to %s", o.path, o.to)
	case opRemove:
		return "remove " + o.path
	case opSync:
		return "sync " + o.path
	case opSyncFailed:
		return "sync " + o.path + " (failed)"
	case opSyncDir:
		return "syncdir " + o.path
	default:
		return "syncdir " + o.path + " (failed)"
	}
}

// apply carries o out on t. It copes with states in which earlier operations
// are missing.
func (o op) apply(t tree) {
	switch o.kind {
	case opCreate, opMkdir:
		t.names[o.path] = o.id
		if t.nodes[o.id] == nil {
			t.nodes[o.id] = &node{}
		}
		t.nodes[o.id].dir, t.nodes[o.id].perm = o.kind == opMkdir, o.perm
	case opWrite:
		n := t.content(o.id)
		if end := o.off + int64(len(o.data)); end > int64(len(n.data)) {
			n.resize(end)
		}
		copy(n.data[o.off:], o.data)
	case opTruncate:
		t.content(o.id).resize(o.size)
	case opRename:
		t.names[o.to] = o.id
		t.content(o.id)
		if t.names[o.path] == o.id {
			delete(t.names, o.path)
		}
	case opRemove:
		if t.names[o.path] == o.id {
			delete(t.names, o.path)
		}
	}
}

func (t tree) content(id int) *node {
	if t.nodes[id] == nil {
		t.nodes[id] = &node{perm: 0o600}
	}
	return t.nodes[id]
}

func (n *node) resize(size int64) {
	if size <= int64(len(n.data)) {
		n.data = n.data[:size:size]
		return
	}
	n.data = append(n.data, make([]byte, size-int64(len(n.data)))...)
}

// touches tells whether o changes names in dir.
func (o op) touches(dir string) bool {
	switch o.kind {
	case opCreate, opMkdir, opRemove:
		return filepath.Dir(o.path) == dir
	case opRename:
		return filepath.Dir(o.path) == dir || filepath.Dir(o.to) == dir
	}
	return false
}

func (o op) isData() bool { return o.kind == opWrite || o.kind == opTruncate }

func (o op) isName() bool {
	return o.kind == opCreate || o.kind == opMkdir || o.kind == opRename || o.kind == opRemove
}

// Crash is one state a power failure could have left.
type Crash struct {
	Prefix int // operations that had been issued
	FS     *FS // a fresh file system with that state
	Label  string
}

// CrashOptions chooses the states.
type CrashOptions struct {
	From      int    // first prefix
	PerPrefix int    // at most so many states for each prefix; default 32
	Seed      uint64 // of the sampling; the same seed gives the same states
}

// Crashes calls check with the states a power failure can leave at every
// prefix of the recorded operations. With few operations not synced, every
// subset of them is tried; with many, all, none and a sample. Half of the
// samples also tear writes by sectors. An error of check ends it and is
// returned with the label of its state.
func (f *FS) Crashes(o CrashOptions, check func(Crash) error) error {
	f.mu.Lock()
	ops, start, nextID := f.ops[:len(f.ops):len(f.ops)], f.start.clone(), f.nextID
	f.mu.Unlock()
	if o.PerPrefix == 0 {
		o.PerPrefix = 32
	}
	for prefix := o.From; prefix <= len(ops); prefix++ {
		rng := rand.New(rand.NewPCG(o.Seed, uint64(prefix)))
		open := unsynced(ops[:prefix])
		var volatile []int
		for i, v := range open {
			if v {
				volatile = append(volatile, i)
			}
		}
		all := 1 << min(len(volatile), 20)
		for n := range min(all+o.PerPrefix/4, o.PerPrefix) {
			// The bits of pick say which volatile operations reached the disk.
			pick := func(k int) bool { return n>>k&1 == 1 }
			tear := n >= all
			if all > o.PerPrefix || tear {
				tear = tear || n%2 == 1 && n > 1
				bits := make([]bool, len(volatile))
				for k := range bits {
					bits[k] = n == 1 || n > 1 && rng.IntN(2) == 1
				}
				pick = func(k int) bool { return bits[k] }
			}
			t := build(start.clone(), ops[:prefix], open, volatile, pick, tear, rng)
			c := Crash{Prefix: prefix, FS: from(t, nextID)}
			c.Label = fmt.Sprintf("crash after %d operations, state %d, seed %d", prefix, n, o.Seed)
			if err := check(c); err != nil {
				return fmt.Errorf("%s (%d of them not synced): %w", c.Label, len(volatile), err)
			}
		}
	}
	return nil
}

// unsynced marks the operations that no successful sync has made durable.
func unsynced(ops []op) []bool {
	out := make([]bool, len(ops))
	dead := make([]bool, len(ops)) // a sync failed on them: none brings them back
	for i, s := range ops {
		out[i] = s.isData() || s.isName()
		for j := range i {
			if !out[j] || dead[j] {
				continue
			}
			covers := ops[j].isData() && ops[j].id == s.id && (s.kind == opSync || s.kind == opSyncFailed) ||
				(s.kind == opSyncDir || s.kind == opSyncDirFailed) && ops[j].touches(s.path)
			switch {
			case covers && (s.kind == opSync || s.kind == opSyncDir):
				out[j] = false
			case covers:
				dead[j] = true
			}
		}
	}
	return out
}

const sector = 512

func build(t tree, ops []op, open []bool, volatile []int, pick func(int) bool, tear bool, rng *rand.Rand) tree {
	k := 0
	for i, o := range ops {
		if !open[i] {
			o.apply(t)
			continue
		}
		keep := pick(k)
		k++
		switch {
		case tear && o.kind == opWrite && rng.IntN(2) == 0:
			for at := int64(0); at < int64(len(o.data)); {
				end := min(int64(len(o.data)), (o.off+at)/sector*sector+sector-o.off)
				if rng.IntN(2) == 0 {
					piece := o
					piece.off, piece.data = o.off+at, o.data[at:end]
					piece.apply(t)
				}
				at = end
			}
		case keep:
			o.apply(t)
		}
	}
	prune(t)
	return t
}

// prune drops names whose directory did not survive, and the files no name
// leads to.
func prune(t tree) {
	for again := true; again; {
		again = false
		for p := range t.names {
			d := filepath.Dir(p)
			if id, ok := t.names[d]; !isRoot(d) && d != "." && (!ok || !t.nodes[id].dir) {
				delete(t.names, p)
				again = true
			}
		}
	}
	live := map[int]bool{}
	for _, id := range t.names {
		live[id] = true
	}
	for id := range t.nodes {
		if !live[id] {
			delete(t.nodes, id)
		}
	}
}

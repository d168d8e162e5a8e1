package durabletest

import (
	"io"
	"io/fs"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/durable"
)

// file is an open file; it stays usable after its name is gone.
type file struct {
	fs    *FS
	id    int
	name  string
	node  *node
	write bool
}

var _ durable.File = (*file)(nil)

func (h *file) begin(op string) (end func(), err error) {
	h.fs.mu.Lock()
	if err := h.fs.call(); err != nil {
		return h.fs.mu.Unlock, &fs.PathError{Op: op, Path: h.name, Err: err}
	}
	return h.fs.mu.Unlock, nil
}

// ReadAt implements io.ReaderAt.
func (h *file) ReadAt(p []byte, off int64) (int, error) {
	end, err := h.begin("read")
	defer end()
	if err != nil {
		return 0, err
	}
	if off >= int64(len(h.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements io.WriterAt. One that fails has written its first half.
func (h *file) WriteAt(p []byte, off int64) (int, error) {
	end, err := h.begin("write")
	defer end()
	if !h.write {
		return 0, &fs.PathError{Op: "write", Path: h.name, Err: fs.ErrPermission}
	}
	n := len(p)
	if err != nil {
		n /= 2
	}
	if n > 0 {
		h.change(op{kind: opWrite, path: h.name, id: h.id, off: off, data: slices.Clone(p[:n])})
	}
	return n, err
}

// change records an operation on the content, also of a file without a name.
func (h *file) change(o op) {
	if _, named := h.fs.now.nodes[h.id]; !named {
		h.fs.now.nodes[h.id] = h.node
	}
	h.fs.record(o)
}

// Truncate implements durable.Space.
func (h *file) Truncate(size int64) error {
	end, err := h.begin("truncate")
	defer end()
	if err != nil {
		return err
	}
	h.change(op{kind: opTruncate, path: h.name, id: h.id, size: size})
	return nil
}

// Preallocate implements durable.Space.
func (h *file) Preallocate(size int64) error {
	end, err := h.begin("preallocate")
	defer end()
	if err != nil {
		return err
	}
	if size > int64(len(h.node.data)) {
		h.change(op{kind: opTruncate, path: h.name, id: h.id, size: size})
	}
	return nil
}

// Size implements durable.Space.
func (h *file) Size() (int64, error) {
	end, err := h.begin("stat")
	defer end()
	return int64(len(h.node.data)), err
}

// Sync implements durable.File.
func (h *file) Sync() error {
	end, err := h.begin("sync")
	defer end()
	if err != nil {
		h.change(op{kind: opSyncFailed, path: h.name, id: h.id})
		return err
	}
	h.change(op{kind: opSync, path: h.name, id: h.id})
	return nil
}

// Close implements io.Closer.
func (h *file) Close() error {
	end, err := h.begin("close")
	defer end()
	return err
}

package history

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// Sealer seals files so that each opens only under its own name.
type Sealer interface {
	// Head is how many bytes sealing takes before the content; constant.
	Head() int
	// Seal seals b, Head bytes and the content, in place; the result may be longer.
	Seal(name string, b []byte) []byte
	// Open opens what Seal made for name, in place; an error for anything else.
	Open(name string, b []byte) ([]byte, error)
	// Sealed reports whether b begins as something sealed does.
	Sealed(b []byte) bool
}

// 1 GiB: a fold of a million users with a full set of ids is a tenth of it.
const maxFile = 1 << 30

// begin is a writer for the content of a file of the store, which begins with magic.
func (s *Store) begin(magic string) *wire.Writer {
	return &wire.Writer{B: append(make([]byte, s.head()), magic...)}
}

func (s *Store) head() int {
	if s.cfg.Seal == nil {
		return 0
	}
	return s.cfg.Seal.Head()
}

// put writes what w holds, which begin made, as the file of that name: with its checksum, which it
// returns, and sealed. All files of the store are written here. w is used up.
func (s *Store) put(name string, w *wire.Writer) (sum uint32, err error) {
	sum = crc32.Checksum(w.B[s.head():], crc32.MakeTable(crc32.Castagnoli))
	b := append(w.B, byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
	if s.cfg.Seal != nil {
		b = s.cfg.Seal.Seal(name, b)
	}
	return sum, durable.WriteFile(s.cfg.FS, s.path(name), b, 0o600)
}

// content is what comes after the magic of a file.
type content struct {
	*wire.Reader
	sum     uint32
	version byte // as written; no newer than this program's
}

// get reads the file of that name and checks it. All files of the store are read here.
func (s *Store) get(name, magic string) (c content, err error) {
	b, err := durable.ReadFile(s.cfg.FS, s.path(name), maxFile)
	if err != nil {
		return c, err
	}
	switch {
	case s.cfg.Seal == nil || s.cfg.Open && !s.cfg.Seal.Sealed(b):
	default:
		if b, err = s.cfg.Seal.Open(name, b); err != nil {
			return c, fmt.Errorf("reading %s: %w", name, errors.Join(errDamaged, err))
		}
	}
	if len(b) < len(magic)+4 {
		return c, fmt.Errorf("reading %s: %w", name, errDamaged)
	}
	body, tail := b[:len(b)-4], b[len(b)-4:]
	c.sum = uint32(tail[0]) | uint32(tail[1])<<8 | uint32(tail[2])<<16 | uint32(tail[3])<<24
	switch {
	case crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != c.sum:
		return c, fmt.Errorf("reading %s: %w", name, errDamaged)
	case !strings.HasPrefix(string(body), magic[:len(magic)-1]):
		return c, fmt.Errorf("reading %s: %w", name, errDamaged)
	}
	if c.version = body[len(magic)-1]; c.version > magic[len(magic)-1] {
		return c, fmt.Errorf("reading %s: %w", name, ErrNewer)
	}
	c.Reader = wire.NewReader(body[len(magic):])
	return c, nil
}

// isSealed reports whether the file of that name is sealed; one that is gone is.
func (s *Store) isSealed(name string) (bool, error) {
	f, err := durable.ReadFile(s.cfg.FS, s.path(name), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return s.cfg.Seal.Sealed(f), err
}

// sealed writes the files that are not sealed yet again, under new numbers, and those that were set aside in
// place. There is nothing to do once Config.Open is not given any more.
func (s *Store) sealed(files []file, next uint64) ([]file, uint64, error) {
	if s.cfg.Seal == nil || !s.cfg.Open {
		return files, next, nil
	}
	for i, f := range files {
		if ok, err := s.isSealed(name(f.no)); err != nil || ok {
			if err != nil {
				return nil, 0, err
			}
			continue
		}
		packs, err := s.read(f, nil)
		if err != nil {
			return nil, 0, err
		}
		if files[i], err = s.write(next, f.level, packs); err != nil {
			return nil, 0, err
		}
		next++
	}
	return files, next, s.sealDamaged()
}

// sealDamaged seals what was set aside: nobody can read it, but it may hold names all the same.
func (s *Store) sealDamaged() error {
	if s.cfg.Seal == nil {
		return nil
	}
	return s.eachDamaged(func(name string) error {
		b, err := durable.ReadFile(s.cfg.FS, s.path(name), maxFile)
		if err != nil || s.cfg.Seal.Sealed(b) {
			return err
		}
		b = s.cfg.Seal.Seal(name, append(make([]byte, s.head()), b...))
		return durable.WriteFile(s.cfg.FS, s.path(name), b, 0o600)
	})
}

// DropDamaged removes the files that were set aside: they may hold a name that was to be forgotten.
func (s *Store) DropDamaged() error {
	return s.eachDamaged(func(name string) error { return durable.Remove(s.cfg.FS, s.path(name)) })
}

func (s *Store) eachDamaged(fn func(name string) error) error {
	for _, dir := range []string{"", "closed", "state"} {
		entries, err := s.cfg.FS.ReadDir(filepath.Join(s.dir, dir))
		if err != nil {
			return fmt.Errorf("listing what was set aside: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() || !strings.HasSuffix(e.Name(), damagedSuffix) {
				continue
			}
			name := e.Name()
			if dir != "" {
				name = dir + "/" + name
			}
			if err := fn(name); err != nil {
				return err
			}
		}
	}
	return nil
}

package history

import (
	"bytes"
	"cmp"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// A section lies in its file as twice its size, one more where it is compressed, and then a Deflate stream
// (RFC 1951), or its bytes where that would not be shorter, or where the section is dense already. The fastest setting is
// hardly worse than a slower one, and a checkpoint is written every minute. Of closed windows each pack is such a section;
// when files are merged, which happens to a window once a day at most, a slower setting takes more off.

// squeezer shortens sections.
type squeezer struct {
	level int // flate.BestSpeed, or slower for what is written once; 0: BestSpeed
	to    *flate.Writer
	b     bytes.Buffer
}

// least is the size below which nothing is gained.
const least = 64

// add appends a section of these bytes to w; dense ones as they are.
func (s *squeezer) add(w *wire.Writer, section []byte, dense bool) error {
	if len(section) >= least && !dense {
		s.b.Reset()
		if s.to == nil {
			to, err := flate.NewWriter(&s.b, cmp.Or(s.level, flate.BestSpeed))
			if err != nil {
				return fmt.Errorf("compressing a section: %w", err)
			}
			s.to = to
		} else {
			s.to.Reset(&s.b)
		}
		_, err := s.to.Write(section)
		if err = errors.Join(err, s.to.Close()); err != nil {
			return fmt.Errorf("compressing a section: %w", err)
		}
		if s.b.Len() < len(section) {
			w.Uint(uint64(len(section))<<1 | 1)
			w.Raw(s.b.Bytes())
			return nil
		}
	}
	w.Uint(uint64(len(section)) << 1)
	w.Raw(section)
	return nil
}

// stretcher undoes what a squeezer did. It can be used by several at once.
type stretcher struct{ pool sync.Pool }

// next is the bytes of the section that b begins with, the caller's own, and what follows it; nil when b
// begins with none.
func (s *stretcher) next(b []byte) (section, rest []byte) {
	r := wire.NewReader(b)
	head := r.Uint()
	size := head >> 1
	if r.Err() != nil || size > maxFile || size/2048 > uint64(r.Left()) { // Deflate shortens to a thousandth at most
		return nil, nil
	}
	if head&1 == 0 {
		section = bytes.Clone(r.Take(int(size)))
		return section, r.Rest()
	}
	in := bytes.NewReader(r.Rest())
	from, _ := s.pool.Get().(io.ReadCloser)
	if from == nil {
		from = flate.NewReader(in)
	} else if err := from.(flate.Resetter).Reset(in, nil); err != nil {
		return nil, nil
	}
	defer s.put(from)
	section = make([]byte, size)
	if _, err := io.ReadFull(from, section); err != nil {
		return nil, nil
	}
	if n, err := from.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return nil, nil
	}
	return section, b[len(b)-in.Len():] // a flate reader takes no more of a bytes.Reader than its stream
}

// put keeps a reader for the next section, without the file it read.
func (s *stretcher) put(from io.ReadCloser) {
	if r, ok := from.(flate.Resetter); ok && r.Reset(bytes.NewReader(nil), nil) == nil {
		s.pool.Put(from)
	}
}

// Spread is a file of the store, opened, with nothing compressed in it: for those who look whether a name stands
// there.
func Spread(file []byte) []byte {
	var long stretcher
	switch {
	case len(file) < len(magicState)+4:
	case bytes.HasPrefix(file, []byte(magicState)):
		out := bytes.Clone(file[:len(magicState)])
		for b := file[len(magicState):]; len(b) > 4; { // the checksum comes last
			section, rest := long.next(b)
			if section == nil && len(rest) == 0 {
				return file
			}
			out, b = append(out, section...), rest
		}
		return out
	case bytes.HasPrefix(file, []byte(magicClosed)):
		out := bytes.Clone(file[:len(magicClosed)])
		r := wire.NewReader(file[len(magicClosed) : len(file)-4])
		for n := r.Count(); n > 0; n-- {
			measure, _, section := pressed(r)
			body, _ := long.next(section)
			if r.Err() != nil || body == nil {
				return file
			}
			out = append(append(out, measure...), body...)
		}
		return out
	}
	return file
}

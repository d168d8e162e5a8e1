package measure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/pack"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// magic begins a checkpoint; its last byte is the version.
const magic = "fpfold\x00\x03"

// ErrCheckpoint is wrapped by every error of Load.
var ErrCheckpoint = errors.New("checkpoint cannot be used")

// Save writes the state, closed windows included; the same state gives the same bytes.
func (f *Fold) Save(out io.Writer) error {
	w := &wire.Writer{B: []byte(magic)}
	sections, err := f.Sections()
	if err != nil {
		return err
	}
	packs := f.Closed()
	sections = append(sections, wire.Section{Key: "closed", Write: func(w *wire.Writer) {
		w.Uint(uint64(len(packs)))
		for _, p := range packs {
			p.Save(w)
		}
	}})
	w.Uint(uint64(len(sections)))
	for _, s := range sections {
		var part wire.Writer
		s.Write(&part)
		w.String(s.Key)
		w.Bytes(part.B)
	}
	sum := crc32.Checksum(w.B, crc32.MakeTable(crc32.Castagnoli))
	w.Raw([]byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24)})
	if _, err := out.Write(w.B); err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	return nil
}

// Sections are the parts of the state that can be saved one by one, without closed windows: most do
// not change from one minute to the next. LoadSections takes them all.
func (f *Fold) Sections() (out []wire.Section, err error) {
	consent, err := json.Marshal(f.consent) // null when there is none
	if err != nil {
		return nil, fmt.Errorf("writing the statement in force: %w", err)
	}
	out = append(out, wire.Section{Key: "fold", Write: func(w *wire.Writer) { f.save(w, consent) }})
	out = append(out, f.w.People.Sections()...)
	out = append(out, f.seen.Sections()...)
	for _, r := range f.runs {
		out = append(out, r.Sections()...)
	}
	return out, nil
}

func (f *Fold) save(w *wire.Writer, consent []byte) {
	f.w.Cal.Save(w)
	f.acc.Save(w)
	w.Uint(f.position)
	w.Int(f.now)
	w.Int(f.latest)
	w.Int(f.w.Started)
	w.Int(f.w.Began)
	w.Bool(f.adopted != nil)
	if f.adopted != nil {
		p := prefixOf(f.adopted)
		w.Raw(p[:])
	}
	w.Bytes(consent)
	w.Uint(uint64(f.nextRun))
	w.Uint(uint64(len(f.runs)))
	for _, r := range f.runs {
		w.Uint(uint64(r.ID))
	}
	sorted := slices.Clone(f.due)
	slices.SortFunc(sorted, compareDue)
	w.Uint(uint64(len(sorted)))
	for _, d := range sorted {
		w.Int(d.at)
		w.Uint(uint64(d.mi))
		w.Uint(uint64(d.run))
		w.Uint(uint64(d.grain))
		w.Int(d.start)
	}
	series.SaveStreams(w, f.streams)
	w.Uint(uint64(len(f.ended)))
	for i := range f.ended {
		e := &f.ended[i]
		w.Uint(uint64(e.run))
		w.String(e.measure)
		w.Raw(e.catalog[:])
		run.SaveSpans(w, &e.spans)
	}
}

func compareDue(a, b due) int {
	switch {
	case dueHeap{a, b}.Less(0, 1):
		return -1
	case dueHeap{a, b}.Less(1, 0):
		return 1
	}
	return 0
}

// Load replaces the state by a saved one. The catalogs it names must be found by
// Config.Catalog. On an error the fold is as it was.
func (f *Fold) Load(in io.Reader) error {
	b, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading a checkpoint: %w", err)
	}
	if len(b) < len(magic)+4 || !strings.HasPrefix(string(b), magic[:len(magic)-1]) {
		return fmt.Errorf("%w: it is none", ErrCheckpoint)
	}
	if b[len(magic)-1] != magic[len(magic)-1] {
		return fmt.Errorf("%w: it has version %d, this program reads %d", ErrCheckpoint, b[len(magic)-1], magic[len(magic)-1])
	}
	body, tail := b[:len(b)-4], b[len(b)-4:]
	sum := uint32(tail[0]) | uint32(tail[1])<<8 | uint32(tail[2])<<16 | uint32(tail[3])<<24
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != sum {
		return fmt.Errorf("%w: its bytes are damaged", ErrCheckpoint)
	}
	r := wire.NewReader(body[len(magic):])
	sections := map[string][]byte{}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		key := r.String()
		sections[key] = r.Take(r.Count())
	}
	if r.End() != nil {
		return fmt.Errorf("%w: %w", ErrCheckpoint, r.Err())
	}
	return f.load(func(key string) []byte { return bytes.Clone(sections[key]) })
}

// LoadSections is Load from the parts; get gives one by its key, nil when it is not there. What it gives is
// the fold's; it is called by several at once.
func (f *Fold) LoadSections(get func(key string) []byte) error { return f.load(get) }

func (f *Fold) load(get func(key string) []byte) error {
	n := New(f.cfg)
	if err := n.parts(func(key string) *wire.Reader { return wire.NewReader(get(key)) }); err != nil {
		return fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	*f = *n
	f.loaded = true
	return nil
}

func (f *Fold) parts(get func(key string) *wire.Reader) (err error) {
	if f.w.People, err = people.Load(get); err != nil {
		return err
	}
	if err := f.seen.Load(get); err != nil {
		return err
	}
	r := get("fold")
	f.loadFold(r, get)
	if err := r.End(); err != nil {
		return err
	}
	if r = get("closed"); r.Left() > 0 { // history keeps them elsewhere
		for n := r.Count(); n > 0 && r.Err() == nil; n-- {
			p := pack.Load(r)
			f.closed[packKey{p.Measure, p.Grain}] = p
		}
	}
	return r.End()
}

func (f *Fold) loadFold(r *wire.Reader, get func(key string) *wire.Reader) {
	f.w.Cal = calendar.Load(r)
	f.acc.Load(r)
	f.position = r.Uint()
	f.now = r.Int()
	f.w.Now = f.now
	f.latest = r.Int()
	f.w.Started = r.Int()
	f.w.Began = r.Int()
	if r.Bool() {
		var p [8]byte
		r.Raw(p[:])
		if f.adopted = f.catalog(p); f.adopted == nil && r.Err() == nil {
			r.Fail(fmt.Sprintf("catalog %x is not there", p))
		}
	}
	if err := json.Unmarshal(r.Bytes(), &f.consent); err != nil && r.Err() == nil {
		r.Fail("the statement in force")
	}
	f.nextRun = uint32(r.Uint())
	var ins []*wire.Reader
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		in := get(fmt.Sprintf("run/%d", r.Uint()))
		x := run.Load(&f.w, in, f.catalog)
		if err := in.Err(); err != nil {
			r.Fail(err.Error())
			return
		}
		f.runs, ins = append(f.runs, x), append(ins, in)
	}
	f.loadStates(ins, get)
	for _, in := range ins {
		if err := in.End(); err != nil {
			r.Fail(err.Error())
			return
		}
	}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		f.due = append(f.due, due{at: r.Int(), mi: r.Below(1 << 16), run: uint32(r.Uint()), grain: report.Grain(r.Below(run.Grains)), start: r.Int()})
	}
	f.streams = series.LoadStreams(r)
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		e := rangeOf{run: uint32(r.Uint()), measure: r.String()}
		r.Raw(e.catalog[:])
		e.spans = run.LoadSpans(r)
		f.ended = append(f.ended, e)
	}
	f.needPeople = slices.ContainsFunc(f.runs, reads)
}

// loadStates reads what the runs hold, as many at once as there are processors: a start waits for it.
func (f *Fold) loadStates(ins []*wire.Reader, get func(key string) *wire.Reader) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(ins)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(ins); i = next.Add(1) - 1 {
				f.runs[i].LoadState(ins[i], f.w.People.Len(), get)
			}
		})
	}
	wg.Wait()
}

// reads reports whether a run looks at people.
func reads(r *run.Run) bool {
	return r.People != nil || r.HasUserFact() || r.M.Kind == catalog.FirstTime
}

package measure

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
	"github.com/fieldpost/fieldpost/agent/measure/pack"
	"github.com/fieldpost/fieldpost/agent/measure/people"
	"github.com/fieldpost/fieldpost/agent/measure/run"
	"github.com/fieldpost/fieldpost/agent/measure/series"
	"github.com/fieldpost/fieldpost/agent/measure/wire"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// magic begins a checkpoint; its last byte is the version.
const magic = "fpfold\x00\x01"

// ErrCheckpoint is wrapped by every error of Load.
var ErrCheckpoint = errors.New("checkpoint cannot be used")

// Save writes the state, closed windows included; the same state gives the same bytes.
func (f *Fold) Save(out io.Writer) error { return f.save(out, f.Closed()) }

// SaveOpen is Save without the closed windows the fold holds, for whoever keeps those elsewhere.
func (f *Fold) SaveOpen(out io.Writer) error { return f.save(out, nil) }

func (f *Fold) save(out io.Writer, packs []*Pack) error {
	w := &wire.Writer{B: []byte(magic)}
	f.w.Cal.Save(w)
	f.w.People.Save(w)
	f.seen.Save(w)
	f.saveAccounting(w)
	w.Uint(f.position)
	w.Int(f.now)
	w.Int(f.w.Started)
	w.Bool(f.adopted != nil)
	if f.adopted != nil {
		p := prefixOf(f.adopted)
		w.Raw(p[:])
	}
	consent, err := json.Marshal(f.consent) // null when there is none
	if err != nil {
		return fmt.Errorf("writing the statement in force: %w", err)
	}
	w.Bytes(consent)
	w.Uint(uint64(f.nextRun))
	w.Uint(uint64(len(f.runs)))
	for _, r := range f.runs {
		r.Save(w)
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
	f.saveStreams(w)
	w.Uint(uint64(len(f.ended)))
	for i := range f.ended {
		e := &f.ended[i]
		w.Uint(uint64(e.run))
		w.String(e.measure)
		w.Raw(e.catalog[:])
		run.SaveSpans(w, &e.spans)
	}
	w.Uint(uint64(len(packs)))
	for _, p := range packs {
		p.Save(w)
	}
	sum := crc32.Checksum(w.B, crc32.MakeTable(crc32.Castagnoli))
	w.Raw([]byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24)})
	if _, err := out.Write(w.B); err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	return nil
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
	n := New(f.cfg)
	r := wire.NewReader(body[len(magic):])
	n.load(r)
	if r.Err() == nil && r.Left() > 0 {
		r.Fail("bytes at the end")
	}
	if r.Err() != nil {
		return fmt.Errorf("%w: %w", ErrCheckpoint, r.Err())
	}
	*f = *n
	f.loaded = true
	return nil
}

func (f *Fold) load(r *wire.Reader) {
	f.w.Cal = calendar.Load(r)
	f.w.People = people.Load(r)
	f.seen.Load(r)
	f.loadAccounting(r)
	f.position = r.Uint()
	f.now = r.Int()
	f.w.Now = f.now
	f.w.Started = r.Int()
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
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		if x := run.Load(&f.w, r, f.catalog); x != nil {
			f.runs = append(f.runs, x)
		}
	}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		f.due = append(f.due, due{at: r.Int(), mi: r.Below(1 << 16), run: uint32(r.Uint()), grain: report.Grain(r.Below(run.Grains)), start: r.Int()})
	}
	f.loadStreams(r)
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		e := rangeOf{run: uint32(r.Uint()), measure: r.String()}
		r.Raw(e.catalog[:])
		e.spans = run.LoadSpans(r)
		f.ended = append(f.ended, e)
	}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		p := pack.Load(r)
		f.closed[packKey{p.Measure, p.Grain}] = p
	}
	f.needPeople = slices.ContainsFunc(f.runs, func(r *run.Run) bool { return r.People != nil || r.HasUserFact() })
}

func (f *Fold) saveAccounting(w *wire.Writer) {
	for _, c := range []*record.Counts{&f.acc.Events, &f.acc.Samples} {
		for _, n := range c {
			w.Uint(n)
		}
	}
	for _, n := range []uint64{f.acc.Skewed, f.acc.ClockBack, f.acc.AliasRefused, f.acc.AliasIgnored, f.acc.StreamsRefused} {
		w.Uint(n)
	}
	w.Int(f.acc.Since)
	w.Uint(uint64(len(f.acc.LateFor)))
	for _, id := range slices.Sorted(maps.Keys(f.acc.LateFor)) {
		w.String(id)
		w.Uint(f.acc.LateFor[id])
	}
}

func (f *Fold) loadAccounting(r *wire.Reader) {
	for _, c := range []*record.Counts{&f.acc.Events, &f.acc.Samples} {
		for i := range c {
			c[i] = r.Uint()
		}
	}
	for _, n := range []*uint64{&f.acc.Skewed, &f.acc.ClockBack, &f.acc.AliasRefused, &f.acc.AliasIgnored, &f.acc.StreamsRefused} {
		*n = r.Uint()
	}
	f.acc.Since = r.Int()
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		id := r.String()
		f.acc.LateFor[id] = r.Uint()
	}
}

func (f *Fold) saveStreams(w *wire.Writer) {
	keys := slices.SortedFunc(maps.Keys(f.streams), func(a, b streamKey) int {
		if c := strings.Compare(a.metric, b.metric); c != 0 {
			return c
		}
		return strings.Compare(string(a.id[:]), string(b.id[:]))
	})
	w.Uint(uint64(len(keys)))
	for _, k := range keys {
		w.String(k.metric)
		w.Raw(k.id[:])
		f.streams[k].Save(w)
	}
}

func (f *Fold) loadStreams(r *wire.Reader) {
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		k := streamKey{metric: r.String()}
		r.Raw(k.id[:])
		f.streams[k] = series.LoadStream(r)
	}
}

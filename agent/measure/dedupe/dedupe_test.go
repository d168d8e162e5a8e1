package dedupe

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

func id(n uint64) (b [16]byte) {
	binary.LittleEndian.PutUint64(b[:], n*0x9e3779b97f4a7c15) // spread, as a hash would
	binary.LittleEndian.PutUint32(b[8:], uint32(n))
	return b
}

// The set answers as a plain list does, with its limit, its age and after being saved and loaded.
func TestAgainstAPlainList(t *testing.T) {
	type seen struct {
		id uint64
		at int64
	}
	rng := rand.New(rand.NewPCG(1, 2))
	s := &Set{limit: 300}
	var list []seen
	now := int64(0)
	for step := range 60_000 {
		now += rng.Int64N(Keep / 200)
		if step%9000 == 8999 {
			now += 2 * Keep // everything is too old
		}
		n := rng.Uint64N(900)
		want := false
		for i, x := range list {
			if now-x.at > Keep {
				continue
			}
			if len(list)-i <= 300 && x.id == n {
				want = true
			}
		}
		if got := s.Seen(id(n), now); got != want {
			t.Fatalf("step %d: id %d is seen: %v, want %v", step, n, got, want)
		}
		if !want {
			s.Add(id(n), now)
			list = append(list, seen{n, now})
			if len(list) > 2000 {
				list = list[1000:]
			}
		}
		if step%5000 == 0 {
			saved := map[string][]byte{}
			for _, sec := range s.Sections() {
				var w wire.Writer
				sec.Write(&w)
				saved[sec.Key] = w.B
			}
			again := &Set{limit: 300}
			if err := again.Load(func(key string) *wire.Reader { return wire.NewReader(saved[key]) }); err != nil || again.Len() != s.Len() {
				t.Fatal("loading", err)
			}
			s = again
		}
	}
}

func TestMemory(t *testing.T) {
	var before, full, empty runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := &Set{}
	for n := range uint64(1_200_000) {
		s.Add(id(n), int64(n))
	}
	runtime.GC()
	runtime.ReadMemStats(&full)
	if s.Len() != Limit {
		t.Errorf("%d ids", s.Len())
	}
	if mb := float64(full.HeapAlloc-before.HeapAlloc) / 1e6; mb > 30 {
		t.Errorf("%.1f MB when full", mb)
	} else {
		t.Logf("%.1f MB when full", mb)
	}
	s.Seen(id(0), 2*Keep)
	runtime.GC()
	runtime.ReadMemStats(&empty)
	if kb := (int64(empty.HeapAlloc) - int64(before.HeapAlloc)) / 1000; kb > 100 {
		t.Errorf("%d kB when empty", kb)
	}
	runtime.KeepAlive(s)
}

func BenchmarkAdd(b *testing.B) {
	s := &Set{}
	for n := uint64(0); b.Loop(); n++ {
		if !s.Seen(id(n), int64(n)) {
			s.Add(id(n), int64(n))
		}
	}
}

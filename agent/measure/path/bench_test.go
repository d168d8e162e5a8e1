package path

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure/calendar"
)

// BenchmarkFunnelAdd adds a match of one of 1,000 users, a second after the other, one in ten late.
func BenchmarkFunnelAdd(b *testing.B) {
	for _, correlate := range []bool{false, true} {
		name := "plain"
		if correlate {
			name = "correlate"
		}
		b.Run(name, func(b *testing.B) {
			f := newFunnel(Config{Steps: 4, Window: 7 * day, Each: true, Correlate: correlate, Before: true, Grace: 2 * day})
			r := rand.New(rand.NewPCG(1, 1))
			now := int64(0)
			for b.Loop() {
				now += int64(time.Second)
				x := Match{User: uint32(r.IntN(1000)), Time: now, Steps: 1 << r.IntN(4), Key: uint64(r.IntN(50))}
				if r.IntN(10) == 0 {
					x.Time -= r.Int64N(2 * day)
				}
				f.Add(x, now)
			}
		})
	}
}

// BenchmarkFlowAdd is the same for transitions.
func BenchmarkFlowAdd(b *testing.B) {
	f, cal := newFlow(Config{Steps: 4, Grace: 2 * day}), calendar.New(time.UTC)
	r := rand.New(rand.NewPCG(1, 1))
	now := int64(0)
	for b.Loop() {
		now += int64(time.Second)
		at := now
		if r.IntN(10) == 0 {
			at -= r.Int64N(2 * day)
		}
		f.Add(cal, uint32(r.IntN(1000)), at, r.IntN(4), now)
	}
}

// TestABusyUserStaysBounded: 10,000 matches a day for 60 days, with windows that close. What may stay is a
// grace of matches and what the ways use, twice.
func TestABusyUserStaysBounded(t *testing.T) {
	for _, correlate := range []bool{false, true} {
		cfg := Config{Steps: 3, Window: 7 * day, Each: true, Correlate: correlate, Grace: 2 * day, Keep: 1 << 14}
		s, cal := &State{Funnel: newFunnel(cfg)}, calendar.New(time.UTC)
		flow := &State{Flow: newFlow(Config{Steps: 3, Grace: 2 * day, Keep: 1 << 14})}
		r := rand.New(rand.NewPCG(1, 1))
		most, mostFlow := 0, 0
		for d := range int64(60) {
			for i := range int64(10_000) {
				now := d*day + i*day/10_000
				if !s.Funnel.Add(Match{Time: now, Steps: 1 << r.IntN(3), Key: uint64(r.IntN(50))}, now) || !flow.Flow.Add(cal, 0, now, r.IntN(3), now) {
					t.Fatal("refused")
				}
			}
			most, mostFlow = max(most, s.Funnel.total), max(mostFlow, flow.Flow.total)
			if block := d - 37; block >= 0 && block%28 == 0 {
				s.Prune(cal, block, (d+1)*day)
			}
		}
		if most > 2*(20_000+5*3*50) || mostFlow > 2*20_001 {
			t.Errorf("%d matches of the funnel were kept, %d of transitions", most, mostFlow)
		}
	}
}

// TestMemoryOfAUser: what users with few matches cost.
func TestMemoryOfAUser(t *testing.T) {
	const users, each = 20_000, 12
	before := heap()
	f := newFunnel(Config{Steps: 3, Window: 7 * day, Grace: 2 * day})
	for i := range int64(each) {
		for u := range uint32(users) {
			f.Add(Match{User: u, Time: i * hour, Steps: 2}, i*hour)
		}
	}
	per := float64(heap()-before) / users
	t.Logf("%.0f bytes for each user with %d matches", per, each)
	if per > 500 {
		t.Errorf("%.0f bytes for each user", per)
	}
	runtime.KeepAlive(f)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

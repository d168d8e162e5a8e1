package record

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func full() *Record {
	return &Record{
		Kind: Request, Received: 1_700_000_000_123_456_789, Catalog: [8]byte{1, 2, 3}, Data: []byte("x"),
		Events: []Event{
			{Type: Track, Def: 7, Time: 1_699_999_999_000_000_000, User: "u1", HasID: true, MessageID: [16]byte{9},
				Properties: []Value{{Property: 1, Index: 3}, {Property: 2, Number: Decimal{-12345, 2}}}},
			{Type: Alias, User: "new", Previous: "old", Time: 1},
			{Type: Identify, User: "u", CreatedAt: -5, Properties: []Value{{Index: 1}}},
		},
		Samples: []Sample{{Metric: 2, Attributes: []uint16{1, 0}, Stream: [8]byte{8}, Time: 5, Start: 3, Delta: true,
			Value: 1.5, Count: 3, Sum: 2.25, Buckets: []uint64{1, 0, 2}}},
		Results:       []Result{{Probe: 1, Time: 2, Interval: 30e9, Up: true, Maintenance: true, Duration: 12}},
		Facts:         []Value{{Property: 2, Index: 1}, {Property: 0, Number: Decimal{5, 0}}},
		RefusedEvents: Counts{1, 2, 3, 4, 5}, Skewed: 1, ClockBack: 2,
	}
}

func TestRoundTrip(t *testing.T) {
	want := full()
	var got Record
	if err := Decode(Append(nil, want), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, &got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

func TestTruncatedAtEveryLengthIsRefused(t *testing.T) {
	b := Append(nil, full())
	var r Record
	for n := range b {
		if Decode(b[:n], &r) == nil {
			t.Errorf("%d of %d bytes were accepted", n, len(b))
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Append(nil, full()))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Record
		if Decode(b, &r) != nil {
			return
		}
		var again Record
		if err := Decode(Append(nil, &r), &again); err != nil {
			t.Fatal(err)
		}
		if string(Append(nil, &again)) != string(Append(nil, &r)) {
			t.Fatal("decode and encode do not agree")
		}
	})
}

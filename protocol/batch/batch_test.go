package batch_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// What was frozen comes out, and frozen again it is the same bytes.
func TestRoundTrip(t *testing.T) {
	var e batch.Encoder
	var d batch.Decoder
	rapid.Check(t, func(t *rapid.T) {
		cells := genCells(t)
		given := slices.Clone(cells)
		rand.New(rand.NewPCG(uint64(len(cells)), 1)).Shuffle(len(given), func(i, j int) { given[i], given[j] = given[j], given[i] })
		wire, err := e.Freeze(header(), given, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Open(wire, pub)
		if err != nil {
			t.Fatal(err)
		}
		if len(cells) > 0 || len(got.Cells) > 0 {
			if diff := cmp.Diff(cells, got.Cells); diff != "" {
				t.Fatal(diff)
			}
		}
		if !bytes.Equal(wire, got.Wire) || got.Hash != batch.Hash(wire) {
			t.Fatal("wire and hash are not those of the batch")
		}
		again, err := batch.Freeze(got.Header, got.Cells, key)
		if err != nil || !bytes.Equal(again, wire) {
			t.Fatalf("frozen again it has other bytes: %v", err)
		}
		if h, err := batch.Peek(wire); err != nil || cmp.Diff(h, got.Header) != "" {
			t.Fatalf("peeked %+v, %v", h, err)
		}
	})
}

func genHeader(t *rapid.T) batch.Header {
	id := func(name string) (id [16]byte) {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name))
		id[3] |= 1
		return id
	}
	hash := func(name string) (h [32]byte) {
		copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))
		h[5] |= 1
		return h
	}
	h := batch.Header{
		Agent: id("agent"), Epoch: id("epoch"), Seq: rapid.Uint64Range(1, 1<<63-1).Draw(t, "seq"),
		Catalog: hash("catalog"), Consent: hash("consent"), Created: rapid.Int64Range(1, 7_000_000_000).Draw(t, "created"),
		Simulated: rapid.Bool().Draw(t, "simulated"),
		Zone:      rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+12"}).Draw(t, "zone"),
		Tzdata:    rapid.SampledFrom([]string{"", "2026a"}).Draw(t, "tzdata"),
	}
	if rapid.Bool().Draw(t, "first") {
		h.Seq = 1
		h.Open = &batch.Opening{Reason: batch.Reason(rapid.IntRange(1, 4).Draw(t, "reason"))}
		if h.Open.Reason != batch.ReasonNew {
			h.Open.PrevEpoch = id("previous epoch")
			h.Open.PrevEpoch[0] = h.Epoch[0] + 1
			if h.Open.LastSeq = rapid.Uint64Range(0, 1<<40).Draw(t, "last seq"); h.Open.LastSeq > 0 {
				h.Open.LastHash = hash("last hash")
			}
		}
	} else if h.Seq > 1 {
		h.Prev = hash("prev")
	} else {
		h.Open = &batch.Opening{Reason: batch.ReasonNew}
	}
	return h
}

func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := genHeader(t)
		wire, err := batch.Freeze(h, nil, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := batch.Open(wire, pub)
		if err != nil {
			t.Fatal(err)
		}
		h.Version, h.RawLen, h.RawCRC, h.Cells = batch.Version, 0, batch.CRC(nil), 0
		if diff := cmp.Diff(h, got.Header); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestHeaderContradictions(t *testing.T) {
	opening := func(o batch.Opening) func(*batch.Header) {
		return func(h *batch.Header) { h.Seq, h.Prev, h.Open = 1, [32]byte{}, &o }
	}
	for name, c := range map[string]struct {
		change func(*batch.Header)
		want   batch.Code
	}{
		"no agent":               {func(h *batch.Header) { h.Agent = batch.ID{} }, batch.ErrHeader},
		"no epoch":               {func(h *batch.Header) { h.Epoch = batch.ID{} }, batch.ErrHeader},
		"no catalog":             {func(h *batch.Header) { h.Catalog = [32]byte{} }, batch.ErrHeader},
		"no consent":             {func(h *batch.Header) { h.Consent = [32]byte{} }, batch.ErrHeader},
		"seq 0":                  {func(h *batch.Header) { h.Seq = 0 }, batch.ErrHeader},
		"seq 1 without opening":  {func(h *batch.Header) { h.Seq, h.Prev = 1, [32]byte{} }, batch.ErrHeader},
		"seq 2 with opening":     {func(h *batch.Header) { h.Open = &batch.Opening{Reason: batch.ReasonNew} }, batch.ErrHeader},
		"seq 2 without previous": {func(h *batch.Header) { h.Prev = [32]byte{} }, batch.ErrHeader},
		"opening reason 0":       {opening(batch.Opening{}), batch.ErrHeader},
		"opening reason 5":       {opening(batch.Opening{Reason: 5, PrevEpoch: batch.ID{1}}), batch.ErrHeader},
		"new after another":      {opening(batch.Opening{Reason: batch.ReasonNew, PrevEpoch: batch.ID{1}}), batch.ErrHeader},
		"new with last seq":      {opening(batch.Opening{Reason: batch.ReasonNew, LastSeq: 1, LastHash: [32]byte{1}}), batch.ErrHeader},
		"outage of nothing":      {opening(batch.Opening{Reason: batch.ReasonOutage}), batch.ErrHeader},
		"outage of itself":       {opening(batch.Opening{Reason: batch.ReasonOutage, PrevEpoch: header().Epoch}), batch.ErrHeader},
		"last hash without seq":  {opening(batch.Opening{Reason: batch.ReasonFork, PrevEpoch: batch.ID{1}, LastHash: [32]byte{1}}), batch.ErrHeader},
		"created in 1969":        {func(h *batch.Header) { h.Created = -1 }, batch.ErrWindow},
		"created in 2300":        {func(h *batch.Header) { h.Created = 10_413_792_000 }, batch.ErrWindow},
		"no zone":                {func(h *batch.Header) { h.Zone = "" }, batch.ErrHeader},
		"zone is a path":         {func(h *batch.Header) { h.Zone = "../../etc/passwd" }, batch.ErrHeader},
		"zone from the root":     {func(h *batch.Header) { h.Zone = "/etc/passwd" }, batch.ErrHeader},
		"local zone":             {func(h *batch.Header) { h.Zone = "Local" }, batch.ErrHeader},
		"zone with a line break": {func(h *batch.Header) { h.Zone = "UTC\r\n" }, batch.ErrHeader},
		"zone not UTF-8":         {func(h *batch.Header) { h.Zone = "U\xff" }, batch.ErrHeader},
		"long tzdata":            {func(h *batch.Header) { h.Tzdata = "20260000000000000a" }, batch.ErrHeader},
	} {
		t.Run(name, func(t *testing.T) {
			h := header()
			c.change(&h)
			if _, err := batch.Freeze(h, nil, key); batch.CodeOf(err) != c.want {
				t.Errorf("frozen with %v, want %s", err, c.want)
			}
			refused(t, mustSeal(t, h, nil, 0), c.want)
			if _, err := batch.Peek(mustSeal(t, h, nil, 0)); batch.CodeOf(err) != c.want {
				t.Errorf("peeked with %v, want %s", err, c.want)
			}
		})
	}
}

func TestFreezeRefuses(t *testing.T) {
	exact := func(m uint16, start int64, v float64) report.Cell {
		return report.Cell{Series: report.Series{Measure: m, Field: report.Value, Grain: report.Hour}, Start: start, Form: report.Exact, Lo: v, Hi: v}
	}
	wrong := exact(1, 3600, 1)
	wrong.Hi = 2
	total := exact(1, 3600, 1)
	total.V1 = 3
	blob := report.Cell{Series: report.Series{Field: report.Sketch, Grain: report.Hour}, Form: report.Exact, Blob: make([]byte, batch.MaxBlob+1)}
	for name, c := range map[string]struct {
		cells []report.Cell
		want  batch.Code
	}{
		"twice the same window": {[]report.Cell{exact(1, 3600, 1), exact(2, 0, 1), exact(1, 3600, 2)}, batch.ErrOrder},
		"exact with interval":   {[]report.Cell{wrong}, batch.ErrCell},
		"total with values":     {[]report.Cell{total}, batch.ErrCell},
		"large blob":            {[]report.Cell{blob}, batch.ErrTooLarge},
		"too many":              {make([]report.Cell, batch.MaxCells+1), batch.ErrTooLarge},
	} {
		if _, err := batch.Freeze(header(), c.cells, key); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := batch.Freeze(header(), nil, ed25519.PrivateKey("short")); err == nil {
		t.Error("signed with a short key")
	}
	if _, err := batch.Open(nil, ed25519.PublicKey("short")); err == nil {
		t.Error("verified with a short key")
	}
}

// The caller cuts a backlog with Fit and loses nothing.
func TestFitCutsABacklog(t *testing.T) {
	var all []report.Cell
	for hour := range 14 * 24 {
		for site := range uint64(3) {
			for _, c := range protocoltest.Workload(site, hour) {
				c.Measure += uint16(site) * 100
				all = append(all, c)
			}
		}
	}
	all = sortCells(all)
	var e batch.Encoder
	got, batches := 0, 0
	for rest := all; len(rest) > 0; batches++ {
		n := e.Fit(rest, 0)
		if n == 0 {
			t.Fatal("nothing fits")
		}
		wire, err := e.Freeze(header(), rest[:n], key)
		if err != nil {
			t.Fatalf("%d cells fit, but: %v", n, err)
		}
		if len(rest) > n && len(wire) < batch.MaxWire/2 && n < batch.MaxCells/2 {
			t.Errorf("batch %d is half empty: %d cells in %d bytes", batches, n, len(wire))
		}
		b, err := batch.Open(wire, pub)
		if err != nil || cmp.Diff(rest[:n], b.Cells) != "" {
			t.Fatalf("batch %d: %v", batches, err)
		}
		got, rest = got+n, rest[n:]
	}
	if got != len(all) {
		t.Errorf("%d of %d cells in %d batches", got, len(all), batches)
	}
	if n := e.Fit(all, 2000); n == 0 || n > len(all)/2 {
		t.Errorf("%d cells fit into 2,000 bytes", n)
	}
	if n := e.Fit(all, 100); n != 0 {
		t.Errorf("%d cells fit into 100 bytes", n)
	}
}

func TestOrdinals(t *testing.T) {
	for g := report.FiveMinutes; g <= report.Change; g++ {
		for n := range int64(2000) {
			start := batch.StartOf(g, n)
			if got, ok := batch.Ordinal(g, start); !ok || got != n {
				t.Fatalf("%s window %d starts at %d, which is %d, %v", g, n, start, got, ok)
			}
			if g.Civil() && g != report.Rolling28 && report.CivilStart(g, start) != start {
				t.Fatalf("%s window %d starts at %d, not at the calendar's start", g, n, start)
			}
			if _, ok := batch.Ordinal(g, start+1); ok && g != report.Day && g != report.Rolling28 && g != report.Change {
				t.Fatalf("%s window starts beside the grid", g)
			}
		}
	}
}

// Encoders and decoders are dropped without being closed, by pools for one.
func TestDroppedWithoutClosingLeavesNoGoroutine(t *testing.T) {
	defer goleak.VerifyNone(t)
	_, wire := workload(t)
	if _, err := batch.Open(wire, pub); err != nil {
		t.Fatal(err)
	}
	if _, err := batch.Open(sealFrame(frame(100, 1<<30), 100), pub); batch.CodeOf(err) != batch.ErrBomb {
		t.Fatal(err)
	}
}

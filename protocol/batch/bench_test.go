package batch_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"encoding/json"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// site is a day of one site's cells cut into batches.
type site struct {
	name    string
	batches [][]report.Cell
	cells   int
}

// sites are the steady state (an hourly batch), the same without the cells at 5 minutes,
// which compress best, and a week that waited for a connection.
func sites() []site {
	hourly, coarse, backlog := site{name: "hourly"}, site{name: "hourly-coarse"}, site{name: "week-at-once"}
	var week []report.Cell
	for hour := range 7 * 24 {
		cells := protocoltest.Workload(1, hour)
		week = append(week, cells...)
		if hour < 24 {
			continue
		}
		if hour >= 48 {
			continue
		}
		hourly.add(cells)
		var few []report.Cell
		for _, c := range cells {
			if c.Grain != report.FiveMinutes {
				few = append(few, c)
			}
		}
		coarse.add(few)
	}
	backlog.add(week)
	return []site{hourly, coarse, backlog}
}

func (s *site) add(cells []report.Cell) {
	s.batches = append(s.batches, cells)
	s.cells += len(cells)
}

func (s *site) freeze(tb testing.TB, key ed25519.PrivateKey) (wires [][]byte, size int) {
	var e batch.Encoder
	var prev [32]byte
	for i, cells := range s.batches {
		h := protocoltest.Header(1, 2, [32]byte{1})
		h.Seq, h.Prev = uint64(1000+i), batch.Hash(prev[:])
		h.Created += 7 * 86400
		wire, err := e.Freeze(h, cells, key)
		if err != nil {
			tb.Fatal(err)
		}
		prev = batch.Hash(wire)
		wires = append(wires, wire)
		size += len(wire)
	}
	return wires, size
}

func BenchmarkFreeze(b *testing.B) {
	key := protocoltest.Key(1)
	for _, s := range sites() {
		b.Run(s.name, func(b *testing.B) {
			_, size := s.freeze(b, key)
			var e batch.Encoder
			h := protocoltest.Header(1, 2, [32]byte{1})
			h.Created += 7 * 86400
			b.ReportAllocs()
			n, i := 0, 0
			for b.Loop() {
				cells := s.batches[i%len(s.batches)]
				if _, err := e.Freeze(h, cells, key); err != nil {
					b.Fatal(err)
				}
				n += len(cells)
				i++
			}
			b.ReportMetric(float64(size)/float64(s.cells), "bytes/cell")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/cell")
			b.ReportMetric(float64(s.cells)/float64(len(s.batches)), "cells/batch")
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	key := protocoltest.Key(1)
	pub := key.Public().(ed25519.PublicKey)
	for _, s := range sites() {
		b.Run(s.name, func(b *testing.B) {
			wires, _ := s.freeze(b, key)
			var d batch.Decoder
			b.ReportAllocs()
			n, i := 0, 0
			for b.Loop() {
				got, err := d.Open(wires[i%len(wires)], pub)
				if err != nil {
					b.Fatal(err)
				}
				n += len(got.Cells)
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/cell")
			b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "batches/s")
		})
	}
}

// BenchmarkJSONGzip is the obvious alternative over the same cells: short keys, no header,
// no signature.
func BenchmarkJSONGzip(b *testing.B) {
	type cell struct {
		M, V1, V2  uint16
		F, G, B, K uint8
		S          int64
		Lo, Hi     float64
		Blob       []byte `json:",omitempty"`
	}
	for _, s := range sites() {
		b.Run(s.name, func(b *testing.B) {
			size, n := 0, 0
			for b.Loop() {
				size, n = 0, n+s.cells
				for _, cells := range s.batches {
					var out bytes.Buffer
					list := make([]cell, len(cells))
					for i, c := range cells {
						list[i] = cell{c.Measure, c.V1, c.V2, uint8(c.Field), uint8(c.Grain), c.Breakdown, uint8(c.Form), c.Start, c.Lo, min(c.Hi, 1e300), c.Blob}
					}
					zip := gzip.NewWriter(&out)
					if err := json.NewEncoder(zip).Encode(list); err != nil {
						b.Fatal(err)
					}
					if err := zip.Close(); err != nil {
						b.Fatal(err)
					}
					size += out.Len()
				}
			}
			b.ReportMetric(float64(size)/float64(s.cells), "bytes/cell")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/cell")
		})
	}
}

package protocoltest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// workloadStart is the first hour of a workload, Monday 2026-01-05 00:00 UTC, in hours
// since 1970.
const workloadStart = 490_992

// Key is a signing key for tests, the same for the same n.
func Key(n uint64) ed25519.PrivateKey {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("fieldpost test key"), n))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Header is a valid header of agent n's batch seq in its first epoch, frozen at the end of
// the workload's hour seq−1. prev is the hash of the batch before; ignored for seq 1.
func Header(n, seq uint64, prev [sha256.Size]byte) batch.Header {
	hash := func(what string) [sha256.Size]byte {
		return sha256.Sum256(binary.BigEndian.AppendUint64([]byte(what), n))
	}
	agent, epoch := hash("agent"), hash("epoch")
	h := batch.Header{
		Agent: batch.ID(agent[:16]), Epoch: batch.ID(epoch[:16]), Seq: seq, Prev: prev,
		Catalog: hash("catalog"), Consent: hash("consent"),
		Created: (workloadStart + int64(seq)) * 3600, Zone: "Europe/Berlin", Tzdata: "2026a",
	}
	if seq == 1 {
		h.Prev, h.Open = [sha256.Size]byte{}, &batch.Opening{Reason: batch.ReasonNew}
	}
	return h
}

// Workload is what one site reports for one hour, about 300 cells, the same for the same
// seed (the site) and hour (from 0, Monday 2026-01-05 00:00 UTC). It is made like a real
// hour: checks that are nearly always up, at 5 minutes and at the hour; counters and
// request counts that follow the working day, with noise; gauges of bytes, of small
// integers and of arbitrary float64s, each with a mean that is a quotient; good and valid
// counts; histograms with their buckets; facts at midnight; and on Mondays the week's
// person cells, suppressed but for their total's band.
func Workload(seed uint64, hour int) []report.Cell {
	w := &workload{
		site: rand.New(rand.NewPCG(seed, 1)), now: rand.New(rand.NewPCG(seed, uint64(hour)+2)),
		start: (workloadStart + int64(hour)) * 3600,
	}
	// Busy from 8 to 18 on weekdays.
	w.load = 0.15
	if h := hour % 24; h >= 8 && h < 18 && hour/24%7 < 5 {
		w.load = 0.6 + 0.4*math.Sin(float64(h-8)/10*math.Pi)
	}
	for check := range 8 {
		w.availability(check < 2)
	}
	for gauge := range 10 {
		w.gauge(gauge % 3)
	}
	for counter := range 20 {
		w.counter(counter % 4)
	}
	for range 10 {
		w.slo()
	}
	for range 4 {
		w.histogram()
	}
	if hour%24 == 0 {
		for range 5 {
			w.fact()
		}
	}
	if hour%(7*24) == 3 {
		for range 6 {
			w.people()
		}
	}
	return w.cells
}

type workload struct {
	site, now *rand.Rand // what is fixed for the site; what differs each hour
	start     int64
	load      float64
	measure   uint16
	cells     []report.Cell
}

func (w *workload) add(s report.Series, start int64, v float64) {
	s.Measure = w.measure
	w.cells = append(w.cells, report.Cell{Series: s, Start: start, Form: report.Exact, Lo: v, Hi: v})
}

func (w *workload) noisy(mean float64) float64 {
	return max(0, math.Round(mean+math.Sqrt(mean)*w.now.NormFloat64()))
}

func (w *workload) availability(fine bool) {
	down := 0.0
	if w.now.IntN(200) == 0 {
		down = float64(1 + w.now.IntN(290))
	}
	put := func(g report.Grain, start int64, all, down, incidents float64) {
		for _, f := range []struct {
			f report.Field
			v float64
		}{{report.Up, all - down}, {report.Down, down}, {report.Maintenance, 0}, {report.Unseen, 0}, {report.Incidents, incidents}} {
			w.add(report.Series{Field: f.f, Grain: g}, start, f.v)
		}
	}
	incidents := math.Min(down, 1)
	if fine {
		bad := w.now.IntN(12)
		for i := range 12 {
			if i == bad {
				put(report.FiveMinutes, w.start+int64(i)*300, 300, down, incidents)
			} else {
				put(report.FiveMinutes, w.start+int64(i)*300, 300, 0, 0)
			}
		}
	}
	put(report.Hour, w.start, 3600, down, incidents)
	w.measure++
}

// gauge of bytes in pages, of small integers, or of ratios.
func (w *workload) gauge(kind int) {
	level := [...]float64{2e9, 40, 0.4}[kind] * (0.5 + w.site.Float64()) * (0.7 + 0.3*w.load)
	last, lo, hi, sum := 0.0, math.Inf(1), math.Inf(-1), 0.0
	for range 60 {
		last = level * (1 + 0.03*w.now.NormFloat64())
		switch kind {
		case 0:
			last = math.Round(last/4096) * 4096
		case 1:
			last = math.Round(last)
		}
		lo, hi, sum = min(lo, last), max(hi, last), sum+last
	}
	for i, v := range []float64{last, lo, hi, sum / 60} {
		w.add(report.Series{Field: report.Last + report.Field(i), Grain: report.Hour}, w.start, v)
	}
	w.measure++
}

func (w *workload) counter(values int) {
	mean := math.Exp(2+7*w.site.Float64()) * w.load
	total := 0.0
	for v := range values {
		n := w.noisy(mean / float64(int(1)<<v))
		total += n
		w.add(report.Series{Field: report.Increase, Grain: report.Hour, Breakdown: 1, V1: uint16(v)}, w.start, n)
	}
	if values == 0 {
		total = w.noisy(mean)
	}
	w.add(report.Series{Field: report.Increase, Grain: report.Hour}, w.start, total)
	w.measure++
}

func (w *workload) slo() {
	valid := w.noisy(math.Exp(4+6*w.site.Float64()) * w.load)
	bad := min(valid, w.noisy(valid*0.002))
	w.add(report.Series{Field: report.Valid, Grain: report.Hour}, w.start, valid)
	w.add(report.Series{Field: report.Good, Grain: report.Hour}, w.start, valid-bad)
	w.measure++
}

func (w *workload) histogram() {
	n, sum := 0.0, 0.0
	var blob []byte
	for i := range 11 {
		k := w.noisy(800 * w.load * math.Exp(-math.Abs(float64(i)-4)))
		blob = binary.AppendUvarint(blob, uint64(k))
		n, sum = n+k, sum+math.Round(k*float64(int(5)<<i))/1000
	}
	w.add(report.Series{Field: report.Count, Grain: report.Hour}, w.start, n)
	w.add(report.Series{Field: report.Sum, Grain: report.Hour}, w.start, math.Round(sum*1000)/1000)
	w.cells = append(w.cells, report.Cell{
		Series: report.Series{Measure: w.measure, Field: report.Buckets, Grain: report.Hour},
		Start:  w.start, Form: report.Exact, Blob: blob,
	})
	w.measure++
}

func (w *workload) fact() {
	w.add(report.Series{Field: report.Value, Grain: report.Day}, w.start/86400-1, float64(w.site.IntN(6)))
	w.add(report.Series{Field: report.Since, Grain: report.Day}, w.start/86400-1, float64(w.start-int64(w.site.IntN(1e7))))
	w.measure++
}

func (w *workload) people() {
	week := w.start/86400 - 7
	people := w.noisy(40)
	s := report.Series{Measure: w.measure, Field: report.Value, Grain: report.Week}
	lo := math.Floor(people/5) * 5
	w.cells = append(w.cells, report.Cell{Series: s, Start: week, Form: report.Band, Lo: lo, Hi: lo + 4})
	for v := range 4 {
		s.Breakdown, s.V1 = 1, uint16(v)
		w.cells = append(w.cells, report.Cell{Series: s, Start: week, Form: report.Suppressed})
	}
	w.measure++
}

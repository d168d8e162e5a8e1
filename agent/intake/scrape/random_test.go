package scrape

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/record"
)

// Whatever a program shows, its page says the same in each format, as written by the library's encoders,
// and what it says is what the program holds.
func TestExactRandomPagesInEveryFormat(t *testing.T) {
	v := vocabulary(t)
	rapid.Check(t, func(t *rapid.T) {
		page, want := randomPage(t)
		for form, format := range map[form]expfmt.Format{protobuf: expfmt.NewFormat(expfmt.TypeProtoDelim) + ";escaping=allow-utf-8",
			openMetrics: expfmt.FmtOpenMetrics_1_0_0 + ";escaping=allow-utf-8", plainText: expfmt.FmtText + ";escaping=allow-utf-8"} {
			var b bytes.Buffer
			e := expfmt.NewEncoder(&b, format)
			for _, f := range page {
				if err := e.Encode(f); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.(expfmt.Closer).Close(); err != nil {
				t.Fatal(err)
			}
			rec := &record.Record{Received: intaketest.Now().UnixNano()}
			if err := read(form, b.Bytes(), v, "shop", rec); err != nil {
				t.Fatalf("%v\n%s", err, b.Bytes())
			}
			var got []string
			streams := map[[8]byte]bool{}
			for _, s := range rec.Samples {
				got = append(got, fmt.Sprint(s.Metric, s.Attributes, s.Value, s.Count, s.Sum, s.Buckets))
				streams[s.Stream] = true
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" || len(streams) != len(want) || rec.RefusedSamples != (record.Counts{}) {
				t.Fatalf("%s: %d streams, refused %v (-held +read)\n%s\n%s", format, len(streams), rec.RefusedSamples, diff, b.Bytes())
			}
		}
	})
}

func randomPage(t *rapid.T) (page []*dto.MetricFamily, want []string) {
	text := rapid.OneOf(rapid.StringOf(rapid.RuneFrom([]rune{'a', '"', '\\', '\n', ' ', '#', '{', '}', ',', '=', 'ü', '€', '\t'})), rapid.SampledFrom([]string{"200", "500", "cart", "pay"}))
	number := rapid.OneOf(rapid.Float64Range(0, math.MaxFloat64), rapid.Float64Range(0, 100), rapid.Map(rapid.IntRange(0, 1<<30), func(n int) float64 { return float64(n) }))
	labels := func(i int) []*dto.LabelPair {
		out := []*dto.LabelPair{{Name: proto.String("no"), Value: proto.String(fmt.Sprint(i))}} // keeps series apart
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"code", "path", "a.b", "instance", "q\"uoted"}), 0, 3, rapid.ID).Draw(t, "labels") {
			out = append(out, &dto.LabelPair{Name: proto.String(name), Value: proto.String(text.Draw(t, "value"))})
		}
		return out
	}
	place := func(ls []*dto.LabelPair, name string, values ...string) uint16 {
		for _, l := range ls {
			if l.GetName() == name {
				if i := slices.Index(values, l.GetValue()); i >= 0 {
					return uint16(i)
				}
				return uint16(len(values))
			}
		}
		return uint16(len(values) + 1)
	}
	add := func(name string, kind dto.MetricType, one func(i int) *dto.Metric) {
		f := &dto.MetricFamily{Name: proto.String(name), Help: proto.String(text.Draw(t, "help")), Type: kind.Enum()}
		for i := range rapid.IntRange(1, 4).Draw(t, name) {
			f.Metric = append(f.Metric, one(i))
		}
		page = append(page, f)
	}
	add("http_requests_total", dto.MetricType_COUNTER, func(i int) *dto.Metric {
		m := &dto.Metric{Label: labels(i), Counter: &dto.Counter{Value: proto.Float64(number.Draw(t, "counter"))}}
		want = append(want, fmt.Sprint(requests, []uint16{place(m.Label, "code", "200", "500")}, m.Counter.GetValue(), 0, 0, []uint64(nil)))
		return m
	})
	add("queue_waiting", dto.MetricType_GAUGE, func(i int) *dto.Metric {
		m := &dto.Metric{Label: labels(i), Gauge: &dto.Gauge{Value: proto.Float64(0 - number.Draw(t, "gauge"))}}
		want = append(want, fmt.Sprint(waiting, []uint16(nil), m.Gauge.GetValue(), 0, 0, []uint64(nil)))
		return m
	})
	add("request_seconds", dto.MetricType_HISTOGRAM, func(i int) *dto.Metric {
		h := &dto.Histogram{SampleSum: proto.Float64(number.Draw(t, "sum"))}
		total, merged := uint64(0), make([]uint64, 4)
		for _, le := range []float64{0.05, 0.1, 0.3, 0.5, 1, 2, math.Inf(1)} {
			if !math.IsInf(le, 1) && rapid.Bool().Draw(t, "left out") {
				continue
			}
			n := uint64(rapid.IntRange(0, 1<<20).Draw(t, "bucket"))
			total += n
			at, _ := slices.BinarySearch([]float64{0.1, 0.5, 1}, le)
			merged[at] += n
			h.Bucket = append(h.Bucket, &dto.Bucket{CumulativeCount: proto.Uint64(total), UpperBound: proto.Float64(le)})
		}
		h.SampleCount = proto.Uint64(total)
		m := &dto.Metric{Label: labels(i), Histogram: h}
		want = append(want, fmt.Sprint(took, []uint16{place(m.Label, "path", "cart", "pay")}, 0, total, h.GetSampleSum(), merged))
		return m
	})
	slices.Sort(want)
	return page, want
}

// A page of 16 MiB with half a million series that nobody declared costs no memory but its own.
func TestUndeclaredSeriesCostNoMemory(t *testing.T) {
	var page []byte
	n := uint64(0)
	for ; len(page) < maxPage-100; n++ {
		page = fmt.Appendf(page, "go_something{id=\"%d\"} 1.5\n", n)
	}
	v := vocabulary(t)
	rec := &record.Record{Received: intaketest.Now().UnixNano()}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := read(plainText, page, v, "shop", rec); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 || rec.RefusedSamples[record.UnknownEvent] != n || n < 500_000 {
		t.Errorf("%d series took %d bytes, %d counted", n, got, rec.RefusedSamples[record.UnknownEvent])
	}
}

package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	res "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/intake/otlp"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

func service() *catalog.Catalog {
	status := []catalog.Property{{Name: "status", Match: "http.status", Values: []string{"200", "404"}}, {Name: "ok", Values: []string{"true", "false"}}}
	return &catalog.Catalog{Name: "service", Version: 1,
		Resource: []catalog.Property{{Name: "edition", Match: "service.edition", Values: []string{"small", "large"}}, {Name: "cores", IsNumber: true, Max: 64}},
		Metrics: []catalog.Metric{
			{ID: "queue", Match: "queue.length", Type: catalog.Gauge},
			{ID: "requests", Match: "http.requests", Type: catalog.Counter, Attributes: status},
			{ID: "latency", Match: "http.latency", Type: catalog.Histogram, Bounds: []float64{0.1, 1, 10}},
			{ID: "idle", Match: "idle", Type: catalog.Gauge},
		},
		Measures: []catalog.Measure{{ID: "a", Kind: catalog.Gauge, Metric: "queue"}, {ID: "b", Kind: catalog.Counter, Metric: "requests"},
			{ID: "c", Kind: catalog.Histogram, Metric: "latency"}, {ID: "d", Kind: catalog.Fact, From: "resource.edition"}, {ID: "e", Kind: catalog.Fact, From: "resource.cores"}},
	}
}

const protobuf, json = "application/x-protobuf", "application/json"

func TestOpenTelemetrySDKWithOnlyItsHostChanged(t *testing.T) {
	for _, temporality := range []string{"cumulative", "delta"} {
		t.Run(temporality, func(t *testing.T) {
			var j intaketest.Journal
			h, _ := intaketest.Start(t, intaketest.Vocabulary(service()), &j, otlp.Door{})
			host, err := url.Parse(h.URL)
			if err != nil {
				t.Fatal(err)
			}
			selector := sdk.DefaultTemporalitySelector
			options := []otlpmetrichttp.Option{otlpmetrichttp.WithEndpoint(host.Host), otlpmetrichttp.WithInsecure()}
			if temporality == "delta" {
				selector = sdk.DeltaTemporalitySelector
				options = append(options, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
			}
			ctx := context.Background()
			exporter, err := otlpmetrichttp.New(ctx, append(options, otlpmetrichttp.WithTemporalitySelector(selector))...)
			if err != nil {
				t.Fatal(err)
			}
			provider := sdk.NewMeterProvider(sdk.WithReader(sdk.NewPeriodicReader(exporter, sdk.WithInterval(time.Hour))),
				sdk.WithResource(resource.NewSchemaless(attribute.String("service.edition", "large"), attribute.Int("cores", 8), attribute.String("host.name", "CANARY"))))
			meter := provider.Meter("test")
			counter, _ := meter.Int64Counter("http.requests")
			gauge, _ := meter.Float64Gauge("queue.length")
			histogram, _ := meter.Float64Histogram("http.latency", metric.WithExplicitBucketBoundaries(0.05, 0.1, 0.5, 5, 50))
			counter.Add(ctx, 3, metric.WithAttributes(attribute.Int("http.status", 200), attribute.Bool("ok", true), attribute.String("path", "CANARY")))
			counter.Add(ctx, 4, metric.WithAttributes(attribute.Int("http.status", 503)))
			gauge.Record(ctx, 1.5)
			for _, v := range []float64{0.01, 0.07, 0.2, 3, 30, 300} {
				histogram.Record(ctx, v)
			}
			if err := provider.Shutdown(ctx); err != nil {
				t.Fatal(err)
			}
			if _, samples := j.Received(); samples != (record.Counts{record.Measured: 4}) {
				t.Fatalf("accounted %v", samples)
			}
			sdkSamples(t, j.Records()[0], temporality == "delta")
			if strings.Contains(j.Raw(), "CANARY") {
				t.Error("a canary is in the journal")
			}
		})
	}
}

func sdkSamples(t *testing.T, r *record.Record, delta bool) {
	if d := cmp.Diff([]record.Value{{Property: 1, Number: record.Decimal{Mantissa: 8}}, {Property: 0, Index: 1}}, r.Facts); d != "" {
		t.Error(d)
	}
	streams := map[[8]byte]bool{}
	for _, s := range r.Samples {
		streams[s.Stream] = true
		if s.Metric != 0 && s.Start == 0 || s.Time == 0 {
			t.Errorf("times of %+v", s)
		}
		switch s.Metric {
		case 0:
			if s.Value != 1.5 || s.Delta {
				t.Errorf("gauge %+v", s)
			}
		case 1:
			want := []uint16{0, 0} // 200, true
			if s.Value == 4 {
				want = []uint16{2, 3} // (other), (none)
			}
			if d := cmp.Diff(want, s.Attributes); d != "" || s.Delta != delta {
				t.Errorf("counter %+v %s", s, d)
			}
		case 2:
			// ≤0.05 and ≤0.1 go to 0.1; ≤0.5 to 1; ≤5 to 10; ≤50 and the rest lie beyond.
			if d := cmp.Diff([]uint64{2, 1, 1, 2}, s.Buckets); d != "" || s.Count != 6 || math.Abs(s.Sum-333.28) > 1e-9 || s.Delta != delta {
				t.Errorf("histogram %+v %s", s, d)
			}
		}
	}
	if len(streams) != 4 {
		t.Errorf("%d streams of 4", len(streams))
	}
}

func number(v float64) *metrics.NumberDataPoint {
	return &metrics.NumberDataPoint{TimeUnixNano: uint64(intaketest.Now().UnixNano()), Value: &metrics.NumberDataPoint_AsDouble{AsDouble: v}}
}

func request(ms ...*metrics.Metric) *metrics.MetricsData {
	return &metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{{ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: ms}}}}}
}

func gaugeOf(name string, ps ...*metrics.NumberDataPoint) *metrics.Metric {
	return &metrics.Metric{Name: name, Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: ps}}}
}

func sumOf(temporality metrics.AggregationTemporality, monotonic bool, ps ...*metrics.NumberDataPoint) *metrics.Metric {
	return &metrics.Metric{Name: "http.requests", Data: &metrics.Metric_Sum{Sum: &metrics.Sum{AggregationTemporality: temporality, IsMonotonic: monotonic, DataPoints: ps}}}
}

func histogramOf(p *metrics.HistogramDataPoint) *metrics.Metric {
	return &metrics.Metric{Name: "http.latency", Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{AggregationTemporality: 2, DataPoints: []*metrics.HistogramDataPoint{p}}}}
}

func exponentialOf(p *metrics.ExponentialHistogramDataPoint) *metrics.Metric {
	return &metrics.Metric{Name: "http.latency", Data: &metrics.Metric_ExponentialHistogram{ExponentialHistogram: &metrics.ExponentialHistogram{
		AggregationTemporality: 1, DataPoints: []*metrics.ExponentialHistogramDataPoint{p}}}}
}

// The contract for each point, the same in both encodings: the first reason that applies, and its
// neighbours unharmed.
func TestPointsAreAccountedByTheFirstReason(t *testing.T) {
	many := make([]*common.KeyValue, 300)
	for i := range many {
		many[i] = &common.KeyValue{Key: "k"}
	}
	noValue := number(0)
	noValue.Value, noValue.Flags = nil, 1
	for name, c := range map[string]struct {
		m    *metrics.Metric
		want record.Reason
	}{
		"gauge":                   {gaugeOf("queue.length", number(-4)), record.Measured},
		"integer":                 {gaugeOf("queue.length", &metrics.NumberDataPoint{Value: &metrics.NumberDataPoint_AsInt{AsInt: -7}}), record.Measured},
		"counter":                 {sumOf(2, true, number(4)), record.Measured},
		"exponential":             {exponentialOf(&metrics.ExponentialHistogramDataPoint{Count: 1, ZeroCount: 1}), record.Measured},
		"no value":                {gaugeOf("queue.length", &metrics.NumberDataPoint{}), record.Malformed},
		"no recorded value":       {gaugeOf("queue.length", noValue), record.Malformed},
		"no temporality":          {sumOf(0, true, number(4)), record.Malformed},
		"year 2500":               {gaugeOf("queue.length", &metrics.NumberDataPoint{TimeUnixNano: math.MaxUint64, Value: &metrics.NumberDataPoint_AsInt{}}), record.Malformed},
		"buckets without bounds":  {histogramOf(&metrics.HistogramDataPoint{Count: 3, BucketCounts: []uint64{1, 2}}), record.Malformed},
		"bounds fall":             {histogramOf(&metrics.HistogramDataPoint{Count: 3, BucketCounts: []uint64{1, 1, 1}, ExplicitBounds: []float64{2, 1}}), record.Malformed},
		"bounds are equal":        {histogramOf(&metrics.HistogramDataPoint{Count: 3, BucketCounts: []uint64{1, 1, 1}, ExplicitBounds: []float64{2, 2}}), record.Malformed},
		"a bound is NaN":          {histogramOf(&metrics.HistogramDataPoint{Count: 2, BucketCounts: []uint64{1, 1}, ExplicitBounds: []float64{math.NaN()}}), record.Malformed},
		"count is wrong":          {histogramOf(&metrics.HistogramDataPoint{Count: 4, BucketCounts: []uint64{1, 2}, ExplicitBounds: []float64{2}}), record.Malformed},
		"counts overflow":         {histogramOf(&metrics.HistogramDataPoint{Count: 1, BucketCounts: []uint64{math.MaxUint64, 2}, ExplicitBounds: []float64{2}}), record.Malformed},
		"absurd scale":            {exponentialOf(&metrics.ExponentialHistogramDataPoint{Scale: -40}), record.Malformed},
		"many attributes":         {gaugeOf("queue.length", &metrics.NumberDataPoint{Attributes: many, Value: &metrics.NumberDataPoint_AsInt{}}), record.OverSize},
		"many buckets":            {histogramOf(&metrics.HistogramDataPoint{BucketCounts: make([]uint64, 3000), ExplicitBounds: make([]float64, 2999)}), record.OverSize},
		"unknown":                 {gaugeOf("queue.width", number(1)), record.UnknownEvent},
		"off":                     {gaugeOf("idle", number(1)), record.Off},
		"NaN":                     {gaugeOf("queue.length", number(math.NaN())), record.OverValue},
		"infinite":                {gaugeOf("queue.length", number(math.Inf(-1))), record.OverValue},
		"negative counter":        {sumOf(2, true, number(-1)), record.OverValue},
		"a sum that goes down":    {sumOf(2, false, number(1)), record.OverValue},
		"a gauge for a histogram": {gaugeOf("http.latency", number(1)), record.OverValue},
		"summary":                 {&metrics.Metric{Name: "http.latency", Data: &metrics.Metric_Summary{Summary: &metrics.Summary{DataPoints: []*metrics.SummaryDataPoint{{Count: 1}}}}}, record.OverValue},
		"infinite sum":            {histogramOf(&metrics.HistogramDataPoint{Count: 1, Sum: proto.Float64(math.Inf(1))}), record.OverValue},
	} {
		t.Run(name, func(t *testing.T) {
			data := request(gaugeOf("queue.length", number(1)), c.m, gaugeOf("queue.length", number(2)))
			wire, err := proto.Marshal(data)
			if err != nil {
				t.Fatal(err)
			}
			text, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(data)
			if err != nil {
				t.Fatal(err)
			}
			want := record.Counts{record.Measured: 2}
			want[c.want]++
			var kept [2][]record.Sample
			for i, body := range []string{string(wire), string(text)} {
				var j intaketest.Journal
				h, _ := intaketest.Start(t, intaketest.Vocabulary(service()), &j, otlp.Door{})
				status, answer, header := intaketest.Post(t, h.URL+"/v1/metrics", body, "Content-Type", []string{protobuf, json}[i])
				_, samples := j.Received()
				if status != 200 || samples != want || header.Get("Content-Type") != []string{protobuf, json}[i] {
					t.Errorf("%d %q %v", status, answer, samples)
				}
				rejected := c.want != record.Measured && c.want != record.Off
				if i == 1 && rejected != strings.Contains(answer, `{"partialSuccess":{"rejectedDataPoints":"1","errorMessage":"`+c.want.String()+" 1") || i == 0 && rejected != (answer != "") {
					t.Errorf("answer %q", answer)
				}
				kept[i] = j.Records()[0].Samples
			}
			if d := cmp.Diff(kept[0], kept[1]); d != "" {
				t.Errorf("the encodings differ: %s", d)
			}
		})
	}
}

func TestRequestsAreAnsweredByTheContract(t *testing.T) {
	wire, err := proto.Marshal(request(gaugeOf("queue.length", number(1))))
	if err != nil {
		t.Fatal(err)
	}
	var zip bytes.Buffer
	z := gzip.NewWriter(&zip)
	_, _ = z.Write(wire)
	_ = z.Close()
	var bomb bytes.Buffer
	z = gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 64<<20))
	_ = z.Close()
	points := make([]*metrics.NumberDataPoint, 20_001)
	for i := range points {
		points[i] = number(1)
	}
	many, err := proto.Marshal(request(gaugeOf("queue.length", points...)))
	if err != nil {
		t.Fatal(err)
	}
	deep := strings.Repeat(`{"arrayValue":{"values":[`, 200) + strings.Repeat(`]}}`, 200)
	for name, c := range map[string]struct {
		body, kind, encoding string
		status, code         int
	}{
		"protobuf":         {string(wire), protobuf, "", 200, 0},
		"gzip":             {zip.String(), protobuf, "gzip", 200, 0},
		"empty protobuf":   {"", protobuf, "", 200, 0},
		"empty JSON":       {"{}", json, "", 200, 0},
		"JSON with more":   {`{"resourceMetrics":[{"x":1,"schemaUrl":"s"}],"y":[]}`, "application/json; charset=utf-8", "", 200, 0},
		"torn protobuf":    {string(wire[:len(wire)-3]), protobuf, "", 400, 3},
		"not protobuf":     {"hello there", protobuf, "", 400, 3},
		"not JSON":         {"{", json, "", 400, 3},
		"two JSONs":        {"{}{}", json, "", 400, 3},
		"JSON NaN":         {`{"resourceMetrics":NaN}`, json, "", 400, 3},
		"JSON no list":     {`{"resourceMetrics":{}}`, json, "", 400, 3},
		"JSON wrong type":  {`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":1}]}]}]}`, json, "", 400, 3},
		"JSON bad number":  {`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asInt":"x"}]}}]}]}]}`, json, "", 400, 3},
		"JSON not UTF-8":   {"{\"\xff\":1}", json, "", 400, 3},
		"JSON too deep":    {`{"resourceMetrics":[{"resource":{"attributes":[{"key":"k","value":` + deep + `}]}}]}`, json, "", 400, 3},
		"unknown type":     {string(wire), "text/plain", "", 415, 3},
		"no type":          {string(wire), "", "", 415, 3},
		"unknown encoding": {string(wire), protobuf, "zstd", 415, 3},
		"bomb":             {bomb.String(), protobuf, "gzip", 413, 8},
		"too large":        {strings.Repeat("\x00", 4<<20+1), protobuf, "", 413, 8},
		"too many points":  {string(many), protobuf, "", 413, 8},
	} {
		t.Run(name, func(t *testing.T) {
			var j intaketest.Journal
			h, _ := intaketest.Start(t, intaketest.Vocabulary(service()), &j, otlp.Door{})
			status, answer, header := intaketest.Post(t, h.URL+"/v1/metrics", c.body, "Content-Type", c.kind, "Content-Encoding", c.encoding)
			if status != c.status {
				t.Fatalf("got %d %q, want %d", status, answer, c.status)
			}
			if status == 200 {
				return
			}
			if len(j.Records()) != 0 {
				t.Error("a refused request was journaled")
			}
			got := 0
			if header.Get("Content-Type") == protobuf {
				if _, _, n := protowire.ConsumeTag([]byte(answer)); n > 0 {
					v, _ := protowire.ConsumeVarint([]byte(answer)[n:])
					got = int(v)
				}
			} else if strings.HasPrefix(answer, `{"code":`) {
				got = int(answer[8] - '0')
			}
			if got != c.code || !strings.Contains(answer, "Try: ") {
				t.Errorf("answer %q, want a status with code %d", answer, c.code)
			}
		})
	}
}

// An exponential histogram at scale 0 has the bounds 1, 2, 4, 8, 16: each bucket goes where its upper
// bound fits, the negative ones and zero to the first.
func TestExponentialBucketsGoToTheBoundAbove(t *testing.T) {
	var j intaketest.Journal
	h, _ := intaketest.Start(t, intaketest.Vocabulary(service()), &j, otlp.Door{})
	p := &metrics.ExponentialHistogramDataPoint{Count: 1 + 2 + 4 + 8 + 16 + 32, ZeroCount: 1,
		Negative: &metrics.ExponentialHistogramDataPoint_Buckets{Offset: 3, BucketCounts: []uint64{2}},
		Positive: &metrics.ExponentialHistogramDataPoint_Buckets{Offset: -1, BucketCounts: []uint64{4, 8, 0, 16, 32}}} // (½,1] (1,2] (2,4] (4,8] (8,16]
	wire, err := proto.Marshal(request(exponentialOf(p)))
	if err != nil {
		t.Fatal(err)
	}
	intaketest.Post(t, h.URL+"/v1/metrics", string(wire), "Content-Type", protobuf)
	if d := cmp.Diff([]uint64{1 + 2, 4, 8 + 16, 32}, j.Records()[0].Samples[0].Buckets); d != "" {
		t.Error(d)
	}
}

func TestStreamDoesNotDependOnTheOrderOfAttributes(t *testing.T) {
	text := func(k, v string) *common.KeyValue {
		return &common.KeyValue{Key: k, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: v}}}
	}
	stream := func(host string, kvs ...*common.KeyValue) [8]byte {
		var j intaketest.Journal
		h, _ := intaketest.Start(t, intaketest.Vocabulary(service()), &j, otlp.Door{})
		p := number(1)
		p.Attributes = kvs
		data := request(gaugeOf("queue.length", p))
		data.ResourceMetrics[0].Resource = &res.Resource{Attributes: []*common.KeyValue{text("host", host)}}
		wire, err := proto.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		intaketest.Post(t, h.URL+"/v1/metrics", string(wire), "Content-Type", protobuf)
		return j.Records()[0].Samples[0].Stream
	}
	one := stream("h", text("a", "1"), text("b", "2"))
	if one != stream("h", text("b", "2"), text("a", "1")) {
		t.Error("the order of attributes makes another stream")
	}
	for _, other := range [][8]byte{stream("g", text("a", "1"), text("b", "2")), stream("h", text("a", "2"), text("b", "1")), stream("h", text("a", "1"))} {
		if one == other {
			t.Error("two streams are taken for one")
		}
	}
}

// What is let through fits a journal record of 4 MiB, whatever the catalog's bounds.
func TestManyBucketsAreRefusedBeforeTheyAreTooLargeToKeep(t *testing.T) {
	c := service()
	c.Metrics[2].Bounds = make([]float64, 200)
	for i := range c.Metrics[2].Bounds {
		c.Metrics[2].Bounds[i] = float64(i)
	}
	points := make([]*metrics.HistogramDataPoint, 2000)
	for i := range points {
		points[i] = &metrics.HistogramDataPoint{Count: math.MaxUint64}
	}
	m := histogramOf(points[0])
	for status, n := range map[int]int{200: 990, 413: 2000} {
		m.GetHistogram().DataPoints = points[:n]
		wire, err := proto.Marshal(request(m))
		if err != nil {
			t.Fatal(err)
		}
		var j intaketest.Journal
		h, _ := intaketest.Start(t, intaketest.Vocabulary(c), &j, otlp.Door{})
		if got, answer, _ := intaketest.Post(t, h.URL+"/v1/metrics", string(wire), "Content-Type", protobuf); got != status || len(j.Raw()) > 4<<20 {
			t.Errorf("%d points got %d %q, %d bytes", n, got, answer, len(j.Raw()))
		}
	}
}

func FuzzRead(f *testing.F) {
	p := number(1)
	p.Attributes = []*common.KeyValue{{Key: "http.status", Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: 200}}}}
	seed := request(gaugeOf("queue.length", p), sumOf(2, true, p), histogramOf(&metrics.HistogramDataPoint{Count: 3, BucketCounts: []uint64{1, 2}, ExplicitBounds: []float64{2}}),
		exponentialOf(&metrics.ExponentialHistogramDataPoint{Count: 4, Positive: &metrics.ExponentialHistogramDataPoint_Buckets{BucketCounts: []uint64{4}}}))
	wire, err := proto.Marshal(seed)
	if err != nil {
		f.Fatal(err)
	}
	text, err := protojson.Marshal(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire, false)
	f.Add(text, true)
	v := intaketest.Vocabulary(service())
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		kind := protobuf
		if isJSON {
			kind = json
		}
		r := record.Record{Kind: record.Request, Received: 1e18}
		q := intake.Request{Header: map[string][]string{"Content-Type": {kind}}, Body: body, Vocabulary: v, Record: &r}
		if _, refusal := (otlp.Door{}).Read(&q); refusal != nil {
			return
		}
		if !isJSON && proto.Unmarshal(body, new(metrics.MetricsData)) == nil {
			points := 0
			var data metrics.MetricsData
			_ = proto.Unmarshal(body, &data)
			for _, rm := range data.ResourceMetrics {
				for _, sm := range rm.ScopeMetrics {
					for _, m := range sm.Metrics {
						points += len(m.GetGauge().GetDataPoints()) + len(m.GetSum().GetDataPoints()) + len(m.GetHistogram().GetDataPoints()) +
							len(m.GetExponentialHistogram().GetDataPoints()) + len(m.GetSummary().GetDataPoints())
					}
				}
			}
			// A message that is split in two on the wire is merged by protobuf, and here the last part
			// wins: never more points than protobuf sees.
			if got := len(r.Samples) + int(r.RefusedSamples.Total()); got > points {
				t.Errorf("%d points of %d", got, points)
			}
		}
		var again record.Record
		if err := record.Decode(record.Append(nil, &r), &again); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkRead is the door alone, without network and disk: 100 points with two attributes each.
func BenchmarkRead(b *testing.B) {
	points := make([]*metrics.NumberDataPoint, 100)
	for i := range points {
		points[i] = number(float64(i))
		points[i].Attributes = []*common.KeyValue{{Key: "http.status", Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: 200}}},
			{Key: "host", Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "node-17"}}}}
	}
	data := request(sumOf(2, true, points...))
	wire, err := proto.Marshal(data)
	if err != nil {
		b.Fatal(err)
	}
	text, err := protojson.Marshal(data)
	if err != nil {
		b.Fatal(err)
	}
	v := intaketest.Vocabulary(service())
	for name, body := range map[string][]byte{protobuf: wire, json: text} {
		b.Run(name, func(b *testing.B) {
			var q intake.Request
			var r record.Record
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r = record.Record{Kind: record.Request, Received: intaketest.Now().UnixNano(), Samples: r.Samples[:0]}
				q = intake.Request{Header: map[string][]string{"Content-Type": {name}}, Body: body, Vocabulary: v, Record: &r, Attributes: q.Attributes[:0], Out: q.Out[:0]}
				if _, refusal := (otlp.Door{}).Read(&q); refusal != nil || len(r.Samples) != 100 {
					b.Fatal(refusal, r.RefusedSamples)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/sample")
		})
	}
}

package scrape

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

const words = `
catalog: test
version: 1
vendor: Test
metrics:
  requests: {match: http_requests_total, type: counter, attributes: {code: {values: ["200", "500"]}}}
  waiting: {match: queue_waiting, type: gauge}
  took: {match: request_seconds, type: histogram, unit: s, bounds: [0.1, 0.5, 1], attributes: {route: {values: [cart, pay], match: path}}}
  calls: {match: rpc_seconds_count, type: counter}
  called: {match: rpc_seconds_sum, type: counter}
  jobs: {match: jobs, type: counter}
  dotted: {match: app.depth, type: gauge}
  unused: {match: unused_total, type: counter}
measures:
`

// Positions in the catalog above.
const (
	requests = iota
	waiting
	took
	calls
	called
	jobs
	dotted
)

func vocabulary(t testing.TB) *intake.Vocabulary {
	t.Helper()
	text := words
	for _, m := range []string{"requests counter", "waiting gauge", "took histogram", "calls counter", "called counter", "jobs counter", "dotted gauge"} {
		id, kind, _ := strings.Cut(m, " ")
		text += fmt.Sprintf("  - {id: %[1]s, kind: %[2]s, metric: %[1]s, subject: traffic, category: usage, question: Q, purpose: P, owner: o, retention: 30d}\n", id, kind)
	}
	c, err := catalog.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return intaketest.Vocabulary(c)
}

var began = time.Date(2026, 3, 2, 11, 0, 0, 500e6, time.UTC)

// pageOf is what a program shows, as the library of Prometheus has it in memory.
func pageOf() []*dto.MetricFamily {
	labels := func(kv ...string) (out []*dto.LabelPair) {
		for i := 0; i < len(kv); i += 2 {
			out = append(out, &dto.LabelPair{Name: proto.String(kv[i]), Value: proto.String(kv[i+1])})
		}
		return out
	}
	start := timestamppb.New(began)
	count := func(v float64, kv ...string) *dto.Metric {
		return &dto.Metric{Label: labels(kv...), Counter: &dto.Counter{Value: proto.Float64(v), CreatedTimestamp: start,
			Exemplar: &dto.Exemplar{Label: labels("trace_id", "canary"), Value: proto.Float64(1)}}}
	}
	bucket := func(n uint64, le float64) *dto.Bucket {
		return &dto.Bucket{CumulativeCount: proto.Uint64(n), UpperBound: proto.Float64(le)}
	}
	took := func(path string, n uint64, sum float64, buckets ...*dto.Bucket) *dto.Metric {
		return &dto.Metric{Label: labels("path", path, "pod", `a"b\c`+"\nd"), Histogram: &dto.Histogram{
			SampleCount: proto.Uint64(n), SampleSum: proto.Float64(sum), Bucket: buckets, CreatedTimestamp: start}}
	}
	family := func(name string, t dto.MetricType, ms ...*dto.Metric) *dto.MetricFamily {
		return &dto.MetricFamily{Name: proto.String(name), Help: proto.String("Help, \\ and \n."), Type: t.Enum(), Metric: ms}
	}
	return []*dto.MetricFamily{
		family("http_requests_total", dto.MetricType_COUNTER, count(7, "code", "200"), count(2, "code", "500"), count(1, "code", "418", "user", "canary")),
		family("queue_waiting", dto.MetricType_GAUGE,
			&dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(-3.25)}},
			&dto.Metric{Label: labels("queue", "slow # {"), Gauge: &dto.Gauge{Value: proto.Float64(math.NaN())}}),
		family("request_seconds", dto.MetricType_HISTOGRAM,
			took("cart", 10, 4.5, bucket(1, 0.05), bucket(3, 0.1), bucket(4, 0.25), bucket(9, 1), bucket(10, math.Inf(1))),
			took("canary", 2, 30)),
		family("rpc_seconds", dto.MetricType_SUMMARY, &dto.Metric{Summary: &dto.Summary{SampleCount: proto.Uint64(5), SampleSum: proto.Float64(1.5), CreatedTimestamp: start,
			Quantile: []*dto.Quantile{{Quantile: proto.Float64(0.99), Value: proto.Float64(0.5)}}}}),
		family("app.depth", dto.MetricType_UNTYPED, &dto.Metric{Label: labels("some.label", "x"), Untyped: &dto.Untyped{Value: proto.Float64(4)}}),
		family("unused_total", dto.MetricType_COUNTER, count(1)),
		family("secret_total", dto.MetricType_COUNTER, count(1, "who", "canary"), count(1)),
		family("secret_seconds", dto.MetricType_HISTOGRAM, took("cart", 1, 1, bucket(1, 1), bucket(1, math.Inf(1)))),
	}
}

func encoded(t testing.TB, format expfmt.Format, options ...expfmt.EncoderOption) []byte {
	t.Helper()
	var b bytes.Buffer
	e := expfmt.NewEncoder(&b, format, options...)
	for _, f := range pageOf() {
		if err := e.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	if c, ok := e.(expfmt.Closer); ok {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func recordOf(t testing.TB, f form, b []byte) *record.Record {
	t.Helper()
	rec := &record.Record{Received: intaketest.Now().UnixNano()}
	if err := read(f, b, vocabulary(t), "shop", rec); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return rec
}

// The library's own encoders write the same page in each format; each must give the same samples.
func TestAllFormatsOfPrometheusLibrarySayTheSame(t *testing.T) {
	utf8 := ";escaping=allow-utf-8"
	for _, c := range []struct {
		name    string
		form    form
		page    []byte
		created bool
	}{
		{"protobuf", protobuf, encoded(t, expfmt.NewFormat(expfmt.TypeProtoDelim)+expfmt.Format(utf8)), true},
		{"OpenMetrics", openMetrics, encoded(t, expfmt.FmtOpenMetrics_1_0_0+expfmt.Format(utf8), expfmt.WithCreatedLines()), true},
		{"OpenMetrics without created", openMetrics, encoded(t, expfmt.FmtOpenMetrics_1_0_0+expfmt.Format(utf8)), false},
		{"text", plainText, encoded(t, expfmt.FmtText+expfmt.Format(utf8)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := recordOf(t, c.form, c.page)
			start := int64(0)
			if c.created {
				start = began.UnixNano()
			}
			at := rec.Received
			other := uint16(2)
			want := []record.Sample{
				{Metric: requests, Attributes: []uint16{0}, Value: 7, Time: at, Start: start},
				{Metric: requests, Attributes: []uint16{1}, Value: 2, Time: at, Start: start},
				{Metric: requests, Attributes: []uint16{other}, Value: 1, Time: at, Start: start},
				{Metric: waiting, Value: -3.25, Time: at},
				{Metric: took, Attributes: []uint16{0}, Count: 10, Sum: 4.5, Buckets: []uint64{3, 1, 5, 1}, Time: at, Start: start},
				{Metric: took, Attributes: []uint16{other}, Count: 2, Sum: 30, Buckets: []uint64{0, 0, 0, 2}, Time: at, Start: start},
				{Metric: calls, Value: 5, Time: at, Start: start},
				{Metric: called, Value: 1.5, Time: at, Start: start},
				{Metric: dotted, Value: 4, Time: at},
			}
			byMetric := map[string]record.Sample{}
			for _, s := range rec.Samples {
				byMetric[fmt.Sprint(s.Metric, s.Attributes)] = s
			}
			for _, w := range want {
				key := fmt.Sprint(w.Metric, w.Attributes)
				got := byMetric[key]
				if got.Stream == [8]byte{} {
					t.Errorf("%s: no stream", key)
				}
				got.Stream = [8]byte{}
				if diff := cmp.Diff(w, got, cmp.Comparer(func(a, b []uint16) bool { return fmt.Sprint(a) == fmt.Sprint(b) })); diff != "" {
					t.Errorf("%s: (-want +got)\n%s\n%s", key, diff, c.page)
				}
			}
			if len(rec.Samples) != len(want) {
				t.Errorf("%d samples, want %d", len(rec.Samples), len(want))
			}
			refused := record.Counts{record.UnknownEvent: 3, record.Off: 1, record.OverValue: 1}
			if rec.RefusedSamples != refused {
				t.Errorf("refused %v, want %v", rec.RefusedSamples, refused)
			}
			if bytes.Contains(record.Append(nil, rec), []byte("canary")) {
				t.Error("a label that is not declared stands in the journal")
			}
		})
	}
}

// A stream keeps its identity whatever format a target answers in, and differs by target and label.
func TestStreamsAreThoseOfTargetAndLabels(t *testing.T) {
	streams := func(target string, f form, page string) map[[8]byte]bool {
		rec := &record.Record{Received: intaketest.Now().UnixNano()}
		if err := read(f, []byte(page), vocabulary(t), target, rec); err != nil {
			t.Fatal(err)
		}
		out := map[[8]byte]bool{}
		for _, s := range rec.Samples {
			out[s.Stream] = true
		}
		return out
	}
	text := "# TYPE http_requests_total counter\nhttp_requests_total{a=\"b\",c=\"d\"} 1\nhttp_requests_total{a=\"b\"} 1\nhttp_requests_total 1\n"
	open := "# TYPE http_requests counter\nhttp_requests_total{c=\"d\",a=\"b\"} 1\nhttp_requests_total{a=\"b\"} 1\nhttp_requests_total 1\n# EOF\n"
	a := streams("shop", plainText, text)
	if len(a) != 3 {
		t.Errorf("%d streams of three", len(a))
	}
	if diff := cmp.Diff(a, streams("shop", openMetrics, open)); diff != "" {
		t.Errorf("another format, another stream:\n%s", diff)
	}
	for s := range streams("bank", plainText, text) {
		if a[s] {
			t.Error("two targets share a stream")
		}
	}
}

func TestPagesAsTheyAreFound(t *testing.T) {
	at := intaketest.Now()
	ms := at.UnixMilli()
	for name, c := range map[string]struct {
		form    form
		page    string
		want    string // metric value … of each sample
		refused record.Counts
	}{
		"nothing":                  {plainText, "", "", record.Counts{}},
		"only comments":            {plainText, "# hello\n#\n\n  # HELP x y\n", "", record.Counts{}},
		"no newline at the end":    {plainText, "queue_waiting 1", "1=1", record.Counts{}},
		"Windows lines, tabs":      {plainText, "# TYPE queue_waiting gauge\r\nqueue_waiting\t1 \r\n", "1=1", record.Counts{}},
		"a comma at the end":       {plainText, `http_requests_total{code="200",} 1`, "0=1", record.Counts{}},
		"spaces among labels":      {plainText, `http_requests_total { code = "200" , a = "b" } 1e3`, "0=1000", record.Counts{}},
		"untyped":                  {plainText, "http_requests_total 5\nqueue_waiting 6", "0=5 1=6", record.Counts{}},
		"a counter without _total": {plainText, "# TYPE jobs counter\njobs 3", "5=3", record.Counts{}},
		"with _total":              {plainText, "# TYPE jobs_total counter\njobs_total 3", "5=3", record.Counts{}},
		"Python's created": {plainText, "# TYPE http_requests_total counter\nhttp_requests_total 5\n# TYPE http_requests_created gauge\nhttp_requests_created 1772445600.5\n",
			"0=5@1772445600500", record.Counts{}},
		"created first": {openMetrics, "# TYPE jobs counter\njobs_created 1772445600.5\njobs_total 3\n# EOF", "5=3@1772445600500", record.Counts{}},
		"created alone": {openMetrics, "# TYPE jobs counter\njobs_created 1772445600.5\n# EOF", "", record.Counts{}},
		"an exemplar":   {openMetrics, "# TYPE jobs counter\njobs_total 3 # {trace_id=\"x\"} 0.5 1772445600\n# EOF", "5=3", record.Counts{}},
		"a time":        {plainText, fmt.Sprintf("queue_waiting 1 %d", ms-1000), "1=1-1000", record.Counts{}},
		"a time in OpenMetrics": {openMetrics, fmt.Sprintf("# TYPE queue_waiting gauge\nqueue_waiting 1 %d.5\n# EOF", at.Unix()-2), "1=1-1500",
			record.Counts{}},
		"a time ahead":              {plainText, fmt.Sprintf("queue_waiting 1 %d", ms+600_000), "1=1", record.Counts{}},
		"twice":                     {plainText, "queue_waiting 1\nqueue_waiting 2\nhttp_requests_total{a=\"1\",b=\"2\"} 1\nhttp_requests_total{b=\"2\",a=\"1\"} 1", "", record.Counts{record.Malformed: 2}},
		"not finite":                {plainText, "queue_waiting NaN\nhttp_requests_total +Inf\n", "", record.Counts{record.OverValue: 2}},
		"negative":                  {plainText, "http_requests_total -1\n", "", record.Counts{record.OverValue: 1}},
		"another type":              {plainText, "# TYPE queue_waiting counter\nqueue_waiting 1\n# TYPE http_requests_total gauge\nhttp_requests_total 1\n", "", record.Counts{record.OverValue: 2}},
		"a summary for a histogram": {plainText, "# TYPE request_seconds summary\nrequest_seconds{quantile=\"0.5\"} 1\nrequest_seconds_sum 1\nrequest_seconds_count 1\n", "", record.Counts{record.OverValue: 1}},
		"unknown":                   {plainText, "# TYPE go_x histogram\ngo_x_bucket{le=\"1\"} 1\ngo_x_bucket{le=\"+Inf\"} 1\ngo_x_sum 1\ngo_x_count 1\n# TYPE go_y summary\ngo_y{quantile=\"1\"} 1\ngo_y_sum 1\ngo_y_count 1\ngo_z 1", "", record.Counts{record.UnknownEvent: 3}},
		"buckets that fall":         {plainText, histogramPage(`{le="0.1"} 5`, `{le="0.5"} 4`, `{le="+Inf"} 6`), "", record.Counts{record.Malformed: 1}},
		"halves":                    {plainText, histogramPage(`{le="0.1"} 0.5`, `{le="+Inf"} 6`), "", record.Counts{record.Malformed: 1}},
		"another count":             {plainText, histogramPage(`{le="+Inf"} 5`), "", record.Counts{record.Malformed: 1}},
		"a bucket twice":            {plainText, histogramPage(`{le="0.1"} 1`, `{le="0.10"} 1`, `{le="+Inf"} 6`), "", record.Counts{record.Malformed: 1}},
		"buckets in any order":      {plainText, histogramPage(`{le="+Inf"} 6`, `{le="0.5"} 5`, `{le="0.1"} 1`), "2=[1 4 0 1]", record.Counts{}},
		"bounds between":            {plainText, histogramPage(`{le="0.2"} 2`, `{le="0.7"} 3`, `{le="2"} 4`, `{le="+Inf"} 6`), "2=[0 2 1 3]", record.Counts{}},
		"many labels":               {plainText, "queue_waiting{" + manyLabels(65) + "} 1", "", record.Counts{record.OverSize: 1}},
		"as many as allowed":        {plainText, "queue_waiting{" + manyLabels(64) + "} 1", "1=1", record.Counts{}},
		"quoted names":              {plainText, "# TYPE \"app.depth\" gauge\n{\"app.depth\",\"a.b\"=\"c\"} 4\n{\"app.depth\"} 5", "6=4 6=5", record.Counts{}},
		"an info":                   {openMetrics, "# TYPE queue_waiting info\nqueue_waiting_info{version=\"1\"} 1\n# EOF", "", record.Counts{record.UnknownEvent: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			rec := recordOf(t, c.form, []byte(c.page))
			var got []string
			for _, s := range rec.Samples {
				text := fmt.Sprintf("%d=%v", s.Metric, s.Value)
				if s.Metric == took {
					text = fmt.Sprintf("%d=%v", s.Metric, s.Buckets)
				}
				if s.Start != 0 {
					text += fmt.Sprint("@", s.Start/1e6)
				}
				if s.Time != rec.Received {
					text += fmt.Sprint((s.Time - rec.Received) / 1e6)
				}
				got = append(got, text)
			}
			if g := strings.Join(got, " "); g != c.want || rec.RefusedSamples != c.refused {
				t.Errorf("%s, refused %v, want %s and %v", g, rec.RefusedSamples, c.want, c.refused)
			}
			if (rec.Skewed == 1) != (name == "a time ahead") {
				t.Errorf("%d skewed", rec.Skewed)
			}
		})
	}
}

func histogramPage(buckets ...string) string {
	return "# TYPE request_seconds histogram\nrequest_seconds_bucket" + strings.Join(buckets, "\nrequest_seconds_bucket") + "\nrequest_seconds_sum 3\nrequest_seconds_count 6\n"
}

func manyLabels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "l%d=\"x\",", i)
	}
	return b.String()
}

func TestWhatIsNoPage(t *testing.T) {
	series := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "queue_waiting{id=\"%d\"} 1\n", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		form form
		page string
		want string
	}{
		"HTML":                     {plainText, "<!DOCTYPE html>\n<html><body>Sign in</body></html>", Unreadable},
		"JSON":                     {plainText, `{"status": "ok"}`, Unreadable},
		"not UTF-8":                {plainText, "queue_waiting{a=\"\xff\"} 1", Unreadable},
		"no value":                 {plainText, "queue_waiting", Unreadable},
		"no number":                {plainText, "queue_waiting one", Unreadable},
		"hexadecimal":              {plainText, "queue_waiting 0x1p4", Unreadable},
		"too much":                 {plainText, "queue_waiting 1 2 3", Unreadable},
		"an exemplar in text":      {plainText, "http_requests_total 1 # {} 1", Unreadable},
		"labels without end":       {plainText, `queue_waiting{a="b"`, Unreadable},
		"a value without end":      {plainText, `queue_waiting{a="b\`, Unreadable},
		"a label twice":            {plainText, `queue_waiting{a="b",a="c"} 1`, Unreadable},
		"no name":                  {plainText, `{a="b"} 1`, Unreadable},
		"a bucket without le":      {plainText, "# TYPE request_seconds histogram\nrequest_seconds_bucket 1", Unreadable},
		"a time beyond":            {plainText, "queue_waiting 1 9223372036854775807", Unreadable},
		"OpenMetrics without end":  {openMetrics, "# TYPE jobs counter\njobs_total 3\n", Unreadable},
		"OpenMetrics after end":    {openMetrics, "# EOF\njobs_total 3\n", Unreadable},
		"too many series":          {plainText, series(maxSeries + 1), TooMany},
		"too many buckets":         {plainText, "# TYPE request_seconds histogram\n" + strings.Repeat("request_seconds_bucket{le=\"1\"} 1\n", maxFigures+1), TooMany},
		"text as protobuf":         {protobuf, "queue_waiting 1\n", Unreadable},
		"protobuf that ends early": {protobuf, "\x20\x0a\x01x", Unreadable},
		"protobuf without a name":  {protobuf, "\x02\x18\x01", Unreadable},
	} {
		rec := &record.Record{Received: intaketest.Now().UnixNano()}
		err := read(c.form, []byte(c.page), vocabulary(t), "shop", rec)
		f, ok := err.(*failure)
		if !ok || f.reason != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if len(rec.Samples) != 0 || rec.RefusedSamples != (record.Counts{}) {
			t.Errorf("%s: half a page was kept", name)
		}
	}
	// As many as allowed are kept, and what nobody declared costs nothing.
	rec := recordOf(t, plainText, []byte(series(maxSeries)+strings.Repeat("go_goroutines 1\n", 50_000)))
	if len(rec.Samples) != maxSeries || rec.RefusedSamples[record.UnknownEvent] != 50_000 {
		t.Errorf("%d series, refused %v", len(rec.Samples), rec.RefusedSamples)
	}
}

// Package otlp holds the doors for OpenTelemetry over HTTP, with protobuf or JSON (OTLP 1.x): metrics at
// POST /v1/metrics (ExportMetricsServiceRequest, which on the wire is MetricsData) and logs at
// POST /v1/logs (ExportLogsServiceRequest, LogsData).
//
// The messages are read by hand from protobuf's wire format; JSON is first turned into it. So there
// is one reader for both, and no reflection in the agent.
//
// What becomes of the kinds, where the catalog declares the metric:
//   - Gauge, and Sum that is not monotonic and cumulative: a gauge.
//   - Sum that is monotonic: a counter, delta or cumulative.
//   - Histogram and ExponentialHistogram: a histogram. A bucket goes to the smallest of the
//     catalog's bounds that is not below the bucket's own upper bound (the last one if there is
//     none), so that a count "≤ bound" is never too high. Without buckets all is in the last.
//   - Summary, and any kind but the declared one: over_limit_value. Quantiles cannot be merged.
//
// A point is malformed if it has no value, no temporality where its kind needs one, or buckets that
// do not fit together; over_limit_size with more than 2,048 buckets or 256 attributes;
// over_limit_value if a figure is not finite, or negative in a counter. What is unknown is
// unknown_event. An attribute's value that is not listed is (other), whatever its type.
//
// The stream of a sample is a hash over resource, scope, metric and all attributes in any order.
// A resource's declared attributes are facts and travel on the record.
//
// Logs are events. A log record that has an event_name, or else an attribute event.name, is a track of that
// name:
//   - Its attributes are the properties. An array, a map or bytes are over_limit_value where declared.
//   - The user is the attribute the catalog names under doors.logs.user; with its default user.id, else
//     enduser.id. Absent or empty: under no user.
//   - The timestamp is time_unix_nano, else observed_time_unix_nano.
//   - The attribute log.record.uid is the messageId; without it nothing tells a repetition.
//   - The body is never read.
//   - Malformed: an event name, attribute or user that is not UTF-8, a user that is neither text nor a whole
//     number, a time beyond 2262. over_limit_size: over 32 KiB without the body, or more than 256 attributes.
//
// A log record that names no event is unknown_event, but the client is not told that it was rejected: it is
// no fault to send one's logs here.
//
// There is no state on disk.
package otlp

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/record"
)

const (
	maxBody       = 4 << 20
	maxPoints     = 20_000  // of one request: 4 MB in memory
	maxFigures    = 200_000 // buckets of all points, attributes of all points: 2 MB on disk at most
	maxBuckets    = 2048
	maxAttributes = 256

	protobuf = "application/x-protobuf"
	jsonType = "application/json"
)

// Door is the door for metrics. It has no settings and no state; safe for concurrent use.
type Door struct{}

var _ intake.Door = Door{}

// Paths are what the door answers on.
func (Door) Paths() []string { return []string{"/v1/metrics"} }

// Limit is the largest body.
func (Door) Limit() int { return maxBody }

// Accepts looks at the content type.
func (Door) Accepts(h http.Header) *intake.Refusal { return accepts(h) }

func accepts(h http.Header) *intake.Refusal {
	switch media(h) {
	case protobuf, jsonType:
		return nil
	}
	return &intake.Refusal{Status: 415, Code: intake.CodeContentType, Message: "the content type is not known",
		Hint: "Try: application/x-protobuf or application/json"}
}

func media(h http.Header) string {
	given := h.Get("Content-Type")
	if given == protobuf || given == jsonType {
		return given
	}
	m, _, err := mime.ParseMediaType(given)
	if err != nil {
		return ""
	}
	return m
}

// Read reads the data points of one body.
func (Door) Read(q *intake.Request) (intake.Answer, *intake.Refusal) {
	body := q.Body
	kind := media(q.Header)
	if kind == jsonType {
		var err error
		if body, err = fromJSON(body, metricShapes()); err != nil {
			return intake.Answer{}, unreadable(err.Error())
		}
	}
	r := reader{v: q.Vocabulary, rec: q.Record, attributes: q.Attributes, buckets: q.Buckets}
	r.request(body)
	q.Attributes, q.Buckets = r.attributes, r.buckets
	switch {
	case r.bad:
		return intake.Answer{}, unreadable("the body is not an ExportMetricsServiceRequest")
	case r.tooMany():
		return intake.Answer{}, &intake.Refusal{Status: 413, Code: intake.CodeTooLarge,
			Message: "more than " + strconv.Itoa(maxPoints) + " data points, or too many buckets in them", Hint: "Try: smaller batches"}
	}
	n, message := rejected(&r.rec.RefusedSamples)
	if r.why != "" {
		message += " (" + r.why + ")"
	}
	return answer(q, kind, "rejectedDataPoints", n, message), nil
}

func unreadable(message string) *intake.Refusal {
	return &intake.Refusal{Status: 400, Code: intake.CodeUnreadable, Message: message, Hint: "Try: OTLP/HTTP 1.x"}
}

// rejected is what the client is told about: not what is off at this site.
func rejected(counts *record.Counts) (n uint64, message string) {
	var parts []string
	for i, c := range counts {
		if c != 0 && record.Reason(i) != record.Off {
			n += c
			parts = append(parts, record.Reason(i).String()+" "+strconv.FormatUint(c, 10))
		}
	}
	return n, strings.Join(parts, ", ")
}

// answer is a success, a partial one where something was rejected. member is its name in JSON.
func answer(q *intake.Request, kind, member string, n uint64, message string) intake.Answer {
	b := q.Out[:0]
	switch {
	case n == 0 && kind == jsonType:
		b = append(b, "{}"...)
	case n == 0:
	case kind == jsonType:
		b = append(b, `{"partialSuccess":{"`...)
		b = append(append(b, member...), `":"`...)
		b = strconv.AppendUint(b, n, 10)
		b = append(b, `","errorMessage":"`...)
		b = append(append(b, message...), `"}}`...) // made of our own words: nothing to escape
	default:
		partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), n)
		partial = protowire.AppendString(protowire.AppendTag(partial, 2, protowire.BytesType), message)
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), partial)
	}
	q.Out = b
	return intake.Answer{Status: 200, ContentType: kind, Body: b}
}

// Refuse answers with a google.rpc.Status in the encoding of the request.
func (Door) Refuse(h http.Header, f *intake.Refusal) intake.Answer { return refuse(h, f) }

func refuse(h http.Header, f *intake.Refusal) intake.Answer {
	message := f.Code + ": " + f.Message + ". " + f.Hint
	code := grpcCode(f.Status)
	if media(h) == protobuf {
		b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(code))
		return intake.Answer{Status: f.Status, ContentType: protobuf,
			Body: protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), message)}
	}
	b := strconv.AppendInt([]byte(`{"code":`), int64(code), 10)
	b = append(b, `,"message":`...)
	b = strconv.AppendQuote(b, strings.ToValidUTF8(message, "?")) // plain ASCII, where Go's quotes are JSON's
	return intake.Answer{Status: f.Status, ContentType: jsonType, Body: append(b, '}')}
}

// grpcCode is the google.rpc.Code that goes with a status.
func grpcCode(status int) int {
	switch {
	case status == 413:
		return 8 // RESOURCE_EXHAUSTED
	case status == 404 || status == 405:
		return 12 // UNIMPLEMENTED
	case status >= 500 || status == 408:
		return 14 // UNAVAILABLE
	}
	return 3 // INVALID_ARGUMENT
}

func validText(b []byte) bool { return utf8.Valid(b) }

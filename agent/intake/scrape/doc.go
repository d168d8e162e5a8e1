// Package scrape reads pages of metrics in Prometheus' formats from targets that the site's own
// configuration names: text 0.0.4 and 1.0.0, OpenMetrics text, and protobuf (delimited
// io.prometheus.client.MetricFamily). The readers are written by hand: protocol/adr/0007-scrape.md.
//
// What becomes of the types, where the catalog declares the metric under the family's name (for a
// counter with _total or without):
//   - counter: a cumulative counter, since its _created where the page has one.
//   - gauge, and stateset: a gauge.
//   - histogram: the classic buckets, cumulative, merged into the catalog's bounds: a bucket goes to the
//     smallest bound that is not below the bucket's own, else to the last. Of a native histogram without
//     classic buckets only sum and count are read, so all of it is in the last.
//   - summary: nothing, as quantiles cannot be merged; but its NAME_count and NAME_sum are counters
//     where the catalog declares counters of these names.
//   - untyped, unknown: a gauge or a counter, as the catalog says.
//   - gaugehistogram, info, and any type but the catalog's: over_limit_value.
//
// A series is malformed if it stands on the page twice (the first one is kept), or if it is a histogram
// whose buckets fall, are no whole numbers, or do not fit its count; over_limit_size with more than
// 64 labels or 512 buckets; over_limit_value if a figure is not finite (staleness markers too) or a
// counter is negative; unknown_event where the catalog does not declare it; off where nothing that is
// collected uses it. A page that is no such page is refused as a whole and nothing of it is counted but
// the failure: half a page would say that the other half stopped.
//
// The stream of a sample is a hash over the target's name, the metric and all labels in any order,
// declared or not. Declared labels are the attributes; others end here.
//
// Invariants:
//   - A target is reached at its own address or not at all: only loopback and private addresses are
//     dialled, which is checked after the name was looked up; redirects are not followed, proxies not
//     used, and nothing of an answer decides what is asked next.
//   - A target costs at most its timeout, 16 MiB of a page after inflating (all targets together
//     32 MiB at a time), and 10,000 series that are kept. One that hangs does not delay another.
//   - Where nothing that is on reads a metric, no target is asked.
//   - Every scrape is counted: taken, or failed with a reason.
//
// There is no state on disk.
package scrape

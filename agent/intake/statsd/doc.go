// Package statsd is the door for StatsD over UDP, with DogStatsD's tags: it reads lines, adds up what
// belongs together, and journals the sums every ten seconds.
//
//	name:value[:value…]|type[|@rate][|#tag:value,tag…][|T<unix seconds>][|c:container]
//
// What becomes of the types, where the catalog declares the metric under the line's name:
//   - c: the increment of a counter. value ÷ rate, exact where nine decimals hold the quotient, else
//     rounded there line by line, so that no order of arrival matters. A decrement is over_limit_value.
//   - g: a gauge. A value with a sign changes the one before, as in StatsD (a negative value is set by
//     setting 0 first); before the first value of a stream, and after a restart of the agent, that
//     is 0. Of what a stream shows between two flushes within a minute the lowest, the highest and
//     the last are kept, each with its moment.
//   - ms, h, d: an observation of a histogram, in the smallest of the catalog's bounds that is not below
//     it. ms is in milliseconds: where the metric's unit is "s" it is divided by 1,000, otherwise it
//     is taken as it stands, as h and d always are. A sampled one counts 1 ÷ rate times; a
//     flush rounds each bucket to a whole number.
//   - s: never read. The values of a set may be people's ids. A set is counted as off, or as
//     unknown_event.
//   - any type but that of the catalog: over_limit_value.
//
// Events (_e{) and service checks (_sc|) are counted and not read. A line is malformed if it does not
// have this form, is not UTF-8, or its rate is not in (0, 1]; over_limit_size with a name of
// more than 256 bytes or more than 256 tags; over_limit_value if a number is not finite or beyond
// ± 9.2 × 10^18. The first reason that applies counts, once for each value of the line. T is taken as the time
// of the value; more than five minutes ahead it is set to the arrival's and counted as skewed.
//
// Tags are the attributes of the metric. A tag that is not declared ends here, also as part of
// what is told apart: increments and observations are added up over it. Only gauges, whose readings cannot
// be added, stay apart by all tags and the container, through a hash.
//
// Invariants:
//   - Until the flush nothing is on disk: UDP promises nothing, and neither does this door. A
//     kill loses at most ten seconds; a stop loses nothing that has arrived at the socket.
//   - Journal and memory are bounded whatever arrives: at most 10,000 sums are kept at once, 10,000
//     gauges are remembered, and a flush is made at most once a second. What finds no room is
//     counted as lost, as what the kernel dropped is: neither is in the accounting, both are in status.
//   - Values = Journaled + Pending + Lost + all of Refused. The accounting counts samples: a sum
//     that was journaled is one, a refused value is one.
//   - Reading never waits for the disk. Where the journal does not take a flush, it is tried again.
//
// There is no state on disk.
package statsd

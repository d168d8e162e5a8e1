// Package measure is the fold: journal records in, closed windows out. It computes every
// kind of measure of the catalog as MEASURES defines it, and nothing else: what may be
// shown or leave is the egress' matter.
//
// # Invariants
//
//   - The same records in the same order give the same windows and the same checkpoint, byte
//     for byte, however often Advance is called between them and however often the fold
//     was saved and loaded. There is no clock but Record.Received.
//   - Accounting.Events.Total() is the number of events in and refused before all records applied.
//   - A window is closed once, at its end plus grace, and never changes afterwards.
//   - Sums are 128-bit decimals and sets are bitmaps: nothing depends on the order of arrival.
//
// # Runs
//
// A run is one measure under one definition, measured without a break. A changed definition
// starts a new run with its grain's next window (people: with the next month) while the old
// run finishes the windows that began before. The new run watches from the change on, so
// that lifecycle knows the window before its first, and takes over who was seen first when.
// A measure whose category is switched off loses its run and its open windows; switched on
// again it is a new run that knows nothing. A measure that leaves the catalog ends at once.
//
// # What is decided here because MEASURES leaves it open
//
//   - Each window of a traffic or machine measure decides for itself whether it is closed: an
//     event ten minutes late misses its 5m window and still counts in the day. It is counted once
//     in LateFor. Samples may be at most 48 h late, as events without a grace.
//
//   - Totals are answered from the first to the last window in which the measure matched; rolling28
//     for the days from the first to the last such event; zero lines in between. Days and hours
//     without traffic are zero lines, windows without samples or results are none.
//
//   - Zero windows are closed (Config.Closed) for people at all Grains and for traffic counts by
//     day; 5m and hour windows of traffic exist only where something happened.
//
//   - A user's being forgotten is judged at the next thing they do: by its own time for activity,
//     by its receipt otherwise.
//
//   - Gauge: a sample's value holds until the next sample of the same stream or the
//     window's end. It is not carried into the next window: the time before the first
//     sample of a stream in a window does not count, a gap after one counts with its value. Over
//     several streams min and max are those of all samples, last is the latest sample's
//     (of equal times that of the higher stream id; within a stream the later arrival), mean weighs every stream's held time.
//
//   - Counter: the increase between two samples belongs to the later one. A value that fell, or
//     a later start of accumulation, is a reset: the new value is the increase. The first
//     sample of a stream counts only if its accumulation began after the fold's first record. A
//     cumulative sample that is not newer than the one before says nothing and is LateFor. A stream
//     that is silent for 7 days is forgotten. Histograms likewise, bucket by bucket.
//
//   - Availability: times are cut to whole seconds, intervals rounded up. An incident begins with a
//     down result and ends with an up one; unknown time and maintenance neither begin nor end it.
//
//   - Fact: the value received last. A change is a window of its own, named by its second (a
//     second change within it by the next free one); the day's window holds the value known when
//     it closes, 60 s after its end, and nothing before a value was ever known.
//
//   - An slo over events counts good and valid by their own selectors; over counters it counts whole
//     increases.
//
//   - Funnel: an open window shows the entries whose W has passed by now (entry + W ≤ now). (other) is a
//     value that can be followed, (none) is not. What was an entry when its block of four weeks closed
//     stays one, whoever alias joins to it later. A new definition knows who entered under the old
//     one as long as its first step (and what it follows) is the same.
//
//   - Transitions and sufficient have lines only where there is a figure; sufficient counts events
//     without a user, as count does.
//
//   - Stickiness, adoption and seats have lines as rolling28 of active_users has: from the day of the first
//     to the day of the last match of somebody who counts (seats by day too).
//
//   - Seats: the numbers are the last that were received before the window closed; a day is at the cap by
//     the number known at its own end. An hour that midnight cuts counts for each day by itself and for
//     a window of 28 days whole.
//
//   - first_time: people without an id do not count. Who counts is judged when a record has been applied whole;
//     somebody who counts only later, by a trait or an alias, makes their first match known then. The time
//     can only become shorter.
//
// # Retention
//
// One week that closes says something of 27 cohorts: the size of its own and one figure of each of the 26
// before it. Each of these is a window of its own (Window.Start the cohort, Window.Offset the weeks since,
// one cell, there also when it is 0), handed on from the oldest cohort to the youngest; then, when the
// week is the last of a block's that such a figure waits for, the block's. Cohorts begin with the first
// week or block that starts at or after started + 28 days; nothing is handed on of earlier ones. History keeps
// them as it keeps every window that is not zero, several under one start; a query puts them together.
//
// # Cost
//
// 60 measures, 100,000 users (BenchmarkState): sealed days are bytes, an alias moves nothing, a minute's
// checkpoint writes the sections it changed. Step closes one window at a time for those who hold a lock.
// A silence of more than three years is told of but for its last year: see leapMost.
//
// # States on disk
//
// None: package history writes what Sections gives.
package measure

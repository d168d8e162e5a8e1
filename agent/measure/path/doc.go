// Package path computes what depends on the order of a user's events: funnels, transitions, and,
// because it is as small, the sums an experiment needs (kind sufficient). One State belongs to
// one measure.
//
// Events come late (within their grace), twice (package dedupe sees to that) and under names that
// alias joins afterwards. So nothing is counted when an event arrives: a user's matches are
// kept in order of time, then journal, and a window's figures are made from them when it
// closes, as who is who is known then.
//
// # What bounds the memory
//
// A match is 16 bytes (24 with correlate). Matches before every window that is still to close are
// dropped (Prune); of them stays only what decides whether a later one counts: who has entered
// (a bitmap), who has had the match that must come before (a bitmap), with entry each the last entry.
// When the matches of all users reach Config.Keep (then twice what is left), they are thinned: of what
// is settled — older than the longest grace, so that no event of its user can come between — a
// funnel keeps only the matches that some way from an entry uses, and transitions only
// their counts by day. The result stays exactly the same; the tests hold it against a
// computation that never drops anything. So a measure costs Keep matches (8 MB), or, where more than that
// arrive within one grace, at most twice these: with 48 h, 100,000 a day are 200,000 matches or 3.2 MB,
// whoever sends them. Above Most matches further ones of a user are refused and counted.
//
// What thinning can change is only what alias joins later: when two persons' events
// interleave in time and lie back longer than the grace, on a site that had reached Keep, a match that was
// of no use to its user alone may be missing for both together.
//
// # Invariants
//
//   - A figure depends on the matches, their times and their order in the journal, never on when
//     they arrived within their grace; equal times are in journal order.
//   - Of the property that a funnel follows only a 64-bit hash is kept. A listed value is its
//     index: (other) is a value like every other, a missing one matches nothing.
//   - before holds or not for the event that the last step takes; the step does not look for
//     a later one.
//   - A user without a number (an event without userId) has no way: only sums count them.
//   - Sums are decimals: Σx and Σy of nine places in 128 bits, squares and products of eighteen in
//     256, which 2^69 observations of the largest number that a record holds do not fill. There is
//     no float before a cell is made.
//   - The same calls give the same bytes of Save.
//
// It keeps nothing on disk but what Save writes.
package path

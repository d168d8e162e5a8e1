// Package relate knows what the counts of people of a site have to do with one another: which are parts of which,
// which add up, which are unions, within a block of four weeks, between blocks and over cohorts. It
// turns a catalog into a Plan and what was told into a Model of numbers and relations, which
// package audit bounds.
//
// Invariants: a measure has a number only if its relation to every other one is of a kind that brute force over
// sets of people has confirmed (brute_test.go); otherwise it is refused with a reason. What may be
// asked, and the book of its answers, depends on the catalog, the group sizes and earlier
// answers alone. What was told is kept for two years.
//
// The proof is protocol/adr/0009-auditor.md. The package keeps no state on disk: its caller commits Save.
package relate

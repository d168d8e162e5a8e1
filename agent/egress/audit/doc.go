// Package audit bounds what can be concluded about counts of people from everything that was told of
// them, and cuts code books so that no answer concludes too much.
//
// A System holds one whole number for every count that matters (a cell, a total, a complement, what is
// left of a set without its subset), told or not, each with the interval it is known to lie in,
// and linear relations between them. Bounds follows from the relations by propagation of bounds
// (Apt, Principles of Constraint Programming, 2003, chapter 6: linear constraints over intervals of
// integers) and by probing (assume a bound; if that contradicts the relations, the bound moves):
// shaving, or singleton consistency, of the same literature.
//
// # The principle (PRIVACY)
//
// After every possible answer, every protected number is one of: what was public before anything
// was told; exact, with it and the rest of its group each at least the least number allowed; or
// known only to an interval of at least Width values.
//
// # Code books
//
// A Book is cut before the value is looked up: it depends on relations, group sizes and earlier
// answers only. Templates are tried from fine to coarse (single values, fives, bands, thirds of the
// group) and neighbours merged until each answer keeps the principle in every System given
// (the group as named and the group a fifth smaller). A book of fewer than two answers tells nothing.
//
// # Why it is enough to look at the intervals
//
// The relations of trees of sets (partitions, ladders, unions over disjoint kinds of events) describe
// exactly the sizes that sets of people can have: a vector of sizes fulfils them if and only if there
// are such sets (proved in protocol/adr/0009-auditor.md). So what follows from them is what an attacker
// who knows the algorithm can conclude; and because the book does not depend on the value, the
// choice of form tells nothing more.
//
// The package keeps no state on disk and knows no catalog.
package audit

// Width is how many values an answer, and everything that follows from it, must leave open.
const Width = 5

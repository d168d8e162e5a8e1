// Package signals tells change from noise, season and holidays, and says what a change looks like.
//
// It is for series of weeks or blocks of four weeks whose figures are intervals: what was told of people is an interval,
// and every statement here is made of intervals alone. A statement about people is therefore post-processing of what
// was told already and tells nothing more (Dwork and Roth 2014, proposition 2.1, in the language of noise; for
// intervals it is plain: whoever has the intervals can compute it). protocol/adr/0011-signals.md has the words.
//
// The methods: STL for season (Cleveland, Cleveland, McRae and Terpenning 1990), PELT for change points (Killick,
// Fearnhead and Eckley 2012), Hampel's identifier for holidays and bursts, interval arithmetic (Moore 1966) for
// what may be said.
//
// Invariants: a direction, a size or an answer is given only where it holds for every series of figures that lie in the
// intervals; the rest is Unknown. Equal intervals give equal statements. Everything here is a pure function: the package
// keeps no state, on disk or elsewhere.
package signals

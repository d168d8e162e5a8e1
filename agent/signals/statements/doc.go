// Package statements keeps the answers that were given about the measures that signals of change and environment look at, and
// makes the statements of those kinds from them.
//
// Of people it is given nothing but answers in the form they were told in, and it has no other way to a figure: a statement
// is a function of answers, so it tells nothing that they do not. What is shipped uses only answers that left
// themselves and that consent still covers; of traffic and machines the exact figures of whole days, which are sums
// of what left. A statement is made once for a block of four weeks, a week (the longest grace) after it ended, and then
// stands.
//
// The package keeps no state on disk: its caller commits Save.
package statements

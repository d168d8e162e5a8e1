// Package footprint keeps the running agent small on the customer's machine.
//
// Of what a small idle Go program holds in memory, most is its own file, mapped in pieces of 64
// KiB as its code is reached, and most of that is reached once, while it starts. Trim unmaps it.
// Code that is needed again comes back from the kernel's file cache by a page fault; what is
// not, the kernel may now forget, which it would not do with mapped pages.
//
// Invariant: only the program's code is touched, which nothing ever writes to; never its data.
// Nothing is kept on disk.
package footprint

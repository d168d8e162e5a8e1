// Package durable is the only code of Fieldpost that renames or fsyncs:
// atomic file replacement, a lock per state directory, and an append log with
// group commit.
package durable

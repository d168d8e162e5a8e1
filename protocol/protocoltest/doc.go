// Package protocoltest is what the tests of both ends share about the protocol: golden
// vectors of batches, a realistic workload, keys and headers that fit together.
//
// Invariants: everything is deterministic; the vectors are bytes on disk under
// testdata/vectors, NAME.bin beside NAME.json that says what is in it, and change only by
// `go test ./protocol/protocoltest -run Golden -update`. It is used by tests only.
package protocoltest

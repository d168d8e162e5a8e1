// Package intake is where events and samples come in: one HTTP server, the words it
// understands (Vocabulary), the clock that dates what arrives, and the limits. The
// protocols are doors (agent/intake/segment, agent/intake/otlp), given to New by whoever wires
// the agent.
//
// Invariants:
//   - A 200 is written only after the journal has said that the record is on disk.
//   - Only what the vocabulary declares reaches a record. Names, addresses, free text
//     and undeclared properties end in the door.
//   - Every event and sample of a request that could be read is on the record that
//     is journaled: itself, or as a count under the first reason of MEASURES that applies. So
//     the accounting is a fold of the journal. What could not be read as a request (400, 401,
//     413, 415) holds no events that could be counted; it is counted as requests, by code.
//   - Memory: the bodies being read or processed take at most Config.MaxInFlight bytes; what
//     comes beyond gets a 503 with Retry-After at once. Nothing waits in a queue
//     except for the disk.
//   - The product never suffers: without a catalog or without consent everything is counted
//     as off and answered with 200.
//
// There is no state on disk.
package intake

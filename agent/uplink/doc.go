// Package uplink speaks with the collector: it joins, checks in and sends batches, and it
// believes nothing that the collector's application key has not signed.
//
// Invariants:
//
//   - Silence by default: no name is looked up and no connection opened before Join,
//     CheckIn, Send or Drain is called.
//   - One function, Decide, turns an answer into what is done. Only signed answers move a
//     batch; everything else, a 200 with a page of HTML included, is a middlebox and counts
//     as unreachable.
//   - The secret of a token never travels; a join proves it by a signature.
//   - One batch is in flight at a time, so every epoch is ordered. Retries send the same
//     bytes.
//   - Bounded: request and answer sizes, every timeout, at most three quick tries; after
//     that RetryIn says how long the caller waits: exponentially up to 15 minutes with jitter,
//     longer only when the collector itself asks (Retry-After, at most one hour).
//
// It keeps nothing on disk. What waits is behind the Queue; the outbox is one.
package uplink

// Package ledger is the verifiable record of everything that ever left: every batch byte
// for byte with its receipt, every check-in, every decision about consent, every use of
// exact figures at the site, and every batch that was refused, with the reason.
//
// Invariants:
//
//   - Append-only. An entry names the hash of the one before, so that an altered, removed
//     or reordered entry is found by Verify, which says where.
//   - What Settle returned nil for is on disk, batch and receipt in one record.
//   - A batch is settled once: Settle of the same (epoch, seq, hash) again changes nothing,
//     so a crash between Settle and the outbox's removal of its file is harmless.
//   - Bounded: entries older than Retention (400 days) go, and older ones before, in whole
//     segments, when the disk cap is reached. That they went is itself an entry. A trimmed
//     ledger verifies: the oldest entry left may be any up to the one the last trim names.
//
// On disk, in one folder: `entries/`, the segments of a durable.Log (one record per entry),
// and `head`, which names an entry that was on disk when it was written (at every 64th entry
// and at Close), so that a cut-off tail is found too, and what was trimmed with its counts.
// A record is
//
//	version(1) prev(32) length(uvarint) meta(JSON) wire
//
// and its hash is SHA-256 over "fieldpost/ledger/v1\0" and the record.
//
// Crash points. Between Append and the outbox's removal: the batch is in both; the outbox
// asks for it and drops its file. Between an entry and `head`: head is older than the log,
// which is allowed. Before trimming, the head says what may be missing; the
// dated entry about it follows, at the next start if need be.
//
// What Verify cannot find: somebody with the agent's own rights who rewrites the whole
// chain and the head. The receipts inside are signed by the collector, so even they cannot
// invent or alter one.
package ledger

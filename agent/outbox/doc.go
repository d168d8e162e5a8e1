// Package outbox keeps what may leave until the collector has it: closed, judged cells on
// the shelf, and frozen batches in files.
//
// Cut late: cells wait on the shelf, small and in memory, until Freeze cuts them into
// signed batches of at most 256 KiB. Frozen bytes never change; retries send the same.
//
// Invariants:
//
//   - A window of a series is on the shelf or in one batch, never in two: the shelf refuses
//     what it holds and, after a crash, what batches newer than the checkpoint hold.
//   - frozen = acknowledged + waiting here + quarantined(reason) + missing, always. missing
//     is not nought only after files were taken away from outside.
//   - Within an epoch seq counts from 1 without gaps and each batch carries the hash of the
//     one before. An epoch is never continued after its recorded head and the newest batch
//     disagree (a restored backup): a new one opens.
//   - Bounded: the shelf by MaxShelf, the files by MaxFrozen. What the shelf has no room for
//     is refused and counted; what the files have no room for stays on the shelf.
//
// On disk, below Dir:
//
//	head                    the epochs, newest last, each with its last seq and hash
//	<epoch>/<seq>.batch     frozen, never handed to the uplink (seq: 20 digits)
//	<epoch>/<seq>.sent      handed to the uplink at least once: it may have left
//
// A settled batch is in the ledger (the Archive) and no longer here. The shelf has no file:
// Save gives its bytes, which the agent commits together with the fold's checkpoint.
//
// Crash points, and what Open does:
//
//  1. Batch file written, head not: the newest files link to the head by their hashes; they
//     are taken as they are.
//  2. Batch frozen, checkpoint not: the shelf of the old checkpoint and the journal bring the
//     same cells again. Open reads back all batches newer than the mark in the checkpoint,
//     from files and ledger, and the shelf refuses their windows until Replayed.
//  3. Epoch recorded in head, no batch yet: it is used by the next Freeze.
//  4. File renamed to .sent, not sent: it is sent again; the collector knows it by its hash.
//  5. Settled in the ledger, file not removed: Open removes it.
//  6. In the middle of closing an epoch (its waiting cells move to a new one): the new epoch
//     says in its open record that the ones before are closed, so Open finds waiting files in
//     a closed epoch and goes on, leaving out the windows the new epoch already holds.
//  7. A temporary file: removed.
//  8. In the middle of Withdraw: as 6, but what to leave out is known only to the caller, who
//     therefore calls Withdraw with the statement in force after every Open and before Next.
package outbox

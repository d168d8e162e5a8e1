package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/protocol/durable"
)

// MaxAge is how long an event stays at most once it is measured, at any rate of events, while the
// agent runs. The two constants below stay well under it.
const MaxAge = 7 * 24 * time.Hour

const (
	// rotateAfter is when the oldest segment, full or not, makes place for a new one. Measured
	// records are of no more use, so sooner is better; an hour costs a quiet agent five syncs beside
	// the sixty of its clock's records.
	rotateAfter = time.Hour
	// dropAfter is how long damaged bytes are kept for a person to look at. They may hold events
	// that were in the journal for a while before the damage was found.
	dropAfter = MaxAge - 24*time.Hour
)

// WarnAge is the code of the warning that measured records could not be let go in time.
const WarnAge = "journal_age"

// WarnUnreadable is the code of the warning that records did not open.
const WarnUnreadable = "journal_unreadable"

// aging is what Trim remembers of the oldest segment. Guarded by its users: one Trim at a time.
type aging struct {
	first uint64
	since time.Time // when it was first seen; zero: it was there before this process
}

// Trim lets go of records before no, which a checkpoint on disk has made unnecessary: whole segments
// at once, the newest one after an hour (it is ended first, and goes with a later Trim, when there
// is a newer record), and what was kept of damage after six days. To be called after every checkpoint.
// A disk that refuses is a warning of Health and tried again by the next Trim: nothing is lost by it.
// The only error is durable.ErrClosed.
func (j *Journal) Trim(no uint64) error {
	j.trimming.Lock()
	defer j.trimming.Unlock()
	now := j.now()
	err := j.log.TrimBefore(no)
	if err == nil { // else another segment would only take room
		err = j.rotate(no, now)
	}
	err = errors.Join(err, j.log.DropKept(func(written time.Time) bool {
		// Bytes from the future are the debris of a wrong clock; they would stay for too long.
		return now.Sub(written) >= dropAfter || written.Sub(now) > time.Hour
	}))
	if errors.Is(err, durable.ErrClosed) {
		return fmt.Errorf("trimming the journal: %w", durable.ErrClosed)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tooOld = err
	return nil
}

// Cut ends the newest segment: once a further record is on disk and was measured, Purge can take all that
// were there before.
func (j *Journal) Cut(ctx context.Context) error {
	if err := j.log.Rotate(ctx); err != nil {
		return fmt.Errorf("cutting the journal: %w", err)
	}
	return nil
}

// Purge is Trim for those who must know that it happened, by Cut before: on nil every segment whose records
// all come before no is gone, and all that was kept of damage.
func (j *Journal) Purge(no uint64) error {
	j.trimming.Lock()
	defer j.trimming.Unlock()
	err := errors.Join(j.log.TrimBefore(no), j.log.DropKept(func(time.Time) bool { return true }))
	if err != nil {
		return fmt.Errorf("purging the journal: %w", err)
	}
	return nil
}

func (j *Journal) rotate(no uint64, now time.Time) error {
	first := j.log.First()
	if first >= no {
		return nil // nothing here was measured
	}
	if j.age.first != first {
		j.age = aging{first, now}
	}
	if apart(j.age.since, now) < rotateAfter {
		return nil
	}
	if err := j.log.Rotate(context.Background()); err != nil {
		return err
	}
	j.age.since = now
	return nil
}

// apart is how much time passed by the wall clock, in either direction, or by the monotonic one,
// whichever says more: the first may be set back, the second stands still while a machine sleeps.
func apart(a, b time.Time) time.Duration {
	return max(b.Sub(a), b.Round(0).Sub(a.Round(0)).Abs())
}

// Health is what the site should know; empty means healthy.
func (j *Journal) Health() []durable.Warning {
	w := j.log.Health()
	if n := j.undecodable.Load(); n > 0 {
		w = append(w, durable.Warning{Code: WarnUnreadable, Cause: fmt.Sprintf("%d records of the journal could not be opened and were passed over: they were damaged or altered", n),
			Remedy: "Check the disk's health and who can write to the state directory; everything else in the journal is intact."})
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.tooOld != nil {
		w = append(w, durable.Warning{Code: WarnAge, Cause: "events that were measured could not be removed: " + j.tooOld.Error(),
			Remedy: "It is tried again every few minutes; check the disk and its free room if it stays."})
	}
	return w
}

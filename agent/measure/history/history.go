// Package history keeps a fold's checkpoint and its closed windows on disk.
package history

import (
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// Config of a Store.
type Config struct {
	Measure  measure.Config // Past is set by the Store
	FS       durable.FS     // default durable.OS()
	Keep5m   time.Duration  // default 8 days
	KeepHour time.Duration  // default 400 days
}

// Store is a fold with its state on disk.
type Store struct{ fold *measure.Fold }

// Restore opens the store in dir, creating it if need be, at its last checkpoint.
func Restore(dir string, cfg Config) (*Store, error) { return nil, errors.ErrUnsupported }

// Fold is the fold at the checkpoint; apply records after Position to it.
func (s *Store) Fold() *measure.Fold { return s.fold }

// Position is the journal position of the last checkpoint; 0 when there is none.
func (s *Store) Position() uint64 { return 0 }

// Extra is what the caller added to the last checkpoint.
func (s *Store) Extra() []byte { return nil }

// Checkpoint writes the fold's state, its closed windows, the journal position and extra as one step.
func (s *Store) Checkpoint(position uint64, extra []byte) error { return errors.ErrUnsupported }

// Package measure is the fold.
package measure

import (
	"errors"
	"io"

	"github.com/fieldpost/fieldpost/agent/record"
)

// Fold computes measures from journal records. Not safe for concurrent use.
type Fold struct{ cfg Config }

// New returns an empty fold.
func New(cfg Config) *Fold { return &Fold{cfg: cfg} }

// Apply folds in the journal record with number no; first it advances to r.Received. The
// record is not kept.
func (f *Fold) Apply(no uint64, r *record.Record) error { return errors.ErrUnsupported }

// Advance closes what is due at now (unix ns).
func (f *Fold) Advance(now int64) {}

// Position is the number of the last record applied.
func (f *Fold) Position() uint64 { return 0 }

// Query returns lines sorted by start, then dims.
func (f *Fold) Query(q Query) ([]Line, error) { return nil, errors.ErrUnsupported }

// Accounting says what became of everything received.
func (f *Fold) Accounting() Accounting { return Accounting{} }

// Known is the number of users known at now (unix ns) who are not under not_people.
func (f *Fold) Known(now int64) int { return 0 }

// Burn is the burn rate of an slo; false when the measure is none or has a person as subject.
func (f *Fold) Burn(measure string) (Burn, bool) { return Burn{}, false }

// TakeClosed hands over the closed windows the fold still holds; they are then Past's.
func (f *Fold) TakeClosed() []Stored { return nil }

// Save writes the state; the same state gives the same bytes.
func (f *Fold) Save(w io.Writer) error { return errors.ErrUnsupported }

// Load replaces the state by a saved one.
func (f *Fold) Load(r io.Reader) error { return errors.ErrUnsupported }

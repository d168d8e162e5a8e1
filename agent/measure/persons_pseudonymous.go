//go:build pseudonymous

package measure

import "github.com/fieldpost/fieldpost/agent/measure/persons"

// Persons reads what the fold holds person by person.
func (f *Fold) Persons() persons.Reader { return persons.Reader{World: &f.w, Runs: f.runs} }

//go:build !pseudonymous

package agent

import (
	"context"
	"encoding/json"

	"github.com/fieldpost/fieldpost/agent/measure"
	"github.com/fieldpost/fieldpost/agent/record"
)

// extra is nothing, but in a build with a tag of its own.
type extra struct{}

func (extra) load(json.RawMessage) error           { return nil }
func (extra) save(*Agent) (json.RawMessage, error) { return nil, nil }
func (extra) closed(*Agent, *measure.Window)       {}
func (extra) forget(*Agent, *record.Record)        {}
func (extra) applied(*Agent, *record.Record)       {}
func (extra) serve(context.Context, *Agent) error  { return nil }

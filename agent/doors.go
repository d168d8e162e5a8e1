package agent

import (
	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/cloudevents"
	"github.com/fieldpost/fieldpost/agent/intake/otlp"
	"github.com/fieldpost/fieldpost/agent/intake/posthog"
	"github.com/fieldpost/fieldpost/agent/intake/segment"
)

// doors are the protocols the product may speak over HTTP.
func (a *Agent) doors() []intake.Door {
	keys := a.cfg.Settings.WriteKeys
	return []intake.Door{
		segment.New(segment.Config{WriteKeys: keys}),
		posthog.New(posthog.Config{WriteKeys: keys}),
		cloudevents.New(),
		otlp.Door{},
		otlp.NewLogs(),
	}
}

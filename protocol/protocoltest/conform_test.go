package protocoltest

import "testing"

func TestFakeCollectorConforms(t *testing.T) {
	ConformCollector(t, func(t *testing.T) Collector { return NewFakeCollector(t, FakeConfig{}).Collector() })
}

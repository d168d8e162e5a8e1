package series

import (
	"maps"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/agent/measure/wire"
)

// StreamKey names a stream: a metric of the catalog and who sends it.
type StreamKey struct {
	Metric string
	ID     [8]byte
}

// SaveStreams writes streams in the order of their keys.
func SaveStreams(w *wire.Writer, streams map[StreamKey]*Stream) {
	keys := slices.SortedFunc(maps.Keys(streams), func(a, b StreamKey) int {
		if c := strings.Compare(a.Metric, b.Metric); c != 0 {
			return c
		}
		return strings.Compare(string(a.ID[:]), string(b.ID[:]))
	})
	w.Uint(uint64(len(keys)))
	for _, k := range keys {
		w.String(k.Metric)
		w.Raw(k.ID[:])
		streams[k].Save(w)
	}
}

// LoadStreams reads what SaveStreams wrote.
func LoadStreams(r *wire.Reader) map[StreamKey]*Stream {
	streams := map[StreamKey]*Stream{}
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		k := StreamKey{Metric: r.String()}
		r.Raw(k.ID[:])
		streams[k] = LoadStream(r)
	}
	return streams
}

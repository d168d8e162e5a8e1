package footprint

import (
	"context"
	"log/slog"
	"time"
)

// trimAfter is when the start is over: the console has been looked at, the first delivery is made.
const trimAfter = 5 * time.Second

// TrimLater gives back, once, what only the start needed. An agent that cannot is only larger.
func TrimLater(ctx context.Context, log *slog.Logger) error {
	select {
	case <-ctx.Done():
	case <-time.After(trimAfter):
		if err := Trim(); err != nil {
			log.Debug("giving back memory", "error", err)
		}
	}
	return nil
}

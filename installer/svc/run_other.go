//go:build !windows

package svc

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"syscall"
)

func runManaged(ctx context.Context, _ string, fn func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the default action returns, so that a second one
	// ends a shutdown that hangs.
	context.AfterFunc(ctx, stop)
	return fn(ctx)
}

// prepareState makes the state directory and gives it to the service's user.
func prepareState(dir, owner, _ string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	if owner == "" {
		return nil
	}
	u, err := user.Lookup(owner)
	if err != nil {
		return fmt.Errorf("looking up user %s: %w", owner, err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return fmt.Errorf("reading the id of user %s: %w", owner, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return fmt.Errorf("reading the group of user %s: %w", owner, err)
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return fmt.Errorf("giving %s to %s: %w", dir, owner, err)
	}
	return nil
}

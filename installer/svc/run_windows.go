package svc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	winsvc "golang.org/x/sys/windows/svc"
)

func runManaged(ctx context.Context, name string, fn func(context.Context) error) error {
	managed, err := winsvc.IsWindowsService()
	if err != nil {
		return fmt.Errorf("asking whether the service manager started this: %w", err)
	}
	if !managed {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
		defer stop()
		context.AfterFunc(ctx, stop)
		return fn(ctx)
	}
	h := &handler{ctx: ctx, fn: fn}
	if err := winsvc.Run(name, h); err != nil {
		return fmt.Errorf("running service %s: %w", name, err)
	}
	return h.err
}

// handler runs fn for the service control manager. It ends when fn ends, so
// that a program that failed is seen and restarted.
type handler struct {
	ctx context.Context
	fn  func(context.Context) error
	err error // written by Execute, read after Run has returned
}

func (h *handler) Execute(_ []string, requests <-chan winsvc.ChangeRequest, changes chan<- winsvc.Status) (bool, uint32) {
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- h.fn(ctx) }()
	changes <- winsvc.Status{State: winsvc.Running, Accepts: winsvc.AcceptStop | winsvc.AcceptShutdown}
	for {
		select {
		case h.err = <-done:
			changes <- winsvc.Status{State: winsvc.StopPending}
			if h.err != nil {
				return true, 1
			}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case winsvc.Interrogate:
				changes <- r.CurrentStatus
			case winsvc.Stop, winsvc.Shutdown:
				changes <- winsvc.Status{State: winsvc.StopPending, WaitHint: 30_000}
				cancel()
			}
		}
	}
}

// prepareState makes the state directory and closes it to everyone but the
// service's account, administrators and the system.
func prepareState(dir, account, name string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	for _, c := range [][]string{
		{"sc.exe", "sidtype", name, "unrestricted"},
		{"sc.exe", "privs", name, "SeChangeNotifyPrivilege"},
		{"icacls.exe", dir, "/inheritance:r", "/grant:r", account + ":(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F", "*S-1-5-18:(OI)(CI)F"},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("running %s: %w: %s", c[0], err, out)
		}
	}
	return nil
}

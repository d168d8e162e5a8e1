// Package sys is what protocol/durable needs of each operating system: opening
// without following links, syncing, reserving room, locking. It keeps no state;
// its invariant is that every function means the same on all of them, or says
// where it cannot.
package sys

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// control runs fn on the file's descriptor without taking it out of the
// runtime's hands.
func control(f *os.File, fn func(fd uintptr) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("reaching the descriptor: %w", err)
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = fn(fd) }); err != nil {
		return err
	}
	return inner
}

// NoSpace tells a full disk or quota, which passes when somebody makes room,
// from a broken one, which does not.
func NoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || noSpaceHere(err)
}

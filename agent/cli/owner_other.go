//go:build !unix

package cli

// giveBack has nothing to do where files belong to who runs the service by inheritance.
func giveBack(string) error { return nil }

//go:build !pseudonymous

package cli

import "github.com/spf13/cobra"

// moreCmds are those of a build with a tag of its own: none, here.
func (a *app) moreCmds() []*cobra.Command { return nil }

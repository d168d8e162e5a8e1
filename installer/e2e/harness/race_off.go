//go:build !race

package harness

// race: the programs are built with the race detector when the tests are.
const race = false

// Package privacy holds PRIVACY's proofs for what leaves so far, on the whole agent: Silence (a
// packet capture), Canary (a marked string in every field of every input), NonInterference (two
// histories that differ only in who people are) and Subset (what leaves is in the catalog and
// covered by the consent). There is no state on disk outside the tests' temporary folders.
package privacy

import (
	"flag"
	"os"
	"testing"

	"github.com/fieldpost/fieldpost/installer/e2e/harness"
)

func TestMain(m *testing.M) {
	// A history takes about a second of one core; more of them: -rapid.checks=1000.
	if err := flag.Set("rapid.checks", "12"); err != nil {
		panic(err)
	}
	if err := flag.Set("rapid.shrinktime", "5s"); err != nil {
		panic(err)
	}
	if err := flag.Set("rapid.nofailfile", "true"); err != nil { // the seed it prints is enough
		panic(err)
	}
	os.Exit(harness.Main(m, "fieldpost-agent", "fieldpost-collector"))
}

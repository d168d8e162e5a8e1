//go:build pseudonymous

package record

// Person is one person's figures of one measure and window.
type Person struct {
	Names  []string                 // as the product knows them, the first one first
	Trait  func(name string) string // the value of a trait; "": never received
	First  int64                    // local day of the first activity ever seen
	Events uint64                   // 0 where the measure's kind does not count them
	Days   int                      // local days of the window with activity
}

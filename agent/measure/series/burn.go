package series

import "time"

// BurnPair is one pair of windows of a burn rate alert.
type BurnPair struct {
	Short, Long           time.Duration
	ShortRate, LongRate   float64 // 1: the budget is used up exactly at the end of the slo's window
	ShortValid, LongValid int64
	Known                 bool // both have at least min_valid valid events
}

// Burn is how fast an slo's budget burns now: rates over 5m/1h, 30m/6h and 6h/3d (Google,
// The Site Reliability Workbook, chapter 5).
type Burn struct {
	Measure  string
	Target   float64
	MinValid int64
	Pairs    [3]BurnPair
}

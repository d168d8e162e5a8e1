package event

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// time.Parse is the judge for RFC 3339.
func TestTimesAgreeWithTimeParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`(19[5-9][0-9]|20[0-9][0-9])-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][01][0-9]:[0-5][0-9])`),
			rapid.Custom(func(t *rapid.T) string {
				at := time.Unix(rapid.Int64Range(-1e9, 4e9).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns"))
				return at.In(time.FixedZone("", rapid.IntRange(-14*60, 14*60).Draw(t, "zone")*60)).Format(time.RFC3339Nano)
			}),
		).Draw(t, "time")
		want, err := time.Parse(time.RFC3339Nano, text)
		got, ok := parseTime([]byte(text))
		if ok != (err == nil) || ok && got != want.UnixNano() {
			t.Fatalf("%s: got %d %v, want %d %v", text, got, ok, want.UnixNano(), err)
		}
	})
}

func TestTimesAsSDKsWriteThem(t *testing.T) {
	want := time.Date(2026, 3, 2, 11, 59, 58, 123e6, time.UTC).UnixNano()
	for _, s := range []string{"2026-03-02T11:59:58.123Z", "2026-03-02t11:59:58.123z", "2026-03-02 11:59:58.123Z", "2026-03-02T12:59:58.123+0100",
		"2026-03-02T11:59:58,123+00:00", "2026-03-02T06:29:58.12300000000000-05:30"} {
		if got, ok := parseTime([]byte(s)); !ok || got != want {
			t.Errorf("%s: %d %v", s, got, ok)
		}
	}
	for s, want := range map[string]time.Time{"2020-02-29": time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC), "2016-12-31T23:59:60Z": time.Date(2016, 12, 31, 23, 59, 59, 0, time.UTC)} {
		if got, ok := parseTime([]byte(s)); !ok || got != want.UnixNano() {
			t.Errorf("%s: %d %v", s, got, ok)
		}
	}
	for s, want := range map[string]int64{"0001-01-01T00:00:00Z": earliest, "9999-12-31T23:59:59Z": latest} {
		if got, ok := parseTime([]byte(s)); !ok || got != want {
			t.Errorf("%s: %d %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "2026", "2026-03", "2026-3-2", "2026-03-02T", "2026-03-02T11:59Z", "2026-03-02T11:59:58", "2026-03-02T11:59:58.Z", "2026-03-02T24:00:00Z",
		"2026-03-02T11:60:00Z", "2026-13-02", "2026-00-02", "2026-02-29", "2026-03-02T11:59:58Zx", "2026-03-02T11:59:58+1", "2026-03-02T11:59:58+01:60", "2026-03-02T11:59:58+24:00", "now", "1700000000"} {
		if got, ok := parseTime([]byte(s)); ok {
			t.Errorf("%s was read as %d", s, got)
		}
	}
}

func TestEventTimeFollowsTheRules(t *testing.T) {
	const minute = int64(time.Minute)
	const now = int64(1_700_000_000_000_000_000)
	for name, c := range map[string]struct {
		timestamp, sentAt   int64
		stamped, sent, skew bool
		want                int64
	}{
		"nothing given":             {0, now - 60*minute, false, true, false, now},
		"as it was":                 {now - 60*minute, 0, true, false, false, now - 60*minute},
		"clock right":               {now - 60*minute, now - 5*minute, true, true, false, now - 60*minute},
		"clock behind":              {now - 60*minute, now - 6*minute, true, true, false, now - 54*minute},
		"clock ahead":               {now + 60*minute, now + 61*minute, true, true, false, now - minute},
		"a little early":            {now + 5*minute, 0, true, false, false, now + 5*minute},
		"from the future":           {now + 5*minute + 1, 0, true, false, true, now},
		"from after it was sent":    {now + 90*minute, now + 61*minute, true, true, true, now},
		"before anyone counted":     {earliest, 0, true, false, false, 0},
		"sent before anyone":        {earliest, earliest, true, true, false, now},
		"sent at the end of days":   {latest, latest, true, true, false, now},
		"old, sent at the same end": {earliest, latest, true, true, false, 0},
	} {
		if got, skewed := eventTime(c.timestamp, c.stamped, c.sentAt, c.sent, now); got != c.want || skewed != c.skew {
			t.Errorf("%s: got %d %v, want %d %v", name, got-now, skewed, c.want-now, c.skew)
		}
	}
}

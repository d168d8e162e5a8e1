package egress

import "testing"

func TestRoundGroup(t *testing.T) {
	for n, want := range map[int]int{0: 0, 8: 0, 9: 9, 11: 9, 12: 12, 13: 12, 14: 14, 24: 20, 99: 80, 100: 100, 139: 100, 140: 140, 199: 140, 200: 200, 1490: 1400, 12500: 10000} {
		if got := roundGroup(n); got != want {
			t.Errorf("roundGroup(%d) = %d, want %d", n, got, want)
		}
	}
}

package identity

import "testing"

// The identities stand in journals: these numbers may never change.
func TestIdentitiesStayWhatTheyWere(t *testing.T) {
	// SHA-256("") = e3b0c442 98fc1c14 …, SHA-256("abc") = ba7816bf 8f01cfea …, read from the lowest byte on.
	for text, want := range map[string]uint64{"": 0x141cfc9842c4b0e3, "abc": 0xeacf018fbf1678ba} {
		if got := Digest([]byte(text)); got != want {
			t.Errorf("the digest of %q is %#x, want %#x", text, got, want)
		}
	}
	// SHA-256 of eight zero bytes = af5570f5 a1810b7a …
	if got := Seal(0); got != 0x7a0b81a1f57055af {
		t.Errorf("the seal of nothing is %#x", got)
	}
}

// Two labels in either order are one stream; a label moved from the resource to the point is another.
func TestASealKeepsLevelsApart(t *testing.T) {
	a, b, c := Digest([]byte("a")), Digest([]byte("b")), Digest([]byte("c"))
	if Seal(a+b)+c != Seal(b+a)+c {
		t.Error("order matters where it must not")
	}
	if Seal(Seal(a+b)+c) == Seal(Seal(a)+b+c) || Seal(a+b)+c == Seal(a)+b+c {
		t.Error("a label of one level is taken for one of another")
	}
}

package noise

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// source draws from uniform random bytes with integers alone: no logarithm, no float, so that no rounding
// makes one answer possible at one site and impossible at its neighbour (Mironov 2012, "On significance
// of the least significant bits for differential privacy"). It takes more or less time with what it
// draws; who can time the closing of a block at the site can read its memory.
type source struct {
	r   io.Reader
	err error // the first failure; draws after it mean nothing
}

// below is uniform on 0 … n−1, n ≥ 1, without modulo bias.
func (s *source) below(n uint64) uint64 {
	var b [8]byte
	for most := math.MaxUint64 - math.MaxUint64%n; s.err == nil; {
		if _, err := io.ReadFull(s.r, b[:]); err != nil {
			s.err = fmt.Errorf("reading random bytes: %w", err)
			break
		}
		if v := binary.LittleEndian.Uint64(b[:]); v < most {
			return v % n
		}
	}
	return 0
}

// bernoulliExp is true with probability exp(−num/den), 0 ≤ num ≤ den (Canonne, Kamath, Steinke 2020, "The Discrete
// Gaussian for Differential Privacy", algorithm 1, first case).
func (s *source) bernoulliExp(num, den uint64) bool {
	k := uint64(1)
	for s.err == nil && s.below(den*k) < num {
		k++
	}
	return k%2 == 1
}

// geometric is x with probability (1−α)/(1+α)·α^|x|, α = exp(−num/den) (the same paper, algorithm 2).
func (s *source) geometric(num, den uint64) int64 {
	for s.err == nil {
		u := s.below(den)
		if !s.bernoulliExp(u, den) {
			continue
		}
		v := uint64(0)
		for s.err == nil && s.bernoulliExp(1, 1) {
			v++
		}
		y := int64((u + den*v) / num)
		switch negative := s.below(2) == 1; {
		case !negative:
			return y
		case y != 0: // else nought would come twice as often
			return -y
		}
	}
	return 0
}

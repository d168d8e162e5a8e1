package vault_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/vault"
)

func TestARecordOpensOnlyUnderItsNumberAndUse(t *testing.T) {
	v := fresh(t)
	r := v.Records("journal")
	b := frame(r, "user-4711")
	if r.Seal(12, b); strings.Contains(string(b), "user") {
		t.Error("the content lies open")
	}
	if before, after := r.Room(); len(b) != before+len("user-4711")+after || before+after != 37 {
		t.Errorf("%d bytes", len(b))
	}
	if got, err := r.Open(12, []byte("x"), b); err != nil || string(got) != "xuser-4711" {
		t.Errorf("%q %v", got, err)
	}
	for no := range uint64(12) {
		if _, err := r.Open(no, nil, b); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("it opens as record %d: %v", no, err)
		}
	}
	for name, other := range map[string]*vault.Records{"another use": v.Records("outbox"), "another site": fresh(t).Records("journal")} {
		if _, err := other.Open(12, nil, b); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("%s opens it: %v", name, err)
		}
	}
	for i := range b {
		for bit := range 8 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << bit
			if _, err := r.Open(12, nil, bad); err == nil {
				t.Errorf("bit %d of byte %d may be flipped", bit, i)
			}
		}
	}
	for n := range b {
		if _, err := r.Open(12, nil, b[:n]); err == nil {
			t.Errorf("%d of %d bytes open", n, len(b))
		}
	}
}

// The same number can be sealed twice with different content: a group that found no room leaves its numbers to the
// next. Under one key no nonce may come twice, or the two give each other away.
func TestNoNonceComesTwiceUnderOneKey(t *testing.T) {
	dir := t.TempDir()
	seen := map[string]bool{}
	for start := range 3 {
		r := open(t, vault.Config{Dir: dir, Make: start == 0}).Records("journal")
		for range 1000 {
			b := frame(r, "x")
			r.Seal(1, b)
			if head := string(b[1:21]); seen[head] {
				t.Fatal("a salt and counter came twice")
			} else {
				seen[head] = true
			}
			if _, err := r.Open(1, nil, b); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRecordsOfManyStartsOpenInAnyOrder(t *testing.T) {
	dir := t.TempDir()
	var sealed [][]byte
	for start := range 12 {
		r := open(t, vault.Config{Dir: dir, Make: start == 0}).Records("journal")
		b := frame(r, strings.Repeat("y", start))
		r.Seal(uint64(start), b)
		sealed = append(sealed, b)
	}
	r := open(t, vault.Config{Dir: dir}).Records("journal")
	for range 3 {
		for i := range sealed {
			no := (i * 7) % len(sealed)
			if got, err := r.Open(uint64(no), nil, sealed[no]); err != nil || len(got) != no {
				t.Fatal(no, got, err)
			}
		}
	}
}

func TestAFileOpensOnlyUnderItsNameAndUse(t *testing.T) {
	v := fresh(t)
	f := v.Files("measure")
	seal := func(content string) []byte { return f.Seal("closed/7", append(make([]byte, f.Head()), content...)) }
	b := seal("user-4711")
	if bytes.Contains(b, []byte("user")) || !f.Sealed(b) || len(b) != 40+len("user-4711") {
		t.Errorf("%d bytes: %q", len(b), b)
	}
	if got, err := f.Open("closed/7", bytes.Clone(b)); err != nil || string(got) != "user-4711" {
		t.Errorf("%q %v", got, err)
	}
	if bytes.Equal(b, seal("user-4711")) {
		t.Error("the same content gives the same bytes")
	}
	for name, try := range map[string]func(b []byte) ([]byte, error){
		"another name": func(b []byte) ([]byte, error) { return f.Open("closed/8", b) },
		"another use":  func(b []byte) ([]byte, error) { return v.Files("journal").Open("closed/7", b) },
		"another site": func(b []byte) ([]byte, error) { return fresh(t).Files("measure").Open("closed/7", b) },
		"as a record":  func(b []byte) ([]byte, error) { return v.Records("measure").Open(7, nil, b) },
	} {
		if _, err := try(bytes.Clone(b)); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		if _, err := f.Open("closed/7", bad); err == nil {
			t.Errorf("byte %d may be altered", i)
		}
		if _, err := f.Open("closed/7", bytes.Clone(b[:i])); err == nil {
			t.Errorf("%d of %d bytes open", i, len(b))
		}
	}
}

func BenchmarkSealRecord(b *testing.B) {
	r := fresh(b).Records("journal")
	f := frame(r, strings.Repeat("z", 400))
	b.SetBytes(400)
	b.ReportAllocs()
	for b.Loop() {
		r.Seal(1, f)
	}
}

func BenchmarkOpenRecord(b *testing.B) {
	r := fresh(b).Records("journal")
	f := frame(r, strings.Repeat("z", 400))
	r.Seal(1, f)
	var buf []byte
	b.SetBytes(400)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = r.Open(1, buf[:0], f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealFile60MB(b *testing.B) {
	f := fresh(b).Files("measure")
	buf := make([]byte, 60<<20, 60<<20+64)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		f.Seal("checkpoint", buf)
	}
}

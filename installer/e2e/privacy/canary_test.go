package privacy

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fieldpost/fieldpost/agent/measure/history"
	"github.com/fieldpost/fieldpost/agent/vault"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

// canaries are marked words, one for each place of an input, in letters that no encoding but base64
// and hex changes.
type canaries struct {
	mu    sync.Mutex // guards words: scraped targets answer while the test goes on
	words map[string]string
}

func newCanaries() *canaries { return &canaries{words: map[string]string{}} }

// mark begins every canary: long enough that each of its forms is told from chance.
const mark = "cqxcanary"

// in is the canary of a place.
func (c *canaries) in(place string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w, ok := c.words[place]; ok {
		return w
	}
	letters := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(place))
	w := fmt.Sprintf("%s%sn%dxqc", mark, letters, len(c.words))
	c.words[place] = w
	return w
}

// forms are how a word can stand in bytes: as it is in any case, in hex, in base64 at each of its three
// alignments.
func forms(word string) (out [][]byte) {
	out = append(out, []byte(word), []byte(hex.EncodeToString([]byte(word))))
	for shift := range 3 {
		// The whole groups of three between the neighbours' are the same whatever stands beside.
		enc := base64.StdEncoding.EncodeToString(append(bytes.Repeat([]byte{0}, shift), word...))
		first, last := (shift+2)/3*4, len(enc)/4*4-4
		out = append(out, []byte(strings.ToLower(enc[first:last])))
	}
	return out
}

// hunt looks for every canary in data; those whose place begins with one of allowed may be there. It
// gives the places of the allowed ones it found.
func (c *canaries) hunt(t testing.TB, where string, data []byte, allowed ...string) (found []string) {
	t.Helper()
	low := bytes.ToLower(data)
	for place := range c.seen(low) {
		if slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(place, a) }) {
			found = append(found, place)
			continue
		}
		t.Errorf("the canary of %s is in %s", place, where)
	}
	return found
}

// whole is a canary as it is.
var whole = regexp.MustCompile(mark + "[a-z]*n[0-9]+xqc")

// seen are the places whose canaries are in low, in any form.
func (c *canaries) seen(low []byte) map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]bool{}
	plain, encoded := forms(mark)[:1], forms(mark)[1:]
	if bytes.Contains(low, plain[0]) {
		places := make(map[string]string, len(c.words))
		for place, word := range c.words {
			places[word] = place
		}
		all := whole.FindAll(low, -1)
		if bytes.Count(low, plain[0]) > len(all) {
			out["nobody knows which, cut off"] = true
		}
		for _, w := range all {
			if place, ok := places[string(w)]; ok {
				out[place] = true
			} else {
				out["nobody knows which: "+string(w)] = true
			}
		}
	}
	if slices.ContainsFunc(encoded, func(f []byte) bool { return bytes.Contains(low, f) }) {
		for place, word := range c.words {
			if slices.ContainsFunc(forms(word)[1:], func(f []byte) bool { return bytes.Contains(low, f) }) {
				out[place] = true
			}
		}
	}
	return out
}

// state hunts through a state directory: nothing lies open in it but what the customer wrote about its own
// decision. Then it opens what is sealed with the site key: there are users' ids and nothing else, in the journal and
// in what is measured.
func (c *canaries) state(t testing.TB, dir string) (inJournal, inMeasure []string) {
	t.Helper()
	key, err := vault.Open(vault.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	sealed := key.Files("measure")
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		name = filepath.ToSlash(name)
		c.hunt(t, "the name of a file", []byte(name))
		room, within, _ := strings.Cut(name, "/")
		switch {
		case room == "consent" || room == "ledger":
			c.hunt(t, name, data, "decision:")
		case room == "catalogs":
			c.hunt(t, name, data, "declared:")
		default:
			c.hunt(t, name, data)
		}
		if room == "measure" {
			open, err := sealed.Open(within, data)
			if err != nil {
				return err
			}
			inMeasure = append(inMeasure, c.hunt(t, name, append(history.Spread(open), open...), "user:", "declared:")...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	inMeasure = slices.DeleteFunc(inMeasure, func(place string) bool { return !strings.HasPrefix(place, "user:") }) // a fact's value is there as well
	return c.journal(t, filepath.Join(dir, "journal"), key.Records("journal")), inMeasure
}

// journal hunts through the records of a journal, if there is one.
func (c *canaries) journal(t testing.TB, dir string, sealed *vault.Records) (found []string) {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		return nil // a simulated state has none
	}
	log, err := durable.Open(dir, durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := log.Read(0, func(no uint64, payload []byte) error {
		open, err := sealed.Open(no, nil, payload)
		found = append(found, c.hunt(t, fmt.Sprint("journal record ", no), open, "user:")...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// batches hunts through batches, inflated and decoded.
func (c *canaries) batches(t testing.TB, wires [][]byte, l left) {
	t.Helper()
	if len(wires) == 0 {
		t.Error("nothing left: the canaries had no road out")
	}
	for i, wire := range wires {
		b, err := batch.Open(wire, l.key)
		if err != nil {
			t.Fatal(err)
		}
		c.hunt(t, fmt.Sprintf("batch %d", i), wire)
		c.hunt(t, fmt.Sprintf("batch %d, decoded", i), fmt.Appendf(nil, "%+v", *b))
		for _, cell := range b.Cells {
			c.hunt(t, fmt.Sprintf("a cell of batch %d", i), cell.Blob)
		}
	}
}

// The hunt finds what it is to find.
func TestCanary_TheHuntSees(t *testing.T) {
	c := newCanaries()
	w := c.in("user: x")
	for shift := range 7 {
		plain := strings.Repeat("a", shift) + w + "zz"
		for what, data := range map[string]string{
			"plain": plain, "upper": strings.ToUpper(plain), "hex": hex.EncodeToString([]byte(plain)),
			"base64": base64.StdEncoding.EncodeToString([]byte(plain)), "base64url": base64.RawURLEncoding.EncodeToString([]byte(plain)),
		} {
			if len(c.hunt(t, what, []byte(data), "user:")) != 1 {
				t.Errorf("a canary in %s after %d bytes was not seen", what, shift)
			}
		}
	}
	if len(c.hunt(t, "nothing", []byte("nothing"), "user:")) != 0 {
		t.Error("a canary was seen where none is")
	}
}

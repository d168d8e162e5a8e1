package durable_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/durable"
)

// TestAcknowledgedRecordsSurviveKill runs a process that appends and says what
// was acknowledged, and kills it in the middle, several times on one log.
func TestAcknowledgedRecordsSurviveKill(t *testing.T) {
	o := durable.Options{SegmentBytes: 128 << 10, MaxBytes: 64 << 20}
	if d := os.Getenv("DURABLE_KILL_DIR"); d != "" {
		appendUntilKilled(t, d, o)
		return
	}
	d := t.TempDir()
	acked := map[uint64]string{}
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAcknowledgedRecordsSurviveKill$")
		cmd.Env = append(os.Environ(), "DURABLE_KILL_DIR="+d)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(out)
		for n := 0; sc.Scan(); n++ {
			noText, id, ok := strings.Cut(sc.Text(), " ")
			no, err := strconv.ParseUint(noText, 10, 64)
			if err != nil || !ok {
				t.Fatalf("second process: %s", sc.Text())
			}
			acked[no] = id
			if n == 300+200*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed
		l, err := durable.Open(d, o)
		if err != nil {
			t.Fatal(err)
		}
		got, last := map[uint64]string{}, uint64(0)
		err = l.Read(1, func(no uint64, p []byte) error {
			if no != last+1 {
				return fmt.Errorf("record %d after %d", no, last)
			}
			last = no
			id, _, _ := bytes.Cut(p, []byte(" "))
			got[no] = string(id)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for no, id := range acked {
			if got[no] != id {
				t.Fatalf("round %d: acknowledged record %d is %q, want %q", round, no, got[no], id)
			}
		}
		if w := l.Health(); len(w) != 0 {
			t.Logf("round %d: %+v", round, w)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d acknowledged, %d kills", len(acked), rounds)
}

func appendUntilKilled(t *testing.T, d string, o durable.Options) {
	l, err := durable.Open(d, o)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				p := append([]byte(id+" "), bytes.Repeat([]byte{byte(i)}, i*37%3000)...)
				no, err := l.Append(context.Background(), p)
				if err != nil {
					fmt.Println("append:", err)
					return
				}
				fmt.Println(no, id)
			}
		})
	}
	wg.Wait()
}

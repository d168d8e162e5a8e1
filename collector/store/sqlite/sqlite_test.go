package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/storetest"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "collector.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t) })
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "collector.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.ExecContext(t.Context(), "PRAGMA user_version = 999"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Path: path}); !errors.Is(err, ErrNewer) {
		t.Fatalf("a newer schema: %v", err)
	}
}

// A second handle stands for a second process: the command line beside serve.
func TestTwoWritersTakeTurns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd name?&#.db")
	var stores [2]*Store
	for i := range stores {
		s, err := Open(t.Context(), Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores[i] = s
	}
	var wg sync.WaitGroup
	for i, s := range stores {
		for k := range 4 {
			wg.Go(func() {
				for n := range 25 {
					if _, _, err := s.ImportAccounts(t.Context(), []store.Account{{Key: fmt.Sprintf("a%d-%d-%d", i, k, n)}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	if p, err := stores[0].AccountPage(t.Context(), store.AccountQuery{}); err != nil || p.Total != 200 {
		t.Fatalf("%d accounts: %v", p.Total, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the file has another name: %v", err)
	}
	if err := stores[1].Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// What the last commit said is there after a process that just vanished: the files are
// copied while the store is open, as a crash would leave them.
func TestCommittedSurvivesACrash(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{Path: filepath.Join(dir, "collector.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := range 20 {
		if _, _, err := s.ImportAccounts(t.Context(), []store.Account{{Key: fmt.Sprint("a", n)}}); err != nil {
			t.Fatal(err)
		}
	}
	after := t.TempDir()
	for _, name := range []string{"collector.db", "collector.db-wal"} { // -shm is rebuilt
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "collector.db-wal" {
			b = append(b, bytes.Repeat([]byte{0x55}, 777)...) // a torn transaction behind it
		}
		if err := os.WriteFile(filepath.Join(after, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s2, err := Open(t.Context(), Config{Path: filepath.Join(after, "collector.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s2.Close()
	if p, err := s2.AccountPage(t.Context(), store.AccountQuery{}); err != nil || p.Total != 20 {
		t.Fatalf("%d of 20 accounts: %v", p.Total, err)
	}
}

func TestWriteAheadLogIsSynced(t *testing.T) {
	s := open(t)
	var mode string
	var sync int
	if err := s.conn.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Fatalf("journal mode %q: %v", mode, err)
	}
	if err := s.conn.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&sync); err != nil || sync != 2 {
		t.Fatalf("synchronous %d, want 2 (FULL): %v", sync, err)
	}
	if _, err := s.r.ExecContext(t.Context(), "DELETE FROM accounts"); err == nil {
		t.Fatal("the reading pool can write")
	}
}

// A caller that goes away in the middle of anything leaves nothing half done behind.
func TestCancelledCallsLeaveTheStoreWhole(t *testing.T) {
	s := open(t)
	landed := 0
	for n := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			for range n * 20 {
				runtime.Gosched()
			}
			cancel()
			close(done)
		}()
		var rows []store.Account
		for i := range 20 {
			rows = append(rows, store.Account{Key: fmt.Sprintf("a%d-%d", n, i)})
		}
		if _, _, err := s.ImportAccounts(ctx, rows); err == nil {
			landed++
		}
		if _, err := s.Overview(ctx); err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
		<-done
	}
	if landed == 0 || landed == 300 {
		t.Logf("%d of 300 landed: the cuts fell on one side only", landed)
	}
	p, err := s.AccountPage(t.Context(), store.AccountQuery{})
	if err != nil || p.Total%20 != 0 || p.Total < landed*20 {
		t.Fatalf("%d accounts after %d whole imports of 20: %v", p.Total, landed, err)
	}
}

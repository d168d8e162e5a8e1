package door

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
)

// standing is a door whose address answers, on a clock of its own.
func standing(t *testing.T) (*Door, string, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	dir := t.TempDir()
	var ahead atomic.Int64
	d := New(dir, "fieldpost-1", func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	if err := d.Publish(l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	return d, dir, &ahead
}

func token(t *testing.T, dir string) string {
	t.Helper()
	link, err := Link(dir)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil || u.Path != "/login" || u.Query().Get("link") == "" {
		t.Fatalf("link %q: %v", link, err)
	}
	return u.Query().Get("link")
}

func TestALinkWorksOnceUnderHundredAtOnce(t *testing.T) {
	d, dir, _ := standing(t)
	link := token(t, dir)
	var in atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if d.Redeem(link) == nil {
				in.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 {
		t.Errorf("%d got in with one link", in.Load())
	}
}

func TestALinkEndsAfterFifteenMinutes(t *testing.T) {
	d, dir, ahead := standing(t)
	link := token(t, dir)
	ahead.Store(int64(15*time.Minute + time.Second))
	if err := d.Redeem(link); !errors.Is(err, ErrLink) {
		t.Errorf("redeeming an old link: %v", err)
	}
	if names, _ := filepath.Glob(filepath.Join(Room(dir), "login-*")); len(names) != 0 {
		t.Errorf("old links stay: %q", names)
	}
}

func TestAWrongLinkOpensNothing(t *testing.T) {
	d, dir, _ := standing(t)
	right := token(t, dir)
	for _, wrong := range []string{"", "x", right + "x", right[:len(right)-1], strings.ToUpper(right), "../" + right} {
		if err := d.Redeem(wrong); !errors.Is(err, ErrLink) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if err := d.Redeem(right); err != nil {
		t.Errorf("the right one: %v", err)
	}
}

func TestALinkThatLastsTooLongIsForged(t *testing.T) {
	d, dir, _ := standing(t)
	if err := os.WriteFile(filepath.Join(Room(dir), linkName("forged", time.Now().Add(24*time.Hour))), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Redeem("forged"); !errors.Is(err, ErrLink) {
		t.Errorf("redeeming: %v", err)
	}
}

func TestTheTokenIsNowhereOnDiskAndFilesAreTheOwners(t *testing.T) {
	_, dir, _ := standing(t)
	link := token(t, dir)
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if runtime.GOOS != "windows" && path != dir && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if strings.Contains(path, link) {
			t.Errorf("%s holds the token", path)
		}
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil || strings.Contains(string(b), link) {
				t.Errorf("%s holds the token: %v", path, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFolderOthersMayWriteToIsNotTrusted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes on Windows")
	}
	d, dir, _ := standing(t)
	link := token(t, dir)
	if err := os.Chmod(Room(dir), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := d.Redeem(link); !errors.Is(err, ErrLink) {
		t.Errorf("redeeming: %v", err)
	}
}

func TestNoLinkWithoutAConsole(t *testing.T) {
	var e *control.Error
	if _, err := Link(t.TempDir()); !errors.As(err, &e) || e.Code != "console_not_running" || e.Hint == "" {
		t.Errorf("without a state: %v", err)
	}
	dir := t.TempDir()
	d := New(dir, "c", nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Publish(l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	l.Close() // as after a crash: the address is there and nobody listens
	if _, err := Link(dir); !errors.As(err, &e) || e.Code != "console_not_running" {
		t.Errorf("after a crash: %v", err)
	}
	d.Withdraw()
	if _, err := Link(dir); !errors.As(err, &e) || e.Code != "console_not_running" {
		t.Errorf("after the end: %v", err)
	}
}

func with(cookie, refresh string) *http.Request {
	r, _ := http.NewRequest(http.MethodGet, "http://127.0.0.1/", nil)
	r.AddCookie(&http.Cookie{Name: "fieldpost-1", Value: cookie})
	if refresh != "" {
		r.Header.Set(RefreshHeader, refresh)
	}
	return r
}

func TestASessionEndsByAgeIdlenessAndLeaving(t *testing.T) {
	d, _, ahead := standing(t)
	one := d.Enter()
	if d.Of(with(one, "")) == nil {
		t.Fatal("a new session is not there")
	}
	for range 11 { // used every hour
		ahead.Add(int64(time.Hour))
		if d.Of(with(one, "")) == nil {
			t.Fatal("a used session ended early")
		}
	}
	ahead.Add(int64(time.Hour + time.Second))
	if d.Of(with(one, "")) != nil {
		t.Error("a session is older than 12 hours")
	}
	two := d.Enter()
	ahead.Add(int64(90 * time.Minute))
	if d.Of(with(two, "1")) == nil {
		t.Fatal("it ended early")
	}
	ahead.Add(int64(31 * time.Minute))
	if d.Of(with(two, "")) != nil {
		t.Error("a page that renews itself kept an idle session alive")
	}
	three := d.Enter()
	d.Leave(with(three, ""))
	if d.Of(with(three, "")) != nil {
		t.Error("a session outlived its end")
	}
	if d.Of(with("", "")) != nil || d.Of(with("guess", "")) != nil {
		t.Error("somebody got in without a session")
	}
}

func TestTheOldestSessionGivesWay(t *testing.T) {
	d, _, ahead := standing(t)
	first := d.Enter()
	for range sessionsMost {
		ahead.Add(int64(time.Second))
		d.Enter()
	}
	if d.Of(with(first, "")) != nil {
		t.Error("the oldest session stayed")
	}
	if len(d.open) != sessionsMost {
		t.Errorf("%d sessions", len(d.open))
	}
}

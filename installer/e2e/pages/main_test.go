package pages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/fieldpost/fieldpost/collector/store/sqlite"
	"github.com/fieldpost/fieldpost/installer/e2e/seed"
)

// shared is what many tests here need and is dear to make: one Chromium, and a filled database of each of the two
// fleets most of them look at. Each is made when first asked for; tests get a profile and a copy of their own.
var shared = sync.OnceValue(func() *common {
	dir, err := os.MkdirTemp("", "fieldpost-pages-")
	if err != nil {
		panic(err)
	}
	c := &common{dir: dir}
	c.fleet = sync.OnceValues(func() (string, error) { return c.fill("fleet.db", "../../examples/forge/catalog.yaml", seed.Fill) })
	c.kinds = sync.OnceValues(func() (string, error) {
		return c.fill("kinds.db", "../../../protocol/catalog/testdata/every-kind.yaml", seed.FillKinds)
	})
	c.chromium = sync.OnceValues(c.start)
	return c
})

type common struct {
	dir          string
	fleet, kinds func() (string, error) // the database's path
	chromium     func() (context.Context, error)
	stop         func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	c := shared()
	if c.stop != nil {
		c.stop()
	}
	if err := os.RemoveAll(c.dir); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// fill makes a database; closing it folds the write-ahead log into the one file.
func (c *common) fill(name, catalog string, fill func(context.Context, seed.Store, seed.Config) error) (string, error) {
	path := filepath.Join(c.dir, name)
	raw, err := os.ReadFile(catalog)
	if err != nil {
		return "", err
	}
	st, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		return "", err
	}
	return path, errors.Join(fill(context.Background(), st, seed.Config{Catalog: raw, Now: now()}), st.Close())
}

// errNoChromium says that none is installed.
var errNoChromium = errors.New("no Chromium is installed")

// start brings up one Chromium with an empty profile.
func (c *common) start() (context.Context, error) {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		return nil, errNoChromium
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(filepath.Join(c.dir, "profile")),
		chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	c.stop = func() { cancel(); stop() }
	return ctx, chromedp.Do(ctx)
}

package collector

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/enroll"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/store/sqlite"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/signing"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// DataConfig says how to open a data directory.
type DataConfig struct {
	Dir    string
	Create bool // make what is missing; else a directory without a collector is an error
	// Serve takes the directory's lock for good. Without it the store is shared with the process
	// that serves: SQLite lets both write in turn, and the command line only makes tokens,
	// catalogs, accounts and users, never batches.
	Serve bool
	Now   func() time.Time // default time.Now
}

// Data is an opened data directory: the keys and the store.
type Data struct {
	Dir   string
	Key   ed25519.PrivateKey // application key
	Store *sqlite.Store

	lock io.Closer
	now  func() time.Time
}

const maxFile = 1 << 20

type settings struct {
	URL   string `json:"url"`
	OwnCA bool   `json:"own_ca"` // TLS chains to tls/ca.pem, which tokens carry
}

// OpenData opens or makes a data directory.
func OpenData(ctx context.Context, c DataConfig) (_ *Data, err error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	d := &Data{Dir: c.Dir, now: c.Now}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	fsys := durable.OS()
	if c.Create {
		if err := durable.MkdirAll(fsys, c.Dir, 0o700); err != nil {
			return nil, notWritable(c.Dir, err)
		}
	}
	_, err = fsys.Lstat(d.path("app.key"))
	missing := errors.Is(err, fs.ErrNotExist)
	if missing && !c.Create {
		return nil, &store.Problem{Code: store.CodeNoData, Message: "there is no collector in " + c.Dir, Hint: "give the directory of fieldpost-collector serve with --data"}
	}
	if c.Serve || missing {
		if d.lock, err = lock(c.Dir); err != nil {
			return nil, err
		}
	}
	if c.Serve {
		if err := durable.CleanTemps(fsys, c.Dir); err != nil {
			return nil, notWritable(c.Dir, err)
		}
	}
	if d.Key, err = d.appKey(missing); err != nil {
		return nil, err
	}
	d.Store, err = sqlite.Open(ctx, sqlite.Config{Path: d.path("collector.db")})
	if errors.Is(err, sqlite.ErrNewer) {
		return nil, &store.Problem{Code: store.CodeNewerData, Message: "a newer fieldpost-collector has used " + c.Dir, Hint: "run the newer one, or restore a backup made before the upgrade", Err: err}
	} else if err != nil {
		return nil, err
	}
	if d.lock != nil && !c.Serve { // what had to be made is made
		err = d.lock.Close()
		d.lock = nil
	}
	return d, err
}

func (d *Data) path(name ...string) string { return filepath.Join(append([]string{d.Dir}, name...)...) }

func lock(dir string) (io.Closer, error) {
	l, err := durable.Lock(dir)
	if held := (*durable.LockedError)(nil); errors.As(err, &held) {
		return nil, &store.Problem{Code: store.CodeInUse, Message: fmt.Sprintf("another collector (pid %d) serves %s", held.PID, dir), Hint: "stop it, or give another directory with --data", Err: err}
	} else if err != nil {
		return nil, notWritable(dir, err)
	}
	return l, nil
}

func notWritable(dir string, err error) error {
	p := &store.Problem{Code: store.CodeNotWritable, Message: dir + " cannot be written", Hint: "give a directory of your own with --data, or change its owner", Err: err}
	if errors.Is(err, syscall.ENOSPC) {
		p.Message, p.Hint = "the disk of "+dir+" is full", "make room; nothing that was accepted is lost"
	}
	return p
}

// Close closes the store and gives the lock back.
func (d *Data) Close() (err error) {
	if d.Store != nil {
		err = d.Store.Close()
		d.Store = nil
	}
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
		d.lock = nil
	}
	return err
}

func (d *Data) read(name ...string) ([]byte, error) {
	return durable.ReadFile(durable.OS(), d.path(name...), maxFile)
}

func (d *Data) write(b []byte, name ...string) error {
	if err := durable.WriteFile(durable.OS(), d.path(name...), b, 0o600); err != nil {
		return notWritable(d.Dir, err)
	}
	return nil
}

func (d *Data) appKey(create bool) (ed25519.PrivateKey, error) {
	if create {
		_, key, err := signing.GenerateKey()
		if err != nil {
			return nil, fmt.Errorf("making the application key: %w", err)
		}
		b, err := signing.EncodePrivateKey(key)
		if err != nil {
			return nil, err
		}
		return key, d.write(b, "app.key")
	}
	b, err := d.read("app.key")
	if errors.Is(err, fs.ErrPermission) {
		return nil, notWritable(d.Dir, err)
	}
	var key ed25519.PrivateKey
	if err == nil {
		key, err = signing.DecodePrivateKey(b)
	}
	if err != nil {
		return nil, &store.Problem{Code: store.CodeBadData, Message: "app.key cannot be read", Hint: "restore it from a backup: agents trust no other key", Err: err}
	}
	return key, nil
}

func (d *Data) settings() (s settings, err error) {
	b, err := d.read("settings.json")
	if errors.Is(err, fs.ErrNotExist) {
		return settings{URL: "https://localhost:8443", OwnCA: true}, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return s, &store.Problem{Code: store.CodeBadData, Message: "settings.json cannot be read", Hint: "delete it: the next serve writes it again", Err: err}
	}
	return s, nil
}

func (d *Data) saveSettings(s settings) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing settings: %w", err)
	}
	if old, err := d.read("settings.json"); err == nil && string(old) == string(b) {
		return nil
	}
	return d.write(b, "settings.json")
}

// TrustCatalogKey sets the key that catalogs are verified with. Another key than the trusted
// one is refused: agents hold the one their token carried.
func (d *Data) TrustCatalogKey(ctx context.Context, pub ed25519.PublicKey, by string) error {
	old, err := d.CatalogKey()
	if err != nil {
		return err
	}
	if old != nil {
		if old.Equal(pub) {
			return nil
		}
		return &store.Problem{Code: store.CodeConflict, Message: "another catalog key is trusted already", Status: http.StatusConflict,
			Hint: "sign with the key that is trusted; agents that have joined know no other"}
	}
	if err := d.write(signing.EncodePublicKey(pub), "catalog.pub"); err != nil {
		return err
	}
	return d.Store.AddAudit(ctx, store.AuditRow{At: d.now(), Actor: by, Action: "catalog_key_trusted", Detail: string(signing.EncodePublicKey(pub))})
}

// CatalogKey is the trusted key; nil when there is none yet.
func (d *Data) CatalogKey() (ed25519.PublicKey, error) {
	b, err := d.read("catalog.pub")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return signing.DecodePublicKey(b)
}

// AddCatalog verifies a signed catalog and keeps it. Agents get it at their next check-in.
func (d *Data) AddCatalog(ctx context.Context, raw, sig []byte, by string) (*catalog.Catalog, error) {
	pub, err := d.CatalogKey()
	if err != nil {
		return nil, err
	}
	if pub == nil {
		return nil, &store.Problem{Code: store.CodeNoCatalogKey, Message: "no catalog key is trusted yet", Hint: "fieldpost-collector catalog trust KEY.pub, with the public half of the key that signed it", Status: http.StatusConflict}
	}
	c, err := signing.ParseSigned(raw, sig, pub)
	if err != nil {
		return nil, err
	}
	err = d.Store.AddCatalog(ctx, store.Catalog{Hash: c.Hash, Name: c.Name, Version: c.Version, Raw: raw, Sig: sig, Added: d.now()})
	if errors.Is(err, store.ErrConflict) {
		return nil, &store.Problem{Code: store.CodeConflict, Message: fmt.Sprintf("another catalog %s has version %d already", c.Name, c.Version), Hint: "raise its version and sign it again", Err: err}
	} else if err != nil {
		return nil, err
	}
	return c, d.Store.AddAudit(ctx, store.AuditRow{At: d.now(), Actor: by, Action: "catalog_added", Subject: c.Name, Detail: fmt.Sprintf("version %d, %s", c.Version, exchange.Hash(c.Hash))})
}

// Access decides who may use the pages and the API.
func (d *Data) Access() *access.Access {
	return access.New(access.Config{Users: d.Store, Secrets: d.Store, Auditor: d.Store, Now: d.now})
}

// URL is how people reach the collector, as serve said last.
func (d *Data) URL() (string, error) {
	s, err := d.settings()
	return s.URL, err
}

// TokenRequest is what a token's maker decides.
type TokenRequest = enroll.TokenRequest

// NewToken makes an enrolment token; account and installation are created when unknown. url
// overrides how agents reach the collector ("" = as serve said).
func (d *Data) NewToken(ctx context.Context, q TokenRequest, url string) (exchange.Token, error) {
	s, err := d.settings()
	if err != nil {
		return exchange.Token{}, err
	}
	issuer := enroll.TokenIssuer{URL: s.URL, Collector: d.Key.Public().(ed25519.PublicKey)}
	if url != "" {
		issuer.URL = url
	}
	if s.OwnCA {
		if issuer.CA, err = d.caDER(); err != nil {
			return exchange.Token{}, err
		}
	}
	if issuer.CatalogKey, err = d.CatalogKey(); err != nil {
		return exchange.Token{}, err
	}
	return enroll.NewToken(ctx, d.Store, d.Store, issuer, q, d.now())
}

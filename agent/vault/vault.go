package vault

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/durable"
)

// KeySize is the length of the site key in bytes.
const KeySize = 32

const (
	keyName    = "site.key"
	markerName = "vault.json"
	version    = 1
	// maxSmall bounds both files: the key takes 45 bytes, the marker 200.
	maxSmall = 4096
)

// Errors of Open; none names a key.
var (
	// ErrMissing: the key or the salt is gone while something may be sealed with it.
	ErrMissing = errors.New("the site key is missing")
	// ErrWrong: the key is not the one the state was sealed with, or vault.json was altered.
	ErrWrong = errors.New("the site key is not the one this state was sealed with")
	// ErrOpenToOthers: the key file can be read or changed by others than its owner.
	ErrOpenToOthers = errors.New("the site key can be read by others")
	// ErrMalformed: the file does not hold 32 bytes in base64, or is no plain file.
	ErrMalformed = errors.New("the site key file is not readable as a key")
	// ErrNewer: vault.json was written by a newer program.
	ErrNewer = errors.New("vault was written by a newer version")
)

// Config of a Vault; Dir is required.
type Config struct {
	Dir     string     // the state directory, locked by the caller
	KeyFile string     // default Dir/site.key
	FS      durable.FS // default durable.OS()
	// Make allows what is missing to be made: nothing in the state can have been sealed yet.
	Make bool
	// Open says that, when the vault is made, the state holds files of before there was one.
	Open bool
}

func (c *Config) defaults() {
	if c.FS == nil {
		c.FS = durable.OS()
	}
	if c.KeyFile == "" {
		c.KeyFile = filepath.Join(c.Dir, keyName)
	}
}

// Vault derives the keys of all uses. Safe for concurrent use.
type Vault struct {
	cfg    Config
	root   []byte // pseudorandom key of the site key and the salt
	marker marker
}

// marker is vault.json.
type marker struct {
	Version int    `json:"version"`
	Salt    []byte `json:"salt"`
	Sealed  bool   `json:"sealed"` // false: files of before the vault may still lie here
	Check   []byte `json:"check"`
}

// Open reads the key, or makes it where Config.Make allows.
func Open(c Config) (*Vault, error) {
	c.defaults()
	if err := durable.CleanTemps(c.FS, c.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	m, err := readMarker(c)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && (!fresh || !c.Make) {
		return nil, fmt.Errorf("opening the vault: %w", missing(err))
	}
	key, err := readKey(c)
	if errors.Is(err, fs.ErrNotExist) && fresh {
		key, err = makeKey(c)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the vault: %w", missing(err))
	}
	if fresh {
		m = marker{Version: version, Salt: make([]byte, KeySize), Sealed: !c.Open}
		rand.Read(m.Salt) // never fails (crypto/rand)
	}
	v := &Vault{cfg: c, marker: m}
	if v.root, err = hkdf.Extract(sha256.New, key, m.Salt); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	clear(key)
	if fresh {
		return v, v.write()
	}
	if check := v.check(); !hmac.Equal(check, m.Check) {
		return nil, fmt.Errorf("opening the vault: %w", ErrWrong)
	}
	return v, nil
}

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrMissing
	}
	return err
}

// Sealed reports whether everything is sealed: nothing of before the vault may be read any more.
func (v *Vault) Sealed() bool { return v.marker.Sealed }

// SetSealed remembers that nothing unsealed is left.
func (v *Vault) SetSealed() error {
	if v.marker.Sealed {
		return nil
	}
	v.marker.Sealed = true
	if err := v.write(); err != nil {
		v.marker.Sealed = false
		return err
	}
	return nil
}

// Key derives the key of a use.
func (v *Vault) key(use string) []byte { return expand(v.root, "fieldpost/"+use+"/v1") }

// expand never fails: its only error is an output longer than 255 hashes.
func expand(key []byte, info string) []byte {
	k, err := hkdf.Expand(sha256.New, key, info, KeySize)
	if err != nil {
		panic(err)
	}
	return k
}

func (v *Vault) check() []byte {
	h := hmac.New(sha256.New, v.key("check"))
	fmt.Fprintf(h, "%d\x00%t\x00%x", v.marker.Version, v.marker.Sealed, v.marker.Salt)
	return h.Sum(nil)
}

func (v *Vault) write() error {
	v.marker.Check = v.check()
	b, err := json.Marshal(v.marker)
	if err != nil {
		return fmt.Errorf("writing the vault: %w", err)
	}
	if err := durable.WriteFile(v.cfg.FS, filepath.Join(v.cfg.Dir, markerName), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the vault: %w", err)
	}
	return nil
}

func readMarker(c Config) (m marker, err error) {
	b, err := durable.ReadFile(c.FS, filepath.Join(c.Dir, markerName), maxSmall)
	if err != nil {
		return m, err
	}
	switch err := json.Unmarshal(b, &m); {
	case err != nil || m.Version < 1 || len(m.Salt) != KeySize && m.Version == version:
		return m, ErrWrong
	case m.Version > version:
		return m, ErrNewer
	}
	return m, nil
}

// readKey reads the key file, after a look at who else can.
func readKey(c Config) ([]byte, error) {
	info, err := c.FS.Lstat(c.KeyFile)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, ErrMalformed
	}
	if err := guarded(info, filepath.Dir(c.KeyFile) != filepath.Clean(c.Dir)); err != nil {
		return nil, err
	}
	text, err := durable.ReadFile(c.FS, c.KeyFile, maxSmall)
	if errors.Is(err, durable.ErrTooLarge) {
		return nil, ErrMalformed
	}
	if err != nil {
		return nil, err
	}
	defer clear(text)
	key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != KeySize {
		return nil, ErrMalformed // the decoder's own error quotes the text
	}
	return key, nil
}

func makeKey(c Config) ([]byte, error) {
	key := make([]byte, KeySize)
	rand.Read(key) // never fails (crypto/rand)
	text := append(base64.StdEncoding.AppendEncode(nil, key), '\n')
	defer clear(text)
	if err := durable.WriteFile(c.FS, c.KeyFile, text, 0o600); err != nil {
		return nil, err
	}
	return key, nil
}

// Destroy makes everything that was ever sealed here unreadable: the key and the salt are overwritten,
// synced and removed. A key file outside the state belongs to whoever put it there and stays; it opens
// nothing without the salt. What is gone already is no error, so that it can be repeated.
//
// Overwriting reaches the old blocks on plain disks and file systems; copies that a journaling or copy-on-write
// file system, a flash disk or a backup has made are out of reach.
func Destroy(c Config) error {
	c.defaults()
	if filepath.Dir(c.KeyFile) == filepath.Clean(c.Dir) {
		if err := shred(c.FS, c.KeyFile); err != nil {
			return fmt.Errorf("destroying the site key: %w", err)
		}
	}
	if err := shred(c.FS, filepath.Join(c.Dir, markerName)); err != nil {
		return fmt.Errorf("destroying the site key's salt: %w", err)
	}
	return nil
}

func shred(fsys durable.FS, path string) error {
	info, err := fsys.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		if err := overwrite(fsys, path, int(min(info.Size(), maxSmall))); err != nil {
			return err
		}
	}
	return durable.Remove(fsys, path)
}

// Package identity is who this agent is: its key, what enrolment told it, and what kind of
// state directory it lives in.
//
// States on disk, all written whole and at once:
//
//	state.json       version of the state's layout, simulated or not; first thing written
//	key.json         the agent's Ed25519 seed, 0600; made once, never leaves
//	enrolment.json   the collector, its keys, account and installation; absent: not enrolled
//	catalogs/        every signed catalog that was ever in force, by hash
//
// A directory written by a newer version is refused, so that an older binary cannot misread
// it.
package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/signing"
	"github.com/fieldpost/fieldpost/protocol/durable"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Layout is the version of the state directory's layout. History:
//
//	1  2026-11-21  first version
//	2  2026-11-22  journal and measures are sealed (package vault); a program that knows only 1
//	               would take them for damaged
const Layout = 2

// Errors of opening a state.
var (
	ErrNewer       = errors.New("state was written by a newer version")
	ErrSimulated   = errors.New("state is of another kind")
	ErrNotEnrolled = errors.New("agent is not enrolled")
	ErrEnrolled    = errors.New("agent is enrolled already")
)

// State is what kind of directory this is.
type State struct {
	Layout    int       `json:"layout"`
	Simulated bool      `json:"simulated"` // fed by replays on a virtual clock
	Created   time.Time `json:"created"`
}

// Enrolment is what the token and the join told.
type Enrolment struct {
	URL          string      `json:"url"`
	CA           []byte      `json:"ca,omitempty"`
	Collector    []byte      `json:"collector_key"`
	CatalogKey   []byte      `json:"catalog_key"`
	Agent        exchange.ID `json:"agent"`
	Account      string      `json:"account"`
	Installation string      `json:"installation"`
	Environment  string      `json:"environment"`
	Joined       time.Time   `json:"joined"`
}

// Identity is the room. It is immutable but for Enrol.
type Identity struct {
	dir       string
	fsys      durable.FS
	State     State
	Key       ed25519.PrivateKey
	Enrolment *Enrolment // nil: not enrolled
}

// Open reads the state's identity, or makes it in an empty directory. simulated is the kind a new
// state gets; an existing one must be of that kind.
func Open(fsys durable.FS, dir string, simulated bool, now time.Time) (*Identity, error) {
	if err := durable.MkdirAll(fsys, dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the state: %w", err)
	}
	if err := durable.CleanTemps(fsys, dir); err != nil {
		return nil, fmt.Errorf("opening the state: %w", err)
	}
	id := &Identity{dir: dir, fsys: fsys}
	err := id.read("state.json", &id.State)
	if errors.Is(err, fs.ErrNotExist) {
		id.State = State{Layout: Layout, Simulated: simulated, Created: now.UTC()}
		err = id.write("state.json", id.State, 0o600)
	}
	switch {
	case err != nil:
		return nil, err
	case id.State.Layout > Layout:
		return nil, fmt.Errorf("opening the state %s: %w: layout %d, this binary knows %d", dir, ErrNewer, id.State.Layout, Layout)
	case id.State.Simulated != simulated:
		return nil, fmt.Errorf("opening the state %s: %w: simulated is %v", dir, ErrSimulated, id.State.Simulated)
	}
	if err := id.key(); err != nil {
		return nil, err
	}
	var e Enrolment
	switch err := id.read("enrolment.json", &e); {
	case err == nil:
		id.Enrolment = &e
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return id, nil
}

// Raise makes the state one of this version's layout, which older programs refuse.
func (id *Identity) Raise() error {
	if id.State.Layout == Layout {
		return nil
	}
	s := id.State
	s.Layout = Layout
	if err := id.write("state.json", s, 0o600); err != nil {
		return err
	}
	id.State = s
	return nil
}

// Peek reads what kind of state stands in dir; fs.ErrNotExist when none does.
func Peek(fsys durable.FS, dir string) (State, error) {
	id := Identity{dir: dir, fsys: fsys}
	var s State
	err := id.read("state.json", &s)
	return s, err
}

func (id *Identity) key() error {
	var k struct {
		Seed []byte `json:"seed"`
	}
	err := id.read("key.json", &k)
	if errors.Is(err, fs.ErrNotExist) {
		k.Seed = make([]byte, ed25519.SeedSize)
		rand.Read(k.Seed) // never fails (crypto/rand)
		err = id.write("key.json", k, 0o600)
	}
	if err == nil && len(k.Seed) != ed25519.SeedSize {
		err = errors.New("the key has the wrong length")
	}
	if err != nil {
		return fmt.Errorf("opening the agent's key: %w", err)
	}
	id.Key = ed25519.NewKeyFromSeed(k.Seed)
	return nil
}

// Enrol keeps what enrolment told. An agent enrols once.
func (id *Identity) Enrol(e Enrolment) error {
	if id.Enrolment != nil {
		return fmt.Errorf("enrolling: %w with %s as %s/%s", ErrEnrolled, id.Enrolment.URL, id.Enrolment.Account, id.Enrolment.Installation)
	}
	if err := id.write("enrolment.json", e, 0o600); err != nil {
		return err
	}
	id.Enrolment = &e
	return nil
}

// KeepCatalog keeps a verified catalog by its hash.
func (id *Identity) KeepCatalog(c *catalog.Catalog, sig []byte) error {
	dir := filepath.Join(id.dir, "catalogs")
	if err := durable.MkdirAll(id.fsys, dir, 0o700); err != nil {
		return fmt.Errorf("keeping a catalog: %w", err)
	}
	name := filepath.Join("catalogs", exchange.Hash(c.Hash).String()+".json")
	return id.write(name, exchange.SignedCatalog{Raw: c.Raw, Sig: sig}, 0o600)
}

// Catalogs reads every kept catalog. Those of an enrolled agent are verified again; one that no
// longer verifies is left out and named in bad.
func (id *Identity) Catalogs() (all map[exchange.Hash]*catalog.Catalog, bad []string, err error) {
	all = map[exchange.Hash]*catalog.Catalog{}
	dir := filepath.Join(id.dir, "catalogs")
	entries, err := id.fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading catalogs: %w", err)
	}
	for _, e := range entries {
		if durable.IsTemp(e.Name()) {
			continue
		}
		var s exchange.SignedCatalog
		if err := id.read(filepath.Join("catalogs", e.Name()), &s); err != nil {
			bad = append(bad, e.Name())
			continue
		}
		c, err := id.parse(s)
		if err != nil || exchange.Hash(c.Hash).String()+".json" != e.Name() {
			bad = append(bad, e.Name())
			continue
		}
		all[c.Hash] = c
	}
	return all, bad, nil
}

func (id *Identity) parse(s exchange.SignedCatalog) (*catalog.Catalog, error) {
	if id.Enrolment == nil {
		return catalog.Parse(s.Raw)
	}
	return signing.ParseSigned(s.Raw, s.Sig, id.Enrolment.CatalogKey)
}

// maxFile bounds every file of the room: a catalog is at most 1 MiB, in base64 a third more.
const maxFile = 2 << 20

func (id *Identity) read(name string, v any) error {
	b, err := durable.ReadFile(id.fsys, filepath.Join(id.dir, name), maxFile)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

func (id *Identity) write(name string, v any, perm fs.FileMode) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := durable.WriteFile(id.fsys, filepath.Join(id.dir, name), append(b, '\n'), perm); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

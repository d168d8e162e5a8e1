// Package examples carries the two example catalogs and the real activity of 35
// installations inside the binary, for the demo and the tests.
//
// forge/ is real history (see its README.md): every line of an installation is
// one event with the moment it reached the installation, in that order.
// product/ is the catalog of an ordinary business product, for tests of real
// clients. Nothing here is written at run time.
package examples

import (
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

//go:embed forge/catalog.yaml forge/index.json forge/installations/*.jsonl.gz
//go:embed product/catalog.yaml product/agent.yaml
var files embed.FS

// Installation is one entry of forge/index.json.
type Installation struct {
	Account      string `json:"account"`
	Installation string `json:"installation"`
	Events       int    `json:"events"` // lines of every type
	Users        int    `json:"users"`  // distinct users that were identified
	First        string `json:"first"`  // day of the first event received, YYYY-MM-DD, UTC
	Last         string `json:"last"`   // day of the last event received
}

// ForgeCatalog returns the catalog over the forge activity. The caller owns the bytes.
func ForgeCatalog() []byte { return read("forge/catalog.yaml") }

// ProductCatalog returns the business product's catalog. The caller owns the bytes.
func ProductCatalog() []byte { return read("product/catalog.yaml") }

// ProductAgentConfig returns the sample agent.yaml of a site that runs the
// business product. The caller owns the bytes.
func ProductAgentConfig() []byte { return read("product/agent.yaml") }

// Installations returns the 35 installations in the order of the index: by
// account, then installation.
func Installations() []Installation {
	var list []Installation
	if err := json.Unmarshal(read("forge/index.json"), &list); err != nil {
		panic("examples: the embedded index is not JSON: " + err.Error()) // built in, and tested
	}
	return list
}

// Open returns the events of one installation, uncompressed, one JSON object a
// line. The caller closes it.
func Open(account, installation string) (io.ReadCloser, error) {
	name := fmt.Sprintf("forge/installations/%s--%s.jsonl.gz", account, installation)
	f, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening the history of %s/%s: no such installation among the %d examples: %w", account, installation, len(Installations()), err)
	} else if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("uncompressing %s: %w", name, err), f.Close())
	}
	return &history{Reader: z, file: f}, nil
}

type history struct {
	*gzip.Reader
	file fs.File
}

func (h *history) Close() error { return errors.Join(h.Reader.Close(), h.file.Close()) }

// read returns an embedded file. Which files exist is settled when the package
// is compiled, so a missing one is a mistake in this file.
func read(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		panic("examples: " + err.Error())
	}
	return b
}

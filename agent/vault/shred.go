package vault

import (
	"crypto/rand"
	"errors"
	"os"

	"github.com/fieldpost/fieldpost/protocol/durable"
)

// overwrite replaces the first n bytes of a file by random ones, in place and synced.
func overwrite(fsys durable.FS, path string, n int) (err error) {
	f, err := fsys.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand)
	if n > 0 {
		if _, err := f.WriteAt(b, 0); err != nil {
			return err
		}
	}
	return f.Sync()
}

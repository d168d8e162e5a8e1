package catalog_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with testdata/name, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(read(t, name)), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

// What is wrong with each testdata/*.bad.yaml stands beside it in *.bad.golden.
func TestBadCatalogs(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var said strings.Builder
	for _, f := range files {
		name := filepath.Base(f)
		t.Run(strings.TrimSuffix(name, ".bad.yaml"), func(t *testing.T) {
			c, err := catalog.Parse(read(t, name))
			var es *catalog.Errors
			if c != nil || !errors.As(err, &es) {
				t.Fatalf("%v, %v", c, err)
			}
			for _, e := range es.List {
				if e.Code == "" || e.Message == "" || !strings.HasPrefix(e.Code, "catalog_") {
					t.Errorf("an error without a code or message: %+v", e)
				}
			}
			golden(t, strings.TrimSuffix(name, ".yaml")+".golden", err.Error()+"\n")
			said.WriteString(err.Error())
		})
	}
	// Every code a file can have is shown by at least one of them. The others are about
	// signatures, keys, cells and sheer size, tested by name.
	src, err := os.ReadFile("strict/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := "catalog_bad_signature catalog_bad_key catalog_bad_cell"
	codes := regexp.MustCompile(`"(catalog_\w+)"`).FindAllStringSubmatch(string(src), -1)
	if len(codes) < 30 {
		t.Fatalf("only %d codes were found", len(codes))
	}
	for _, m := range codes {
		if !strings.Contains(elsewhere, m[1]) && !strings.Contains(said.String(), "["+m[1]+"]") {
			t.Errorf("no testdata/*.bad.yaml shows %s", m[1])
		}
	}
}

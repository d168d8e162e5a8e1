package protocoltest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that SPEC.md names as the proof of a MUST exists.
func TestSpecNamesTestsThatExist(t *testing.T) {
	spec, err := os.ReadFile("../SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	fn := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	suite := regexp.MustCompile(`(?m)^\t\t\{"(\w+)", `)
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 {
				return filepath.SkipDir
			}
			return err
		}
		isSuite := filepath.Base(path) == "conform.go"
		if !strings.HasSuffix(path, "_test.go") && !isSuite {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range fn.FindAllSubmatch(b, -1) {
			exists[string(m[1])] = true
		}
		if isSuite {
			for _, m := range suite.FindAllSubmatch(b, -1) {
				exists["Conform/"+string(m[1])] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+|Conform/\\w+)`").FindAllSubmatch(spec, -1)
	if len(named) < 20 {
		t.Fatalf("SPEC names only %d tests", len(named))
	}
	for _, m := range named {
		if !exists[string(m[1])] {
			t.Errorf("SPEC names %s, which does not exist", m[1])
		}
	}
}

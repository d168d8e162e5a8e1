package signing_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/protocol/catalog/signing"
	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
)

func TestKeyAndSignatureFiles(t *testing.T) {
	pub, key, err := signing.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	file, err := signing.EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(file), "-----BEGIN PRIVATE KEY-----\n") {
		t.Errorf("%s", file)
	}
	back, err := signing.DecodePrivateKey(file)
	if err != nil || !back.Equal(key) {
		t.Fatalf("the key came back differently: %v", err)
	}
	line := signing.EncodePublicKey(pub)
	if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
		t.Errorf("%q is not one line", line)
	}
	pub2, err := signing.DecodePublicKey(line)
	if err != nil || !pub2.Equal(pub) {
		t.Fatal(err)
	}
	raw := []byte("catalog: any\n")
	sigFile := signing.EncodeSignature(signing.Sign(raw, back))
	sig, err := signing.DecodeSignature(append(bytes.TrimSpace(sigFile), "\r\n"...)) // as some editors leave it
	if err != nil {
		t.Fatal(err)
	}
	if err := signing.Verify(raw, sig, pub2); err != nil {
		t.Error(err)
	}
}

// RFC 8410, section 10.3, pins the form of the key file.
func TestKeyFileOfRFC8410(t *testing.T) {
	key, err := signing.DecodePrivateKey([]byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(key.Seed()); got != "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842" {
		t.Error(got)
	}
	// Ed25519 is deterministic: other programs must make this very signature.
	golden(t, "rfc8410.sig.golden", string(signing.EncodeSignature(signing.Sign([]byte("catalog: any\n"), key))))
}

func TestFilesThatAreNoKeys(t *testing.T) {
	_, key, _ := signing.GenerateKey()
	good, _ := signing.EncodePrivateKey(key)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{
		"empty":         nil,
		"text":          []byte("hunter2"),
		"another type":  bytes.ReplaceAll(good, []byte("PRIVATE"), []byte("SECRET")),
		"two keys":      append(bytes.Clone(good), good...),
		"another curve": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"broken":        pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der[:20]}),
	} {
		_, err := signing.DecodePrivateKey(file)
		if code(err) != strict.CodeBadKey {
			t.Errorf("private, %s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error quotes the file: %v", err)
		}
	}
	for name, file := range map[string][]byte{
		"empty":      nil,
		"short":      []byte(base64.StdEncoding.EncodeToString(make([]byte, 31))),
		"long":       []byte(base64.StdEncoding.EncodeToString(make([]byte, 65))),
		"not base64": []byte("!!!"),
		"very long":  bytes.Repeat([]byte("A"), 1<<20),
		"loose bits": []byte(strings.Repeat("A", 42) + "B="), // decodes, but is not what was written
	} {
		if _, err := signing.DecodePublicKey(file); code(err) != strict.CodeBadKey {
			t.Errorf("public, %s: %v", name, err)
		}
		if _, err := signing.DecodeSignature(file); code(err) != strict.CodeBadSignature {
			t.Errorf("signature, %s: %v", name, err)
		}
	}
}

func TestSignedCatalog(t *testing.T) {
	raw := read(t, "../testdata/forge-like.yaml")
	pub, key, err := signing.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	sig := signing.Sign(raw, key)
	if _, err := signing.ParseSigned(raw, sig, pub); err != nil {
		t.Fatal(err)
	}
	otherPub, _, _ := signing.GenerateKey()
	flipped := append([]byte(nil), raw...)
	flipped[10] ^= 1
	bare := ed25519.Sign(key, raw)
	for name, err := range map[string]error{
		"another key":       signing.Verify(raw, sig, otherPub),
		"a flipped byte":    signing.Verify(flipped, sig, pub),
		"a flipped sig":     signing.Verify(raw, append([]byte{sig[0] ^ 1}, sig[1:]...), pub),
		"a short signature": signing.Verify(raw, sig[:63], pub),
		"no signature":      signing.Verify(raw, nil, pub),
		"another domain":    signing.Verify(raw, bare, pub),
	} {
		var e strict.Error
		if !errors.As(err, &e) || e.Code != strict.CodeBadSignature {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := signing.Verify(raw, sig, pub[:31]); err == nil {
		t.Error("a short key verified")
	}
	// Verification comes first: what is not signed is not even parsed.
	if _, err := signing.ParseSigned([]byte("not: [a catalog"), sig, pub); err == nil || cmp.Diff(strict.CodeBadSignature, code(err)) != "" {
		t.Errorf("not signed: %v", err)
	}
}

func TestLargeFilesAreNotEvenVerified(t *testing.T) {
	const size = 1 << 20
	pub, key, _ := signing.GenerateKey()
	large := bytes.Repeat([]byte("#"), size+1)
	if _, err := signing.ParseSigned(large, signing.Sign(large, key), pub); code(err) != strict.CodeTooLarge {
		t.Error(err)
	}
}

func code(err error) string {
	var e strict.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if d := cmp.Diff(string(read(t, path)), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

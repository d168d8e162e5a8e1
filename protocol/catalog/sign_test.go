package catalog_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
)

func TestKeyAndSignatureFiles(t *testing.T) {
	pub, key, err := catalog.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	file, err := catalog.EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(file), "-----BEGIN PRIVATE KEY-----\n") {
		t.Errorf("%s", file)
	}
	back, err := catalog.DecodePrivateKey(file)
	if err != nil || !back.Equal(key) {
		t.Fatalf("the key came back differently: %v", err)
	}
	line := catalog.EncodePublicKey(pub)
	if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
		t.Errorf("%q is not one line", line)
	}
	pub2, err := catalog.DecodePublicKey(line)
	if err != nil || !pub2.Equal(pub) {
		t.Fatal(err)
	}
	raw := []byte("catalog: any\n")
	sigFile := catalog.EncodeSignature(catalog.Sign(raw, back))
	sig, err := catalog.DecodeSignature(append(bytes.TrimSpace(sigFile), "\r\n"...)) // as some editors leave it
	if err != nil {
		t.Fatal(err)
	}
	if err := catalog.Verify(raw, sig, pub2); err != nil {
		t.Error(err)
	}
}

// RFC 8410, section 10.3, pins the form of the key file.
func TestKeyFileOfRFC8410(t *testing.T) {
	key, err := catalog.DecodePrivateKey([]byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(key.Seed()); got != "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842" {
		t.Error(got)
	}
	// Ed25519 is deterministic: other programs must make this very signature.
	golden(t, "rfc8410.sig.golden", string(catalog.EncodeSignature(catalog.Sign([]byte("catalog: any\n"), key))))
}

func TestFilesThatAreNoKeys(t *testing.T) {
	_, key, _ := catalog.GenerateKey()
	good, _ := catalog.EncodePrivateKey(key)
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
		_, err := catalog.DecodePrivateKey(file)
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
		if _, err := catalog.DecodePublicKey(file); code(err) != strict.CodeBadKey {
			t.Errorf("public, %s: %v", name, err)
		}
		if _, err := catalog.DecodeSignature(file); code(err) != strict.CodeBadSignature {
			t.Errorf("signature, %s: %v", name, err)
		}
	}
}

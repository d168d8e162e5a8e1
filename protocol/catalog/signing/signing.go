// Package signing signs a catalog file as bytes, verifies it before anything is parsed, and
// reads and writes the files of keys and signatures.
//
// It keeps no state on disk: the files are read and written by its callers.
package signing

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
)

// domain keeps a signature over a catalog from being one over anything else.
const domain = "fieldpost/catalog/v1\x00"

// PublicKeySize is the size of a public key in bytes.
const PublicKeySize = ed25519.PublicKeySize

func signed(raw []byte) []byte {
	return append([]byte(domain), raw...)
}

// Sign signs the bytes of a catalog file. It does not parse them: sign what Parse accepted.
func Sign(raw []byte, key ed25519.PrivateKey) (sig []byte) {
	return ed25519.Sign(key, signed(raw))
}

// Verify reports whether sig is the key's signature over the bytes of a catalog file.
func Verify(raw, sig []byte, pub ed25519.PublicKey) error {
	switch {
	case len(pub) != ed25519.PublicKeySize:
		return strict.Coded(strict.CodeBadKey, "the public key has %d bytes, not %d", len(pub), ed25519.PublicKeySize)
	case len(sig) != ed25519.SignatureSize || !ed25519.Verify(pub, signed(raw), sig):
		return strict.Error{Code: strict.CodeBadSignature, Message: "the catalog is not signed by this key",
			Hint: "fetch FILE and FILE.sig again, or check which key the vendor signs with"}
	}
	return nil
}

// ParseSigned verifies first and parses only what was signed by the key.
func ParseSigned(raw, sig []byte, pub ed25519.PublicKey) (*catalog.Catalog, error) {
	if len(raw) > strict.MaxBytes {
		return nil, strict.Coded(strict.CodeTooLarge, "the file has %d bytes; a catalog has at most %d", len(raw), strict.MaxBytes)
	}
	if err := Verify(raw, sig, pub); err != nil {
		return nil, err
	}
	return catalog.Parse(raw)
}

// EncodeSignature is what FILE.sig holds: the signature as one line of base64.
func EncodeSignature(sig []byte) []byte { return line(sig) }

// DecodeSignature reads FILE.sig.
func DecodeSignature(file []byte) ([]byte, error) {
	sig, err := unline(file, ed25519.SignatureSize)
	if err != nil {
		return nil, strict.Coded(strict.CodeBadSignature, "the signature file is not one line of base64 with %d bytes", ed25519.SignatureSize)
	}
	return sig, nil
}

// GenerateKey makes a signing key.
func GenerateKey() (ed25519.PublicKey, ed25519.PrivateKey, error) {
	return ed25519.GenerateKey(rand.Reader)
}

// EncodePrivateKey writes a signing key as PEM (PKCS #8, RFC 8410).
func EncodePrivateKey(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the signing key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// DecodePrivateKey reads what EncodePrivateKey wrote. Errors never quote the input.
func DecodePrivateKey(file []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(file)
	if block == nil || block.Type != "PRIVATE KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, strict.Coded(strict.CodeBadKey, "the signing key is not one PEM block of type PRIVATE KEY")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, strict.Coded(strict.CodeBadKey, "the signing key is not PKCS #8")
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, strict.Coded(strict.CodeBadKey, "the signing key is not an Ed25519 key")
	}
	return ed, nil
}

// EncodePublicKey writes a public key as one line of base64.
func EncodePublicKey(pub ed25519.PublicKey) []byte { return line(pub) }

// DecodePublicKey reads what EncodePublicKey wrote.
func DecodePublicKey(file []byte) (ed25519.PublicKey, error) {
	b, err := unline(file, ed25519.PublicKeySize)
	if err != nil {
		return nil, strict.Coded(strict.CodeBadKey, "the public key is not one line of base64 with %d bytes", ed25519.PublicKeySize)
	}
	return b, nil
}

func line(b []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(nil, b), '\n')
}

func unline(file []byte, size int) ([]byte, error) {
	if len(file) > 1024 {
		return nil, fmt.Errorf("reading %d bytes where a line was expected", len(file))
	}
	b, err := base64.StdEncoding.Strict().AppendDecode(nil, bytes.TrimSpace(file))
	if err != nil {
		return nil, fmt.Errorf("decoding base64: %w", err)
	}
	if len(b) != size {
		return nil, fmt.Errorf("decoding base64: %d bytes, not %d", len(b), size)
	}
	return b, nil
}

//go:build pseudonymous

package vault

import (
	"crypto/hmac"
	"crypto/sha256"
)

// MAC is HMAC-SHA256 (RFC 2104) under the key of a use, which stays here.
func (v *Vault) MAC(use string) func(message []byte) []byte {
	key := v.key(use)
	return func(message []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write(message)
		return h.Sum(nil)
	}
}

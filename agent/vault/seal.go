package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
)

// ErrSealed: it was not sealed here, not for this place, or was altered since.
var ErrSealed = errors.New("sealed data does not open")

const (
	saltSize = 16 // 128 random bits: two files share one by chance never
	tagSize  = 16
	// nonceSize is GCM's own; any other costs a hash.
	nonceSize = 12

	// recordMark begins a sealed record; records of before the vault begin with a small version.
	recordMark = 0xF1
	recordHead = 1 + saltSize + 4
	// fileMagic begins a sealed file; its last byte is the version.
	fileMagic = "fpseal\x00\x01"
	fileHead  = len(fileMagic) + saltSize
)

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err == nil {
		var a cipher.AEAD
		if a, err = cipher.NewGCM(block); err == nil {
			return a
		}
	}
	panic(err) // only a key of another length fails
}

// Records seals the records of one log. Safe for concurrent use.
//
// A sealed record is mark(1) salt(16) counter(4, big-endian) ciphertext tag(16). The salt is drawn
// when the first record is sealed, and again after 2³² of them. The nonce is the last eight bytes of the salt
// and the counter (SP 800-38D, 8.2.1: a fixed field and an invocation field), as they stand there; the record's
// number in the log is additional data.
type Records struct {
	key []byte

	mu     sync.Mutex // guards what follows
	salt   [saltSize]byte
	seal   cipher.AEAD // nil: no salt yet
	count  uint32
	opened [openers]opener // the newest salts met, in turn
	turn   int
}

// openers is how many salts are remembered: a log holds a start of the agent an hour at most, and is read in order.
const openers = 4

type opener struct {
	salt [saltSize]byte
	aead cipher.AEAD
}

// Records are those of a use.
func (v *Vault) Records(use string) *Records { return &Records{key: v.key(use)} }

// Room is how many bytes Seal needs before and after the content.
func (r *Records) Room() (before, after int) { return recordHead, tagSize }

// Seal seals a record in place; frame is the content with Room around it, no its number in the log.
func (r *Records) Seal(no uint64, frame []byte) {
	r.mu.Lock()
	if r.seal == nil || r.count == math.MaxUint32 {
		rand.Read(r.salt[:]) // never fails (crypto/rand)
		r.seal, r.count = gcm(expand(r.key, "records\x00"+string(r.salt[:]))), 0
	}
	r.count++
	frame[0] = recordMark
	copy(frame[1:], r.salt[:])
	binary.BigEndian.PutUint32(frame[1+saltSize:], r.count)
	aead := r.seal
	r.mu.Unlock()
	end := len(frame) - tagSize
	aead.Seal(frame[recordHead:recordHead], nonce(frame), frame[recordHead:end], number(no))
}

// Open appends the content of a sealed record to dst.
func (r *Records) Open(no uint64, dst, sealed []byte) ([]byte, error) {
	if len(sealed) < recordHead+tagSize || sealed[0] != recordMark {
		return dst, ErrSealed
	}
	out, err := r.opener([saltSize]byte(sealed[1:])).Open(dst, nonce(sealed), sealed[recordHead:], number(no))
	if err != nil {
		return dst, ErrSealed
	}
	return out, nil
}

func (r *Records) opener(salt [saltSize]byte) cipher.AEAD {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seal != nil && r.salt == salt {
		return r.seal
	}
	for _, o := range r.opened {
		if o.aead != nil && o.salt == salt {
			return o.aead
		}
	}
	o := opener{salt, gcm(expand(r.key, "records\x00"+string(salt[:])))}
	r.opened[r.turn] = o
	r.turn = (r.turn + 1) % openers
	return o.aead
}

// nonce is that of a record: no copy is made, because records come by the ten thousand.
func nonce(record []byte) []byte { return record[recordHead-nonceSize : recordHead] }

func number(no uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], no)
	return b[:]
}

// Files seals whole files of one use. Safe for concurrent use.
//
// A sealed file is magic(8) salt(16) ciphertext tag(16): one message under a key of its own, so that
// nothing of it is believed before all of it was checked. Its name is additional data.
type Files struct{ key []byte }

// Files are those of a use.
func (v *Vault) Files(use string) *Files { return &Files{key: v.key(use)} }

// Head is how many bytes Seal needs before the content.
func (f *Files) Head() int { return fileHead }

// Seal seals a file in place: b is Head bytes and the content. The result holds b's memory and 16 bytes more.
func (f *Files) Seal(name string, b []byte) []byte {
	copy(b, fileMagic)
	salt := b[len(fileMagic):fileHead]
	rand.Read(salt) // never fails (crypto/rand)
	return f.aead(salt).Seal(b[:fileHead], make([]byte, nonceSize), b[fileHead:], []byte(name))
}

// Open opens a sealed file in place; the content lies in b's memory.
func (f *Files) Open(name string, b []byte) ([]byte, error) {
	if !f.Sealed(b) || len(b) < fileHead+tagSize {
		return nil, fmt.Errorf("opening %s: %w", name, ErrSealed)
	}
	out, err := f.aead(b[len(fileMagic):fileHead]).Open(b[fileHead:fileHead], make([]byte, nonceSize), b[fileHead:], []byte(name))
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, ErrSealed)
	}
	return out, nil
}

// Sealed reports whether b begins as a sealed file does.
func (f *Files) Sealed(b []byte) bool {
	return len(b) >= len(fileMagic) && string(b[:len(fileMagic)]) == fileMagic
}

func (f *Files) aead(salt []byte) cipher.AEAD { return gcm(expand(f.key, "file\x00"+string(salt))) }

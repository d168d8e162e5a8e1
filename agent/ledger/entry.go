package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// Kind of an entry. Append-only: the names are on disk.
type Kind string

const (
	Batch   Kind = "batch"    // a settled batch; Wire holds it
	CheckIn Kind = "check_in" // what a check-in told
	Consent Kind = "consent"  // a decision about consent, with who and why
	Query   Kind = "query"    // somebody at the site asked for exact figures
	Trim    Kind = "trim"     // entries before Before are gone, by age or disk cap
	// Forgotten: people were forgotten at the site's wish; how many were named, and no name
	Forgotten Kind = "forgotten"
	// Wiped: what was measured here was deleted, and the site key destroyed
	Wiped Kind = "wiped"
	// Note: anything else worth a date: an epoch opened, a catalog adopted
	Note Kind = "note"
)

// Entry is one record of the ledger.
type Entry struct {
	No   uint64        `json:"no"`
	Hash exchange.Hash `json:"hash"` // of the record
	Prev exchange.Hash `json:"prev"`
	Meta
	// Wire is the batch, byte for byte; nil for other kinds and while listing (see Batch).
	Wire []byte `json:"-"`
}

// Meta is what an entry says. Fields that do not belong to its kind are empty.
type Meta struct {
	Kind Kind  `json:"kind"`
	Time int64 `json:"time"` // unix seconds by the agent's clock

	Epoch   exchange.ID      `json:"epoch,omitzero"`
	Seq     uint64           `json:"seq,omitempty"`
	Batch   exchange.Hash    `json:"batch,omitzero"`
	Cells   int              `json:"cells,omitempty"`
	Bytes   int              `json:"bytes,omitempty"`
	Outcome exchange.Outcome `json:"outcome,omitempty"` // "" when settled here, without the collector
	Reason  string           `json:"reason,omitempty"`  // of a quarantine: the collector's code or our own
	Receipt *exchange.Answer `json:"receipt,omitempty"` // the signed answer

	Detail json.RawMessage `json:"detail,omitempty"` // check-in, consent, query, note
	Before uint64          `json:"before,omitempty"` // trim
}

// Acknowledged reports whether the collector took the batch.
func (m *Meta) Acknowledged() bool { return m.Kind == Batch && m.Outcome == exchange.Accepted }

const (
	recordVersion = 1
	maxMeta       = 1 << 20 // a check-in or a decision is under 64 KiB; a receipt under 2
)

var errRecord = errors.New("entry is damaged")

func encode(prev exchange.Hash, m *Meta, wire []byte) ([]byte, error) {
	meta, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing a ledger entry: %w", err)
	}
	if len(meta) > maxMeta {
		return nil, fmt.Errorf("writing a ledger entry: %d bytes, at most %d", len(meta), maxMeta)
	}
	b := make([]byte, 0, 1+len(prev)+binary.MaxVarintLen32+len(meta)+len(wire))
	b = append(append(b, recordVersion), prev[:]...)
	b = binary.AppendUvarint(b, uint64(len(meta)))
	return append(append(b, meta...), wire...), nil
}

// decode reads a record. Wire is a copy.
func decode(no uint64, b []byte, withWire bool) (Entry, error) {
	e := Entry{No: no, Hash: hashOf(b)}
	if len(b) < 1+len(e.Prev) || b[0] != recordVersion {
		return e, fmt.Errorf("reading ledger entry %d: %w", no, errRecord)
	}
	copy(e.Prev[:], b[1:])
	b = b[1+len(e.Prev):]
	n, l := binary.Uvarint(b)
	if l <= 0 || n > maxMeta || n > uint64(len(b)-l) {
		return e, fmt.Errorf("reading ledger entry %d: %w", no, errRecord)
	}
	if err := json.Unmarshal(b[l:l+int(n)], &e.Meta); err != nil {
		return e, fmt.Errorf("reading ledger entry %d: %w: %w", no, errRecord, err)
	}
	if withWire {
		e.Wire = bytes.Clone(b[l+int(n):])
	}
	return e, nil
}

func hashOf(record []byte) exchange.Hash {
	h := sha256.New()
	h.Write([]byte("fieldpost/ledger/v1\x00"))
	h.Write(record)
	return exchange.Hash(h.Sum(nil))
}

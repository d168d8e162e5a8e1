package batch

import (
	"bytes"
	"crypto/sha256"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// ID is a random 128-bit id: an agent's or an epoch's.
type ID = [16]byte

// Header says whose batch it is and where it belongs.
type Header struct {
	Agent     ID
	Epoch     ID
	Seq       uint64            // counts from 1 within the epoch
	Prev      [sha256.Size]byte // hash of the batch before; zero for seq 1
	Catalog   [sha256.Size]byte // hash of the catalog the cells refer to
	Consent   [sha256.Size]byte // hash of the consent statement that covers them
	Created   int64             // unix seconds of the freeze, by the agent's clock
	Simulated bool              // a replay: age and silence are judged by its own clock
	Zone      string            // IANA name of the zone civil windows are in
	Tzdata    string            // version of the zone data, like 2026a; "" when not known
	Open      *Opening          // with seq 1, and only then

	// Set by Freeze; what is given is ignored.
	Version uint32 // of the protocol
	Cells   uint32 // how many
	RawLen  uint32 // of the inflated columns
	RawCRC  uint32 // CRC32C of the inflated columns
}

// Opening is the record that opens an epoch.
type Opening struct {
	Reason    Reason
	PrevEpoch ID                // zero for ReasonNew
	LastSeq   uint64            // last frozen batch of PrevEpoch, 0 for none
	LastHash  [sha256.Size]byte // its hash
}

// Reason says why an epoch was opened. The numbers are wire format.
type Reason uint8

const (
	ReasonNew     Reason = 1 // first epoch of the agent
	ReasonOutage  Reason = 2 // back after an outage: fresh data flows beside the backlog
	ReasonRestore Reason = 3 // the state was restored from a backup
	ReasonFork    Reason = 4 // the collector holds another batch of this epoch and seq
)

func (r Reason) String() string {
	switch r {
	case ReasonNew:
		return "new"
	case ReasonOutage:
		return "outage"
	case ReasonRestore:
		return "restore"
	case ReasonFork:
		return "fork"
	}
	return "invalid"
}

// Field numbers of Header and Opening in batch.proto.
const (
	fVersion   = 1
	fAgent     = 2
	fEpoch     = 3
	fSeq       = 4
	fPrev      = 5
	fCatalog   = 6
	fConsent   = 7
	fCreated   = 8
	fSimulated = 9
	fZone      = 10
	fTzdata    = 11
	fOpen      = 12
	fCells     = 13
	fRawLen    = 14
	fRawCRC    = 15

	fReason    = 1
	fPrevEpoch = 2
	fLastSeq   = 3
	fLastHash  = 4
)

// maxCreated is 2200-01-01T00:00:00Z.
const maxCreated = 7258118400

func (h *Header) append(b []byte) []byte {
	b = appendVarint(b, fVersion, uint64(h.Version))
	b = appendBytes(b, fAgent, h.Agent[:])
	b = appendBytes(b, fEpoch, h.Epoch[:])
	b = appendVarint(b, fSeq, h.Seq)
	b = appendBytes(b, fPrev, h.Prev[:])
	b = appendBytes(b, fCatalog, h.Catalog[:])
	b = appendBytes(b, fConsent, h.Consent[:])
	b = appendVarint(b, fCreated, uint64(h.Created))
	if h.Simulated {
		b = appendVarint(b, fSimulated, 1)
	}
	b = appendString(b, fZone, h.Zone)
	b = appendString(b, fTzdata, h.Tzdata)
	if h.Open != nil {
		o := appendVarint(nil, fReason, uint64(h.Open.Reason))
		o = appendBytes(o, fPrevEpoch, h.Open.PrevEpoch[:])
		o = appendVarint(o, fLastSeq, h.Open.LastSeq)
		o = appendBytes(o, fLastHash, h.Open.LastHash[:])
		b = protowire.AppendTag(b, fOpen, protowire.BytesType)
		b = protowire.AppendBytes(b, o)
	}
	b = appendVarint(b, fCells, uint64(h.Cells))
	b = appendVarint(b, fRawLen, uint64(h.RawLen))
	if h.RawCRC != 0 {
		b = protowire.AppendTag(b, fRawCRC, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, h.RawCRC)
	}
	return b
}

// Fields at their zero value are left out, as proto3 does.
func appendVarint(b []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func appendBytes(b []byte, n protowire.Number, v []byte) []byte {
	if allZero(v) {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func appendString(b []byte, n protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// parseHeader reads and checks a header and accepts only its canonical form.
func parseHeader(b []byte) (Header, error) {
	var h Header
	// The version stands first and decides how the rest is to be read.
	if n, t, l := protowire.ConsumeTag(b); l > 0 && n == fVersion && t == protowire.VarintType {
		if v, m := protowire.ConsumeVarint(b[l:]); m > 0 && v != Version {
			return h, fail(ErrVersion, "version %d, this side speaks %d", v, Version)
		}
	}
	err := eachField(b, func(n protowire.Number, v fieldValue) bool {
		switch n {
		case fVersion:
			return v.uint32(&h.Version)
		case fAgent:
			return v.array(h.Agent[:])
		case fEpoch:
			return v.array(h.Epoch[:])
		case fSeq:
			h.Seq = v.num
		case fPrev:
			return v.array(h.Prev[:])
		case fCatalog:
			return v.array(h.Catalog[:])
		case fConsent:
			return v.array(h.Consent[:])
		case fCreated:
			h.Created = int64(v.num)
		case fSimulated:
			h.Simulated = v.num == 1
		case fZone:
			h.Zone = string(v.bytes)
		case fTzdata:
			h.Tzdata = string(v.bytes)
		case fOpen:
			h.Open = new(Opening)
			return eachField(v.bytes, h.Open.set) == nil
		case fCells:
			return v.uint32(&h.Cells)
		case fRawLen:
			return v.uint32(&h.RawLen)
		case fRawCRC:
			h.RawCRC = uint32(v.num)
		default:
			return false
		}
		return true
	})
	if err != nil {
		return Header{}, err
	}
	if !bytes.Equal(h.append(make([]byte, 0, MaxHeader)), b) {
		return Header{}, fail(ErrMalformed, "header is not in canonical form")
	}
	if err := h.check(); err != nil {
		return Header{}, err
	}
	return h, nil
}

func (o *Opening) set(n protowire.Number, v fieldValue) bool {
	switch n {
	case fReason:
		o.Reason = Reason(v.num)
	case fPrevEpoch:
		return v.array(o.PrevEpoch[:])
	case fLastSeq:
		o.LastSeq = v.num
	case fLastHash:
		return v.array(o.LastHash[:])
	default:
		return false
	}
	return true
}

// fieldValue is a field's value: num for varints and fixed32, bytes otherwise. That the
// wire type was the right one is found by encoding again.
type fieldValue struct {
	num   uint64
	bytes []byte
}

func (v fieldValue) uint32(to *uint32) bool {
	*to = uint32(v.num)
	return uint64(*to) == v.num
}

func (v fieldValue) array(to []byte) bool { return copy(to, v.bytes) == len(v.bytes) }

// eachField walks a message whose field numbers rise, each at most once.
func eachField(b []byte, set func(protowire.Number, fieldValue) bool) error {
	last := protowire.Number(0)
	for len(b) > 0 {
		n, t, l := protowire.ConsumeTag(b)
		if l < 0 || n <= last {
			return fail(ErrMalformed, "field after %d", last)
		}
		b, last = b[l:], n
		var v fieldValue
		switch t {
		case protowire.VarintType:
			v.num, l = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			v.bytes, l = protowire.ConsumeBytes(b)
		case protowire.Fixed32Type:
			var u uint32
			u, l = protowire.ConsumeFixed32(b)
			v.num = uint64(u)
		default:
			l = -1
		}
		if l < 0 || !set(n, v) {
			return fail(ErrMalformed, "field %d", n)
		}
		b = b[l:]
	}
	return nil
}

// check reports the first contradiction in a header.
func (h *Header) check() error {
	switch {
	case h.Version != Version:
		return fail(ErrVersion, "version %d, this side speaks %d", h.Version, Version)
	case h.Agent == ID{} || h.Epoch == ID{}:
		return fail(ErrHeader, "agent and epoch must be given")
	case h.Catalog == [32]byte{} || h.Consent == [32]byte{}:
		return fail(ErrHeader, "catalog and consent must be given")
	case h.Seq == 0 || h.Seq >= 1<<63:
		return fail(ErrHeader, "seq %d", h.Seq)
	case (h.Seq == 1) != (h.Prev == [32]byte{}):
		return fail(ErrHeader, "the hash of the batch before is missing or stands with seq 1")
	case h.Created <= 0 || h.Created >= maxCreated:
		return fail(ErrWindow, "created at %d", h.Created)
	case !zoneName(h.Zone) || !tzVersion(h.Tzdata):
		return fail(ErrHeader, "time zone")
	case (h.Seq == 1) != (h.Open != nil):
		return fail(ErrHeader, "an epoch opens with seq 1 and only then")
	case h.RawLen > MaxRaw || h.Cells > MaxCells:
		return fail(ErrTooLarge, "%d cells in %d bytes, at most %d in %d", h.Cells, h.RawLen, MaxCells, MaxRaw)
	}
	if h.Open != nil {
		return h.Open.check(h.Epoch)
	}
	return nil
}

func (o *Opening) check(epoch ID) error {
	isNew := o.Reason == ReasonNew
	switch {
	case o.Reason < ReasonNew || o.Reason > ReasonFork:
		return fail(ErrHeader, "reason %d", o.Reason)
	case isNew != (o.PrevEpoch == ID{}) || o.PrevEpoch == epoch:
		return fail(ErrHeader, "epoch before, reason %s", o.Reason)
	case isNew && o.LastSeq != 0, o.LastSeq >= 1<<63, (o.LastSeq == 0) != (o.LastHash == [32]byte{}):
		return fail(ErrHeader, "last batch of the epoch before")
	}
	return nil
}

// zoneName admits names shaped like those of the zone database; whether the reader knows
// the zone is another question, asked where it is loaded.
func zoneName(s string) bool {
	if len(s) == 0 || len(s) > 64 || s == "Local" {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || !letter(part[0]) {
			return false
		}
		for i := range len(part) {
			if c := part[i]; !letter(c) && !digit(c) && c != '_' && c != '-' && c != '+' {
				return false
			}
		}
	}
	return true
}

func tzVersion(s string) bool {
	if len(s) > 16 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !letter(c) && !digit(c) && c != '.' {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

package protocoltest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/report"
)

//go:embed testdata/vectors
var vectorFiles embed.FS

// Vector is a batch on the wire and what opening it must give.
type Vector struct {
	Name   string
	Why    string // what it shows
	Wire   []byte
	Key    ed25519.PublicKey
	Error  batch.Code // of Open; "" for good ones, which alone have the rest
	Header batch.Header
	Cells  []report.Cell
	Hash   [sha256.Size]byte
}

// Vectors loads all vectors, sorted by name.
func Vectors() ([]Vector, error) {
	const dir = "testdata/vectors"
	entries, err := vectorFiles.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing the vectors: %w", err)
	}
	var all []Vector
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		text, err := vectorFiles.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading vector %s: %w", name, err)
		}
		v := Vector{Name: name}
		if err := json.Unmarshal(text, &v); err != nil {
			return nil, fmt.Errorf("reading vector %s: %w", name, err)
		}
		if v.Wire, err = vectorFiles.ReadFile(path.Join(dir, name+".bin")); err != nil {
			return nil, fmt.Errorf("reading vector %s: %w", name, err)
		}
		all = append(all, v)
	}
	return all, nil
}

type vectorJSON struct {
	Why    string      `json:"why"`
	Key    hexBytes    `json:"public_key"`
	Error  string      `json:"error,omitempty"`
	Hash   hexBytes    `json:"hash,omitempty"`
	Header *headerJSON `json:"header,omitempty"`
	Cells  []cellJSON  `json:"cells,omitempty"`
}

type headerJSON struct {
	Version   uint32       `json:"version"`
	Agent     hexBytes     `json:"agent"`
	Epoch     hexBytes     `json:"epoch"`
	Seq       uint64       `json:"seq"`
	Prev      hexBytes     `json:"prev"`
	Catalog   hexBytes     `json:"catalog"`
	Consent   hexBytes     `json:"consent"`
	Created   int64        `json:"created"`
	Simulated bool         `json:"simulated"`
	Zone      string       `json:"zone"`
	Tzdata    string       `json:"tzdata"`
	Open      *openingJSON `json:"open,omitempty"`
	Cells     uint32       `json:"cells"`
	RawLen    uint32       `json:"raw_len"`
	RawCRC    uint32       `json:"raw_crc"`
}

type openingJSON struct {
	Reason    uint8    `json:"reason"`
	PrevEpoch hexBytes `json:"prev_epoch"`
	LastSeq   uint64   `json:"last_seq"`
	LastHash  hexBytes `json:"last_hash"`
}

type cellJSON struct {
	Measure   uint16   `json:"measure"`
	Grain     string   `json:"grain"`
	Breakdown uint8    `json:"breakdown"`
	V1        uint16   `json:"v1"`
	V2        uint16   `json:"v2"`
	Field     string   `json:"field"`
	Start     int64    `json:"start"`
	Form      string   `json:"form"`
	Lo        number   `json:"lo"`
	Hi        number   `json:"hi"`
	Blob      hexBytes `json:"blob,omitempty"`
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// number is a float64 written in its shortest form, "inf" included.
type number float64

func (n number) MarshalText() ([]byte, error) {
	if math.IsInf(float64(n), 1) {
		return []byte("inf"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', -1, 64), nil
}

func (n *number) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	*n = number(v)
	return err
}

// MarshalJSON writes everything but the name and the wire.
func (v Vector) MarshalJSON() ([]byte, error) {
	j := vectorJSON{Why: v.Why, Key: hexBytes(v.Key), Error: string(v.Error)}
	if v.Error == "" {
		h := v.Header
		j.Hash = v.Hash[:]
		j.Header = &headerJSON{
			h.Version, h.Agent[:], h.Epoch[:], h.Seq, h.Prev[:], h.Catalog[:], h.Consent[:],
			h.Created, h.Simulated, h.Zone, h.Tzdata, nil, h.Cells, h.RawLen, h.RawCRC,
		}
		if o := h.Open; o != nil {
			j.Header.Open = &openingJSON{uint8(o.Reason), o.PrevEpoch[:], o.LastSeq, o.LastHash[:]}
		}
		for _, c := range v.Cells {
			j.Cells = append(j.Cells, cellJSON{
				c.Measure, c.Grain.String(), c.Breakdown, c.V1, c.V2, c.Field.String(), c.Start,
				c.Form.String(), number(c.Lo), number(c.Hi), c.Blob,
			})
		}
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (v *Vector) UnmarshalJSON(text []byte) error {
	var j vectorJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	v.Why, v.Key, v.Error = j.Why, ed25519.PublicKey(j.Key), batch.Code(j.Error)
	copy(v.Hash[:], j.Hash)
	if j.Header != nil {
		v.Header = j.Header.header()
	}
	for _, c := range j.Cells {
		cell, err := c.cell()
		if err != nil {
			return err
		}
		v.Cells = append(v.Cells, cell)
	}
	return nil
}

func (j *headerJSON) header() batch.Header {
	h := batch.Header{
		Version: j.Version, Seq: j.Seq, Created: j.Created, Simulated: j.Simulated, Zone: j.Zone,
		Tzdata: j.Tzdata, Cells: j.Cells, RawLen: j.RawLen, RawCRC: j.RawCRC,
	}
	copy(h.Agent[:], j.Agent)
	copy(h.Epoch[:], j.Epoch)
	copy(h.Prev[:], j.Prev)
	copy(h.Catalog[:], j.Catalog)
	copy(h.Consent[:], j.Consent)
	if j.Open != nil {
		h.Open = &batch.Opening{Reason: batch.Reason(j.Open.Reason), LastSeq: j.Open.LastSeq}
		copy(h.Open.PrevEpoch[:], j.Open.PrevEpoch)
		copy(h.Open.LastHash[:], j.Open.LastHash)
	}
	return h
}

func (j *cellJSON) cell() (report.Cell, error) {
	c := report.Cell{Start: j.Start, Lo: float64(j.Lo), Hi: float64(j.Hi), Blob: j.Blob}
	c.Measure, c.Breakdown, c.V1, c.V2 = j.Measure, j.Breakdown, j.V1, j.V2
	var err error
	if c.Grain, err = report.ParseGrain(j.Grain); err != nil {
		return c, err
	}
	if c.Field, err = report.ParseField(j.Field); err != nil {
		return c, err
	}
	c.Form, err = report.ParseForm(j.Form)
	return c, err
}

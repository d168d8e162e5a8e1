package report

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Figure is a cell with its names: what preview, ledger, the collector's API and every
// export show. Both ends resolve through the same signed catalog, so the two can be
// compared cell by cell.
type Figure struct {
	Measure string
	Hash    string // definition hash, 16 hex digits: a new one is a new series
	Field   Field
	Grain   Grain
	Start   int64 // as in Cell
	Dims    map[string]string
	Form    Form
	Lo, Hi  float64
	Text    string // the listed value of a fact; "" otherwise
	Blob    []byte
}

// Key identifies the window of the series the figure belongs to, within one installation.
func (f Figure) Key() string {
	d, _ := json.Marshal(f.Dims) // maps marshal with sorted keys
	return fmt.Sprintf("%s@%s %s %s %s %s", f.Measure, f.Hash, f.Field, f.Grain, StartString(f.Grain, f.Start), d)
}

type figureJSON struct {
	Measure string            `json:"measure"`
	Hash    string            `json:"hash"`
	Field   string            `json:"field"`
	Grain   string            `json:"grain"`
	Start   string            `json:"start"`
	Dims    map[string]string `json:"dims"`
	Form    string            `json:"form"`
	Lo      *float64          `json:"lo,omitempty"`
	Hi      *float64          `json:"hi,omitempty"` // absent with lo present: open top
	Text    string            `json:"text,omitempty"`
	Blob    []byte            `json:"blob,omitempty"`
}

// MarshalJSON writes the fixed shape: lo and hi only where the form has numbers, hi left
// out for an open top, blob in base64.
func (f Figure) MarshalJSON() ([]byte, error) {
	j := figureJSON{Measure: f.Measure, Hash: f.Hash, Field: f.Field.String(), Grain: f.Grain.String(),
		Start: StartString(f.Grain, f.Start), Dims: f.Dims, Form: f.Form.String(), Text: f.Text, Blob: f.Blob}
	if j.Dims == nil {
		j.Dims = map[string]string{}
	}
	if f.Form.HasNumbers() && !f.Field.IsBlob() {
		j.Lo = &f.Lo
		if !math.IsInf(f.Hi, 1) {
			j.Hi = &f.Hi
		}
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (f *Figure) UnmarshalJSON(b []byte) error {
	var j figureJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	var err error
	g := Figure{Measure: j.Measure, Hash: j.Hash, Dims: j.Dims, Text: j.Text, Blob: j.Blob}
	if g.Field, err = ParseField(j.Field); err != nil {
		return err
	}
	if g.Grain, err = ParseGrain(j.Grain); err != nil {
		return err
	}
	if g.Form, err = ParseForm(j.Form); err != nil {
		return err
	}
	if g.Start, err = ParseStart(g.Grain, j.Start); err != nil {
		return err
	}
	if j.Lo != nil {
		g.Lo, g.Hi = *j.Lo, math.Inf(1)
		if j.Hi != nil {
			g.Hi = *j.Hi
		}
	}
	*f = g
	return nil
}

// StartString writes a window's start: a date for civil grains, RFC 3339 in UTC otherwise.
func StartString(g Grain, start int64) string {
	if g.Civil() {
		return time.Unix(start*86400, 0).UTC().Format(time.DateOnly)
	}
	return time.Unix(start, 0).UTC().Format(time.RFC3339)
}

// ParseStart is the inverse of StartString.
func ParseStart(g Grain, s string) (int64, error) {
	layout := time.RFC3339
	if g.Civil() {
		layout = time.DateOnly
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return 0, fmt.Errorf("reading the start of a %s window: %w", g, err)
	}
	if g.Civil() {
		return t.Unix() / 86400, nil
	}
	return t.Unix(), nil
}

//go:build pseudonymous

package pseudonymous

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

const (
	// rulesDomain keeps a signature over rules from being one over a catalog.
	rulesDomain = "fieldpost/triggers/v1\x00"
	rulesBytes  = 64 << 10
	rulesMost   = 50
	// againLeast is the shortest time between two calls for one person and rule, againUsual the time where a rule names none.
	againLeast = 24 * time.Hour
	againUsual = 28 * 24 * time.Hour
)

// What a rule looks at.
const (
	notTried   = "not_tried"  // a feature of an adoption, after active days
	unfinished = "unfinished" // a funnel that was entered, after a time
)

// rulesFile is what the vendor signs, as JSON.
type rulesFile struct {
	Version int    `json:"fieldpost_triggers"`
	Catalog string `json:"catalog"` // its name
	Rules   []rule `json:"rules"`
}

// rule says for whom a call is made.
type rule struct {
	ID         string `json:"id"`
	Kind       string `json:"kind"`
	Measure    string `json:"measure"`
	Feature    string `json:"feature,omitempty"`     // not_tried
	ActiveDays int    `json:"active_days,omitempty"` // not_tried: of the last 28
	After      string `json:"after,omitempty"`       // unfinished
	Again      string `json:"again,omitempty"`       // default 28 days
	Purpose    string `json:"purpose"`

	after, again time.Duration
}

// SignRules signs the bytes of a file of rules.
func SignRules(raw []byte, key ed25519.PrivateKey) ([]byte, error) {
	if _, err := parseRules(raw); err != nil {
		return nil, err
	}
	return ed25519.Sign(key, append([]byte(rulesDomain), raw...)), nil
}

// verifyRules parses what the vendor signed.
func verifyRules(raw, sig []byte, vendor ed25519.PublicKey) (*rulesFile, error) {
	if len(vendor) != ed25519.PublicKeySize || len(sig) != ed25519.SignatureSize || !ed25519.Verify(vendor, append([]byte(rulesDomain), raw...), sig) {
		return nil, refuse("rules_signature", "the rules are not signed with the vendor's catalog key", "ask the vendor for the file and its signature again", 1)
	}
	return parseRules(raw)
}

func parseRules(raw []byte) (*rulesFile, error) {
	bad := func(format string, args ...any) error {
		return refuse("rules_invalid", "the rules: "+fmt.Sprintf(format, args...), "see the administrator's page on this build", 2)
	}
	if len(raw) > rulesBytes {
		return nil, bad("%d bytes, at most %d", len(raw), rulesBytes)
	}
	var f rulesFile
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, bad("%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, bad("something follows")
	}
	if f.Version != 1 || f.Catalog == "" || len(f.Rules) == 0 || len(f.Rules) > rulesMost {
		return nil, bad("version 1, the catalog's name and 1 to %d rules are needed", rulesMost)
	}
	seen := map[string]bool{}
	for i := range f.Rules {
		x := &f.Rules[i]
		if x.ID == "" || len(x.ID) > 64 || seen[x.ID] || x.Purpose == "" {
			return nil, bad("rule %d needs an id of its own, at most 64 bytes, and a purpose", i+1)
		}
		seen[x.ID] = true
		if err := x.times(); err != nil {
			return nil, bad("%s: %v", x.ID, err)
		}
	}
	return &f, nil
}

func (x *rule) times() (err error) {
	x.again = againUsual
	if x.Again != "" {
		if x.again, err = time.ParseDuration(x.Again); err != nil || x.again < againLeast || x.again > 400*24*time.Hour {
			return errors.New("again is 24h to 9600h")
		}
	}
	switch x.Kind {
	case notTried:
		if x.Feature == "" || x.ActiveDays < 1 || x.ActiveDays > 28 || x.After != "" {
			return errors.New("not_tried has a feature and 1 to 28 active_days")
		}
	case unfinished:
		x.after, err = time.ParseDuration(x.After)
		if err != nil || x.after < time.Hour || x.after > 30*24*time.Hour || x.Feature != "" || x.ActiveDays != 0 {
			return errors.New("unfinished has after, 1h to 720h")
		}
	default:
		return fmt.Errorf("there is no kind %q: not_tried, unfinished", x.Kind)
	}
	return nil
}

// fits says why a rule cannot be looked at with a catalog; nil when it can.
func (x *rule) fits(c *catalog.Catalog) (*catalog.Measure, error) {
	m, _ := c.Measure(x.Measure)
	switch {
	case m == nil:
		return nil, fmt.Errorf("the catalog has no measure %q", x.Measure)
	case x.Kind == notTried && m.Kind != catalog.Adoption, x.Kind == unfinished && m.Kind != catalog.Funnel:
		return nil, fmt.Errorf("%s is of kind %s", x.Measure, m.Kind)
	case x.Kind == notTried && !slices.ContainsFunc(m.Features, func(f catalog.Feature) bool { return f.ID == x.Feature }):
		return nil, fmt.Errorf("%s has no feature %q", x.Measure, x.Feature)
	case x.Kind == unfinished && x.after > m.Window:
		return nil, fmt.Errorf("after is longer than %s follows anybody", x.Measure)
	}
	return m, nil
}

func (x *rule) told() control.TriggerRule {
	text := fmt.Sprintf("who entered %s and is not through after %s", x.Measure, x.after)
	if x.Kind == notTried {
		text = fmt.Sprintf("who was active on %d of 28 days and has not used %s in them (%s)", x.ActiveDays, x.Feature, x.Measure)
	}
	return control.TriggerRule{ID: x.ID, Text: text + ", again after " + x.again.String() + ": " + x.Purpose}
}

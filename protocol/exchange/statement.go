package exchange

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// Level is how much of a category the customer lets leave.
type Level string

const (
	Off       Level = "off"       // not even collected; the default
	Local     Level = "local"     // measured and shown at the site, never sent
	Strict    Level = "strict"    // counts of people leave with noise only (ε in the catalog), drawn once
	Aggregate Level = "aggregate" // audited statements about counts leave
	Totals    Level = "totals"    // as Aggregate, and the site's totals of active users and events leave exactly
)

// Levels in rising order of what leaves.
func Levels() []Level { return []Level{Off, Local, Strict, Aggregate, Totals} }

// AtLeast reports whether l lets at least as much leave as o.
func (l Level) AtLeast(o Level) bool {
	return slices.Index(Levels(), l) >= slices.Index(Levels(), o) && slices.Contains(Levels(), l)
}

// LevelsOf are the levels a category can have: the pool is joined or not, and what joins has noise.
func LevelsOf(category string) []Level {
	if category == catalog.Pool {
		return []Level{Off, Strict}
	}
	return Levels()
}

// Leaves reports whether anything of the category leaves at this level.
func (l Level) Leaves() bool { return l.AtLeast(Strict) }

// Decision is the level of one category.
type Decision struct {
	Category string `json:"category"`
	Level    Level  `json:"level"`
	From     int64  `json:"from"` // unix seconds: windows that began before are not covered
}

// Statement is the customer's dated decision as the vendor sees it. Who decided, on which
// ticket and who countersigned stays at the site; Record commits to it (salted SHA-256).
type Statement struct {
	Version        int        `json:"version"` // Version of the protocol
	Agent          ID         `json:"agent"`
	Number         int        `json:"number"` // counts from 1 for each agent
	Prev           Hash       `json:"prev"`   // hash of the statement before; zero for the first
	CatalogName    string     `json:"catalog_name"`
	CatalogVersion int        `json:"catalog_version"` // 0: nothing accepted yet
	Catalog        Hash       `json:"catalog"`         // the accepted catalog: measures it does not hold are at most local
	Decided        int64      `json:"decided"`         // unix seconds
	Paused         bool       `json:"paused"`          // nothing is sent but check-ins
	Simulated      bool       `json:"simulated"`
	Categories     []Decision `json:"categories"`      // sorted by category; absent: off
	Since          []Since    `json:"since,omitempty"` // sorted by measure; see Since
	Record         Hash       `json:"record"`
}

// Since says that a measure's definition was accepted later than its category was decided on: windows of it
// that began before From are not covered.
type Since struct {
	Measure string `json:"measure"`
	From    int64  `json:"from"` // unix seconds
}

// SignedStatement is a statement as bytes, with the agent's signature over them.
type SignedStatement struct {
	Raw []byte `json:"raw"` // the statement's JSON, byte for byte
	Sig []byte `json:"sig"`
}

// ErrStatement is wrapped by every error about statements.
var ErrStatement = errors.New("consent statement is not valid")

// SignStatement freezes s.
func SignStatement(s Statement, key ed25519.PrivateKey) (SignedStatement, error) {
	slices.SortFunc(s.Categories, func(a, b Decision) int {
		if a.Category < b.Category {
			return -1
		}
		return 1
	})
	raw, err := json.Marshal(s)
	if err != nil {
		return SignedStatement{}, fmt.Errorf("writing a consent statement: %w", err)
	}
	return SignedStatement{Raw: raw, Sig: ed25519.Sign(key, message("fieldpost/consent/v1", raw))}, nil
}

// Hash names the statement; batches carry it.
func (s SignedStatement) Hash() Hash { return sha256.Sum256(s.Raw) }

// Parse reads the statement without checking the signature (the agent's own).
func (s SignedStatement) Parse() (*Statement, error) {
	var st Statement
	if err := json.Unmarshal(s.Raw, &st); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	for i, d := range st.Categories {
		if !slices.Contains(LevelsOf(d.Category), d.Level) || (i > 0 && st.Categories[i-1].Category >= d.Category) {
			return nil, fmt.Errorf("%w: category %q, level %q", ErrStatement, d.Category, d.Level)
		}
	}
	if st.Version != Version || st.Number < 1 {
		return nil, fmt.Errorf("%w: version %d, number %d", ErrStatement, st.Version, st.Number)
	}
	return &st, nil
}

// Verify checks the signature and reads the statement.
func (s SignedStatement) Verify(pub ed25519.PublicKey) (*Statement, error) {
	if len(pub) != ed25519.PublicKeySize || !ed25519.Verify(pub, message("fieldpost/consent/v1", s.Raw), s.Sig) {
		return nil, fmt.Errorf("%w: %w", ErrStatement, ErrSignature)
	}
	st, err := s.Parse()
	if err == nil && st.Agent != AgentID(pub) {
		err = fmt.Errorf("%w: it is another agent's", ErrStatement)
	}
	return st, err
}

// Decision of a category; Off where none was made.
func (s *Statement) Decision(category string) Decision {
	for _, d := range s.Categories {
		if d.Category == category {
			return d
		}
	}
	return Decision{Category: category, Level: Off}
}

// Effective is what the customer decided for one measure: the decision of its category, but
// at most Local when the accepted catalog does not hold the very same definition (upgrades
// switch nothing on). accepted is the catalog that s.Catalog names; nil when there is none.
func (s *Statement) Effective(m *catalog.Measure, accepted *catalog.Catalog) Decision {
	d := s.Decision(m.Category)
	if !d.Level.Leaves() {
		return d
	}
	from, ok := s.held(m, accepted)
	if !ok {
		d.Level = Local
		return d
	}
	d.From = max(d.From, from)
	return d
}

// EffectivePool is what the customer decided on a measure's noised figures for the pool: Strict where they join it, else
// Off. The pool is decided on by itself, but what is not measured at all cannot join: the measure's own
// category is at least Local.
func (s *Statement) EffectivePool(m *catalog.Measure, accepted *catalog.Catalog) Decision {
	d := s.Decision(catalog.Pool)
	from, ok := s.held(m, accepted)
	if !m.Pool || !ok || !s.Decision(m.Category).Level.AtLeast(Local) {
		d.Level = Off
	}
	d.From = max(d.From, from)
	return d
}

// held reports whether the accepted catalog holds the very same definition, and since when it was accepted where that
// was later than its category was decided on.
func (s *Statement) held(m *catalog.Measure, accepted *catalog.Catalog) (from int64, ok bool) {
	if accepted == nil || s.Catalog != Hash(accepted.Hash) {
		return 0, false
	}
	am, _ := accepted.Measure(m.ID)
	if am == nil || am.DefHash != m.DefHash || am.Category != m.Category {
		return 0, false
	}
	for _, x := range s.Since {
		if x.Measure == m.ID {
			from = max(from, x.From)
		}
	}
	return from, true
}

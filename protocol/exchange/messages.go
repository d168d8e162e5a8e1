package exchange

// CheckIn is the only thing enrolment itself allows: who, which version, which catalog, what
// was consented to. Signed as a request.
type CheckIn struct {
	Version        string          `json:"version"` // of the agent
	Protocol       int             `json:"protocol"`
	CatalogVersion int             `json:"catalog_version"` // in force at the site; 0: none
	Catalog        Hash            `json:"catalog"`
	Statement      SignedStatement `json:"statement"`
	Time           int64           `json:"time"`                // unix seconds of the agent's clock (virtual when simulated)
	Simulated      bool            `json:"simulated,omitempty"` // only a demo or test state may say so
}

// CheckInAnswer brings what the agent must know. Nothing in it can widen what leaves.
type CheckInAnswer struct {
	Time    int64          `json:"time"`              // unix seconds of the collector's clock
	Catalog *SignedCatalog `json:"catalog,omitempty"` // when the collector has another than the agent
	Pause   string         `json:"pause,omitempty"`   // the vendor asks to send nothing for now; why
	Through []Through      `json:"through,omitempty"` // what has arrived of this agent's newest epochs
}

// SignedCatalog is a catalog file and its signature.
type SignedCatalog struct {
	Raw []byte `json:"raw"`
	Sig []byte `json:"sig"`
}

// Through says how far an epoch has come.
type Through struct {
	Epoch  ID     `json:"epoch"`
	Queued uint64 `json:"queued_through"` // on the synced stream
	Stored uint64 `json:"stored_through"` // in the store
}

// Outcome of a batch, or why an agent is refused. Append-only.
type Outcome string

const (
	Accepted  Outcome = "accepted"   // 200: on the synced stream (or already there)
	OutOfTurn Outcome = "out_of_seq" // 409: Expected says which seq comes next
	TooLarge  Outcome = "too_large"  // 413: refused for good, the seq is consumed
	Refused   Outcome = "refused"    // 422: refused for good, the seq is consumed
	NotKnown  Outcome = "unknown"    // 401: the agent or its signature is not known
	Forbidden Outcome = "forbidden"  // 403: the agent is revoked, or its account closed
)

// Receipt is the collector's signed answer to a batch. It is kept in the ledger with its signature.
type Receipt struct {
	Outcome  Outcome `json:"outcome"`
	Agent    ID      `json:"agent"`
	Epoch    ID      `json:"epoch"`
	Seq      uint64  `json:"seq"`
	Hash     Hash    `json:"hash"` // of the batch
	Nonce    ID      `json:"nonce"`
	Queued   uint64  `json:"queued_through"`
	Stored   uint64  `json:"stored_through"`
	Expected uint64  `json:"expected,omitempty"` // OutOfTurn
	Code     string  `json:"code,omitempty"`     // why it was refused, e.g. consent_not_covered
	Message  string  `json:"message,omitempty"`
	Time     int64   `json:"time"`
}

// Problem is the body of every other error answer. It may be unsigned and then means only
// that the collector, or something before it, could not be reached.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

package exchange

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

func keyPair(n byte) (ed25519.PublicKey, ed25519.PrivateKey) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	return key.Public().(ed25519.PublicKey), key
}

func testToken() Token {
	c, _ := keyPair(1)
	k, _ := keyPair(2)
	return Token{
		ID: ID{1, 2}, URL: "https://collector.example:8443", Collector: c, CatalogKey: k, Account: "acme", Installation: "main",
		Environment: "production", Secret: bytes.Repeat([]byte{7}, 32), Expires: 1_800_000_000, MaxUses: 1,
	}
}

func TestTokenRoundTrip(t *testing.T) {
	s := testToken().String()
	got, err := ParseToken("\n " + s + "\t\n")
	if err != nil || got.String() != s {
		t.Fatalf("%v, %+v", err, got)
	}
	a, err := got.Key()
	b, err2 := testToken().Key()
	if err != nil || err2 != nil || !a.Equal(b) {
		t.Fatal("the same token gives another key")
	}
	other := testToken()
	other.ID[0]++
	if c, _ := other.Key(); c.Equal(a) {
		t.Fatal("another token with the same secret gives the same key")
	}
	if bytes.Contains(a, got.Secret) {
		t.Fatal("the key holds the secret")
	}
}

func TestS05_SpoiledTokens(t *testing.T) {
	for name, spoil := range map[string]func(*Token){
		"plain http":        func(t *Token) { t.URL = "http://collector.example" },
		"no host":           func(t *Token) { t.URL = "https://" },
		"no url":            func(t *Token) { t.URL = "" },
		"short key":         func(t *Token) { t.Collector = t.Collector[:31] },
		"no catalog key":    func(t *Token) { t.CatalogKey = nil },
		"short secret":      func(t *Token) { t.Secret = t.Secret[:16] },
		"no account":        func(t *Token) { t.Account = "" },
		"no installation":   func(t *Token) { t.Installation = "" },
		"url with controls": func(t *Token) { t.URL = "https://x\r\ny" },
	} {
		tok := testToken()
		spoil(&tok)
		if _, err := ParseToken(tok.String()); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := testToken().String()
	for name, in := range map[string]string{
		"empty": "", "other form": "fp2" + s[3:], "cut off": s[:len(s)-40], "not base64": "fp1.%%%", "not JSON": "fp1." + base64.RawURLEncoding.EncodeToString([]byte("{")),
		"an id of 3 digits": "fp1." + base64.RawURLEncoding.EncodeToString([]byte(`{"id":"abc"}`)),
	} {
		_, err := ParseToken(in)
		if !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
		// S06: an error may be logged and shown; it must not carry the token.
		if err != nil && len(in) > 20 && strings.Contains(err.Error(), in[4:20]) {
			t.Errorf("%s: the error shows the token: %v", name, err)
		}
	}
}

func TestIDIsDerivedFromTheKey(t *testing.T) {
	a, _ := keyPair(1)
	b, _ := keyPair(2)
	if AgentID(a) == AgentID(b) || AgentID(a) != AgentID(a) {
		t.Fatal("ids do not follow keys")
	}
	// Fixed by SPEC: a change here is a change of every agent's name.
	if got := AgentID(a).String(); got != "52f9d12ba59f024acf3d8840648e859f" {
		t.Fatal(got)
	}
	id := AgentID(a)
	if back, err := ParseID(id.String()); err != nil || back != id {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 31), strings.Repeat("0", 34), strings.Repeat("g", 32)} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q is an id", bad)
		}
	}
}

func TestJoinSignaturesCoverEverything(t *testing.T) {
	tpub, tkey := keyPair(3)
	_, akey := keyPair(4)
	good := func() JoinRequest {
		c, _ := keyPair(1)
		j := JoinRequest{Token: ID{1}, Nonce: ID{2}, Collector: c, Account: "ac", Installation: "me"}
		j.Sign(tkey, akey)
		return j
	}
	if j := good(); j.Verify(tpub) != nil {
		t.Fatal("the honest join does not verify")
	}
	other, _ := keyPair(9)
	for name, spoil := range map[string]func(*JoinRequest){
		"token":        func(j *JoinRequest) { j.Token[0]++ },
		"nonce":        func(j *JoinRequest) { j.Nonce[0]++ },
		"collector":    func(j *JoinRequest) { j.Collector = other },
		"account":      func(j *JoinRequest) { j.Account = "acme" },
		"moved letter": func(j *JoinRequest) { j.Account, j.Installation = "acm", "e" },
		"agent key":    func(j *JoinRequest) { j.AgentKey = other },
		"swapped":      func(j *JoinRequest) { j.TokenSig, j.AgentSig = j.AgentSig, j.TokenSig },
		"empty":        func(j *JoinRequest) { j.TokenSig, j.AgentSig = nil, nil },
		"short key":    func(j *JoinRequest) { j.AgentKey = nil },
	} {
		j := good()
		spoil(&j)
		if err := j.Verify(tpub); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if j := good(); j.Verify(other) == nil || j.Verify(nil) == nil {
		t.Error("another token's key verifies")
	}
}

func TestS18_SignedRequestElsewhere(t *testing.T) {
	pub, key := keyPair(5)
	body := []byte("the batch")
	good := func() *http.Request {
		r := httptest.NewRequest(http.MethodPost, "https://c.example"+PathBatches, bytes.NewReader(body))
		SignRequest(r, body, key, ID{1}, time.Unix(1_700_000_000, 0))
		return r
	}
	if err := VerifyRequest(good(), body, pub); err != nil {
		t.Fatal(err)
	}
	other, okey := keyPair(6)
	for name, spoil := range map[string]func(*http.Request) (*http.Request, []byte){
		"method": func(r *http.Request) (*http.Request, []byte) { r.Method = http.MethodPut; return r, body },
		"path":   func(r *http.Request) (*http.Request, []byte) { r.URL.Path = PathCheckIn; return r, body },
		"body":   func(r *http.Request) (*http.Request, []byte) { return r, []byte("another") },
		"agent": func(r *http.Request) (*http.Request, []byte) {
			r.Header.Set(HeaderAgent, AgentID(other).String())
			return r, body
		},
		"nonce": func(r *http.Request) (*http.Request, []byte) {
			r.Header.Set(HeaderNonce, ID{2}.String())
			return r, body
		},
		"time": func(r *http.Request) (*http.Request, []byte) { r.Header.Set(HeaderTime, "1"); return r, body },
		"no signature": func(r *http.Request) (*http.Request, []byte) {
			r.Header.Del(HeaderSignature)
			return r, body
		},
		"another key": func(r *http.Request) (*http.Request, []byte) {
			SignRequest(r, body, okey, ID{1}, time.Unix(1, 0))
			return r, body
		},
		"a signature of something else": func(r *http.Request) (*http.Request, []byte) {
			r.Header.Set(HeaderSignature, SignAnswer(200, PathBatches, "", body, key))
			return r, body
		},
	} {
		r, b := spoil(good())
		if err := VerifyRequest(r, b, pub); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if VerifyRequest(good(), body, other) == nil {
		t.Error("another agent's key verifies")
	}
}

func TestSignedAnswerElsewhere(t *testing.T) {
	pub, key := keyPair(5)
	sig := SignAnswer(200, PathBatches, "n", []byte("b"), key)
	if err := VerifyAnswer(200, PathBatches, "n", []byte("b"), sig, pub); err != nil {
		t.Fatal(err)
	}
	other, _ := keyPair(6)
	for name, err := range map[string]error{
		"status":  VerifyAnswer(409, PathBatches, "n", []byte("b"), sig, pub),
		"path":    VerifyAnswer(200, PathJoin, "n", []byte("b"), sig, pub),
		"nonce":   VerifyAnswer(200, PathBatches, "m", []byte("b"), sig, pub),
		"body":    VerifyAnswer(200, PathBatches, "n", []byte("c"), sig, pub),
		"key":     VerifyAnswer(200, PathBatches, "n", []byte("b"), sig, other),
		"no key":  VerifyAnswer(200, PathBatches, "n", []byte("b"), sig, nil),
		"no sig":  VerifyAnswer(200, PathBatches, "n", []byte("b"), "", pub),
		"garbage": VerifyAnswer(200, PathBatches, "n", []byte("b"), "%%%", pub),
	} {
		if !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatement(t *testing.T) {
	pub, key := keyPair(5)
	st := Statement{Version: Version, Agent: AgentID(pub), Number: 2, Decided: 5, Categories: []Decision{{Category: "usage", Level: Aggregate}, {Category: "sla", Level: Totals}}}
	s, err := SignStatement(st, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Verify(pub)
	if err != nil || got.Decision("sla").Level != Totals || got.Decision("usage").Level != Aggregate || got.Decision("pool").Level != Off {
		t.Fatalf("%+v, %v", got, err)
	}
	other, okey := keyPair(6)
	if _, err := s.Verify(other); !errors.Is(err, ErrSignature) {
		t.Errorf("another agent's key: %v", err)
	}
	flipped := SignedStatement{Raw: bytes.Replace(s.Raw, []byte("aggregate"), []byte("totals"), 1), Sig: s.Sig}
	if _, err := flipped.Verify(pub); !errors.Is(err, ErrSignature) {
		t.Errorf("a widened statement: %v", err)
	}
	if foreign, _ := SignStatement(st, okey); func() error { _, err := foreign.Verify(other); return err }() == nil {
		t.Error("a statement that names another agent")
	}
	for name, raw := range map[string]string{
		"unknown level": `{"version":1,"number":1,"categories":[{"category":"sla","level":"everything"}]}`,
		"pool in bands": `{"version":1,"number":1,"categories":[{"category":"pool","level":"aggregate"}]}`,
		"pool locally":  `{"version":1,"number":1,"categories":[{"category":"pool","level":"local"}]}`,
		"twice":         `{"version":1,"number":1,"categories":[{"category":"sla","level":"off"},{"category":"sla","level":"totals"}]}`,
		"number 0":      `{"version":1,"number":0}`,
		"version 2":     `{"version":2,"number":1}`,
		"not JSON":      `x`,
	} {
		if _, err := (SignedStatement{Raw: []byte(raw)}).Parse(); !errors.Is(err, ErrStatement) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLevelsAreOrdered(t *testing.T) {
	all := Levels()
	for i, l := range all {
		for j, o := range all {
			if l.AtLeast(o) != (i >= j) {
				t.Errorf("%s at least %s: %v", l, o, l.AtLeast(o))
			}
		}
		if Level("").AtLeast(l) || Level("all").AtLeast(l) {
			t.Errorf("an unknown level is at least %s", l)
		}
	}
}

func TestAnswerIsAReceiptOnlyWhenItFits(t *testing.T) {
	r := Receipt{Outcome: Accepted, Nonce: ID{7}, Seq: 3}
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	a := Answer{Status: 200, Path: PathBatches, Nonce: r.Nonce.String(), Body: body}
	if got, err := a.Receipt(); err != nil || got != r {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, bad := range map[string]Answer{
		"status":  {Status: 422, Nonce: a.Nonce, Body: body},
		"nonce":   {Status: 200, Nonce: ID{8}.String(), Body: body},
		"garbage": {Status: 200, Nonce: a.Nonce, Body: []byte("<html>")},
		"empty":   {Status: 0, Nonce: ID{}.String(), Body: []byte("{}")},
	} {
		if _, err := bad.Receipt(); err == nil {
			t.Errorf("%s: taken for a receipt", name)
		}
	}
	for _, o := range []Outcome{Accepted, OutOfTurn, TooLarge, Refused, NotKnown, Forbidden} {
		if o.Status() == 0 {
			t.Errorf("%s has no status", o)
		}
	}
	if Outcome("new").Status() != 0 {
		t.Error("an unknown outcome has a status")
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(testToken().String())
	f.Add("fp1.")
	f.Add("fp1." + base64.RawURLEncoding.EncodeToString([]byte(`{"url":"https://a","max_uses":-1}`)))
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := ParseToken(s)
		if err != nil {
			if !errors.Is(err, ErrToken) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		again, err := ParseToken(tok.String())
		if err != nil || again.String() != tok.String() {
			t.Fatalf("reading it again: %v", err)
		}
		if _, err := tok.Key(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzStatement(f *testing.F) {
	f.Add([]byte(`{"version":1,"number":1,"categories":[{"category":"sla","level":"off"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		st, err := (SignedStatement{Raw: raw}).Parse()
		if err == nil {
			for _, d := range st.Categories {
				if !Level(st.Decision(d.Category).Level).AtLeast(Off) {
					t.Fatalf("level %q passed", d.Level)
				}
			}
		}
	})
}

func TestThePoolNeedsItsOwnLineAndAMeasureThatIsMeasured(t *testing.T) {
	m := catalog.Measure{ID: "people", Category: "usage", Pool: true, DefHash: [32]byte{1}}
	c := &catalog.Catalog{Hash: [32]byte{9}, Measures: []catalog.Measure{m}}
	alone := m
	alone.Pool = false
	other := m
	other.DefHash[0]++
	for name, x := range map[string]struct {
		usage, pool Level
		m           catalog.Measure
		accepted    *catalog.Catalog
		want        Level
	}{
		"joined":                       {Local, Strict, m, c, Strict},
		"joined beside audited":        {Totals, Strict, m, c, Strict},
		"not joined":                   {Totals, Off, m, c, Off},
		"not measured":                 {Off, Strict, m, c, Off},
		"not a pooled measure":         {Totals, Strict, alone, c, Off},
		"another definition":           {Totals, Strict, other, c, Off},
		"no catalog accepted":          {Totals, Strict, m, nil, Off},
		"another catalog was accepted": {Totals, Strict, m, &catalog.Catalog{Hash: [32]byte{8}, Measures: c.Measures}, Off},
	} {
		s := Statement{Catalog: c.Hash, Categories: []Decision{{Category: "pool", Level: x.pool, From: 50}, {Category: "usage", Level: x.usage, From: 90}}, Since: []Since{{Measure: "people", From: 70}}}
		d := s.EffectivePool(&x.m, x.accepted)
		if d.Level != x.want || d.Level.Leaves() && d.From != 70 {
			t.Errorf("%s: %+v, want %s from 70", name, d, x.want)
		}
	}
}

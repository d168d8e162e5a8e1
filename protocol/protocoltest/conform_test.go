package protocoltest

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

func TestFakeCollectorConforms(t *testing.T) {
	ConformCollector(t, func(t *testing.T) Collector { return NewFakeCollector(t, FakeConfig{}).Collector() })
}

// reference is the least agent there is: a list in memory. The suite must accept it.
type reference struct {
	*Site
	waiting [][]byte
	sent    [][]byte
	windows int
}

func (r *reference) join(tb testing.TB, tok exchange.Token) error {
	key := r.Key
	r.Site = NewSite(tb, tok.URL, tok.CA, tok.Collector)
	r.Key = key
	a := r.Do(tb, r.Request(tb, http.MethodGet, exchange.PathChallenge+"?token="+tok.ID.String(), nil))
	if err := a.Verify(tok.Collector); err != nil {
		return err
	}
	r.Join(tb, tok)
	r.CheckIn(tb, conformHash(tb))
	return nil
}

func (r *reference) produce(tb testing.TB) error {
	r.waiting = append(r.waiting, r.Freeze(tb, Windows(r.windows, 1)))
	r.windows++
	for len(r.waiting) > 0 {
		a, err := r.try(r.Signed(tb, exchange.PathBatches, r.waiting[0]))
		if err != nil {
			return err
		}
		rc, err := a.Receipt()
		if err != nil || a.Verify(r.Collector) != nil {
			return fmt.Errorf("status %d is not the collector's", a.Status)
		}
		switch rc.Outcome {
		case exchange.Accepted, exchange.Refused, exchange.TooLarge:
			if int(rc.Seq) > len(r.sent) {
				r.sent = append(r.sent, r.waiting[0])
			}
			r.waiting = r.waiting[1:]
		case exchange.OutOfTurn:
			r.waiting = append(slices.Clone(r.sent[rc.Expected-1:]), r.waiting...)
		default:
			return errors.New(rc.Code)
		}
	}
	return nil
}

// try sends once; a network that fails is an error, not the end of the test.
func (r *reference) try(q *http.Request) (exchange.Answer, error) {
	c := *r.http
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Do(q)
	if err != nil {
		return exchange.Answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return exchange.Answer{Status: resp.StatusCode, Path: q.URL.Path, Nonce: q.Header.Get(exchange.HeaderNonce), Body: b, Sig: resp.Header.Get(exchange.HeaderSignature)}, err
}

func TestReferenceAgentConforms(t *testing.T) {
	ConformAgent(t, func(t *testing.T) Agent {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &reference{Site: &Site{Key: key}}
		return Agent{
			ID:   func() exchange.ID { return r.ID() },
			Join: r.join, Produce: r.produce,
			Restart: func(testing.TB) {}, // it has no state but its memory
		}
	})
}

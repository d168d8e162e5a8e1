// Package writer carries batches from the stream into the store.
//
// Invariants:
//
//   - A message is acknowledged only after the transaction that holds it has committed. A
//     crash anywhere in between brings it again, and the mark makes the second time nothing:
//     exactly once in effect.
//   - Batches of an epoch are stored in their order. One that came before its predecessor is
//     given back; when the predecessor does not come either and is not on the stream, what is
//     missing becomes a loss record and the epoch goes on.
//   - What cannot be stored is poison: it goes to quarantine with its reason, consumes its
//     seq and never blocks others. A store that is down is not poison: everything is given
//     back and tried again.
//
// It keeps nothing on disk of its own.
package writer

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Message is a batch as the stream hands it over.
type Message struct {
	Agent, Epoch exchange.ID
	Seq          uint64
	Hash         exchange.Hash
	Received     time.Time
	Refused, Why string
	Wire         []byte
	Tries        uint64
}

// Delivery is a message in the writer's hands. Ack or Again is called once.
type Delivery interface {
	// Message or why it is none; a message that is none is dropped after it was logged.
	Message() (Message, error)
	// Follows says whether an earlier message of the same epoch is still on the stream, in
	// anybody's hands.
	Follows(ctx context.Context) (bool, error)
	// Ack takes it off the stream; not waiting is safe, it may come again.
	Ack() error
	// Again gives it back for a later delivery.
	Again(after time.Duration) error
}

// Source is the stream. Fetch waits up to wait for the first message and returns at most
// most, in their order; none in time is no error. It is called by one goroutine.
type Source interface {
	Fetch(ctx context.Context, most int, wait time.Duration) ([]Delivery, error)
}

// Config of a writer.
type Config struct {
	Source   Source
	Store    store.Writer
	Agents   store.Agents
	Catalogs store.Catalogs
	Logger   *slog.Logger // default: none
	// Most bounds the batches of one transaction. Default 256: half a megabyte of batches of
	// 2 KB; a transaction of them takes well under a second.
	Most int
	// Retry is the wait after the store failed. Default one second.
	Retry time.Duration
}

// Writer is the one consumer of the stream.
type Writer struct {
	c    Config
	dec  batch.Decoder
	keys map[exchange.ID]ed25519.PublicKey
	cats map[exchange.Hash]*named

	stored, refused, poison atomic.Uint64
}

// named is a catalog with the series that were met of it. Series are made once and live as
// long as the process: a catalog has at most some thousands.
type named struct {
	c      *catalog.Catalog
	series map[report.Series]*store.Series
}

const (
	// lostAfter deliveries a missing predecessor is looked for on the stream, and given up
	// where it is not there: with gapWait between them about half a minute.
	lostAfter = 60
	gapWait   = 500 * time.Millisecond
	fetchWait = 2 * time.Second
	// maxCells of a transaction: one more batch is taken while there are fewer, and the largest
	// has 100,000. So a transaction holds 300,000 cells of about 70 bytes, 20 MB, at the most.
	maxCells = 200_000
	// poisonAfter deliveries a batch that the store cannot take, while it takes others, is
	// quarantined.
	poisonAfter = 10
)

// New makes a writer.
func New(c Config) *Writer {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Most <= 0 {
		c.Most = 256
	}
	if c.Retry <= 0 {
		c.Retry = time.Second
	}
	return &Writer{c: c, keys: map[exchange.ID]ed25519.PublicKey{}, cats: map[exchange.Hash]*named{}}
}

// Counts since the start: stored, refused by ingest, poison.
func (w *Writer) Counts() (stored, refused, poison uint64) {
	return w.stored.Load(), w.refused.Load(), w.poison.Load()
}

// Run stores until ctx ends. What it holds then comes again after the next start.
func (w *Writer) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := w.Step(ctx); err != nil && ctx.Err() == nil {
			w.c.Logger.Error("storing batches", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(w.c.Retry):
			}
		}
	}
	return nil
}

// Step stores what one fetch brings. An error means that the store or the stream could not
// do it now; everything fetched was given back.
func (w *Writer) Step(ctx context.Context) error {
	got, err := w.c.Source.Fetch(ctx, w.c.Most, fetchWait)
	for err == nil && len(got) > 0 {
		n := 0
		if n, err = w.store(ctx, got); err != nil {
			return errors.Join(err, giveBack(got[n:], w.c.Retry))
		}
		got = got[n:]
	}
	return err
}

// store stores the first n, as many as one transaction may hold. After an error they are given
// back or acknowledged; the others are the caller's.
func (w *Writer) store(ctx context.Context, got []Delivery) (n int, err error) {
	var batches []store.Batch
	var tries []uint64
	var from []Delivery
	for cells := 0; n < len(got) && cells < maxCells; {
		d := got[n]
		m, err := d.Message()
		if err != nil {
			w.c.Logger.Error("dropping a message that is no batch", "error", err)
			n++
			if err := d.Ack(); err != nil {
				return n, errors.Join(fmt.Errorf("dropping a message: %w", err), giveBack(from, w.c.Retry))
			}
			continue
		}
		b, err := w.open(ctx, m)
		if err == nil && m.Tries > lostAfter {
			b.Lost, err = lost(ctx, d)
		}
		if err != nil {
			return n, errors.Join(err, giveBack(from, w.c.Retry))
		}
		n++
		cells += len(b.Cells)
		batches, tries, from = append(batches, b), append(tries, m.Tries), append(from, d)
	}
	results, err := w.c.Store.Apply(ctx, batches)
	if err != nil {
		w.c.Logger.Warn("storing batches one by one after an error", "batches", len(batches), "error", err)
		if results, err = w.oneByOne(ctx, batches, tries); err != nil {
			return n, errors.Join(err, giveBack(from[len(results):], w.c.Retry), w.settle(from[:len(results)], batches, results))
		}
	}
	return n, w.settle(from, batches, results)
}

// lost is why the batches before d will never come; "" where one is only slow to.
func lost(ctx context.Context, d Delivery) (string, error) {
	slow, err := d.Follows(ctx)
	if err != nil || slow {
		return "", err
	}
	return "the batches before were accepted, and are neither on the stream nor in the store", nil
}

func giveBack(ds []Delivery, after time.Duration) (err error) {
	for _, d := range ds {
		err = errors.Join(err, d.Again(after))
	}
	return err
}

// settle acknowledges what is stored and gives back what came too early.
func (w *Writer) settle(from []Delivery, batches []store.Batch, results []store.Result) error {
	for i, r := range results {
		var err error
		switch r.What {
		case store.ResultGap:
			err = from[i].Again(gapWait)
		case store.ResultStored:
			w.stored.Add(1)
			err = from[i].Ack()
		case store.ResultRefused:
			if batches[i].Refused == store.CodePoison {
				w.poison.Add(1)
			} else {
				w.refused.Add(1)
			}
			err = from[i].Ack()
		default: // a duplicate
			err = from[i].Ack()
		}
		if err != nil {
			return fmt.Errorf("acknowledging batch %d of epoch %s: %w", batches[i].Seq, batches[i].Epoch, err)
		}
	}
	return nil
}

// oneByOne finds out which batch spoils the transaction. One that fails for a final reason, or
// again and again while others do not, is poison; otherwise it is given back. When two in
// a row fail, the store is down. The results are those of the first batches.
func (w *Writer) oneByOne(ctx context.Context, batches []store.Batch, tries []uint64) (results []store.Result, err error) {
	failed := false
	for i := range batches {
		r, err := w.c.Store.Apply(ctx, batches[i:i+1])
		if err == nil {
			results, failed = append(results, r...), false
			continue
		}
		final := errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict)
		switch {
		case ctx.Err() != nil || failed && !final:
			return results, err
		case !final && tries[i] < poisonAfter:
			results, failed = append(results, store.Result{What: store.ResultGap}), true
			continue
		}
		poisoned := batches[i]
		poisoned.Cells, poisoned.Refused, poisoned.Message = nil, store.CodePoison, err.Error()
		if r, err = w.c.Store.Apply(ctx, []store.Batch{poisoned}); err != nil {
			return results, err
		}
		w.c.Logger.Error("quarantined a batch that could not be stored", "agent", poisoned.Agent, "epoch", poisoned.Epoch, "seq", poisoned.Seq, "reason", poisoned.Message)
		batches[i] = poisoned
		results, failed = append(results, r...), false
	}
	return results, nil
}

// open makes a store's batch of a message. What is wrong with the batch itself becomes a
// refusal; an error means that the store could not be asked.
func (w *Writer) open(ctx context.Context, m Message) (store.Batch, error) {
	b := store.Batch{Agent: m.Agent, Epoch: m.Epoch, Seq: m.Seq, Hash: m.Hash, Bytes: len(m.Wire), Received: m.Received,
		Refused: m.Refused, Message: m.Why, Raw: m.Wire}
	if b.Refused != "" {
		return b, nil
	}
	spoil := func(err error) (store.Batch, error) {
		b.Refused, b.Message = store.CodePoison, err.Error()
		return b, nil
	}
	pub, err := w.key(ctx, m.Agent)
	if errors.Is(err, store.ErrNotFound) {
		return spoil(err)
	} else if err != nil {
		return b, err
	}
	opened, err := w.dec.Open(m.Wire, pub)
	if err != nil {
		return spoil(err)
	}
	h := &opened.Header
	if exchange.ID(h.Agent) != m.Agent || exchange.ID(h.Epoch) != m.Epoch || h.Seq != m.Seq || exchange.Hash(opened.Hash) != m.Hash {
		return spoil(errors.New("the batch is not the one its envelope names"))
	}
	b.Prev, b.Catalog, b.Statement, b.Zone, b.Simulated, b.Raw = h.Prev, h.Catalog, h.Consent, h.Zone, h.Simulated, nil
	if _, err := time.LoadLocation(h.Zone); err != nil {
		b.Raw = m.Wire
		return spoil(err)
	}
	cat, err := w.catalog(ctx, h.Catalog)
	if errors.Is(err, store.ErrNotFound) {
		b.Raw = m.Wire
		return spoil(err)
	} else if err != nil {
		return b, err
	}
	b.Cells = make([]store.Cell, len(opened.Cells))
	for i, c := range opened.Cells {
		s, err := cat.name(c)
		if err != nil {
			b.Cells, b.Raw = nil, m.Wire
			return spoil(err)
		}
		b.Cells[i] = store.Cell{Series: s, Start: c.Start, Form: c.Form, Lo: c.Lo, Hi: c.Hi, Blob: c.Blob}
	}
	return b, nil
}

func (w *Writer) key(ctx context.Context, agent exchange.ID) (ed25519.PublicKey, error) {
	if k := w.keys[agent]; k != nil {
		return k, nil
	}
	a, err := w.c.Agents.Agent(ctx, agent)
	if err != nil {
		return nil, err
	}
	if len(w.keys) > 100_000 { // 10 MB
		clear(w.keys)
	}
	w.keys[agent] = a.Key
	return a.Key, nil
}

func (w *Writer) catalog(ctx context.Context, hash exchange.Hash) (*named, error) {
	if n := w.cats[hash]; n != nil {
		return n, nil
	}
	row, err := w.c.Catalogs.Catalog(ctx, hash)
	if err != nil {
		return nil, err
	}
	c, err := catalog.Parse(row.Raw)
	if err != nil {
		return nil, fmt.Errorf("parsing catalog %s: %w", hash, err)
	}
	n := &named{c: c, series: map[report.Series]*store.Series{}}
	w.cats[hash] = n
	return n, nil
}

// name finds the series of a cell. Ingest has resolved every cell; here only those of a
// series not met before are.
func (n *named) name(c report.Cell) (*store.Series, error) {
	if s := n.series[c.Series]; s != nil {
		return s, nil
	}
	f, err := n.c.Resolve(c)
	if err != nil {
		return nil, err
	}
	m := &n.c.Measures[c.Measure]
	s := &store.Series{Measure: f.Measure, Hash: f.Hash, Kind: string(m.Kind), Subject: string(m.Subject), Category: m.Category,
		Field: f.Field, Grain: f.Grain, Dims: f.Dims, Pool: m.Pool}
	if m.Kind == catalog.Fact && f.Field == report.Value {
		s.Texts = append(append([]string{}, m.Values...), catalog.Other, catalog.None)
	}
	n.series[c.Series] = s
	return s, nil
}

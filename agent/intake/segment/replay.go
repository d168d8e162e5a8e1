package segment

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/event"
	"github.com/fieldpost/fieldpost/agent/record"
)

// maxLine bounds one recorded event: the largest event and some white space, with room to find
// larger ones over_limit_size instead of unreadable.
const maxLine = 1 << 20

// maxTogether bounds the events of one record that were received at the same moment.
const maxTogether = 100

// Replay reads recorded events, one JSON object a line with its "receivedAt", as records: lines that
// follow each other with the same receivedAt share one. The data may be gzip. Not safe for
// concurrent use.
type Replay struct {
	lines      *bufio.Reader
	vocabulary func() *intake.Vocabulary
	p          parser
	rec        record.Record
	line       []byte // read but not yet part of a record
	held       bool
	received   int64 // of the last record
	done       bool
	count      int
}

// NewReplay reads from r. vocabulary is asked once per record. highest is the Received before the
// first line: nothing is received before it.
func NewReplay(r io.Reader, vocabulary func() *intake.Vocabulary, highest int64) (*Replay, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	if magic, err := b.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("opening recorded events: %w", err)
		}
		b = bufio.NewReaderSize(z, 64<<10)
	}
	return &Replay{lines: b, vocabulary: vocabulary, received: highest}, nil
}

// Lines is the number of lines that are in the records handed out so far, empty ones not counted.
func (p *Replay) Lines() int {
	if p.held { // read, but part of the next record
		return p.count - 1
	}
	return p.count
}

// Next is the next record, good until the call after it, or io.EOF. A line that is no JSON object,
// or has no receivedAt that can be read, is malformed and received with the line before it. A
// receivedAt before that of the line before is raised to it and counted as clock_back.
func (p *Replay) Next() (*record.Record, error) {
	v := p.vocabulary()
	p.rec = record.Record{Kind: record.Request, Received: p.received, Catalog: v.Hash(), Events: p.rec.Events[:0]}
	p.p.start(v, nil, p.p.events.Values()[:0])
	n := 0
	for ; n < maxTogether; n++ {
		if err := p.fill(); err != nil {
			if errors.Is(err, io.EOF) && n > 0 {
				break
			}
			return nil, err
		}
		at, ok := p.receivedAt()
		if ok && n > 0 && at != p.rec.Received {
			break
		}
		p.held = false
		switch {
		case !ok:
			p.rec.RefusedEvents[record.Malformed]++
			continue
		case at < p.rec.Received:
			p.rec.ClockBack++
		default:
			p.rec.Received = at
		}
		p.take()
	}
	p.received = p.rec.Received
	return &p.rec, nil
}

// receivedAt looks at the line that is held.
func (p *Replay) receivedAt() (ns int64, ok bool) {
	s := &p.p.outer
	s.Reset(p.line)
	var f fields
	if s.Cur() != '{' {
		return 0, false
	}
	f.read(s)
	if !s.End() {
		return 0, false
	}
	ns, given, ok := event.When(f.receivedAt)
	return ns, given && ok
}

// take puts the held line's event into the record.
func (p *Replay) take() {
	p.p.body = p.line
	p.p.outer.Reset(p.line)
	p.p.events.Start(p.p.events.Vocabulary(), p.p.events.Values()) // the values of this record stay
	before := len(p.rec.Events)
	one := record.Record{Received: p.rec.Received, Events: p.rec.Events[before:]}
	p.p.event(&one, 0, 0, utf8.Valid(p.line))
	p.p.events.Finish(&one, 0, false)
	p.rec.Events = append(p.rec.Events[:before], one.Events...)
	for i, n := range one.RefusedEvents {
		p.rec.RefusedEvents[i] += n
	}
	p.rec.Skewed += one.Skewed
}

// fill makes sure that a line is held.
func (p *Replay) fill() error {
	for !p.held {
		if p.done {
			return io.EOF
		}
		p.line = p.line[:0]
		long := false
		for {
			part, err := p.lines.ReadSlice('\n')
			if long = long || len(p.line)+len(part) > maxLine; !long {
				p.line = append(p.line, part...)
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if p.done = errors.Is(err, io.EOF); err != nil && !p.done {
				return fmt.Errorf("reading recorded events: %w", err)
			}
			break
		}
		if long {
			p.line = p.line[:0] // malformed: not even an object
		} else if p.line = bytes.TrimSpace(p.line); len(p.line) == 0 {
			continue
		}
		p.count++
		p.held = true
	}
	return nil
}

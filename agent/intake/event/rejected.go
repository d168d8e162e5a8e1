package event

import (
	"strconv"

	"github.com/fieldpost/fieldpost/agent/record"
)

// maxRejected bounds the answer: a body of nothing but "{}," has 170,000 events.
const maxRejected = 1000

// Rejected is what the client is told about single events of a request that was taken.
type Rejected struct {
	list []rejection
	more int // beyond maxRejected
}

type rejection struct {
	index int
	fault Fault
}

// Reset forgets all.
func (r *Rejected) Reset() { r.list, r.more = r.list[:0], 0 }

// None says that there is nothing to tell.
func (r *Rejected) None() bool { return len(r.list) == 0 }

// Add tells about the event at an index. What is off is the site's choice, nothing the client
// should mend.
func (r *Rejected) Add(index int, bad Fault) {
	switch {
	case !bad.Refused() || bad.Reason() == record.Off:
	case len(r.list) == maxRejected:
		r.more++
	default:
		r.list = append(r.list, rejection{index, bad})
	}
}

// Append appends the members "rejected" and, where there are more, "rejected_not_listed" to a JSON
// object that has members already and is still open. Nothing where there is nothing to tell.
func (r *Rejected) Append(b []byte) []byte {
	for i, x := range r.list {
		if i == 0 {
			b = append(b, `,"rejected":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(x.index), 10)
		b = append(b, `,"code":"`...)
		b = append(b, x.fault.Reason().String()...)
		b = append(b, '"')
		if x.fault.message != "" {
			b = append(b, `,"message":"`...)
			b = append(b, x.fault.message...)
			b = append(b, '"')
		}
		b = append(b, '}')
	}
	if len(r.list) > 0 {
		b = append(b, ']')
	}
	if r.more > 0 {
		b = append(b, `,"rejected_not_listed":`...)
		b = strconv.AppendInt(b, int64(r.more), 10)
	}
	return b
}

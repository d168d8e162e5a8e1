package intake

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// reserve is how many bytes a request may take in memory: its body, once more inflated.
func reserve(r *http.Request, zipped bool, limit int) (int64, *Refusal) {
	n := r.ContentLength
	if n > int64(limit) {
		return 0, tooLarge(limit)
	}
	if n < 0 {
		n = int64(limit)
	}
	if zipped {
		n += int64(limit)
	}
	return n, nil
}

// encoding says whether the body is gzip.
func encoding(r *http.Request, d Door) (zipped bool, f *Refusal) {
	switch values := r.Header["Content-Encoding"]; {
	case len(values) == 0 || len(values) == 1 && (values[0] == "" || strings.EqualFold(values[0], "identity")):
		z, ok := d.(Zipper)
		return ok && r.URL.RawQuery != "" && z.Zipped(r.URL.RawQuery), nil
	case len(values) == 1 && (strings.EqualFold(values[0], "gzip") || strings.EqualFold(values[0], "x-gzip")):
		return true, nil
	}
	return false, &Refusal{Status: 415, Code: CodeContentEncoding, Message: "the body's encoding is not known", Hint: "Try: Content-Encoding gzip or none"}
}

func tooLarge(limit int) *Refusal {
	return &Refusal{Status: 413, Code: CodeTooLarge, Message: "the body is over " + itoa(limit) + " bytes", Hint: "Try: smaller batches"}
}

// limited reads at most left bytes and then says that there are more.
type limited struct {
	r    io.Reader
	left int
}

var errOver = errors.New("body is over its limit")

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, errOver
	}
	if len(p) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= n; l.left < 0 {
		return n, errOver
	}
	return n, err
}

// inflater is a gzip reader that is used again.
type inflater struct {
	gz  *gzip.Reader
	src bytes.Reader
}

func (z *inflater) open(b []byte) error {
	z.src.Reset(b)
	if z.gz == nil {
		gz, err := gzip.NewReader(&z.src)
		z.gz = gz
		return err
	}
	return z.gz.Reset(&z.src)
}

// read fetches the body and inflates it into k.body.
func (k *work) read(r *http.Request, zipped bool, limit int) *Refusal {
	dst := &k.body
	if zipped {
		dst = &k.raw
	}
	var err error
	if *dst, err = readAll((*dst)[:0], r.Body, r.ContentLength, limit); err != nil {
		return bodyRefusal(err, limit)
	}
	if !zipped {
		return nil
	}
	if err = k.zip.open(k.raw); err == nil {
		k.body, err = readAll(k.body[:0], k.zip.gz, -1, limit)
	}
	switch {
	case errors.Is(err, errOver):
		return tooLarge(limit)
	case err != nil:
		return &Refusal{Status: 400, Code: CodeBadEncoding, Message: "the body is not the gzip it says it is", Hint: "Try: without Content-Encoding"}
	}
	return nil
}

func bodyRefusal(err error, limit int) *Refusal {
	switch {
	case errors.Is(err, errOver):
		return tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Refusal{Status: 408, Code: CodeSlowBody, Message: "the body did not arrive in time", Hint: "Try: again", RetryAfter: 1}
	}
	return &Refusal{Status: 400, Code: CodeUnreadable, Message: "the body ended early", Hint: "Try: again"}
}

// readAll appends what r holds to b: size bytes when that is known, at most limit in any case.
func readAll(b []byte, r io.Reader, size int64, limit int) ([]byte, error) {
	if size >= 0 {
		n := int(size)
		if cap(b) < n {
			b = make([]byte, n)
		}
		b = b[:n]
		_, err := io.ReadFull(r, b)
		return b, err
	}
	l := &limited{r: r, left: limit}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := l.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

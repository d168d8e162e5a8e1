package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/record"
)

type sink chan record.Result

func (s sink) Probed(_ context.Context, id string, r record.Result) error {
	if id != "web" {
		return errors.New("another check")
	}
	select {
	case s <- r:
		return nil
	default:
		return errors.New("full")
	}
}

func TestWhatCountsAsUp(t *testing.T) {
	hang := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			fmt.Fprint(w, "all is well")
		case "/500":
			w.WriteHeader(500)
		case "/away":
			http.Redirect(w, r, "http://192.0.2.1/", 302)
		case "/hang":
			<-hang
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		}
	}))
	defer srv.Close()
	defer close(hang)
	gone, _ := net.Listen("tcp", "127.0.0.1:0")
	gone.Close()
	r := New(Config{})
	for name, c := range map[string]struct {
		check Check
		want  string // part of the error; "" = up
	}{
		"answers":          {Check{HTTP: srv.URL + "/ok"}, ""},
		"holds the text":   {Check{HTTP: srv.URL + "/ok", Contains: "well"}, ""},
		"lacks the text":   {Check{HTTP: srv.URL + "/ok", Contains: "ill"}, "expected text"},
		"fails":            {Check{HTTP: srv.URL + "/500"}, "status 500"},
		"expected failure": {Check{HTTP: srv.URL + "/500", Status: []int{500}}, ""},
		"other status":     {Check{HTTP: srv.URL + "/ok", Status: []int{204}}, "status 200"},
		"hangs":            {Check{HTTP: srv.URL + "/hang", Timeout: 50 * time.Millisecond}, "no answer in time"},
		"is endless":       {Check{HTTP: srv.URL + "/endless", Timeout: 5 * time.Second}, ""},
		// 192.0.2.1 is never dialled: the redirect itself is the answer.
		"redirects":  {Check{HTTP: srv.URL + "/away"}, ""},
		"tcp open":   {Check{TCP: strings.TrimPrefix(srv.URL, "http://")}, ""},
		"tcp closed": {Check{TCP: gone.Addr().String()}, "refused"},
	} {
		err := r.Try(t.Context(), c.check)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestResultsSpeakForTheTimeUntilTheNext(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	got := make(sink, 1)
	now := time.Unix(1_700_000_000, 0)
	r := New(Config{Sink: got, Now: func() time.Time { return now }, Maintenance: func(id string, _ time.Time) bool { return id == "web" },
		Checks: []Check{{ID: "web", HTTP: srv.URL, Interval: time.Hour}}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	res := <-got
	cancel()
	<-done
	if !res.Up || !res.Maintenance || res.Time != now.UnixNano() || res.Interval != int64(time.Hour+5*time.Second) {
		t.Errorf("%+v", res)
	}
	if s := r.States(); len(s) != 1 || !s[0].Up || s[0].Target != srv.URL {
		t.Errorf("%+v", s)
	}
}

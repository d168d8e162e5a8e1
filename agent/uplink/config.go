package uplink

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/fieldpost/fieldpost/protocol/exchange"
)

const (
	// maxAnswer bounds what is read of an answer. A receipt is under 1 KiB.
	maxAnswer = 64 << 10
	// maxCheckInAnswer is larger: it may bring a catalog in base64. A catalog of 100
	// measures is under 100 KB.
	maxCheckInAnswer = 2 << 20
	// quickTries is how often one call knocks before it gives up.
	quickTries = 3
	// The waits between quick tries: 250 ms and 500 ms to 1 s, each ± a quarter.
	quickWaitMin = 250 * time.Millisecond
	quickWaitMax = time.Second
	// maxRetryAfter caps what anybody on the road can silence an agent for.
	maxRetryAfter = time.Hour
)

// Config of a Client. URL, Collector and Key come from the enrolment.
type Config struct {
	URL       string             // the collector's base URL, https
	CA        []byte             // DER of the collector's own CA; nil: the system's roots
	Collector ed25519.PublicKey  // application key every answer is checked with
	Key       ed25519.PrivateKey // the agent's; not needed for Join

	// Proxy as in http.Transport. Default: http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
	// Timeout of one try, from dialling to the last byte of the answer. Default 60 s: a
	// batch of 256 KiB at 64 kbit/s takes 33 s.
	Timeout time.Duration
	// Now is the clock of request times. Real time, also in a replay. Default time.Now.
	Now func() time.Time
	// Rand gives numbers in [0,1) for jitter. Default math/rand/v2.
	Rand func() float64
	// QuickWait is the first wait between quick tries. Default 250 ms.
	QuickWait time.Duration
	Logger    *slog.Logger // default: silent
}

func (c *Config) defaults() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("reading the collector's address %q: it must be https", c.URL)
	}
	if len(c.Collector) != ed25519.PublicKeySize {
		return errors.New("reading the collector's application key: wrong length")
	}
	c.URL = strings.TrimRight(c.URL, "/")
	if c.Proxy == nil {
		c.Proxy = http.ProxyFromEnvironment
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = defaultRand
	}
	if c.QuickWait == 0 {
		c.QuickWait = quickWaitMin
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func defaultRand() float64 { return rand.Float64() }

// Client is a connection to one collector. Safe for concurrent use. It connects when it is
// first called.
type Client struct {
	cfg  Config
	base *url.URL
	http *http.Client
	tr   *http.Transport
}

// New checks the configuration. It touches no network.
func New(cfg Config) (*Client, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	base, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the collector's address: %w", err)
	}
	roots, err := pool(cfg.CA)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, base: base}
	c.tr = &http.Transport{
		Proxy:                 cfg.Proxy,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: cfg.Timeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   2,
		DisableCompression:    true, // what is read is what was bounded and signed
		// Bounded like the body: nothing of ours sends more than a few hundred bytes.
		MaxResponseHeaderBytes: 16 << 10,
	}
	c.http = &http.Client{
		Transport: c.tr,
		Timeout:   cfg.Timeout,
		// A redirect is not signed, so it is not the collector's.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Agent is the agent's id.
func (c *Client) Agent() exchange.ID {
	if len(c.cfg.Key) != ed25519.PrivateKeySize {
		return exchange.ID{}
	}
	return exchange.AgentID(c.cfg.Key.Public().(ed25519.PublicKey))
}

// Close drops idle connections. The client can be used again.
func (c *Client) Close() { c.tr.CloseIdleConnections() }

// pool trusts the given CA alone, or the system's roots when there is none.
func pool(der []byte) (*x509.CertPool, error) {
	if len(der) == 0 {
		return nil, nil
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the collector's certificate authority: %w", err)
	}
	p := x509.NewCertPool()
	p.AddCert(ca)
	return p, nil
}

// leveled gives retryablehttp's lines to our logger, all of them at debug: every call
// returns its error, and the caller tells once.
type leveled struct{ l *slog.Logger }

var _ retryablehttp.LeveledLogger = leveled{}

func (l leveled) Error(msg string, kv ...any) { l.l.Debug(msg, kv...) }
func (l leveled) Info(msg string, kv ...any)  { l.l.Debug(msg, kv...) }
func (l leveled) Debug(msg string, kv ...any) { l.l.Debug(msg, kv...) }
func (l leveled) Warn(msg string, kv ...any)  { l.l.Debug(msg, kv...) }

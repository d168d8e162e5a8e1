package collector

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/durable"
)

const (
	caFor     = 10 * 365 * 24 * time.Hour
	serverFor = 397 * 24 * time.Hour // what clients accept at most
	renewAt   = 30 * 24 * time.Hour
	backdate  = 24 * time.Hour // clocks of agents may be slow
)

// serverTLS is the listener's side of TLS: the given certificate, or one of its own CA that
// renews itself.
func (d *Data) serverTLS(c Config) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CertFile != "" || c.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, &store.Problem{Code: store.CodeBadInput, Message: "the certificate or its key cannot be read", Hint: "give both as PEM files with --cert and --cert-key", Err: err}
		}
		t.Certificates = []tls.Certificate{cert}
		return t, nil
	}
	names := append([]string{"localhost", "127.0.0.1", "::1"}, c.Names...)
	if u, err := url.Parse(c.URL); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	}
	slices.Sort(names)
	own := &ownCert{d: d, names: slices.Compact(names)}
	if _, err := own.get(nil); err != nil {
		return nil, err
	}
	t.GetCertificate = own.get
	return t, nil
}

// ownCert is the certificate in force.
type ownCert struct {
	d     *Data
	names []string

	mu   sync.Mutex // guards cert
	cert *tls.Certificate
}

func (o *ownCert) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.d.now()
	if o.good(o.cert, now) {
		return o.cert, nil
	}
	if cert, err := o.d.loadPair("server"); err == nil && o.good(cert, now) {
		o.cert = cert
		return cert, nil
	}
	cert, err := o.d.issue(o.names, now)
	if err != nil {
		return nil, err
	}
	o.cert = cert
	return cert, nil
}

func (o *ownCert) good(c *tls.Certificate, now time.Time) bool {
	if c == nil || c.Leaf == nil || now.Add(renewAt).After(c.Leaf.NotAfter) {
		return false
	}
	for _, n := range o.names {
		if c.Leaf.VerifyHostname(n) != nil {
			return false
		}
	}
	return true
}

func (d *Data) loadPair(name string) (*tls.Certificate, error) {
	certPEM, err := d.read("tls", name+".pem")
	if err != nil {
		return nil, err
	}
	keyPEM, err := d.read("tls", name+".key")
	if err != nil {
		return nil, err
	}
	c, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("reading the %s certificate: %w", name, err)
	}
	return &c, nil
}

// ca is the collector's own CA, made when there is none. The key is written before the
// certificate: a certificate on disk always has its key.
func (d *Data) ca() (*tls.Certificate, error) {
	c, err := d.loadPair("ca")
	if err == nil {
		return c, nil
	}
	if _, e := durable.OS().Lstat(d.path("tls", "ca.pem")); !errors.Is(e, fs.ErrNotExist) {
		return nil, &store.Problem{Code: store.CodeBadData, Message: "the CA in tls/ cannot be read", Hint: "restore tls/ca.pem and tls/ca.key from a backup: agents trust no other", Err: err}
	}
	if err := durable.MkdirAll(durable.OS(), d.path("tls"), 0o700); err != nil {
		return nil, notWritable(d.Dir, err)
	}
	now := d.now()
	t := template("Fieldpost collector CA", now, caFor)
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return d.make("ca", t, nil)
}

func template(name string, now time.Time, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // never fails (crypto/rand)
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-backdate), NotAfter: now.Add(life)}
}

func (d *Data) issue(names []string, now time.Time) (*tls.Certificate, error) {
	ca, err := d.ca()
	if err != nil {
		return nil, err
	}
	t := template("Fieldpost collector", now, serverFor)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	return d.make("server", t, ca)
}

// make signs a certificate by parent (nil: itself) and keeps it, key first.
func (d *Data) make(name string, t *x509.Certificate, parent *tls.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the %s key: %w", name, err)
	}
	by, signer, chain := t, any(key), [][]byte(nil)
	if parent != nil {
		by, signer, chain = parent.Leaf, parent.PrivateKey, parent.Certificate
	}
	der, err := x509.CreateCertificate(rand.Reader, t, by, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("signing the %s certificate: %w", name, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the %s key: %w", name, err)
	}
	if err := d.write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), "tls", name+".key"); err != nil {
		return nil, err
	}
	var out []byte
	for _, b := range append([][]byte{der}, chain...) {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b})...)
	}
	if err := d.write(out, "tls", name+".pem"); err != nil {
		return nil, err
	}
	return d.loadPair(name)
}

// caDER is the CA's certificate as tokens carry it.
func (d *Data) caDER() ([]byte, error) {
	c, err := d.ca()
	if err != nil {
		return nil, err
	}
	return c.Certificate[0], nil
}

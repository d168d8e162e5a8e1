package settings

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// maxTargets bounds the scrapes: each has a goroutine and, while it is read, its page in memory.
const maxTargets = 32

// Target is one page of metrics that the agent reads.
type Target struct {
	Name      string // unique; part of the identity of what is read there
	URL       string
	Interval  time.Duration // default 60s
	Timeout   time.Duration // default 10s, at most Interval
	TokenFile string        // bearer token, read again for every scrape; "": none
}

// statsd is host:port, or nothing: off.
func statsd(c *Config, n *yaml.Node) error {
	if v, err := scalar(n); err == nil && (v == "" || v == "off" || v == "false") {
		c.StatsD = ""
		return nil
	}
	return address(func(c *Config) *string { return &c.StatsD }, false)(c, n)
}

func scrape(c *Config, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return fmt.Errorf("wants a list")
	}
	if len(n.Content) > maxTargets {
		return fmt.Errorf("has %d targets, at most %d are read", len(n.Content), maxTargets)
	}
	c.Scrape = nil
	for _, e := range n.Content {
		t := Target{Interval: time.Minute}
		err := fields(e, map[string]func(*yaml.Node) error{
			"name":       into(&t.Name),
			"url":        into(&t.URL),
			"interval":   intoDuration(&t.Interval),
			"timeout":    intoDuration(&t.Timeout),
			"token_file": into(&t.TokenFile),
		})
		if t.Timeout == 0 {
			t.Timeout = min(10*time.Second, t.Interval)
		}
		if err == nil {
			err = t.check()
		}
		if err == nil && slices.ContainsFunc(c.Scrape, func(o Target) bool { return o.Name == t.Name }) {
			err = fmt.Errorf("a second target has this name")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		c.Scrape = append(c.Scrape, t)
	}
	return nil
}

func (t *Target) check() error {
	u, err := url.Parse(t.URL)
	switch {
	case t.Name == "":
		return fmt.Errorf("wants a name")
	case len(t.Name) > 64:
		return fmt.Errorf("wants a name of at most 64 bytes")
	case err == nil && u.User != nil: // not shown: it is a secret
		return fmt.Errorf("its URL carries a name or password, which would be shown; a token belongs in token_file")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("%q is not an http or https URL", t.URL)
	case u.Fragment != "":
		return fmt.Errorf("%q has a fragment, which no server sees", t.URL)
	case t.Interval < time.Second || t.Timeout <= 0 || t.Timeout > t.Interval:
		return fmt.Errorf("wants an interval of at least 1s and a timeout not above it")
	case t.TokenFile != "" && !filepath.IsAbs(t.TokenFile):
		return fmt.Errorf("wants the absolute path of token_file")
	}
	return nil
}

// checkScrape says which targets are neither on this machine nor on the list, and which could never be.
func (c *Config) checkScrape() (errs []error) {
	bad := func(t Target, message, hint string) {
		errs = append(errs, &Error{"config_value", "scrape", t.Name, message, hint})
	}
	for _, t := range c.Scrape {
		u, err := url.Parse(t.URL)
		if err != nil {
			continue // was said already
		}
		name := u.Hostname()
		ip := net.ParseIP(name)
		switch {
		case ip != nil && !ip.IsLoopback() && !ip.IsPrivate():
			bad(t, fmt.Sprintf("its target %s is neither a loopback nor a private address", name), "an address of this network")
		case ip != nil && ip.IsLoopback() || name == "localhost":
		case !slices.Contains(c.ScrapeAllow, u.Host) && !slices.Contains(c.ScrapeAllow, name):
			bad(t, fmt.Sprintf("its target %s is neither on this machine nor on the allow-list", u.Host), fmt.Sprintf("scrape_allow: [%q]", name))
		}
	}
	return errs
}

// workingDays is a list of days by their first three letters.
func workingDays(c *Config, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return fmt.Errorf("wants a list of at least one day")
	}
	names := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // time.Weekday
	c.WorkingDays = [7]bool{}
	for _, e := range n.Content {
		v, err := scalar(e)
		if err != nil {
			return err
		}
		i := slices.Index(names, strings.ToLower(v))
		switch {
		case i < 0:
			return fmt.Errorf("%q is no day; did you mean %q?", v, catalog.Nearest(strings.ToLower(v), names))
		case c.WorkingDays[i]:
			return fmt.Errorf("%s stands there twice", v)
		}
		c.WorkingDays[i] = true
	}
	return nil
}

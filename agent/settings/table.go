package settings

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// All is the table of settings, in the order the documentation lists them.
func All() []Setting {
	return []Setting{
		{"state", "/var/lib/fieldpost-agent", "the directory that holds everything the agent knows", text(func(c *Config) *string { return &c.State })},
		{"listen", "127.0.0.1:4318", "host:port where the product sends events and metrics", address(func(c *Config) *string { return &c.Listen }, false)},
		{"console", "127.0.0.1:4380", "host:port of the console, or off", address(func(c *Config) *string { return &c.Console }, true)},
		{"site_key_file", "", "a file that holds the site key, such as a service credential; nothing: site.key in the state directory", file(func(c *Config) *string { return &c.SiteKeyFile })},
		{"write_keys", "[]", "a list of Segment write keys that are accepted; [] accepts any", list(func(c *Config) *[]string { return &c.WriteKeys })},
		{"zone", "UTC", "an IANA time zone such as Europe/Berlin; it decides where a day begins", zone},
		{"role", "users", "users (measures people too) or machines (a second agent of the same installation)", choice(func(c *Config) *string { return &c.Role }, "users", "machines")},
		{"remember_users", "190d", "a duration such as 190d, or forever", remember},
		{"local_exact", "false", "true allows query --exact for the owner of the state directory; each use is recorded", boolean(func(c *Config) *bool { return &c.LocalExact })},
		{"consent_lock", "false", "true: consent can only be narrowed on this machine", boolean(func(c *Config) *bool { return &c.ConsentLock })},
		{"statsd", "", "host:port for StatsD over UDP such as 127.0.0.1:8125, or nothing: off", statsd},
		{"scrape", "[]", "- {name: shop, url: \"http://127.0.0.1:9100/metrics\", interval: 60s, timeout: 10s}", scrape},
		{"scrape_allow", "[]", "a list of host or host:port, of private addresses, that scrapes may reach", list(func(c *Config) *[]string { return &c.ScrapeAllow })},
		{"working_days", "[mon, tue, wed, thu, fri]", "a list of the days people work here, such as [sun, mon, tue, wed, thu]", workingDays},
		{"probes", "{}", "web: {http: \"http://127.0.0.1:8080/health\", interval: 30s}", probes},
		{"probe_allow", "[]", "a list of host or host:port that probes may reach", list(func(c *Config) *[]string { return &c.ProbeAllow })},
		{"maintenance", "[]", "- {probes: [web], from: 2026-12-01T20:00:00Z, to: 2026-12-01T22:00:00Z}", maintenance},
		{"journal_max", "256MiB", "a size such as 256MiB, at least 32MiB", size(func(c *Config) *int64 { return &c.JournalMax }, 32<<20)},
		{"outbox_max", "64MiB", "a size such as 64MiB, at least 1MiB", size(func(c *Config) *int64 { return &c.OutboxMax }, 1<<20)},
		{"ledger_max", "256MiB", "a size such as 256MiB, at least 32MiB", size(func(c *Config) *int64 { return &c.LedgerMax }, 32<<20)},
		{"send_every", "1h", "a duration such as 15m or 1h, at least 1s", duration(func(c *Config) *time.Duration { return &c.SendEvery }, time.Second)},
		{"proxy", "", "a proxy URL, none, or nothing for the environment's", proxy},
		{"log_level", "info", "debug, info, warn or error", choice(func(c *Config) *string { return &c.LogLevel }, "debug", "info", "warn", "error")},
	}
}

type setter = func(*Config, *yaml.Node) error

func scalar(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", fmt.Errorf("wants one value")
	}
	return n.Value, nil
}

func text(at func(*Config) *string) setter {
	return func(c *Config, n *yaml.Node) error {
		v, err := scalar(n)
		if err == nil && v == "" {
			err = fmt.Errorf("is empty")
		}
		*at(c) = v
		return err
	}
}

// file is a path, or nothing.
func file(at func(*Config) *string) setter {
	return func(c *Config, n *yaml.Node) error {
		v, err := scalar(n)
		if err == nil && v != "" && !filepath.IsAbs(v) {
			err = fmt.Errorf("%q is not a whole path", v)
		}
		*at(c) = v
		return err
	}
}

func choice(at func(*Config) *string, of ...string) setter {
	return func(c *Config, n *yaml.Node) error {
		v, err := scalar(n)
		if err == nil && !slices.Contains(of, v) {
			err = fmt.Errorf("%q is none of %s; did you mean %q?", v, strings.Join(of, ", "), catalog.Nearest(v, of))
		}
		*at(c) = v
		return err
	}
}

func boolean(at func(*Config) *bool) setter {
	return func(c *Config, n *yaml.Node) error {
		v, err := scalar(n)
		if err != nil {
			return err
		}
		if *at(c), err = strconv.ParseBool(v); err != nil {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		return nil
	}
}

func list(at func(*Config) *[]string) setter {
	return func(c *Config, n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode {
			return fmt.Errorf("wants a list")
		}
		out := []string{}
		for _, e := range n.Content {
			v, err := scalar(e)
			if err != nil || v == "" {
				return fmt.Errorf("wants a list of words")
			}
			out = append(out, v)
		}
		*at(c) = out
		return nil
	}
}

func address(at func(*Config) *string, off bool) setter {
	return func(c *Config, n *yaml.Node) error {
		v, err := scalar(n)
		if err != nil {
			return err
		}
		*at(c) = v
		if off && (v == "off" || v == "false") {
			*at(c) = "off"
			return nil
		}
		_, port, err := net.SplitHostPort(v)
		if p, perr := strconv.Atoi(port); err != nil || perr != nil || p < 0 || p > 65535 {
			return fmt.Errorf("%q is not host:port", v)
		}
		return nil
	}
}

func zone(c *Config, n *yaml.Node) error {
	v, err := scalar(n)
	if err != nil {
		return err
	}
	if _, err := time.LoadLocation(v); err != nil || v == "" || v == "Local" {
		return fmt.Errorf("%q is not a time zone", v)
	}
	c.Zone = v
	return nil
}

func remember(c *Config, n *yaml.Node) error {
	v, err := scalar(n)
	if err != nil {
		return err
	}
	if v == "forever" {
		c.Remember = -1
		return nil
	}
	d, err := parseDuration(v)
	if err == nil && d < 84*24*time.Hour {
		err = fmt.Errorf("%s is shorter than 84d, which cohorts and blocks need", v)
	}
	c.Remember = d
	return err
}

func proxy(c *Config, n *yaml.Node) error {
	v, err := scalar(n)
	if err != nil {
		return err
	}
	if u, perr := url.Parse(v); v != "" && v != "none" && (perr != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%q is not a proxy's URL", v)
	}
	c.Proxy = v
	return nil
}

func duration(at func(*Config) *time.Duration, least time.Duration) setter {
	return func(c *Config, n *yaml.Node) error {
		v, err := scalar(n)
		if err != nil {
			return err
		}
		d, err := parseDuration(v)
		if err == nil && d < least {
			err = fmt.Errorf("%s is less than %s", v, least)
		}
		*at(c) = d
		return err
	}
}

// parseDuration also knows days: 190d.
func parseDuration(v string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(v, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return 0, fmt.Errorf("%q is not a duration", v)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration", v)
	}
	return d, nil
}

func size(at func(*Config) *int64, least int64) setter {
	return func(c *Config, n *yaml.Node) error {
		v, err := scalar(n)
		if err != nil {
			return err
		}
		num, unit := v, int64(1)
		for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
			if s, ok := strings.CutSuffix(v, suffix); ok {
				num, unit = s, u
			}
		}
		b, err := strconv.ParseInt(strings.TrimSpace(num), 10, 40)
		if err != nil {
			return fmt.Errorf("%q is not a size", v)
		}
		if *at(c) = b * unit; b*unit < least {
			return fmt.Errorf("%s is less than %d MiB", v, least>>20)
		}
		return nil
	}
}

// check looks at what only the whole can tell.
func (c *Config) check() []error {
	errs := c.checkScrape()
	for _, p := range c.Probes {
		host := p.TCP
		if p.HTTP != "" {
			if u, err := url.Parse(p.HTTP); err == nil {
				host = u.Host
			}
		}
		name, _, err := net.SplitHostPort(host)
		if err != nil {
			name = host
		}
		ip := net.ParseIP(name)
		if !slices.Contains(c.ProbeAllow, host) && !slices.Contains(c.ProbeAllow, name) && name != "localhost" && (ip == nil || !ip.IsLoopback()) {
			errs = append(errs, &Error{"config_value", "probes", p.ID, fmt.Sprintf("its target %s is neither on this machine nor on the allow-list", host),
				fmt.Sprintf("probe_allow: [%q]", name)})
		}
	}
	for i, m := range c.Maintenance {
		for _, id := range m.Probes {
			if !slices.ContainsFunc(c.Probes, func(p Probe) bool { return p.ID == id }) {
				errs = append(errs, &Error{"config_value", "maintenance", strconv.Itoa(i), fmt.Sprintf("there is no probe %q", id), "name one of probes"})
			}
		}
	}
	return errs
}

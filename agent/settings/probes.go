package settings

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// fields walks a mapping strictly: an unknown key names the nearest known one.
func fields(n *yaml.Node, rows map[string]func(*yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: wants key: value pairs", n.Line)
	}
	known := []string{}
	for k := range rows {
		known = append(known, k)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		set, ok := rows[k.Value]
		if !ok {
			return fmt.Errorf("line %d: unknown key %q; did you mean %q?", k.Line, k.Value, catalog.Nearest(k.Value, known))
		}
		if err := set(v); err != nil {
			return fmt.Errorf("line %d: %s: %w", k.Line, k.Value, err)
		}
	}
	return nil
}

func probes(c *Config, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("wants the checks by name")
	}
	c.Probes = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		p := Probe{ID: n.Content[i].Value, Interval: 30 * time.Second, Timeout: 5 * time.Second}
		err := fields(n.Content[i+1], map[string]func(*yaml.Node) error{
			"http":     into(&p.HTTP),
			"tcp":      into(&p.TCP),
			"contains": into(&p.Contains),
			"interval": intoDuration(&p.Interval),
			"timeout":  intoDuration(&p.Timeout),
			"status":   p.statuses,
		})
		if err == nil {
			err = p.check()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.ID, err)
		}
		c.Probes = append(c.Probes, p)
	}
	return nil
}

func (p *Probe) statuses(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return fmt.Errorf("wants a list")
	}
	for _, e := range n.Content {
		s, err := strconv.Atoi(e.Value)
		if err != nil || s < 100 || s > 599 {
			return fmt.Errorf("%q is not an HTTP status", e.Value)
		}
		p.Status = append(p.Status, s)
	}
	return nil
}

func (p *Probe) check() error {
	switch {
	case (p.HTTP == "") == (p.TCP == ""):
		return fmt.Errorf("wants either http or tcp")
	case p.Interval < time.Second || p.Timeout <= 0 || p.Timeout >= p.Interval:
		return fmt.Errorf("wants an interval of at least 1s and a timeout below it")
	case p.TCP != "" && (p.Status != nil || p.Contains != ""):
		return fmt.Errorf("status and contains are for http")
	}
	if p.TCP != "" {
		if _, _, err := net.SplitHostPort(p.TCP); err != nil {
			return fmt.Errorf("%q is not host:port", p.TCP)
		}
		return nil
	}
	u, err := url.Parse(p.HTTP)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q is not an http or https URL without a password", p.HTTP)
	}
	return nil
}

func maintenance(c *Config, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return fmt.Errorf("wants a list")
	}
	c.Maintenance = nil
	for _, e := range n.Content {
		var m Maintenance
		err := fields(e, map[string]func(*yaml.Node) error{
			"probes": func(v *yaml.Node) error {
				if v.Kind != yaml.SequenceNode {
					return fmt.Errorf("wants a list")
				}
				for _, x := range v.Content {
					m.Probes = append(m.Probes, x.Value)
				}
				return nil
			},
			"from": intoTime(&m.From),
			"to":   intoTime(&m.To),
		})
		if err != nil {
			return err
		}
		if !m.From.Before(m.To) || len(m.Probes) == 0 {
			return fmt.Errorf("line %d: wants probes, from and a later to", e.Line)
		}
		c.Maintenance = append(c.Maintenance, m)
	}
	return nil
}

func into(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) (err error) { *to, err = scalar(n); return err }
}

func intoDuration(to *time.Duration) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := scalar(n)
		if err != nil {
			return err
		}
		*to, err = parseDuration(v)
		return err
	}
}

func intoTime(to *time.Time) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := scalar(n)
		if err != nil {
			return err
		}
		if *to, err = time.Parse(time.RFC3339, v); err != nil {
			return fmt.Errorf("%q is not a time such as 2026-12-01T20:00:00Z", v)
		}
		return nil
	}
}

// Announced tells of a probe and a moment whether the moment lies in work that was announced before it began and
// before opened, when the settings were read.
func (c *Config) Announced(opened time.Time) func(id string, t time.Time) bool {
	return func(id string, t time.Time) bool {
		for _, m := range c.Maintenance {
			for _, p := range m.Probes {
				if p == id && opened.Before(m.From) && !t.Before(m.From) && t.Before(m.To) {
					return true
				}
			}
		}
		return false
	}
}

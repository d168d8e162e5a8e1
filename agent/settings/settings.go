// Package settings reads what the customer's administrator wrote: the configuration file, the
// environment and the flags, in rising order of precedence. Everything is strict: an unknown key is
// an error that names the nearest known one, a value of the wrong kind names its line.
//
// Every setting has one row in the table All; file key, environment name, flag, default and help come
// from it, so they cannot differ.
package settings

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fieldpost/fieldpost/protocol/catalog"
)

// maxFile bounds the configuration file: a thousand probes take 200 KB.
const maxFile = 1 << 20

// Config is everything that can be set.
type Config struct {
	State       string        // state directory
	Listen      string        // intake, TCP
	Console     string        // console, TCP; "off": none
	SiteKeyFile string        // "": site.key in the state directory
	WriteKeys   []string      // accepted Segment write keys; none: any
	Zone        string        // IANA name of the installation's time zone
	Role        string        // users: measures people too; machines: only machines and traffic
	Remember    time.Duration // a user without activity for longer is forgotten; <0: never
	LocalExact  bool          // may query --exact be used here
	ConsentLock bool          // consent can only be narrowed here
	StatsD      string        // StatsD, UDP; "": off
	Scrape      []Target      // pages of metrics that are read
	ScrapeAllow []string      // hosts (host or host:port) beyond this machine that scrapes may reach
	WorkingDays [7]bool       // by time.Weekday: the days people work here
	Probes      []Probe       // checks of this site
	ProbeAllow  []string      // hosts (host or host:port) that probes may reach
	Maintenance []Maintenance // announced work
	JournalMax  int64         // bytes
	OutboxMax   int64         // bytes
	LedgerMax   int64         // bytes
	SendEvery   time.Duration // how often what waits is sent
	Proxy       string        // "": from the environment; "none"; or a URL
	LogLevel    string        // debug, info, warn or error
	DoNotTrack  bool          // DO_NOT_TRACK=1
}

// Probe is one check of this site.
type Probe struct {
	ID       string        // as in the catalog
	HTTP     string        // URL, or
	TCP      string        // host:port
	Interval time.Duration // default 30s
	Timeout  time.Duration // default 5s, below Interval
	Status   []int         // HTTP: statuses that count as up; default 200–399
	Contains string        // HTTP: text the first 64 KiB of the body must hold
}

// Maintenance is announced work; it counts as such only from when it stood in the file.
type Maintenance struct {
	Probes   []string
	From, To time.Time
}

// Error is one thing wrong with a setting.
type Error struct {
	Code    string // stable: config_unknown_key, config_value, config_file
	Where   string // file:line, the variable or the flag
	Key     string
	Message string
	Hint    string
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s: %s (%s)", e.Where, e.Key, e.Message, e.Code)
	if e.Hint != "" {
		s += ". Try: " + e.Hint
	}
	return s
}

// Setting is one row of the table.
type Setting struct {
	Key, Default, Help string
	set                func(*Config, *yaml.Node) error
}

// Env is the name of the setting's environment variable.
func (s Setting) Env() string { return "FIELDPOST_" + strings.ToUpper(s.Key) }

// Flag is the name of the setting's flag, without the dashes.
func (s Setting) Flag() string { return strings.ReplaceAll(s.Key, "_", "-") }

// Source is where values come from.
type Source struct {
	File   string              // path; "": none
	Must   bool                // the file was named by the user: it has to exist
	Getenv func(string) string // default os.Getenv
	Flags  map[string]string   // by flag name; only those that were given
}

// Load puts the sources together over the defaults. All mistakes are reported at once.
func Load(src Source) (Config, error) {
	var c Config
	var errs []error
	for _, s := range All() {
		if err := c.setText(s, s.Default, "default"); err != nil {
			return c, err // a mistake of ours, caught by the tests
		}
	}
	if src.File != "" {
		errs = append(errs, c.file(src.File, src.Must)...)
	}
	getenv := src.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	for _, s := range All() {
		if v := getenv(s.Env()); v != "" {
			errs = append(errs, c.setText(s, v, "$"+s.Env()))
		}
	}
	for _, s := range All() {
		if v, ok := src.Flags[s.Flag()]; ok {
			errs = append(errs, c.setText(s, v, "--"+s.Flag()))
		}
	}
	if v := getenv("DO_NOT_TRACK"); v != "" && v != "0" && !strings.EqualFold(v, "false") {
		c.DoNotTrack = true
	}
	errs = append(errs, c.check()...)
	return c, errors.Join(errs...)
}

func (c *Config) setText(s Setting, text, where string) error {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return &Error{"config_value", where, s.Key, "is not readable", "quote it"}
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str"}
	if len(doc.Content) == 1 {
		n = doc.Content[0]
	}
	if err := s.set(c, n); err != nil {
		return &Error{"config_value", where, s.Key, err.Error(), s.Help}
	}
	return nil
}

func (c *Config) file(path string, must bool) []error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) && !must {
		return nil
	}
	if err != nil {
		return []error{&Error{"config_file", path, "", "cannot be read: " + err.Error(), "check the path and its permissions"}}
	}
	if info.Size() > maxFile {
		return []error{&Error{"config_file", path, "", "is larger than 1 MiB", "is it the right file?"}}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return []error{&Error{"config_file", path, "", "cannot be read: " + err.Error(), "check the path and its permissions"}}
	}
	return c.Parse(data, path)
}

// Parse reads a configuration file's text over c; name is how errors call the file.
func (c *Config) Parse(data []byte, name string) []error {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return []error{&Error{"config_file", name, "", err.Error(), "check the indentation"}}
	}
	if len(doc.Content) == 0 {
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return []error{&Error{"config_file", name, "", "is not a list of settings", "write `key: value` lines"}}
	}
	rows := map[string]Setting{}
	keys := []string{}
	for _, s := range All() {
		rows[s.Key] = s
		keys = append(keys, s.Key)
	}
	var errs []error
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		where := fmt.Sprintf("%s:%d", name, k.Line)
		s, ok := rows[k.Value]
		switch {
		case !ok:
			errs = append(errs, &Error{"config_unknown_key", where, k.Value, "is not a setting", fmt.Sprintf("%s", catalog.Nearest(k.Value, keys))})
		case seen[k.Value]:
			errs = append(errs, &Error{"config_value", where, k.Value, "is set twice", "keep one"})
		default:
			if err := s.set(c, v); err != nil {
				errs = append(errs, &Error{"config_value", where, k.Value, err.Error(), s.Help})
			}
		}
		seen[k.Value] = true
	}
	return errs
}

// ProxyFunc is the setting as an HTTP transport wants it; nil: the environment's.
func (c *Config) ProxyFunc() func(*http.Request) (*url.URL, error) {
	switch c.Proxy {
	case "":
		return nil
	case "none":
		return func(*http.Request) (*url.URL, error) { return nil, nil }
	}
	u, err := url.Parse(c.Proxy) // Load has checked it
	return func(*http.Request) (*url.URL, error) { return u, err }
}

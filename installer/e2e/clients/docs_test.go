package clients

import (
	"os"
	"strings"
	"testing"
)

// Every request that the vendor's guide shows is taken as it stands there.
func TestExamplesOfTheGuideAreTaken(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/for-vendors.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Other doors\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if !found {
		t.Fatal("the guide has no section on other doors")
	}
	a, _ := site(t)
	n := 0
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "curl ") {
			continue
		}
		words := shellWords(strings.TrimSpace(line))
		path, ok := strings.CutPrefix(words[1], "http://127.0.0.1:4318")
		if !ok {
			t.Fatalf("another address: %s", line)
		}
		var body string
		var headers []string
		for i := 2; i+1 < len(words); i += 2 {
			switch words[i] {
			case "-d":
				body = words[i+1]
			case "-H":
				name, value, _ := strings.Cut(words[i+1], ": ")
				headers = append(headers, name, value)
			default:
				t.Fatalf("curl %s is not known to this test", words[i])
			}
		}
		if status, answer, _ := a.Post(path, body, headers...); status/100 != 2 || strings.Contains(answer, "reject") {
			t.Errorf("%s: %d %s", line, status, answer)
		}
		n++
	}
	if n < 4 {
		t.Fatalf("%d examples", n)
	}
	events, _ := a.Received(uint64(n+1), 0) // the one with $set is an identify too
	accounts(t, "events", events, map[string]uint64{"measured": uint64(n + 1)})
	figures(t, a, "people", "day", "role", map[string]string{"role=admin": "1"})
	figures(t, a, "published", "day", "", map[string]string{"": "3"})
}

// shellWords splits a command that uses no more of the shell than single quotes.
func shellWords(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

package declare_test

import (
	"testing"

	"github.com/fieldpost/fieldpost/protocol/catalog/declare"
)

func TestWhatARawValueCountsAs(t *testing.T) {
	role := declare.Property{Name: "role", Values: []string{"contributor", "maintainer"}, Map: map[string]string{"admin": "maintainer", "": "contributor"}}
	for raw, want := range map[string]string{
		"contributor": "contributor", "maintainer": "maintainer",
		"admin": "maintainer", "": "contributor", // mapped
		"owner": declare.Other, "Maintainer": declare.Other, // case is kept
		declare.None: declare.Other, // a client cannot say that it said nothing
	} {
		if got := role.ValueName(role.Index(raw)); got != want {
			t.Errorf("%q counts as %q, want %q", raw, got, want)
		}
	}
	if got := role.ValueName(role.NoneIndex() + 1); got != "" {
		t.Errorf("beyond the list stands %q", got)
	}
}

// Every value has one name and every name one value, with (other) and (none) or without.
func TestNamesAndValuesAreOneToOne(t *testing.T) {
	for _, p := range []declare.Property{
		{Name: "role", Values: []string{"a", "b"}},
		{Name: "step", Values: []string{"a", "b"}, Fixed: true},
	} {
		want := len(p.Values)
		if !p.Fixed {
			want += 2
		}
		if int(p.Size()) != want {
			t.Errorf("%s has %d values, want %d", p.Name, p.Size(), want)
		}
		for i := range p.Size() {
			if at, ok := p.Find(p.ValueName(i)); !ok || at != i {
				t.Errorf("value %d of %s is %q, which is %d", i, p.Name, p.ValueName(i), at)
			}
		}
		for _, no := range []string{"", "c"} {
			if _, ok := p.Find(no); ok {
				t.Errorf("%s has a value %q", p.Name, no)
			}
		}
		if _, ok := p.Find(declare.Other); ok == p.Fixed {
			t.Errorf("%s: (other) is a value: %v", p.Name, ok)
		}
		if got := p.ValueName(p.Size()); got != "" {
			t.Errorf("beyond %s stands %q", p.Name, got)
		}
	}
}

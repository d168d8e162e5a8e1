package canon

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/protocol/catalog/strict"
)

// Differences says in words how two definitions differ.
func Differences(old, now []Leaf) string {
	o, keys := grouped(old, nil)
	n, keys := grouped(now, keys)
	var out []string
	for _, k := range keys {
		if !slices.Equal(o[k], n[k]) {
			out = append(out, difference(k, o[k], n[k])...)
		}
	}
	return strings.Join(out, "; ")
}

// grouped gathers leaves by path without their list positions, keeping the order of first sight.
func grouped(ls []Leaf, keys []string) (map[string][]string, []string) {
	out := map[string][]string{}
	at := map[string]string{}
	for _, l := range ls {
		parts := strings.Split(l.Path, ".")
		i := slices.IndexFunc(parts, func(s string) bool { _, err := strconv.Atoi(s); return err == nil })
		key, place := l.Path, ""
		if i >= 0 {
			key, place = strings.Join(parts[:i], "."), parts[i]
		}
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
		if vs := out[key]; len(vs) > 0 && at[key] == place { // the second part of a cross or a renaming
			joint := " and "
			if strings.HasSuffix(l.Path, ".to") {
				joint = " as "
			}
			vs[len(vs)-1] += joint + l.Value
			continue
		}
		out[key], at[key] = append(out[key], l.Value), place
	}
	return out, keys
}

func difference(key string, old, now []string) []string {
	missing := func(in, from []string) string {
		var out []string
		for _, s := range in {
			if !slices.Contains(from, s) {
				out = append(out, s)
			}
		}
		return strings.Join(out, ", ")
	}
	more, less := missing(now, old), missing(old, now)
	one := func(vs []string, none string) string {
		if len(vs) == 0 {
			return none
		}
		return strings.Join(vs, ", ")
	}
	var out []string
	say := func(what, format string) {
		if what != "" {
			out = append(out, fmt.Sprintf(format, what))
		}
	}
	switch key {
	case "by":
		say(more, "is also told apart by %s")
		say(less, "is no longer told apart by %s")
	case "events":
		say(more, "also looks at %s")
		say(less, "no longer looks at %s")
	case "consumed_in":
		if len(old) > 0 && len(now) == 0 {
			return []string{"no longer says where it is used"}
		}
		say(more, "is also used in %s")
		say(less, "is no longer used in %s")
	case "retention", "window":
		word := map[string]string{"retention": "is kept", "window": "the budget's window is"}[key]
		return []string{fmt.Sprintf("%s %s, was %s", word, seconds(now), seconds(old))}
	case "leaves":
		return []string{fmt.Sprintf("leaves per %s, was per %s", one(now, "?"), one(old, "?"))}
	case "expires":
		return []string{fmt.Sprintf("is asked again after %s, was %s", one(now, "no date"), one(old, "no date"))}
	case "subject", "category", "kind":
		return []string{fmt.Sprintf("%s is %s, was %s", key, one(now, "?"), one(old, "?"))}
	default:
		if len(now) <= 1 && len(old) <= 1 {
			return []string{fmt.Sprintf("%s is %s, was %s", key, one(now, "not given"), one(old, "not given"))}
		}
		say(more, key+" also has %s")
		say(less, key+" no longer has %s")
	}
	if out == nil {
		out = append(out, key+" is in another order")
	}
	return out
}

func seconds(vs []string) string {
	if len(vs) == 0 {
		return "forever"
	}
	n, _ := strconv.ParseInt(vs[0], 10, 64)
	return strict.Span(time.Duration(n) * time.Second)
}

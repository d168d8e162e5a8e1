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
		if slices.Equal(o[k], n[k]) || follows(k, o, n) {
			continue
		}
		out = append(out, difference(k, o[k], n[k])...)
	}
	return strings.Join(out, "; ")
}

// follows reports whether a difference only follows from another that is said: a declaration
// that is newly referred to or no longer, or the list a fact copies from its source.
func follows(key string, old, now map[string][]string) bool {
	if key == "of.definition" {
		return !slices.Equal(old["of"], now["of"])
	}
	if key == "values" {
		for k := range now {
			if strings.HasSuffix(k, ".values") && slices.Equal(now[k], now[key]) && slices.Equal(old[k], old[key]) {
				return true
			}
		}
		return false
	}
	of, _, _ := strings.Cut(key, ".")
	switch of {
	case "event", "metric", "traits", "group_traits", "resource":
		owner, _ := owned(key)
		return (old[owner+".match"] == nil) != (now[owner+".match"] == nil)
	}
	return false
}

// owned splits a key into the declaration it belongs to and the part of it: names may hold dots.
func owned(key string) (owner, part string) {
	for _, p := range []string{"number.min", "number.max", "match", "values", "map", "not_people", "type", "grace", "unit", "bounds", "label", "min", "max"} {
		if o, ok := strings.CutSuffix(key, "."+p); ok {
			return o, p
		}
	}
	return key, ""
}

// noun names a key for people: where.area.values is "the filter on area".
func noun(key string) string {
	owner, part := owned(key)
	of, name, _ := strings.Cut(owner, ".")
	what := map[string]string{"number.min": "the least", "number.max": "the most", "min": "the least", "max": "the most", "match": "the client's name of",
		"values": "the list of", "map": "the renaming of", "not_people": "who is no person by", "type": "the type of", "grace": "the grace of",
		"unit": "the unit of", "bounds": "the bounds of", "label": "the label of"}[part]
	switch of {
	case "where", "where_user", "eligible":
		if part == "values" {
			what = "the filter on"
		}
		if of == "eligible" {
			what = "among the eligible, " + what
		}
		return what + " " + name
	case "event", "metric":
		id, inner, ok := strings.Cut(name, ".properties.")
		if !ok {
			id, inner, ok = strings.Cut(name, ".attributes.")
		}
		if ok {
			return fmt.Sprintf("%s %s (%s %s)", what, inner, of, id)
		}
		return fmt.Sprintf("%s the %s %s", what, of, name)
	case "traits", "group_traits", "resource", "probe":
		return what + " the " + map[string]string{"traits": "trait", "group_traits": "group's trait", "resource": "resource attribute", "probe": "check"}[of] + " " + name
	case "doors":
		return "where " + strings.TrimSuffix(name, ".user") + " name their user"
	case "before":
		if rest, ok := strings.CutPrefix(name, "where."); ok {
			return "the filter of what comes before on " + rest
		}
		return "what comes before"
	case "valid", "good":
		if rest, ok := strings.CutPrefix(name, "where."); ok {
			return "the filter of what is " + of + " on " + rest
		}
		return "what is " + of + ", its " + key[len(of)+1:]
	}
	if s := map[string]string{"correlate": "what is followed", "split": "what entries are told apart by", "uses": "the number of uses that counts as adopted",
		"purchased": "where the seats bought are told", "assigned": "where the seats given are told", "arm": "what tells the arms apart", "of": "what it looks at"}[key]; s != "" {
		return s
	}
	return key
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
			vs[len(vs)-1] += joint(key, parts[i+1:]) + l.Value
			continue
		}
		out[key], at[key] = append(out[key], l.Value), place
	}
	return out, keys
}

// joint is what stands before a further part of an entry: steps and features have several.
func joint(key string, path []string) string {
	last := path[len(path)-1]
	if key != "steps" && key != "features" {
		return map[bool]string{true: " as ", false: " and "}[last == "to"]
	}
	switch {
	case path[0] == "event" || path[0] == "events" && last == "0":
		return " by "
	case last == "min" || last == "max":
		return " where " + strings.Join(path[1:len(path)-1], ".") + map[string]string{"min": " is at least ", "max": " is at most "}[last]
	case path[0] == "where" && last == "0" && len(path) > 3:
		return " where " + strings.Join(path[1:len(path)-2], ".") + " is "
	}
	return " or "
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
	case "steps", "features":
		word := key[:len(key)-1]
		say(more, "also has the "+word+" %s")
		say(less, "no longer has the "+word+" %s")
	case "pool":
		return []string{map[bool]string{true: "joins the pool", false: "no longer joins the pool"}[len(now) > 0]}
	case "epsilon":
		return []string{fmt.Sprintf("the privacy budget of the level strict is %s, was %s", one(now, "1"), one(old, "1"))}
	case "cap":
		return []string{fmt.Sprintf("a person counts at most %s times in four weeks, was %s", one(now, "5600"), one(old, "5600"))}
	case "of.definition":
		return []string{"what it looks at has changed"}
	case "retention", "window":
		word := map[string]string{"retention": "is kept", "window": "its window is"}[key]
		return []string{fmt.Sprintf("%s %s, was %s", word, seconds(now), seconds(old))}
	case "leaves":
		return []string{fmt.Sprintf("leaves per %s, was per %s", one(now, "?"), one(old, "?"))}
	case "expires":
		if len(now) == 0 {
			return []string{"is never asked again, was after " + one(old, "?")}
		}
		return []string{fmt.Sprintf("is asked again after %s, was %s", one(now, "no date"), one(old, "no date"))}
	case "subject", "category", "kind":
		return []string{fmt.Sprintf("%s is %s, was %s", key, one(now, "?"), one(old, "?"))}
	default:
		name := noun(key)
		switch {
		case strings.HasSuffix(key, ".grace"):
			return []string{fmt.Sprintf("%s is %s, was %s", name, seconds(now), seconds(old))}
		case len(now) <= 1 && len(old) <= 1 || strings.HasPrefix(name, "the filter") && len(now)*len(old) == 0:
			return []string{fmt.Sprintf("%s is %s, was %s", name, one(now, "not given"), one(old, "not given"))}
		}
		say(more, name+" also has %s")
		say(less, name+" no longer has %s")
	}
	if out == nil {
		out = append(out, noun(key)+" is in another order")
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

package lint

import (
	"go.yaml.in/yaml/v3"
)

// places finds lines in a file that Parse accepted. The zero value finds none.
type places struct{ root *yaml.Node }

func read(raw []byte) places {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil || len(doc.Content) == 0 {
		return places{}
	}
	return places{doc.Content[0]}
}

// measure is the line of the first of the keys that the measure at index i has, or its own.
func (p places) measure(i int, keys ...string) int {
	_, list := entry(p.root, "measures")
	if list == nil || i < 0 || i >= len(list.Content) {
		return 0
	}
	for _, key := range keys {
		if k, _ := entry(list.Content[i], key); k != nil {
			return k.Line
		}
	}
	return list.Content[i].Line
}

// declared is the line of the key at the end of a path of keys, or of the nearest there is.
func (p places) declared(path ...string) int {
	line, n := 0, p.root
	for _, key := range path {
		k, v := entry(n, key)
		if k == nil {
			break
		}
		line, n = k.Line, v
	}
	return line
}

func entry(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

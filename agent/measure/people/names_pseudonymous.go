//go:build pseudonymous

package people

// Names are a person's, the first one first; none when nobody remembers them.
func (t *Table) Names(id uint32) []string {
	if t.flags[id]&named == 0 {
		return nil
	}
	return append([]string{t.name[id]}, t.more[id]...)
}

// Value is the value of a trait; "": never received.
func (t *Table) Value(id uint32, trait string) string {
	s, ok := t.slotOf[trait]
	if !ok {
		return ""
	}
	return t.Values(s)[t.Trait(id, s)]
}

package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Change is one setting that differs between two configurations.
type Change struct {
	// Key of the setting: "hls.part_duration".
	Key string
	// Old and New are the values for people; of keys and tokens they tell the streams only.
	Old, New string
	// Class says when the change takes effect.
	Class Class
}

// Diff lists the settings in which new differs from old, in the order of Config.
func Diff(old, new *Config) []Change {
	var changes []Change
	for _, s := range settings() {
		a, b := s.in(old), s.in(new)
		if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 || reflect.DeepEqual(a.Interface(), b.Interface()) {
			continue
		}
		c := Change{Key: s.key, Old: show(a), New: show(b), Class: s.class}
		if c.Old == c.New {
			c.New += " (changed)" // in what is not shown: a secret, or what is said of a stream
		}
		changes = append(changes, c)
	}
	return changes
}

// show writes a value for people.
func show(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Slice && v.Len() == 0:
		return "none"
	case v.Kind() == reflect.Slice:
		items := make([]string, v.Len())
		prefix := ""
		for i := range items {
			e := v.Index(i)
			if e.Kind() == reflect.Struct {
				e, prefix = e.Field(0), "for " // the stream, or another name; what follows is a secret
			}
			items[i] = fmt.Sprint(e.Interface()) // a secret hides itself
		}
		return prefix + strings.Join(items, ", ")
	case v.Kind() == reflect.String && v.Len() == 0:
		return `""`
	}
	return fmt.Sprint(v.Interface())
}

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
	// Old and New are the values for people; of stream keys they tell the streams only.
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
			c.New += " (with other secrets)"
		}
		changes = append(changes, c)
	}
	return changes
}

// show writes a value for people.
func show(v reflect.Value) string {
	switch keys := v.Interface().(type) {
	case []Key:
		if len(keys) == 0 {
			return "none"
		}
		streams := make([]string, len(keys))
		for i, k := range keys {
			streams[i] = k.Stream
		}
		return "for " + strings.Join(streams, ", ")
	default:
		if v.Kind() == reflect.String && v.Len() == 0 {
			return `""`
		}
		return fmt.Sprint(keys)
	}
}

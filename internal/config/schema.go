package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// Class says when a changed setting takes effect.
type Class string

// The classes of settings, as the reload tag has them.
const (
	// ReloadLive takes effect at once, for what is already running as well.
	ReloadLive Class = "live"
	// ReloadNewStream takes effect for streams that start afterwards.
	ReloadNewStream Class = "new-stream"
	// ReloadRestart takes effect when the node starts again.
	ReloadRestart Class = "restart"
)

// setting is one key of the configuration.
type setting struct {
	// key with its section: "hls.part_duration".
	key   string
	index []int // of the field in Config
	tag   reflect.StructTag
	typ   reflect.Type
	class Class
}

// envPrefix begins the name of every environment variable that is a setting.
const envPrefix = "PUSHCART_"

// variable is the environment variable that overrides the setting.
func (s setting) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// in returns the setting's value in c.
func (s setting) in(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(s.index) }

// settings lists all keys in the order of Config.
var settings = sync.OnceValue(func() []setting {
	var all []setting
	var walk func(t reflect.Type, prefix string, index []int)
	walk = func(t reflect.Type, prefix string, index []int) {
		for f := range t.Fields() {
			key, at := prefix+f.Tag.Get("yaml"), append(index[:len(index):len(index)], f.Index...)
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type, key+".", at)
				continue
			}
			all = append(all, setting{key: key, index: at, tag: f.Tag, typ: f.Type, class: Class(f.Tag.Get("reload"))})
		}
	}
	walk(reflect.TypeFor[Config](), "", nil)
	return all
})

// keysOf lists the yaml keys of a struct.
func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		keys = append(keys, f.Tag.Get("yaml"))
	}
	return keys
}

// neededOf lists the yaml keys that an item of a list must have.
func neededOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		if f.Tag.Get("optional") == "" {
			keys = append(keys, f.Tag.Get("yaml"))
		}
	}
	return keys
}

// setText gives v the value that text stands for, if it is one that the field's tag allows. The error is a clause such
// as "200 has no unit: write 200ms or 200s".
func setText(v reflect.Value, tag reflect.StructTag, text string) error {
	fresh := reflect.New(v.Type()).Elem()
	if err := parseText(fresh, tag, text); err != nil {
		return err
	}
	if err := inRange(fresh, tag); err != nil {
		return err
	}
	v.Set(fresh)
	return nil
}

func parseText(v reflect.Value, tag reflect.StructTag, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		if words := strings.Fields(tag.Get("oneof")); len(words) > 0 {
			return parseWord(v, words, text)
		}
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", clip(text))
		}
		v.SetInt(int64(n))
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", clip(text))
		}
		v.SetBool(text == "true")
	default:
		panic("config: no way to read a " + v.Type().String())
	}
	return nil
}

func parseWord(v reflect.Value, words []string, text string) error {
	for _, w := range words {
		if w == text {
			v.SetString(text)
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %s", clip(text), strings.Join(words, ", "))
}

// bounds are what a range tag says.
type bounds struct {
	zero      bool // zero is allowed, although it is outside
	low, high reflect.Value
}

// boundsOf reads the range tag of a field of type t; ok is false when there is none.
func boundsOf(t reflect.Type, tag reflect.StructTag) (b bounds, ok bool) {
	spec, ok := tag.Lookup("range")
	if !ok {
		return b, false
	}
	spec, b.zero = strings.CutPrefix(spec, "0| ")
	low, high, _ := strings.Cut(spec, " ")
	b.low, b.high = reflect.New(t).Elem(), reflect.New(t).Elem()
	for _, e := range []struct {
		v    reflect.Value
		text string
	}{{b.low, low}, {b.high, high}} {
		if err := parseText(e.v, "", e.text); err != nil {
			panic(fmt.Sprintf("config: range tag %q: %v", spec, err))
		}
	}
	return b, true
}

func inRange(v reflect.Value, tag reflect.StructTag) error {
	b, ok := boundsOf(v.Type(), tag)
	if !ok || b.zero && v.IsZero() || b.low.Int() <= v.Int() && v.Int() <= b.high.Int() {
		return nil
	}
	return fmt.Errorf("%v is out of range: allowed is %v", v, b)
}

// String writes the range for people: "100ms to 1s", "0 or 1KiB to 10MiB".
func (b bounds) String() string {
	s := fmt.Sprintf("%v to %v", b.low, b.high)
	if b.zero {
		return "0, or " + s
	}
	return s
}

// expected describes what a setting of type t takes, for messages: `a duration such as "2s"`.
func expected(t reflect.Type, tag reflect.StructTag) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return `a duration such as "200ms" or "2s"`
	case reflect.TypeFor[Size]():
		return `a size such as "16KiB" or "8MiB"`
	case reflect.TypeFor[Bitrate]():
		return `a bit rate such as "800kbps" or "60Mbps"`
	case reflect.TypeFor[Address]():
		return `an address such as ":8080" or "127.0.0.1:8080", or "" for off`
	case reflect.TypeFor[Region]():
		return `a country such as "DE", or "" for none`
	case reflect.TypeFor[Word]():
		return "one of " + strings.Join(strings.Fields(tag.Get("oneof")), ", ")
	}
	switch t.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list, [] for none"
	case reflect.Struct:
		return "a mapping with the keys " + strings.Join(keysOf(t), ", ")
	}
	return `a text, "" for none`
}

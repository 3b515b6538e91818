package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// orchestrator matches the variables that Kubernetes puts into every container for each service whose name begins with
// "pushcart", and Docker for links: they are not meant for this program. The last alternative holds an address.
var orchestrator = regexp.MustCompile(`^PUSHCART(_[A-Z0-9]+)*_(SERVICE_HOST=|SERVICE_PORT(_[A-Z0-9_]+)?=|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?=(tcp|udp|sctp|[0-9.:a-f]+$))`)

// environment takes the variables that are settings. Of a variable that is there twice, the last counts.
func (l *loader) environment(env []string, c *Config) {
	byName := map[string]setting{}
	names := []string{fileVariable}
	for _, s := range settings() {
		byName[s.variable()] = s
		names = append(names, s.variable())
	}
	values := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, envPrefix) && name != fileVariable {
			if _, known := byName[name]; !known && orchestrator.MatchString(e) {
				continue
			}
			values[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		s, known := byName[name]
		l.origin = origin{variable: name, key: s.key}
		if !known {
			hint := "settings are named like PUSHCART_HLS_PART_DURATION"
			if meant := suggest(name, names); meant != "" {
				hint = "did you mean " + meant + "?"
			}
			l.mistake(l.at(position{}), name, "is not a setting; %s", hint)
			continue
		}
		l.places[s.key] = l.at(position{})
		delete(l.wrong, s.key)
		l.override(s, s.in(c), values[name])
	}
}

// override gives a setting the value of its variable.
func (l *loader) override(s setting, v reflect.Value, text string) {
	at := l.at(position{})
	if v.Type() == reflect.TypeFor[[]Key]() {
		l.keys(s, v, text)
		return
	}
	if err := setText(v, s.tag, text); err != nil {
		l.mistake(at, s.key, "%v", err)
	}
}

// keys reads the stream keys from their variable: a YAML list in brackets, or NAME=SECRET pairs with commas between.
func (l *loader) keys(s setting, v reflect.Value, text string) {
	at := l.at(position{})
	v.SetZero()
	// The file's list does not count any more.
	maps.DeleteFunc(l.places, func(key string, _ place) bool { return strings.HasPrefix(key, s.key+"[") })
	maps.DeleteFunc(l.wrong, func(key string, _ bool) bool { return strings.HasPrefix(key, s.key+"[") })
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "[") {
		switch root, err := parseYAML([]byte(text)); {
		case err != nil:
			l.mistake(at, s.key, "%s", err.message)
		case root != nil:
			l.value(root, v, s.tag, s.key, at)
		}
		return
	}
	if text == "" {
		return
	}
	var all []Key
	for i, pair := range strings.Split(text, ",") {
		stream, secret, ok := strings.Cut(strings.TrimSpace(pair), "=")
		path := fmt.Sprintf("%s[%d]", s.key, i+1)
		if !ok {
			l.mistake(at, path, "is not of the form NAME=SECRET")
		}
		for _, key := range []string{path, path + ".stream", path + ".key"} {
			l.places[key] = at
		}
		all = append(all, Key{Stream: strings.TrimSpace(stream), Key: Secret(strings.TrimSpace(secret))})
	}
	v.Set(reflect.ValueOf(all))
}

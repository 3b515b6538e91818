package config

import (
	"cmp"
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

// clientVariables are for the commands that talk to a node, not for the node. A shell that has them may start one as well.
var clientVariables = []string{"PUSHCART_URL", "PUSHCART_STREAM", "PUSHCART_TOKEN"}

// fileSuffix makes of a setting's variable one that names a file with the value, as secrets come into containers.
const fileSuffix = "_FILE"

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
		if strings.HasPrefix(name, envPrefix) && name != fileVariable && !slices.Contains(clientVariables, name) {
			if _, known := byName[name]; !known && orchestrator.MatchString(e) {
				continue
			}
			values[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		s, known := byName[name]
		base, named := strings.CutSuffix(name, fileSuffix)
		if !known && named {
			s, known = byName[base]
		} else {
			named = false
		}
		l.origin = origin{variable: name, key: s.key}
		if named && known {
			text, err := readValue(values[name])
			if _, twice := values[base]; twice {
				err = fmt.Errorf("and %s are both there: take one of them out", base)
			}
			if err != nil {
				l.mistake(l.at(position{}), name, "%v", err)
				continue
			}
			values[name] = text
		}
		if !known {
			hint := "settings are named like PUSHCART_HLS_PART_DURATION"
			if meant := cmp.Or(suggest(name, sameSection(name, names)), suggest(name, names)); meant != "" {
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

// readValue reads a setting's value from a file. The line break at its end, which editors put there, does not count.
func readValue(file string) (string, error) {
	data, err := read(file)
	switch {
	case err != nil:
		return "", fmt.Errorf("the file %s %w", file, err)
	case len(data) > maxFile:
		return "", fmt.Errorf("the file %s is larger than %v", file, Size(maxFile))
	}
	text := strings.TrimRight(string(data), "\r\n")
	if _, plain := plainText([]byte(text)); !plain {
		return "", fmt.Errorf("the file %s is not plain UTF-8 text", file)
	}
	return text, nil
}

// ValueFiles are the files that variables in env, in the form of os.Environ, name for values of settings.
func ValueFiles(env []string) []string {
	var files []string
	for _, s := range settings() {
		for _, e := range env {
			if file, ok := strings.CutPrefix(e, s.variable()+fileSuffix+"="); ok {
				files = append(files, file)
			}
		}
	}
	return files
}

// sameSection are the names that have the typed one's first two words.
func sameSection(typed string, names []string) []string {
	words := strings.SplitN(typed, "_", 3)
	if len(words) < 3 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.HasPrefix(n, words[0]+"_"+words[1]+"_") })
}

// override gives a setting the value of its variable.
func (l *loader) override(s setting, v reflect.Value, text string) {
	at := l.at(position{})
	if v.Kind() == reflect.Slice {
		l.listVariable(s, v, text)
		return
	}
	if err := setText(v, s.tag, text); err != nil {
		l.mistake(at, s.key, "%v", err)
	}
}

// listVariable reads a list from its variable: a YAML list in brackets, or items with commas between. Items with a secret
// are written NAME=SECRET (of sources, NAME=URL).
func (l *loader) listVariable(s setting, v reflect.Value, text string) {
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
	items := strings.Split(text, ",")
	all := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		path := fmt.Sprintf("%s[%d]", s.key, i+1)
		l.places[path] = at
		l.itemVariable(all.Index(i), path, strings.TrimSpace(item))
	}
	v.Set(all)
}

// itemVariable reads one item of a list: a plain text, or a struct that has one text, or a name and
// its secret.
func (l *loader) itemVariable(v reflect.Value, path, item string) {
	if v.Kind() == reflect.String {
		v.SetString(item)
		return
	}
	at := l.at(position{})
	needed := neededOf(v.Type())
	if len(needed) == 1 {
		v.Field(0).SetString(item)
		l.places[path+"."+needed[0]] = at
		return
	}
	if len(needed) != 2 || v.Field(1).Kind() != reflect.String {
		l.mistake(at, path, "has more to it than fits here: write the list as in the file, in brackets, such as [{%s: ...}]",
			strings.Join(needed, ": ..., "))
		return
	}
	name, secret, ok := strings.Cut(item, "=")
	if !ok {
		l.mistake(at, path, "is not of the form NAME=SECRET")
	}
	v.Field(0).SetString(strings.TrimSpace(name))
	v.Field(1).SetString(strings.TrimSpace(secret))
	for _, key := range keysOf(v.Type()) {
		l.places[path+"."+key] = at
	}
}

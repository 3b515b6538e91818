package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
)

// fileVariable names the configuration file in the environment.
const fileVariable = "PUSHCART_CONFIG"

// File is the configuration file to use: the one given, else the one that PUSHCART_CONFIG names in env, else "", which is
// none.
func File(given string, env []string) string {
	if given != "" {
		return given
	}
	for _, e := range env {
		if file, ok := strings.CutPrefix(e, fileVariable+"="); ok {
			return file
		}
	}
	return ""
}

// Load returns the defaults, with the settings of a YAML file over them and those of env, in the form of os.Environ, over
// both. With file "", File decides. Its error is a Mistakes, with everything that is wrong.
func Load(file string, env []string) (*Config, error) {
	file = File(file, env)
	var data []byte
	if file != "" {
		var err error
		if data, err = read(file); err != nil {
			return nil, Mistakes{{File: file, Message: err.Error()}}
		}
	}
	return parse(file, data, env)
}

// read reads a file, up to a little more than may be parsed.
func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err == nil {
		defer f.Close()
		var data []byte
		if data, err = io.ReadAll(io.LimitReader(f, maxFile+1)); err == nil {
			return data, nil
		}
	}
	if path := new(fs.PathError); errors.As(err, &path) {
		err = path.Err // which leaves the name out: the mistake has it
	}
	return nil, fmt.Errorf("cannot be read: %w", err)
}

// parse is Load after reading.
func parse(file string, data []byte, env []string) (*Config, error) {
	c := Default()
	l := &loader{origin: origin{file: file}, places: map[string]place{}, wrong: map[string]bool{}}
	if root, err := parseYAML(data); err != nil {
		l.mistake(l.at(err.position), "", "%s", err.message)
	} else if root != nil {
		l.fields(root, reflect.ValueOf(c).Elem(), "")
	}
	l.environment(env, c)
	l.validate(c)
	if len(l.mistakes) > 0 {
		return nil, l.mistakes.tidy()
	}
	return c, nil
}

// loader gathers what one Load finds.
type loader struct {
	origin   origin
	mistakes Mistakes
	// places tells where each key got its value; a default has no place.
	places map[string]place
	// wrong has the keys whose value could not be taken, so that no rule complains about them once more.
	wrong map[string]bool
}

// origin is what is being read: a file, or a setting's environment variable.
type origin struct {
	file     string
	variable string
	key      string // that the variable sets
}

// place is where a value stands.
type place struct {
	origin
	position
}

func (l *loader) at(p position) place { return place{l.origin, p} }

// mistake reports what is wrong with a key at a place.
func (l *loader) mistake(at place, key, format string, args ...any) {
	l.wrong[key] = true
	m := Mistake{File: at.file, Line: at.line, Column: at.column, Key: key, Message: fmt.Sprintf(format, args...)}
	if at.variable != "" {
		// Within a variable, only what goes deeper than its own key needs telling.
		m = Mistake{Key: at.variable, Message: m.Message}
		if inner := strings.TrimPrefix(key, at.key); inner != "" && inner != key {
			m.Message = strings.TrimPrefix(inner, ".") + ": " + m.Message
		}
	}
	l.mistakes = append(l.mistakes, m)
}

package whip

import (
	"errors"
	"strings"
)

// restarted is the offer with other ICE credentials.
func (o *offer) restarted(f fragment) string {
	var b strings.Builder
	for line := range strings.Lines(o.text) {
		switch {
		case strings.HasPrefix(line, attrUfrag):
			line = attrUfrag + f.ufrag + "\r\n"
		case strings.HasPrefix(line, attrPassword):
			line = attrPassword + f.password + "\r\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

// fragment is the ICE part of a session description (RFC 8840 9), without candidates.
type fragment struct{ ufrag, password string }

// readFragment reads an application/trickle-ice-sdpfrag.
func readFragment(body string) (f fragment, _ error) {
	lines, candidates := 0, 0
	for line := range strings.Lines(body) {
		line = strings.TrimRight(line, "\r\n")
		if lines++; lines > maxLines {
			return f, errors.New("it has too many lines")
		}
		if line == "" {
			continue
		}
		if len(line) < 2 || line[1] != '=' || !strings.Contains("am", line[:1]) {
			return f, errors.New("it has lines that are neither attributes nor media sections")
		}
		switch {
		case strings.HasPrefix(line, attrCandidate):
			if candidates++; candidates > maxCandidates {
				return f, errors.New("it has too many candidates")
			}
		case strings.HasPrefix(line, attrUfrag):
			f.ufrag = line[len(attrUfrag):]
		case strings.HasPrefix(line, attrPassword):
			f.password = line[len(attrPassword):]
		}
	}
	// RFC 8839 5.4: at least 4 and 22 characters, at most 256.
	if f.ufrag != "" && !iceCharacters(f.ufrag, 4) || f.password != "" && !iceCharacters(f.password, 22) {
		return f, errors.New("its ice-ufrag or ice-pwd is not of the form that RFC 8839 gives")
	}
	return f, nil
}

// iceCharacters tells whether s is of ice-char (RFC 8839 5.4) and long enough.
func iceCharacters(s string, least int) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '/' {
			return false
		}
	}
	return len(s) >= least && len(s) <= 256
}

// credentials reads the ICE credentials of a whole description.
func credentials(text string) (f fragment) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if v, ok := strings.CutPrefix(line, attrUfrag); ok && f.ufrag == "" {
			f.ufrag = v
		}
		if v, ok := strings.CutPrefix(line, attrPassword); ok && f.password == "" {
			f.password = v
		}
	}
	return f
}

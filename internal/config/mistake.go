package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing that is wrong with the settings.
type Mistake struct {
	// File that it is in; "" when it is in the environment.
	File string
	// Line and Column count from 1; both are 0 when the mistake is in no particular place of the file.
	Line, Column int
	// Key is the setting, such as "hls.part_duration", or the environment variable; "" for the file as a whole.
	Key string
	// Message says what is wrong and what was expected. It never has a secret in it.
	Message string
}

// String is the mistake as compilers print theirs: FILE:LINE:COLUMN: key: message.
func (m Mistake) String() string {
	var b strings.Builder
	if m.File == "" {
		b.WriteString("environment: ")
	} else {
		b.WriteString(m.File)
		if m.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", m.Line, m.Column)
		}
		b.WriteString(": ")
	}
	if m.Key != "" {
		b.WriteString(m.Key + ": ")
	}
	return b.String() + m.Message
}

// Mistakes is everything that is wrong with the settings, the file's first, by line. It is the error of Load.
type Mistakes []Mistake

// Error implements error: one line for each mistake.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// maxMistakes is how many are told: nobody mends more at once, and a file may be something else altogether.
const maxMistakes = 100

// tidy sorts the mistakes and leaves out what is too much.
func (ms Mistakes) tidy() Mistakes {
	slices.SortStableFunc(ms, func(a, b Mistake) int {
		return cmp.Or(
			// The environment comes last.
			-cmp.Compare(min(len(a.File), 1), min(len(b.File), 1)),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Key, b.Key),
		)
	})
	if more := len(ms) - maxMistakes; more > 0 {
		ms = append(ms[:maxMistakes:maxMistakes], Mistake{File: ms[0].File, Message: fmt.Sprintf("has %d more mistakes", more)})
	}
	return ms
}

// suggest finds the known word that a mistyped one was probably meant to be; "" when none is close.
func suggest(typed string, known []string) string {
	if len(typed) > 100 {
		return ""
	}
	simple := func(s string) string {
		return strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(s))
	}
	best, bestDistance := "", max(2, len(typed)/3)+1
	for _, k := range known {
		d := distance(simple(typed), simple(k))
		if d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that make b of a.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

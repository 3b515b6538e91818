// Package rules holds the repository's own rules, as tests: which room may import which, and that what is shipped is
// documented.
package rules

// Package e2e has the end-to-end tests of a node: real publishers send, viewers receive, and nothing in between is
// replaced. It has no other code.
package e2e

// Package testkit has what end-to-end tests of a node are made of: a node within the test's own process or as a process
// of its own, ffmpeg and a Go client that publish, media to publish, and a viewer that waits by blocking playlist reload.
//
// Everything that a test starts ends with the test. Failures that make going on pointless end the test at once; functions
// that do so must be called from the test's own goroutine and say so.
package testkit

// Package stream is the place where rooms meet: an ingest protocol writes access units into a Stream, and consumers such
// as the packager take them from it. It knows no protocol and no configuration.
package stream

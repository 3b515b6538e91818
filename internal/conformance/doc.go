// Package conformance judges a low-latency HLS origin from outside. Check plays a presentation over HTTP the way a strict
// client would, follows every rendition with blocking reloads and preload hints, downloads every byte that is announced,
// and reports each rule of the specifications that the origin broke.
//
// The package is a second opinion: it has its own playlist parser and its own box reader, and shares no code with the
// origin that it judges. The rules are written down in one table, which Rules returns.
package conformance

// Package relay copies presentations between nodes, so that each serves the same bytes under the same names.
//
// A Server gives out the presentations that this node holds, its own and copied ones alike. A Manager copies those that
// viewers ask for, or that are to be kept warm, from the node that is the best to copy from. Who is the origin of what, and
// which nodes there are, both are told by a Directory.
package relay

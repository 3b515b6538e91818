// Package directory keeps the cluster's directory on NATS with JetStream: who is the origin of which stream, which nodes there
// are, and the last known state of each stream's cards. It also carries requests to the node that can answer them.
package directory

// Package trust is by what nodes of a cluster know one another: the cluster's certificate authority, the certificates that it
// issues, mutual TLS with them, and the short-lived tokens of streams.
//
// A node's folder has three files: ca.pem with the authority's certificate (several while one is being replaced by another),
// node.pem with the node's own, and node.key. Who a node is stands in its certificate as a URI, pushcart://NAME?region=REGION,
// and nowhere else: a peer that dials a node by name finds that one or nobody.
package trust

// Package api is the HTTP side of product cards: the API with which a host runs a show's cards, the events that dashboards
// follow, and the documents and keys that viewers fetch. It also answers for the node's streams and for what they are fetched
// from, by what the node tells it.
//
// The list of routes is in routes.go, and openapi.yaml describes them; a test holds the two equal.
package api

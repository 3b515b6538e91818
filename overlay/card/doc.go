// Package card is the document of a product card: what a show's host writes about a product, and what its viewers get.
//
// A card is JSON with the names of schema.org (Product, Offer) and a few keys of our own with the prefix "pushcart:". Parse
// takes nothing that it does not know: unknown keys and keys that are there twice, markup, control and
// bidirectional-override characters, numbers where money belongs, and URLs whose host is not allowed are refused with a
// FieldError, which names the field and says what to do. What was accepted has one canonical form: cards with the same
// content are the same bytes.
//
// Everything here is pure: no clock, no network, no state. A Card never changes, so any goroutine may use it.
package card

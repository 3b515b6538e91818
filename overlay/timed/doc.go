// Package timed is what travels in the media of a show: the signed state of its slots, in an ID3 tag.
//
// A State says which card, in which revision, each slot shows, and since when. Key.Sign makes a JSON Web Signature of it
// (RFC 7515, compact, Ed25519 by RFC 8037), which PublicKeys.Verify checks; AppendID3 and ParseID3 put it into an ID3v2.4
// tag, the form in which players hand timed metadata on ("Carriage of ID3 Timed Metadata in CMAF").
//
// There is one right encoding of each state, header and tag. Whatever is not byte for byte what this package writes is
// refused, so that two readers can never understand the same bytes differently.
package timed

// Package codec reads codec data and access units: what a decoder configuration says of its track, where decoding can
// start, and whether a sample is whole. It turns what encoders send into what ISO-BMFF stores. Everything it reads may
// come from a hostile peer.
package codec

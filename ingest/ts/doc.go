// Package ts reads an MPEG transport stream (ISO/IEC 13818-1) and feeds its elementary streams to a publication.
//
// Packets, sections and PES are taken apart here, since all of it decides on what is whole, how soon a picture is passed on
// and what a publisher may cost; a demultiplexer that hands out finished PES knows too little of that. go-astits reads the
// tables and their descriptors.
package ts

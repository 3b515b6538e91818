// Package wire has the records of which a relayed log is made: their bytes, their checks and their limits. It is pure.
//
// A log is a sequence of records, all numbers big endian:
//
//	length u32 | type u8 | flags u8 | reserved u16 | payload | crc32c u32
//
// The length is the payload's. The checksum (CRC-32C, RFC 3720 appendix B.4) covers everything in front of it: it finds what was
// garbled underway. Whether media are the origin's is for their SHA-256 to say, which the log has too.
//
// There are two kinds of log. The index log of a stream has hello, view, card, desk, ping and bye. The log of a rendition has
// hello, init, state, chunk, step, ping and bye: first a state, which is a whole snapshot without media, then for each part
// its chunks and the step by which the snapshot becomes the next one. A state may come again at any time, when the steps in
// between are left out. Chunks with FlagBackfill are media of parts that are known of already.
package wire

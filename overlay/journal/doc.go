// Package journal keeps records in a file that only grows: what Append has returned for is on the disk, whole and in order,
// after a crash at any moment.
//
// The file is a header of 12 bytes (the magic "pushcart", then the version as a little-endian 32-bit number) and records
// behind one another:
//
//	4 bytes  length of the payload, little-endian, 1 to MaxRecord
//	4 bytes  CRC-32C (Castagnoli) of the length's four bytes and the payload, little-endian
//	n bytes  payload
//
// The header is on the disk before the first record is written. What a crash in the middle of an append leaves is cut off
// when the file is opened. Anything else that cannot be read is damage: the file is copied under another name, and the
// journal goes on from the records before it.
//
// Names of files are the caller's. On file systems that do not tell upper case from lower, two names may be one file: the
// lock then tells the second user that it is taken.
package journal

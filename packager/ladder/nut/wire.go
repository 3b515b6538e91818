package nut

import "encoding/binary"

// fileID is the first thing in a file (nut.txt, file_id_string).
const fileID = "nut/multimedia container\x00"

// Startcodes (nut.txt, *_startcode). All begin with the byte 'N', which no frame does.
const (
	mainStart   = 0x4E4D7A561F5F04AD
	streamStart = 0x4E5311405BF2F9DB
	syncStart   = 0x4E4BE4ADEECA4569
	indexStart  = 0x4E58DD672F23E64E
	infoStart   = 0x4E49AB68B596BA78
)

// Flags of frames (nut.txt, frame_flags), and those that ffmpeg has besides: side data and an index of elided headers in
// the frame's header, and a time to match.
const (
	flagKey       = 1 << 0
	flagEOR       = 1 << 1
	flagCodedPTS  = 1 << 3
	flagStreamID  = 1 << 4
	flagSizeMSB   = 1 << 5
	flagChecksum  = 1 << 6
	flagReserved  = 1 << 7
	flagSideData  = 1 << 8
	flagHeaderIdx = 1 << 10
	flagMatchTime = 1 << 11
	flagCoded     = 1 << 12
	flagInvalid   = 1 << 13
)

// flagPipe of the main header tells that syncpoints are left out (ffmpeg's nut.texi 2.2).
const flagPipe = 1 << 1

// Stream classes (nut.txt, stream_class).
const (
	classVideo = 0
	classAudio = 1
)

// longPacket is the size above which a packet's header has a checksum of its own, in bytes (nut.txt, packet_header).
const longPacket = 4096

// elideLimit is the size above which no header of a frame is left out, in bytes.
const elideLimit = 4096

// maxPTSShift is the limit of msb_pts_shift (nut.txt).
const maxPTSShift = 15

// crcTable is that of CRC-32 with the generator 0x04C11DB7, the most significant bit first (nut.txt, crc32 checksum).
var crcTable = func() (table [256]uint32) {
	for i := range table {
		c := uint32(i) << 24
		for range 8 {
			carry := c >> 31
			c = c<<1 ^ carry*0x04C11DB7
		}
		table[i] = c
	}
	return table
}()

// updateCRC adds b to a checksum; that of nothing is 0.
func updateCRC(crc uint32, b []byte) uint32 {
	for _, v := range b {
		crc = crc<<8 ^ crcTable[byte(crc>>24)^v]
	}
	return crc
}

// appendV appends a variable length value (nut.txt, v): groups of seven bits, the most significant first.
func appendV(b []byte, v uint64) []byte {
	shift := 0
	for v>>shift > 127 {
		shift += 7
	}
	for ; shift > 0; shift -= 7 {
		b = append(b, 0x80|byte(v>>shift))
	}
	return append(b, byte(v)&0x7F)
}

// appendPacket appends a packet with its header and footer (nut.txt, packet_header, packet_footer).
func appendPacket(b []byte, code uint64, body []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, code)
	b = appendV(b, uint64(len(body)+4))
	if len(body)+4 > longPacket {
		b = binary.BigEndian.AppendUint32(b, updateCRC(0, b[start:]))
	}
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, updateCRC(0, body))
}

// lsbPTS makes a timestamp of its least significant bits and the one before (nut.txt, coded_pts).
func lsbPTS(lsb uint64, shift int, last int64) int64 {
	mask := int64(1)<<shift - 1
	delta := last - mask/2
	return (int64(lsb)-delta)&mask + delta
}

// distance between two timestamps of less than 62 bits.
func distance(a, b int64) int64 { return max(a-b, b-a) }

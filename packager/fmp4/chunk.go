package fmp4

import "encoding/binary"

// Sample is one access unit's entry in a chunk.
type Sample struct {
	// Duration in ticks of the track's clock; at least 1.
	Duration uint32
	// Offset of the presentation time from the decoding time, in ticks; may be negative.
	Offset int32
	// Size of the payload in bytes.
	Size uint32
	// Key tells that the sample is a sync sample.
	Key bool
}

// Flags of trun and tfhd (ISO/IEC 14496-12 8.8.7, 8.8.8), and of samples (8.8.3.1).
const (
	baseIsMoof  = 0x020000
	dataOffset  = 0x000001
	durations   = 0x000100
	sizes       = 0x000200
	sampleFlags = 0x000400
	offsets     = 0x000800

	syncSample    = 0x02000000 // depends on no other
	nonSyncSample = 0x01010000 // depends on others, is no sync sample
)

// Sizes of a chunk's fixed parts: moof, mfhd, traf, tfhd, tfdt, trun without entries.
const (
	headSize  = 8 + 16 + 8 + 16 + 20 + 20
	entrySize = 16
)

// ChunkSize is how many bytes a chunk of so many samples and bytes of payload takes.
func ChunkSize(samples, payload int) int { return headSize + entrySize*samples + 8 + payload }

// AppendChunk appends one CMAF chunk, moof and mdat, to b and returns the extended slice. sequence is the mfhd's number,
// decode the decoding time of the first sample in ticks. payload holds the samples' bytes one after another.
func AppendChunk(b []byte, sequence uint32, decode int64, samples []Sample, payload []byte) []byte {
	moof := headSize + entrySize*len(samples)
	be := binary.BigEndian

	b = be.AppendUint32(b, uint32(moof))
	b = append(b, "moof\x00\x00\x00\x10mfhd\x00\x00\x00\x00"...)
	b = be.AppendUint32(b, sequence)
	b = be.AppendUint32(b, uint32(moof-24))
	b = append(b, "traf\x00\x00\x00\x10tfhd"...)
	b = be.AppendUint32(b, baseIsMoof)
	b = be.AppendUint32(b, TrackID)
	b = append(b, "\x00\x00\x00\x14tfdt\x01\x00\x00\x00"...)
	b = be.AppendUint64(b, uint64(decode))

	b = be.AppendUint32(b, uint32(20+entrySize*len(samples)))
	b = append(b, "trun"...)
	b = be.AppendUint32(b, 1<<24|dataOffset|durations|sizes|sampleFlags|offsets)
	b = be.AppendUint32(b, uint32(len(samples)))
	b = be.AppendUint32(b, uint32(moof+8))
	for i := range samples {
		s := &samples[i]
		flags := uint32(nonSyncSample)
		if s.Key {
			flags = syncSample
		}
		b = be.AppendUint32(b, s.Duration)
		b = be.AppendUint32(b, s.Size)
		b = be.AppendUint32(b, flags)
		b = be.AppendUint32(b, uint32(s.Offset))
	}

	b = be.AppendUint32(b, uint32(8+len(payload)))
	b = append(b, "mdat"...)
	return append(b, payload...)
}

package ts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"

	"github.com/asticode/go-astits"
)

// table is what a section's head tells of it (ISO/IEC 13818-1 2.4.4.3): for PAT and PMT alike
//
//	table(8) length(16) number(16) reserved(2) version(5) current(1) section(8) last section(8)
type table struct {
	id      byte
	version uint8
	current bool // not one to come
}

func tableOf(section []byte) (t table, ok bool) {
	if len(section) < 12 || section[1]&0x80 == 0 {
		return t, false
	}
	return table{id: section[0], version: section[5] >> 1 & 0x1F, current: section[5]&1 != 0}, true
}

// readPAT reads a program association section, whose checksum is right.
func readPAT(section []byte) (*astits.PATData, error) {
	for d, err := range demux(packetise(nil, pidPAT, section)) {
		if err != nil {
			return nil, err
		}
		if d.PAT != nil {
			return d.PAT, nil
		}
	}
	return nil, errors.New("there is no program association table in it")
}

// readPMT reads a program map section, whose checksum is right.
func readPMT(pid uint16, section []byte) (*astits.PMTData, error) {
	program := section[3:5]
	pat := []byte{tablePAT, 0xB0, 13, 0, 1, 0xC1, 0, 0, program[0], program[1], 0xE0 | byte(pid>>8), byte(pid), 0, 0, 0, 0}
	sum := crc32(pat[:12])
	pat[12], pat[13], pat[14], pat[15] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
	for d, err := range demux(packetise(packetise(nil, pidPAT, pat), pid, section)) {
		if err != nil {
			return nil, err
		}
		if d.PMT != nil {
			return d.PMT, nil
		}
	}
	return nil, errors.New("there is no program map table in it")
}

// packetise puts a section into packets of its own.
func packetise(out []byte, pid uint16, section []byte) []byte {
	section = append([]byte{0}, section...)
	for i := 0; len(section) > 0; i++ {
		start := byte(0)
		if i == 0 {
			start = 0x40
		}
		out = append(out, syncByte, start|byte(pid>>8), byte(pid), 0x10|byte(i&15))
		n := min(len(section), packetSize-4)
		out = append(out, section[:n]...)
		section = section[n:]
		for range packetSize - 4 - n {
			out = append(out, tableStuffing)
		}
	}
	return out
}

// demux reads packets with go-astits. A panic of its is an error: what it reads is a peer's.
func demux(packets []byte) iter.Seq2[*astits.DemuxerData, error] {
	return func(yield func(*astits.DemuxerData, error) bool) {
		d := astits.NewDemuxer(context.Background(), bytes.NewReader(packets), astits.DemuxerOptPacketSize(packetSize),
			astits.DemuxerOptLogger(log.New(io.Discard, "", 0)))
		for {
			data, err := next(d)
			if errors.Is(err, astits.ErrNoMorePackets) || !yield(data, err) || err != nil {
				return
			}
		}
	}
}

func next(d *astits.Demuxer) (data *astits.DemuxerData, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("it cannot be read: %v", fault)
		}
	}()
	return d.NextData()
}

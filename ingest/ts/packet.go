package ts

// Packets (ISO/IEC 13818-1 2.4.3.2):
//
//	sync(8)=0x47 error(1) start(1) priority(1) PID(13) scrambling(2) adaptation(2) continuity(4)
//	adaptation field, if adaptation is 2 or 3; payload, if it is 1 or 3
//
// Adaptation field (2.4.3.4):
//
//	length(8) discontinuity(1) random access(1) priority(1) PCR(1) OPCR(1) splice(1) private(1) extension(1)
//	PCR: base(33) reserved(6) extension(9); ...; stuffing of 0xFF up to length
const (
	packetSize = 188
	syncByte   = 0x47

	pidPAT  = 0x0000
	pidNull = 0x1FFF
	pids    = 0x2000 // how many there can be
)

// packet is one transport packet, which lends its bytes.
type packet struct {
	pid           uint16
	start         bool // a PES or a section starts in the payload
	broken        bool // the transport error indicator, or lengths that cannot be
	scrambled     bool
	discontinuity bool // the sender says that it left something out
	counter       uint8
	hasPayload    bool
	stuffed       bool // the adaptation field fills the packet up
	payload       []byte
}

// readPacket reads the 188 bytes of b, of which the first is the sync byte.
func readPacket(b []byte) (p packet) {
	p.pid = uint16(b[1]&0x1F)<<8 | uint16(b[2])
	p.broken = b[1]&0x80 != 0
	p.start = b[1]&0x40 != 0
	p.scrambled = b[3]&0xC0 != 0
	p.counter = b[3] & 0x0F
	p.hasPayload = b[3]&0x10 != 0
	at := 4
	if b[3]&0x20 != 0 {
		n := int(b[4])
		at = 5 + n
		if n > 183 || p.hasPayload && n > 182 {
			p.broken, p.hasPayload = true, false
			return p
		}
		if n > 0 {
			p.discontinuity = b[5]&0x80 != 0
		}
		p.stuffed = n == 0 || adaptationUse(b[5:at]) < n
	}
	if p.hasPayload {
		p.payload = b[at:packetSize]
	}
	return p
}

// adaptationUse is how many bytes of an adaptation field hold something; more than there are when it is damaged.
func adaptationUse(f []byte) int {
	n := 1
	for _, field := range [...]struct {
		flag byte
		size int
	}{{0x10, 6}, {0x08, 6}, {0x04, 1}} {
		if f[0]&field.flag != 0 {
			n += field.size
		}
	}
	for _, flag := range [...]byte{0x02, 0x01} { // private data and extension have a length
		if f[0]&flag != 0 {
			if n >= len(f) {
				return len(f)
			}
			n += 1 + int(f[n])
		}
	}
	return n
}

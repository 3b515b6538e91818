package srt

import (
	"encoding/binary"
	"testing"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"github.com/datarhei/gosrt/crypto"
	"github.com/datarhei/gosrt/packet"
)

// FuzzHandshake reads datagrams as a listener and a caller do, and answers them: the answer is never longer than what was asked,
// so that nobody can have it sent to somebody else to their harm.
func FuzzHandshake(f *testing.F) {
	keys, err := crypto.New(16)
	if err != nil {
		f.Fatal(err)
	}
	var km packet.CIFKeyMaterialExtension
	keys.MarshalKM(&km, "correct horse", packet.EvenKeyEncrypted)
	for _, cif := range []*packet.CIFHandshake{
		{IsRequest: true, Version: 4, ExtensionField: 2, HandshakeType: packet.HSTYPE_INDUCTION, SRTSocketId: 7},
		{IsRequest: true, Version: 5, HandshakeType: packet.HSTYPE_CONCLUSION, SRTSocketId: 7, HasHS: true, HasSID: true, HasKM: true,
			StreamId: "live/show", SRTHS: &packet.CIFHandshakeExtension{SRTVersion: gosrt.SRT_VERSION, SendTSBPDDelay: 120}, SRTKM: &km},
	} {
		r := request{ln: &listener{start: time.Now()}, cif: cif}
		f.Add(r.encodeTo(0))
	}
	refusal := make([]byte, 72)
	copy(refusal, []byte{0x80, 0})
	binary.BigEndian.PutUint32(refusal[36:], packet.HSTYPE_CONCLUSION.Val())
	copy(refusal[64:], []byte{0, 4, 0, 1, 4, 0, 0, 0})
	f.Add(refusal)
	f.Fuzz(func(t *testing.T, b []byte) {
		refusesKeys(b)
		_, cif, err := readHandshake(b, nil)
		if err != nil {
			return
		}
		r := &request{ln: &listener{start: time.Now()}, cif: cif}
		if cif.SRTHS != nil {
			r.fault()
		}
		if cif.SRTKM != nil {
			if r.unlock("correct horse") == nil && r.keys == nil {
				t.Fatal("unlocked without keys")
			}
		}
		if n := len(r.refusal(gosrt.REJ_ROGUE)); n == 0 || n > len(b) {
			t.Fatalf("an answer of %d bytes to %d", n, len(b))
		}
	})
}

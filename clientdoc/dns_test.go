package clientdoc_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
)

// A liar is a DNS server that answers each look-up of a name with the next of its
// answers, and goes on with the last one.
type liar struct {
	mu      sync.Mutex
	answers [][]netip.Addr
	asked   map[uint16]int // by type of record: every look-up asks for both
	names   []string
}

func newLiar(answers ...[]netip.Addr) *liar {
	return &liar{answers: answers, asked: make(map[uint16]int)}
}

func addresses(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// resolver returns a resolver that asks l, over a pipe.
func (l *liar) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go l.serve(server)
		return client, nil
	}}
}

// serve answers messages with a length before them (RFC 1035 section 4.2.2).
func (l *liar) serve(c net.Conn) {
	defer c.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		answer := l.answer(query)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

const typeA, typeAAAA = 1, 28

// answer makes the answer to a query with one question.
func (l *liar) answer(query []byte) []byte {
	end, name := 12, ""
	for query[end] != 0 {
		name += string(query[end+1:end+1+int(query[end])]) + "."
		end += 1 + int(query[end])
	}
	question := query[12 : end+5]
	kind := binary.BigEndian.Uint16(query[end+1:])

	l.mu.Lock()
	l.names = append(l.names, name)
	list := l.answers[min(l.asked[kind], len(l.answers)-1)]
	l.asked[kind]++
	l.mu.Unlock()

	var records []byte
	count := uint16(0)
	for _, a := range list {
		if a.Is4() != (kind == typeA) || kind != typeA && kind != typeAAAA {
			continue
		}
		records = append(records, 0xC0, 12) // the name of the question
		records = binary.BigEndian.AppendUint16(records, kind)
		records = append(records, 0, 1, 0, 0, 0, 0) // Internet, for no time
		records = binary.BigEndian.AppendUint16(records, uint16(a.BitLen()/8))
		records = append(records, a.AsSlice()...)
		count++
	}
	out := append([]byte{}, query[:2]...)
	out = append(out, 0x81, 0x80, 0, 1)
	out = binary.BigEndian.AppendUint16(out, count)
	out = append(out, 0, 0, 0, 0)
	return append(append(out, question...), records...)
}

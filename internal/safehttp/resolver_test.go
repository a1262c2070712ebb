package safehttp

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// fakeDNS answers lookups from a table, each name with its answers in turn;
// the last one stays. A name without answers does not exist. A nil table
// never answers.
type fakeDNS struct {
	mu      sync.Mutex
	answers map[string][][]string
	asked   map[string]int
}

// resolver returns a Go resolver that asks d over pipes.
func (d *fakeDNS) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	d.asked = make(map[string]int)
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go d.serve(server) // ends when the resolver closes its end
		return client, nil
	}}
}

func (d *fakeDNS) serve(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		answer := d.reply(query)
		if answer == nil {
			continue
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// reply makes the answer message of RFC 1035 section 4 to a query of one
// question.
func (d *fakeDNS) reply(query []byte) []byte {
	if d.answers == nil {
		return nil
	}
	var labels []string
	i := 12
	for query[i] != 0 {
		labels = append(labels, string(query[i+1:i+1+int(query[i])]))
		i += 1 + int(query[i])
	}
	question := query[12 : i+5]
	kind := binary.BigEndian.Uint16(query[i+1:])
	addresses, exists := d.lookup(strings.ToLower(strings.Join(labels, ".")), kind)

	out := append([]byte(nil), query[0:2]...)
	code := byte(0x80)
	if !exists {
		code |= 3
	}
	out = append(out, 0x81, code, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0)
	out = append(out, question...)
	for _, a := range addresses {
		out = append(out, 0xc0, 12)
		out = binary.BigEndian.AppendUint16(out, kind)
		out = append(out, 0, 1, 0, 0, 0, 0)
		out = binary.BigEndian.AppendUint16(out, uint16(len(a.AsSlice())))
		out = append(out, a.AsSlice()...)
	}
	return out
}

func (d *fakeDNS) lookup(name string, kind uint16) (out []netip.Addr, exists bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rounds, ok := d.answers[name]
	if !ok {
		return nil, false
	}
	const typeA, typeAAAA = 1, 28
	round := 0
	if kind == typeA {
		round = min(d.asked[name], len(rounds)-1)
		d.asked[name]++
	}
	for _, text := range rounds[round] {
		a := netip.MustParseAddr(text)
		if (kind == typeA) == a.Is4() && (kind == typeA || kind == typeAAAA) {
			out = append(out, a)
		}
	}
	return out, true
}

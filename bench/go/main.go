// Command peers runs one body of the benchmark against one Go log and prints one line of JSON, as child.mjs does for
// the peers from npm. The first argument says what to do, as JSON.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Spec is what run.mjs hands over; it has the fields of child.mjs that the Go peers need.
type Spec struct {
	Body         string         `json:"body"`
	Peer         string         `json:"peer"`
	Directory    string         `json:"directory"`
	PayloadBytes int            `json:"payloadBytes"`
	Seconds      float64        `json:"seconds"`
	MaxCount     int            `json:"maxCount"`
	Settings     map[string]any `json:"settings"`
	Params       struct {
		Writers  int    `json:"writers"`
		Batch    int    `json:"batch"`
		Entries  int    `json:"entries"`
		InFlight int    `json:"inFlight"`
		Way      string `json:"way"`
	} `json:"params"`
}

// Result holds the figures of one run by name.
type Result map[string]any

// Log is what a Go peer offers to the bodies. Positions count from 0. Appends are serialised by the caller.
type Log interface {
	Append(position int, data []byte) error
	Batch(position int, data [][]byte) error
	// Get may return memory that the next call overwrites.
	Get(position int) ([]byte, error)
	Count() (int, error)
	Close() error
}

// Ranger is a Log that reads many entries in one call.
type Ranger interface {
	Range(from, to int, visit func(data []byte)) error
}

// Peer opens a Log; survives is what an acknowledged entry survives under these settings.
type Peer struct {
	open     func(spec Spec) (Log, error)
	version  string
	survives func(spec Spec) string
	options  func(spec Spec) string
}

var peers = map[string]Peer{"tidwall": tidwallPeer, "raft-wal": raftPeer}

func main() {
	var spec Spec
	must(json.Unmarshal([]byte(os.Args[1]), &spec))
	if spec.MaxCount == 0 {
		spec.MaxCount = 1 << 40
	}
	peer, known := peers[spec.Peer]
	if !known {
		must(fmt.Errorf("no Go peer is named %s", spec.Peer))
	}
	run, known := bodies[spec.Body]
	if !known {
		must(fmt.Errorf("no Go body is named %s", spec.Body))
	}
	result, err := run(peer, spec)
	must(err)
	describe(result, peer, spec)
	print(result)
}

func describe(result Result, peer Peer, spec Spec) {
	result["survives"] = peer.survives(spec)
	result["options"] = peer.options(spec)
	result["version"] = peer.version
}

func print(result Result) {
	line, err := json.Marshal(result)
	must(err)
	fmt.Println(string(line))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Payloads are the same buffers as lib/payload.mjs makes.
type Payloads struct {
	pool [][]byte
	mask int
}

func makePayloads(size int) Payloads {
	const poolBytes, maxEntries, minEntries = 8 << 20, 4096, 4
	count := maxEntries
	for count > minEntries && count*size > poolBytes {
		count /= 2
	}
	state := uint32(0x2545f491)
	pool := make([][]byte, count)
	for number := range pool {
		payload := make([]byte, size)
		for at := 0; at+4 <= size; at += 4 {
			state = xorshift(state)
			put32(payload[at:], state)
		}
		put32(payload, uint32(number))
		pool[number] = payload
	}
	return Payloads{pool, count - 1}
}

func (p Payloads) at(position int) []byte { return p.pool[position&p.mask] }

func (p Payloads) check(position int, data []byte) error {
	if bytes.Equal(p.at(position), data) {
		return nil
	}
	return fmt.Errorf("entry %d read back wrong", position)
}

func xorshift(state uint32) uint32 {
	state ^= state << 13
	state ^= state >> 17
	state ^= state << 5
	return state
}

func put32(to []byte, value uint32) {
	to[0], to[1], to[2], to[3] = byte(value), byte(value>>8), byte(value>>16), byte(value>>24)
}

// Clock stops a body after the seconds or the entries of its budget.
type Clock struct {
	started  time.Time
	seconds  float64
	maxCount int
}

func start(spec Spec) Clock { return Clock{time.Now(), spec.Seconds, spec.MaxCount} }

func (c Clock) over(count int) bool {
	return count >= c.maxCount || time.Since(c.started).Seconds() >= c.seconds
}

func (c Clock) rate(count int, payloadBytes int) Result {
	seconds := time.Since(c.started).Seconds()
	perSecond := float64(count) / seconds
	return Result{"count": count, "seconds": seconds, "perSecond": perSecond, "mbPerSecond": perSecond * float64(payloadBytes) / 1e6}
}

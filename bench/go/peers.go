package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
	raftwal "github.com/hashicorp/raft-wal"
	"github.com/tidwall/wal"
)

// tidwall/wal syncs every write unless noSync is set. It keeps no checksum: a reader cannot tell damage from data.
var tidwallPeer = Peer{
	open:    openTidwall,
	version: "1.2.1",
	survives: func(spec Spec) string {
		if spec.Settings["noSync"] == true {
			return "process crash"
		}
		return "power cut"
	},
	options: func(spec Spec) string {
		return fmt.Sprintf("NoSync %t, NoCopy %t, SegmentCacheSize %d; keeps no checksums",
			spec.Settings["noSync"] == true, spec.Settings["noCopy"] == true, segmentCache(spec))
	},
}

func segmentCache(spec Spec) int {
	if size, set := spec.Settings["segmentCache"].(float64); set {
		return int(size)
	}
	return wal.DefaultOptions.SegmentCacheSize
}

type tidwallLog struct{ log *wal.Log }

func openTidwall(spec Spec) (Log, error) {
	options := *wal.DefaultOptions
	options.NoSync = spec.Settings["noSync"] == true
	options.NoCopy = spec.Settings["noCopy"] == true
	options.SegmentCacheSize = segmentCache(spec)
	log, err := wal.Open(filepath.Join(spec.Directory, "log"), &options)
	return tidwallLog{log}, err
}

func (t tidwallLog) Append(position int, data []byte) error {
	return t.log.Write(uint64(position+1), data)
}

func (t tidwallLog) Batch(position int, data [][]byte) error {
	batch := new(wal.Batch)
	for at, value := range data {
		batch.Write(uint64(position+at+1), value)
	}
	return t.log.WriteBatch(batch)
}

func (t tidwallLog) Get(position int) ([]byte, error) { return t.log.Read(uint64(position + 1)) }

func (t tidwallLog) Count() (int, error) {
	last, err := t.log.LastIndex()
	return int(last), err
}

func (t tidwallLog) Close() error { return t.log.Close() }

// hashicorp/raft-wal syncs every StoreLogs; it has no other mode.
var raftPeer = Peer{
	open:     openRaft,
	version:  "0.4.0",
	survives: func(Spec) string { return "power cut" },
	options:  func(Spec) string { return "defaults: fsync per StoreLogs, 64 MiB segments" },
}

type raftLog struct {
	log   *raftwal.WAL
	entry *raft.Log
}

func openRaft(spec Spec) (Log, error) {
	directory := filepath.Join(spec.Directory, "log")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	log, err := raftwal.Open(directory)
	return raftLog{log, new(raft.Log)}, err
}

func (r raftLog) Append(position int, data []byte) error {
	return r.log.StoreLog(&raft.Log{Index: uint64(position + 1), Data: data})
}

func (r raftLog) Batch(position int, data [][]byte) error {
	entries := make([]*raft.Log, len(data))
	for at, value := range data {
		entries[at] = &raft.Log{Index: uint64(position + at + 1), Data: value}
	}
	return r.log.StoreLogs(entries)
}

func (r raftLog) Get(position int) ([]byte, error) {
	err := r.log.GetLog(uint64(position+1), r.entry)
	return r.entry.Data, err
}

func (r raftLog) Count() (int, error) {
	last, err := r.log.LastIndex()
	return int(last), err
}

func (r raftLog) Close() error { return r.log.Close() }

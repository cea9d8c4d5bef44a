//go:build gowalrus

package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/l00pss/walrus"
)

func init() { peers["go-walrus"] = goWalrusPeer }

// The Go Walrus syncs every write unless noSync is set (which its users cannot set: see inside/bench.go).
var goWalrusPeer = Peer{
	open:    openGoWalrus,
	version: "checkout",
	survives: func(spec Spec) string {
		if spec.Settings["noSync"] == true {
			return "process crash"
		}
		return "power cut"
	},
	options: func(spec Spec) string {
		return fmt.Sprintf("defaults; sync after write %t, zero copy %t", spec.Settings["noSync"] != true, spec.Settings["zeroCopy"] == true)
	},
}

type goWalrusLog struct{ log *walrus.WAL }

func openGoWalrus(spec Spec) (Log, error) {
	config := walrus.BenchConfig(spec.Settings["noSync"] == true, spec.Settings["zeroCopy"] == true)
	opened := walrus.Open(filepath.Join(spec.Directory, "log"), config)
	if opened.IsErr() {
		return nil, opened.UnwrapErr()
	}
	return goWalrusLog{opened.Unwrap()}, nil
}

func (g goWalrusLog) Append(_ int, data []byte) error {
	if appended := g.log.Append(walrus.Entry{Data: data, Timestamp: time.Now()}); appended.IsErr() {
		return appended.UnwrapErr()
	}
	return nil
}

func (g goWalrusLog) Batch(_ int, data [][]byte) error {
	entries := make([]walrus.Entry, len(data))
	for at, value := range data {
		entries[at] = walrus.Entry{Data: value, Timestamp: time.Now()}
	}
	if written := g.log.WriteBatch(entries); written.IsErr() {
		return written.UnwrapErr()
	}
	return nil
}

func (g goWalrusLog) Get(position int) ([]byte, error) {
	found := g.log.Get(uint64(position + 1))
	if found.IsErr() {
		return nil, found.UnwrapErr()
	}
	return found.Unwrap().Data, nil
}

// Range is how its users read many entries.
func (g goWalrusLog) Range(from, to int, visit func(data []byte)) error {
	found := g.log.GetRange(uint64(from+1), uint64(to))
	if found.IsErr() {
		return found.UnwrapErr()
	}
	for _, entry := range found.Unwrap() {
		visit(entry.Data)
	}
	return nil
}

func (g goWalrusLog) Count() (int, error) { return int(g.log.GetLastIndex()), nil }

func (g goWalrusLog) Close() error { return g.log.Close() }
